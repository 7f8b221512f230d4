use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::keys::{KeyHealth, Lookup, Waiting};
use super::metadata::MetadataDocument;
use super::resource::ProtectedResource;
use super::token_cache::{TokenDigest, TokenKey, Tokens, VerifiedToken};
use super::trusted::TrustedServer;
use crate::auth::{Accepted, Authenticate, Authentication};
use crate::challenge::Challenge;
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead};
use crate::error::{AuthError, quoted};
use crate::jose::{Claims, Compact, ScopeClaim, check_scopes, mismatch};
use crate::principal::Principal;
use crate::scopes::Scopes;

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
    pub(super) clock: Clock,
}

/// What can be said of a token now.
enum Verdict {
    Accepted(Accepted),
    /// Ask again when this fetch of keys has ended.
    Wait(Waiting),
}

/// The same, before scopes are judged.
enum Anew {
    Verified(VerifiedToken),
    Wait(Waiting),
}

impl OAuth {
    /// The protected resource.
    pub fn resource(&self) -> &ProtectedResource {
        &self.inner.resource
    }

    /// Fetches the keys of every server now, instead of with the first request.
    ///
    /// # Errors
    /// The keys of a server could not be fetched: [`AuthError::detail`] names it and says
    /// why. The others were still fetched, and requests go on trying by themselves.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn warm_up(&self) -> Result<(), AuthError> {
        let fetches: Vec<_> = self
            .inner
            .servers
            .values()
            .map(|server| {
                let keys = Arc::clone(&server.keys);
                tokio::spawn(async move { keys.warm_up().await })
            })
            .collect();
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

    /// The state of each issuer's keys, for a readiness probe.
    pub fn health(&self) -> Vec<(Arc<str>, KeyHealth)> {
        let mut health: Vec<_> = self
            .inner
            .servers
            .iter()
            .map(|(issuer, server)| (Arc::clone(issuer), server.keys.health()))
            .collect();
        health.sort_by(|(one, _), (other, _)| one.cmp(other));
        health
    }

    /// Checks a token with what is known now.
    fn verify(&self, token: &str, waited: bool) -> Result<Verdict, AuthError> {
        let now = self.inner.clock.now();
        let cache = self.inner.tokens.as_ref();
        let cache = cache.map(|tokens| (tokens, Tokens::digest(token)));
        if let Some((tokens, digest)) = &cache
            && let Some((principal, valid_until)) = recall(tokens, digest, now)?
        {
            return self.accept(principal, valid_until);
        }
        let verified = match self.verify_anew(token, now, waited)? {
            Anew::Verified(verified) => verified,
            Anew::Wait(waiting) => return Ok(Verdict::Wait(waiting)),
        };
        let principal = verified.principal.clone();
        let valid_until = verified.server.profile.valid_until(verified.exp);
        if let Some((tokens, digest)) = cache {
            tokens.keep(digest, verified);
        }
        self.accept(principal, valid_until)
    }

    /// Judges the scopes: last, and anew for each request.
    fn accept(&self, principal: Principal, valid_until: Duration) -> Result<Verdict, AuthError> {
        check_scopes(&self.required_scopes, principal.scopes())?;
        let accepted = Accepted::new(principal).valid_until(valid_until);
        Ok(Verdict::Accepted(accepted))
    }

    /// Checks all but the scopes. What needs no key comes first: a token that would be
    /// refused anyway causes no fetch.
    fn verify_anew(&self, token: &str, now: Duration, waited: bool) -> Result<Anew, AuthError> {
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
        let header = compact.header();
        let alg = profile.check_header(header)?;
        let exp = profile.check_claims(header, &claims, now)?;
        let mut buffer = [0; 1024];
        let signature = compact.signature(&mut buffer)?;

        let (set, index) = match server.keys.lookup(header.kid.as_deref(), alg, waited) {
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
        let principal = profile.principal(&claims, token)?;
        let (nbf, iat) = (claims.nbf, claims.iat);
        Ok(Anew::Verified(VerifiedToken {
            principal: principal.raw_claims(payload).build(),
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

/// The principal of a token seen before, and how long it is good, if all that was true of it
/// still is. `None`: check it anew.
fn recall(
    tokens: &Tokens,
    digest: &TokenDigest,
    now: Duration,
) -> Result<Option<(Principal, Duration)>, AuthError> {
    let Some(known) = tokens.get(digest, now) else {
        return Ok(None);
    };
    let Some(keys) = known.server.keys.serving() else {
        return Ok(None);
    };
    if !known.key.serves_in(&keys) {
        tokens.forget(digest);
        return Ok(None);
    }
    let profile = &known.server.profile;
    profile.check_times(known.exp, known.nbf, known.iat, now)?;
    let valid_until = profile.valid_until(known.exp);
    Ok(Some((known.principal.clone(), valid_until)))
}

impl Authenticate for OAuth {
    fn locations(&self) -> &[Location] {
        &self.inner.location
    }

    fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        let token = credential.value();
        match self.verify(token, false) {
            Ok(Verdict::Accepted(accepted)) => Authentication::Ready(Ok(accepted)),
            Err(error) => Authentication::Ready(Err(error)),
            Ok(Verdict::Wait(waiting)) => {
                let (provider, token) = (self.clone(), token.to_owned());
                Authentication::Pending(Box::pin(async move {
                    waiting.ended().await;
                    match provider.verify(&token, true)? {
                        Verdict::Accepted(accepted) => Ok(accepted),
                        // After waiting once the store's answer is final.
                        Verdict::Wait(_) => Err(AuthError::unavailable(
                            "keys_unavailable",
                            Duration::from_secs(1),
                        )),
                    }
                }))
            }
        }
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
