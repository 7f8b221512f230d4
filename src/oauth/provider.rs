use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::introspection::{self, Asked, Good, Introspector, OpaqueRoutes, Vouched};
use super::keys::{KeyHealth, Lookup, Waiting};
use super::metadata::MetadataDocument;
use super::presented::Presented;
use super::resource::ProtectedResource;
use super::token_cache::{TokenId, TokenKey, Tokens, VerifiedToken};
use super::trusted::TrustedServer;
use crate::auth::{Accepted, Authenticate, Authentication, Shape};
use crate::challenge::Challenge;
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead};
use crate::error::{AuthError, quoted};
use crate::jose::{Claims, Compact, ScopeClaim, check_scopes, is_jws, mismatch};
use crate::scopes::Scopes;
use crate::telemetry;

/// The provider of [`OAuthLayer`](super::OAuthLayer). Clones share keys and metadata.
#[derive(Clone)]
pub struct OAuth {
    pub(super) inner: Arc<Inner>,
    pub(super) required_scopes: Scopes,
}

pub(super) struct Inner {
    pub(super) resource: ProtectedResource,
    pub(super) metadata: MetadataDocument,
    pub(super) metadata_url: Arc<str>,
    pub(super) location: [Location; 1],
    pub(super) servers: HashMap<Arc<str>, Arc<TrustedServer>>,
    /// Where scopes are looked for before it is known whose token it is.
    pub(super) scope_claim: ScopeClaim,
    pub(super) tokens: Option<Tokens>,
    pub(super) opaque: OpaqueRoutes,
    pub(super) clock: Clock,
}

/// What can be said of a token now.
enum Verdict {
    Accepted(Accepted),
    /// Ask again when this fetch of keys has ended.
    Wait(Waiting),
    /// The authorization server decides; the principal is that of a JWT found good here.
    Ask(Asked, Option<Good>),
}

/// How a token is checked.
#[derive(Clone, Copy)]
struct Mode {
    /// Whether keys were waited for: nobody waits twice.
    waited: bool,
    /// Whether the signature comes before what the claims say. A fetch of keys is then made
    /// for tokens that are refused anyway.
    needs_proof: bool,
}

/// The same, before scopes are judged.
enum Anew {
    Verified(VerifiedToken),
    Wait(Waiting),
    /// There are no keys to check it with.
    Ask(Arc<Introspector>),
}

/// A JWT found good before.
struct Recalled {
    good: Good,
    /// Whom else to ask about it.
    second_opinion: Option<Arc<Introspector>>,
}

impl OAuth {
    /// The protected resource.
    pub fn resource(&self) -> &ProtectedResource {
        &self.inner.resource
    }

    /// Fetches the keys of every server now, and finds its introspection endpoint, instead of
    /// with the first request.
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
        let mut outcome = Ok(());
        for fetch in fetches {
            let ended = fetch.await.unwrap_or_else(|panic| {
                let error = AuthError::unavailable("keys_unavailable", Duration::from_secs(1));
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
    pub fn revoke(&self, token: &str) {
        if let Some(tokens) = &self.inner.tokens {
            tokens.forget(&TokenId::of(token.as_bytes()));
        }
        for introspector in self.introspectors() {
            introspector.forget(token.as_bytes());
        }
    }

    /// Drops all that is remembered of all tokens; see [`revoke`](Self::revoke).
    pub fn forget_all(&self) {
        if let Some(tokens) = &self.inner.tokens {
            tokens.forget_all();
        }
        self.introspectors()
            .for_each(|introspector| introspector.forget_all());
    }

    fn introspectors(&self) -> impl Iterator<Item = &Arc<Introspector>> {
        let servers = self.inner.servers.values();
        servers.filter_map(|server| server.introspector.as_ref())
    }

    /// The state of each issuer's keys, for a readiness probe; of those that have any.
    pub fn health(&self) -> Vec<(Arc<str>, KeyHealth)> {
        let mut health: Vec<_> = self
            .inner
            .servers
            .iter()
            .filter(|(_, server)| server.has_keys())
            .map(|(issuer, server)| (Arc::clone(issuer), server.keys.health()))
            .collect();
        health.sort_by(|(one, _), (other, _)| one.cmp(other));
        health
    }

    /// Checks a token with what is known now. Whose it is decides its shape: a token is
    /// shown to no server it does not belong to.
    fn verify(&self, token: Presented<'_>, mode: Mode) -> Result<Verdict, AuthError> {
        let opaque = &self.inner.opaque;
        if !opaque.is_empty() && !token.has_two_dots() {
            return self.ask_about(token);
        }
        let now = self.inner.clock.now();
        let cache = self.inner.tokens.as_ref();
        let cache = cache.map(|tokens| (tokens, TokenId::of(token.bytes)));
        if let Some((tokens, id)) = &cache {
            let known = recall(tokens, id, now);
            // Who waited was counted before.
            if !mode.waited {
                telemetry::token_cache(!matches!(known, Ok(None)));
            }
            if let Some(known) = known? {
                return self.confirm(known.good, known.second_opinion.as_ref(), token);
            }
        }
        token.check()?;
        if !opaque.is_empty() && !is_jws(token.bytes) {
            return self.ask_about(token);
        }
        let verified = match self.verify_anew(token.bytes, now, mode)? {
            Anew::Verified(verified) => verified,
            Anew::Wait(waiting) => return Ok(Verdict::Wait(waiting)),
            Anew::Ask(introspector) => return self.ask(&introspector, token, None),
        };
        let good = Good {
            principal: verified.identity.principal(),
            valid_until: Some(verified.server.profile.valid_until(verified.exp)),
        };
        let second_opinion = verified.server.second_opinion(&good.principal).cloned();
        if let Some((tokens, id)) = cache {
            tokens.keep(&id, verified);
        }
        self.confirm(good, second_opinion.as_ref(), token)
    }

    /// Accepts a JWT found good here, where nobody else is to be asked.
    fn confirm(
        &self,
        good: Good,
        second_opinion: Option<&Arc<Introspector>>,
        token: Presented<'_>,
    ) -> Result<Verdict, AuthError> {
        match second_opinion {
            Some(introspector) => self.ask(introspector, token, Some(good)),
            None => self.accept(good),
        }
    }

    /// Asks the server that an opaque token belongs to.
    fn ask_about(&self, token: Presented<'_>) -> Result<Verdict, AuthError> {
        match self.inner.opaque.server(token.bytes) {
            Ok(introspector) => self.ask(introspector, token, None),
            Err(error) => token.check().and(Err(error)),
        }
    }

    /// What the authorization server says of a token, from memory where that knows.
    fn ask(
        &self,
        introspector: &Arc<Introspector>,
        token: Presented<'_>,
        known: Option<Good>,
    ) -> Result<Verdict, AuthError> {
        let vouched = match known {
            Some(_) => Vouched::BySignature,
            None => Vouched::ByNobody,
        };
        match introspector.lookup(token, vouched)? {
            introspection::Lookup::Active(said) => self.accept(known.unwrap_or(said)),
            introspection::Lookup::Refused(error) => Err(error),
            introspection::Lookup::Wait(asked) => Ok(Verdict::Ask(asked, known)),
        }
    }

    /// Follows what is waited for to its end.
    async fn wait(
        self,
        token: Vec<u8>,
        verdict: Verdict,
        mode: Mode,
    ) -> Result<Accepted, AuthError> {
        let verdict = match verdict {
            Verdict::Wait(waiting) => {
                waiting.ended().await;
                let mode = Mode {
                    waited: true,
                    ..mode
                };
                self.verify(Presented::checked(&token), mode)?
            }
            verdict => verdict,
        };
        let verdict = match verdict {
            Verdict::Ask(asked, known) => {
                let said = asked.answer().await?;
                self.accept(known.unwrap_or(said))?
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Accepted(accepted) => Ok(accepted),
            // After waiting once the store's answer is final.
            Verdict::Wait(_) | Verdict::Ask(..) => Err(AuthError::unavailable(
                "keys_unavailable",
                Duration::from_secs(1),
            )),
        }
    }

    /// Judges the scopes: last, and anew for each request.
    fn accept(&self, good: Good) -> Result<Verdict, AuthError> {
        check_scopes(&self.required_scopes, good.principal.scopes())
            .map_err(|error| error.of(&good.principal))?;
        let accepted = Accepted::new(good.principal);
        Ok(Verdict::Accepted(match good.valid_until {
            Some(valid_until) => accepted.valid_until(valid_until),
            None => accepted,
        }))
    }

    /// Checks all but the scopes. What needs no key comes first: a token that would be
    /// refused anyway causes no fetch.
    fn verify_anew(&self, token: &[u8], now: Duration, mode: Mode) -> Result<Anew, AuthError> {
        let compact = Compact::parse(token)?;
        let payload = compact.payload()?;
        let claims = Claims::read(&payload, &self.inner.scope_claim)?;
        let server = self.server(claims.iss.as_deref())?;
        let profile = &server.profile;
        let claims = if profile.scope_claim == self.inner.scope_claim {
            claims
        } else {
            // Whose tokens have their scopes elsewhere is known only now.
            Claims::read(&payload, &profile.scope_claim)?
        };
        let claims = match &profile.quirks {
            Some(quirks) => quirks.amend_payload(claims, &payload)?,
            None => claims,
        };
        let header = compact.header();
        if let Some(introspector) = server.introspector.as_ref().filter(|_| !server.has_keys()) {
            profile.check_type(header)?;
            return Ok(Anew::Ask(Arc::clone(introspector)));
        }
        let judge = || profile.check_claims(header, &claims, now);
        let (alg, judged) = if mode.needs_proof {
            (profile.check_algorithm(header)?, None)
        } else {
            (profile.check_header(header)?, Some(judge()?))
        };
        let mut buffer = [0; 1024];
        let signature = compact.signature(&mut buffer)?;

        let (set, index) = match server.keys.lookup(header.kid.as_deref(), alg, mode.waited) {
            Lookup::Found(set, index) => (set, index),
            Lookup::Wait(waiting) => return Ok(Anew::Wait(waiting)),
            Lookup::Refused(error) => return Err(error),
        };
        if !set
            .key(index)
            .verify(alg, compact.signing_input(), signature)
        {
            return Err(AuthError::invalid("bad_signature")
                .with_detail(format!("the {alg} signature does not hold")));
        }
        let exp = match judged {
            Some(exp) => exp,
            None => {
                profile.check_type(header)?;
                judge()?
            }
        };
        let principal = profile.principal(&claims, token)?;
        let (nbf, iat) = (claims.nbf, claims.iat);
        Ok(Anew::Verified(VerifiedToken {
            identity: principal.raw_claims(payload).identity(),
            server: Arc::clone(server),
            exp,
            nbf,
            iat,
            key: TokenKey::new(&set, index, compact.into_kid(), alg),
            since: now,
        }))
    }

    /// The server a token comes from, by its `iss`, before any key is touched.
    fn server(&self, iss: Option<&str>) -> Result<&Arc<TrustedServer>, AuthError> {
        let servers = &self.inner.servers;
        let Some(iss) = iss else {
            return Err(AuthError::invalid("missing_issuer").with_detail("the token has no iss"));
        };
        if let Some(server) = servers.get(iss) {
            return Ok(server);
        }
        let detail = match servers.keys().next() {
            Some(only) if servers.len() == 1 => mismatch(only, iss),
            _ => format!("{} is none of the configured issuers", quoted(iss)),
        };
        Err(AuthError::invalid("issuer_mismatch")
            .with_description("The access token is from another issuer")
            .with_detail(detail))
    }
}

/// A token seen before, if all that was true of it still is. `None`: check it anew.
fn recall(tokens: &Tokens, id: &TokenId<'_>, now: Duration) -> Result<Option<Recalled>, AuthError> {
    let Some(known) = tokens.get(id, now) else {
        return Ok(None);
    };
    let Some(keys) = known.server.keys.serving() else {
        return Ok(None);
    };
    if !known.key.serves_in(&keys) {
        tokens.forget(id);
        return Ok(None);
    }
    let profile = &known.server.profile;
    profile.check_times(known.exp, known.nbf, known.iat, now)?;
    let good = Good {
        principal: known.identity.principal(),
        valid_until: Some(profile.valid_until(known.exp)),
    };
    let second_opinion = known.server.second_opinion(&good.principal).cloned();
    Ok(Some(Recalled {
        good,
        second_opinion,
    }))
}

impl Authenticate for OAuth {
    fn locations(&self) -> &[Location] {
        &self.inner.location
    }

    fn name(&self) -> &'static str {
        "OAuth"
    }

    fn shapes(&self) -> Vec<Shape> {
        let [location] = &self.inner.location;
        let issuers = self.inner.servers.keys().cloned();
        let mut shapes = vec![Shape::jwt_from(location.clone(), issuers)];
        let prefixes = self.inner.opaque.prefixes();
        shapes.extend(prefixes.map(|prefix| Shape::prefixed(location.clone(), prefix)));
        if self.inner.opaque.takes_others() {
            shapes.push(Shape::opaque(location.clone()));
        }
        shapes
    }

    fn checks_credentials(&self) -> bool {
        // A token that is remembered was checked when it was new.
        true
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        let token = Presented::unchecked(credential);
        let mode = Mode {
            waited: false,
            needs_proof: head.needs_proof(),
        };
        match self.verify(token, mode) {
            Ok(Verdict::Accepted(accepted)) => Authentication::Ready(Ok(accepted)),
            Err(error) => Authentication::Ready(Err(error)),
            Ok(waits) => {
                let (provider, token) = (self.clone(), token.bytes.to_vec());
                Authentication::Pending(Box::pin(provider.wait(token, waits, mode)))
            }
        }
    }

    fn provider_name(&self, _: &Credential<'_>) -> &'static str {
        "oauth"
    }

    fn challenges(&self) -> Vec<Challenge> {
        vec![
            Challenge::bearer()
                .with_resource_metadata(self.inner.metadata_url.to_string())
                .with_scopes(self.required_scopes.clone()),
        ]
    }

    fn answer(&self, head: RequestHead<'_>) -> Option<Response<Bytes>> {
        self.inner.metadata.answer(head.method(), head.uri().path())
    }

    fn resource_path(&self) -> Option<&str> {
        Some(self.inner.resource.path())
    }

    fn clock(&self) -> Clock {
        self.inner.clock.clone()
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("resource", &self.inner.resource.resource())
            .field("issuers", &self.inner.servers.keys())
            .field("required_scopes", &self.required_scopes)
            .finish_non_exhaustive()
    }
}
