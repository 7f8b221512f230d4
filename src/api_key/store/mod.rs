//! Keys kept elsewhere: the trait of a store. What stands before it is in `cache`.

mod cache;
mod call;
mod settings;
mod stale;

use std::fmt;
use std::pin::Pin;

pub(super) use self::cache::{Lookup, StoreCache};
pub(super) use self::call::Asked;
pub use self::settings::CachedApiKeyStore;
use crate::api_key::{ApiKey, KeyDigest};
use crate::error::ConfigError;

/// Where API keys are kept: a database, a service.
///
/// A store is asked about digests and never sees a key. Caching, deadlines, and one question
/// for all requests with the same key are the layer's: see [`CachedApiKeyStore`].
/// The `sqlite_keys` example is a whole one.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Arc, RwLock};
///
/// use tower_mcp_auth::api_key::{ApiKey, ApiKeyStore, ApiKeyStoreError, LookupFuture, KeyLookup};
///
/// /// Names by digest, as rows of a table would be.
/// #[derive(Clone, Debug, Default)]
/// struct Names(Arc<RwLock<HashMap<String, String>>>);
///
/// impl ApiKeyStore for Names {
///     fn find(&self, wanted: KeyLookup) -> LookupFuture {
///         let store = self.clone();
///         Box::pin(async move {
///             let digest = wanted.digest();
///             let names = store.0.read().map_err(|_| ApiKeyStoreError::failed("poisoned"))?;
///             let name = names.get(&digest.to_string());
///             Ok(name.map(|name| ApiKey::from_digest(*digest).name(&**name)))
///         })
///     }
/// }
/// ```
pub trait ApiKeyStore: fmt::Debug + Send + Sync + 'static {
    /// Looks for a key. `None`: there is no such key.
    ///
    /// Keys that are expired, revoked or not yet good are found as well, and refused by the
    /// layer, with reasons of their own for the operator.
    fn find(&self, wanted: KeyLookup) -> LookupFuture;
}

/// The future of a look for a key.
pub type LookupFuture =
    Pin<Box<dyn Future<Output = Result<Option<ApiKey>, ApiKeyStoreError>> + Send + 'static>>;

/// The key a store is asked for.
#[derive(Clone)]
pub struct KeyLookup {
    digest: KeyDigest,
    id: Option<Box<str>>,
}

impl KeyLookup {
    fn new(digest: KeyDigest, id: Option<&str>) -> Self {
        Self {
            digest,
            id: id.map(Into::into),
        }
    }

    /// The digest of the key that was presented.
    pub fn digest(&self) -> &KeyDigest {
        &self.digest
    }

    /// The id in a generated key, for stores that are ordered by it. What is found by it is
    /// refused unless its digest is the one wanted.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl fmt::Debug for KeyLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLookup")
            .field("digest", &self.digest)
            .field("id", &self.id)
            .finish()
    }
}

/// Why a store has no answer. The caller gets 503 and never 401: nothing is known of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyStoreError {
    pause: bool,
    text: Box<str>,
}

impl ApiKeyStoreError {
    /// The store cannot be asked at all: no question is put to it for a second. The text
    /// reaches traces: no secret belongs in it.
    pub fn unreachable(text: impl Into<String>) -> Self {
        Self {
            pause: true,
            text: text.into().into(),
        }
    }

    /// What the store says of this key cannot be used; other keys are not concerned.
    pub fn failed(text: impl Into<String>) -> Self {
        Self {
            pause: false,
            text: text.into().into(),
        }
    }
}

impl fmt::Display for ApiKeyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ApiKeyStoreError {}

/// A row that makes no key.
impl From<ConfigError> for ApiKeyStoreError {
    fn from(error: ConfigError) -> Self {
        Self::failed(error.to_string())
    }
}
