//! One call, detached from the requests that wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::answer::{Expected, Vouched, judge};
use super::calls::{Landed, Outcome};
use super::custom::{IntrospectionError, IntrospectionResponse, Kind, Said};
use super::pauses::About;
use super::store::{Introspector, REFUSED, Source, Trouble, unavailable};
use crate::crypto::Digest;
use crate::error::AuthError;
use crate::oauth::fetch::{Fetch, OnFreshConnections};
use crate::util::asking::Lane;
use crate::util::one_line;

const TARGET: &str = "tower_mcp_auth";

/// How much of a text that is the server's in part is kept, in characters.
const MAX_TEXT: usize = 1024;

/// The most bytes of claims that are kept with a refusal. Of a token with more, nothing is
/// known to those who would let it pass.
const MAX_KEPT: usize = 4 * 1024;

/// A call under way. It lands when dropped, so that a panic, or a runtime shutting down, is
/// a failed call and not requests that wait for ever.
struct Flight {
    store: Arc<Introspector>,
    sender: watch::Sender<Option<Outcome>>,
    digest: Digest,
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
        digest: Digest,
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
                self.flight.landed = Some(failed(why.to_owned()));
            }
        }
    }
}

impl Flight {
    async fn fly(mut self, token: Box<str>, vouched: Vouched) {
        let store = Arc::clone(&self.store);
        let turn = store.permits.turn(self.lane);
        let Ok(_permit) = tokio::time::timeout(store.limits.queue_timeout, turn).await else {
            let issuer = &store.issuer;
            let detail = format!(
                "a call to {issuer:?} did not get its turn within {} ms",
                store.limits.queue_timeout.as_millis()
            );
            let error = store.limited(Trouble::Turn, detail);
            self.landed = Some(Landed::Nothing { error, keep: None });
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
                store.fail(&error, self.digest, self.lane)
            }
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let landed = self
            .landed
            .take()
            .unwrap_or_else(|| failed("the call was cut off".to_owned()));
        let outcome = self
            .store
            .land((self.digest, self.number, self.lane), landed);
        self.sender.send_replace(Some(outcome));
    }
}

impl Introspector {
    /// Asks, and once more on a new connection where one that was kept open was closed
    /// meanwhile. The second request is made anew: an assertion is good for one.
    async fn ask_source(&self, token: &str) -> Result<IntrospectionResponse, IntrospectionError> {
        match self.ask_over(token, &self.fetch).await {
            Err(error) if error.again => {
                let fetch: Arc<dyn Fetch> = Arc::new(OnFreshConnections(Arc::clone(&self.fetch)));
                self.ask_over(token, &fetch).await
            }
            answer => answer,
        }
    }

    async fn ask_over(
        &self,
        token: &str,
        fetch: &Arc<dyn Fetch>,
    ) -> Result<IntrospectionResponse, IntrospectionError> {
        match &self.source {
            Source::Endpoint(endpoint) => endpoint.ask(token, fetch).await,
            Source::Custom(custom) => custom.introspect(token, Arc::clone(fetch)).await,
        }
    }

    /// What an answer means for its token.
    fn judge(
        &self,
        answer: IntrospectionResponse,
        token: &str,
        vouched: Vouched,
        digest: Digest,
    ) -> Landed {
        self.answered(&digest);
        let said = match answer.0 {
            Said::Active(said) => said,
            Said::Inactive(why) => {
                if let Some(why) = &why {
                    self.tell(Trouble::Answer, why);
                }
                let said = "the authorization server knows no active token like this one";
                let error = AuthError::invalid("inactive_token")
                    .with_description("The access token is not active")
                    .with_detail(why.as_deref().unwrap_or(said));
                return Landed::Refused { error, keep: true };
            }
        };
        let now = self.clock.now();
        let expected = Expected {
            profile: &self.profile,
            without_audience: self.without_audience.as_ref(),
        };
        match judge(said, token, vouched, &expected, now) {
            Ok(judged) => Landed::Active {
                life: judged
                    .exp
                    .map_or(Duration::MAX, |exp| exp.saturating_sub(now)),
                judged,
            },
            // What time will mend must not be kept.
            Err(error) => {
                if matches!(error.reason(), "malformed_token" | "duplicate_member") {
                    let why = one_line(error.detail().unwrap_or_default(), MAX_TEXT);
                    let what = format!("an answer of {:?}: {why}", self.issuer);
                    self.tell(Trouble::Answer, &what);
                }
                let passes = matches!(error.reason(), "not_yet_valid" | "issued_in_the_future");
                Landed::Refused {
                    keep: !passes,
                    // Refusals are kept by their number, not by their size.
                    error: match error.holder() {
                        Some(holder) if holder.weight() > MAX_KEPT => error.without_holder(),
                        _ => error,
                    },
                }
            }
        }
    }

    /// What a failed call means for those that follow, and for the request: 503.
    fn fail(&self, failure: &IntrospectionError, digest: Digest, lane: Lane) -> Landed {
        let issuer = &*self.issuer;
        let why = one_line(&failure.text, MAX_TEXT);
        let detail = format!("introspection at {issuer:?}: {why}");
        let now = self.clock.monotonic();
        let second = Duration::from_secs(1);
        let (reason, retry_after, keep) = match failure.kind {
            Kind::Unreachable => {
                let pause = self.calls().pauses.unreached(digest, now, &why);
                warn!(target: TARGET, issuer, why, "introspection failed");
                ("introspection_failed", pause.unwrap_or(second), None)
            }
            Kind::Failed => {
                self.tell(Trouble::Failed, &detail);
                ("introspection_failed", second, None)
            }
            Kind::Answer => {
                self.tell(Trouble::Answer, &detail);
                ("introspection_failed", second, None)
            }
            Kind::CredentialsRefused => {
                let pause = self.calls().pauses.credentials_refused(now, &why);
                self.tell_of_our_credentials(&why);
                ("introspection_refused", pause, None)
            }
            Kind::Refused => {
                let about = self.calls().pauses.refused(digest, lane, now, &why);
                match about {
                    About::Us | About::OneOfMany => self.tell_of_our_credentials(&why),
                    About::OneToken { first } => self.tell_of_a_refusal(&why, first),
                }
                match about {
                    About::Us => ("introspection_refused", second, None),
                    _ => ("introspection_refused", REFUSED, Some(REFUSED)),
                }
            }
            // One token says nothing of the others.
            Kind::TokenNotSupported => {
                self.tell(Trouble::Unsupported, &detail);
                ("introspection_unsupported", second, None)
            }
            Kind::Busy(asked) => {
                let pause = self.calls().pauses.busy(asked, lane, now, &why);
                warn!(target: TARGET, issuer, why, "introspection failed");
                ("introspection_busy", pause, None)
            }
        };
        let error = unavailable(reason, retry_after).with_detail(detail);
        Landed::Nothing { error, keep }
    }

    /// Every time: calls pause then.
    fn tell_of_our_credentials(&self, why: &str) {
        error!(
            target: TARGET,
            issuer = &*self.issuer,
            why,
            "the authorization server refuses the credentials of this server: no opaque token can \
             be accepted until they are mended"
        );
    }

    /// Tells the operator of a refusal that is about one token, as far as can be seen; now and
    /// then, because callers can cause it. `first`: nothing says yet that our credentials are
    /// good.
    fn tell_of_a_refusal(&self, why: &str, first: bool) {
        let issuer = &*self.issuer;
        let warned = &self.warned[Trouble::Refused as usize];
        let is_due = warned.is_due(self.clock.monotonic());
        if is_due && first {
            error!(
                target: TARGET,
                issuer,
                why,
                "the authorization server refuses to say anything of a token, and has not yet \
                 accepted the credentials of this server"
            );
        } else if is_due {
            warn!(target: TARGET, issuer, why, "introspection of one token is refused");
        } else {
            debug!(target: TARGET, issuer, why, "introspection of one token is refused");
        }
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

fn failed(why: String) -> Landed {
    let error = unavailable("introspection_failed", Duration::from_secs(1)).with_detail(why);
    Landed::Nothing { error, keep: None }
}
