//! A layer that is swapped for another while the server runs, without dropping a request.
//!
//! [`ReloadLayer`] goes around a service with another layer inside it, a whole
//! [`McpStack`](crate::mcp::McpStack) or a single auth layer. Its [`ReloadHandle`] puts a new
//! one in its place:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::reload::ReloadLayer;
//! use tower_mcp_auth::{ApiKeyLayer, ConfigError};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (old, new) = (ApiKey::generate("acme")?, ApiKey::generate("acme")?);
//! let (layer, handle) = ReloadLayer::new(ApiKeyLayer::new([old.to_api_key()])?);
//! let inner = service_fn(async |_| Ok::<_, std::convert::Infallible>(Response::new(String::new())));
//! let service = layer.layer(inner);
//!
//! let ask = async |key: &str| {
//!     let request = Request::post("/mcp").header("x-api-key", key).body(String::new());
//!     service.clone().oneshot(request.unwrap()).await.unwrap().status()
//! };
//! assert_eq!(ask(old.expose()).await, 200);
//! assert_eq!(ask(new.expose()).await, 401);
//!
//! handle.try_reload(|| ApiKeyLayer::new([new.to_api_key()]))?;
//! assert_eq!(ask(old.expose()).await, 401);
//! assert_eq!(ask(new.expose()).await, 200);
//!
//! // A bad configuration changes nothing, and says so.
//! let bad = handle.try_reload(|| Err(ConfigError::new("keys", "the file is gone")));
//! assert!(bad.is_err());
//! assert_eq!(ask(new.expose()).await, 200);
//! assert_eq!(handle.status().generation(), 2);
//! assert_eq!(handle.status().error().unwrap().setting(), "keys");
//! # Ok(())
//! # }
//! ```
//!
//! # Requests during a reload
//!
//! - A request that arrives (is given to `call`) after a reload returned is judged by the new
//!   layer, on every clone of the service, one that was found ready before included: its
//!   request then waits for the new one to be ready. No service is called unready.
//! - A request that arrived before ends on the layer it began on, its stream included: what it
//!   was judged by, the end of its credential among it, still holds.
//! - A service that waits for readiness goes over to the new layer when it is polled next. A
//!   swap does not wake it.
//!
//! The service inside is cloned, as it was given, for each new layer. What it holds (sessions
//! of an MCP server, pools) stays as long as its clones share it.
//!
//! # State after a reload
//!
//! A layer made anew begins with empty caches: key sets, tokens verified before, answers of
//! introspection. Until they are full again requests take the slow way, and if the
//! authorization server is down just then they are refused with 503. So fetch before the swap,
//! and keep the old layer if that fails:
//!
//! ```
//! # #[cfg(feature = "oauth")] mod example {
//! use tower_mcp_auth::reload::ReloadHandle;
//! use tower_mcp_auth::{ConfigError, OAuthLayer};
//!
//! async fn reload(handle: &ReloadHandle<OAuthLayer>) -> Result<u64, ConfigError> {
//!     handle
//!         .try_reload_async(async {
//!             let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
//!             oauth.warm_up().await.map_err(|error| {
//!                 let why = error.detail().unwrap_or(error.description());
//!                 ConfigError::new("authorization_servers", why)
//!             })?;
//!             Ok(oauth)
//!         })
//!         .await
//! }
//! # }
//! ```
//!
//! With a configuration it is `try_reload_async(config.stack_prewarmed())`.
//!
//! Clones of a layer share what it remembers. A part that did not change can be kept, and a
//! clone of it put into the new stack: then nothing is fetched and nothing forgotten. Keys
//! that a server makes for itself have to be kept, or be configured: with a new
//! [`MacKey::ephemeral`](crate::mcp::MacKey::ephemeral) all sessions end.
//!
//! Counters begin anew as well: leave a
//! [`FailedAttemptsLayer`](crate::failed_attempts::FailedAttemptsLayer) and other limits outside, so
//! that a reload does not let those in again who were kept out. What was taken out of a layer
//! before, such as its [metadata service](crate::OAuthLayer::metadata_service), stays the old
//! one.
//!
//! The old layer, and with it what it does in the background, is dropped when its last request
//! has ended and each service made with it was asked again, or dropped.

mod future;
mod handle;
mod layer;
mod service;
#[cfg(any(feature = "api-key-store", feature = "jwt"))]
pub(crate) mod watched;

pub use self::future::ResponseFuture;
pub use self::handle::{ReloadHandle, ReloadStatus};
pub use self::layer::ReloadLayer;
pub use self::service::Reload;
