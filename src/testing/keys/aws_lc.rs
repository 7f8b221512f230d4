//! Signing keys made with aws-lc.

use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
pub(super) use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER as PROVIDER;

use super::{Failed, Public};
use crate::jose::Algorithm;

/// A private key, parsed once.
pub(super) enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Private {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, Failed> {
        let key = match algorithm {
            Algorithm::ES256 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Ec)
            }
            Algorithm::ES384 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::Ec)
            }
            Algorithm::ES512 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).map(Self::Ec)
            }
            Algorithm::EdDSA => Ed25519KeyPair::generate().map(Self::Ed25519),
            _ => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
        };
        key.map_err(|_| Failed("aws-lc generated no key"))
    }

    pub(super) fn public(&self) -> Result<Public, Failed> {
        match self {
            Self::Rsa(key) => Public::rsa(key.public_key().as_ref()),
            Self::Ec(key) => Public::ec(key.public_key().as_ref()),
            Self::Ed25519(key) => Ok(Public::Ed25519(key.public_key().as_ref().to_vec())),
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Failed> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding(algorithm), &random, message, &mut signature)
                    .map(|()| signature)
            }
            Self::Ec(key) => key
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        };
        signed.map_err(|_| Failed("aws-lc did not sign"))
    }
}

fn padding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

pub(super) fn fill(bytes: &mut [u8]) -> Result<(), Failed> {
    rand::fill(bytes).map_err(|_| Failed("no random numbers"))
}
