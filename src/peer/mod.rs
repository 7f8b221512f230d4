//! Which address a client has, and which host it asked for.
//!
//! Layers that count by address or judge by host ask here, so that there is one answer to each:
//! [`FailedAttemptsLayer`](crate::failed_attempts::FailedAttemptsLayer),
//! [`OriginLayer`](crate::mcp::OriginLayer), and what you write yourself.
//!
//! # Peer address
//!
//! [`PeerAddr`] is the other end of the connection. The server puts it into the extensions of each
//! request, or a [`SetPeerAddrLayer`] outside finds it where the server put it.
//!
//! # Peer certificate
//!
//! [`PeerCertificate`] is the TLS certificate of the peer, if it showed one. What accepts the
//! connections puts it there, by a [`SetPeerCertificateLayer`] for one. Where TLS ends at a proxy,
//! [`ForwardedCertificates`] reads that of its client from the header in which this proxy hands it
//! on. Both are for tokens that are bound to certificates: see
//! [`oauth::binding`](crate::oauth::binding#certificates).
//!
//! # Requested host
//!
//! [`requested`] reads `Host` or the authority of the request target, strictly: two hosts, none, or
//! one that readers take for different hosts is 400. Names compare in lower case.
//!
//! # Trusted proxies
//!
//! Any client can send `Forwarded` and `X-Forwarded-*`. What is in them counts from
//! [`TrustedProxies`] alone:
//!
//! - You name the headers that your proxies write. The others are never read.
//! - They count where the peer's address is known and in one of the networks. From other peers
//!   they are ignored, and the request's own `Host` and the peer's address are what there is.
//! - Of a list the last element counts, which your proxy wrote; what its client sent stands before
//!   it. With [`hops`](TrustedProxies::hops) it is the element that far from the end, as long as all
//!   behind it name trusted proxies. Where a list of `X-Forwarded-Host` or `X-Forwarded-Proto` is
//!   shorter than that, its first element counts.
//! - Lines of the same name are one list. An element that counts and cannot be read is 400: an empty
//!   one, an address or a host that is none, a scheme that is neither `http` nor `https`. `Forwarded`
//!   is read by its grammar from its beginning, so an open quote hides nothing. No escapes are read
//!   in values that count, because no host and no address needs one.
//! - Without a host in the headers, that of the request counts. A client that the proxy gives
//!   no address (`for=unknown`, `for=_hidden`) has none.
//!
//! **Each proxy must replace or append to each of the headers**, whatever its client sent. Of a header
//! that the proxy leaves alone the last element is the client's: nginx passes `X-Forwarded-Host` on
//! unless it is told otherwise. Where the proxy passes `Host` on, turn
//! [`forwarded_host`](TrustedProxies::forwarded_host) off. And no other peer may connect from the
//! networks: list proxies, not whole data centres.
//!
//! The headers stay in the request. What is inside must not read them, because they are there
//! for every sender: it asks [`TrustedProxies::client`] and [`requested`].
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::net::SocketAddr;
//!
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_auth::mcp::OriginLayer;
//! use tower_mcp_auth::peer::{ProxyHeaders, SetPeerAddrLayer, TrustedProxies};
//!
//! # type Body = Empty<bytes::Bytes>;
//! async fn server(_: Request<Body>) -> Result<Response<Body>, Infallible> {
//!     Ok(Response::new(Body::new()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let proxies = TrustedProxies::new(ProxyHeaders::XForwarded, ["10.0.0.7"])?;
//! let origin = OriginLayer::new("https://mcp.example.com/mcp")?.trusted_proxies(proxies);
//! let service = ServiceBuilder::new()
//!     // In axum: `|peer: &ConnectInfo<SocketAddr>| peer.0`.
//!     .layer(SetPeerAddrLayer::from_extension(|peer: &SocketAddr| *peer))
//!     .layer(origin)
//!     .service(service_fn(server));
//! let send = |peer: [u8; 4]| {
//!     let request = Request::post("/mcp")
//!         .extension(SocketAddr::from((peer, 49152)))
//!         .header("host", "127.0.0.1:3000")
//!         .header("x-forwarded-host", "mcp.example.com");
//!     service.clone().oneshot(request.body(Body::new()).unwrap())
//! };
//!
//! assert_eq!(send([10, 0, 0, 7]).await?.status(), StatusCode::OK);
//! // A peer that got past the proxy, and says what the proxy would say.
//! assert_eq!(send([192, 0, 2, 1]).await?.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```

mod address;
mod certificate;
mod certificate_format;
mod certificate_layer;
mod client;
mod forwarded;
mod forwarded_certificates;
mod layer;
mod network;
mod proxies;
mod requested;
mod set;
mod x_forwarded;

pub use self::address::PeerAddr;
pub use self::certificate::PeerCertificate;
pub use self::certificate_format::CertificateFormat;
pub use self::certificate_layer::{SetPeerCertificate, SetPeerCertificateLayer};
pub(crate) use self::client::CountedAddr;
pub use self::forwarded_certificates::ForwardedCertificates;
#[cfg(feature = "oauth")]
pub(crate) use self::forwarded_certificates::{CERTIFICATE_HEADERS, ShownCertificate};
pub use self::layer::{SetPeerAddr, SetPeerAddrLayer};
pub use self::proxies::{ProxyHeaders, TrustedProxies};
pub(crate) use self::requested::{Fault, read};
pub use self::requested::{Requested, requested};
