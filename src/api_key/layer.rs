//! `ApiKeyLayer`: the layer and its settings.

use std::fmt;
use std::time::Duration;

use super::{ApiKey, ApiKeyProvider, ApiKeyScheme, ApiKeyUse, Pepper};
#[cfg(feature = "api-key-store")]
use super::{CachedApiKeyStore, KeyFile};
use crate::auth::{AuthLayer, auth_layer_newtype};
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::resources::ResourceSet;
use crate::telemetry;

/// The layer that asks for an API key.
///
/// By default the key is the value of the header `X-API-Key`, and every request needs one.
/// A missing or unknown key is 401 with `WWW-Authenticate: ApiKey …` and no metadata URL,
/// so that clients of OAuth do not start a flow that leads nowhere.
///
/// See the [module docs](crate::api_key) for an example.
#[derive(Clone)]
#[must_use]
pub struct ApiKeyLayer(AuthLayer<ApiKeyProvider>);

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
        ApiKeyProvider::new(keys, None).map(|provider| Self(AuthLayer::new(provider)))
    }

    /// A layer that accepts `keys`, of which some may be known by a digest that was made
    /// with `pepper`.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn from_peppered<I>(keys: I, pepper: Pepper) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        ApiKeyProvider::new(keys, Some(pepper)).map(|provider| Self(AuthLayer::new(provider)))
    }

    /// A layer that accepts the keys in a file, and reads it again when it changes.
    ///
    /// # Errors
    /// The file cannot be read, or not understood: see [`KeyFile`].
    #[cfg(feature = "api-key-store")]
    #[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
    pub fn from_file(file: KeyFile) -> Result<Self, ConfigError> {
        Ok(Self(AuthLayer::new(ApiKeyProvider::from_file(
            file.open()?,
        ))))
    }

    /// A layer that asks a store about keys, and remembers its answers for a while.
    #[cfg(feature = "api-key-store")]
    #[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
    pub fn from_store(keys: CachedApiKeyStore) -> Self {
        Self(AuthLayer::new(ApiKeyProvider::from_store(keys)))
    }

    /// Reads the key from another header than `X-API-Key`, and from that one alone.
    ///
    /// # Errors
    /// The value is no header name, or that of a header with a meaning of its own; or
    /// [`authorization_scheme`](Self::authorization_scheme) was set.
    pub fn header_name(mut self, name: &str) -> Result<Self, ConfigError> {
        self.0.edit_provider(|keys| keys.set_header(name))?;
        Ok(self)
    }

    /// Reads the key from `Authorization: ApiKey …` or `Authorization: Bearer …` instead of
    /// `X-API-Key`, for clients that can set nothing else. The scheme matches without regard
    /// to case, and other schemes are no credential.
    ///
    /// With [`ApiKeyScheme::Bearer`] the challenge is a `Bearer` one, as the client has to
    /// answer in that scheme; it names no metadata, so that no client looks for an
    /// authorization server.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    /// use tower_mcp_auth::api_key::ApiKeyScheme;
    ///
    /// let layer = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?
    ///     .authorization_scheme(ApiKeyScheme::ApiKey)?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`header_name`](Self::header_name) was set.
    pub fn authorization_scheme(mut self, scheme: ApiKeyScheme) -> Result<Self, ConfigError> {
        self.0.edit_provider(|keys| keys.set_scheme(scheme))?;
        Ok(self)
    }

    /// Accepts only keys that begin with `prefix` (`acme_`, say); all others are refused
    /// without a look at the keys, and whatever has it is a key, good or bad. That tells keys
    /// from the tokens of [another provider](crate::auth#several-providers). Default: none.
    ///
    /// # Errors
    /// It is empty, longer than 64 characters, or has one no key can have; or a key that was
    /// given does not begin like that. Of a key only its first four characters are kept, of a
    /// generated one prefix and id, and of one in a file or a store nothing: what lies beyond
    /// is not checked.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        self.0.edit_provider(|keys| keys.set_prefix(prefix))?;
        Ok(self)
    }

    /// Says which resource the layer protects, by its public URL: keys that
    /// [name resources](ApiKey::resources) are judged by it, and it is the
    /// [`Principal::resource`](crate::Principal::resource). A host is not compared.
    ///
    /// Beside an [`OAuthLayer`](crate::OAuthLayer) that one's resource counts, and this must be
    /// the same, byte by byte. No setting can make the path of the URL public. Default: none is
    /// known, and a key that names resources is refused.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    /// use tower_mcp_auth::api_key::ApiKey;
    ///
    /// let resource = "https://mcp.example.com/mcp";
    /// let key = ApiKey::new("b25lLXJhbmRvbS1rZXktMTIzNA")?.resources([resource])?;
    /// let layer = ApiKeyLayer::new([key])?.resource(resource)?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The value is no absolute https or http URL; or this or [`resources`](Self::resources) was
    /// set already.
    pub fn resource(mut self, url: &str) -> Result<Self, ConfigError> {
        self.0.edit_provider(|keys| keys.set_resource(url))?;
        Ok(self)
    }

    /// Serves several resources, of which host and path of a request choose one. Each key is good
    /// at those that it [names](ApiKey::resources).
    ///
    /// A host that is none of the resources is 421 `unknown_host`, a path 404
    /// `unknown_resource`, and neither reaches the inner service, unless the path is
    /// [public](Self::public_path). [`ResourceSet`] has an example. Beside an
    /// [`OAuthLayer`](crate::OAuthLayer), resources belong in the builder of that.
    ///
    /// # Errors
    /// There is no resource; a key of the program or of the file names none, and
    /// [`dangerously_all_resources`](Self::dangerously_all_resources) was not said before; or this
    /// or [`resource`](Self::resource) was set already.
    pub fn resources(mut self, resources: ResourceSet) -> Result<Self, ConfigError> {
        self.0.edit_provider(|keys| keys.set_resources(resources))?;
        Ok(self)
    }

    /// Accepts keys that name no resource at all of several, whatever they were issued for.
    ///
    /// Keys that [name resources](ApiKey::resources) are good at these alone all the same.
    /// Default: where a layer has several resources, or stands beside one that has, a key must
    /// name those it is for.
    pub fn dangerously_all_resources(mut self) -> Self {
        telemetry::weakened(
            "dangerously_all_resources",
            "API keys that name no resource are good at all of them",
        );
        let _ = self.0.edit_provider(|keys| {
            keys.set_all_resources();
            Ok(())
        });
        self
    }

    /// Tells of accepted keys: of each at its first use, and then once in `interval`. Every
    /// process counts for itself, and from the start where a store's answer was dropped from
    /// memory in between.
    ///
    /// `tell` runs within a request, so it must not wait: hand what it is given to a channel
    /// or a task.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mcp_auth::ApiKeyLayer;
    ///
    /// let (sender, receiver) = std::sync::mpsc::sync_channel(1024);
    /// let layer = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?
    ///     .on_use(Duration::from_secs(60), move |used| {
    ///         let _ = sender.try_send((used.name().map(str::to_owned), used.at()));
    ///     });
    /// # let _ = (layer, receiver);
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn on_use(
        mut self,
        interval: Duration,
        hook: impl Fn(&ApiKeyUse<'_>) + Send + Sync + 'static,
    ) -> Self {
        let _ = self.0.edit_provider(|keys| {
            keys.set_hook(interval, hook);
            Ok(())
        });
        self
    }

    /// How long before its end a key that is used is warned of; default 14 days. Zero turns the
    /// warnings off.
    ///
    /// The event is a `warn` with the id, the name and the owner of the key, when it ends, and how
    /// many seconds are left: for each key once a day at most, and for at most 4,096 keys a day. A
    /// new layer, as of a reload, starts from the beginning.
    pub fn expiry_warning(mut self, before: Duration) -> Self {
        let _ = self.0.edit_provider(|keys| {
            keys.set_expiry_warning(before);
            Ok(())
        });
        self
    }

    /// Replaces the clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        let _ = self.0.edit_provider(|keys| {
            keys.set_clock(clock);
            Ok(())
        });
        self
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

    /// The keys, to replace them while serving: see [`ApiKeyProvider::replace`]. Where they come
    /// from a file or a store, to read it again.
    pub fn keys(&self) -> &ApiKeyProvider {
        self.0.provider()
    }
}

auth_layer_newtype!(ApiKeyLayer, ApiKeyProvider);

impl fmt::Debug for ApiKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApiKeyLayer")
            .field(self.0.provider())
            .finish()
    }
}
