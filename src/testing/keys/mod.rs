//! The issuer's keys: made when it starts, by the backend that is compiled in.

#[cfg(feature = "aws-lc-rs")]
#[path = "aws_lc.rs"]
mod backend;
#[cfg(not(feature = "aws-lc-rs"))]
#[path = "rust_crypto.rs"]
mod backend;
mod ring;

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use self::backend::{PROVIDER, Private};
pub(super) use self::ring::KeyRing;
use crate::crypto::sha256;
use crate::jose::{Algorithm, KeySource, PublicKey, VerifyingKey};

/// Why there is no key, or no signature.
#[derive(Debug)]
pub(super) struct Failed(&'static str);

impl From<Failed> for io::Error {
    fn from(Failed(why): Failed) -> Self {
        Self::other(why)
    }
}

/// A public key as the backends hand it out.
#[derive(Clone)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { x: Vec<u8>, y: Vec<u8> },
    Ed25519(Vec<u8>),
}

impl Public {
    /// From a PKCS#1 public key.
    fn rsa(pkcs1: &[u8]) -> Result<Self, Failed> {
        let (n, e) = (PROVIDER.key_utils.rsa_pub_components_from_public_key)(pkcs1)
            .map_err(|_| Failed("the RSA key cannot be read"))?;
        Ok(Self::Rsa { n, e })
    }

    /// From an uncompressed point.
    fn ec(point: &[u8]) -> Result<Self, Failed> {
        let Some((4, coordinates)) = point.split_first() else {
            return Err(Failed("the point is not uncompressed"));
        };
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        Ok(Self::Ec {
            x: x.to_vec(),
            y: y.to_vec(),
        })
    }

    /// The members a thumbprint is made of (RFC 7638 section 3.2, RFC 8037 section 2).
    fn members(&self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa { n, e } => json!({"e": b64(e), "kty": "RSA", "n": b64(n)}),
            Self::Ec { x, y } => {
                let crv = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"crv": crv, "kty": "EC", "x": b64(x), "y": b64(y)})
            }
            Self::Ed25519(x) => json!({"crv": "Ed25519", "kty": "OKP", "x": b64(x)}),
        }
    }
}

/// A key pair that signs with one algorithm.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    /// The thumbprint of RFC 7638.
    pub(super) kid: String,
    /// The public half as the key set publishes it.
    jwk: Value,
    private: Private,
    verifying: VerifyingKey,
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, Failed> {
        let private = Private::generate(algorithm)?;
        let mut jwk = private.public()?.members();
        // The map is sorted by name, which is the order a thumbprint wants; where another
        // crate turns on `preserve_order`, the members were written in that order.
        let kid = URL_SAFE_NO_PAD.encode(sha256(&[jwk.to_string().as_bytes()]));
        jwk["alg"] = algorithm.name().into();
        jwk["kid"] = kid.clone().into();
        jwk["use"] = "sig".into();
        let verifying = PublicKey::from_jwk(jwk.to_string())
            .ok()
            .and_then(|key| VerifyingKey::prepare(&KeySource::Public(key), &[algorithm]))
            .ok_or(Failed("the new key does not verify"))?;
        Ok(Self {
            algorithm,
            kid,
            jwk,
            private,
            verifying,
        })
    }

    /// The public key as RFC 7638 has it, with nothing that is not needed.
    pub(super) fn members(&self) -> Value {
        let mut members = self.jwk.clone();
        if let Some(members) = members.as_object_mut() {
            members.retain(|name, _| !["alg", "kid", "use"].contains(&name.as_str()));
        }
        members
    }

    /// Signs with an algorithm of the key's kind, which need not be its own.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Failed> {
        self.private.sign(algorithm, message)
    }

    /// The public key as the key set has it.
    pub(super) fn published(&self) -> &Value {
        &self.jwk
    }

    /// Signs with an HMAC algorithm, this key's public half being the secret: what a
    /// verifier is fooled by that lets the token choose the algorithm (RFC 8725 section 2.1).
    fn confuse(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Failed> {
        hmac(algorithm, self.jwk.to_string().as_bytes(), message)
    }
}

/// Signs with an HMAC algorithm and a secret of any length, none included.
pub(super) fn hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Result<Vec<u8>, Failed> {
    let secret = EncodingKey::from_secret(secret);
    (PROVIDER.signer_factory)(&theirs(algorithm)?, &secret)
        .and_then(|signer| Ok(signer.try_sign(message)?))
        .map_err(|_| Failed("HMAC did not sign"))
}

fn theirs(algorithm: Algorithm) -> Result<jsonwebtoken::Algorithm, Failed> {
    algorithm
        .name()
        .parse()
        .map_err(|_| Failed("jsonwebtoken does not know the algorithm"))
}

/// A random name that cannot be guessed: an id, a code, a secret.
pub(super) fn random_name() -> String {
    let mut bytes = [0; 24];
    backend::fill(&mut bytes).expect("the system has random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn is_hmac(algorithm: Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
    )
}
