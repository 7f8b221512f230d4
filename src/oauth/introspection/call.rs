//! One introspection request, from its turn to what its response means.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Active, Judged, MAX_KEPT, Refusal, Vouched, judge};
use super::custom::{IntrospectionError, IntrospectionResponse, Kind, Said};
use super::memory::REFUSED;
use super::pauses::About as Concerns;
use super::store::{Introspector, Source, Trouble, unavailable};
use crate::crypto::Digest;
use crate::error::{AuthError, Reason};
use crate::oauth::fetch::{Fetch, OnFreshConnections};
use crate::oauth::served::Terms;
use crate::telemetry;
use crate::util::one_line;
use crate::util::places::{Class, Place};
use crate::util::single_flight::CutOff;

/// How much of a text that is the server's in part is kept, in characters.
const MAX_TEXT: usize = 1024;

/// What a call brought.
pub(in crate::oauth) enum Brought {
    /// `life`: what is left until `exp`.
    Active { judged: Box<Judged>, life: Duration },
    /// `keep`: it will be refused for the same reason for a while.
    Refused { refusal: Refusal, keep: bool },
    /// There is no telling. `keep`: for so long the server is not asked again about this token.
    Nothing {
        error: AuthError,
        keep: Option<Duration>,
    },
}

impl Brought {
    pub(super) fn cut_off(why: CutOff) -> Self {
        let why = match why {
            CutOff::NoRuntime => "there is no Tokio runtime to call in",
            CutOff::Dropped => "the call was cut off",
        };
        let error = unavailable(Reason::INTROSPECTION_FAILED, Duration::from_secs(1));
        Self::Nothing {
            error: error.with_detail(why),
            keep: None,
        }
    }
}

/// What requests learn from a call.
#[derive(Clone)]
pub(in crate::oauth) enum Answer {
    Active(Arc<Active>),
    Refused(Refusal),
}

/// What a call asks about, and for which resource.
pub(super) struct About {
    pub(super) token: Box<str>,
    pub(super) digest: Digest,
    pub(super) vouched: Vouched,
    pub(super) terms: Terms,
}

impl Introspector {
    /// Asks about a token, in its turn, and judges what is said.
    pub(super) async fn call(
        self: Arc<Self>,
        about: About,
        class: Class,
        _queued: Place,
    ) -> Brought {
        let turn = self.turns.turn(class, self.limits.queue_timeout);
        let Some(_turn) = turn.await else {
            let issuer = &self.issuer;
            let detail = format!(
                "a call to {issuer:?} did not get its turn within {} ms",
                self.limits.queue_timeout.as_millis()
            );
            let error = self.limited(Trouble::Turn, detail);
            return Brought::Nothing { error, keep: None };
        };
        let limit = self.limits.timeout;
        let asked_at = self.clock.now();
        let answer = match tokio::time::timeout(limit, self.ask_source(&about.token)).await {
            Ok(answer) => answer,
            Err(_) => Err(IntrospectionError::new(
                Kind::Unreachable,
                format!("no answer within {} ms", limit.as_millis()),
            )),
        };
        match answer {
            Ok(answer) => self.judge(answer, &about, asked_at),
            Err(error) => {
                if let (
                    Source::Endpoint(endpoint),
                    Kind::Unreachable | Kind::Failed | Kind::Answer,
                ) = (&self.source, error.kind)
                {
                    endpoint.forget_place().await;
                }
                self.fail(&error, about.digest, class)
            }
        }
    }

    /// Asks, and once more on a new connection where one that was kept open was closed
    /// meanwhile. The second request is another one: an assertion is good for one.
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
    fn judge(&self, answer: IntrospectionResponse, about: &About, asked_at: Duration) -> Brought {
        self.answered(&about.digest);
        let said = match answer.0 {
            Said::Active(said) => said,
            Said::Inactive(why) => {
                if let Some(why) = &why {
                    self.report(Trouble::Answer, why);
                }
                let said = "the authorization server knows no active token like this one";
                let error = AuthError::new(Reason::INACTIVE_TOKEN)
                    .with_detail(why.as_deref().unwrap_or(said));
                let refusal = Refusal::everywhere(error);
                return Brought::Refused {
                    refusal,
                    keep: true,
                };
            }
        };
        let now = self.clock.now();
        let expected = self.expected(&about.terms);
        match judge(said, &about.token, about.vouched, &expected, now) {
            Ok(judged) => Brought::Active {
                life: judged
                    .exp
                    .map_or(Duration::MAX, |exp| exp.saturating_sub(now)),
                judged: Box::new(judged.vouched_for(asked_at)),
            },
            // What time will mend must not be kept.
            Err(refusal) => {
                let refusal = refusal.of_issued();
                let error = &refusal.error;
                if matches!(
                    error.as_reason(),
                    Reason::MALFORMED_TOKEN | Reason::DUPLICATE_TOKEN_MEMBER
                ) {
                    let why = one_line(error.detail().unwrap_or_default(), MAX_TEXT);
                    let what = format!("an answer of {:?}: {why}", self.issuer);
                    self.report(Trouble::Answer, &what);
                }
                let passes = matches!(
                    error.as_reason(),
                    Reason::NOT_YET_VALID | Reason::ISSUED_IN_THE_FUTURE
                );
                Brought::Refused {
                    keep: !passes,
                    refusal: match error.owner() {
                        Some(owner) if owner.weight() > MAX_KEPT => Refusal {
                            error: refusal.error.without_owner(),
                            at: refusal.at,
                        },
                        _ => refusal,
                    },
                }
            }
        }
    }

    /// What a failed call means for those that follow, and for the request: 503.
    fn fail(&self, failure: &IntrospectionError, digest: Digest, class: Class) -> Brought {
        let issuer = &*self.issuer;
        let why = one_line(&failure.text, MAX_TEXT);
        let detail = format!("introspection at {issuer:?}: {why}");
        let now = self.clock.monotonic();
        let second = Duration::from_secs(1);
        let (reason, retry_after, keep) = match failure.kind {
            Kind::Unreachable => {
                let pause = self.state().pauses.unreached(digest, now, &why);
                telemetry::introspection::failed(issuer, &why);
                (Reason::INTROSPECTION_FAILED, pause.unwrap_or(second), None)
            }
            Kind::Failed => {
                self.report(Trouble::Failed, &detail);
                (Reason::INTROSPECTION_FAILED, second, None)
            }
            Kind::Answer => {
                self.report(Trouble::Answer, &detail);
                (Reason::INTROSPECTION_FAILED, second, None)
            }
            Kind::CredentialsRefused => {
                let pause = self.state().pauses.credentials_refused(now, &why);
                self.report_our_credentials(&why);
                (Reason::INTROSPECTION_REFUSED, pause, None)
            }
            Kind::Refused => {
                let about = self.state().pauses.refused(digest, class, now, &why);
                match about {
                    Concerns::Us | Concerns::OneOfMany => self.report_our_credentials(&why),
                    Concerns::OneToken { first } => self.report_refusal(&why, first),
                }
                match about {
                    Concerns::Us => (Reason::INTROSPECTION_REFUSED, second, None),
                    _ => (Reason::INTROSPECTION_REFUSED, REFUSED, Some(REFUSED)),
                }
            }
            // One token says nothing of the others.
            Kind::TokenNotSupported => {
                self.report(Trouble::Unsupported, &detail);
                (Reason::INTROSPECTION_UNSUPPORTED, second, None)
            }
            Kind::Busy(asked) => {
                let pause = self.state().pauses.busy(asked, class, now, &why);
                telemetry::introspection::failed(issuer, &why);
                (Reason::INTROSPECTION_BUSY, pause, None)
            }
        };
        let error = unavailable(reason, retry_after).with_detail(detail);
        Brought::Nothing { error, keep }
    }

    fn report_our_credentials(&self, why: &str) {
        telemetry::introspection::credentials_refused(&self.issuer, why);
    }

    fn report_refusal(&self, why: &str, first: bool) {
        let is_due = self.is_due(Trouble::Refused);
        telemetry::introspection::token_refused(&self.issuer, why, is_due, first);
    }

    pub(super) fn report(&self, trouble: Trouble, what: &str) {
        telemetry::introspection::trouble(self.is_due(trouble), what);
    }

    fn is_due(&self, trouble: Trouble) -> bool {
        self.warned[trouble as usize].is_due(self.clock.monotonic())
    }
}
