//! `RequireScopesLayer`: the layer and its settings.

use std::sync::Arc;

use tower_layer::Layer;

use super::{IncludeGranted, RequireScopes};
use crate::error::ConfigError;
use crate::requirement::{AskedScopes, EXCLUDED, Requirement, ScopeHierarchy};

/// A layer that lets through only requests of principals that have these scopes, and signed in as
/// it says.
///
/// It goes inside an auth layer. See the [module docs](crate::scopes) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireScopesLayer {
    rule: Arc<Rule>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) needs: Requirement,
    pub(super) hierarchy: ScopeHierarchy,
    pub(super) include_granted: IncludeGranted,
}

impl RequireScopesLayer {
    /// Requires these scopes: `["mcp:read"]`, `"mcp:read mcp:write"`, or a [`Requirement`] for one
    /// of several, or for a [sign-in](crate::scopes#strength-of-the-sign-in).
    ///
    /// # Errors
    /// A scope is not allowed by RFC 6749, or there is nothing to require; or what was joined asks
    /// for values of `acr` that exclude each other.
    pub fn new<N>(needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        let needs = needs.try_into().map_err(Into::into)?;
        if needs.is_none() || needs.is_of_empty_list() {
            return Err(ConfigError::new(
                "scopes",
                "there is none to require: name some, or leave the layer out",
            ));
        }
        if needs.strength().excludes_all() {
            return Err(ConfigError::new("acr", EXCLUDED));
        }
        Ok(Self {
            rule: Arc::new(Rule {
                needs,
                hierarchy: ScopeHierarchy::default(),
                include_granted: IncludeGranted::Never,
            }),
        })
    }

    /// Which scopes include which others; none by default.
    pub fn hierarchy(mut self, hierarchy: ScopeHierarchy) -> Self {
        Arc::make_mut(&mut self.rule).hierarchy = hierarchy;
        self
    }

    /// Whether a refusal names the scopes already granted as well, for clients that ask for
    /// exactly what a challenge names and would lose the others; default
    /// [`Never`](IncludeGranted::Never), because requests of plain OAuth say no revision of MCP.
    pub fn include_granted(mut self, include: impl Into<IncludeGranted>) -> Self {
        Arc::make_mut(&mut self.rule).include_granted = include.into();
        self
    }
}

impl<S> Layer<S> for RequireScopesLayer {
    type Service = RequireScopes<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireScopes::new(inner, Arc::clone(&self.rule))
    }
}

impl From<&RequireScopesLayer> for AskedScopes {
    fn from(layer: &RequireScopesLayer) -> Self {
        let Rule {
            needs, hierarchy, ..
        } = &*layer.rule;
        Self {
            all: needs.scopes(),
            baseline: needs.clone(),
            hierarchy: hierarchy.clone(),
            ..Self::default()
        }
    }
}
