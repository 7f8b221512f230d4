//! Which credentials a provider takes, told by nothing but their form.

#[cfg(feature = "jwt")]
use std::sync::Arc;

use crate::credential::{Credential, Location};
use crate::error::ConfigError;
#[cfg(feature = "jwt")]
use crate::{jose, token};

/// Credentials of one form in one header, which a provider takes: what tells the providers
/// behind one layer apart.
///
/// What no other provider has the form of may be given to any that reads there, which must
/// refuse it without showing it to another party. See
/// [`ProviderInfo::matcher`](super::ProviderInfo::matcher).
///
/// ```
/// use tower_mcp_auth::Location;
/// use tower_mcp_auth::auth::CredentialMatcher;
///
/// // `Authorization: Bearer badge-…`
/// let badges = CredentialMatcher::prefixed(Location::bearer(), "badge-");
/// # let _ = badges;
/// ```
#[derive(Clone, Debug)]
pub struct CredentialMatcher {
    location: Location,
    form: Form,
    /// The keys its JWTs name, where those that name others are not this provider's.
    #[cfg(feature = "jwt")]
    key_ids: Option<Vec<Arc<str>>>,
    /// How messages call the provider.
    pub(super) owner: Option<&'static str>,
    /// The number of the provider among those behind a layer.
    pub(super) leaf: usize,
    /// How long its JWTs may be.
    #[cfg(feature = "jwt")]
    limits: jose::TokenLimits,
}

#[derive(Clone, Debug)]
enum Form {
    Any,
    Prefixed(Box<str>),
    /// `None`: of any issuer.
    #[cfg(feature = "jwt")]
    Jwt(Option<Vec<Arc<str>>>),
    #[cfg(feature = "jwt")]
    Opaque,
}

impl CredentialMatcher {
    /// All that stands there. No other provider can take anything from the same place.
    pub fn any(location: Location) -> Self {
        Self::new(location, Form::Any)
    }

    /// What begins with `prefix`, which is no secret. It goes to this provider whatever
    /// follows. Several prefixes are several matchers; everything begins with an empty one.
    pub fn prefixed(location: Location, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into().into_boxed_str();
        if prefix.is_empty() {
            return Self::any(location);
        }
        Self::new(location, Form::Prefixed(prefix))
    }

    /// JWTs with one of these issuers in `iss`, which is read without trust: the provider
    /// must check it. Where a JWT has no `iss` and its `sub` is a SPIFFE ID, the trust domain in
    /// that (`spiffe://example.org`) counts as the issuer.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn jwt_from<I>(location: Location, issuers: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Arc<str>>,
    {
        let issuers = issuers.into_iter().map(Into::into).collect();
        Self::new(location, Form::Jwt(Some(issuers)))
    }

    /// JWTs, wherever they are from.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn any_jwt(location: Location) -> Self {
        Self::new(location, Form::Jwt(None))
    }

    /// What is no JWT, and has no provider's prefix.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn opaque(location: Location) -> Self {
        Self::new(location, Form::Opaque)
    }

    fn new(location: Location, form: Form) -> Self {
        Self {
            location,
            form,
            #[cfg(feature = "jwt")]
            key_ids: None,
            owner: None,
            leaf: 0,
            #[cfg(feature = "jwt")]
            limits: jose::TokenLimits::DEFAULT,
        }
    }

    /// JWTs that name one of these keys, or none.
    #[cfg(feature = "jwt")]
    pub(crate) fn with_key_ids(mut self, key_ids: Option<Vec<Arc<str>>>) -> Self {
        self.key_ids = key_ids;
        self
    }

    #[cfg(feature = "jwt")]
    pub(super) fn has_key_ids(&self) -> bool {
        self.key_ids.is_some()
    }

    /// Whether a JWT that names this key is this provider's.
    #[cfg(feature = "jwt")]
    pub(super) fn knows_key(&self, kid: Option<&str>) -> bool {
        match (&self.key_ids, kid) {
            (Some(own), Some(kid)) => own.iter().any(|own| **own == *kid),
            _ => true,
        }
    }

    /// Whether no JWT names a key of both.
    #[cfg(feature = "jwt")]
    fn has_other_keys_than(&self, other: &Self) -> bool {
        match (&self.key_ids, &other.key_ids) {
            (Some(one), Some(two)) => !one.iter().any(|kid| two.contains(kid)),
            _ => false,
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    pub(super) fn is_at(&self, location: &Location) -> bool {
        self.location == *location
    }

    /// Whether the prefix alone makes a credential this provider's.
    pub(super) fn has_prefix_of(&self, credential: &Credential<'_>) -> bool {
        matches!(&self.form, Form::Prefixed(prefix)
            if credential.as_bytes().starts_with(prefix.as_bytes()))
    }

    /// Whether a credential that stands elsewhere has the mark of this provider's. One that a
    /// JWT can begin with marks nothing.
    pub(super) fn misses(&self, credential: &Credential<'_>) -> bool {
        let Form::Prefixed(prefix) = &self.form else {
            return false;
        };
        #[cfg(feature = "jwt")]
        let marks = !token::may_begin_jws(prefix);
        #[cfg(not(feature = "jwt"))]
        let marks = !prefix.is_empty();
        marks && !self.is_at(credential.location()) && self.has_prefix_of(credential)
    }

    pub(super) fn is_prefixed(&self) -> bool {
        matches!(self.form, Form::Prefixed(_))
    }

    #[cfg(feature = "jwt")]
    pub(super) fn is_jwt(&self) -> bool {
        matches!(self.form, Form::Jwt(_))
    }

    /// The same, for a provider that reads longer or shorter JWTs.
    #[cfg(feature = "jwt")]
    pub(crate) fn within(mut self, limits: jose::TokenLimits) -> Self {
        self.limits = limits;
        self
    }

    #[cfg(feature = "jwt")]
    pub(super) fn limits(&self) -> jose::TokenLimits {
        self.limits
    }

    #[cfg(feature = "jwt")]
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.form, Form::Opaque)
    }

    /// Whether a JWT that says it is from `issuer` is this provider's.
    #[cfg(feature = "jwt")]
    pub(super) fn is_from(&self, issuer: Option<&str>) -> bool {
        match &self.form {
            Form::Jwt(None) => true,
            Form::Jwt(Some(own)) => own.iter().any(|own| issuer == Some(&**own)),
            _ => false,
        }
    }

    /// Refuses two matchers that one credential can have.
    pub(super) fn check_disjoint(&self, other: &Self) -> Result<(), ConfigError> {
        if self.location.is_at_odds_with(&other.location) {
            return Err(self.conflict(
                other,
                "header_name",
                "one reads the whole header and the other a scheme in it: let them read \
                 different headers",
            ));
        }
        if self.location != other.location {
            return Ok(());
        }
        match (&self.form, &other.form) {
            (Form::Any, _) | (_, Form::Any) => Err(self.conflict(
                other,
                "prefix",
                "a credential must not reach the wrong one: let the one that takes anything \
                 read another header, or give its credentials a prefix (`.prefix(..)`)",
            )),
            (Form::Prefixed(one), Form::Prefixed(two))
                if one.starts_with(&**two) || two.starts_with(&**one) =>
            {
                Err(self.conflict(
                    other,
                    "prefix",
                    "one prefix begins with the other: choose prefixes of which neither does",
                ))
            }
            #[cfg(feature = "jwt")]
            (Form::Prefixed(prefix), Form::Jwt(_)) | (Form::Jwt(_), Form::Prefixed(prefix))
                if token::may_begin_jws(prefix) =>
            {
                Err(self.conflict(
                    other,
                    "prefix",
                    "a JWT can begin like that (it begins with `ey`): choose another prefix",
                ))
            }
            #[cfg(feature = "jwt")]
            (Form::Jwt(one), Form::Jwt(two)) => match (one, two) {
                (Some(one), Some(two)) if !one.iter().any(|issuer| two.contains(issuer)) => Ok(()),
                _ if self.has_other_keys_than(other) => Ok(()),
                _ => Err(self.conflict(
                    other,
                    "issuer",
                    "a JWT is told by its issuer, or by the key it names: give each its own \
                     (`.issuer(..)`, or `.key_id(..)` to every key), or let them read different \
                     headers",
                )),
            },
            #[cfg(feature = "jwt")]
            (Form::Opaque, Form::Opaque) => Err(self.conflict(
                other,
                "token_prefix",
                "nothing tells the opaque tokens of one from the other's: set `token_prefix`",
            )),
            _ => Ok(()),
        }
    }

    fn conflict(&self, other: &Self, setting: &'static str, fix: &str) -> ConfigError {
        ConfigError::new(
            setting,
            format!("{} and {}; {fix}", self.described(), other.described()),
        )
    }

    fn described(&self) -> String {
        let owner = self.owner.unwrap_or("a provider");
        let form = match &self.form {
            Form::Any => "anything".to_owned(),
            Form::Prefixed(prefix) => format!("what begins with {prefix:?}"),
            #[cfg(feature = "jwt")]
            Form::Jwt(None) => "JWTs of any issuer".to_owned(),
            #[cfg(feature = "jwt")]
            Form::Jwt(Some(issuers)) => format!("JWTs of {issuers:?}"),
            #[cfg(feature = "jwt")]
            Form::Opaque => "any opaque token".to_owned(),
        };
        format!("{owner} takes {form} in `{}`", self.location)
    }
}
