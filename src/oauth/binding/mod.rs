//! Bound tokens: by DPoP ([RFC 9449]), or by a TLS [certificate](#certificates) ([RFC 8705]).
//!
//! A bound token is of no use to a thief. With DPoP each request needs a proof, a small JWT that
//! the client signs with its key for this method, this URL and this token.
//! [`AuthorizationServer::dpop`](super::AuthorizationServer::dpop) accepts or demands such tokens,
//! JWTs and opaque ones alike.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::oauth::AuthorizationServer;
//! use tower_mcp_auth::oauth::binding::DpopMode;
//! use tower_mcp_auth::testing::{DpopKey, Issuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! const RESOURCE: &str = "https://mcp.example.com/mcp";
//! let issuer = Issuer::start().await?;
//! let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let layer = OAuthLayer::new(RESOURCE, server.dpop(DpopMode::Required))?;
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!     });
//!
//! let key = DpopKey::generate();
//! let token = issuer.token().audience(RESOURCE).bound_to(&key).sign();
//! let proof = key.proof("POST", RESOURCE).access_token(&token).sign();
//! let request = || {
//!     Request::post("/mcp")
//!         .header("authorization", format!("DPoP {token}"))
//!         .header("dpop", &proof)
//!         .body(Full::default())
//! };
//!
//! // The first request with the proof is accepted.
//! let response = service.clone().oneshot(request()?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // A second one with the same proof is not.
//! let response = service.oneshot(request()?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! let challenge = response.headers()["www-authenticate"].to_str()?;
//! assert!(challenge.starts_with("DPoP error=\"invalid_dpop_proof\""), "{challenge}");
//! # Ok(())
//! # }
//! ```
//!
//! # Checks
//!
//! Those of [RFC 9449 section 4.3], each failure a 401 with a code of its own (`reason`):
//!
//! 1. There is exactly one `DPoP` header. It is a JWT of at most 8 KiB with `typ` `dpop+jwt`, one of
//!    the asymmetric algorithms, and a public key in `jwk`.
//! 2. The thumbprint of the key ([RFC 7638]) is that of the token's `cnf`. Nothing is computed with
//!    any other key.
//! 3. `jti`, `htm`, `htu`, `iat` and `ath` are there. `jti` has at most 256 bytes, and `iat` is a
//!    whole number.
//! 4. `htm` is the method, and `htu` the URL: scheme and authority of the resource, and the path of
//!    the request. Both are compared without query and fragment, in the spelling of RFC 3986
//!    sections 6.2.2 and 6.2.3. `Host` has no say in it.
//! 5. `ath` is the hash of the token.
//! 6. `iat` is within 300 seconds, before or after. `exp` and `nbf`, which need not be there, allow
//!    it, give or take 60 seconds.
//! 7. The signature holds.
//! 8. The proof was not used before: one of this key with this `jti`, for this URL.
//!
//! # Paths
//!
//! A proof is for the URL that the client sees. Where a proxy or a router takes a part of the path
//! away, name that part with
//! [`stripped_prefix`](super::OAuthLayerBuilder::stripped_prefix); the layer belongs outside of
//! `nest` otherwise.
//!
//! # Used proofs
//!
//! They are kept in the memory of the process, a million at most; see
//! [`max_used_proofs`](DpopOptions::max_used_proofs). Where there are replicas, or where a proof must
//! not be used again after a restart, they belong in a
//! [shared store](DpopOptions::replay_store). A layer that takes the place of another one
//! ([`reload`](crate::reload)) is given a clone of its [`DpopOptions`]; layers of a configuration do
//! that by themselves.
//!
//! A store that is new, or has lost its records, does not know what was used. Until it is whole
//! again requests are 503 `dpop_replays_unavailable`; the shared engine takes a minute. A proof that
//! was used before may still be dated later, by a clock that is up to 300 seconds ahead. So for 300
//! seconds more a proof needs a nonce that is made then, also where no
//! [nonces](DpopOptions::nonce_secret) are set: it is 401 `use_dpop_nonce` without. Clients that do
//! not know nonces have to wait.
//!
//! # Schemes
//!
//! | token | under `Bearer` | under `DPoP` |
//! |---|---|---|
//! | bound | `bound_token` | needs a proof |
//! | not bound, [`Allowed`](DpopMode::Allowed) | accepted | `unbound_token` |
//! | not bound, [`Required`](DpopMode::Required) | `unbound_token` | `unbound_token` |
//! | bound, [`Off`](DpopMode::Off) | `bound_token` | no scheme of this server |
//!
//! The code of RFC 9449 (`invalid_dpop_proof`, `use_dpop_nonce`, `invalid_token`) stands in the
//! challenge of the scheme that was used. Where bearer tokens are accepted too, `Bearer` comes
//! first. Of several resources each refusal names the schemes of all servers of the layer. The
//! metadata of a resource have `dpop_signing_alg_values_supported`, and
//! `dpop_bound_access_tokens_required` where each of its authorization servers requires it.
//!
//! A token that is bound to a client certificate as well needs both: the certificate is judged
//! first. The `DPoP` header is removed like a credential.
//!
//! # Certificates
//!
//! [`AuthorizationServer::mtls`](super::AuthorizationServer::mtls) accepts or demands tokens that
//! are bound to the certificate with which their client connects ([RFC 8705 section 3]): `x5t#S256`
//! of `cnf` is the SHA-256 hash of the certificate. Such a token comes under `Bearer`, and each
//! request must come over a connection on which the client has shown that certificate and proven
//! its key.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::oauth::AuthorizationServer;
//! use tower_mcp_auth::oauth::binding::MtlsMode;
//! use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificateLayer};
//! use tower_mcp_auth::testing::Issuer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! const RESOURCE: &str = "https://mcp.example.com/mcp";
//! let issuer = Issuer::start().await?;
//! let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let layer = OAuthLayer::new(RESOURCE, server.mtls(MtlsMode::Required))?;
//! // Of one connection: see `examples/mtls.rs` for what accepts it.
//! let connection = |certificate: Option<PeerCertificate>| {
//!     ServiceBuilder::new()
//!         .layer(SetPeerCertificateLayer::of_connection(certificate))
//!         .layer(layer.clone())
//!         .service_fn(async |_: Request<Full<Bytes>>| {
//!             Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!         })
//! };
//!
//! // The DER of a certificate; a test needs no real one.
//! let certificate = b"the certificate of alice";
//! let token = issuer.token().audience(RESOURCE).bound_to_certificate(certificate).sign();
//! let request = || {
//!     Request::post("/mcp")
//!         .header("authorization", format!("Bearer {token}"))
//!         .body(Full::default())
//! };
//!
//! let own = connection(Some(PeerCertificate::from_der(certificate)));
//! assert_eq!(own.oneshot(request()?).await?.status(), StatusCode::OK);
//!
//! let other = connection(Some(PeerCertificate::from_der(b"another one")));
//! assert_eq!(other.oneshot(request()?).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! - **Where the certificate comes from.** It is the
//!   [`PeerCertificate`](crate::peer::PeerCertificate) in the extensions of the request, which what
//!   accepts TLS connections puts there. Behind a proxy it is in a header:
//!   [`forwarded_certificates`](super::OAuthLayerBuilder::forwarded_certificates) names the proxies
//!   and the form. The headers in which proxies hand certificates on are then removed from every
//!   request, from any peer and with `_` in the place of `-` too, with
//!   [`forward_credential`](crate::AuthLayer::forward_credential) as well. A second layer further
//!   in finds none of them.
//! - **What is compared.** The hashes, and nothing else: who made the certificate and whether it
//!   has expired is not judged here ([RFC 8705 section 6.2]). A client that renews its certificate
//!   needs a new token.
//! - **When.** At each request, also where the token is remembered.
//!
//! | token | its certificate | another one | none |
//! |---|---|---|---|
//! | bound | accepted | `certificate_mismatch` | `missing_certificate` |
//! | not bound, [`Allowed`](MtlsMode::Allowed) | | accepted | accepted |
//! | not bound, [`Required`](MtlsMode::Required) | | `unbound_token` | `unbound_token` |
//! | bound, [`Off`](MtlsMode::Off) | `bound_token` | `bound_token` | `bound_token` |
//!
//! Each is 401 `invalid_token`, as are `duplicate_certificate` and `malformed_certificate` of a
//! proxy. Where proxies are configured and the address of the peer is not known, a bound token is
//! 503 `peer_unknown`. The metadata of a resource have `tls_client_certificate_bound_access_tokens`
//! where one of its authorization servers allows or requires them.
//!
//! [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638
//! [RFC 8705]: https://www.rfc-editor.org/rfc/rfc8705
//! [RFC 8705 section 3]: https://www.rfc-editor.org/rfc/rfc8705#section-3
//! [RFC 8705 section 6.2]: https://www.rfc-editor.org/rfc/rfc8705#section-6.2
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449
//! [RFC 9449 section 4.3]: https://www.rfc-editor.org/rfc/rfc9449#section-4.3

mod both;
mod certificates;
mod check;
mod header;
mod nonce;
mod options;
mod proof;
mod record;
mod replay;
mod target;

pub(super) use self::both::{Bindings, Shown};
pub(super) use self::certificates::Certificates;
pub(super) use self::check::{Binding, Checked, DPOP, Expected, algorithms};
pub use self::options::DpopOptions;
#[cfg(feature = "config")]
pub(crate) use self::options::WeakUsedProofs;
pub use crate::token::binding::{DpopMode, MtlsMode};
