//! The API keys of a configuration.

use super::read::secret_at;
#[cfg(feature = "api-key-store")]
use super::read::{missing, not_both};
use super::sections::{ApiKeys, Key, Scheme, Sections};
#[cfg(feature = "api-key-store")]
use super::units::Span;
use super::units::{Texts, Time};
use crate::api_key::{ApiKey, ApiKeyLayer, ApiKeyScheme, Pepper};
use crate::error::ConfigError;
#[cfg(feature = "oauth")]
use crate::resources::ResourceSet;

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
    pub(super) fn layer(&self, protects: Protects<'_>) -> Result<ApiKeyLayer, ConfigError> {
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
        let mut layer = self.start(pepper)?;
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

    fn start(&self, pepper: Option<Pepper>) -> Result<ApiKeyLayer, ConfigError> {
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
