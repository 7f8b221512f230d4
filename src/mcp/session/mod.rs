//! Sessions bound to the principal that opened them.
//!
//! Up to revision 2025-11-25 of MCP a server hands out an `Mcp-Session-Id`, and whoever presents it
//! is in that session: the id alone must not be what lets them in. This layer appends a keyed code
//! (HMAC-SHA-256) over the [`PrincipalId`](crate::PrincipalId) and the
//! [resource](crate::Principal::resource) to the server's own id on the way out, and checks and
//! removes it on the way in. There is nothing to store, so any number of replicas agree, and the
//! server behind needs no change: it sees the ids it made. It is the binding the [security best
//! practices] ask for.
//!
//! What happens to a request:
//!
//! 1. Two `MCP-Protocol-Version` headers are a 400: one of them would be judged, and the
//!    other obeyed.
//! 2. At revision 2026-07-28 and later there are no sessions: `Mcp-Session-Id` and
//!    `Last-Event-ID` are removed. The same is done where the version is no date at all, as
//!    no revision with sessions has such a name.
//! 3. Otherwise two `Mcp-Session-Id` or two `Last-Event-ID` headers are a 400, and an id
//!    that was not bound to *this* principal at *this* resource by one of the live keys is a 404:
//!    forged, cut, never bound, somebody else's, or of another resource. It is the same 404
//!    whichever it was, on every method, and clients answer it by opening a new session.
//! 4. `Last-Event-ID` without a session id is that 404 too: what would be resumed is nobody's.
//! 5. Every response with an `Mcp-Session-Id` has it replaced by the bound one. An id that
//!    cannot be bound (not visible ASCII, over 256 bytes, more than one) is our own server's
//!    mistake: 500, and an error in the log.
//!
//! A request that an auth layer let through without a credential opens anonymous sessions,
//! which every such request can use and no principal can. Where no auth layer ran, every
//! request is a logged 500.
//!
//! A principal without subject and username is told apart by its credential, so a new token
//! needs a new session there. The HTTP+SSE transport of revision 2024-11-05 names its session
//! in the URL, which this layer does not read.
//!
//! # Changing the key
//!
//! Two keys can be live, which makes three steps, each finished on every replica before the
//! next: accept the new key ([`SessionBindingLayer::also_accept`]); make it the key and accept
//! the old one; drop the old one when its sessions are over.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
//!
//! type Body = Empty<bytes::Bytes>;
//!
//! /// Opens the session `one` for whoever has none.
//! async fn server(request: Request<Body>) -> Result<Response<Body>, Infallible> {
//!     let mut response = Response::new(Body::new());
//!     match request.headers().get("mcp-session-id") {
//!         Some(id) => assert_eq!(id, "one"),
//!         None => drop(response.headers_mut().insert("mcp-session-id", "one".parse().unwrap())),
//!     }
//!     Ok(response)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (alice, mallory) = ("Zm9yIHRoZSBleGFtcGxlIG9ubHk", "YW5vdGhlciBvZiB0aGUga2V5cw");
//! let keys = [ApiKey::new(alice)?.name("alice"), ApiKey::new(mallory)?.name("mallory")];
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(keys)?)
//!     .layer(SessionBindingLayer::new(MacKey::ephemeral()?))
//!     .service(service_fn(server));
//! let send = |key: &str, session: Option<&str>| {
//!     let mut request = Request::post("/mcp").header("x-api-key", key);
//!     if let Some(session) = session {
//!         request = request.header("mcp-session-id", session);
//!     }
//!     service.clone().oneshot(request.body(Body::new()).unwrap())
//! };
//!
//! let opened = send(alice, None).await?;
//! let session = opened.headers()["mcp-session-id"].to_str()?;
//! assert_eq!(send(alice, Some(session)).await?.status(), StatusCode::OK);
//!
//! // Whoever gets hold of the id cannot use it, nor the one the server knows.
//! assert_eq!(send(mallory, Some(session)).await?.status(), StatusCode::NOT_FOUND);
//! assert_eq!(send(mallory, Some("one")).await?.status(), StatusCode::NOT_FOUND);
//! # Ok(())
//! # }
//! ```
//!
//! [security best practices]: https://modelcontextprotocol.io/docs/tutorials/security/security_best_practices#session-hijacking

mod bind;
mod claims;
mod future;
mod layer;
mod service;
mod watch;

pub use self::claims::ClaimedSession;
pub use self::future::ResponseFuture;
pub(super) use self::layer::SESSION_ID;
pub use self::layer::SessionBindingLayer;
pub use self::service::SessionBinding;
