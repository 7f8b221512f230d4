//! What is known of tokens, and whether a call may start.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;

use super::brake::{Lane, Permits, Rate};
use super::custom::{Introspect, IntrospectionError};
use super::endpoint::Endpoint;
use super::flight::Launch;
use super::settings::{Introspection, JwtIntrospection, Limits};
use crate::clock::Clock;
use crate::digest::sha256;
use crate::error::AuthError;
use crate::jose::TokenProfile;
use crate::oauth::fetch::Fetch;
use crate::oauth::token_cache::{DigestHasher, TokenDigest};
use crate::principal::Principal;

/// How long an answer "active" is remembered past its life. It is not used any more, but its
/// token is told from those nobody ever called good.
const MEMORY: Duration = Duration::from_secs(300);
/// The bytes of claims kept, with 1 KiB an answer for the rest.
const MAX_BYTES: u64 = 64 << 20;

/// What one issuer said of tokens.
pub(in crate::oauth) struct Introspector {
    pub(super) issuer: Arc<str>,
    pub(super) source: Source,
    pub(super) profile: TokenProfile,
    pub(super) limits: Limits,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) permits: Permits,
    pub(super) warned: AtomicU64,
    settings: Introspection,
    /// A digest of who is asked and who asks: the same token asked about elsewhere, or as
    /// somebody else, is another entry.
    binding: TokenDigest,
    active: Cache<TokenDigest, Arc<Active>, BuildHasherDefault<DigestHasher>>,
    refused: Cache<TokenDigest, Arc<Refused>>,
    calls: Mutex<Calls>,
    waiting: AtomicUsize,
}

/// Who is asked.
#[derive(Debug)]
pub(super) enum Source {
    Endpoint(Box<Endpoint>),
    Custom(Arc<dyn Introspect>),
}

/// What vouches for a token before anybody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum Vouched {
    ByNobody,
    /// Its signature, and all checks that go with it.
    BySignature,
}

/// An answer that was found good.
pub(super) struct Active {
    pub(super) principal: Principal,
    /// By the monotonic clock.
    pub(super) until: Duration,
}

pub(super) struct Refused {
    pub(super) error: AuthError,
    pub(super) until: Duration,
}

/// What requests learn from a call.
#[derive(Clone)]
pub(super) enum Outcome {
    Active(Principal),
    Refused(AuthError),
}

/// What is known of the calls so far.
pub(super) struct Calls {
    pub(super) under_way: HashMap<TokenDigest, Call>,
    pub(super) known: usize,
    pub(super) unknown: usize,
    next: u64,
    rate: Rate,
    /// No call before this.
    pub(super) not_before: Duration,
    /// Why.
    pub(super) paused_for: Box<str>,
    pub(super) failures: u32,
}

pub(super) struct Call {
    pub(super) number: u64,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What memory can say of a token.
pub(in crate::oauth) enum Lookup {
    Active(Principal),
    Refused(AuthError),
    /// The answer of the call under way.
    Wait(Asked),
}

/// A place among those that wait for a call; bounded, because each holds a request.
pub(in crate::oauth) struct Asked {
    outcome: watch::Receiver<Option<Outcome>>,
    store: Arc<Introspector>,
}

impl Asked {
    /// What the authorization server says. A call ends by itself; a runtime nobody drives any
    /// more must not hold a request for ever, though.
    pub(in crate::oauth) async fn answer(mut self) -> Result<Principal, AuthError> {
        let limits = &self.store.limits;
        let patience = limits
            .queue_deadline
            .saturating_add(limits.timeout)
            .saturating_add(Duration::from_secs(1));
        let ended = self.outcome.wait_for(Option::is_some);
        let outcome = match tokio::time::timeout(patience, ended).await {
            Ok(Ok(outcome)) => outcome.clone(),
            _ => None,
        };
        match outcome {
            Some(Outcome::Active(principal)) => Ok(principal),
            Some(Outcome::Refused(error)) => Err(error),
            None => Err(unavailable("introspection_failed", Duration::ZERO)
                .with_detail("the call was cut off")),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.store.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Introspector {
    /// `profile` is what answers must fit.
    pub(super) fn new(
        settings: Introspection,
        source: Source,
        profile: TokenProfile,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
    ) -> Self {
        let limits = settings.limits.clone();
        let life = limits.positive_life.saturating_add(MEMORY);
        let share = MAX_BYTES
            .checked_div(limits.max_answers)
            .unwrap_or(MAX_BYTES);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let weigh = move |_: &TokenDigest, answer: &Arc<Active>| {
            let bytes = 1024 + answer.principal.weight();
            u32::try_from(bytes).unwrap_or(u32::MAX).max(share)
        };
        let issuer = profile.issuer.clone().unwrap_or_default();
        let now = clock.monotonic();
        Self {
            binding: settings.binding(&issuer),
            source,
            permits: Permits::new(limits.concurrent),
            active: Cache::builder()
                .max_capacity(if limits.max_answers == 0 {
                    0
                } else {
                    MAX_BYTES
                })
                .weigher(weigh)
                .time_to_live(life)
                .build_with_hasher(BuildHasherDefault::default()),
            refused: Cache::builder()
                .max_capacity(limits.max_answers)
                .time_to_live(limits.negative_life.saturating_add(Duration::from_secs(1)))
                .build(),
            calls: Mutex::new(Calls {
                under_way: HashMap::new(),
                known: 0,
                unknown: 0,
                next: 0,
                rate: Rate::new(limits.new_tokens_per_second, now),
                not_before: Duration::ZERO,
                paused_for: Box::default(),
                failures: 0,
            }),
            waiting: AtomicUsize::new(0),
            warned: AtomicU64::new(0),
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
    pub(super) fn may_be_own(&self, token: &str) -> bool {
        self.settings.token_lengths.contains(&token.len())
    }

    /// What is known of a token; where nothing is, the server is asked.
    pub(in crate::oauth) fn lookup(self: &Arc<Self>, token: &str, vouched: Vouched) -> Lookup {
        let digest = self.digest(token);
        let now = self.clock.monotonic();
        let last = self.active.get(&digest);
        if let Some(active) = last.as_ref().filter(|active| now < active.until) {
            return Lookup::Active(active.principal.clone());
        }
        if let Some(refused) = self.refused.get(&digest)
            && now < refused.until
        {
            return Lookup::Refused(refused.error.clone());
        }
        let lane = match last {
            Some(_) => Lane::Known,
            None => Lane::Unknown,
        };
        self.ask(digest, token, vouched, lane, now)
    }

    /// Drops what is known of a token, and what a call under way will say of it.
    pub(in crate::oauth) fn forget(&self, token: &str) {
        let digest = self.digest(token);
        let mut calls = self.calls();
        calls.under_way.remove(&digest);
        self.active.invalidate(&digest);
        self.refused.invalidate(&digest);
    }

    /// The same for all tokens.
    pub(in crate::oauth) fn forget_all(&self) {
        let mut calls = self.calls();
        calls.under_way.clear();
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

    fn digest(&self, token: &str) -> TokenDigest {
        sha256(&[&self.binding, token.as_bytes()])
    }

    /// Joins the call about this token, or starts it.
    fn ask(
        self: &Arc<Self>,
        digest: TokenDigest,
        token: &str,
        vouched: Vouched,
        lane: Lane,
        now: Duration,
    ) -> Lookup {
        if self.waiting.load(Ordering::Relaxed) >= self.limits.waiting {
            return Lookup::Refused(self.limited(format!(
                "{} requests wait for answers of {:?} already",
                self.limits.waiting, self.issuer
            )));
        }
        let mut calls = self.calls();
        let (outcome, launch) = match calls.under_way.get(&digest) {
            Some(call) => (call.outcome.clone(), None),
            None => {
                if let Some(error) = self.refuse_call(&mut calls, lane, now) {
                    return Lookup::Refused(error);
                }
                let (sender, outcome) = watch::channel(None);
                let number = calls.next;
                calls.next += 1;
                *calls.count(lane) += 1;
                let call = Call {
                    number,
                    outcome: outcome.clone(),
                };
                calls.under_way.insert(digest, call);
                let store = Arc::clone(self);
                let launch = Launch::new(store, sender, digest, number, token, vouched, lane);
                (outcome, Some(launch))
            }
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let asked = Asked {
            outcome,
            store: Arc::clone(self),
        };
        drop(calls);
        // Not under the lock: a runtime that is shutting down lands it at once.
        if let Some(launch) = launch {
            launch.launch();
        }
        Lookup::Wait(asked)
    }

    /// Why no call may start now.
    fn refuse_call(&self, calls: &mut Calls, lane: Lane, now: Duration) -> Option<AuthError> {
        if now < calls.not_before {
            let error = unavailable("introspection_failed", calls.not_before - now);
            return Some(error.with_detail(format!(
                "calls to {:?} pause: {}",
                self.issuer, calls.paused_for
            )));
        }
        let most = self.limits.concurrent.saturating_add(self.limits.queue);
        if *calls.count(lane) >= most {
            return Some(self.limited(format!(
                "{most} calls to {:?} are under way or queued already",
                self.issuer
            )));
        }
        if lane == Lane::Unknown && !calls.rate.take(now) {
            return Some(self.limited(format!(
                "{} calls a second to {:?} about tokens not seen before",
                self.limits.new_tokens_per_second, self.issuer
            )));
        }
        None
    }

    /// A limit is reached: strangers can cause it, so the operator is told now and then.
    pub(super) fn limited(&self, detail: String) -> AuthError {
        self.tell(&detail);
        unavailable("introspection_limited", Duration::from_secs(1)).with_detail(detail)
    }

    /// Keeps what a call brought, unless its token was forgotten in between.
    pub(super) fn land(
        &self,
        (digest, number, lane): (TokenDigest, u64, Lane),
        result: Landed,
    ) -> Outcome {
        let now = self.clock.monotonic();
        let mut calls = self.calls();
        *calls.count(lane) -= 1;
        let current = calls
            .under_way
            .get(&digest)
            .is_some_and(|call| call.number == number);
        if current {
            calls.under_way.remove(&digest);
        }
        match result {
            Landed::Active { principal, life } => {
                if current {
                    let until = now.saturating_add(life.min(self.limits.positive_life));
                    let active = Active {
                        principal: principal.clone(),
                        until,
                    };
                    self.active.insert(digest, Arc::new(active));
                    self.refused.invalidate(&digest);
                }
                Outcome::Active(principal)
            }
            Landed::Refused { error, keep } => {
                if current {
                    self.active.invalidate(&digest);
                    if keep && !self.limits.negative_life.is_zero() {
                        let until = now.saturating_add(self.limits.negative_life);
                        let error = error.clone();
                        self.refused
                            .insert(digest, Arc::new(Refused { error, until }));
                    }
                }
                Outcome::Refused(error)
            }
            Landed::Nothing(error) => Outcome::Refused(error),
        }
    }

    /// Nothing panics while it is held; were that to change, a poisoned lock would still
    /// hold a consistent record.
    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn count(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Known => &mut self.known,
            Lane::Unknown => &mut self.unknown,
        }
    }
}

/// What a call brought.
pub(super) enum Landed {
    /// `life`: what is left until `exp`.
    Active {
        principal: Principal,
        life: Duration,
    },
    /// `keep`: it will be refused for the same reason for a while.
    Refused { error: AuthError, keep: bool },
    /// Nobody knows.
    Nothing(AuthError),
}

/// The operator was told when it happened: strangers can repeat it.
pub(super) fn unavailable(reason: &'static str, retry_after: Duration) -> AuthError {
    AuthError::unavailable(reason, retry_after).reported()
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector")
            .field("issuer", &self.issuer)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
