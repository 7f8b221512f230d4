//! Which provider of a layer a credential goes to.

use super::CredentialMatcher;
use super::info::ProviderInfo;
use crate::credential::{Credential, Location, looks_like_jwt};
use crate::error::{AuthError, Reason};
#[cfg(feature = "jwt")]
use crate::{
    jose::TokenLimits,
    token::{Peeked, peek_issuer, peek_key_id},
    util::quoted,
};

/// The matchers of all providers behind a layer, and the places they read.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    /// Each once.
    pub(super) locations: Vec<Location>,
    matchers: Vec<CredentialMatcher>,
    /// How the providers are called, by their number.
    names: Vec<&'static str>,
    /// Whether JWTs may be told apart by the keys they name.
    #[cfg(feature = "jwt")]
    by_key_id: bool,
}

impl Routes {
    pub(super) fn new(info: &ProviderInfo) -> Self {
        let matchers = info.numbered();
        let mut locations: Vec<Location> = Vec::new();
        for matcher in &matchers {
            if !locations.contains(matcher.location()) {
                locations.push(matcher.location().clone());
            }
        }
        Self {
            locations,
            names: info.names.clone(),
            #[cfg(feature = "jwt")]
            by_key_id: matchers.iter().any(CredentialMatcher::has_key_ids),
            matchers,
        }
    }

    pub(super) fn name(&self, leaf: usize) -> &'static str {
        self.names[leaf]
    }

    /// The number of the provider that a credential goes to. Prefixes come first, because
    /// nothing but a provider's own credentials has one.
    pub(super) fn leaf(&self, credential: &Credential<'_>) -> Result<usize, AuthError> {
        let here = || {
            let matchers = self.matchers.iter();
            matchers.filter(|matcher| matcher.is_at(credential.location()))
        };
        if self.names.len() == 1 {
            let takes = |matcher: &CredentialMatcher| {
                !matcher.is_prefixed() || matcher.has_prefix_of(credential)
            };
            return match here().any(takes) {
                true => Ok(0),
                false => Err(self.unaccepted(0, credential)),
            };
        }
        if let Some(own) = here().find(|matcher| matcher.has_prefix_of(credential)) {
            return Ok(own.leaf);
        }
        // A key in the header for tokens may be a good one, and a provider of tokens may show it
        // to an authorization server.
        if self
            .matchers
            .iter()
            .any(|matcher| matcher.misses(credential))
        {
            return Err(misplaced());
        }
        let first = here().next().map_or(0, |matcher| matcher.leaf);
        let is_read_by_one = here().all(|matcher| matcher.leaf == first);
        let mut open = here().filter(|matcher| !matcher.is_prefixed());
        match open.next().map(|matcher| matcher.leaf) {
            Some(one) if is_read_by_one || open.all(|matcher| matcher.leaf == one) => Ok(one),
            #[cfg(feature = "jwt")]
            Some(first) => self.leaf_by_form(credential, first),
            // Only tokens are told apart by more than header and prefix.
            #[cfg(not(feature = "jwt"))]
            Some(first) => Ok(first),
            None if is_read_by_one => Err(self.unaccepted(first, credential)),
            None => Err(
                AuthError::new(Reason::UNACCEPTED_CREDENTIAL).with_detail(format!(
                    "the credential in {} has the form of no provider that reads there",
                    credential.location()
                )),
            ),
        }
    }

    /// The provider of a credential that several read without a prefix: by issuer, key or form.
    #[cfg(feature = "jwt")]
    fn leaf_by_form(&self, credential: &Credential<'_>, first: usize) -> Result<usize, AuthError> {
        let open = || {
            let matchers = self.matchers.iter();
            matchers
                .filter(|matcher| matcher.is_at(credential.location()) && !matcher.is_prefixed())
        };
        let leaf = |of: &dyn Fn(&CredentialMatcher) -> bool| {
            let found = open().find(|matcher| of(matcher));
            found.map(|matcher| matcher.leaf)
        };
        // As long as the one that reads the longest lets them be.
        let jwts = open().filter(|matcher| matcher.is_jwt());
        let limits = jwts
            .map(CredentialMatcher::limits)
            .reduce(|one, other| TokenLimits {
                token: one.token.max(other.token),
                header: one.header.max(other.header),
            });
        let limits = limits.unwrap_or_default();
        let token = credential.as_bytes();
        match peek_issuer(token, limits) {
            // The first that reads JWTs says what is wrong with it.
            Peeked::NotJws => Ok(leaf(&CredentialMatcher::is_opaque).unwrap_or(first)),
            Peeked::Unreadable => Ok(leaf(&CredentialMatcher::is_jwt).unwrap_or(first)),
            Peeked::From { iss, trust_domain } => {
                let issuer = iss.as_deref().or(trust_domain.as_deref());
                let is_from = |matcher: &CredentialMatcher| matcher.is_from(issuer);
                let kid = match self.by_key_id {
                    true => peek_key_id(token, limits),
                    false => None,
                };
                // One that names a key of no provider is refused by the first.
                leaf(&|matcher| is_from(matcher) && matcher.knows_key(kid.as_deref()))
                    .or_else(|| leaf(&is_from))
                    .ok_or_else(|| unknown_issuer(iss.as_deref()))
            }
        }
    }

    /// A credential that is of no kind its provider accepts.
    fn unaccepted(&self, leaf: usize, credential: &Credential<'_>) -> AuthError {
        let form = match looks_like_jwt(credential.as_bytes()) {
            true => ", and has the form of a JWT: a token in the place of another credential?",
            false => ": it may begin with another prefix",
        };
        AuthError::new(Reason::UNACCEPTED_CREDENTIAL).with_detail(format!(
            "the credential in {} is none of those that {} takes{form}",
            credential.location(),
            self.name(leaf)
        ))
    }
}

/// A credential in another header than its provider reads.
fn misplaced() -> AuthError {
    AuthError::new(Reason::MISPLACED_CREDENTIAL)
        .with_detail("it has the prefix of a provider that reads another header")
}

/// A JWT that is from no issuer of any provider.
#[cfg(feature = "jwt")]
fn unknown_issuer(issuer: Option<&str>) -> AuthError {
    let Some(issuer) = issuer else {
        return AuthError::new(Reason::MISSING_ISSUER).with_detail("the token has no iss");
    };
    let detail = format!("{} is an issuer of none of the providers", quoted(issuer));
    AuthError::new(Reason::ISSUER_MISMATCH)
        .unproven()
        .with_detail(detail)
}
