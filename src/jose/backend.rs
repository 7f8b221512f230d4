//! The backend that checks signatures.
//!
//! With both compiled in, aws-lc verifies: features are additive, and turning one on changes
//! nothing for those who did not ask.

#[cfg(feature = "aws-lc-rs")]
pub(super) use self::aws_lc::Prepared;
#[cfg(not(feature = "aws-lc-rs"))]
pub(super) use self::rust_crypto::Prepared;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use std::sync::Arc;

    use aws_lc_rs::hmac;
    use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

    use super::super::algorithm::Algorithm;
    use super::super::material::Material;

    /// A key parsed for each algorithm it may serve.
    #[derive(Clone)]
    pub(in super::super) struct Prepared(Arc<[(Algorithm, Parsed)]>);

    enum Parsed {
        // Boxed: with both paddings of the hash inside, it is ten times the other.
        Hmac(Box<hmac::Key>),
        Public(ParsedPublicKey),
    }

    impl Prepared {
        /// `algorithms` are of the HMAC family.
        pub(in super::super) fn hmac(secret: &[u8], algorithms: &[Algorithm]) -> Self {
            let parse = |alg: &Algorithm| {
                let hash = match alg {
                    Algorithm::HS384 => hmac::HMAC_SHA384,
                    Algorithm::HS512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                (*alg, Parsed::Hmac(Box::new(hmac::Key::new(hash, secret))))
            };
            Self(algorithms.iter().map(parse).collect())
        }

        /// `algorithms` are of the key's family. `None`: the key is not valid.
        pub(in super::super) fn public(
            material: &Material,
            algorithms: &[Algorithm],
        ) -> Option<Self> {
            let parse = |alg: &Algorithm| {
                let key = match material {
                    Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                        .to_parsed_public_key(rsa_parameters(*alg)?)
                        .ok()?,
                    Material::P256(point) => {
                        ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).ok()?
                    }
                    Material::P384(point) => {
                        ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).ok()?
                    }
                    Material::P521(point) => {
                        ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, point).ok()?
                    }
                    Material::Ed25519(point) => {
                        ParsedPublicKey::new(&signature::ED25519, point).ok()?
                    }
                };
                Some((*alg, Parsed::Public(key)))
            };
            algorithms
                .iter()
                .map(parse)
                .collect::<Option<_>>()
                .map(Self)
        }

        pub(in super::super) fn serves(&self, alg: Algorithm) -> bool {
            self.0.iter().any(|(own, _)| *own == alg)
        }

        pub(in super::super) fn verify(
            &self,
            alg: Algorithm,
            message: &[u8],
            signature: &[u8],
        ) -> bool {
            let parsed = self.0.iter().find(|(own, _)| *own == alg);
            match parsed {
                Some((_, Parsed::Hmac(key))) => hmac::verify(key, message, signature).is_ok(),
                Some((_, Parsed::Public(key))) => key.verify_sig(message, signature).is_ok(),
                None => false,
            }
        }
    }

    fn rsa_parameters(alg: Algorithm) -> Option<&'static RsaParameters> {
        Some(match alg {
            Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        })
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
mod rust_crypto {
    use std::sync::Arc;

    use jsonwebtoken::DecodingKey;
    // Named, never jsonwebtoken's process-wide default: that one panics when another crate
    // of the build turns on the second backend.
    use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;

    use super::super::algorithm::Algorithm;
    use super::super::material::Material;

    /// A key, and the algorithms it may serve.
    #[derive(Clone)]
    pub(in super::super) struct Prepared(Arc<(DecodingKey, Box<[Algorithm]>)>);

    impl Prepared {
        /// `algorithms` are of the HMAC family.
        pub(in super::super) fn hmac(secret: &[u8], algorithms: &[Algorithm]) -> Self {
            Self::new(DecodingKey::from_secret(secret), algorithms)
        }

        /// `algorithms` are of the key's family. `None`: the key is not valid.
        pub(in super::super) fn public(
            material: &Material,
            algorithms: &[Algorithm],
        ) -> Option<Self> {
            // The verifiers parse a key at each use, so an invalid one is found here, once.
            let key = match material {
                Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
                Material::P256(point) => {
                    p256::PublicKey::from_sec1_bytes(point).ok()?;
                    DecodingKey::from_ec_der(point)
                }
                Material::P384(point) => {
                    p384::PublicKey::from_sec1_bytes(point).ok()?;
                    DecodingKey::from_ec_der(point)
                }
                // Neither jsonwebtoken nor a crate it brings verifies with it.
                Material::P521(_) => return None,
                Material::Ed25519(point) => {
                    ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
                    DecodingKey::from_ed_der(point)
                }
            };
            Some(Self::new(key, algorithms))
        }

        fn new(key: DecodingKey, algorithms: &[Algorithm]) -> Self {
            Self(Arc::new((key, algorithms.into())))
        }

        pub(in super::super) fn serves(&self, alg: Algorithm) -> bool {
            self.0.1.contains(&alg)
        }

        pub(in super::super) fn verify(
            &self,
            alg: Algorithm,
            message: &[u8],
            signature: &[u8],
        ) -> bool {
            let (key, algorithms) = &*self.0;
            let Some(theirs) = theirs(alg).filter(|_| algorithms.contains(&alg)) else {
                return false;
            };
            (DEFAULT_PROVIDER.verifier_factory)(&theirs, key)
                .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
        }
    }

    /// `None`: jsonwebtoken does not know it.
    fn theirs(alg: Algorithm) -> Option<jsonwebtoken::Algorithm> {
        use jsonwebtoken::Algorithm as Theirs;
        Some(match alg {
            Algorithm::HS256 => Theirs::HS256,
            Algorithm::HS384 => Theirs::HS384,
            Algorithm::HS512 => Theirs::HS512,
            Algorithm::RS256 => Theirs::RS256,
            Algorithm::RS384 => Theirs::RS384,
            Algorithm::RS512 => Theirs::RS512,
            Algorithm::PS256 => Theirs::PS256,
            Algorithm::PS384 => Theirs::PS384,
            Algorithm::PS512 => Theirs::PS512,
            Algorithm::ES256 => Theirs::ES256,
            Algorithm::ES384 => Theirs::ES384,
            Algorithm::ES512 => return None,
            Algorithm::EdDSA => Theirs::EdDSA,
        })
    }
}
