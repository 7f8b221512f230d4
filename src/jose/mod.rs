//! Verifying one compact JWS ([RFC 7515], [RFC 7519]): keys, algorithms and signatures.
//!
//! What a token must say is not judged here.
//!
//! Header and claims are read once, by this crate. The backend (feature `aws-lc-rs`, or
//! `rust-crypto` where that is off) checks signatures and nothing else.
//!
//! ```
//! use tower_mcp_auth::jose::{PublicKey, Secret};
//!
//! // A secret and a public key are different types, and neither is guessed from bytes.
//! assert!(Secret::new("too short").is_err());
//! assert!(Secret::new(b"\x5c\x1f\x8a\x90\xee\x07\x41\xc3\x9b\x22\x6d\xf4\x38\xa5\x0b\xd7\
//!                       \x63\xbe\x15\xc8\x72\x2f\x94\xda\x06\x81\xfb\x4e\xa9\x30\xd5\x67").is_ok());
//! assert!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----").is_err());
//! ```
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7519]: https://www.rfc-editor.org/rfc/rfc7519

mod algorithm;
mod backend;
mod compact;
mod key;
mod limits;
mod material;
#[cfg(feature = "oauth")]
mod signing;

pub use self::algorithm::Algorithm;
pub use self::key::{PublicKey, Secret};
#[cfg(feature = "oauth")]
#[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
pub use self::signing::SigningKey;

pub(crate) use self::algorithm::Family;
#[cfg(test)]
pub(crate) use self::compact::begins_like_object;
#[cfg(feature = "oauth")]
pub(crate) use self::compact::may_be_jws;
pub(crate) use self::compact::{
    Alg, Compact, Header, HeaderBuffer, PayloadBuffer, SignatureBuffer, Typ, is_jws, refused,
};
pub(crate) use self::key::{Candidates, KeySource, VerifyingKey, select};
#[cfg(feature = "oauth")]
pub(crate) use self::key::{KeyIdentity, crowded};
pub(crate) use self::limits::TokenLimits;
pub(crate) use self::material::{JwkParts, KeyUse};
