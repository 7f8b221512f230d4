//! The middleware: it knows no provider, and every provider stands behind it.
//!
//! What happens to a request:
//!
//! 1. A document the provider serves itself (protected resource metadata) is answered. `GET` and
//!    `HEAD` of another metadata path go on as in step 3, because the inner service may have that
//!    document; a 401 for it becomes a 404.
//! 2. A credential in the query string is refused with 400, whatever else the request has.
//! 3. A request that needs no credential ([`AuthLayer::public_path`]) goes on without a
//!    principal, and without the credential it may have brought.
//! 4. The one credential is read from the headers the provider names. Two of them, or one
//!    that is malformed, are refused with 400; none, with 401 and a challenge, unless
//!    credentials are [`optional`](AuthLayer::optional).
//! 5. The provider makes the principal. If it need not wait, this costs neither a box nor a
//!    clone of the inner service. If it must, the readiness of the inner service is given back
//!    (a permit of a limit, a place in a queue), and waited for again after the answer. The same
//!    is done by every layer of this crate that waits for a body.
//! 6. The credential is taken out of the request, the [`Principal`](crate::Principal) put
//!    into its extensions, and the inner service called.
//!
//! A layer that [only reports](AuthLayer::dangerously_report_only) lets pass what would be
//! refused, without a principal, and tells of it.
//!
//! A refusal is a response: the inner service is never reached, its error type never
//! changed. Every refusal carries its [`AuthError`](crate::AuthError) in the response's
//! extensions.
//!
//! # Several providers
//!
//! [`or`](AuthLayer::or) makes one layer of two, and of that and a third: each takes the
//! credentials of its own form, whatever the order they are written in. No credential is
//! tried with a second provider, so a key is never sent to an introspection endpoint, and a
//! token never looked up in a key store.
//!
//! ```
//! use tower_mcp_auth::{ApiKeyLayer, OAuthLayer};
//!
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
//! let keys = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?;
//! let layer = oauth.or(keys)?.public_path("/health")?;
//!
//! // Among bearer tokens nothing tells such a key from a token.
//! use tower_mcp_auth::api_key::ApiKeyScheme;
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
//! let keys = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?;
//! assert!(oauth.or(keys.authorization_scheme(ApiKeyScheme::Bearer)?).is_err());
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! What tells credentials apart, in this order:
//!
//! 1. The header, and the scheme in it. Two credentials in one request are refused; headers
//!    and schemes that no provider reads are no credential, and left alone.
//! 2. A prefix: [`ApiKeyLayer::prefix`](crate::ApiKeyLayer::prefix), and the `token_prefix` of
//!    introspection. What has it goes to its owner, good or bad, and where its owner does not
//!    read, to no provider (`misplaced_credential`): an API key sent as a `Bearer` token reaches no
//!    introspection endpoint. Without a prefix nothing tells such a key from an opaque token,
//!    so give one. No prefix may begin another provider's in the same header, nor be one with
//!    which a JWT can begin (`ey`).
//! 3. The issuer of a JWT, read without trust: the provider of that issuer checks it. A JWT
//!    from no configured issuer is refused with `issuer_mismatch`, one without an issuer with
//!    `missing_issuer`, and neither reaches a provider.
//! 4. What is left are opaque tokens, for the one provider that takes them; if none does, the
//!    provider written first that reads there refuses what is left.
//!
//! Where that leaves a doubt, `or` is a [`ConfigError`](crate::ConfigError) that names both
//! providers and what to set. The rules for providers of your own are
//! [`ProviderInfo::matcher`].
//!
//! What a layer can do besides ([`warm_up`](crate::OAuthLayer::warm_up),
//! [`metadata_service`](crate::OAuthLayer::metadata_service), …) a clone of it can that was
//! made before: clones share what they know.
//!
//! Where one of them chooses between [several resources](crate::ResourceSet), the others must judge
//! the resource of a request too, so that a credential for one is not good at the next: API keys
//! [name theirs](crate::api_key#resources), and a provider of your own says so with
//! [`ProviderInfo::judges_resources`].
//!
//! A refused client is told of each scheme in one line, `Bearer` first. Of two `Bearer`
//! challenges the one with `resource_metadata` stays, with its scopes and realm. Settings of
//! the layer (public paths, the end of streams, …) that differ are an error: set them after
//! `or`.
//!
//! # Response body types
//!
//! A layer changes the type of the response's body, as tower-http's do. An axum `Router` takes
//! that in its `.layer()`; elsewhere a line more is needed.
//!
//! Around the finished router everything is protected, before routing. `axum::serve` wants
//! axum's own body back:
//!
//! ```no_run
//! use axum::extract::Request;
//! use axum::middleware::ResponseAxumBodyLayer;
//! use axum::routing::post;
//! use axum::{Router, ServiceExt};
//! use tower::ServiceBuilder;
//! use tower_mcp_auth::OAuthLayer;
//!
//! # async fn mcp_server() {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
//! let router = Router::new().route("/mcp", post(mcp_server));
//! let app = ServiceBuilder::new()
//!     .layer(ResponseAxumBodyLayer)
//!     .layer(oauth)
//!     .service(router);
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A layer that may not be there: with and without it the body must be the same.
//!
//! ```
//! use axum::Router;
//! use axum::middleware::ResponseAxumBodyLayer;
//! use axum::routing::post;
//! use tower::ServiceBuilder;
//! use tower::util::option_layer;
//! use tower_mcp_auth::OAuthLayer;
//!
//! # async fn mcp_server() {}
//! fn app(oauth: Option<OAuthLayer>) -> Router {
//!     let oauth = oauth.map(|oauth| {
//!         ServiceBuilder::new()
//!             .layer(ResponseAxumBodyLayer)
//!             .layer(oauth)
//!     });
//!     Router::new()
//!         .route("/mcp", post(mcp_server))
//!         .layer(option_layer(oauth))
//! }
//!
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
//! let _ = (app(Some(oauth)), app(None));
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! A service without its type, in a field say:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::util::BoxCloneService;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::auth::ResponseBody;
//!
//! type Body = Full<Bytes>;
//!
//! struct Server {
//!     service: BoxCloneService<Request<Body>, Response<ResponseBody<Body>>, BoxError>,
//! }
//!
//! async fn handle(_: Request<Body>) -> Result<Response<Body>, BoxError> {
//!     Ok(Response::default())
//! }
//!
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?)
//!     .service_fn(handle);
//! let server = Server { service: service.boxed_clone() };
//! # let _ = server.service;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! # Stream termination
//!
//! A stream that goes on for hours would outlive the token it was opened with, and what it
//! says would go to a caller that may not hear it any more. So an answer of unknown size ends
//! with the credential of its request, at `exp` and the clock skew:
//!
//! - An event stream that was opened with `GET`, and the answer to a `subscriptions/listen` of
//!   MCP 2026-07-28 (by its `Mcp-Method` header), end then.
//! - Any other answer may still be given, for 10 minutes more
//!   ([`stream_grace`](AuthLayer::stream_grace)).
//! - A credential that does not expire ends nothing, unless
//!   [`stream_max_life`](AuthLayer::stream_max_life) is set.
//! - One that is [revoked](crate::revocation) ends all of them, without grace, and so does a store
//!   of revocations that is gone for too long.
//!
//! The end is a clean one, after which MCP clients connect again, with a new token. A gRPC
//! stream ends with `grpc-status: 16`. An event stream that answers a POST, behind an
//! [`McpScopesLayer`](crate::mcp::McpScopesLayer), which reads what was asked, ends with a
//! JSON-RPC error for each request that is still without an answer (code 401, `the access token
//! expired while this ran; ask again`): at revision 2026-07-28 always, because nothing can be
//! resumed there, and before where no event had an `id`, because clients resume from that with
//! `Last-Event-ID`, and a new token. A body of known size, or with a `Content-Length`, is
//! left alone: it could only be cut. Streams are looked at with every frame, and woken by a
//! timer of Tokio while they wait; outside a Tokio runtime they end with the next frame. A
//! runtime without timers panics.
//!
//! ## Streams that are not read
//!
//! A client that keeps its connection open and does not read fills the buffers between the server
//! and itself. From then on the server asks the body for no frame, so the end of its credential is
//! not noticed either: the client learns nothing more, but what stands behind the body is held
//! until the connection ends. To watch such a stream from outside would cost every stream a task,
//! a lock for each frame and a body that can be sent to other threads, so let the connection end:
//!
//! - On Linux set `TCP_USER_TIMEOUT` on accepted connections: the kernel then closes a connection
//!   that has taken nothing for that long, a full receive window included, and the server drops
//!   the body. Tried with 3 s, after which a server that wrote to a client that did not read got
//!   `ETIMEDOUT`. In axum, with the crate `socket2` and its feature `all`:
//!   `listener.tap_io(|stream| { let _ = SockRef::from(&*stream).set_tcp_user_timeout(Some(timeout)); })`.
//! - Let a task that feeds a stream end at [`Principal::expires_at`](crate::Principal::expires_at)
//!   itself: then only what is buffered is left.
//! - A proxy in front that reads from the server and has a limit for how long its client may not
//!   does the same: with nginx, `proxy_buffering off` and `send_timeout 3s`, the connection to the
//!   server ended after 3 s.
//!
//! # Bodies of refused requests
//!
//! A request can be refused by its head alone, while its body is still on its way. Over
//! HTTP/1 the next request of the connection begins behind that body, so every layer of this
//! crate that refuses reads it first, up to 64 KiB and for half a second. Where it is larger,
//! slower, broken, or held back for an answer (`Expect`), the refusal says
//! `Connection: close` (RFC 9112 section 9.6): a client that is not told would send its next
//! request into a connection that ends. The wait needs a timer of Tokio; where there is none, the
//! connection ends.
//!
//! Over HTTP/2 every request has a stream of its own, and a server that answers before the body has
//! ended resets it with `NO_ERROR`
//! ([RFC 9113 section 8.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.1)). Some clients, curl
//! 7.88 among them, then drop the answer they were given. So the same small body is read first
//! there as well, and the connection goes on in any case. Three things cannot be helped:
//!
//! - A body over 64 KiB, or one that takes longer than half a second (a gRPC stream of messages, a
//!   slow upload), is not read to its end: curl 7.88 reports `Stream error in the HTTP/2 framing
//!   layer` for a refused upload of 10 MB. Newer clients keep the answer.
//! - A refusal by a handler or an extractor ([`Principal`](crate::Principal),
//!   [`ScopedPrincipal`](crate::scopes::ScopedPrincipal), [`require`](crate::Principal::require)) comes after the
//!   body was given away: whether it was read is up to the handler. Behind an
//!   [`McpScopesLayer`](crate::mcp::McpScopesLayer) the body of a POST was read already.
//! - A body that was announced with `Expect: 100-continue` is not asked for.
//!
//! Decisions are told, and [failed attempts](crate::failed_attempts) counted, before the wait. A layer
//! of your own that counts refusals by their responses counts late, and may never see that of a
//! client that hung up; [`on_decision`](AuthLayer::on_decision) is in time. What holds something for each
//! request under way, outside of these layers, holds it for one that waits as well: callers
//! without a credential could use up a `ConcurrencyLimitLayer` of 100 with 200 requests a second. Put such a limit
//! inside the auth layer. Where a timeout outside is less than half a second, it is the answer.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind, Principal};
//!
//! async fn handle(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     let principal = Principal::from_extensions(request.extensions()).ok_or("no principal")?;
//!     Ok(Response::new(principal.id().to_string().into()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! use tower_mcp_auth::api_key::ApiKey;
//!
//! let keys = [ApiKey::new("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?.name("alice")];
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(keys)?)
//!     .service_fn(handle);
//!
//! // A good key reaches the service.
//! let request = Request::builder()
//!     .header("x-api-key", "Zm9yIHRoZSBleGFtcGxlIG9ubHk")
//!     .body(Full::default())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // No key does not, and the response says why.
//! let response = service.oneshot(Request::new(Full::default())).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! let error = response.extensions().get::<AuthError>().ok_or("no error")?;
//! assert_eq!(error.kind(), AuthErrorKind::Missing);
//! # Ok(())
//! # }
//! ```

mod authenticate;
mod decision;
mod either;
mod exempt;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod info;
mod layer;
mod lease;
mod macros;
mod matcher;
mod removal;
mod report_only;
mod route;
mod routes;
mod service;
mod settings;
mod strength;

pub use self::authenticate::{Authenticate, AuthenticateFuture, Authenticated, Authentication};
pub use self::either::Either;
pub use self::exempt::SseEndpoints;
pub(crate) use self::exempt::{check_path, is_public};
#[cfg(feature = "axum")]
pub use self::extract::{Claims, PrincipalRejection};
pub use self::future::ResponseFuture;
pub use self::info::ProviderInfo;
pub use self::layer::AuthLayer;
pub(crate) use self::macros::auth_layer_newtype;
pub use self::matcher::CredentialMatcher;
pub use self::route::{DocumentFuture, Route};
pub use self::service::AuthService;
pub use crate::gate::ResponseBody;
