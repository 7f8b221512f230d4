use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};

use super::algorithm::{Algorithm, Family};
use super::backend::Prepared;
use super::json::object;
use super::material::{JwkParts, Material};
use crate::error::{AuthError, ConfigError, quoted};
use crate::placeholder::is_placeholder;

/// The secret of HMAC algorithms. It is wiped when dropped, and `Debug` does not print it.
///
/// Whoever can verify with it can also sign: share it with nobody but the issuer.
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

    /// Checks a signature over any bytes, on the path tokens take: published vectors sign
    /// other things than tokens. Not part of the stable interface.
    #[doc(hidden)]
    pub fn verify_raw(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let source = KeySource::Secret(self.clone(), None);
        VerifyingKey::verify_raw(&source, alg, message, signature)
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

/// A public key that verifies signatures: RSA, P-256, P-384 or Ed25519.
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
        let parts = JwkParts::read(&jwk).map_err(refused)?;
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
    /// without, only tokens that name none.
    #[must_use]
    pub fn key_id(mut self, kid: impl Into<Box<str>>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Checks a signature over any bytes, on the path tokens take: published vectors sign
    /// other things than tokens. Not part of the stable interface.
    #[doc(hidden)]
    pub fn verify_raw(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let source = KeySource::Public(self.clone());
        VerifyingKey::verify_raw(&source, alg, message, signature)
    }

    /// What the key verifies where nobody says otherwise.
    fn default_algorithm(&self) -> Algorithm {
        self.alg.unwrap_or(match self.material.family() {
            Family::P256 => Algorithm::ES256,
            Family::P384 => Algorithm::ES384,
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
    #[cfg(feature = "oauth")]
    identity: KeyIdentity,
    prepared: Prepared,
}

/// Which key this is: its id and its material.
#[cfg(feature = "oauth")]
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
            #[cfg(feature = "oauth")]
            identity: KeyIdentity::of(source, kid.as_deref()),
            kid: kid.as_deref().map(Arc::from),
            prepared,
        })
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn identity(&self) -> KeyIdentity {
        self.identity
    }

    fn verify_raw(source: &KeySource, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        Self::prepare(source, &[alg]).is_some_and(|key| key.verify(alg, message, signature))
    }

    fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The same, for keeping.
    #[cfg(feature = "oauth")]
    pub(crate) fn shared_kid(&self) -> Option<Arc<str>> {
        self.kid.clone()
    }

    pub(crate) fn verify(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.prepared.verify(alg, message, signature)
    }
}

#[cfg(feature = "oauth")]
impl KeyIdentity {
    fn of(source: &KeySource, kid: Option<&str>) -> Self {
        use crate::digest::sha256;

        let material = match source {
            KeySource::Secret(secret, _) => sha256(&[secret.expose()]),
            KeySource::Public(key) => key.material.digest(),
        };
        // Hashed one after the other: what separates them is the digest's fixed length.
        let has_id = [u8::from(kid.is_some())];
        Self(sha256(&[
            &material,
            &has_id,
            kid.unwrap_or_default().as_bytes(),
        ]))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The reason code where no key fits.
pub(crate) const UNKNOWN_KEY: &str = "unknown_key";

/// The index of the one key a token may be checked with: its id matches, and it fits the
/// algorithm.
///
/// A token without an id leaves all fitting keys, of which there must be exactly one; a key
/// without an id serves only tokens without one.
pub(crate) fn select(
    keys: &[VerifyingKey],
    kid: Option<&str>,
    alg: Algorithm,
) -> Result<usize, AuthError> {
    let fits = |key: &VerifyingKey| (kid.is_none() || key.kid() == kid) && key.prepared.serves(alg);
    let mut candidates = (0..keys.len()).filter(|index| fits(&keys[*index]));
    let found = candidates.next();
    if candidates.next().is_some() {
        return Err(AuthError::invalid("ambiguous_key").with_detail(format!(
            "several keys fit {alg}, and the token does not name one alone"
        )));
    }
    found.ok_or_else(|| {
        let named = match kid {
            Some(kid) => format!("key id {}", quoted(kid)),
            None => "no key id".to_owned(),
        };
        AuthError::invalid(UNKNOWN_KEY).with_detail(format!(
            "the token has {named} and alg {alg}: none of the {} keys fits both",
            keys.len()
        ))
    })
}
