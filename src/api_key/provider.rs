use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderName;
use subtle::ConstantTimeEq;

use super::key::{ApiKey, LENGTHS};
use crate::auth::{Accepted, Authenticate, Authentication};
use crate::challenge::Challenge;
use crate::credential::{Credential, Location, RequestHead};
use crate::digest::ByDigest;
use crate::error::{AuthError, ConfigError};
use crate::header_name;
use crate::principal::{Identity, Principal};

/// The operator's keys, by their digests.
type KeyMap = HashMap<[u8; 32], Identity, ByDigest>;

/// The provider of [`ApiKeyLayer`](super::ApiKeyLayer). Clones share one set of keys.
#[derive(Clone)]
pub struct ApiKeys {
    keys: Arc<ArcSwap<KeyMap>>,
    location: [Location; 1],
    /// As configured: header names lose their case otherwise.
    header: Arc<str>,
    realm: Arc<str>,
}

impl ApiKeys {
    pub(super) fn new<I>(keys: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        Ok(Self {
            keys: Arc::new(ArcSwap::from_pointee(collect(keys)?)),
            location: [Location::bare(HeaderName::from_static("x-api-key"))],
            header: "X-API-Key".into(),
            realm: "MCP Server".into(),
        })
    }

    /// Replaces all keys, for every clone of the layer and in the middle of serving.
    ///
    /// # Errors
    /// There is no key, a key is not good (see [`ApiKey::new`]), or one is there twice. The
    /// old keys then stay.
    pub fn replace<I>(&self, keys: I) -> Result<(), ConfigError>
    where
        I: IntoIterator,
        I::Item: TryInto<ApiKey>,
        ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
    {
        self.keys.store(Arc::new(collect(keys)?));
        Ok(())
    }

    pub(super) fn set_header(&mut self, name: &str) -> Result<(), ConfigError> {
        self.location = [Location::bare(header_name::check(name)?)];
        self.header = name.into();
        Ok(())
    }

    pub(super) fn set_realm(&mut self, realm: &str) {
        self.realm = realm.into();
    }

    fn find(&self, key: &[u8]) -> Result<Principal, AuthError> {
        let unknown =
            || AuthError::invalid("unknown_api_key").with_description("The API key is not valid");
        if !LENGTHS.contains(&key.len()) {
            return Err(unknown().with_detail("no key has this length"));
        }
        let digest = crate::digest::sha256(&[key]);
        let keys = self.keys.load();
        let found = keys.get_key_value(&digest);
        // An unknown key is compared as well, with a digest no key has.
        let stored = found.map_or(&[0; 32], |(stored, _)| stored);
        let equal = equal(stored, &digest);
        match found {
            Some((_, identity)) if equal => Ok(identity.principal()),
            _ => Err(unknown()),
        }
    }
}

/// In a time that does not tell where they differ; a word at a time, not a byte.
fn equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let word = |digest: &[u8; 32], index: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&digest[index * 8..][..8]);
        u64::from_ne_bytes(word)
    };
    let differ = (0..4).fold(0, |differ, index| {
        differ | (word(one, index) ^ word(other, index))
    });
    bool::from(differ.ct_eq(&0))
}

fn collect<I>(keys: I) -> Result<KeyMap, ConfigError>
where
    I: IntoIterator,
    I::Item: TryInto<ApiKey>,
    ConfigError: From<<I::Item as TryInto<ApiKey>>::Error>,
{
    let mut map = KeyMap::default();
    for key in keys {
        let key: ApiKey = key.try_into()?;
        let digest = *key.digest();
        if map.insert(digest, key.into_identity()).is_some() {
            return Err(ConfigError::new("keys", "the same API key is there twice"));
        }
    }
    if map.is_empty() {
        return Err(ConfigError::new(
            "keys",
            "there is no API key, so every request would be refused; give at least one",
        ));
    }
    Ok(map)
}

impl Authenticate for ApiKeys {
    fn locations(&self) -> &[Location] {
        &self.location
    }

    fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        Authentication::Ready(self.find(credential.as_bytes()).map(Accepted::new))
    }

    fn challenges(&self) -> Vec<Challenge> {
        vec![
            Challenge::api_key(self.header.to_string())
                .with_realm(self.realm.to_string())
                .with_message("Invalid API key"),
        ]
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys")
            .field("keys", &self.keys.load().len())
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
