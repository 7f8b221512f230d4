//! `BackchannelLogoutService`: logout tokens over HTTP.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::form;
use super::token::Logout;
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::gate::own_body;
use crate::oauth::OAuthLayer;
use crate::oauth::provider::OAuthProvider;
use crate::refusal::{Answer, misdirected, posted, posted_refusal, read_posted};
use crate::revocation::Revocation;
use crate::store::{self, Insertion, MemoryReplayStore, ReplayStore};
use crate::telemetry::{Audit, Case, Stage};
use crate::util::{TRACED_CHARS, one_line};

const SETTING: &str = "backchannel_logout";
/// The media type of its bodies.
const FORM: &str = "application/x-www-form-urlencoded";
/// How old a token may be.
const MAX_AGE: Duration = Duration::from_secs(120);
/// The most that can be set.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(3600);
/// When a sender may come again.
const RETRY: Duration = Duration::from_secs(5);

/// Takes logout tokens over HTTP; made by
/// [`OAuthLayer::backchannel_logout`](crate::OAuthLayer::backchannel_logout).
///
/// See the [module docs](crate::oauth::logout) for an example. Clones share everything; a setter
/// changes the service it is called on, never an earlier clone.
#[derive(Clone)]
#[must_use]
pub struct BackchannelLogoutService {
    shared: Arc<Shared>,
}

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) provider: OAuthProvider,
    revocation: Revocation,
    audit: Audit,
    /// What this server is registered as, by issuer.
    pub(super) clients: HashMap<Arc<str>, Vec<Box<str>>>,
    store: Arc<dyn ReplayStore>,
    pub(super) max_age: Duration,
    pub(super) accepts_untyped: bool,
    pub(super) accepts_missing_exp: bool,
    pub(super) by_subject: bool,
}

impl OAuthLayer {
    /// A service that takes logout tokens of this issuer for this client, and revokes what they
    /// end; see [logout](crate::oauth::logout) for an example.
    ///
    /// `issuer` is the `iss` of the tokens of one of the authorization servers, `client_id` what
    /// this server is registered as there. Make the service of the finished layer: it judges
    /// tokens by the keys, the limits and the clock of this one, adds entries to its
    /// [`revocation`](Self::revocation), and tells its [`on_decision`](Self::on_decision). One that
    /// was made of a layer goes on with these where that is [reloaded](crate::reload).
    ///
    /// # Errors
    /// The layer has no revocation, it does not trust the issuer, or the client id is empty.
    pub fn backchannel_logout(
        &self,
        issuer: &str,
        client_id: &str,
    ) -> Result<BackchannelLogoutService, ConfigError> {
        let layer = self.auth_layer();
        let Some(revocation) = layer.revokes_by() else {
            return Err(ConfigError::new(
                SETTING,
                "the layer has no `revocation`, so a logout would end nothing: set it first",
            ));
        };
        let provider = layer.provider().clone();
        let store = MemoryReplayStore::default().clock(provider.inner.clock.clone());
        let service = BackchannelLogoutService {
            shared: Arc::new(Shared {
                provider,
                revocation: revocation.clone(),
                audit: layer.audit().clone(),
                clients: HashMap::new(),
                store: Arc::new(store),
                max_age: MAX_AGE,
                accepts_untyped: false,
                accepts_missing_exp: false,
                by_subject: false,
            }),
        };
        service.client(issuer, client_id)
    }
}

impl BackchannelLogoutService {
    fn edit(mut self, edit: impl FnOnce(&mut Shared)) -> Self {
        edit(Arc::make_mut(&mut self.shared));
        self
    }

    /// Accepts tokens for another client: at another issuer, or a further one at the same.
    ///
    /// # Errors
    /// Those of [`backchannel_logout`](crate::OAuthLayer::backchannel_logout).
    pub fn client(self, issuer: &str, client_id: &str) -> Result<Self, ConfigError> {
        let servers = &self.shared.provider.inner.servers;
        let Some((issuer, _)) = servers.get_key_value(issuer) else {
            return Err(ConfigError::new(
                SETTING,
                format!(
                    "{issuer:?} is none of the issuers that the layer trusts; name the `iss` of \
                     the tokens of one"
                ),
            ));
        };
        if client_id.is_empty() {
            return Err(ConfigError::new(
                SETTING,
                "the client id is empty; name the client that logout tokens are for (`aud`)",
            ));
        }
        let issuer = Arc::clone(issuer);
        Ok(self.edit(|shared| {
            let client_ids = shared.clients.entry(issuer).or_default();
            client_ids.push(client_id.into());
        }))
    }

    /// Replaces the store of the tokens that were taken; default a [`MemoryReplayStore`] of its
    /// own. Several replicas need one that they share.
    ///
    /// A token is kept as long as it could be accepted, and 5 minutes for clocks that differ.
    pub fn replay_store(self, store: impl ReplayStore) -> Self {
        self.edit(|shared| shared.store = Arc::new(store))
    }

    /// How long ago a token may have been issued; default 120 seconds, to which the
    /// [clock skew](crate::oauth::AuthorizationServer::clock_skew) of its server is added.
    ///
    /// # Errors
    /// It is zero, or more than an hour.
    pub fn max_token_age(self, age: Duration) -> Result<Self, ConfigError> {
        if age.is_zero() || age > LONGEST_MAX_AGE {
            return Err(ConfigError::new(
                "max_token_age",
                "it is from 1 s to 3600 s: a token is sent when it is issued",
            ));
        }
        Ok(self.edit(|shared| shared.max_age = age))
    }

    /// Accepts tokens with the `typ` `JWT` or none in their header; default only `logout+jwt`.
    ///
    /// The specification recommends that type, and some servers do not write it: Keycloak before 25
    /// writes `JWT`. Such a token is told from an ID token by its `events` alone.
    pub fn accept_untyped(self) -> Self {
        self.edit(|shared| shared.accepts_untyped = true)
    }

    /// Accepts tokens without `exp`; by default they are refused, as the specification requires
    /// it.
    ///
    /// Ory Hydra writes none, nor do Keycloak before 22.0.8 and 23.0.4, and authentik before
    /// 2025.8.2. Such a token is good as long as its [age](Self::max_token_age) allows.
    pub fn accept_missing_exp(self) -> Self {
        self.edit(|shared| shared.accepts_missing_exp = true)
    }

    /// Revokes by the subject as well where a token names a session: all that the subject has of
    /// this issuer until now. Default: by the session alone.
    ///
    /// It is for servers that write `sid` into logout tokens and not into access tokens, which an
    /// entry for the session then never refuses. A token without `sub` is refused.
    pub fn by_subject(self) -> Self {
        self.edit(|shared| shared.by_subject = true)
    }
}

impl Shared {
    /// Takes a logout token, and carries it out.
    async fn take(&self, body: &[u8]) -> Result<(), AuthError> {
        let token = form::logout_token(body)
            .map_err(|why| AuthError::new(Reason::INVALID_LOGOUT_REQUEST).with_description(why))?;
        let logout = self.verify(token.as_bytes()).await?;
        let known = store::within_patience(self.store.get(logout.id)).await;
        if let Ok(Some(_)) = known {
            return Err(replayed());
        }
        // Where a store does not answer, access ends here all the same: a sender need not come
        // again, and to revoke twice changes nothing.
        let mut revoked = Ok(());
        for entry in &logout.entries {
            let added = self.revocation.revoke(entry.clone()).await;
            revoked = revoked.and(added);
        }
        revoked.map_err(|error| unavailable(&error))?;
        known.map_err(|error| unavailable(&error))?;
        self.record(&logout).await
    }

    /// Comes last: what was not carried out may come again.
    async fn record(&self, logout: &Logout) -> Result<(), AuthError> {
        let Logout {
            id, digest, life, ..
        } = *logout;
        let inserted = self.store.insert_if_absent(id, digest, life);
        match store::within_patience(inserted).await {
            Ok(Insertion::Inserted) => Ok(()),
            Ok(Insertion::Present(_)) => Err(replayed()),
            Ok(Insertion::Full) => Err(unavailable(&"the replay store is full")),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn answer(&self, taken: Result<(), AuthError>, head: RequestHead<'_>) -> Response<Bytes> {
        let case = Case::new(Stage::BackchannelLogout, None);
        match taken {
            Ok(()) => {
                case.accepted(head, &self.audit);
                posted(StatusCode::OK)
            }
            Err(error) => {
                case.refused(&error, head, &self.audit);
                posted_refusal(error)
            }
        }
    }
}

fn replayed() -> AuthError {
    AuthError::new(Reason::REPLAYED_LOGOUT_TOKEN)
}

fn unavailable(why: &dyn fmt::Display) -> AuthError {
    let why = one_line(&why.to_string(), TRACED_CHARS);
    AuthError::unavailable(Reason::LOGOUT_UNAVAILABLE, RETRY).with_detail(why)
}

impl<B> Service<Request<B>> for BackchannelLogoutService
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<BackchannelLogoutBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let misdirected = misdirected(request.method(), request.headers(), FORM);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if let Some(response) = misdirected {
                let mut answer = Answer::to(request, response);
                let response = poll_fn(|cx| answer.poll(cx)).await;
                return Ok(BackchannelLogoutBody::of(response));
            }
            let (parts, body) = request.into_parts();
            let head = Request::from_parts(parts, ());
            let response = match read_posted(body).await {
                Ok(body) => {
                    let taken = shared.take(&body).await;
                    shared.answer(taken, RequestHead::of(&head))
                }
                Err(response) => response,
            };
            Ok(BackchannelLogoutBody::of(response))
        })
    }
}

impl fmt::Debug for BackchannelLogoutService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackchannelLogoutService")
            .field("clients", &self.shared.clients)
            .field("max_token_age", &self.shared.max_age)
            .finish_non_exhaustive()
    }
}

own_body! {
    /// The body of a [`BackchannelLogoutService`]'s response.
    BackchannelLogoutBody
}
