//! Hosts and origins: a guard against DNS rebinding.
//!
//! A page on the web can make the name it came from point to your server, and its scripts
//! then talk to it from inside your network. What gives them away is that the browser still
//! names *their* host in `Host`, and their page in `Origin`. MCP asks every server to check
//! ([Transports, "Security"]); 403 has been the answer since revision 2025-11-25.
//!
//! - `Host`, or the authority of the request target, must be the host of the resource, or one
//!   you allow. Where both are there, they must be the same. Exactly one `Host` header, or an
//!   authority, must be there.
//! - `Origin` is sent by browsers alone: a request without passes. With it, it must be the
//!   origin of the resource, or one you allow. Two are refused, and so is `null`.
//! - Where the resource is on loopback, `localhost`, `127.0.0.1` and `[::1]` are allowed with
//!   any port, as host and as origin: what runs there is yours.
//! - Below `/.well-known/oauth-protected-resource` the origin is not checked: protected
//!   resource metadata is public, and browser clients of any origin read it.
//! - `GET` and `HEAD` of a [public path](OriginLayer::public_path) are answered by any IP
//!   address as well, for health probes.
//!
//! Names compare whole and without regard to ASCII case, addresses as addresses. A trailing
//! dot, a user name, `127.1` or `0x7f000001`, an IPv6 zone, an empty port are never what was
//! allowed. Only ports are lenient, where they say nothing: no port is the default one.
//!
//! The layer belongs outside the auth layer, and inside CORS. Its refusals have no challenge,
//! because no credential would help. A proxy passes `Host` on, or sends one that you allow;
//! `X-Forwarded-Host` and `Forwarded` count from [trusted proxies](OriginLayer::trusted_proxies)
//! alone. rmcp checks hosts too, and allows none but
//! loopback unless told otherwise: with this layer outside, its `disable_allowed_hosts()` is
//! safe.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_auth::mcp::OriginLayer;
//!
//! # type Body = Empty<bytes::Bytes>;
//! async fn server(_: Request<Body>) -> Result<Response<Body>, Infallible> {
//!     Ok(Response::new(Body::new()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = ServiceBuilder::new()
//!     .layer(OriginLayer::new("https://mcp.example.com/mcp")?)
//!     .service(service_fn(server));
//! let send = |host: &str, origin: &str| {
//!     let request = Request::post("/mcp").header("host", host).header("origin", origin);
//!     service.clone().oneshot(request.body(Body::new()).unwrap())
//! };
//!
//! let response = send("mcp.example.com", "https://mcp.example.com").await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // The browser says where the script is from, and what it thinks the server is called.
//! let response = send("mcp.example.com", "https://evil.example").await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN);
//! let response = send("evil.example", "https://evil.example").await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```
//!
//! [Transports, "Security"]: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning

mod layer;
mod rules;
mod service;

pub use self::layer::OriginLayer;
#[cfg(all(feature = "config", feature = "cors"))]
pub(crate) use self::rules::{check_origin, is_origin};
pub use self::service::{Origin, ResponseFuture};
