//! What is known of tokens, and whether a call may start.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;

use super::answer::{Active, Good, Vouched};
use super::calls::{Asked, Calls, Landed, Outcome};
use super::custom::{Introspect, IntrospectionError};
use super::endpoint::Endpoint;
use super::flight::Launch;
use super::limits::Limits;
use super::settings::{Introspection, JwtIntrospection};
use crate::clock::Clock;
use crate::crypto::{ByDigest, Digest, sha256};
use crate::error::AuthError;
use crate::oauth::fetch::Fetch;
use crate::oauth::keys::Together;
use crate::oauth::remembered::{Entry, Remembered};
use crate::telemetry::{CallEnd, IntrospectionMeter};
use crate::token::TokenProfile;
use crate::util::NowAndThen;
use crate::util::asking::{Lane, Permits};

/// How long a token is known after it was answered active: its answer is not used any more,
/// but it is told from those that never were good.
const KNOWN: Duration = Duration::from_secs(600);
/// How long it is known at least after the end of its answer, where answers live longer.
const KNOWN_AFTER: Duration = Duration::from_secs(300);
/// How long a token is not asked about again that the server refused to answer about.
pub(super) const REFUSED: Duration = Duration::from_secs(10);

/// How long moka is told to keep anything.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// The bytes of claims kept, with 1 KiB an answer for the rest.
const MAX_BYTES: u64 = 64 << 20;

/// What one issuer said of tokens.
pub(in crate::oauth) struct Introspector {
    pub(super) issuer: Arc<str>,
    pub(super) source: Source,
    pub(super) profile: TokenProfile,
    /// What answers without an audience must fit, where there may be such.
    pub(super) without_audience: Option<TokenProfile>,
    pub(super) limits: Limits,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) permits: Permits,
    /// When each kind of trouble was told last.
    pub(super) warned: [NowAndThen; Trouble::COUNT],
    settings: Introspection,
    /// What the servers of one layer share.
    pub(super) together: Arc<Together>,
    active: Remembered<Active>,
    refused: Cache<Digest, Arc<Refused>>,
    calls: Mutex<Calls>,
    waiting_known: AtomicUsize,
    waiting_unknown: AtomicUsize,
    meter: IntrospectionMeter,
}

/// Who is asked.
#[derive(Debug)]
pub(super) enum Source {
    Endpoint(Box<Endpoint>),
    Custom(Arc<dyn Introspect>),
}

/// What every request can repeat, and the operator is told of now and then: of each kind by
/// itself, so that none hides another.
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

pub(super) struct Refused {
    pub(super) error: AuthError,
    pub(super) until: Duration,
}

impl Refused {
    /// The error as it is at `now`: what will pass says when.
    fn error_at(&self, now: Duration) -> AuthError {
        if self.error.retry_after().is_none() {
            return self.error.clone();
        }
        let error = unavailable(self.error.reason(), self.until.saturating_sub(now));
        error.with_detail(self.error.detail().unwrap_or_default())
    }
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
        // moka refuses a thousand years; how long an answer is good is not its business.
        let remember = |life: Duration, more| life.saturating_add(more).min(LONGEST);
        let life = remember(limits.positive_ttl, KNOWN_AFTER).max(KNOWN);
        let share = MAX_BYTES
            .checked_div(limits.cache_capacity)
            .unwrap_or(MAX_BYTES);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let weigh = move |_: &Digest, answer: &Arc<Entry<Active>>| {
            let bytes = 1024 + answer.value().judged.identity.weight();
            u32::try_from(bytes).unwrap_or(u32::MAX).max(share)
        };
        let active = Cache::builder()
            .max_capacity(if limits.cache_capacity == 0 {
                0
            } else {
                MAX_BYTES
            })
            .weigher(weigh)
            .time_to_live(life)
            .build_with_hasher(ByDigest::default());
        let issuer = profile.issuer.clone().unwrap_or_default();
        let now = clock.monotonic();
        Self {
            together,
            source,
            permits: Permits::new(limits.concurrent, limits.concurrent / 2),
            active: Remembered::new(active, limits.cache_capacity),
            refused: Cache::builder()
                .max_capacity(limits.cache_capacity)
                .time_to_live(remember(
                    limits.negative_ttl.max(REFUSED),
                    Duration::from_secs(1),
                ))
                .build(),
            calls: Mutex::new(Calls::new(limits.unknown_token_rate_limit, now)),
            waiting_known: AtomicUsize::new(0),
            waiting_unknown: AtomicUsize::new(0),
            meter: IntrospectionMeter::new(label),
            warned: Default::default(),
            without_audience: None,
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
    pub(in crate::oauth) fn lookup(
        self: &Arc<Self>,
        token: &[u8],
        vouched: Vouched,
    ) -> Result<Lookup, AuthError> {
        let digest = sha256(&[token]);
        let now = self.clock.monotonic();
        let remembered = self.remembered(&digest, now);
        self.meter.looked_up(remembered.is_ok());
        let lane = match remembered {
            Ok(known) => return Ok(known),
            Err(lane) => lane,
        };
        Ok(self.ask((digest, token), vouched, lane, now))
    }

    /// What memory says of a token; where it says nothing, the lane of a call about it.
    fn remembered(&self, digest: &Digest, now: Duration) -> Result<Lookup, Lane> {
        // By both clocks: a machine that slept, or a clock that was set, must not make an
        // answer outlive its token.
        let is_good = |active: &Active| {
            let is_over = |exp| self.clock.now() >= exp;
            now < active.until && !active.judged.exp.is_some_and(is_over)
        };
        let lane = match self.active.get(digest) {
            Some(entry) if is_good(entry.value()) => {
                return Ok(Lookup::Active(Good::of(entry, &self.profile)));
            }
            Some(entry) if now < entry.value().known_until => Lane::Known,
            _ => Lane::Unknown,
        };
        if let Some(refused) = self.refused.get(digest)
            && now < refused.until
        {
            return Ok(Lookup::Refused(refused.error_at(now)));
        }
        Err(lane)
    }

    /// Drops what is known of a token, and what a call under way will say of it.
    pub(in crate::oauth) fn invalidate(&self, token: &[u8]) {
        let digest = sha256(&[token]);
        let mut calls = self.calls();
        calls.record.leave(&digest);
        self.active.invalidate(&digest);
        self.refused.invalidate(&digest);
    }

    /// The same for all tokens.
    pub(in crate::oauth) fn invalidate_all(&self) {
        let mut calls = self.calls();
        calls.record.leave_all();
        self.active.invalidate_all();
        self.refused.invalidate_all();
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
            unavailable("introspection_failed", Duration::from_secs(1)).with_detail(format!(
                "introspection at {:?}: {}",
                self.issuer, error.text
            ))
        })
    }

    /// Joins the call about this token, or starts it.
    fn ask(
        self: &Arc<Self>,
        (digest, token): (Digest, &[u8]),
        vouched: Vouched,
        lane: Lane,
        now: Duration,
    ) -> Lookup {
        // Always so: a credential is ASCII.
        let Ok(token) = std::str::from_utf8(token) else {
            let error = AuthError::invalid("malformed_token");
            return Lookup::Refused(error.with_detail("the token is not ASCII"));
        };
        // Each lane has its own places, so that others cannot take those of known tokens.
        if self.waiting(lane).load(Ordering::Relaxed) >= self.limits.max_waiting_requests {
            let detail = format!(
                "{} requests wait for answers of {:?} already",
                self.limits.max_waiting_requests, self.issuer
            );
            return Lookup::Refused(self.limited(Trouble::Waiting, detail));
        }
        let most = self.together.most_waiting();
        if self.together.introspecting(lane).load(Ordering::Relaxed) >= most {
            let detail = format!(
                "{most} requests wait for answers of all servers together already (`total_waiting`)"
            );
            return Lookup::Refused(self.limited(Trouble::Waiting, detail));
        }
        let mut calls = self.calls();
        let (outcome, launch) = match calls.record.about(&digest) {
            Some(outcome) => (outcome, None),
            None => {
                // A call may have landed since memory was asked; a second one would ask the
                // same.
                if let Ok(known) = self.remembered(&digest, now) {
                    return known;
                }
                if let Some(error) = self.refuse_call(&mut calls, lane, now) {
                    return Lookup::Refused(error);
                }
                let (sender, outcome) = watch::channel(None);
                let number = calls.record.begin(digest, lane, outcome.clone());
                self.meter.queue(calls.record.size());
                let store = Arc::clone(self);
                let token = token.into();
                let launch = Launch::new(store, sender, digest, number, token, vouched, lane);
                (outcome, Some(launch))
            }
        };
        let asked = Asked::join(outcome, self, lane);
        drop(calls);
        // Not under the lock: a runtime that is shutting down lands it at once.
        if let Some(launch) = launch {
            launch.launch();
        }
        Lookup::Wait(asked)
    }

    /// Why no call may start now.
    fn refuse_call(&self, calls: &mut Calls, lane: Lane, now: Duration) -> Option<AuthError> {
        if let Some((left, why)) = calls.pauses.left(lane, now) {
            let error = unavailable("introspection_failed", left);
            let detail = format!("calls to {:?} pause: {why}", self.issuer);
            return Some(error.with_detail(detail));
        }
        let most = self
            .limits
            .concurrent
            .saturating_add(self.limits.max_queued);
        if *calls.record.count(lane) >= most {
            let detail = format!(
                "{most} calls to {:?} are under way or queued already",
                self.issuer
            );
            return Some(self.limited(Trouble::Queue, detail));
        }
        if lane == Lane::Unknown && !calls.rate.take(now) {
            let detail = format!(
                "{} calls a second to {:?} about tokens not seen before",
                self.limits.unknown_token_rate_limit, self.issuer
            );
            return Some(self.limited(Trouble::Rate, detail));
        }
        calls.pauses.begin(lane, now);
        None
    }

    /// How many requests wait in a lane.
    pub(super) fn waiting(&self, lane: Lane) -> &AtomicUsize {
        match lane {
            Lane::Known => &self.waiting_known,
            Lane::Unknown => &self.waiting_unknown,
        }
    }

    /// The server answered about this token.
    pub(super) fn answered(&self, digest: &Digest) {
        let known_no_more = self.calls().pauses.answered(digest);
        for digest in known_no_more {
            self.active.invalidate(&digest);
        }
    }

    /// A limit is reached: strangers can cause it, so the operator is told now and then.
    pub(super) fn limited(&self, limit: Trouble, detail: String) -> AuthError {
        self.tell(limit, &detail);
        unavailable("introspection_limited", Duration::from_secs(1)).with_detail(detail)
    }

    /// Keeps what a call brought, unless its token was forgotten in between.
    pub(super) fn land(
        &self,
        (digest, number, lane): (Digest, u64, Lane),
        result: Landed,
    ) -> Outcome {
        let now = self.clock.monotonic();
        let mut calls = self.calls();
        let current = calls.record.end(&digest, number, lane);
        self.meter.queue(calls.record.size());
        self.meter.called(match &result {
            Landed::Active { .. } => CallEnd::Active,
            Landed::Refused { .. } => CallEnd::Refused,
            Landed::Nothing { .. } => CallEnd::Failed,
        });
        match result {
            Landed::Active { judged, life } => {
                let until = now.saturating_add(life.min(self.limits.positive_ttl));
                let known_until = now
                    .saturating_add(KNOWN)
                    .max(until.saturating_add(KNOWN_AFTER));
                let active = Active {
                    until,
                    judged,
                    known_until,
                };
                calls.pauses.knows_one();
                if !current {
                    return Outcome::Active(self.active.hand_out(digest, active));
                }
                let entry = self.active.keep(digest, active);
                self.refused.invalidate(&digest);
                Outcome::Active(entry)
            }
            Landed::Refused { error, keep } => {
                if current {
                    self.active.invalidate(&digest);
                    if keep && !self.limits.negative_ttl.is_zero() {
                        self.keep_refused(digest, &error, self.limits.negative_ttl, now);
                    }
                }
                Outcome::Refused(error)
            }
            Landed::Nothing { error, keep } => {
                if let Some(life) = keep.filter(|_| current) {
                    self.keep_refused(digest, &error, life, now);
                }
                Outcome::Refused(error)
            }
        }
    }

    fn keep_refused(&self, digest: Digest, error: &AuthError, life: Duration, now: Duration) {
        let refused = Refused {
            error: error.clone(),
            until: now.saturating_add(life),
        };
        self.refused.insert(digest, Arc::new(refused));
    }

    /// Nothing panics while it is held; were that to change, a poisoned lock would still
    /// hold a consistent record.
    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operator was told when it happened: strangers can repeat it.
pub(super) fn unavailable(reason: &'static str, retry_after: Duration) -> AuthError {
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
