//! The provider of access tokens: one server, or several chosen by issuer.

use std::collections::BTreeMap;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::CACHE_CONTROL;

use super::binding::{self, Binding, Bindings, Checked, DPOP, Shown};
use super::introspection::{Good, Introspector, OpaqueRoutes};
use super::keys::{KeyHealth, Waited};
use super::presented::said_to;
use super::resource::ProtectedResource;
use super::served::{Resources, Terms};
use super::server_metadata::{self, ServerMetadata};
use super::token_cache::{TokenId, Tokens};
use super::trusted::TrustedServer;
use super::verify::{Mode, Verdict};
use crate::auth::{
    Authenticate, Authenticated, Authentication, CredentialMatcher, ProviderInfo, Route,
};
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead};
use crate::error::{AuthError, Reason};
use crate::jose::TokenLimits;
use crate::refusal::{Advertised, Challenge, DPOP_NONCE};
use crate::resource::Resource;
use crate::token::{ScopeClaim, check_scopes};

/// The provider of [`OAuthLayer`](super::OAuthLayer). Clones share keys and metadata.
#[derive(Clone)]
pub struct OAuthProvider {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// As they were configured; at least one.
    pub(super) configured: Box<[ProtectedResource]>,
    pub(super) resources: Arc<Resources>,
    pub(super) advertised: Advertised,
    /// Where tokens stand.
    pub(super) location: Location,
    /// The copy of a server's metadata, where there is to be one.
    pub(super) server_metadata: Option<Arc<ServerMetadata>>,
    pub(super) servers: BTreeMap<Arc<str>, Arc<TrustedServer>>,
    /// The same by their numbers.
    pub(super) numbered: Box<[Arc<TrustedServer>]>,
    /// Where scopes are looked for before the server of the token is known.
    pub(super) scope_claim: ScopeClaim,
    pub(super) limits: TokenLimits,
    pub(super) tokens: Option<Tokens>,
    pub(super) opaque: OpaqueRoutes,
    /// What checks how tokens are presented that are bound.
    pub(super) bindings: Bindings,
    /// Whether tokens without a proof are accepted of any server.
    pub(super) takes_bearers: bool,
    pub(super) clock: Clock,
}

impl OAuthProvider {
    /// The protected resource; the first one, where there are several.
    pub fn resource(&self) -> &ProtectedResource {
        &self.inner.configured[0]
    }

    /// The protected resources, and the templates of such, in the order they were named.
    pub fn resources(&self) -> &[ProtectedResource] {
        &self.inner.configured
    }

    /// Fetches the keys of every server now, instead of with the first request.
    ///
    /// It finds the introspection endpoints as well.
    ///
    /// Later calls do it again, from where the metadata says they are by now: call it when you
    /// learn that a key was stolen, or that a server moved. A fetch that began before the call
    /// does not count.
    ///
    /// # Errors
    /// A server could not be reached, or has not what is needed: [`AuthError::detail`] names
    /// it and says why. The others were still asked, and requests go on trying by themselves.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn warm_up(&self) -> Result<(), AuthError> {
        let mut fetches = Vec::new();
        for server in self.inner.servers.values() {
            if server.has_keys() {
                let keys = Arc::clone(&server.keys);
                fetches.push(tokio::spawn(async move { keys.warm_up().await }));
            }
            if let Some(introspector) = server.introspector.clone() {
                fetches.push(tokio::spawn(async move { introspector.warm_up().await }));
            }
        }
        if let Some(copy) = self.inner.server_metadata.clone() {
            // No token waits for it, so it decides nothing here.
            fetches.push(tokio::spawn(async move {
                copy.warm_up().await;
                Ok(())
            }));
        }
        let mut outcome = Ok(());
        for fetch in fetches {
            let ended = fetch.await.unwrap_or_else(|panic| {
                let error =
                    AuthError::unavailable(Reason::KEYS_UNAVAILABLE, Duration::from_secs(1));
                Err(error.with_detail(panic.to_string()))
            });
            outcome = outcome.and(ended);
        }
        outcome
    }

    /// Drops all that is remembered of a token: the next request that brings it is judged
    /// anew, an opaque one by asking its authorization server.
    ///
    /// Call it when you learn that a token was revoked. It revokes nothing itself: a JWT
    /// that is not introspected is good until it expires. Requests that already wait for an
    /// answer still get it; those that come later do not.
    pub fn invalidate_token(&self, token: &str) {
        if let Some(tokens) = &self.inner.tokens {
            tokens.invalidate(&TokenId::of(token.as_bytes()));
        }
        for introspector in self.introspectors() {
            introspector.invalidate(token.as_bytes());
        }
    }

    /// Drops all that is remembered of all tokens; see [`invalidate_token`](Self::invalidate_token).
    pub fn invalidate_all(&self) {
        if let Some(tokens) = &self.inner.tokens {
            tokens.invalidate_all();
        }
        self.introspectors()
            .for_each(|introspector| introspector.invalidate_all());
    }

    fn introspectors(&self) -> impl Iterator<Item = &Arc<Introspector>> {
        let servers = self.inner.servers.values();
        servers.filter_map(|server| server.introspector.as_ref())
    }

    /// The state of each issuer's keys, for a readiness probe; of those that have any.
    ///
    /// A call within a Tokio runtime has keys fetched as a request does: in the background, where
    /// none may serve or a refresh is due, and after a failure no sooner than a request would. So a
    /// replica that is only probed has keys, and has them again when the issuer is back. Those of an
    /// [`issuer_template`](super::OAuthLayerBuilder::issuer_template), and of the tenants of
    /// [`entra::tenants`](super::presets::entra::tenants), are fetched by the requests of their
    /// tenants alone, because there may be thousands: leave them out of a readiness probe.
    pub fn health(&self) -> Vec<(Arc<str>, KeyHealth)> {
        let servers = self.inner.servers.iter();
        servers
            .filter(|(_, server)| server.has_keys())
            .map(|(issuer, server)| (Arc::clone(issuer), server.keys.health()))
            .collect()
    }
}

/// How far a request has come that is to wait.
enum Begun {
    Waits(Verdict),
    Presented(Good, Checked),
}

/// What is kept of a request that waits.
struct Waiting {
    shown: Shown,
    token: Vec<u8>,
    chosen: Option<Arc<Resource>>,
    mode: Mode,
}

impl OAuthProvider {
    /// One for each scheme under which tokens are taken.
    fn challenges(&self) -> Vec<Challenge> {
        if !self.inner.resources.tells_clients() {
            return Vec::new();
        }
        let mut challenge = Challenge::bearer().with_advertised(self.inner.advertised.clone());
        if let Resources::One(one) = &*self.inner.resources {
            challenge = challenge.scopes(one.terms.required_scopes.clone());
        }
        let bearer = self.inner.takes_bearers.then(|| challenge.clone());
        let bound = self.inner.bindings.proofs();
        let bound = bound.map(|_| challenge.with_proofs(binding::algorithms().join(" ")));
        bearer.into_iter().chain(bound).collect()
    }

    /// Follows what is waited for to its end.
    async fn finish(self, request: Waiting, begun: Begun) -> Result<Authenticated, AuthError> {
        let terms = self.inner.resources.terms(request.chosen.as_ref());
        let terms = terms.ok_or_else(no_resource)?;
        let (shown, token) = (&request.shown, &*request.token);
        let (good, mut checked) = match begun {
            Begun::Presented(good, checked) => (good, checked),
            Begun::Waits(verdict) => {
                let good = self.wait(token, terms, verdict, request.mode).await;
                let good = good.map_err(|error| self.refused(error, shown, token, terms))?;
                let checked = self.present(&good, shown, token, terms)?;
                (good, checked)
            }
        };
        if let Some(recording) = checked.recording.take() {
            let next = checked.next_nonce.as_ref().map(HeaderValue::to_str);
            recording.await.map_err(|error| {
                // A client with a nonce that does not help is given the one that does.
                let next = next.into_iter().flatten();
                said_to(shown, next.fold(error, AuthError::with_dpop_nonce))
            })?;
        }
        accept(good, checked, shown, terms)
    }
}

/// Judges the scopes: last, and anew for each request.
fn accept(
    good: Good,
    checked: Checked,
    shown: &Shown,
    terms: &Terms,
) -> Result<Authenticated, AuthError> {
    let principal = good.principal.by_proof(shown.is_by_proof());
    check_scopes(&terms.required_scopes, &principal).map_err(|error| said_to(shown, error))?;
    let accepted = Authenticated::until(principal, good.valid_until);
    Ok(match checked.next_nonce {
        None => accepted,
        // RFC 9449 section 8.2: no cache keeps it.
        Some(nonce) => accepted
            .response_header(DPOP_NONCE, nonce)
            .response_header(CACHE_CONTROL, HeaderValue::from_static("no-store")),
    })
}

impl Authenticate for OAuthProvider {
    fn describe(&self) -> ProviderInfo {
        let mut info = ProviderInfo::new("oauth")
            .challenges(self.challenges())
            .judges_resources()
            .clock(self.inner.clock.clone());
        info = match &*self.inner.resources {
            Resources::One(one) => info.resource(Arc::clone(&one.resource)),
            Resources::Several(several) => info.selects_resources(several.listed()),
        };
        let bound = self.inner.bindings.proofs().map(Binding::location);
        if bound.is_some() {
            info = info.consumed_header(DPOP);
        }
        for header in self.inner.bindings.certificate_headers() {
            info = info.removed_header(header);
        }
        for location in iter::once(&self.inner.location).chain(bound) {
            let issuers = self.inner.servers.keys().cloned();
            let jwts = CredentialMatcher::jwt_from(location.clone(), issuers);
            info = info.matcher(jwts.within(self.inner.limits));
            for prefix in self.inner.opaque.prefixes() {
                info = info.matcher(CredentialMatcher::prefixed(location.clone(), prefix));
            }
            if self.inner.opaque.takes_others() {
                info = info.matcher(CredentialMatcher::opaque(location.clone()));
            }
        }
        info
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        let Some(copy) = &self.inner.server_metadata else {
            return self.inner.resources.route(head);
        };
        match self.inner.resources.route(head) {
            Route::Refused(error) if server_metadata::is_of_host(&error) => Route::Refused(error),
            Route::Document(document) => Route::Document(document),
            other => match server_metadata::route(copy, head) {
                // Nothing that is no resource reaches the inner service, where there are several.
                Some(Route::Public) if self.inner.resources.are_several() => Route::Unknown,
                Some(route) => route,
                None => other,
            },
        }
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        let token = credential.as_bytes();
        let shown = self.inner.bindings.shown(credential, head);
        let mode = Mode {
            waited: Waited::No,
            needs_proof: head.needs_proof(),
        };
        let Some(terms) = self.inner.resources.terms(head.resource()) else {
            return Authentication::Ready(Err(no_resource()));
        };
        let begun = match self.verify(token, terms, mode) {
            Ok(Verdict::Good(good)) => match self.present(&good, &shown, token, terms) {
                Ok(checked) if checked.recording.is_none() => {
                    return Authentication::Ready(accept(good, checked, &shown, terms));
                }
                Ok(checked) => Begun::Presented(good, checked),
                Err(error) => return Authentication::Ready(Err(error)),
            },
            Ok(waits) => Begun::Waits(waits),
            Err(error) => {
                let error = self.refused(error, &shown, token, terms);
                return Authentication::Ready(Err(error));
            }
        };
        let request = Waiting {
            shown,
            token: token.to_vec(),
            chosen: head.resource().cloned(),
            mode,
        };
        Authentication::Pending(Box::pin(self.clone().finish(request, begun)))
    }
}

/// Another provider chose the resource of a request, so that nothing says what tokens must be for.
#[cold]
pub(super) fn no_resource() -> AuthError {
    let error = AuthError::unavailable(Reason::RESOURCE_NOT_CHOSEN, Duration::from_secs(1));
    error.with_detail("the resource of the request is none that the OAuth provider chose")
}

impl fmt::Debug for OAuthProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthProvider")
            .field("resources", &self.inner.resources)
            .field("issuers", &self.inner.servers.keys())
            .finish_non_exhaustive()
    }
}
