//! Public keys in a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use serde_json::Value;

use super::keys::KeyRing;
use crate::error::ConfigError;
use crate::jose::{Algorithm, JwkParts, KeySource, KeyUse, PublicKey};
use crate::json::object;
use crate::reload::watched::{Content, Place, Watched};
use crate::telemetry;
use crate::util::quoted;

/// A file with a JSON Web Key Set ([RFC 7517 section 5]) that is read again.
///
/// Keys are changed while the server runs. The keys in it are public ones. One that cannot be used
/// is skipped, with a warning that names it. The file is read every 5 s, from the first request on,
/// in a task that ends with the layer. New keys are good, and others not, at once and all together.
/// A file that cannot be used, or has no usable key, leaves the last good keys in place, and an
/// `error` is traced, once. Write a new file and rename it, so that half of one is never read.
///
/// A writer of the file can sign tokens.
///
/// ```
/// use tower_mcp_auth::JwtLayer;
/// use tower_mcp_auth::jwt::JwksFile;
///
/// let path = std::env::temp_dir().join(format!("keys-{}.json", std::process::id()));
/// let keys = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "2027-01",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// std::fs::write(&path, keys)?;
///
/// let layer = JwtLayer::builder(JwksFile::new(&path))
///     .audience("https://mcp.example.com/mcp")
///     .build()?;
/// # std::fs::remove_file(path)?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [RFC 7517 section 5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
#[derive(Clone, Debug)]
#[must_use]
pub struct JwksFile {
    place: Place,
}

/// A set over it is refused whole: what was cut off could be the key that signs.
const MAX_KEYS: usize = 100;

impl JwksFile {
    /// The file at `path`. It is read when the layer is built.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::new(path.into(), 256 << 10),
        }
    }

    /// How often the file is read; 5 s. Zero: only when the layer is built.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.place.interval = interval;
        self
    }

    /// How large the file may be, in bytes; 256 KiB. A larger one is refused whole.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.place.max_bytes = bytes;
        self
    }

    /// Reads the file. `algorithms`: those that were set; what a key is for, where none were.
    pub(super) fn open(&self, algorithms: Option<Vec<Algorithm>>) -> Result<FileKeys, ConfigError> {
        let Place { path, .. } = &self.place;
        let refuse = |why: String| ConfigError::new("jwks_file", format!("{path:?} {why}"));
        let (bytes, _) = self.place.read().map_err(refuse)?;
        let (ring, skipped) = read(&bytes, algorithms.as_deref()).map_err(refuse)?;
        report_skipped(path, &skipped);
        let content = Keys {
            ring: ArcSwap::from_pointee(ring),
            algorithms,
        };
        let watched = Watched::new(self.place.clone(), &bytes, content);
        Ok(FileKeys(Arc::new(watched)))
    }
}

/// The keys of a file, as they were when it was last good.
#[derive(Clone)]
pub(super) struct FileKeys(Arc<Watched<Keys>>);

/// What is made of the file.
struct Keys {
    ring: ArcSwap<KeyRing>,
    algorithms: Option<Vec<Algorithm>>,
}

impl FileKeys {
    /// The keys; sees to it that the file is watched.
    pub(super) fn watched(&self) -> Guard<Arc<KeyRing>> {
        self.0.watched().ring.load()
    }
}

impl Content for Keys {
    const NAME: &'static str = "key set file";

    /// How many keys there are, and those that are not used.
    type Taken = (usize, Vec<Skipped>);

    fn take(&self, bytes: &[u8]) -> Result<Self::Taken, String> {
        let (ring, skipped) = read(bytes, self.algorithms.as_deref())?;
        let keys = ring.len();
        self.ring.store(Arc::new(ring));
        Ok((keys, skipped))
    }

    fn report(path: &Path, (keys, skipped): Self::Taken) {
        report_skipped(path, &skipped);
        telemetry::file::read(Self::NAME, path, keys);
    }
}

/// A key of the file that is not used.
struct Skipped {
    index: usize,
    kid: String,
    why: String,
}

fn report_skipped(path: &Path, skipped: &[Skipped]) {
    for Skipped { index, kid, why } in skipped {
        telemetry::file::key_skipped(path, *index, kid, why);
    }
}

fn read(bytes: &[u8], algorithms: Option<&[Algorithm]>) -> Result<(KeyRing, Vec<Skipped>), String> {
    let mut document = object(bytes).map_err(|why| format!("is no key set: {why}"))?;
    let Some(Value::Array(jwks)) = document.remove("keys") else {
        return Err("is no key set: it has no list `keys`".to_owned());
    };
    if jwks.len() > MAX_KEYS {
        return Err(format!("has {} keys, at most {MAX_KEYS}", jwks.len()));
    }
    let (mut ring, mut skipped) = (KeyRing::default(), Vec::new());
    for (index, jwk) in jwks.iter().enumerate() {
        let members = jwk.as_object().ok_or_else(|| "it is no object".to_owned());
        let parts = members.and_then(|jwk| JwkParts::read(jwk, KeyUse::Signatures));
        let key = parts.map(PublicKey::from_parts);
        if let Err(why) = key.and_then(|key| ring.add(&KeySource::Public(key), algorithms)) {
            let kid = jwk["kid"].as_str().map(quoted).unwrap_or_default();
            skipped.push(Skipped { index, kid, why });
        }
    }
    if ring.len() == 0 {
        let first = skipped.first().map(|first| format!(": {}", first.why));
        return Err(format!("has no usable key{}", first.unwrap_or_default()));
    }
    Ok((ring, skipped))
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileKeys")
            .field(&self.0.place().path)
            .finish()
    }
}
