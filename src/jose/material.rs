//! Public key material, read from PEM, DER or JWK and judged before it verifies anything.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, DecodingKeyKind};
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Family};

/// RFC 7518 section 3.3 asks for 2048 bits at least; above 8192 a check takes too long.
/// RustCrypto ends at 4096: a longer key would be taken, and then verify nothing.
const RSA_BITS: std::ops::RangeInclusive<usize> = if cfg!(feature = "aws-lc-rs") {
    2048..=8192
} else {
    2048..=4096
};

/// A public key in its parts, with nothing more known of it than its form.
#[derive(Clone)]
pub(crate) enum Material {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point, `04 || x || y`.
    P256([u8; 65]),
    P384([u8; 97]),
    P521([u8; 133]),
    Ed25519([u8; 32]),
}

impl Material {
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Rsa { .. } => Family::Rsa,
            Self::P256(_) => Family::P256,
            Self::P384(_) => Family::P384,
            Self::P521(_) => Family::P521,
            Self::Ed25519(_) => Family::Ed25519,
        }
    }

    /// Equal for equal keys, and only for them.
    pub(crate) fn digest(&self) -> [u8; 32] {
        use crate::crypto::sha256;

        match self {
            Self::Rsa { n, e } => sha256(&[b"rsa", &(n.len() as u64).to_be_bytes(), n, e]),
            Self::P256(point) => sha256(&[b"p256", point]),
            Self::P384(point) => sha256(&[b"p384", point]),
            Self::P521(point) => sha256(&[b"p521", point]),
            Self::Ed25519(point) => sha256(&[b"ed25519", point]),
        }
    }

    /// Reads `PUBLIC KEY` (SubjectPublicKeyInfo), `RSA PUBLIC KEY` (PKCS#1) or `CERTIFICATE`.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        // A private key would be accepted by the readers below, and its owner should know.
        if String::from_utf8_lossy(pem).contains("PRIVATE KEY") {
            return Err(
                "this is a private key; configure the public key, and treat the private one \
                 as leaked if it was sent here by mistake"
                    .to_owned(),
            );
        }
        let readers = [
            DecodingKey::from_rsa_pem,
            DecodingKey::from_ec_pem,
            DecodingKey::from_ed_pem,
        ];
        let key = readers
            .into_iter()
            .find_map(|read| read(pem).ok())
            .ok_or("this is no PEM of an RSA, EC or Ed25519 public key")?;
        match (key.family(), key.kind()) {
            (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(pkcs1)) => {
                // A reader may take a SubjectPublicKeyInfo here as well, one that an algorithm
                // identifier limits to RSASSA-PSS included.
                let (n, e) = Some(&pkcs1[..])
                    .filter(|der| starts_with_integer(der))
                    .and_then(rsa_components)
                    .ok_or(
                        "the RSA key inside is malformed, or longer than the backend can read",
                    )?;
                Self::rsa(&n, &e)
            }
            (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => Self::ec(point),
            (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(point)) => Self::ed25519(point),
            _ => Err("this kind of key is not supported".to_owned()),
        }
    }

    /// Reads the DER of a SubjectPublicKeyInfo, or of a PKCS#1 RSA public key.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, String> {
        let armored = |label| {
            let body = STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        ["PUBLIC KEY", "RSA PUBLIC KEY"]
            .into_iter()
            .find_map(|label| Self::from_pem(armored(label).as_bytes()).ok())
            .ok_or_else(|| "this is no DER of an RSA, EC or Ed25519 public key".to_owned())
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, String> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n
            .first()
            .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(format!(
                "the RSA key has {bits} bits; between {} and {} are accepted",
                RSA_BITS.start(),
                RSA_BITS.end()
            ));
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        // An exponent of 1 makes every message its own signature. Both backends stop at 33
        // bits, as a larger one only costs time, but not both before the first signature.
        let fits_33_bits = e.len() < 5 || (e.len() == 5 && e[0] == 1);
        let exponent_fits = fits_33_bits && e != [1] && odd(e);
        if !exponent_fits || !odd(n) {
            return Err("the RSA key has an unusable modulus or exponent".to_owned());
        }
        Ok(Self::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
        })
    }

    fn ec(point: &[u8]) -> Result<Self, String> {
        if let Ok(point) = <[u8; 65]>::try_from(point) {
            Ok(Self::P256(point))
        } else if let Ok(point) = <[u8; 97]>::try_from(point) {
            Ok(Self::P384(point))
        } else if let Ok(point) = <[u8; 133]>::try_from(point) {
            match cfg!(feature = "aws-lc-rs") {
                true => Ok(Self::P521(point)),
                false => Err(
                    "keys on P-521 verify with the backend `aws-lc-rs` alone: turn on that feature"
                        .to_owned(),
                ),
            }
        } else {
            Err(
                "the EC key is on none of P-256, P-384 and P-521, or its point is compressed"
                    .to_owned(),
            )
        }
    }

    fn ed25519(point: &[u8]) -> Result<Self, String> {
        let point: [u8; 32] = point
            .try_into()
            .map_err(|_| "the key is not of Ed25519".to_owned())?;
        if has_small_order(&point) {
            return Err("the Ed25519 key is a point of small order".to_owned());
        }
        Ok(Self::Ed25519(point))
    }
}

/// Whether an Ed25519 key is one of the points of order 1, 2, 4 and 8, in any encoding: with
/// such a key a signer without a private one can sign, as with an RSA exponent of 1. Neither
/// backend refuses them.
fn has_small_order(point: &[u8; 32]) -> bool {
    // The y coordinates of order 8, little-endian; the top bit is the sign of x.
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *point;
    y[31] &= 0x7f;
    let (first, rest) = (y[0], &y[1..]);
    // 0 and 1; p - 1, and p and p + 1, which stand for 0 and 1.
    let near_zero = first <= 1 && rest.iter().all(|byte| *byte == 0);
    let near_p = matches!(first, 0xec..=0xee)
        && y[31] == 0x7f
        && rest[..30].iter().all(|byte| *byte == 0xff);
    near_zero || near_p || ORDER_8.contains(&y)
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyUse {
    /// Its `use` is `sig`, or not there (RFC 7517 section 4.2).
    Signatures,
    /// Its `use` is `jwt-svid`: it is one of a SPIFFE trust bundle (JWT-SVID section 6.1).
    #[cfg(feature = "oauth")]
    JwtSvids,
}

#[cfg(feature = "oauth")]
impl KeyUse {
    pub(crate) const JWT_SVID: &'static str = "jwt-svid";
}

/// A JSON Web Key (RFC 7517) that can verify signatures.
pub(crate) struct JwkParts {
    pub(crate) material: Material,
    pub(crate) kid: Option<Box<str>>,
    pub(crate) alg: Option<Algorithm>,
}

/// Members only private keys have (RFC 7518 section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl JwkParts {
    /// Whether it has what only the signer should know, symmetric keys included.
    pub(crate) fn is_secret(jwk: &Map<String, Value>) -> bool {
        let has = |name: &&str| jwk.get(*name).is_some_and(|value| !value.is_null());
        PRIVATE.iter().any(has)
    }

    pub(crate) fn read(jwk: &Map<String, Value>, key_use: KeyUse) -> Result<Self, String> {
        // Some servers write `null` for what they have not.
        let text = |name: &str| match jwk.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{name}` is not a string")),
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| format!("`{name}` is missing"));
        let bytes = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(needed(name)?)
                .map_err(|_| format!("`{name}` is not base64url"))
        };

        let kty = needed("kty")?;
        if kty == "oct" {
            return Err("a symmetric key has no place among public keys".to_owned());
        }
        if Self::is_secret(jwk) {
            return Err("it is a private key".to_owned());
        }
        match (key_use, text("use")?) {
            (KeyUse::Signatures, None | Some("sig")) => {}
            (KeyUse::Signatures, Some(_)) => return Err("its `use` is not `sig`".to_owned()),
            #[cfg(feature = "oauth")]
            (KeyUse::JwtSvids, Some(KeyUse::JWT_SVID)) => {}
            #[cfg(feature = "oauth")]
            (KeyUse::JwtSvids, _) => return Err("its `use` is not `jwt-svid`".to_owned()),
        }
        match jwk.get("key_ops") {
            None | Some(Value::Null) => {}
            Some(Value::Array(operations)) if operations.is_empty() => {}
            Some(Value::Array(operations)) if operations.iter().any(|op| op == "verify") => {}
            Some(_) => return Err("its `key_ops` do not list `verify`".to_owned()),
        }
        let material = match (kty, text("crv")?) {
            ("RSA", _) => Material::rsa(&bytes("n")?, &bytes("e")?)?,
            ("EC", Some(crv @ ("P-256" | "P-384" | "P-521"))) => {
                // RFC 7518 section 6.2.1.2: coordinates have the full length of the field.
                let size = match crv {
                    "P-256" => 32,
                    "P-384" => 48,
                    _ => 66,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != size || y.len() != size {
                    return Err(format!("a coordinate of {crv} has {size} bytes"));
                }
                Material::ec(&[&[4], &x[..], &y[..]].concat())?
            }
            ("OKP", Some("Ed25519")) => Material::ed25519(&bytes("x")?)?,
            _ => return Err("its `kty` and `crv` are none this crate verifies with".to_owned()),
        };
        let alg = match text("alg")? {
            None => None,
            Some(name) => match Algorithm::from_name(name) {
                Some(alg) if alg.family() == material.family() => Some(alg),
                _ => return Err("its `alg` is unknown or does not fit its `kty`".to_owned()),
            },
        };
        let kid = text("kid")?;
        #[cfg(feature = "oauth")]
        if key_use == KeyUse::JwtSvids && kid.is_none_or(str::is_empty) {
            return Err("it has no `kid`, which a key of JWT-SVIDs must have".to_owned());
        }
        Ok(Self {
            material,
            kid: kid.map(Into::into),
            alg,
        })
    }
}

/// Modulus and exponent of a PKCS#1 public key.
fn rsa_components(pkcs1: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    // Named, never jsonwebtoken's process-wide default: that one panics when another crate
    // of the build turns on the second backend.
    #[cfg(feature = "aws-lc-rs")]
    use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
    #[cfg(not(feature = "aws-lc-rs"))]
    use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;

    (DEFAULT_PROVIDER
        .key_utils
        .rsa_pub_components_from_public_key)(pkcs1)
    .ok()
}

/// Whether the DER is a SEQUENCE that starts with an INTEGER, as PKCS#1 has it.
fn starts_with_integer(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else {
        return false;
    };
    let more = if *length < 0x80 { 0 } else { length & 0x7f };
    rest.get(usize::from(more)) == Some(&0x02)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().take_while(|byte| **byte == 0).count();
    &number[start..]
}
