//! Scopes that include other scopes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::map::UniqueMap;
use crate::error::ConfigError;
use crate::scope::Scopes;

/// Which scopes include which others, such as `admin ⊇ write ⊇ read`.
///
/// MCP 2026-07-28 (Authorization, Step-Up) asks a server to count a broader scope as the
/// narrower ones it contains. What a challenge names does not change: the scopes the
/// operation needs. The empty hierarchy, the default, includes nothing.
///
/// ```
/// use tower_mcp_auth::scopes::{ScopeHierarchy, Scopes};
///
/// let hierarchy = ScopeHierarchy::new([
///     ("mcp:admin", ["mcp:write"]),
///     ("mcp:write", ["mcp:read"]),
/// ])?;
/// let granted: Scopes = "mcp:admin".parse()?;
/// assert!(hierarchy.grants(&granted, "mcp:read"));
/// assert!(!hierarchy.grants(&"mcp:read".parse()?, "mcp:write"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As a serde value it is a map from a scope to the list of those it includes.
#[derive(Clone, Default)]
pub struct ScopeHierarchy {
    /// For each scope all that include it, however far away.
    includers: Arc<BTreeMap<Box<str>, BTreeSet<Box<str>>>>,
}

impl ScopeHierarchy {
    /// Collects pairs of a scope and the scopes it includes. What those include it includes
    /// too; a scope may have several pairs.
    ///
    /// # Errors
    /// A scope is not allowed by RFC 6749, begins or ends with a comma, or includes itself, at
    /// once or by way of others.
    pub fn new<I, N, L>(pairs: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = (N, L)>,
        N: AsRef<str>,
        L: IntoIterator,
        L::Item: AsRef<str>,
    {
        let mut includes: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
        for (broad, narrow) in pairs {
            let broad = scope(broad.as_ref())?;
            let own = includes.entry(broad).or_default();
            for name in narrow {
                own.push(scope(name.as_ref())?);
            }
        }
        let mut includers: BTreeMap<Box<str>, BTreeSet<Box<str>>> = BTreeMap::new();
        for broad in includes.keys() {
            let mut reached: BTreeSet<&str> = BTreeSet::new();
            let mut open: Vec<&str> = vec![broad];
            while let Some(name) = open.pop() {
                for narrow in includes.get(name).into_iter().flatten() {
                    if narrow == broad {
                        return Err(ConfigError::new(
                            "hierarchy",
                            format!("{broad:?} includes itself; take out one step of the circle"),
                        ));
                    }
                    if reached.insert(narrow) {
                        open.push(narrow);
                    }
                }
            }
            for narrow in reached {
                includers
                    .entry(narrow.into())
                    .or_default()
                    .insert(broad.clone());
            }
        }
        Ok(Self {
            includers: Arc::new(includers),
        })
    }

    /// Whether `granted` holds `needed`, or a scope that includes it.
    pub fn grants(&self, granted: &Scopes, needed: &str) -> bool {
        if granted.contains(needed) {
            return true;
        }
        let Some(includers) = self.includers.get(needed) else {
            return false;
        };
        granted.iter().any(|own| includers.contains(own))
    }

    /// Whether `granted` holds every scope of `needed`, or scopes that include them.
    pub fn grants_all(&self, granted: &Scopes, needed: &Scopes) -> bool {
        needed.iter().all(|scope| self.grants(granted, scope))
    }

    /// Leaves out what another of these scopes includes.
    #[must_use]
    pub fn minimal(&self, scopes: &Scopes) -> Scopes {
        let included = |name: &str| {
            self.includers
                .get(name)
                .is_some_and(|includers| scopes.iter().any(|other| includers.contains(other)))
        };
        Scopes::unique(scopes.iter().filter(|name| !included(name)))
    }
}

fn scope(name: &str) -> Result<Box<str>, ConfigError> {
    match Scopes::configured([name]) {
        Ok(_) => Ok(name.into()),
        Err(error) => Err(ConfigError::new("hierarchy", format!("{name:?}: {error}"))),
    }
}

impl fmt::Debug for ScopeHierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeHierarchy")
            .field("included_by", &self.includers)
            .finish()
    }
}

impl<'de> Deserialize<'de> for ScopeHierarchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let UniqueMap(pairs) = UniqueMap::<Vec<String>>::deserialize(deserializer)?;
        Self::new(pairs).map_err(serde::de::Error::custom)
    }
}
