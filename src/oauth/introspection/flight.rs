//! One call, detached from the requests that wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::answer::{Refusal, Vouched, judge};
use super::calls::{Landed, Outcome};
use super::custom::{IntrospectionAnswer, IntrospectionError, Kind};
use super::store::{Introspector, Source, Trouble, unavailable};
use crate::asking::Lane;
use crate::error::AuthError;
use crate::oauth::token_cache::TokenDigest;

const TARGET: &str = "tower_mcp_auth";

/// How long they pause when our credentials are refused: some servers lock clients out.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// What a server may ask for.
const BUSY_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A call under way. It lands when dropped, so that a panic, or a runtime shutting down, is
/// a failed call and not requests that wait for ever.
struct Flight {
    store: Arc<Introspector>,
    sender: watch::Sender<Option<Outcome>>,
    digest: TokenDigest,
    number: u64,
    lane: Lane,
    landed: Option<Landed>,
}

/// A call that is on record and waits to be launched.
#[must_use]
pub(super) struct Launch {
    flight: Flight,
    token: Box<str>,
    vouched: Vouched,
}

impl Launch {
    pub(super) fn new(
        store: Arc<Introspector>,
        sender: watch::Sender<Option<Outcome>>,
        digest: TokenDigest,
        number: u64,
        token: Box<str>,
        vouched: Vouched,
        lane: Lane,
    ) -> Self {
        Self {
            flight: Flight {
                store,
                sender,
                digest,
                number,
                lane,
                landed: None,
            },
            token,
            vouched,
        }
    }

    /// Makes the call in a task of its own: whoever asked for it may go away.
    pub(super) fn launch(mut self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.flight.fly(self.token, self.vouched))),
            Err(_) => {
                let why = "there is no Tokio runtime to call in";
                self.flight.landed = Some(Landed::Nothing(failed(why.to_owned())));
            }
        }
    }
}

impl Flight {
    async fn fly(mut self, token: Box<str>, vouched: Vouched) {
        let store = Arc::clone(&self.store);
        let turn = store.permits.turn(self.lane);
        let Ok(_permit) = tokio::time::timeout(store.limits.queue_deadline, turn).await else {
            let issuer = &store.issuer;
            let detail = format!(
                "a call to {issuer:?} did not get its turn within {} ms",
                store.limits.queue_deadline.as_millis()
            );
            self.landed = Some(Landed::Nothing(store.limited(Trouble::Turn, detail)));
            return;
        };
        let limit = store.limits.timeout;
        let answer = match tokio::time::timeout(limit, store.ask_source(&token)).await {
            Ok(answer) => answer,
            Err(_) => Err(IntrospectionError::new(
                Kind::Unreachable,
                format!("no answer within {} ms", limit.as_millis()),
            )),
        };
        self.landed = Some(match answer {
            Ok(answer) => store.judge(answer, &token, vouched, self.digest),
            Err(error) => {
                if let (
                    Source::Endpoint(endpoint),
                    Kind::Unreachable | Kind::Failed | Kind::Answer,
                ) = (&store.source, error.kind)
                {
                    endpoint.forget_place().await;
                }
                Landed::Nothing(store.fail(&error, self.digest))
            }
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let landed = self
            .landed
            .take()
            .unwrap_or_else(|| Landed::Nothing(failed("the call was cut off".to_owned())));
        let outcome = self
            .store
            .land((self.digest, self.number, self.lane), landed);
        self.sender.send_replace(Some(outcome));
    }
}

impl Introspector {
    async fn ask_source(&self, token: &str) -> Result<IntrospectionAnswer, IntrospectionError> {
        match &self.source {
            Source::Endpoint(endpoint) => endpoint.ask(token, &self.fetch).await,
            Source::Custom(custom) => custom.introspect(token, Arc::clone(&self.fetch)).await,
        }
    }

    /// What an answer means for its token.
    fn judge(
        &self,
        answer: IntrospectionAnswer,
        token: &str,
        vouched: Vouched,
        digest: TokenDigest,
    ) -> Landed {
        self.calls().reached();
        let IntrospectionAnswer(Some(said)) = answer else {
            let error = AuthError::invalid("inactive_token")
                .with_description("The access token is not active")
                .with_detail("the authorization server knows no active token like this one");
            return Landed::Refused { error, keep: true };
        };
        let now = self.clock.now();
        match judge(said, token, vouched, &self.profile, now) {
            Ok(judged) => Landed::Active {
                life: judged
                    .exp
                    .map_or(Duration::MAX, |exp| exp.saturating_sub(now)),
                judged,
            },
            // What time will mend must not be kept.
            Err(Refusal::Token(error)) => Landed::Refused {
                keep: !matches!(error.reason(), "not_yet_valid" | "issued_in_the_future"),
                error,
            },
            Err(Refusal::Answer(why)) => {
                let error = IntrospectionError::new(Kind::Answer, format!("the answer: {why}"));
                Landed::Nothing(self.fail(&error, digest))
            }
        }
    }

    /// What a failed call means for those that follow, and for the request: 503.
    fn fail(&self, failure: &IntrospectionError, digest: TokenDigest) -> AuthError {
        let issuer = &*self.issuer;
        let why = plain(&failure.text);
        let detail = format!("introspection at {issuer:?}: {why}");
        let (reason, pause) = match failure.kind {
            Kind::Unreachable => {
                let pause = self.calls().unreached(digest, self.clock.monotonic());
                ("introspection_failed", pause)
            }
            Kind::Failed | Kind::Answer => ("introspection_failed", None),
            Kind::CredentialsRefused => ("introspection_refused", Some(REFUSED_PAUSE)),
            // One token says nothing of the others.
            Kind::TokenNotSupported => ("introspection_unsupported", None),
            Kind::Busy(asked) => {
                let (least, most) = BUSY_PAUSES;
                let pause = asked.unwrap_or(least).clamp(least, most);
                ("introspection_busy", Some(pause))
            }
        };
        if let Some(pause) = pause {
            let until = self.clock.monotonic().saturating_add(pause);
            let liftable = failure.kind == Kind::Unreachable;
            self.calls().pause(until, &why, liftable);
        }
        match failure.kind {
            Kind::CredentialsRefused => error!(
                target: TARGET,
                issuer,
                why,
                "the authorization server refuses the credentials of this server: no opaque token \
                 can be accepted until they are mended"
            ),
            Kind::Unreachable | Kind::Busy(_) => {
                warn!(target: TARGET, issuer, why, "introspection failed");
            }
            Kind::Failed => self.tell(Trouble::Failed, &detail),
            Kind::Answer => self.tell(Trouble::Answer, &detail),
            Kind::TokenNotSupported => self.tell(Trouble::Unsupported, &detail),
        }
        unavailable(reason, pause.unwrap_or(Duration::from_secs(1))).with_detail(detail)
    }

    /// Tells the operator of what strangers can repeat: now and then as a warning.
    pub(super) fn tell(&self, trouble: Trouble, what: &str) {
        if self.warned[trouble as usize].is_due(self.clock.monotonic()) {
            warn!(target: TARGET, what, "introspection failed");
        } else {
            debug!(target: TARGET, what, "introspection failed");
        }
    }
}

fn failed(why: String) -> AuthError {
    unavailable("introspection_failed", Duration::from_secs(1)).with_detail(why)
}

/// Some of it is the server's text: one line, and not for ever.
fn plain(text: &str) -> String {
    const MOST: usize = 1024;
    let visible = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(visible).take(MOST).collect()
}
