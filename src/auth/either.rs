//! Two providers behind one layer, chosen by the form of the credential.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::judge::State;
use super::{AuthLayer, Authenticate, Authentication, CredentialMatcher};
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead, looks_like_jwt};
use crate::error::{AuthError, ConfigError};
use crate::refusal::Challenge;
#[cfg(feature = "jwt")]
use crate::{
    jose::TokenLimits,
    token::{Peeked, peek_issuer, peek_key_id},
    util::quoted,
};

/// Two providers behind one layer: what [`or`](AuthLayer::or) makes.
///
/// A credential goes to one of them, chosen by its matcher, and never to the other; see
/// [several providers](crate::auth#several-providers).
#[derive(Clone)]
pub struct Either<A, B> {
    left: A,
    right: B,
    routes: Arc<Routes>,
}

struct Routes {
    /// Of both, each once.
    locations: Vec<Location>,
    left: Vec<CredentialMatcher>,
    right: Vec<CredentialMatcher>,
    /// Whether JWTs may be told apart by the keys they name.
    #[cfg(feature = "jwt")]
    by_key_id: bool,
}

enum Side {
    Left,
    Right,
}

impl<A: Authenticate, B: Authenticate> Either<A, B> {
    /// Either of two providers.
    ///
    /// # Errors
    /// A credential can have the matcher of both; both protect a resource of their own, or
    /// publish its metadata; or they go by different clocks. The message names both providers,
    /// and the way out.
    pub fn new(left: A, right: B) -> Result<Self, ConfigError> {
        let mut locations = left.locations().to_vec();
        for location in right.locations() {
            if !locations.contains(location) {
                locations.push(location.clone());
            }
        }
        let (of_left, of_right) = (
            CredentialMatcher::all_of(&left),
            CredentialMatcher::all_of(&right),
        );
        let routes = Routes {
            locations,
            #[cfg(feature = "jwt")]
            by_key_id: of_left
                .iter()
                .chain(&of_right)
                .any(CredentialMatcher::has_key_ids),
            left: of_left,
            right: of_right,
        };
        for one in &routes.left {
            for other in &routes.right {
                one.check_disjoint(other)?;
            }
        }
        check_resource(&left, &right)?;
        if !left.clock().is(&right.clock()) {
            return Err(ConfigError::new(
                "clock",
                format!(
                    "{} and {} go by different clocks; give both the same",
                    left.name(),
                    right.name()
                ),
            ));
        }
        Ok(Self {
            left,
            right,
            routes: Arc::new(routes),
        })
    }

    /// The provider written first.
    pub fn left(&self) -> &A {
        &self.left
    }

    /// The provider written second: the keys of `oauth.or(api_keys)`, to replace them.
    pub fn right(&self) -> &B {
        &self.right
    }
}

/// Two resources, or two documents on one, would leave a client with half of the truth.
fn check_resource(left: &impl Authenticate, right: &impl Authenticate) -> Result<(), ConfigError> {
    let names = || format!("{} and {}", left.name(), right.name());
    if let (Some(one), Some(other)) = (left.resource_path(), right.resource_path())
        && one != other
    {
        return Err(ConfigError::new(
            "resource",
            format!(
                "{} protect different resources, at {one:?} and {other:?}; give each a layer of \
                 its own",
                names()
            ),
        ));
    }
    let publishes = |challenges: Vec<Challenge>| {
        let mut challenges = challenges.iter();
        challenges.any(Challenge::names_metadata)
    };
    if publishes(left.challenges()) && publishes(right.challenges()) {
        return Err(ConfigError::new(
            "resource",
            format!(
                "{} both publish metadata of a protected resource, and a client reads one; name \
                 all authorization servers in one `OAuthLayer::builder`",
                names()
            ),
        ));
    }
    Ok(())
}

impl Routes {
    /// Whose a credential is, by its matcher. Prefixes come first, because nothing but a
    /// provider's own credentials has one.
    fn side(&self, credential: &Credential<'_>) -> Result<Side, AuthError> {
        let here = |matcher: &&CredentialMatcher| matcher.is_at(credential.location());
        let (left, right) = (
            self.left.iter().filter(here),
            self.right.iter().filter(here),
        );
        if left
            .clone()
            .any(|matcher| matcher.has_prefix_of(credential))
        {
            return Ok(Side::Left);
        }
        if right
            .clone()
            .any(|matcher| matcher.has_prefix_of(credential))
        {
            return Ok(Side::Right);
        }
        // A key in the header for tokens may be a good one, and whoever takes tokens may show
        // it to an authorization server.
        let mut all = self.left.iter().chain(&self.right);
        if all.any(|matcher| matcher.misses(credential)) {
            return Err(misplaced());
        }
        match (left.clone().next(), right.clone().next()) {
            (Some(_), None) => return Ok(Side::Left),
            (None, Some(_)) => return Ok(Side::Right),
            _ => {}
        }
        let left = left.filter(|matcher| !matcher.is_prefixed());
        let right = right.filter(|matcher| !matcher.is_prefixed());
        match (left.clone().next(), right.clone().next()) {
            (Some(_), None) => Ok(Side::Left),
            (None, Some(_)) => Ok(Side::Right),
            #[cfg(feature = "jwt")]
            (Some(_), Some(_)) => {
                let either = |of: &dyn Fn(&CredentialMatcher) -> bool| {
                    if left.clone().any(of) {
                        Some(Side::Left)
                    } else {
                        right.clone().any(of).then_some(Side::Right)
                    }
                };
                // As long as the one that reads the longest lets them be.
                let jwts = left
                    .clone()
                    .chain(right.clone())
                    .filter(|matcher| matcher.is_jwt());
                let limits = jwts
                    .map(CredentialMatcher::limits)
                    .reduce(|one, other| TokenLimits {
                        token: one.token.max(other.token),
                        header: one.header.max(other.header),
                    });
                let limits = limits.unwrap_or_default();
                match peek_issuer(credential.as_bytes(), limits) {
                    // The first that reads JWTs says what is wrong with it.
                    Peeked::NotJws => {
                        Ok(either(&CredentialMatcher::is_opaque).unwrap_or(Side::Left))
                    }
                    Peeked::Unreadable => {
                        Ok(either(&CredentialMatcher::is_jwt).unwrap_or(Side::Left))
                    }
                    Peeked::Issuer(issuer) => {
                        let is_from =
                            |matcher: &CredentialMatcher| matcher.is_from(issuer.as_deref());
                        let kid = if self.by_key_id {
                            peek_key_id(credential.as_bytes(), limits)
                        } else {
                            None
                        };
                        // One that names a key of neither is refused by the first.
                        either(&|matcher| is_from(matcher) && matcher.knows_key(kid.as_deref()))
                            .or_else(|| either(&is_from))
                            .ok_or_else(|| nobodys(issuer.as_deref()))
                    }
                }
            }
            _ => Err(
                AuthError::invalid("unaccepted_credential").with_detail(format!(
                    "the credential in {} has the form of no provider that reads there",
                    credential.location()
                )),
            ),
        }
    }
}

/// What the one provider says whose credential it is.
fn shown(
    provider: &impl Authenticate,
    credential: &Credential<'_>,
    head: RequestHead<'_>,
) -> Authentication {
    let refused = |error| Authentication::Ready(Err(error));
    if !provider.checks_credentials()
        && let Err(error) = credential.check()
    {
        return refused(error);
    }
    match provider.accepts(credential) {
        true => provider.authenticate(credential, head),
        false => refused(credential.refused(unaccepted(provider, credential))),
    }
}

/// A credential that is of no kind its provider takes.
pub(super) fn unaccepted(provider: &impl Authenticate, credential: &Credential<'_>) -> AuthError {
    let form = match looks_like_jwt(credential.as_bytes()) {
        true => ", and has the form of a JWT: a token in the place of another credential?",
        false => ": it may begin with another prefix",
    };
    AuthError::invalid("unaccepted_credential").with_detail(format!(
        "the credential in {} is none of those that {} takes{form}",
        credential.location(),
        provider.name()
    ))
}

/// A credential in another header than its provider reads.
fn misplaced() -> AuthError {
    AuthError::invalid("misplaced_credential")
        .with_description("The credential belongs in another header")
        .with_detail("it has the prefix of a provider that reads another header")
}

/// A JWT that is from no issuer of any provider.
#[cfg(feature = "jwt")]
fn nobodys(issuer: Option<&str>) -> AuthError {
    let Some(issuer) = issuer else {
        return AuthError::invalid("missing_issuer").with_detail("the token has no iss");
    };
    AuthError::invalid("issuer_mismatch").with_detail(format!(
        "{} is an issuer of none of the providers",
        quoted(issuer)
    ))
}

impl<A: Authenticate, B: Authenticate> Authenticate for Either<A, B> {
    fn name(&self) -> &'static str {
        "Either"
    }

    fn locations(&self) -> &[Location] {
        &self.routes.locations
    }

    fn matchers(&self) -> Vec<CredentialMatcher> {
        let Routes { left, right, .. } = &*self.routes;
        left.iter().chain(right).cloned().collect()
    }

    fn reasons(&self) -> Vec<&'static str> {
        let mut reasons = self.left.reasons();
        reasons.extend(self.right.reasons());
        reasons
    }

    fn checks_credentials(&self) -> bool {
        // For the side that does not.
        true
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        match self.routes.side(credential) {
            Ok(Side::Left) => shown(&self.left, credential, head),
            Ok(Side::Right) => shown(&self.right, credential, head),
            Err(error) => Authentication::Ready(Err(credential.refused(error))),
        }
    }

    fn provider_name(&self, credential: &Credential<'_>) -> &'static str {
        match self.routes.side(credential) {
            Ok(Side::Left) => self.left.provider_name(credential),
            Ok(Side::Right) => self.right.provider_name(credential),
            Err(_) => "none",
        }
    }

    fn challenges(&self) -> Vec<Challenge> {
        Challenge::merged(self.left.challenges(), self.right.challenges())
    }

    fn answer(&self, head: RequestHead<'_>) -> Option<Response<Bytes>> {
        self.left.answer(head).or_else(|| self.right.answer(head))
    }

    fn exempts(&self, head: RequestHead<'_>) -> bool {
        self.left.exempts(head) || self.right.exempts(head)
    }

    fn resource_path(&self) -> Option<&str> {
        self.left
            .resource_path()
            .or_else(|| self.right.resource_path())
    }

    fn clock(&self) -> Clock {
        self.left.clock()
    }
}

impl<A: fmt::Debug, B: fmt::Debug> fmt::Debug for Either<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Either")
            .field(&self.left)
            .field(&self.right)
            .finish()
    }
}

impl<P: Authenticate + Clone> AuthLayer<P> {
    /// A layer that takes the credentials of `other` as well; see
    /// [several providers](crate::auth#several-providers).
    ///
    /// Set what both share (exempt paths, `forward_credential`, …) on the result: settings
    /// that differ are an error, because one of them would be lost.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    ///
    /// let web = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?;
    /// let old = ApiKeyLayer::new(["YW5vdGhlci1yYW5kb20ta2V5LTU2"])?.header_name("X-Old-Key")?;
    /// let both = web.or(old)?.public_path("/health")?;
    /// # let _ = both;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Either::new`]; or a setting is not the same on both layers.
    pub fn or<B>(
        self,
        other: impl Into<AuthLayer<B>>,
    ) -> Result<AuthLayer<Either<P, B>>, ConfigError>
    where
        B: Authenticate + Clone,
    {
        let (left, right) = (self.into_state(), other.into().into_state());
        left.settings.check_same(&right.settings)?;
        let provider = Either::new(left.provider, right.provider)?;
        let mut settings = left.settings;
        settings.grpc = settings.grpc.or(right.settings.grpc);
        settings.join_asked(&right.settings);
        settings.follow(&provider);
        settings.join_hooks(&right.settings);
        Ok(AuthLayer::from_state(State { provider, settings }))
    }
}
