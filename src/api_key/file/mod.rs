//! Keys in a file.

mod document;
mod watch;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::digest::Pepper;
use super::memory::Memory;
use super::set::KeySet;
use crate::error::ConfigError;
use crate::reload::watched::Place;
use crate::secret::open_to_others;
use crate::telemetry;

#[cfg(feature = "redis")]
pub(crate) use self::document::{read_one, write_one};
pub(super) use self::watch::FileKeys;

/// A file of API keys: for each its digest, owner, scopes and validity.
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
/// resources = ["https://mcp.example.com/mcp"]  # default: it names none
/// created_at = "2025-12-24T18:00:00Z"
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
    place: Place,
    pepper: Option<Pepper>,
}

impl KeyFile {
    /// The file at `path`. It is read when the layer is made.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::new(path.into(), 16 << 20),
            pepper: None,
        }
    }

    /// Accepts foreign keys as well, by their digests with this pepper. Without one, a file
    /// with such digests is refused.
    pub fn pepper(mut self, pepper: Pepper) -> Self {
        self.pepper = Some(pepper);
        self
    }

    /// How often the file is read; 5 s. Zero: only when
    /// [`reload`](crate::api_key::ApiKeyProvider::reload) is called.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.place.interval = interval;
        self
    }

    /// How large the file may be, in bytes; 16 MiB. A larger one is refused whole.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.place.max_bytes = bytes;
        self
    }

    pub(super) fn open(self) -> Result<FileKeys, ConfigError> {
        let path = &self.place.path;
        let refuse = |why: String| error(path, &why);
        let (bytes, metadata) = self.place.read().map_err(refuse)?;
        let keys = understand(path, &bytes, self.pepper.as_ref()).map_err(refuse)?;
        warn_of_others(path, &metadata);
        if keys.len() == 0 {
            telemetry::file::without_keys(path);
        }
        let memory = Memory::new(keys, self.pepper.clone());
        Ok(FileKeys::new(self, &bytes, memory))
    }
}

fn understand(path: &Path, bytes: &[u8], pepper: Option<&Pepper>) -> Result<KeySet, String> {
    let extension = path.extension().and_then(|name| name.to_str());
    let keys = document::read(bytes, extension.unwrap_or_default())?;
    let keys = KeySet::collect(keys).map_err(|error| error.to_string())?;
    keys.check_pepper(pepper)
        .map_err(|error| error.to_string())?;
    Ok(keys)
}

fn warn_of_others(path: &Path, metadata: &Metadata) {
    if let Some(others) = open_to_others(metadata) {
        telemetry::weakened("key_file", &format!("{path:?} {others}"));
    }
}

fn error(path: &Path, why: &str) -> ConfigError {
    ConfigError::new("key_file", format!("{path:?} {why}"))
}
