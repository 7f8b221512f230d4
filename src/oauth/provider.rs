use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::keys::{KeyHealth, KeyStore, Lookup, Waiting};
use super::metadata::MetadataDocument;
use super::resource::ProtectedResource;
use crate::auth::{Accepted, Authenticate, Authentication};
use crate::challenge::Challenge;
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead};
use crate::error::{AuthError, quoted};
use crate::jose::{Claims, Compact, ScopeClaim, TokenProfile, check_scopes, mismatch};
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
    pub(super) servers: HashMap<Arc<str>, Server>,
    /// Where scopes are looked for before it is known whose token it is.
    pub(super) scope_claim: ScopeClaim,
    pub(super) clock: Clock,
}

/// One authorization server, ready to check tokens.
pub(super) struct Server {
    pub(super) profile: TokenProfile,
    pub(super) keys: Arc<KeyStore>,
}

/// What can be said of a token now.
enum Verdict {
    Accepted(Accepted),
    /// Ask again when this fetch of keys has ended.
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
    /// The keys of a server could not be fetched; the error names it, and the others were
    /// still fetched. Requests go on trying by themselves.
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
            // A task that panicked has left its store in the state of a failed attempt.
            let ended = fetch.await.unwrap_or(Ok(()));
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

    /// Checks a token with what is known now. All that needs no key comes first: a token
    /// that would be refused anyway causes no fetch.
    fn verify(&self, token: &str, waited: bool) -> Result<Verdict, AuthError> {
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
        let alg = profile.check_header(&compact.header)?;
        profile.check_claims(&compact.header, &claims, self.inner.clock.now())?;
        let mut buffer = [0; 1024];
        let signature = compact.signature(&mut buffer)?;

        let kid = compact.header.kid.as_deref();
        let (set, index) = match server.keys.lookup(kid, alg, waited) {
            Lookup::Found(set, index) => (set, index),
            Lookup::Wait(waiting) => return Ok(Verdict::Wait(waiting)),
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
        let principal = principal.raw_claims(payload).build();
        check_scopes(&self.required_scopes, principal.scopes())?;
        Ok(Verdict::Accepted(Accepted::new(principal)))
    }

    /// The server a token comes from, by its `iss`, before any key is touched.
    fn server(&self, iss: Option<&str>) -> Result<&Server, AuthError> {
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
                            std::time::Duration::from_secs(1),
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
