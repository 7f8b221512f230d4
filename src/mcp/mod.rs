//! Layers that know MCP: which operation a request asks for, and which scopes it needs.
//!
//! They go inside an auth layer, around the MCP endpoint, and repeat nothing of it: what a
//! refusal must say travels with the request. Where no auth layer ran they answer a logged
//! 500; a request that was let through without a credential gets 401 where scopes are needed.

mod body;
mod headers;
mod json;
mod lists;
mod operation;
mod policy;
mod scopes;

pub use self::body::RequestBody;
pub use self::lists::{ListsBody, ListsFuture, McpLists, McpListsLayer};
pub use self::policy::{Call, Decision, ScopePolicy, ScopePolicyBuilder, Unlisted};
pub use self::scopes::{McpScopes, McpScopesLayer, ScopesFuture};
