//! The stored form of an API key: a SHA-256 digest, or an HMAC with a pepper.

use std::fmt;
use std::str::FromStr;

use super::format::{KeyFormatError, ParsedKey};
use crate::crypto::{HmacKey, sha256};
use crate::error::ConfigError;
use crate::secret::check_strength;

/// What is kept of an API key: `sha256:` or `hmac-sha256:` and 64 hexadecimal digits.
///
/// The first is for keys made by [`ApiKey::generate`](super::ApiKey::generate): 190
/// random bits cannot be guessed, so neither can a key by its digest. The second is for every
/// other, foreign key: a thief of the digests without the [`Pepper`] cannot try
/// keys on them.
///
/// `Display` writes what a store keeps, [`FromStr`] reads it; `Debug` shows the kind alone.
///
/// ```
/// use tower_mcp_auth::api_key::{ApiKey, KeyDigest, Pepper};
///
/// let new = ApiKey::generate("acme")?;
/// assert!(new.digest().to_string().starts_with("sha256:"));
///
/// let pepper = Pepper::new("5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT")?;
/// let foreign = KeyDigest::from_external("Zm9yZWlnbi1rZXktMTI5ODM0NzY", &pepper)?;
/// assert_eq!(foreign.to_string().parse::<KeyDigest>()?, foreign);
///
/// assert!(KeyDigest::from_generated("Zm9yZWlnbi1rZXktMTI5ODM0NzY").is_err());
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest {
    pub(super) kind: DigestKind,
    pub(super) bytes: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum DigestKind {
    /// SHA-256, of a key in the format of this crate.
    Generated,
    /// HMAC-SHA-256 with a pepper, of any key.
    Foreign,
}

impl KeyDigest {
    /// The digest of a generated key.
    ///
    /// # Errors
    /// It does not have the format of a generated key, or its checksum does not fit.
    pub fn from_generated(key: &str) -> Result<Self, ConfigError> {
        match ParsedKey::parse(key) {
            Ok(_) => Ok(Self::generated(key)),
            Err(KeyFormatError::Checksum) => Err(ConfigError::new(
                "keys",
                "the checksum of an API key does not fit: it was mistyped or cut off",
            )),
            Err(_) => Err(ConfigError::new(
                "keys",
                "an API key was not made by `ApiKey::generate`, and a plain digest of it could \
                 be guessed; use `KeyDigest::from_external` with a pepper",
            )),
        }
    }

    /// The digest of a key that was made elsewhere.
    ///
    /// # Errors
    /// The key is none that [`ApiKey::new`](super::ApiKey::new) takes, or it was generated,
    /// and has a plain digest.
    pub fn from_external(key: &str, pepper: &Pepper) -> Result<Self, ConfigError> {
        super::key::check(key)?;
        if super::format::Shape::of(key).is_some() {
            return Err(ConfigError::new(
                "keys",
                "an API key has the format of generated ones; use `KeyDigest::from_generated`",
            ));
        }
        Ok(Self::foreign(key, pepper))
    }

    pub(super) fn generated(key: &str) -> Self {
        Self {
            kind: DigestKind::Generated,
            bytes: sha256(&[key.as_bytes()]),
        }
    }

    pub(super) fn foreign(key: &str, pepper: &Pepper) -> Self {
        Self {
            kind: DigestKind::Foreign,
            bytes: pepper.mac(key),
        }
    }
}

impl FromStr for KeyDigest {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (kind, digits) = text.split_once(':').unwrap_or_default();
        let kind = match kind {
            "sha256" => Some(DigestKind::Generated),
            "hmac-sha256" => Some(DigestKind::Foreign),
            _ => None,
        };
        kind.zip(from_hex(digits))
            .map(|(kind, bytes)| Self { kind, bytes })
            // Not repeated: where a digest was expected, there may be a key.
            .ok_or_else(|| {
                ConfigError::new(
                    "digest",
                    "a digest is `sha256:` or `hmac-sha256:` and 64 hexadecimal digits; a key \
                     itself is never kept",
                )
            })
    }
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = digits.as_bytes().try_into().ok()?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DigestKind::Generated => "sha256:",
            DigestKind::Foreign => "hmac-sha256:",
        })?;
        self.bytes
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDigest")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A secret that goes into the digest of every foreign key, kept outside the store: without
/// it, a stolen store is of no use for guessing keys.
///
/// There is one for all keys of a layer. Keys kept under another one are unknown, so a new
/// pepper means new digests, made from the keys themselves. `Debug` does not print it.
#[derive(Clone)]
pub struct Pepper(HmacKey);

impl Pepper {
    /// A pepper from these bytes, taken as they are: 32 or more from a secure random source.
    ///
    /// # Errors
    /// There are fewer than 32 bytes, or they are an obvious placeholder.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        check_strength("pepper", "pepper", secret)?;
        Ok(Self(HmacKey::new(secret)))
    }

    fn mac(&self, key: &str) -> [u8; 32] {
        self.0.mac([key.as_bytes()])
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pepper").finish_non_exhaustive()
    }
}
