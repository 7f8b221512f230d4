//! A server by its other names: the `iss` of its tokens, and where clients are sent.

use std::collections::HashSet;
use std::sync::Arc;

use super::AuthorizationServer;
use super::keys::Source;
use super::url::{self, Written};
use crate::error::ConfigError;
use crate::telemetry;
use crate::token::well_known;
use crate::util::repeated;

impl AuthorizationServer {
    /// Names another URL than the issuer to clients, in `authorization_servers` of the metadata.
    ///
    /// For a server that registers clients and passes them on to the one that issues the tokens,
    /// and for one with metadata elsewhere than its issuer says (user flows of Azure AD B2C).
    /// Tokens are accepted from the issuer as ever, and keys are found where they were. Clients
    /// compare this URL with the `issuer` of the metadata they find there
    /// ([RFC 8414 section 3.3](https://www.rfc-editor.org/rfc/rfc8414#section-3.3)), so write it
    /// exactly as it stands in them.
    ///
    /// Default: the issuer. A URL that two servers name is listed once. There is a warning at start.
    ///
    /// ```
    /// use tower_mcp_auth::oauth::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new("https://login.example.com/tenant")?
    ///     .advertised_as("https://register.example.com")?;
    /// # let _ = server;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As for an issuer: see [`new`](Self::new).
    pub fn advertised_as(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        const SETTING: &str = "advertised_as";
        let url = url.into();
        url::parse(SETTING, &url)?;
        well_known::refuse_as_issuer(SETTING, &url)?;
        if !Written::split(&url).query.is_empty() {
            return Err(ConfigError::new(
                SETTING,
                "an issuer has no query; leave it out",
            ));
        }
        let checked = self.origin.policy.check(&url);
        checked.map_err(|why| ConfigError::new(SETTING, why))?;
        self.advertised_as = Some(url.into());
        Ok(self)
    }

    /// Accepts tokens with this `iss` instead of the issuer. It is a name, and never fetched.
    ///
    /// For AD FS: its access tokens have an `iss` that clients cannot go to.
    ///
    /// ```
    /// use tower_mcp_auth::oauth::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new("https://adfs.example.com/adfs")?
    ///     .token_issuer("http://adfs.example.com/adfs/services/trust")?
    ///     .scope_claim("scp")?
    ///     .client_claim("appid")?;
    /// # let _ = server;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// Clients are sent to the issuer. Its metadata say where the keys are, and must name the
    /// same `access_token_issuer`; where they name none, set [`jwks_uri`](Self::jwks_uri). Call it
    /// before [`jwks`](Self::jwks).
    ///
    /// Default: the issuer. There is a warning at start.
    ///
    /// # Errors
    /// The value is empty, has white space or a character that is not ASCII, or is the address of
    /// metadata or keys; this server stands for several tenants; or `jwks` was set before.
    pub fn token_issuer(mut self, issuer: impl Into<String>) -> Result<Self, ConfigError> {
        const SETTING: &str = "token_issuer";
        let issuer = issuer.into();
        if issuer.is_empty() || !issuer.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                SETTING,
                format!(
                    "{} is empty, or has white space or a character that is not ASCII; is a \
                     variable of the environment not set?",
                    repeated(&issuer)
                ),
            ));
        }
        well_known::refuse_as_issuer(SETTING, &issuer)?;
        self.refuse_with_tenants(SETTING)?;
        if matches!(self.origin.source, Source::Static(_)) {
            // Its keys may name the issuer that they sign for.
            return Err(ConfigError::new(SETTING, "call it before `jwks`"));
        }
        self.origin.issuer = issuer.into();
        self.origin.label = Arc::clone(&self.origin.issuer);
        Ok(self)
    }

    /// Where clients are sent.
    pub(super) fn advertised(&self) -> &str {
        self.advertised_as.as_deref().unwrap_or(self.issuer())
    }

    /// Whether clients were sent elsewhere by a setting.
    fn is_advertised_elsewhere(&self) -> bool {
        let Self { origin, .. } = self;
        let is_set = self.advertised_as.is_some() || origin.issuer != origin.metadata_of;
        is_set && *self.advertised() != *origin.issuer
    }
}

/// Logs the servers that clients are sent to under another name than the issuer of their tokens.
pub(super) fn log(servers: &[AuthorizationServer]) {
    let mut logged = HashSet::new();
    for server in servers.iter().filter(|own| own.is_advertised_elsewhere()) {
        // The tenants of a template count as their template.
        if logged.insert(&server.origin.label) {
            telemetry::advertised_elsewhere(&server.origin.issuer, server.advertised());
        }
    }
}
