//! The profile of access tokens (RFC 9068): claims, and what they must say.
//!
//! It holds with any verifier of the signature, and knows the marks of other kinds of tokens.

mod actors;
// Only a server that is trusted by its issuer has any.
#[cfg_attr(not(feature = "oauth"), allow(dead_code, unreachable_pub))]
pub(crate) mod binding;
mod checks;
mod claims;
mod faults;
mod kinds;
mod peek;
mod profile;
// The same.
#[cfg_attr(not(feature = "oauth"), allow(dead_code))]
mod quirks;
// The same.
#[cfg_attr(not(feature = "oauth"), allow(dead_code, unreachable_pub))]
pub(crate) mod required;
pub(crate) mod spiffe;
mod subject;
// The same.
#[cfg_attr(not(feature = "oauth"), allow(dead_code))]
mod subject_pattern;
mod typ;
pub(crate) mod well_known;

#[cfg(feature = "oauth")]
pub(crate) use self::checks::mismatch;
pub(crate) use self::checks::{check_algorithm, check_scopes, wrong_kind};
#[cfg(feature = "oauth")]
pub(crate) use self::claims::numeric_date;
pub(crate) use self::claims::{ClaimReader, ScopeClaim};
pub(crate) use self::faults::Proven;
#[cfg(feature = "oauth")]
pub(crate) use self::kinds::is_other as is_other_kind;
pub(crate) use self::peek::{Peeked, may_begin_jws, peek_issuer, peek_key_id};
#[cfg(feature = "oauth")]
pub(crate) use self::profile::Mark;
pub(crate) use self::profile::{Audience, TokenProfile};
#[cfg(feature = "oauth")]
pub(crate) use self::quirks::{Clients, Quirks, ScopeMapping};
#[cfg(feature = "oauth")]
pub(crate) use self::required::Required;
pub(crate) use self::subject::SubjectClaim;
#[cfg(feature = "oauth")]
pub(crate) use self::subject_pattern::SubjectPattern;
pub(crate) use self::typ::AcceptedTypes;
