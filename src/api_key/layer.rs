use std::fmt;

use super::{ApiKey, ApiKeys};
use crate::auth::{AuthLayer, auth_layer_newtype};
use crate::error::ConfigError;

/// The layer that asks for an API key.
///
/// By default the key is the value of the header `X-API-Key`, and every request needs one.
/// A missing or unknown key is 401 with `WWW-Authenticate: ApiKey …` and no metadata URL,
/// so that clients of OAuth do not start a flow that leads nowhere.
///
/// See the [module docs](crate::api_key) for an example.
#[derive(Clone)]
#[must_use]
pub struct ApiKeyLayer(AuthLayer<ApiKeys>);

impl ApiKeyLayer {
    /// A layer that accepts `keys`: strings, or [`ApiKey`]s with names and scopes.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    ///
    /// let layer = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?;
    /// assert!(ApiKeyLayer::new(["your-api-key-here"]).is_err());
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// There is no key, a key is not good (see [`ApiKey::new`]), or one is there twice.
    pub fn new<I>(keys: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        ApiKeys::new(keys).map(|provider| Self(AuthLayer::new(provider)))
    }

    /// Reads the key from another header than `X-API-Key`, and from that one alone.
    ///
    /// # Errors
    /// The value is no header name, or that of a header with a meaning of its own.
    pub fn header_name(mut self, name: &str) -> Result<Self, ConfigError> {
        self.0.edit_provider(|keys| keys.set_header(name))?;
        Ok(self)
    }

    /// Sets the `realm` of the challenge; default `MCP Server`.
    pub fn realm(mut self, realm: &str) -> Self {
        // Setting a text cannot fail.
        let _ = self.0.edit_provider(|keys| {
            keys.set_realm(realm);
            Ok(())
        });
        self
    }

    /// The keys, to replace them while serving: see [`ApiKeys::replace`].
    pub fn keys(&self) -> &ApiKeys {
        self.0.provider()
    }
}

auth_layer_newtype!(ApiKeyLayer, ApiKeys);

impl fmt::Debug for ApiKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApiKeyLayer")
            .field(self.0.provider())
            .finish()
    }
}
