//! One API key: its digest, owner, scopes and lifetime.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::digest::{DigestKind, KeyDigest};
use super::entry::Validity;
use super::format::{self, ParsedKey};
use super::resources::KeyResources;
use crate::credential::is_b64token;
use crate::crypto::sha256;
use crate::error::ConfigError;
use crate::principal::{CredentialDigest, Identity, Principal};
use crate::scope::Scopes;
use crate::secret::is_placeholder;

/// The shortest and the longest key, in bytes.
pub(super) const LENGTHS: std::ops::RangeInclusive<usize> = 16..=512;

/// One API key: its digest and owner, what it may do, and when.
///
/// The key itself is forgotten as soon as it is hashed; `Debug` prints neither key nor
/// digest.
///
/// Several keys may be live for one owner, so that a key is replaced without downtime: add
/// the new one, change the clients, then revoke the old one or let it expire.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_mcp_auth::api_key::ApiKey;
///
/// let new = ApiKey::generate("acme")?;
/// let key = new
///     .to_api_key()
///     .owner("alice")
///     .name("alice's laptop")
///     .scopes(["mcp:read"])?
///     .expires_at(SystemTime::now() + Duration::from_secs(90 * 24 * 3600))?;
/// println!("shown once: {}", new.expose());
/// # let _ = key;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    pub(super) digest: [u8; 32],
    /// Which credentials the digest may be of; `None`: it is of the key that was given.
    pub(super) kind: Option<DigestKind>,
    /// How the key begins, as far as that may be known.
    pub(super) start: Option<Box<str>>,
    /// Tells keys without owner or name apart; see [`Principal::id`].
    credential_digest: CredentialDigest,
    pub(super) id: Option<Arc<str>>,
    pub(super) name: Option<Arc<str>>,
    pub(super) owner: Option<Arc<str>>,
    pub(super) scopes: Scopes,
    /// `None`: it names none.
    pub(super) resources: Option<KeyResources>,
    pub(super) validity: Validity,
    pub(super) created_at: Option<Duration>,
}

impl ApiKey {
    /// Takes a key, wherever it was made, and keeps its digest in memory.
    ///
    /// A plain digest is good enough there: a reader of a server's memory can read
    /// the keys its clients send as well. What is kept in a file or a database is a
    /// [`KeyDigest`]. Keys need at least 128 random bits; [`generate`](Self::generate) makes
    /// such.
    ///
    /// # Errors
    /// The key is shorter than 16 or longer than 512 bytes, contains a character that
    /// cannot be sent as a credential (outside `b64token` of [RFC 6750 section 2.1]), or is
    /// an obvious placeholder.
    ///
    /// [RFC 6750 section 2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    pub fn new(key: impl AsRef<str>) -> Result<Self, ConfigError> {
        let key = key.as_ref();
        check(key)?;
        if let Ok(parsed) = ParsedKey::parse(key) {
            // As it will be where only the digest is known.
            let mut known = Self::from_digest(KeyDigest::generated(key)).id(parsed.id());
            known.kind = None;
            known.start = Some(public_start(&parsed));
            return Ok(known);
        }
        Ok(Self {
            // 24 bits of at least 128, where it has no prefix at all.
            start: key.get(..4).map(Into::into),
            credential_digest: CredentialDigest::of(key.as_bytes()),
            ..Self::of_digest(sha256(&[key.as_bytes()]), None)
        })
    }

    /// Makes a new key that begins with `prefix`, the name of your service say: see
    /// [the format](crate::api_key#key-format).
    ///
    /// # Errors
    /// The prefix is not 2 to 32 lower-case letters and digits, beginning with a letter,
    /// with single underscores between words; or the system has no source of random bytes.
    pub fn generate(prefix: &str) -> Result<GeneratedKey, ConfigError> {
        format::make(prefix, |bytes| {
            getrandom::fill(bytes)
                .map_err(|error| ConfigError::new("prefix", format!("no random bytes: {error}")))
        })
        .map(GeneratedKey)
    }

    /// A key of which only the digest is known: what a store gives.
    pub fn from_digest(digest: KeyDigest) -> Self {
        Self::of_digest(digest.bytes, Some(digest.kind))
    }

    fn of_digest(digest: [u8; 32], kind: Option<DigestKind>) -> Self {
        Self {
            digest,
            kind,
            start: None,
            credential_digest: CredentialDigest::of(&digest),
            id: None,
            name: None,
            owner: None,
            scopes: Scopes::default(),
            resources: None,
            validity: Validity::default(),
            created_at: None,
        }
    }

    /// What the key is called in traces and in the claims (`key_id`) of the [`Principal`];
    /// generated keys bring their own. An empty one is none.
    #[must_use]
    pub fn id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// Names the key. Where it has no [`owner`](Self::owner), this is the subject of the
    /// [`Principal`], and keys of one name are one principal. It is also the claim
    /// `key_name`, where there is an owner. An empty one is none.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// The owner of the key: the subject of the [`Principal`]. All keys of an owner are one
    /// principal, so that sessions and limits survive a rotation. An empty one is none.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.owner = Some(owner.into()).filter(|owner| !owner.is_empty());
        self
    }

    /// Sets the scopes of the holder; default none.
    ///
    /// # Errors
    /// A scope is empty, has a character [`Scopes`] does not allow, or begins or ends with a
    /// comma.
    pub fn scopes<I>(mut self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.scopes = Scopes::configured(scopes)
            .map_err(|error| ConfigError::new("scopes", error.to_string()))?;
        Ok(self)
    }

    /// Accepts the key at these resources alone, by their URLs, which compare byte by byte with
    /// the [URL of the request's resource](crate::Resource::url). Elsewhere it is 401
    /// `api_key_resource_mismatch`.
    ///
    /// A tenant of a template is named by its own URL. A layer that knows no resource refuses a
    /// key that names some; [`ApiKeyLayer::resource`](super::ApiKeyLayer::resource) says which it
    /// protects. Default: none is named. Then the key is good where a layer has one resource, and
    /// not [where it has several](crate::api_key#resources).
    ///
    /// # Errors
    /// There is none, or one is no absolute https or http URL.
    pub fn resources<I>(mut self, resources: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.resources = Some(KeyResources::new(resources)?);
        Ok(self)
    }

    /// Refuses the key before this moment; default never.
    ///
    /// # Errors
    /// The key expires before it, or at it.
    pub fn not_before(mut self, at: SystemTime) -> Result<Self, ConfigError> {
        self.validity.not_before = Some(since_epoch(at));
        self.validity.check().map(|()| self)
    }

    /// Refuses the key from this moment on; default never. There is no tolerance: it is our
    /// own clock that set it.
    ///
    /// # Errors
    /// It is not after [`not_before`](Self::not_before).
    pub fn expires_at(mut self, at: SystemTime) -> Result<Self, ConfigError> {
        self.validity.expires_at = Some(since_epoch(at));
        self.validity.check().map(|()| self)
    }

    /// Sets when the key was made; default unknown.
    ///
    /// [Revocation](crate::revocation) of the keys made before a moment goes by it. A key without
    /// one is among them.
    #[must_use]
    pub fn created_at(mut self, at: SystemTime) -> Self {
        self.created_at = Some(since_epoch(at));
        self
    }

    /// Whether the key is refused, although it is known; default false. A key that is taken
    /// out is refused as well; one that is kept as revoked says so to the operator.
    #[must_use]
    pub fn revoked(mut self, revoked: bool) -> Self {
        self.validity.revoked = revoked;
        self
    }

    /// What a list of keys tells of it.
    #[cfg(all(feature = "api-key-store", feature = "redis"))]
    pub(crate) fn parts(&self) -> KeyParts<'_> {
        KeyParts {
            id: self.id.as_deref(),
            name: self.name.as_deref(),
            owner: self.owner.as_deref(),
            expires_at: self.validity.expires_at,
            revoked: self.validity.revoked,
        }
    }

    /// Ends at this moment at the latest.
    #[cfg(all(feature = "api-key-store", feature = "redis"))]
    pub(crate) fn ends_by(mut self, at: Duration) -> Result<Self, ConfigError> {
        let end = self.validity.expires_at.map_or(at, |end| end.min(at));
        self.validity.expires_at = Some(end);
        self.validity.check().map(|()| self)
    }

    pub(super) fn to_identity(&self) -> Identity {
        let mut principal = Principal::builder("api_key").scopes(self.scopes.clone());
        if let Some(expires_at) = self.validity.expires_at {
            principal = principal.expires_at(expires_at);
        }
        if let Some(created_at) = self.created_at {
            principal = principal.issued_at(created_at);
        }
        let name = self.name.as_ref().filter(|_| self.owner.is_some());
        let claims: Map<String, Value> = [("key_id", self.id.as_ref()), ("key_name", name)]
            .into_iter()
            .filter_map(|(claim, value)| Some((claim.to_owned(), Value::from(&**value?))))
            .collect();
        if !claims.is_empty() {
            principal = principal.claims(&claims);
        }
        match self.owner.as_ref().or(self.name.as_ref()) {
            Some(subject) => principal.subject(&**subject).identity(),
            None => principal
                .credential_digest(self.credential_digest)
                .identity(),
        }
    }
}

/// What a list of keys tells of one.
#[cfg(all(feature = "api-key-store", feature = "redis"))]
pub(crate) struct KeyParts<'k> {
    pub(crate) id: Option<&'k str>,
    pub(crate) name: Option<&'k str>,
    pub(crate) owner: Option<&'k str>,
    pub(crate) expires_at: Option<Duration>,
    pub(crate) revoked: bool,
}

/// Whether a key can be configured at all.
pub(super) fn check(key: &str) -> Result<(), ConfigError> {
    let key = key.as_bytes();
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
    Ok(())
}

/// The public part of a generated key.
fn public_start(key: &ParsedKey<'_>) -> Box<str> {
    format!("{}_{}", key.prefix(), key.id()).into()
}

/// Before 1970 nothing was valid.
fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("owner", &self.owner)
            .field("scopes", &self.scopes)
            .field("resources", &self.resources)
            .field("validity", &self.validity)
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

/// A key that was just made, to be shown to its holder once. `Debug` prints prefix and id.
#[derive(Clone)]
pub struct GeneratedKey(String);

impl GeneratedKey {
    /// The key itself, for its holder alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the key is called: no secret.
    pub fn id(&self) -> &str {
        self.parsed().map_or("", |parsed| parsed.id())
    }

    /// What a store keeps of it.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::generated(&self.0)
    }

    /// The key as a layer takes it: its digest and its id.
    pub fn to_api_key(&self) -> ApiKey {
        let mut key = ApiKey::from_digest(self.digest()).id(self.id());
        key.start = self.parsed().as_ref().map(public_start);
        key
    }

    fn parsed(&self) -> Option<ParsedKey<'_>> {
        ParsedKey::parse(&self.0).ok()
    }
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GeneratedKey").field(&self.parsed()).finish()
    }
}
