//! Scopes: plain OAuth, nothing of MCP.

mod set;

pub use self::set::{ScopeError, Scopes};
