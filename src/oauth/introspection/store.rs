//! What is known of tokens, and whether a call may start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{Good, Refusal};
use super::call::{About, Answer, Brought};
use super::custom::{Introspect, IntrospectionError};
use super::endpoint::Endpoint;
use super::limits::Limits;
use super::meant::{Asked, Question};
use super::memory::{Memory, Remembered};
use super::pauses::Pauses;
use super::settings::{Introspection, JwtIntrospection};
use crate::clock::Clock;
use crate::crypto::{Digest, sha256};
use crate::error::{AuthError, Reason};
use crate::oauth::fetch::Fetch;
use crate::oauth::keys::Together;
use crate::telemetry::{CallEnd, IntrospectionMeter};
use crate::token::{Audience, TokenProfile};
use crate::util::places::{ByClass, Class, Place, Places, Turns};
use crate::util::single_flight::{Calls, CutOff, FlightOwner, SingleFlight};
use crate::util::{Occasionally, TokenBucket};

/// What one issuer said of tokens.
pub(in crate::oauth) struct Introspector {
    pub(super) issuer: Arc<str>,
    pub(super) source: Source,
    pub(super) profile: TokenProfile,
    /// The audience of its tokens, where that is not the resource.
    pub(super) audience: Option<Audience>,
    /// Whether an answer without an audience passes. One that is there must match all the same.
    pub(super) without_audience: bool,
    pub(super) limits: Limits,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) turns: Turns,
    /// When there was a warning last of each kind of trouble.
    pub(super) warned: [Occasionally; Trouble::COUNT],
    settings: Introspection,
    /// What the servers of one layer share.
    pub(super) together: Arc<Together>,
    memory: Memory,
    flights: SingleFlight<Digest, Answer, State>,
    /// Requests that wait for answers, by class, so that others cannot take the places of known
    /// tokens.
    waiting: ByClass<Arc<Places>>,
    meter: IntrospectionMeter,
}

/// What decides whether a call may start.
pub(in crate::oauth) struct State {
    rate: TokenBucket,
    pub(super) pauses: Pauses,
}

/// Who is asked.
#[derive(Debug)]
pub(super) enum Source {
    Endpoint(Box<Endpoint>),
    Custom(Arc<dyn Introspect>),
}

/// Faults that every request can repeat, with a warning now and then: each kind has its own, so
/// that none hides another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    /// Too many requests wait.
    Waiting,
    /// Too many calls are under way or queued.
    Queue,
    /// Too many tokens a second are new.
    Rate,
    /// A call did not get its turn.
    Turn,
    /// The server answered with a failure.
    Failed,
    /// The server answered something that cannot be used.
    Answer,
    /// The server does not introspect a token.
    Unsupported,
    /// The server refuses to answer about a token.
    Refused,
}

impl Trouble {
    pub(super) const COUNT: usize = Self::Refused as usize + 1;
}

/// Why no call may start.
enum Bar {
    Pause { left: Duration, why: Box<str> },
    Queue { most: usize },
    Rate,
}

/// What memory can say of a token.
pub(in crate::oauth) enum Lookup {
    Active(Good),
    Refused(AuthError),
    /// The answer of the call under way.
    Wait(Asked),
}

impl Introspector {
    /// `label` is what metrics call the issuer, `profile` what answers must fit.
    pub(super) fn new(
        label: &str,
        settings: Introspection,
        source: Source,
        profile: TokenProfile,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        together: Arc<Together>,
    ) -> Self {
        let limits = settings.limits.clone();
        let issuer = profile.issuer.clone().unwrap_or_default();
        Self {
            together,
            source,
            turns: Turns::new(limits.concurrent, limits.concurrent / 2, limits.max_queued),
            memory: Memory::new(&limits),
            flights: SingleFlight::new(State {
                rate: TokenBucket::per_second(limits.unknown_token_rate_limit),
                pauses: Pauses::default(),
            }),
            waiting: ByClass::new(|| Places::new(limits.max_waiting_requests)),
            meter: IntrospectionMeter::new(label),
            warned: Default::default(),
            audience: None,
            without_audience: false,
            issuer,
            profile,
            limits,
            settings,
            fetch,
            clock,
        }
    }

    pub(in crate::oauth) fn jwts(&self) -> &JwtIntrospection {
        &self.settings.jwts
    }

    pub(super) fn opaque_prefixes(&self) -> Option<&[Box<str>]> {
        self.settings.opaque_prefixes()
    }

    /// Whether an opaque token can be the server's at all.
    pub(super) fn may_be_own(&self, token: &[u8]) -> bool {
        self.settings.token_lengths.contains(&token.len())
    }

    /// What is known of a token; where nothing is, the server is asked.
    pub(in crate::oauth) fn lookup(self: &Arc<Self>, question: Question<'_>) -> Lookup {
        let digest = sha256(&[question.token]);
        let remembered = self.remembered(&digest, question);
        self.meter.looked_up(remembered.is_ok());
        match remembered {
            Ok(known) => known,
            Err(class) => self.ask(digest, question, class),
        }
    }

    /// What memory says of a token; where it says nothing, the class of a call about it.
    fn remembered(&self, digest: &Digest, question: Question<'_>) -> Result<Lookup, Class> {
        let meant = match self.memory.get(digest, &self.clock) {
            Remembered::Active(active) => self.accept(active, question),
            Remembered::Refused(refusal) => match self.refuse(refusal, question) {
                Some(meant) => meant,
                // It was too long to be kept for another resource.
                None => return Err(Class::Unknown),
            },
            Remembered::Nothing(class) => return Err(class),
        };
        Ok(match meant {
            Ok(good) => Lookup::Active(good),
            Err(error) => Lookup::Refused(error),
        })
    }

    /// Drops what is known of a token, and what a call under way will say of it.
    pub(in crate::oauth) fn invalidate(&self, token: &[u8]) {
        let digest = sha256(&[token]);
        let mut calls = self.flights.lock();
        calls.leave(&digest);
        self.memory.forget(&digest);
    }

    /// The same for all tokens.
    pub(in crate::oauth) fn invalidate_all(&self) {
        let mut calls = self.flights.lock();
        calls.leave_all();
        self.memory.forget_all();
    }

    /// Finds the endpoint now, where it is discovered.
    pub(in crate::oauth) async fn warm_up(&self) -> Result<(), AuthError> {
        let Source::Endpoint(endpoint) = &self.source else {
            return Ok(());
        };
        let found = endpoint.warm_up(&self.fetch);
        let found = match tokio::time::timeout(self.limits.timeout, found).await {
            Ok(found) => found,
            Err(_) => Err(IntrospectionError::failed("no answer in time")),
        };
        found.map_err(|error| {
            unavailable(Reason::INTROSPECTION_FAILED, Duration::from_secs(1)).with_detail(format!(
                "introspection at {:?}: {}",
                self.issuer, error.text
            ))
        })
    }

    /// Joins the call about this token, or starts it.
    fn ask(self: &Arc<Self>, digest: Digest, question: Question<'_>, class: Class) -> Lookup {
        // Always so: a credential is ASCII.
        let Ok(token) = std::str::from_utf8(question.token) else {
            let error = AuthError::new(Reason::MALFORMED_TOKEN);
            return Lookup::Refused(error.with_detail("the token is not ASCII"));
        };
        let places = match self.places(class) {
            Ok(places) => places,
            Err(error) => return Lookup::Refused(error),
        };
        let mut calls = self.flights.lock();
        let ticket = match calls.join(&digest) {
            Some(ticket) => ticket,
            None => {
                // A call may have landed since memory was asked; a second one would ask the
                // same.
                if let Ok(known) = self.remembered(&digest, question) {
                    return known;
                }
                let queued = match self.admit(&mut calls, class) {
                    Ok(queued) => queued,
                    Err(bar) => {
                        // Events are written without the lock: a subscriber may call this layer.
                        drop(calls);
                        return Lookup::Refused(self.barred(bar));
                    }
                };
                let (ticket, flight) = calls.begin(self, digest, digest);
                drop(calls);
                self.meter.queue(self.turns.size());
                let about = About {
                    token: token.into(),
                    digest,
                    vouched: question.vouched,
                    terms: question.terms.clone(),
                };
                let call = Arc::clone(self).call(about, class, queued);
                flight.launch(call);
                ticket
            }
        };
        Lookup::Wait(Asked {
            ticket,
            store: Arc::clone(self),
            vouched: question.vouched,
            _places: places,
        })
    }

    /// Takes places for a request that waits: one of this server, and one of all together.
    fn places(&self, class: Class) -> Result<[Place; 2], AuthError> {
        let (own, all) = (self.waiting.of(class), self.together.introspecting(class));
        let Some(own) = Place::of(own) else {
            return Err(self.limited(
                Trouble::Waiting,
                format!(
                    "{} requests wait for answers of {:?} already",
                    own.most, self.issuer
                ),
            ));
        };
        let Some(all) = Place::of(all) else {
            return Err(self.limited(
                Trouble::Waiting,
                format!(
                    "{} requests wait for answers of all servers together already \
                     (`total_waiting`)",
                    all.most
                ),
            ));
        };
        Ok([own, all])
    }

    /// Takes a place for a call that starts now, or says why none may.
    fn admit(&self, state: &mut State, class: Class) -> Result<Place, Bar> {
        let now = self.clock.monotonic();
        if let Some((left, why)) = state.pauses.left(class, now) {
            let why = why.into();
            return Err(Bar::Pause { left, why });
        }
        let calls = self.turns.calls(class);
        let Some(queued) = Place::of(calls) else {
            return Err(Bar::Queue { most: calls.most });
        };
        if class == Class::Unknown && !state.rate.take(now) {
            return Err(Bar::Rate);
        }
        state.pauses.begin(class, now);
        Ok(queued)
    }

    /// The refusal of a request where no call may start.
    fn barred(&self, bar: Bar) -> AuthError {
        let issuer = &self.issuer;
        match bar {
            Bar::Pause { left, why } => unavailable(Reason::INTROSPECTION_FAILED, left)
                .with_detail(format!("calls to {issuer:?} pause: {why}")),
            Bar::Queue { most } => self.limited(
                Trouble::Queue,
                format!("{most} calls to {issuer:?} are under way or queued already"),
            ),
            Bar::Rate => self.limited(
                Trouble::Rate,
                format!(
                    "{} calls a second to {issuer:?} about tokens not seen before",
                    self.limits.unknown_token_rate_limit
                ),
            ),
        }
    }

    /// The server answered about this token.
    pub(super) fn answered(&self, digest: &Digest) {
        let known_no_more = self.flights.lock().pauses.answered(digest);
        for digest in known_no_more {
            self.memory.forget_active(&digest);
        }
    }

    /// A limit is reached. Any client can cause it, so there is a warning now and then.
    pub(super) fn limited(&self, limit: Trouble, detail: String) -> AuthError {
        self.report(limit, &detail);
        unavailable(Reason::INTROSPECTION_LIMITED, Duration::from_secs(1)).with_detail(detail)
    }

    /// What decides whether a call may start.
    pub(super) fn state(&self) -> Calls<'_, Digest, Answer, State> {
        self.flights.lock()
    }
}

impl FlightOwner for Introspector {
    type Key = Digest;
    type Call = Digest;
    type State = State;
    type Outcome = Brought;
    type Answer = Answer;

    fn flights(&self) -> &SingleFlight<Digest, Answer, State> {
        &self.flights
    }

    /// Keeps what a call brought, unless its token was forgotten in between.
    fn land(
        &self,
        calls: Calls<'_, Digest, Answer, State>,
        digest: &Digest,
        current: bool,
        brought: Result<Brought, CutOff>,
    ) -> Answer {
        let brought = brought.unwrap_or_else(Brought::cut_off);
        let end = match &brought {
            Brought::Active { .. } => CallEnd::Active,
            Brought::Refused { .. } => CallEnd::Refused,
            Brought::Nothing { .. } => CallEnd::Failed,
        };
        let answer = self.keep(calls, *digest, current, brought);
        self.meter.queue(self.turns.size());
        self.meter.called(end);
        answer
    }
}

impl Introspector {
    fn keep(
        &self,
        mut calls: Calls<'_, Digest, Answer, State>,
        digest: Digest,
        current: bool,
        brought: Brought,
    ) -> Answer {
        let now = self.clock.monotonic();
        match brought {
            Brought::Active { judged, life } => {
                calls.pauses.knows_one();
                let life = life.min(self.limits.positive_ttl);
                let active = self.memory.active(digest, *judged, life, now, current);
                Answer::Active(active)
            }
            Brought::Refused { refusal, keep } => {
                if current {
                    self.memory.forget_active(&digest);
                    if keep && !self.limits.negative_ttl.is_zero() {
                        let life = self.limits.negative_ttl;
                        self.memory.refuse(digest, refusal.clone(), life, now);
                    }
                }
                Answer::Refused(refusal)
            }
            Brought::Nothing { error, keep } => {
                let refusal = Refusal::everywhere(error);
                if let Some(life) = keep.filter(|_| current) {
                    self.memory.refuse(digest, refusal.clone(), life, now);
                }
                Answer::Refused(refusal)
            }
        }
    }
}

/// It was logged when it happened, because any client can repeat it.
pub(super) fn unavailable(reason: Reason, retry_after: Duration) -> AuthError {
    AuthError::unavailable(reason, retry_after).logged()
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector")
            .field("issuer", &self.issuer)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
