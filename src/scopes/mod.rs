//! Scopes: plain OAuth, nothing of MCP.
//!
//! [`RequireScopesLayer`] guards a route, [`Principal::require`](crate::Principal::require)
//! a step inside a handler. Both go inside an auth layer and say in their refusals what that
//! layer would say. What each operation of an MCP server needs is told by a policy:
//! [`mcp::McpScopesLayer`](crate::mcp::McpScopesLayer).
//!
//! - Scopes that do not suffice are 403 `insufficient_scope`
//!   ([RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), with all
//!   scopes that are needed in one challenge.
//! - A request that was let through without a credential is 401, with the scopes in the
//!   challenge.
//! - A request that passed no auth layer is a logged 500.
//! - Clients learn of the scopes before they are refused if the auth layer outside
//!   [announces](crate::auth::AuthLayer::announce) them.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::scopes::RequireScopesLayer;
//!
//! async fn handle(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     Ok(Response::new("written".into()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let reader = ApiKey::new("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?.scopes(["mcp:read"])?;
//! let writer = ApiKey::new("YW5vdGhlciBvbmUgZm9yIGl0")?.scopes(["mcp:write"])?;
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([reader, writer])?)
//!     .layer(RequireScopesLayer::new(["mcp:write"])?)
//!     .service_fn(handle);
//!
//! let with_key = |key: &str| Request::builder().header("x-api-key", key).body(Full::default());
//!
//! let response = service.clone().oneshot(with_key("YW5vdGhlciBvbmUgZm9yIGl0")?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let response = service.oneshot(with_key("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?).await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```

mod handler;
mod include_granted;
mod judge;
mod layer;
mod service;

pub use self::handler::InsufficientScope;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use self::handler::{RequiredScopes, ScopedPrincipal};
pub use self::include_granted::IncludeGranted;
pub(crate) use self::include_granted::{PROTOCOL_VERSION, is_recent};
pub(crate) use self::judge::refused;
pub use self::layer::RequireScopesLayer;
pub use self::service::{RequireScopes, ResponseFuture};

pub use crate::requirement::{AskedScopes, Requirement, ScopeHierarchy};
pub use crate::scope::{ScopeError, Scopes};
