//! Claims: the first principal in an anonymous session takes it over.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;

use super::bind::Binder;
use super::watch::{self, ClaimWatch};
use crate::clock::Clock;
use crate::error::{AuthError, Reason};
use crate::mcp::key::{MacKey, Owner};
use crate::store::{self, Insertion, ReplayStore, StoreError, StoreKey, StoreValue};
use crate::telemetry;
use crate::util::{Occasionally, TRACED_CHARS, one_line};

const SESSION_DOMAIN: &[u8] = b"tower-mcp-auth claimed session 1";
const CLAIMER_DOMAIN: &[u8] = b"tower-mcp-auth session claimer 1";

/// How long after its opening a session can be claimed.
const WINDOW: Duration = Duration::from_secs(600);
/// How long an anonymous session can be used, claimed or not. A claim is kept as long.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How much the clocks of two replicas may differ.
const SKEW: Duration = Duration::from_secs(300);
/// When a client comes back to a store that did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// The session was opened by an anonymous caller, and this principal has claimed it.
///
/// It is an extension of each request of that principal in the session.
/// See [signing in in the middle of a session](crate::mcp::session#signing-in-in-the-middle-of-a-session).
///
/// ```
/// use http::Request;
/// use tower_mcp_auth::mcp::session::ClaimedSession;
///
/// fn drops_what_is_there<B>(request: &Request<B>) -> bool {
///     let claimed = request.extensions().get::<ClaimedSession>();
///     claimed.is_some_and(ClaimedSession::is_new)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedSession {
    is_new: bool,
}

impl ClaimedSession {
    /// Whether this request claimed the session.
    ///
    /// It is true of one request at most. A client that hangs up may have claimed the session with
    /// a request that never got here: a service that has to act keeps in the session that it has,
    /// and acts on the first `ClaimedSession` it sees.
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

/// The store of claims.
#[derive(Debug)]
pub(super) struct Claims {
    store: Arc<dyn ReplayStore>,
    full: Occasionally,
    failed: Occasionally,
}

/// An anonymous session that can be claimed, or was.
#[derive(Clone, Copy)]
pub(super) struct Anonymous {
    key: StoreKey,
    opened: Duration,
}

/// Who asks for an anonymous session: a principal, or `None`.
pub(super) type Claimer = Option<StoreValue>;

/// What is to be found out before a request is served in an anonymous session.
pub(super) struct Question {
    session: Anonymous,
    claimer: Claimer,
    /// How long the claim is kept, if the session can still be claimed.
    life: Option<Duration>,
}

/// What the store says of a request: whether its principal has claimed the session.
pub(super) type Asked =
    Pin<Box<dyn Future<Output = Result<Option<ClaimedSession>, AuthError>> + Send>>;

impl Claims {
    pub(super) fn new(store: impl ReplayStore) -> Self {
        Self {
            store: Arc::new(store),
            full: Occasionally::default(),
            failed: Occasionally::default(),
        }
    }

    /// When a session is opened that is opened now. It is known to the store from its beginning:
    /// a fraction of a millisecond must not make it older.
    pub(super) fn opening(&self, clock: &Clock) -> Duration {
        let since = self.since();
        clock.now().max(since)
    }

    pub(super) fn since(&self) -> Duration {
        let since = self.store.complete_since();
        let whole = Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        // What was opened in a millisecond that it does not know whole may be lost.
        match whole < since {
            true => whole.saturating_add(Duration::from_millis(1)),
            false => whole,
        }
    }

    /// What the age of a session decides, and what is to be asked otherwise.
    pub(super) fn question(
        &self,
        session: Anonymous,
        claimer: Claimer,
        clock: &Clock,
    ) -> Result<Question, AuthError> {
        let (now, since) = (clock.now(), self.since());
        let Anonymous { opened, .. } = session;
        let ends = opened.saturating_add(LIFE);
        // Where the clock was set back, sessions are opened when the store begins.
        if opened > now.max(since).saturating_add(SKEW) {
            return Err(unknown("the session was opened in the future"));
        }
        // A claim would have to be kept for ever otherwise.
        if now >= ends {
            return Err(unknown("anonymous sessions last 24 hours"));
        }
        if opened < since {
            return Err(lost());
        }
        let can_be_claimed = now < opened.saturating_add(WINDOW);
        // A replica with a late clock has sessions for longer.
        let life = ends.saturating_add(SKEW).saturating_sub(now);
        Ok(Question {
            session,
            claimer,
            life: can_be_claimed.then_some(life),
        })
    }

    /// Asks the store, and claims the session where that is possible.
    pub(super) fn ask(self: &Arc<Self>, question: &Question, clock: &Clock) -> Asked {
        let claims = Arc::clone(self);
        let Question {
            session: Anonymous { key, opened },
            claimer,
            life,
        } = *question;
        let clock = clock.clone();
        Box::pin(async move {
            let store = &claims.store;
            let found = match (claimer, life) {
                (Some(own), Some(life)) => {
                    let inserted = store.insert_if_absent(key, own, life);
                    match store::within_patience(inserted).await {
                        // The store may have found a loss when it was asked, and the claim of
                        // another principal is among what was lost.
                        Ok(Insertion::Inserted) if opened < claims.since() => return Err(lost()),
                        Ok(Insertion::Inserted) => {
                            return Ok(Some(ClaimedSession { is_new: true }));
                        }
                        Ok(Insertion::Present(claimed_by)) => Ok(Some(claimed_by)),
                        Ok(Insertion::Full) => {
                            if claims.full.is_due(clock.monotonic()) {
                                telemetry::session_store_full();
                            }
                            return Err(unknown("the store has no room for a claim"));
                        }
                        Err(error) => Err(error),
                    }
                }
                _ => store::within_patience(store.get(key)).await,
            };
            let found = found.map_err(|error| claims.unavailable(&error, &clock))?;
            match (claimer, found) {
                (_, None) if opened < claims.since() => Err(lost()),
                (None, None) => Ok(None),
                (None, Some(_)) => Err(unknown("a principal has claimed the session")),
                (Some(_), None) => Err(unknown("the session was not claimed within ten minutes")),
                (Some(own), Some(claimed_by)) => {
                    if bool::from(own.as_bytes().ct_eq(claimed_by.as_bytes())) {
                        Ok(Some(ClaimedSession { is_new: false }))
                    } else {
                        Err(unknown("another principal has claimed the session"))
                    }
                }
            }
        })
    }

    /// What ends the stream of an anonymous caller when the session is claimed. `None` where it
    /// cannot be any more; the store is asked after this, so no claim is missed.
    pub(super) fn watch(self: &Arc<Self>, session: Anonymous, clock: &Clock) -> Option<ClaimWatch> {
        let Anonymous { key, opened } = session;
        // A replica with a late clock takes claims for longer.
        let ends = opened.saturating_add(WINDOW).saturating_add(SKEW);
        let watched = || watch::Session {
            claims: Arc::clone(self),
            key,
            opened,
            ends,
        };
        (clock.now() <= ends).then(|| ClaimWatch::new(watched(), clock.clone()))
    }

    pub(super) fn store(&self) -> &Arc<dyn ReplayStore> {
        &self.store
    }

    /// Tells that the store gave no answer, and why.
    pub(super) fn tell_failed(&self, error: &StoreError, clock: &Clock) -> String {
        let why = one_line(&error.to_string(), TRACED_CHARS);
        telemetry::session_store_failed(self.failed.is_due(clock.monotonic()), &why);
        why
    }

    fn unavailable(&self, error: &StoreError, clock: &Clock) -> AuthError {
        let why = self.tell_failed(error, clock);
        AuthError::unavailable(Reason::SESSION_STORE_UNAVAILABLE, RETRY)
            .with_detail(why)
            .logged()
    }
}

impl Binder {
    /// The anonymous session of this id. By the server's id alone: however often it is bound, one
    /// principal gets it.
    pub(super) fn anonymous_session(
        &self,
        key: &MacKey,
        owner: Owner<'_>,
        inner: &[u8],
        opened: Duration,
    ) -> Anonymous {
        let [_, _, resource] = owner.parts();
        let server = self.server.as_bytes();
        Anonymous {
            key: StoreKey::new(key.mac([SESSION_DOMAIN, server, resource, inner])),
            opened,
        }
    }

    /// By the key that the id was bound with: another one may be the key when it comes again. The
    /// session takes part, so that no record is good for another one, nor tells that both are of
    /// one principal.
    pub(super) fn claimer(&self, key: &MacKey, owner: Owner<'_>, inner: &[u8]) -> Claimer {
        let [kind, id, resource] = owner.parts();
        let server = self.server.as_bytes();
        let parts = [CLAIMER_DOMAIN, server, kind, id, resource, inner];
        (!owner.is_anonymous()).then(|| StoreValue::new(key.mac(parts)))
    }
}

fn lost() -> AuthError {
    unknown("the store may have lost a claim of the session")
}

fn unknown(why: &'static str) -> AuthError {
    AuthError::unknown_session().with_detail(why)
}
