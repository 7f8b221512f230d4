//! The HMAC key of sessions and sealed values.

use std::fmt;

use crate::crypto::HmacKey;
use crate::error::ConfigError;
use crate::principal::{Principal, PrincipalId};
use crate::resource::Resource;
use crate::secret::check_strength;

/// How many bytes name a key. Derived from it, so that replicas agree without a setting.
pub(super) const KEY_ID_BYTES: usize = 4;

/// A secret key of HMAC-SHA-256, for [`SessionBindingLayer`](super::SessionBindingLayer) and
/// [`PrincipalSealer`](super::PrincipalSealer).
///
/// Every replica of a server needs the same one. Different servers should not share one;
/// the two uses may, as each has codes of its own. `Debug` does not print it.
///
/// ```
/// use tower_mcp_auth::mcp::MacKey;
///
/// let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")?;
/// assert!(MacKey::new("too short").is_err());
/// # let _ = key;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct MacKey {
    id: [u8; KEY_ID_BYTES],
    hmac: HmacKey,
}

impl MacKey {
    /// A key from these bytes, taken as they are: 32 or more from a secure random source,
    /// in whatever encoding they are kept.
    ///
    /// # Errors
    /// There are fewer than 32 bytes, or they are an obvious placeholder.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        check_strength("key", "key", secret)?;
        Ok(Self::from_bytes(secret))
    }

    /// A random key that no other process has and that ends with this one.
    ///
    /// What was made with it is refused after a restart and by every replica, so this is for
    /// servers of one process: their sessions end with it as well.
    ///
    /// # Errors
    /// The system has no source of random bytes.
    pub fn ephemeral() -> Result<Self, ConfigError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| ConfigError::new("key", format!("no random bytes: {error}")))?;
        Ok(Self::from_bytes(&secret))
    }

    fn from_bytes(secret: &[u8]) -> Self {
        let hmac = HmacKey::new(secret);
        let digest = hmac.mac([b"tower-mcp-auth key id".as_slice()]);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { id, hmac }
    }

    pub(super) fn id(&self) -> [u8; KEY_ID_BYTES] {
        self.id
    }

    /// The code of these parts, each behind its length: no two lists of parts are one text.
    pub(super) fn mac<const N: usize>(&self, parts: [&[u8]; N]) -> [u8; 32] {
        let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
        let prefixed = lengths.iter().zip(parts);
        self.hmac
            .mac(prefixed.flat_map(|(length, part)| [length.as_slice(), part]))
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MacKey").finish_non_exhaustive()
    }
}

/// The key codes are made with, and one more they are accepted from.
#[derive(Clone, Debug)]
pub(super) struct Keyring {
    making: MacKey,
    accepted: Option<MacKey>,
}

impl Keyring {
    pub(super) fn new(key: MacKey) -> Self {
        Self {
            making: key,
            accepted: None,
        }
    }

    pub(super) fn also_accept(&mut self, key: MacKey) -> Result<(), ConfigError> {
        if key.id == self.making.id {
            return Err(ConfigError::new(
                "also_accept",
                "this is the key given to `new`; give the one before it, or the one to come",
            ));
        }
        if self.accepted.is_some() {
            return Err(ConfigError::new(
                "also_accept",
                "two keys can be live at a time, and this is the third",
            ));
        }
        self.accepted = Some(key);
        Ok(())
    }

    pub(super) fn making(&self) -> &MacKey {
        &self.making
    }

    /// The key of this id. Ids are no secret.
    pub(super) fn find(&self, id: &[u8]) -> Option<&MacKey> {
        [Some(&self.making), self.accepted.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.id == id)
    }
}

/// Whom a code is bound to, and at which resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    /// `None`: anonymous callers.
    principal: Option<&'a PrincipalId>,
    /// Its URL.
    resource: Option<&'a str>,
}

impl<'a> Owner<'a> {
    pub(super) fn of(principal: Option<&'a Principal>, resource: Option<&'a Resource>) -> Self {
        Self {
            principal: principal.map(Principal::id),
            resource: resource.map(Resource::url),
        }
    }

    /// Anonymous callers at the same resource.
    pub(super) fn anonymous(self) -> Self {
        Self {
            principal: None,
            ..self
        }
    }

    pub(super) fn is_anonymous(self) -> bool {
        self.principal.is_none()
    }

    /// What takes part in a code. The first part keeps a principal that is called "anonymous"
    /// apart from anonymous callers.
    pub(super) fn parts(self) -> [&'a [u8]; 3] {
        let (kind, id): (&[u8], &[u8]) = match self.principal {
            Some(id) => (b"principal", id.as_str().as_bytes()),
            None => (b"none", b"anonymous"),
        };
        [kind, id, self.resource.unwrap_or_default().as_bytes()]
    }
}
