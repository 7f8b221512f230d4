//! The API keys of a configuration.

use serde::Deserialize;

#[cfg(all(feature = "api-key-store", feature = "redis"))]
use super::Config;
use super::common::secret_at;
#[cfg(feature = "api-key-store")]
use super::common::{missing, not_both};
use super::engine::Engine;
use super::secret::SecretSource;
use super::sections::{Sections, section};
#[cfg(feature = "api-key-store")]
use super::units::Size;
use super::units::{Listed, Name, Span, Texts, Time};
#[cfg(all(feature = "api-key-store", feature = "redis"))]
use crate::api_key::CachedApiKeyStore;
use crate::api_key::{ApiKey, ApiKeyLayer, ApiKeyScheme, Pepper};
use crate::error::ConfigError;
#[cfg(all(feature = "api-key-store", feature = "redis"))]
use crate::redis::RedisApiKeys;
#[cfg(feature = "oauth")]
use crate::resources::ResourceSet;

section! {
    /// API keys: `keys`, `file` or `shared`.
    ApiKeys {
        /// The keys: a list, or a map by name.
        keys: Listed<Key>,
        /// A file with digests of keys, JSON or TOML, that is read again when it changes.
        #[cfg(feature = "api-key-store")]
        file: Option<KeyFileSection>,
        /// Keys that are in the engine of `shared`.
        #[cfg(all(feature = "api-key-store", feature = "redis"))]
        shared: Option<SharedKeys>,
        /// The secret digests of foreign keys are made with.
        pepper: Option<SecretSource>,
        /// The header the key is in.
        header_name: Option<String>,
        /// Reads the key from `Authorization`, behind this scheme.
        authorization_scheme: Option<Scheme>,
        /// How all keys begin.
        prefix: Option<String>,
        /// Accepts keys that name no resource at all of several.
        dangerously_all_resources: bool,
        /// How long before its end an accepted key is warned of; zero: not at all.
        expiry_warning: Option<Span>,
        /// The realm of the challenge.
        realm: Option<Name>,
    }
}

section! {
    /// One API key: `key` or `digest`.
    Key {
        /// The key itself.
        key: Option<SecretSource>,
        /// The digest of a key: `sha256:…`, or `hmac-sha256:…` with a pepper.
        digest: Option<String>,
        /// What traces call it.
        id: Option<Name>,
        /// The name of the key, for people.
        name: Option<Name>,
        /// The owner of the key: the subject of the principal.
        owner: Option<Name>,
        /// The scopes it grants.
        scopes: Texts,
        /// The URLs of the resources it is for; each key needs them where there are several.
        resources: Option<Texts>,
        /// When it was made; revocation of older keys goes by it.
        created_at: Option<Time>,
        /// From when on it is good.
        not_before: Option<Time>,
        /// From when on it is no longer good.
        expires_at: Option<Time>,
        /// Whether it was taken back.
        revoked: bool,
    }
}

#[cfg(feature = "api-key-store")]
section! {
    /// A file with keys.
    KeyFileSection {
        /// Where it is.
        path: Option<std::path::PathBuf>,
        /// How often it is read.
        interval: Option<Span>,
        /// How large it may be.
        max_bytes: Option<Size>,
    }
}

/// What stands before a key in `Authorization`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Scheme {
    ApiKey,
    Bearer,
}

#[cfg(all(feature = "api-key-store", feature = "redis"))]
section! {
    /// Keys that are in the engine of `shared`, and how long its answers are remembered.
    SharedKeys {
        /// The secret that records are written with, the same at all replicas; at least 32 bytes.
        secret: Option<SecretSource>,
        /// How long a good key is used before the engine is asked again.
        positive_ttl: Option<Span>,
        /// How long a key that was not good is refused before the engine is asked again.
        negative_ttl: Option<Span>,
        /// How many keys are remembered.
        max_keys: Option<u64>,
        /// How long a good key is used while the engine gives no answer.
        max_staleness: Option<Span>,
        /// Goes on with good keys for as long as the engine gives no answer.
        dangerously_allow_on_outage: bool,
    }
}

/// The resources of a layer of keys.
pub(super) enum Protects<'c> {
    /// None is configured, or another provider chooses them.
    Unsaid,
    /// Its URL, and where that stands.
    One(&'c str, String),
    #[cfg(feature = "oauth")]
    Several(ResourceSet),
}

impl Sections {
    pub(super) fn protected_by_keys(&self) -> Result<Protects<'_>, ConfigError> {
        #[cfg(feature = "oauth")]
        {
            if let Some((url, path)) = self.only_resource()? {
                return Ok(Protects::One(url, path));
            }
            // JWTs choose, where there are such.
            let chosen = if self.jwt.is_none() {
                self.resource_set()?
            } else {
                None
            };
            Ok(chosen.map_or(Protects::Unsaid, Protects::Several))
        }
        #[cfg(not(feature = "oauth"))]
        Ok(match self.resource.as_deref() {
            Some(url) => Protects::One(url, "resource".to_owned()),
            None => Protects::Unsaid,
        })
    }
}

impl ApiKeys {
    pub(super) fn layer(
        &self,
        protects: Protects<'_>,
        engine: Option<&Engine>,
    ) -> Result<ApiKeyLayer, ConfigError> {
        let at = |key: &str| {
            let path = format!("api_keys.{key}");
            move |error: ConfigError| error.at(path)
        };
        let pepper = match &self.pepper {
            None => None,
            Some(source) => {
                let secret = secret_at(source, "api_keys.pepper")?;
                Some(Pepper::new(secret.expose()).map_err(at("pepper"))?)
            }
        };
        let mut layer = self.start(pepper, engine)?;
        if let Some(name) = &self.header_name {
            layer = layer.header_name(name).map_err(at("header_name"))?;
        }
        if let Some(scheme) = self.authorization_scheme {
            let scheme = match scheme {
                Scheme::ApiKey => ApiKeyScheme::ApiKey,
                Scheme::Bearer => ApiKeyScheme::Bearer,
            };
            let set = layer.authorization_scheme(scheme);
            layer = set.map_err(at("authorization_scheme"))?;
        }
        if let Some(prefix) = &self.prefix {
            layer = layer.prefix(prefix).map_err(at("prefix"))?;
        }
        if self.dangerously_all_resources {
            layer = layer.dangerously_all_resources();
        }
        if let Some(Span(before)) = self.expiry_warning {
            layer = layer.expiry_warning(before);
        }
        layer = match protects {
            Protects::Unsaid => layer,
            Protects::One(url, path) => layer.resource(url).map_err(|error| error.at(path))?,
            #[cfg(feature = "oauth")]
            Protects::Several(set) => layer.resources(set).map_err(at("keys"))?,
        };
        if let Some(realm) = &self.realm {
            layer = layer.realm(realm.as_str());
        }
        Ok(layer)
    }

    #[cfg_attr(
        not(all(feature = "api-key-store", feature = "redis")),
        allow(unused_variables)
    )]
    fn start(
        &self,
        pepper: Option<Pepper>,
        engine: Option<&Engine>,
    ) -> Result<ApiKeyLayer, ConfigError> {
        #[cfg(all(feature = "api-key-store", feature = "redis"))]
        if let Some(shared) = &self.shared {
            let at = |error: ConfigError| error.at("api_keys.shared");
            not_both(!self.keys.items.is_empty(), "keys", "shared").map_err(at)?;
            not_both(self.file.is_some(), "file", "shared").map_err(at)?;
            return shared.layer(engine, pepper);
        }
        #[cfg(feature = "api-key-store")]
        if let Some(section) = &self.file {
            use crate::api_key::KeyFile;

            not_both(!self.keys.items.is_empty(), "keys", "file")
                .map_err(|error| error.at("api_keys.file"))?;
            let why = "say where the keys are";
            let path = section.path.as_ref();
            let path = path.ok_or_else(|| missing("path", "api_keys.file.path", why))?;
            let mut file = KeyFile::new(path);
            if let Some(pepper) = pepper {
                file = file.pepper(pepper);
            }
            if let Some(Span(interval)) = section.interval {
                file = file.interval(interval);
            }
            if let Some(size) = section.max_bytes {
                file = file.max_bytes(size.0);
            }
            return ApiKeyLayer::from_file(file).map_err(|error| error.at("api_keys.file"));
        }
        let mut keys = Vec::new();
        for (step, key) in &self.keys.items {
            keys.push(key.build(&format!("api_keys.keys{step}"))?);
        }
        let layer = match pepper {
            Some(pepper) => ApiKeyLayer::from_peppered(keys, pepper),
            None => ApiKeyLayer::new(keys),
        };
        layer.map_err(|error| error.at("api_keys.keys"))
    }
}

impl Key {
    fn build(&self, path: &str) -> Result<ApiKey, ConfigError> {
        let at = |key: &str| {
            let path = format!("{path}.{key}");
            move |error: ConfigError| error.at(path)
        };
        let mut key = match (&self.key, &self.digest) {
            (Some(source), None) => {
                let text = secret_at(source, &format!("{path}.key"))?;
                ApiKey::new(text.expose()).map_err(at("key"))?
            }
            (None, Some(digest)) => {
                let digest = digest.parse().map_err(at("digest"))?;
                ApiKey::from_digest(digest)
            }
            _ => {
                let why = "a key has one of `key` and `digest`";
                return Err(ConfigError::new("key", why).at(path));
            }
        };
        if let Some(id) = &self.id {
            key = key.id(id.as_str());
        }
        if let Some(name) = &self.name {
            key = key.name(name.as_str());
        }
        if let Some(owner) = &self.owner {
            key = key.owner(owner.as_str());
        }
        let Texts(scopes) = &self.scopes;
        key = key.scopes(scopes).map_err(at("scopes"))?;
        if let Some(Texts(resources)) = &self.resources {
            key = key.resources(resources).map_err(at("resources"))?;
        }
        if let Some(Time(time)) = self.created_at {
            key = key.created_at(time);
        }
        if let Some(Time(time)) = self.not_before {
            key = key.not_before(time).map_err(at("not_before"))?;
        }
        if let Some(Time(time)) = self.expires_at {
            key = key.expires_at(time).map_err(at("expires_at"))?;
        }
        Ok(key.revoked(self.revoked))
    }
}

#[cfg(all(feature = "api-key-store", feature = "redis"))]
impl SharedKeys {
    fn keys(&self, engine: Option<&Engine>) -> Result<RedisApiKeys, ConfigError> {
        let engine = engine.ok_or_else(|| {
            let why = "these keys are in an engine, and there is none: configure `shared`";
            ConfigError::new("shared", why).at("api_keys.shared")
        })?;
        let path = "api_keys.shared.secret";
        let why = "records are written with a secret: `openssl rand -base64 32` makes one";
        let source = self.secret.as_ref();
        let source = source.ok_or_else(|| missing("secret", path, why))?;
        let secret = secret_at(source, path)?;
        RedisApiKeys::new(engine, secret.expose()).map_err(|error| error.at(path))
    }

    fn layer(
        &self,
        engine: Option<&Engine>,
        pepper: Option<Pepper>,
    ) -> Result<ApiKeyLayer, ConfigError> {
        let mut store = CachedApiKeyStore::new(self.keys(engine)?);
        if let Some(pepper) = pepper {
            store = store.pepper(pepper);
        }
        if let Some(Span(life)) = self.positive_ttl {
            store = store.positive_ttl(life);
        }
        if let Some(Span(life)) = self.negative_ttl {
            store = store.negative_ttl(life);
        }
        if let Some(keys) = self.max_keys {
            store = store.max_keys(keys);
        }
        if let Some(Span(age)) = self.max_staleness {
            store = store.max_staleness(age);
        }
        if self.dangerously_allow_on_outage {
            store = store.dangerously_allow_on_outage();
        }
        Ok(ApiKeyLayer::from_store(store))
    }
}

#[cfg(all(feature = "api-key-store", feature = "redis"))]
impl Config {
    /// The API keys in the engine of `shared`, to put, rotate and revoke them, if
    /// `api_keys.shared` is configured.
    ///
    /// # Errors
    /// The configuration is not [connected](Self::connect), or the secret is missing or refused, or
    /// cannot be read.
    #[cfg_attr(docsrs, doc(cfg(all(feature = "api-key-store", feature = "redis"))))]
    pub fn redis_api_keys(&self) -> Result<Option<RedisApiKeys>, ConfigError> {
        let shared = self.sections.api_keys.as_ref();
        let shared = shared.and_then(|keys| keys.shared.as_ref());
        let engine = self.engine()?;
        let keys = shared.map(|shared| shared.keys(engine)).transpose();
        self.applied.settle(&[], keys)
    }
}
