//! The private key of a client assertion.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "aws-lc-rs")]
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
#[cfg(not(feature = "aws-lc-rs"))]
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{EncodingKey, errors};
use serde_json::{Value, json};

use super::algorithm::{Algorithm, Family};
use crate::error::ConfigError;

/// The private key of a client that proves who it is by signing (`private_key_jwt`,
/// [RFC 7523](https://www.rfc-editor.org/rfc/rfc7523#section-3)). `Debug` does not print it.
///
/// Its public half is registered at the authorization server. Give each server that asks
/// for introspection a key of its own.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    key: EncodingKey,
}

/// The signature of an RSA key of 2048 bits.
const LEAST_RSA_SIGNATURE: usize = 256;

impl SigningKey {
    /// Reads a private key, PEM in PKCS#8 (`PRIVATE KEY`), or PKCS#1 for RSA, to sign with
    /// `algorithm`.
    ///
    /// # Errors
    /// It is no private key for that algorithm, its RSA modulus is shorter than 2048 bits, or
    /// the algorithm is one of HMAC, or ES512.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let refuse = |why: String| Err(ConfigError::new("signing_key", why));
        let pem = pem.as_ref();
        let key = match algorithm.family() {
            Family::Hmac => {
                return refuse(format!(
                    "{algorithm} needs a secret; name the algorithm of a key pair"
                ));
            }
            Family::P521 => {
                return refuse(format!(
                    "{algorithm} is verified here, and not signed with; name another algorithm"
                ));
            }
            Family::Rsa => EncodingKey::from_rsa_pem(pem),
            Family::P256 | Family::P384 => EncodingKey::from_ec_pem(pem),
            Family::Ed25519 => EncodingKey::from_ed_pem(pem),
        };
        let Ok(key) = key else {
            return refuse(format!("this is no PEM of a private key for {algorithm}"));
        };
        // Whether the key fits shows when it signs, and that should not be the first request.
        let key = Self(Arc::new(Inner {
            algorithm,
            kid: None,
            key,
        }));
        match key.signature(b"") {
            Ok(signature)
                if algorithm.family() == Family::Rsa && signature.len() < LEAST_RSA_SIGNATURE =>
            {
                refuse("the RSA key has fewer than 2048 bits".to_owned())
            }
            Ok(_) => Ok(key),
            Err(_) => refuse(format!("the key does not sign with {algorithm}")),
        }
    }

    /// Names the key, for servers that hold several of this client.
    #[must_use]
    pub fn key_id(self, kid: impl Into<String>) -> Self {
        let Inner { algorithm, key, .. } = &*self.0;
        Self(Arc::new(Inner {
            algorithm: *algorithm,
            kid: Some(kid.into().into()),
            key: key.clone(),
        }))
    }

    /// A JWT with these claims. `None`: the backend could not sign.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let Inner { algorithm, kid, .. } = &*self.0;
        let mut header = json!({"alg": algorithm.name(), "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = (**kid).into();
        }
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature = self.signature(token.as_bytes()).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, errors::Error> {
        let Inner { algorithm, key, .. } = &*self.0;
        let algorithm = algorithm.name().parse()?;
        // Named, never jsonwebtoken's process-wide default: that one panics when another
        // crate of the build turns on the second backend.
        let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key)?;
        Ok(signer.try_sign(message)?)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.0.algorithm)
            .field("kid", &self.0.kid)
            .finish_non_exhaustive()
    }
}
