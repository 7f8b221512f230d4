//! The layer that applies a policy to each MCP operation.

mod future;
mod layer;
mod service;

pub use self::future::ScopesFuture;
pub use self::layer::McpScopesLayer;
pub use self::service::McpScopes;
