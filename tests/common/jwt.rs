//! Tokens: any header, any claims, signed by aws-lc directly and never by the crate.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tower_mcp_auth::jose::{PublicKey, Secret};
use tower_mcp_auth::{Clock, JwtLayer};

/// What the clock of the tests shows, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// 64 bytes, so that every HMAC algorithm takes it.
pub const SECRET: &[u8] = b"jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtEmXqYwHuNbJlPgCfDsOAz1";

pub fn clock() -> Clock {
    Clock::manual(Duration::from_secs(NOW))
}

pub enum SigningKey {
    Hmac(Vec<u8>),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    pub fn hmac(secret: impl AsRef<[u8]>) -> Self {
        Self::Hmac(secret.as_ref().to_vec())
    }

    /// 2048 bits, made once.
    pub fn rsa() -> &'static Self {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        KEY.get_or_init(|| Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub fn p256() -> &'static Self {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        let signing = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        KEY.get_or_init(|| Self::P256(EcdsaKeyPair::generate(signing).unwrap()))
    }

    pub fn p384() -> &'static Self {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        let signing = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
        KEY.get_or_init(|| Self::P384(EcdsaKeyPair::generate(signing).unwrap()))
    }

    pub fn ed25519() -> &'static Self {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        KEY.get_or_init(|| Self::Ed25519(Ed25519KeyPair::generate().unwrap()))
    }

    /// The signature of `message`; `alg` need not be what a header says.
    pub fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(secret) => {
                let hash = match alg {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => panic!("{alg} is not of HMAC"),
                };
                hmac::sign(&hmac::Key::new(hash, secret), message)
                    .as_ref()
                    .to_vec()
            }
            Self::Rsa(key) => {
                let padding: &'static dyn signature::RsaEncoding = match alg {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => panic!("{alg} is not of RSA"),
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) | Self::P384(key) => {
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The DER of the `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Hmac(_) => panic!("a secret has no public key"),
            Self::Rsa(key) => key.public_key().as_der().unwrap(),
            Self::P256(key) | Self::P384(key) => key.public_key().as_der().unwrap(),
            Self::Ed25519(key) => key.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    pub fn pem(&self) -> String {
        let body = STANDARD.encode(self.spki());
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    }

    /// The members of the JWK without the braces, so that a test can add its own.
    pub fn jwk_members(&self) -> String {
        match self {
            Self::Hmac(secret) => format!(r#""kty":"oct","k":"{}""#, b64(secret)),
            Self::Rsa(key) => {
                let public = key.public_key();
                let n = b64(public.modulus().big_endian_without_leading_zero());
                let e = b64(public.exponent().big_endian_without_leading_zero());
                format!(r#""kty":"RSA","n":"{n}","e":"{e}""#)
            }
            Self::P256(key) | Self::P384(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                format!(
                    r#""kty":"EC","crv":"{crv}","x":"{}","y":"{}""#,
                    b64(x),
                    b64(y)
                )
            }
            Self::Ed25519(key) => {
                format!(
                    r#""kty":"OKP","crv":"Ed25519","x":"{}""#,
                    b64(key.public_key().as_ref())
                )
            }
        }
    }

    /// The public key as the crate takes it.
    pub fn public(&self) -> PublicKey {
        PublicKey::from_der(self.spki()).unwrap()
    }
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of exactly this header and these claims, signed with `alg`.
pub fn sign(key: &SigningKey, alg: &str, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", b64(header), b64(claims));
    let signature = key.sign(alg, input.as_bytes());
    format!("{input}.{}", b64(signature))
}

/// A token of these claims under [`SECRET`] and HS256.
pub fn token(claims: &str) -> String {
    sign(
        &SigningKey::hmac(SECRET),
        "HS256",
        r#"{"alg":"HS256"}"#,
        claims,
    )
}

/// Alice's, good for five minutes.
pub fn good_token() -> String {
    token(&format!(r#"{{"sub":"alice","exp":{}}}"#, NOW + 300))
}

/// The layer that takes the tokens of [`token`].
pub fn hs256_layer() -> JwtLayer {
    JwtLayer::builder(Secret::new(SECRET).unwrap())
        .clock(clock())
        .build()
        .unwrap()
}
