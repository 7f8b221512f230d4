//! Layers that know MCP: which operation a request asks for, and which scopes it needs; whose
//! a session is; which hosts and origins a server answers to.
//!
//! They go around the MCP endpoint and repeat nothing of the auth layer: what a refusal must
//! say travels with the request. Where no auth layer ran, the layers that belong inside one
//! answer a logged 500; a request that was let through without a credential gets 401 where
//! scopes are needed.

mod body;
mod headers;
mod json;
mod key;
mod lists;
mod operation;
pub mod origin;
mod policy;
mod scopes;
mod sealer;
pub mod session;
mod stack;

pub use self::body::RequestBody;
pub use self::key::MacKey;
pub use self::lists::{ListsBody, ListsFuture, McpLists, McpListsLayer};
pub use self::origin::OriginLayer;
pub use self::policy::{Call, Decision, ScopePolicy, ScopePolicyBuilder, Unlisted};
pub use self::scopes::{McpScopes, McpScopesLayer, ScopesFuture};
pub use self::sealer::{PrincipalSealer, RequestDigest, SealError};
pub use self::session::SessionBindingLayer;
pub use self::stack::McpStack;
