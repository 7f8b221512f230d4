//! The layer that applies a policy to each MCP operation.

mod layer;
mod service;

pub use self::layer::McpScopesLayer;
pub use self::service::{McpScopes, ScopesFuture};
