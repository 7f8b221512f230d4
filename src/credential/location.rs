//! Where a credential is looked for: a header and its scheme.

use std::fmt;
use std::hash::{Hash, Hasher};

use http::HeaderName;
use http::header::AUTHORIZATION;

/// Where a provider looks for its credential: a header, and the scheme before the value.
///
/// Two are equal whatever the case of their schemes.
#[derive(Clone, Debug)]
pub struct Location {
    pub(super) header: HeaderName,
    pub(super) scheme: Option<&'static str>,
}

impl Location {
    /// `Authorization: Bearer …` ([RFC 6750 section 2.1]).
    ///
    /// [RFC 6750 section 2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    pub fn bearer() -> Self {
        Self::scheme(AUTHORIZATION, "Bearer")
    }

    /// A header with the value `scheme`, spaces, and the credential. The scheme matches
    /// without regard to ASCII case; a value of another scheme is no credential.
    pub fn scheme(header: HeaderName, scheme: &'static str) -> Self {
        Self {
            header,
            scheme: Some(scheme),
        }
    }

    /// A header with the credential as its whole value.
    pub fn bare(header: HeaderName) -> Self {
        Self {
            header,
            scheme: None,
        }
    }

    /// The header.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether one reads the whole header, and the other what follows a scheme in it.
    pub(crate) fn is_at_odds_with(&self, other: &Self) -> bool {
        self.header == other.header && self.scheme.is_some() != other.scheme.is_some()
    }
}

// By hand, because schemes compare without regard to case.
impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        // As a rule it is the provider's own, read back from a credential.
        std::ptr::eq(self, other)
            || self.header == other.header
                && match (self.scheme, other.scheme) {
                    (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                    (one, other) => one == other,
                }
    }
}

impl Eq for Location {}

impl Hash for Location {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.header.hash(state);
        self.scheme.map(str::to_ascii_lowercase).hash(state);
    }
}

/// As a message names it: `authorization: Bearer`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Some(scheme) => write!(f, "{}: {scheme}", self.header),
            None => self.header.fmt(f),
        }
    }
}
