//! The token that a proxy at the edge puts into a header of its own.
//!
//! The file says where it is read, and that clients are told nothing of it.

use http::header::AUTHORIZATION;

use super::{AuthorizationServer, OAuthLayerBuilder, ProtectedResource};
use crate::credential::{Location, check_header_name};
use crate::error::ConfigError;

/// Where the token of a request stands, as it was set.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenPlace {
    header_name: Option<String>,
    without_scheme: bool,
}

impl OAuthLayerBuilder {
    /// Reads the token from another header than `Authorization`, and from that one alone.
    ///
    /// For a proxy at the edge that signs users in and hands a JWT of its own on:
    /// `Cf-Access-Jwt-Assertion` of Cloudflare Access, `X-Goog-IAP-JWT-Assertion` of Google's
    /// Identity-Aware Proxy. Most of them put no scheme before it:
    /// [`require_bearer(false)`](Self::require_bearer).
    ///
    /// ```
    /// use tower_mcp_auth::OAuthLayer;
    /// use tower_mcp_auth::jose::Algorithm;
    /// use tower_mcp_auth::oauth::AuthorizationServer;
    ///
    /// let edge = AuthorizationServer::new("https://cloud.google.com/iap")?
    ///     .jwks_uri("https://www.gstatic.com/iap/verify/public_key-jwk")?
    ///     .algorithms([Algorithm::ES256])?
    ///     .audience("/projects/123456/global/backendServices/7890")?;
    /// let layer = OAuthLayer::builder("https://mcp.example.com/mcp")?
    ///     .authorization_server(edge)?
    ///     .header_name("X-Goog-IAP-JWT-Assertion")
    ///     .require_bearer(false)
    ///     .build()?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// **The proxy must be the only way in, or must overwrite the header whatever the client sent.**
    /// The signature keeps such a token from being made up; a token that was seen once can be sent
    /// again by any peer that reaches this server past the proxy, until it expires.
    ///
    /// What is missing then is not the client's to bring. So no metadata are served, a refusal has
    /// no `WWW-Authenticate`, and what would be told in them is an error: `scopes_supported`,
    /// [`advertised_as`](AuthorizationServer::advertised_as) and the like. An `Authorization` header
    /// beside the token is left alone, and reaches the inner service.
    ///
    /// Such tokens are not marked as access tokens, and name an application rather than a URL: name
    /// it with [`audience`](AuthorizationServer::audience). One for this audience then needs no mark
    /// of an access token; those of ID tokens (`nonce`, `at_hash`), refresh and logout tokens are
    /// refused as ever.
    ///
    /// `X-Amzn-Oidc-Data` of AWS load balancers cannot be read: it is padded, which no JWT is, and its
    /// keys are in no key set. `X-Amzn-Oidc-Accesstoken` beside it is the access token of the
    /// authorization server, which can.
    ///
    /// Default: `Authorization`.
    pub fn header_name(mut self, name: impl Into<String>) -> Self {
        self.token_place.header_name = Some(name.into());
        self
    }

    /// Whether the token follows the scheme `Bearer`; default true. Without it the whole
    /// value of the header is the token, and `Bearer x` is refused as malformed.
    ///
    /// Clients of MCP send the scheme, so without it nothing is told to them either: see
    /// [`header_name`](Self::header_name).
    pub fn require_bearer(mut self, require: bool) -> Self {
        self.token_place.without_scheme = !require;
        self
    }
}

impl TokenPlace {
    /// Where the token is read.
    pub(super) fn location(&self) -> Result<Location, ConfigError> {
        let header = match &self.header_name {
            Some(name) => check_header_name(name)?,
            None => AUTHORIZATION,
        };
        Ok(match self.without_scheme {
            true => Location::bare(header),
            false => Location::scheme(header, "Bearer"),
        })
    }

    /// Refuses what is meant for clients, where these bring no token.
    pub(super) fn check_not_advertised(
        &self,
        resources: &[ProtectedResource],
        servers: &[AuthorizationServer],
        copy: Option<&str>,
    ) -> Result<(), ConfigError> {
        let advertised = resources
            .iter()
            .find_map(ProtectedResource::advertised_setting)
            .or(copy);
        let advertised = advertised.or_else(|| {
            let mut servers = servers.iter();
            let is_set = servers.any(|server| server.advertised_as.is_some());
            is_set.then_some("advertised_as")
        });
        match advertised {
            None => Ok(()),
            Some(setting) => Err(ConfigError::new(
                match self.header_name {
                    Some(_) => "header_name",
                    None => "require_bearer",
                },
                format!(
                    "clients cannot bring tokens there and are told of none, and `{setting}` is for \
                     clients: leave one out"
                ),
            )),
        }
    }
}

/// Whether clients of MCP can bring a token there.
pub(super) fn is_for_clients(location: &Location) -> bool {
    *location == Location::bearer()
}

/// Whether a token is there because something other than its client put it there.
pub(super) fn is_of_the_edge(location: &Location) -> bool {
    *location.header() != AUTHORIZATION
}
