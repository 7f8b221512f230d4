//! API keys.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;

use super::SecretSource;
use super::human::{Flag, List, Moment};
#[cfg(feature = "api-key-store")]
use super::human::{Size, Time};
#[cfg(feature = "api-key-store")]
use crate::api_key::KeyFile;
use crate::api_key::{ApiKey, ApiKeyLayer, KeyDigest, KeyScheme, Pepper};
use crate::error::ConfigError;

/// The section `api_keys`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApiKeysSection {
    keys: Vec<Key>,
    /// JSON, or TOML with feature `toml`; read again when it changes.
    file: Option<PathBuf>,
    #[cfg(feature = "api-key-store")]
    file_interval: Option<Time>,
    #[cfg(feature = "api-key-store")]
    file_max_bytes: Option<Size>,
    pepper: Option<SecretSource>,
    header_name: Option<String>,
    authorization_scheme: Option<Scheme>,
    prefix: Option<String>,
    realm: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Scheme {
    ApiKey,
    Bearer,
}

/// One key: itself, or its digest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Key {
    key: Option<SecretSource>,
    digest: Option<String>,
    id: Option<String>,
    name: Option<String>,
    owner: Option<String>,
    scopes: List<String>,
    not_before: Option<Moment>,
    expires_at: Option<Moment>,
    revoked: Flag,
}

impl ApiKeysSection {
    pub(super) fn build(&self) -> Result<ApiKeyLayer, ConfigError> {
        let pepper = match &self.pepper {
            Some(pepper) => {
                let pepper = pepper.resolve().map_err(|error| error.at("pepper"))?;
                Some(Pepper::new(pepper.expose()).map_err(|error| error.at("pepper"))?)
            }
            None => None,
        };
        let mut layer = match (&self.file, self.keys.is_empty()) {
            (Some(_), false) => {
                return Err(ConfigError::new(
                    "keys",
                    "`keys` and `file` contradict each other: keep one",
                ));
            }
            (Some(path), true) => self.from_file(path, pepper)?,
            (None, _) => self.from_keys(pepper)?,
        };
        if let Some(name) = &self.header_name {
            layer = layer.header_name(name)?;
        }
        if let Some(scheme) = self.authorization_scheme {
            layer = layer.authorization_scheme(match scheme {
                Scheme::ApiKey => KeyScheme::ApiKey,
                Scheme::Bearer => KeyScheme::Bearer,
            })?;
        }
        if let Some(prefix) = &self.prefix {
            layer = layer.prefix(prefix)?;
        }
        if let Some(realm) = &self.realm {
            layer = layer.realm(realm);
        }
        Ok(layer)
    }

    fn from_keys(&self, pepper: Option<Pepper>) -> Result<ApiKeyLayer, ConfigError> {
        let key = |(index, key): (usize, &Key)| {
            (key.build()).map_err(|error| error.under(&format!("keys[{index}]")))
        };
        let keys: Vec<ApiKey> = (self.keys.iter().enumerate().map(key)).collect::<Result<_, _>>()?;
        match pepper {
            Some(pepper) => ApiKeyLayer::with_pepper(keys, pepper),
            None => ApiKeyLayer::new(keys),
        }
    }

    #[cfg(feature = "api-key-store")]
    fn from_file(
        &self,
        path: &PathBuf,
        pepper: Option<Pepper>,
    ) -> Result<ApiKeyLayer, ConfigError> {
        let mut file = KeyFile::new(path);
        if let Some(pepper) = pepper {
            file = file.pepper(pepper);
        }
        if let Some(Time(interval)) = self.file_interval {
            file = file.interval(interval);
        }
        if let Some(Size(bytes)) = self.file_max_bytes {
            file = file.max_bytes(bytes);
        }
        ApiKeyLayer::from_file(file).map_err(|error| error.at("file"))
    }

    #[cfg(not(feature = "api-key-store"))]
    fn from_file(&self, _: &PathBuf, _: Option<Pepper>) -> Result<ApiKeyLayer, ConfigError> {
        Err(ConfigError::new(
            "file",
            "this program was built without the feature `api-key-store`",
        ))
    }
}

impl Key {
    fn build(&self) -> Result<ApiKey, ConfigError> {
        let mut key = match (&self.key, &self.digest) {
            (Some(key), None) => {
                let key = key.resolve().map_err(|error| error.at("key"))?;
                ApiKey::new(key.expose()).map_err(|error| error.at("key"))?
            }
            (None, Some(digest)) => {
                let digest: KeyDigest = digest
                    .parse()
                    .map_err(|error: ConfigError| error.at("digest"))?;
                ApiKey::stored(digest)
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    "key",
                    "`key` and `digest` contradict each other: keep one",
                ));
            }
            (None, None) => {
                return Err(ConfigError::new("key", "give `key` or `digest`"));
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
        key = key.scopes(&self.scopes.0)?;
        if let Some(Moment(at)) = self.not_before {
            key = key.not_before(SystemTime::UNIX_EPOCH + at)?;
        }
        if let Some(Moment(at)) = self.expires_at {
            key = key.expires_at(SystemTime::UNIX_EPOCH + at)?;
        }
        Ok(key.revoked(self.revoked.0))
    }
}
