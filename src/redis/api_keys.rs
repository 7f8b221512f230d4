//! `RedisApiKeys`: API keys that replicas share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::Value;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::Redis;
use super::fault::text;
use super::scripts::Script;
use super::shared::{Shared, Unanswered};
use crate::api_key::{
    ApiKey, ApiKeyStore, ApiKeyStoreError, KeyDigest, KeyLookup, LookupFuture, read_one, write_one,
};
use crate::crypto::HmacKey;
use crate::error::ConfigError;
use crate::secret::check_strength;
use crate::store::StoreError;

const DOMAIN: &[u8] = b"tower-mcp-auth redis api key 1";
/// How many others may change a key while one does.
const TRIES: usize = 5;

/// API keys on Redis or Valkey: digests alone, each record with a code of the server's.
///
/// ```no_run
/// use std::time::Duration;
///
/// use tower_mcp_auth::ApiKeyLayer;
/// use tower_mcp_auth::api_key::{ApiKey, CachedApiKeyStore};
/// use tower_mcp_auth::redis::{Redis, RedisApiKeys};
///
/// # async fn run(redis: Redis, secret: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let keys = RedisApiKeys::new(&redis, secret)?;
/// let old = ApiKey::generate("acme")?;
/// keys.put(&old.to_api_key().owner("alice").scopes(["mcp:read"])?).await?;
///
/// // Another one in its place; the old one is good for a day more.
/// let new = ApiKey::generate("acme")?;
/// let day = Duration::from_secs(86_400);
/// keys.rotate(&old.digest(), &new.to_api_key().owner("alice"), day).await?;
///
/// let layer = ApiKeyLayer::from_store(CachedApiKeyStore::new(keys));
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
///
/// # Records
///
/// A record is a hash at `{PREFIX}:k:` and the digest:
///
/// | field | what |
/// |---|---|
/// | `key` | the key as it stands in a [key file](crate::api_key::KeyFile), in JSON |
/// | `mac` | base64url of HMAC-SHA-256 with the secret, over `tower-mcp-auth redis api key 1`, a zero byte, the prefix in braces, a zero byte, and `key` |
/// | `used` | when it was last used, in seconds since 1970 |
///
/// The digests of keys that have an end are in a sorted set by it, for
/// [`expiring_within`](Self::expiring_within).
///
/// # Security
///
/// A writer to the engine without the secret mints no key and changes none: a record
/// with a code that does not fit is 503. They can delete keys, and put back an older record of a
/// key, such as one from before it was revoked: keys that must stay revoked have an end as well.
///
/// An engine that was emptied has no sign that there are keys, and a lookup is then 503 and not
/// 401. A restart can lose what was written in the last second, a revocation too, unless the engine
/// has `appendfsync always`; with snapshots alone that is all since the last one, and a replica
/// that takes over lacks what it was not sent yet. While the engine is gone, keys that were good a
/// moment ago are good as long as
/// [`max_staleness`](crate::api_key::CachedApiKeyStore::max_staleness) says, and others are 503.
#[derive(Clone)]
#[must_use]
pub struct RedisApiKeys {
    pub(super) shared: Arc<Shared>,
    secret: HmacKey,
}

/// A record that was read.
pub(super) struct Found {
    pub(super) key: ApiKey,
    mac: String,
    used: Option<SystemTime>,
}

impl RedisApiKeys {
    /// Keys in this engine, with codes under a secret that all replicas are given: 32 bytes or
    /// more from a secure random source.
    ///
    /// # Errors
    /// There are fewer than 32 bytes, or they are an obvious placeholder.
    pub fn new(redis: &Redis, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        check_strength("secret", "secret", secret)?;
        Ok(Self {
            shared: Arc::clone(&redis.shared),
            secret: HmacKey::new(secret),
        })
    }

    /// Writes a key, in the place of one with this digest.
    ///
    /// # Errors
    /// The engine does not answer, the key was made by [`ApiKey::new`] and has no digest to keep, or
    /// its times are none in whole seconds.
    pub async fn put(&self, key: &ApiKey) -> Result<(), ApiKeyStoreError> {
        self.write(key, "").await.map(|_| ())
    }

    /// Revokes a key. Whether there is one.
    ///
    /// Replicas hear of it when what they remember has had its life
    /// ([`positive_ttl`](crate::api_key::CachedApiKeyStore::positive_ttl)).
    ///
    /// # Errors
    /// The engine does not answer, the record's code does not fit, or others change the key all
    /// the time.
    pub async fn revoke(&self, digest: &KeyDigest) -> Result<bool, ApiKeyStoreError> {
        self.change(digest, |key| Ok(key.revoked(true))).await
    }

    /// Writes a new key, and has the old one end after so long. Whether there is an old one: where
    /// there is none, nothing is written.
    ///
    /// An old key that ends before that keeps its end.
    ///
    /// # Errors
    /// As those of [`revoke`](Self::revoke) and [`put`](Self::put). The new key may have been
    /// written.
    pub async fn rotate(
        &self,
        old: &KeyDigest,
        new: &ApiKey,
        overlap: Duration,
    ) -> Result<bool, ApiKeyStoreError> {
        if self.read(old).await?.is_none() {
            return Ok(false);
        }
        // First, so that there is always one that is good.
        self.put(new).await?;
        let end = self.shared.settings.clock.now().saturating_add(overlap);
        self.change(old, |key| key.ends_by(end)).await
    }

    /// Writes down when a key was used, for [`on_use`](crate::ApiKeyLayer::on_use). Whether there
    /// is one.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn used(&self, digest: &KeyDigest, at: SystemTime) -> Result<bool, ApiKeyStoreError> {
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = at.as_secs().to_string();
        let records = self.records(digest);
        let arguments = [seconds.as_bytes()];
        let answer = self.shared.ask(Script::UseKey, &records, &arguments).await;
        written(answer.map_err(error)?.as_ref())
    }

    /// When a key was last used.
    ///
    /// # Errors
    /// As those of a lookup.
    pub async fn last_used(
        &self,
        digest: &KeyDigest,
    ) -> Result<Option<SystemTime>, ApiKeyStoreError> {
        Ok(self.read(digest).await?.and_then(|found| found.used))
    }

    fn records(&self, digest: &KeyDigest) -> [String; 2] {
        let prefix = &self.shared.settings.prefix;
        [format!("{prefix}:keys"), format!("{prefix}:k:{digest}")]
    }

    /// Where keys are by their end.
    pub(super) fn index(&self) -> String {
        format!("{}:k-ends", self.shared.settings.prefix)
    }

    fn mac(&self, document: &str) -> [u8; 32] {
        let prefix = self.shared.settings.prefix.as_bytes();
        self.secret
            .mac([DOMAIN, b"\0", prefix, b"\0", document.as_bytes()])
    }

    async fn change(
        &self,
        digest: &KeyDigest,
        change: impl Fn(ApiKey) -> Result<ApiKey, ConfigError>,
    ) -> Result<bool, ApiKeyStoreError> {
        for _ in 0..TRIES {
            let Some(Found { key, mac, .. }) = self.read(digest).await? else {
                return Ok(false);
            };
            if self.write(&change(key)?, &mac).await? {
                return Ok(true);
            }
        }
        Err(ApiKeyStoreError::failed(
            "others change the key all the time",
        ))
    }

    /// Whether it was written: the record before it has this code, or any where it is empty.
    async fn write(&self, key: &ApiKey, before: &str) -> Result<bool, ApiKeyStoreError> {
        let (digest, document) = write_one(key)?;
        // In whole seconds a key may end before it begins, and no time is as far away as a number.
        read_one(document.as_bytes()).map_err(ApiKeyStoreError::failed)?;
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&document));
        let ends = key.parts().expires_at;
        let ends = ends.map_or(String::new(), |at| at.as_secs().to_string());
        let name = digest.to_string();
        let arguments = [&document, &mac, before, &name, &ends].map(str::as_bytes);
        let [are_keys, record] = self.records(&digest);
        let records = [are_keys, record, self.index()];
        let answer = self.shared.ask(Script::PutKey, &records, &arguments).await;
        written(answer.map_err(error)?.as_ref())
    }

    pub(super) async fn read(&self, digest: &KeyDigest) -> Result<Option<Found>, ApiKeyStoreError> {
        let records = self.records(digest);
        let answer = self.shared.ask(Script::FindKey, &records, &[]).await;
        let Some(Value::Array(members)) = answer.map_err(error)? else {
            return Err(unusable());
        };
        let [are_keys, key, mac, used] = &members[..] else {
            return Err(unusable());
        };
        if *are_keys != Value::Int(1) {
            let why = "the engine has no API keys: it is new, or was emptied; put one";
            return Err(ApiKeyStoreError::failed(why));
        }
        if *key == Value::Nil {
            return Ok(None);
        }
        let (Some(document), Some(mac)) = (text(key), text(mac)) else {
            return Err(unusable());
        };
        let fits = URL_SAFE_NO_PAD.decode(mac).unwrap_or_default();
        if !bool::from(self.mac(document).ct_eq(&fits[..])) {
            let why = "the code of a record does not fit: it was written with another secret, or \
                       by somebody without one";
            return Err(ApiKeyStoreError::failed(why));
        }
        let key = read_one(document.as_bytes()).map_err(ApiKeyStoreError::failed)?;
        // A record at the place of another one.
        if write_one(&key)?.0 != *digest {
            return Err(unusable());
        }
        let used = text(used).and_then(|seconds| seconds.parse().ok());
        Ok(Some(Found {
            key,
            mac: mac.to_owned(),
            used: used.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at))),
        }))
    }
}

impl ApiKeyStore for RedisApiKeys {
    fn find(&self, wanted: KeyLookup) -> LookupFuture {
        let keys = self.clone();
        Box::pin(async move {
            let found = keys.read(wanted.digest()).await?;
            Ok(found.map(|found| found.key))
        })
    }
}

impl fmt::Debug for RedisApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisApiKeys")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

fn written(answer: Option<&Value>) -> Result<bool, ApiKeyStoreError> {
    match answer {
        Some(Value::Int(was_written)) => Ok(*was_written == 1),
        _ => Err(unusable()),
    }
}

/// Where the record is none, other keys can be asked for; else none could be.
pub(super) fn error(error: Unanswered) -> ApiKeyStoreError {
    match error {
        Unanswered::Foreign(error) => ApiKeyStoreError::failed(error.to_string()),
        other => ApiKeyStoreError::unreachable(StoreError::from(other).to_string()),
    }
}

pub(super) fn unusable() -> ApiKeyStoreError {
    ApiKeyStoreError::failed("the record of an API key cannot be used")
}
