//! Servers with tokens that name no resource.

use std::fmt;

use crate::error::ConfigError;
use crate::oauth::AuthorizationServer;

/// A server with tokens that do not say which resource they are for. It becomes an
/// [`AuthorizationServer`] when it is said which clients are accepted; no layer takes it
/// before.
///
/// ```compile_fail
/// use tower_mcp_auth::{OAuthLayer, oauth::presets::cognito};
///
/// let server = cognito::server("eu-central-1", "eu-central-1_AbCdEfGhI").unwrap();
/// let layer = OAuthLayer::new("https://mcp.example.com/mcp", server);
/// ```
#[must_use]
pub struct NeedsAudience(AuthorizationServer);

impl NeedsAudience {
    pub(super) fn new(server: AuthorizationServer) -> Self {
        Self(server)
    }

    /// Accepts the tokens of these clients; see
    /// [`AuthorizationServer::client_ids`]. A token that does have an audience must still be
    /// for the resource.
    ///
    /// # Errors
    /// The list or one of the ids is empty.
    pub fn client_ids<I>(self, clients: I) -> Result<AuthorizationServer, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.client_ids(clients)
    }

    /// Accepts only tokens that are for the resource: where the provider was set up to write
    /// it into `aud`. This is the better way, where there is a choice.
    pub fn audience_is_the_resource(self) -> AuthorizationServer {
        self.0
    }

    /// The same, where the provider writes another identifier of the resource into `aud`.
    ///
    /// # Errors
    /// The audience is empty, or one that all tokens of the issuer have.
    pub fn audience(self, audience: impl Into<String>) -> Result<AuthorizationServer, ConfigError> {
        self.0.audience(audience)
    }

    /// Accepts the tokens of all clients there are; see
    /// [`AuthorizationServer::dangerously_accept_every_client_of_this_issuer`].
    ///
    /// # Errors
    /// None today.
    pub fn dangerously_accept_every_client_of_this_issuer(
        self,
    ) -> Result<AuthorizationServer, ConfigError> {
        self.0.dangerously_accept_every_client_of_this_issuer()
    }
}

impl fmt::Debug for NeedsAudience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NeedsAudience")
            .field(&self.0.issuer())
            .finish()
    }
}
