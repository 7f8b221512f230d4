//! The middleware: it knows no provider, and every provider stands behind it.
//!
//! What happens to a request:
//!
//! 1. A document the provider serves itself (protected resource metadata) is answered.
//! 2. A credential in the query string is refused with 400, whatever else the request has.
//! 3. A request that needs no credential ([`AuthLayer::public_path`]) goes on without a
//!    principal, and without the credential it may have brought.
//! 4. The one credential is read from the headers the provider names. Two of them, or one
//!    that is malformed, are refused with 400; none, with 401 and a challenge.
//! 5. The provider says whose it is. If it need not wait, this costs neither a box nor a
//!    clone of the inner service; if it must, the service that was polled ready is kept.
//! 6. The credential is taken out of the request, the [`Principal`](crate::Principal) put
//!    into its extensions, and the inner service called.
//!
//! A refusal is a response: the inner service is never reached, its error type never
//! changed. Every refusal carries its [`AuthError`](crate::AuthError) in the response's
//! extensions.
//!
//! # The end of streams
//!
//! A stream that goes on for hours would outlive the token it was opened with, and what it
//! says would go to somebody who may not hear it any more. So an answer of unknown size ends
//! with the credential of its request, at `exp` and the clock skew:
//!
//! - An event stream that was opened with `GET`, and the answer to a `subscriptions/listen` of
//!   MCP 2026-07-28 (by its `Mcp-Method` header), end then.
//! - Any other answer may still be given, for 10 minutes more
//!   ([`stream_grace`](AuthLayer::stream_grace)).
//! - A credential that does not expire ends nothing, unless
//!   [`stream_max_life`](AuthLayer::stream_max_life) is set.
//!
//! The end is a clean one, after which MCP clients connect again, with a new token. A gRPC
//! stream ends with `grpc-status: 16`. A body of known size, or with a `Content-Length`, is
//! left alone: it could only be cut. Streams are looked at with every frame, and woken by a
//! timer of Tokio while they wait; outside a Tokio runtime they end with the next frame. A
//! runtime whose timers are switched off panics.
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
mod body;
mod exempt;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
mod lease;
mod macros;
mod service;

pub use self::authenticate::{Accepted, Authenticate, Authentication, PendingAuthentication};
pub use self::body::ResponseBody;
pub use self::exempt::SseEndpoints;
#[cfg(feature = "axum")]
pub use self::extract::PrincipalRejection;
pub use self::future::ResponseFuture;
pub use self::layer::AuthLayer;
pub(crate) use self::macros::auth_layer_newtype;
pub use self::service::AuthService;
