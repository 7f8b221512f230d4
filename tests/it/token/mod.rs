//! The profile of access tokens: the claims and the marks that a verified JWT must have.

mod claims;
pub(crate) mod profile;
