//! Signing keys made with RustCrypto.

use jsonwebtoken::EncodingKey;
pub(super) use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER as PROVIDER;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::EncodePrivateKey;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::rand_core::{OsRng, RngCore};

use super::{Failed, Public, theirs};
use crate::jose::Algorithm;

/// A private key as jsonwebtoken reads it, and its public half.
pub(super) struct Private {
    key: EncodingKey,
    public: Public,
}

/// What precedes the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

impl Private {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, Failed> {
        let encoded = |_| Failed("the key has no DER");
        Ok(match algorithm {
            Algorithm::ES256 => {
                let key = p256::SecretKey::random(&mut OsRng);
                let der = key.to_pkcs8_der().map_err(encoded)?;
                Self {
                    key: EncodingKey::from_ec_der(der.as_bytes()),
                    public: Public::ec(key.public_key().to_encoded_point(false).as_bytes())?,
                }
            }
            Algorithm::ES384 => {
                let key = p384::SecretKey::random(&mut OsRng);
                let der = key.to_pkcs8_der().map_err(encoded)?;
                Self {
                    key: EncodingKey::from_ec_der(der.as_bytes()),
                    public: Public::ec(key.public_key().to_encoded_point(false).as_bytes())?,
                }
            }
            Algorithm::ES512 => return Err(Failed("RustCrypto signs nothing with ES512 here")),
            Algorithm::EdDSA => {
                let mut seed = [0; 32];
                fill(&mut seed)?;
                let key = ed25519_dalek::SigningKey::from_bytes(&seed);
                Self {
                    key: EncodingKey::from_ed_der(&[&ED25519_PKCS8[..], &seed].concat()),
                    public: Public::Ed25519(key.verifying_key().as_bytes().to_vec()),
                }
            }
            _ => {
                let key = RsaPrivateKey::new(&mut OsRng, 2048)
                    .map_err(|_| Failed("no RSA key was generated"))?;
                let encoded = |_| Failed("the key has no DER");
                let private = key.to_pkcs1_der().map_err(encoded)?;
                let public = key.to_public_key().to_pkcs1_der().map_err(encoded)?;
                Self {
                    key: EncodingKey::from_rsa_der(private.as_bytes()),
                    public: Public::rsa(public.as_bytes())?,
                }
            }
        })
    }

    pub(super) fn public(&self) -> Result<Public, Failed> {
        Ok(self.public.clone())
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Failed> {
        let signer = (PROVIDER.signer_factory)(&theirs(algorithm)?, &self.key)
            .map_err(|_| Failed("the key does not fit the algorithm"))?;
        signer
            .try_sign(message)
            .map_err(|_| Failed("RustCrypto did not sign"))
    }
}

pub(super) fn fill(bytes: &mut [u8]) -> Result<(), Failed> {
    OsRng
        .try_fill_bytes(bytes)
        .map_err(|_| Failed("no random numbers"))
}
