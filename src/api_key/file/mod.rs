//! Keys in a file.

mod document;
mod time;
mod watch;

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tracing::warn;

use super::digest::Pepper;
use super::provider::Memory;
use super::set::KeySet;
use crate::error::ConfigError;
use crate::permissions::open_to_others;
use crate::telemetry;

pub(super) use self::watch::FileKeys;

const TARGET: &str = "tower_mcp_auth";

/// A file of keys: their digests, and whose they are, what they may do, and when.
///
/// The name ends in `.json`, or with the feature `toml` in `.toml`:
///
/// ```toml
/// [[keys]]
/// digest = "sha256:d43c5cd3b5b2d8bb34e5bbed09e60e8e5ee4cf2cf3ba4adae01b1cc0b0f1e1a4"
/// id = "V5f2Q0sYx8Lk"                  # as in the key; optional, like all that follows
/// name = "alice's laptop"
/// owner = "alice"
/// scopes = ["mcp:read", "mcp:write"]
/// not_before = "2026-01-01T00:00:00Z"  # RFC 3339, or seconds since 1970
/// expires_at = "2027-01-01T00:00:00Z"
/// revoked = false
/// ```
///
/// Members with other names are refused, and so is a file without `keys`; `keys = []` says
/// that there is none. Errors name the place (`keys[3].expires_at`) and repeat no value. The
/// `generate_key` example makes a key, and prints the lines above.
///
/// The file is read again every 5 s, from the first request on, in a task that ends with
/// the layer. New keys are good, and others not, at once and all together. A file that
/// cannot be used leaves the last good keys in place, and an `error` is traced, once. Write
/// a new file and rename it: half of one may be good TOML. A file that others than its owner
/// can read or write is warned of.
///
/// ```
/// use tower_mcp_auth::ApiKeyLayer;
/// use tower_mcp_auth::api_key::{ApiKey, KeyFile};
///
/// let path = std::env::temp_dir().join(format!("keys-{}.json", std::process::id()));
/// let new = ApiKey::generate("acme")?;
/// let keys = format!(r#"{{"keys": [{{"digest": "{}", "owner": "alice"}}]}}"#, new.digest());
/// std::fs::write(&path, keys)?;
///
/// let layer = ApiKeyLayer::from_file(KeyFile::new(&path))?;
/// assert!(ApiKeyLayer::from_file(KeyFile::new("no-such-file.json")).is_err());
/// # std::fs::remove_file(path)?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyFile {
    path: PathBuf,
    pepper: Option<Pepper>,
    interval: Duration,
    max_bytes: u64,
}

impl KeyFile {
    /// The file at `path`. It is read when the layer is made.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            pepper: None,
            interval: Duration::from_secs(5),
            max_bytes: 16 << 20,
        }
    }

    /// Accepts foreign keys as well, by their digests with this pepper. Without one, a file
    /// with such digests is refused.
    pub fn pepper(mut self, pepper: Pepper) -> Self {
        self.pepper = Some(pepper);
        self
    }

    /// How often the file is read; 5 s. Zero: only when
    /// [`reload`](crate::api_key::ApiKeys::reload) is called.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How large the file may be, in bytes; 16 MiB. A larger one is refused whole.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    pub(super) fn open(self) -> Result<FileKeys, ConfigError> {
        let (bytes, metadata) = self.read().map_err(|why| self.error(&why))?;
        let keys = self.understand(&bytes).map_err(|why| self.error(&why))?;
        self.warn_of_others(&metadata);
        if keys.len() == 0 {
            let path = &self.path;
            warn!(target: TARGET, ?path, "the API key file has no keys: every request is refused");
        }
        Ok(FileKeys {
            memory: Memory::new(keys, self.pepper.clone()),
            seen: Mutex::new(watch::Seen::content(&bytes)),
            polling: AtomicBool::new(false),
            file: self,
        })
    }

    fn read(&self) -> Result<(Vec<u8>, Metadata), String> {
        let failed = |error: std::io::Error| format!("cannot be read: {error}");
        // Opening a pipe would wait for somebody who writes.
        if !std::fs::metadata(&self.path).map_err(failed)?.is_file() {
            return Err("is no regular file".to_owned());
        }
        let file = File::open(&self.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mut bytes = Vec::new();
        // Not by what the metadata says: the file may grow meanwhile.
        let limit = self.max_bytes.saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > self.max_bytes {
            return Err(format!("is larger than {} bytes", self.max_bytes));
        }
        Ok((bytes, metadata))
    }

    fn understand(&self, bytes: &[u8]) -> Result<KeySet, String> {
        let extension = self.path.extension().and_then(|name| name.to_str());
        let keys = document::read(bytes, extension.unwrap_or_default())?;
        let keys = KeySet::collect(keys).map_err(|error| error.to_string())?;
        keys.check_pepper(self.pepper.as_ref())
            .map_err(|error| error.to_string())?;
        Ok(keys)
    }

    fn warn_of_others(&self, metadata: &Metadata) {
        if let Some(others) = open_to_others(metadata) {
            telemetry::weakened("key_file", &format!("{:?} {others}", self.path));
        }
    }

    fn error(&self, why: &str) -> ConfigError {
        ConfigError::new("key_file", format!("{:?} {why}", self.path))
    }
}
