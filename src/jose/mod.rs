//! Verifying one compact JWS ([RFC 7515], [RFC 7519]): keys, algorithms, and the profile a
//! token must fit.
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
mod base64url;
mod claims;
mod compact;
mod faults;
mod json;
mod key;
mod kinds;
mod known_headers;
mod limits;
mod material;
mod peek;
mod profile;
// Only a server that is trusted by its issuer has any.
#[cfg_attr(not(feature = "oauth"), allow(dead_code))]
mod quirks;
// The same.
#[cfg_attr(not(feature = "oauth"), allow(dead_code, unreachable_pub))]
pub(crate) mod required;
#[cfg(feature = "oauth")]
mod signing;

pub use self::algorithm::Algorithm;
pub use self::key::{PublicKey, Secret};
#[cfg(feature = "oauth")]
#[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
pub use self::signing::SigningKey;

pub(crate) use self::algorithm::Family;
pub(crate) use self::claims::{Claims, ScopeClaim};
pub(crate) use self::compact::{Compact, Header, HeaderBuffer, PayloadBuffer};
#[cfg(feature = "oauth")]
pub(crate) use self::compact::{Typ, is_jws, may_be_jws};
pub(crate) use self::faults::Proven;
pub(crate) use self::json::object;
pub(crate) use self::key::{Candidates, KeySource, VerifyingKey, select};
#[cfg(feature = "oauth")]
pub(crate) use self::key::{KeyIdentity, UNKNOWN_KEY, crowded};
#[cfg(feature = "oauth")]
pub(crate) use self::kinds::is_other as is_other_kind;
pub(crate) use self::known_headers::KnownHeaders;
pub(crate) use self::limits::TokenLimits;
pub(crate) use self::material::JwkParts;
pub(crate) use self::peek::{Peeked, may_begin_jws, peek_issuer, peek_key_id};
pub(crate) use self::profile::{Audience, TokenProfile, check_algorithm, check_scopes, wrong_kind};
#[cfg(feature = "oauth")]
pub(crate) use self::profile::{Mark, mismatch};
#[cfg(feature = "oauth")]
pub(crate) use self::quirks::{Clients, Quirks, ScopeMapping};
#[cfg(feature = "oauth")]
pub(crate) use self::required::Required;
