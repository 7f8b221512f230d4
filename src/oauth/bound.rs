//! The settings of tokens that are bound to a key, and what contradicts them.

use super::binding::{Binding, DpopMode, DpopOptions};
use super::edge::is_for_clients;
use super::{AuthorizationServer, OAuthLayerBuilder, ProtectedResource};
use crate::credential::Location;
use crate::error::ConfigError;

impl AuthorizationServer {
    /// Sets whether tokens may, or must, be bound to a key of their client by DPoP
    /// ([RFC 9449]); see [the module](super::binding). It holds for JWTs and for opaque tokens.
    ///
    /// The metadata of the resource and the challenges say so, unless another header than
    /// `Authorization` has the tokens, which is an error. Nothing that is fetched changes it.
    ///
    /// Default: [`DpopMode::Off`], which refuses tokens that are bound.
    ///
    /// [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449
    pub fn dpop(mut self, mode: DpopMode) -> Self {
        self.dpop = mode;
        self
    }
}

impl OAuthLayerBuilder {
    /// Sets where used DPoP proofs are kept, and whether clients need nonces; default
    /// [`DpopOptions::new`]. Which tokens are bound is set for each authorization server, by
    /// [`AuthorizationServer::dpop`].
    pub fn dpop_options(mut self, options: DpopOptions) -> Self {
        self.dpop = options;
        self
    }
}

/// Refuses what contradicts DPoP.
pub(super) fn check_bound(
    resources: &[ProtectedResource],
    location: &Location,
) -> Result<(), ConfigError> {
    if !is_for_clients(location) {
        return Err(ConfigError::new(
            "dpop",
            format!(
                "tokens that are bound to a key stand in `Authorization: DPoP`, and `header_name` or \
                 `require_bearer` has them read from `{location}` alone: leave one out"
            ),
        ));
    }
    for resource in resources {
        Binding::check_resource(&resource.url_of("tenant"))?;
        if let Some(member) = resource.dpop_member() {
            return Err(ConfigError::new(
                member,
                format!("the metadata say what `dpop` of the servers does: leave `{member}` out"),
            ));
        }
    }
    Ok(())
}
