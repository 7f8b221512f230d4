//! Keys that verify signatures, and the choice among those of a set.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};

use super::algorithm::{Algorithm, Family};
use super::backend::Prepared;
use super::material::{JwkParts, KeyUse, Material};
use crate::crypto::sha256;
use crate::error::{AuthError, ConfigError, Reason};
use crate::json::object;
use crate::secret::is_placeholder;
use crate::util::quoted;

/// The secret of HMAC algorithms. It is wiped when dropped, and `Debug` does not print it.
///
/// A verifier that has it can also sign: share it with the issuer alone.
///
/// ```
/// use tower_mcp_auth::jose::Secret;
///
/// assert!(Secret::new("secret").is_err());
/// let secret = Secret::new("jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE")?;
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// Takes the bytes of a secret as they are; nothing is decoded.
    ///
    /// # Errors
    /// It is shorter than 32 bytes ([RFC 7518 section 3.2] asks for the size of the hash:
    /// HS384 needs 48 bytes and HS512 needs 64, which the layer checks), or an obvious
    /// placeholder.
    ///
    /// [RFC 7518 section 3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.len() < 32 {
            return Err(ConfigError::new(
                "secret",
                format!(
                    "the secret has {} bytes; HS256 needs at least 32, random ones",
                    secret.len()
                ),
            ));
        }
        if is_placeholder(secret) {
            return Err(ConfigError::new(
                "secret",
                "the secret is a placeholder; make a random one",
            ));
        }
        Ok(Self(secret.to_vec().into()))
    }

    /// Checks a signature over any bytes, as tokens are checked: for published vectors, which sign
    /// other things than tokens. With the feature `testing` alone.
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub fn verify(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let source = KeySource::Secret(self.clone(), None);
        VerifyingKey::verify_source(&source, alg, message, signature)
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// A public key that verifies signatures: RSA, P-256, P-384, P-521 or
/// Ed25519.
#[derive(Clone)]
pub struct PublicKey {
    pub(super) material: Material,
    pub(super) kid: Option<Box<str>>,
    pub(super) alg: Option<Algorithm>,
}

impl PublicKey {
    fn new(material: Result<Material, String>) -> Result<Self, ConfigError> {
        let key = Self {
            material: material.map_err(|why| ConfigError::new("key", why))?,
            kid: None,
            alg: None,
        };
        key.check()
    }

    /// Prepares the key once, so that a point off its curve is found now.
    fn check(self) -> Result<Self, ConfigError> {
        let algorithms = [self.default_algorithm()];
        Prepared::public(&self.material, &algorithms)
            .map(|_| self)
            .ok_or_else(|| ConfigError::new("key", "the key is not valid on its curve"))
    }

    /// Reads a PEM with a `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`.
    ///
    /// # Errors
    /// It is not one of these, it is a private key, an RSA key is not between 2048 and 8192
    /// bits (4096 with the backend `rust-crypto`), or the key is not valid.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::new(Material::from_pem(pem.as_ref()))
    }

    /// Reads the DER of a `SubjectPublicKeyInfo`, or of a PKCS#1 RSA public key.
    ///
    /// # Errors
    /// As for [`from_pem`](Self::from_pem).
    pub fn from_der(der: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::new(Material::from_der(der.as_ref()))
    }

    /// Reads a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), its `kid`
    /// and `alg` included.
    ///
    /// # Errors
    /// It is no JSON object that can be read in one way, not a public key, not for signatures, of a kind that is not
    /// supported, or not valid.
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let refused = |why| ConfigError::new("key", format!("the JWK cannot be used: {why}"));
        let jwk = object(json.as_ref()).map_err(refused)?;
        let parts = JwkParts::read(&jwk, KeyUse::Signatures).map_err(refused)?;
        Self::from_parts(parts).check()
    }

    pub(crate) fn from_parts(parts: JwkParts) -> Self {
        Self {
            material: parts.material,
            kid: parts.kid,
            alg: parts.alg,
        }
    }

    /// Sets the key id: with one, the key serves only tokens that name it, or name none;
    /// without, only tokens that name none. An id is what tells the keys of a rotation apart.
    #[must_use]
    pub fn key_id(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into().into());
        self
    }

    /// Checks a signature over any bytes, as tokens are checked: for published vectors, which sign
    /// other things than tokens. With the feature `testing` alone.
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub fn verify(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let source = KeySource::Public(self.clone());
        VerifyingKey::verify_source(&source, alg, message, signature)
    }

    /// What the key verifies by default.
    fn default_algorithm(&self) -> Algorithm {
        self.alg.unwrap_or(match self.material.family() {
            Family::P256 => Algorithm::ES256,
            Family::P384 => Algorithm::ES384,
            Family::P521 => Algorithm::ES512,
            Family::Ed25519 => Algorithm::EdDSA,
            Family::Rsa | Family::Hmac => Algorithm::RS256,
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("family", &self.material.family())
            .field("kid", &self.kid)
            .field("alg", &self.alg)
            .finish_non_exhaustive()
    }
}

/// What a [`VerifyingKey`] is made from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Secret(Secret, Option<Box<str>>),
    Public(PublicKey),
}

impl KeySource {
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Secret(..) => Family::Hmac,
            Self::Public(key) => key.material.family(),
        }
    }

    pub(crate) fn default_algorithm(&self) -> Algorithm {
        match self {
            Self::Secret(..) => Algorithm::HS256,
            Self::Public(key) => key.default_algorithm(),
        }
    }

    /// The algorithm the key itself insists on (the `alg` of a JWK).
    pub(crate) fn declared_algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Secret(..) => None,
            Self::Public(key) => key.alg,
        }
    }

    pub(crate) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Secret(_, kid) => kid.as_deref(),
            Self::Public(key) => key.kid.as_deref(),
        }
    }

    /// The length of a secret, in bytes.
    pub(crate) fn secret_len(&self) -> Option<usize> {
        match self {
            Self::Secret(secret, _) => Some(secret.expose().len()),
            Self::Public(_) => None,
        }
    }
}

/// A key ready to verify: prepared once, when it arrives, for the algorithms it may serve.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    kid: Option<Arc<str>>,
    identity: KeyIdentity,
    /// Whether it serves tokens whatever key they name, where no key has that name.
    serves_any_id: bool,
    prepared: Prepared,
}

/// Which key this is: its material, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyIdentity([u8; 32]);

impl VerifyingKey {
    /// Prepares a key for those of `algorithms` that fit its family and its own `alg`.
    /// `None`: none does, or the key is not valid.
    pub(crate) fn prepare(source: &KeySource, algorithms: &[Algorithm]) -> Option<Self> {
        let declared = source.declared_algorithm();
        let fitting: Vec<Algorithm> = algorithms
            .iter()
            .copied()
            .filter(|alg| alg.family() == source.family())
            .filter(|alg| declared.is_none_or(|declared| declared == *alg))
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let (kid, prepared) = match source {
            KeySource::Secret(secret, kid) => (kid, Prepared::hmac(secret.expose(), &fitting)),
            KeySource::Public(key) => (&key.kid, Prepared::public(&key.material, &fitting)?),
        };
        Some(Self {
            identity: KeyIdentity::of(source),
            // Of two parties that share a secret, one may give it an id and the other none.
            serves_any_id: matches!(source, KeySource::Secret(_, None)),
            kid: kid.as_deref().map(Arc::from),
            prepared,
        })
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn identity(&self) -> KeyIdentity {
        self.identity
    }

    #[cfg(feature = "testing")]
    fn verify_source(source: &KeySource, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        Self::prepare(source, &[alg]).is_some_and(|key| key.verify(alg, message, signature))
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The same, for keeping.
    pub(crate) fn shared_kid(&self) -> Option<Arc<str>> {
        self.kid.clone()
    }

    pub(crate) fn serves(&self, alg: Algorithm) -> bool {
        self.prepared.serves(alg)
    }

    pub(crate) fn verify(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.prepared.verify(alg, message, signature)
    }
}

impl KeyIdentity {
    fn of(source: &KeySource) -> Self {
        Self(match source {
            KeySource::Secret(secret, _) => sha256(&[b"secret", secret.expose()]),
            KeySource::Public(key) => key.material.digest(),
        })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// How many keys a token is tried with at most.
const MOST_TRIED: usize = 4;

/// The keys a token is tried with, by their indexes: different ones, and at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    indexes: [usize; MOST_TRIED],
    len: usize,
}

impl Candidates {
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.indexes[..self.len].iter().copied()
    }

    /// Whether there is a place left.
    fn add(&mut self, index: usize) -> bool {
        let Some(place) = self.indexes.get_mut(self.len) else {
            return false;
        };
        *place = index;
        self.len += 1;
        true
    }
}

/// The keys a token may be checked with: their ids match, and they fit the algorithm. Keys of
/// the same material are one.
///
/// A token without an id leaves all fitting keys; a key without an id serves only tokens
/// without one. The one exception is a secret, which serves the tokens that name none of the
/// other keys.
pub(crate) fn select(
    keys: &[VerifyingKey],
    kid: Option<&str>,
    alg: Algorithm,
) -> Result<Candidates, AuthError> {
    let is_id = kid.is_some() && keys.iter().any(|key| key.kid() == kid);
    let is_named =
        |key: &VerifyingKey| kid.is_none() || key.kid() == kid || key.serves_any_id && !is_id;
    let fits = |index: &usize| is_named(&keys[*index]) && keys[*index].prepared.serves(alg);
    let mut found = Candidates {
        indexes: [0; MOST_TRIED],
        len: 0,
    };
    for index in (0..keys.len()).filter(fits) {
        let is_same = |other: usize| keys[other].identity == keys[index].identity;
        if !found.iter().any(is_same) && !found.add(index) {
            return Err(AuthError::new(Reason::AMBIGUOUS_KEY).with_detail(format!(
                "more than {MOST_TRIED} keys fit {alg}, and the token does not tell which one \
                 it was signed with"
            )));
        }
    }
    if found.len > 0 {
        return Ok(found);
    }
    let named = match kid {
        Some(kid) => format!("key id {}", quoted(kid)),
        None => "no key id".to_owned(),
    };
    Err(AuthError::new(Reason::UNKNOWN_KEY).with_detail(format!(
        "the token has {named} and alg {alg}: none of the {} keys fits both",
        keys.len()
    )))
}

/// What no token can be checked with: an id that more keys have than are tried. `None` in it:
/// they have none.
#[cfg(feature = "oauth")]
pub(crate) fn crowded(keys: &[VerifyingKey], algorithms: &[Algorithm]) -> Option<Option<Arc<str>>> {
    let is_crowded = |key: &&VerifyingKey| {
        let own: Vec<VerifyingKey> = keys
            .iter()
            .filter(|other| other.kid == key.kid)
            .cloned()
            .collect();
        let mut algorithms = algorithms.iter();
        own.len() > MOST_TRIED && algorithms.any(|alg| is_ambiguous(&own, key.kid(), *alg))
    };
    keys.iter().find(is_crowded).map(|key| key.kid.clone())
}

#[cfg(feature = "oauth")]
fn is_ambiguous(keys: &[VerifyingKey], kid: Option<&str>, alg: Algorithm) -> bool {
    select(keys, kid, alg).is_err_and(|error| error.as_reason() == Reason::AMBIGUOUS_KEY)
}
