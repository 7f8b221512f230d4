use std::fmt;
use std::sync::Arc;

use crate::credential::is_b64token;
use crate::digest::sha256;
use crate::error::ConfigError;
use crate::placeholder::is_placeholder;
use crate::principal::{Identity, Principal, StrangerDigest};
use crate::scopes::Scopes;

/// The shortest and the longest key, in bytes.
pub(super) const LENGTHS: std::ops::RangeInclusive<usize> = 16..=512;

/// One API key: its digest, and what its holder is called and may do.
///
/// The key itself is forgotten as soon as it is hashed; `Debug` prints the name and the
/// scopes.
#[derive(Clone)]
pub struct ApiKey {
    digest: [u8; 32],
    /// Tells keys without a name apart; see [`Principal::id`].
    stranger: StrangerDigest,
    name: Option<Arc<str>>,
    scopes: Scopes,
}

impl ApiKey {
    /// Takes a key, and keeps its digest.
    ///
    /// A plain digest at rest is right for long random keys: use at least 128 random bits.
    ///
    /// # Errors
    /// The key is shorter than 16 or longer than 512 bytes, contains a character that
    /// cannot be sent as a credential (outside `b64token` of [RFC 6750 section 2.1]), or is
    /// an obvious placeholder.
    ///
    /// [RFC 6750 section 2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    pub fn new(key: impl AsRef<str>) -> Result<Self, ConfigError> {
        let key = key.as_ref().as_bytes();
        let refuse = |message: String| Err(ConfigError::new("keys", message));
        if key.is_empty() {
            return refuse("an API key is empty".to_owned());
        }
        if !LENGTHS.contains(&key.len()) {
            return refuse(format!(
                "an API key has {} bytes; use {} to {}, random ones",
                key.len(),
                LENGTHS.start(),
                LENGTHS.end(),
            ));
        }
        if !is_b64token(key) {
            return refuse(
                "an API key has a character other than A-Z a-z 0-9 - . _ ~ + / \
                 (and = at the end), so no client could send it"
                    .to_owned(),
            );
        }
        if is_placeholder(key) {
            return refuse("an API key is a placeholder; make a random one".to_owned());
        }
        Ok(Self {
            digest: sha256(&[key]),
            stranger: StrangerDigest::of(key),
            name: None,
            scopes: Scopes::default(),
        })
    }

    /// Names the holder: the subject of the [`Principal`]. Keys with the same name are the
    /// same principal, so a key can be rotated.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the scopes of the holder; default none.
    ///
    /// # Errors
    /// A scope has a character [`Scopes`] does not allow.
    pub fn scopes<I>(mut self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.scopes = Scopes::from_names(scopes)
            .map_err(|error| ConfigError::new("scopes", error.to_string()))?;
        Ok(self)
    }

    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn into_identity(self) -> Identity {
        let principal = Principal::builder("api_key").scopes(self.scopes);
        match self.name.filter(|name| !name.is_empty()) {
            Some(name) => principal.subject(&*name).identity(),
            None => principal.stranger(self.stranger).identity(),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl TryFrom<&str> for ApiKey {
    type Error = ConfigError;

    fn try_from(key: &str) -> Result<Self, ConfigError> {
        Self::new(key)
    }
}

impl TryFrom<String> for ApiKey {
    type Error = ConfigError;

    fn try_from(key: String) -> Result<Self, ConfigError> {
        Self::new(key)
    }
}

impl TryFrom<&String> for ApiKey {
    type Error = ConfigError;

    fn try_from(key: &String) -> Result<Self, ConfigError> {
        Self::new(key)
    }
}
