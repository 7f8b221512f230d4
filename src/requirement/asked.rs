//! The scopes that layers further in ask for, to be announced.

use super::{Requirement, ScopeHierarchy};
use crate::scope::Scopes;

/// The scopes that a layer further in asks for, to be announced by the auth layer outside.
///
/// Made from what asks: a [`McpPolicy`](crate::mcp::McpPolicy), a
/// [`RequireScopesLayer`](crate::scopes::RequireScopesLayer). See [`AuthLayer::announce`](crate::auth::AuthLayer::announce).
///
/// ```
/// use tower_mcp_auth::mcp::McpPolicy;
/// use tower_mcp_auth::scopes::AskedScopes;
///
/// let policy = McpPolicy::builder()
///     .baseline("mcp:read")?
///     .tool("*", "mcp:write")?
///     .build()?;
/// let asked = AskedScopes::from(&policy);
/// assert_eq!(asked.all().as_str(), "mcp:read mcp:write");
/// assert_eq!(asked.first().as_str(), "mcp:read");
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AskedScopes {
    pub(crate) all: Scopes,
    /// Those of what stands in lists, which a client calls only where it is shown.
    pub(crate) listed: Scopes,
    /// What every request needs.
    pub(crate) baseline: Requirement,
    /// What the operation needs that needs least.
    pub(crate) least: Scopes,
    pub(crate) hierarchy: ScopeHierarchy,
}

impl AskedScopes {
    /// Every scope that some operation needs; of what is denied to every caller, none.
    pub fn all(&self) -> &Scopes {
        &self.all
    }

    /// What a client should ask for first: what every request needs, or else what the
    /// operation needs that needs the fewest scopes.
    pub fn first(&self) -> Scopes {
        match self.lacking(&Scopes::none()) {
            base if base.is_empty() => self.least.clone(),
            base => base,
        }
    }

    /// Whether a second announcement would say nothing new.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.all, &self.baseline, &self.least) == (&other.all, &other.baseline, &other.least)
    }

    /// What every request needs beside these scopes.
    pub(crate) fn lacking(&self, granted: &Scopes) -> Scopes {
        Requirement::lacking(
            std::iter::once(&self.baseline),
            Some(granted),
            &self.hierarchy,
        )
    }
}

/// What a client may ask for: `offline_access` is a matter between it and the authorization
/// server, and stands in no challenge and no metadata (MCP 2026-07-28, Authorization).
pub(crate) fn to_announce(scopes: &Scopes) -> Scopes {
    Scopes::unique(scopes.iter().filter(|name| *name != "offline_access"))
}
