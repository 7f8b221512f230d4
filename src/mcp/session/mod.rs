//! Sessions bound to the principal that opened them.
//!
//! Up to revision 2025-11-25 of MCP a server hands out an `Mcp-Session-Id`, and whoever presents it
//! is in that session: the id alone must not be what lets them in. This layer appends a keyed code
//! (HMAC-SHA-256) over the [`PrincipalId`](crate::PrincipalId) and the
//! [resource](crate::Principal::resource) to the server's own id on the way out, and checks and
//! removes it on the way in. By default there is nothing to store, so any number of replicas
//! agree, and the server behind needs no change: it sees the ids it made. It is the binding the
//! [security best practices] ask for.
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
//!    forged, cut, never bound, of another owner or of another resource. It is the same 404
//!    whichever it was, on every method, and clients answer it by opening a new session.
//! 4. `Last-Event-ID` without a session id is that 404 too: what would be resumed has no owner.
//! 5. Every response with an `Mcp-Session-Id` has it replaced by the bound one. An id that
//!    cannot be bound (not visible ASCII, over 256 bytes, more than one) is our own server's
//!    mistake: 500, and an error in the log.
//!
//! A request that an auth layer let through without a credential opens anonymous sessions,
//! which every such request can use and no principal can, unless they
//! [can be claimed](#signing-in-in-the-middle-of-a-session). Where no auth layer ran, every
//! request is a logged 500.
//!
//! A principal without subject and username is told apart by its credential, so a new token
//! needs a new session there. The HTTP+SSE transport of revision 2024-11-05 names its session
//! in the URL, which this layer does not read.
//!
//! # Signing in in the middle of a session
//!
//! A client that begins without a credential and signs in later presents the anonymous session
//! with its first token. By default that is the 404 above, and the client opens a new session,
//! which is the safest: others who have the id of the old one have nothing of the new one.
//!
//! Where a session has to go on,
//! [`anonymous_sessions_can_be_claimed`](SessionBindingLayer::anonymous_sessions_can_be_claimed)
//! lets a principal take it over:
//!
//! - The first principal that presents the id within ten minutes of its opening claims the session,
//!   and is served in it from then on, with the same id. Of several at once one wins.
//! - To anonymous callers and all other principals it is the same 404 as ever then, on every method,
//!   for resumption, and on every replica that shares the store.
//! - Streams that anonymous callers opened in the session end. Nothing is passed on that the
//!   server says after the claim: with [`MemoryReplayStore`](crate::store::MemoryReplayStore)
//!   nothing at all, with a store that is [asked every second](crate::store::ReplayStore::watch)
//!   nothing but that of the last second.
//! - A claim is never undone. Anonymous sessions last 24 hours from their opening, claimed or
//!   not, and are a 404 afterwards: claims would have to be kept for ever otherwise. Sessions that
//!   principals opened have no such end, and are served without the store.
//! - The service behind finds a [`ClaimedSession`] in the extensions of the claimer's requests.
//! - A layer without claims does not know anonymous sessions of one with them, nor the other way
//!   round: to switch them off gives no session back to those who lost it.
//!
//! Claims are records in a [store](crate::store). One in memory is for servers with their sessions in
//! one process, as most do: after a restart all anonymous sessions that were open before are a 404,
//! because their claims are lost. Layers that replace each other share one store: a clone of it. A
//! store without room takes no claim, which is a 404 and a warning. One that does not answer is
//! 503 `session_store_unavailable`, to principals and anonymous callers in an anonymous session
//! alike; streams of theirs that were let go on do so until the claim is known.
//!
//! ## Residual risks
//!
//! Others who knew the id before the claim may have been in the session, and what they left there
//! is there still: subscriptions, a log level, values that tools keep by session. A request of
//! theirs that was let pass before the claim is served to its end, as is an answer of known length;
//! limit how long bodies may take. A service that cannot have that looks at
//! [`ClaimedSession::is_new`], and drops what the session holds.
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
//! use tower_mcp_auth::store::MemoryReplayStore;
//!
//! type Body = Empty<bytes::Bytes>;
//!
//! # async fn server(request: Request<Body>) -> Result<Response<Body>, Infallible> {
//! #     let mut response = Response::new(Body::new());
//! #     if !request.headers().contains_key("mcp-session-id") {
//! #         response.headers_mut().insert("mcp-session-id", "one".parse().unwrap());
//! #     }
//! #     Ok(response)
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (alice, mallory) = ("Zm9yIHRoZSBleGFtcGxlIG9ubHk", "YW5vdGhlciBvZiB0aGUga2V5cw");
//! let keys = [ApiKey::new(alice)?.name("alice"), ApiKey::new(mallory)?.name("mallory")];
//! let sessions = SessionBindingLayer::new(MacKey::ephemeral()?)
//!     .anonymous_sessions_can_be_claimed(MemoryReplayStore::default());
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(keys)?.optional())
//!     .layer(sessions)
//!     .service(service_fn(server));
//! let send = |key: Option<&str>, session: Option<&str>| {
//!     let mut request = Request::post("/mcp");
//!     for (name, value) in [("x-api-key", key), ("mcp-session-id", session)] {
//!         if let Some(value) = value {
//!             request = request.header(name, value);
//!         }
//!     }
//!     service.clone().oneshot(request.body(Body::new()).unwrap())
//! };
//!
//! let opened = send(None, None).await?;
//! let session = Some(opened.headers()["mcp-session-id"].to_str()?);
//! assert_eq!(send(None, session).await?.status(), StatusCode::OK);
//!
//! // Alice signs in, and the session is hers.
//! assert_eq!(send(Some(alice), session).await?.status(), StatusCode::OK);
//! assert_eq!(send(Some(mallory), session).await?.status(), StatusCode::NOT_FOUND);
//! assert_eq!(send(None, session).await?.status(), StatusCode::NOT_FOUND);
//! # Ok(())
//! # }
//! ```
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
