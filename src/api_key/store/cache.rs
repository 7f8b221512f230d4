//! What a store said of keys, and whether it may be asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::call::{Answer, Asked, Question, Said};
use super::settings::{CachedApiKeyStore, Limits};
use super::stale::{NoAnswer, judged};
use super::{ApiKeyStore, ApiKeyStoreError, KeyLookup};
use crate::api_key::KeyDigest;
use crate::api_key::demand::Demand;
use crate::api_key::digest::DigestKind;
use crate::api_key::entry::{Entry, Faults, is_same, refused};
use crate::api_key::format::Shape;
use crate::api_key::key::LENGTHS;
use crate::api_key::{ApiKey, Pepper};
use crate::clock::Clock;
use crate::crypto::Digest;
use crate::error::{AuthError, Reason};
use crate::telemetry::{self, store};
use crate::util::cache::{clear, kept_for};
use crate::util::places::{Class, Place, Places, Turns};
use crate::util::single_flight::{Calls, CutOff, FlightOwner, SingleFlight};
use crate::util::{Occasionally, one_line};

/// How much of a text that is the store's in part is kept, in characters.
const MAX_TEXT: usize = 1024;
/// How long no question is put to a store that could not be asked.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How long a key is remembered past its life. It is not used any more while the store answers, but
/// it has the places of known keys.
const MEMORY: Duration = Duration::from_secs(300);

/// What a store said.
pub(in crate::api_key) struct StoreCache {
    pub(super) store: Arc<dyn ApiKeyStore>,
    pub(super) limits: Limits,
    pub(super) turns: Turns,
    /// Requests that wait for answers: each of them holds one.
    waiting: Arc<Places>,
    pepper: Option<Pepper>,
    /// When there was a warning last of each kind of trouble.
    warned: [Occasionally; Trouble::COUNT],
    pub(super) found: Cache<Digest, Found>,
    /// By the monotonic clock, until when. Apart, so that a flood of unknown keys does not push
    /// out those in use.
    absent: Cache<Digest, Duration>,
    flights: SingleFlight<Digest, Answer, Pause>,
}

/// No question before this.
#[derive(Debug, Default)]
pub(in crate::api_key) struct Pause {
    until: Duration,
}

/// Faults that every request can repeat, with a warning now and then: each kind has its own, so
/// that none hides another.
#[derive(Clone, Copy)]
enum Trouble {
    /// Too many requests wait.
    Waiting,
    /// Too many questions are under way or queued.
    Queue,
    /// A question did not get its turn.
    Turn,
    /// The store failed.
    Failed,
}

impl Trouble {
    const COUNT: usize = Self::Failed as usize + 1;
}

#[derive(Clone)]
pub(super) struct Found {
    pub(super) entry: Arc<Entry>,
    /// When the store said so, and until when it is not asked again; by the monotonic clock.
    pub(super) said: Duration,
    until: Duration,
}

/// What memory can say of a key.
pub(in crate::api_key) enum Lookup {
    Found(Arc<Entry>),
    Refused(AuthError),
    /// The answer to the question under way.
    Wait(Asked),
}

enum Recall {
    Known(Lookup),
    Nothing(Class),
}

impl StoreCache {
    pub(in crate::api_key) fn new(keys: CachedApiKeyStore) -> Self {
        let CachedApiKeyStore {
            store,
            pepper,
            limits,
        } = keys;
        Self {
            found: remember(limits.max_keys, limits.longest_use().saturating_add(MEMORY)),
            absent: remember(limits.max_keys, limits.negative_ttl.saturating_add(PAUSE)),
            turns: Turns::new(
                limits.concurrent,
                limits.concurrent - limits.concurrent / 4,
                limits.max_queued,
            ),
            waiting: Places::new(limits.max_waiting_requests),
            warned: Default::default(),
            flights: SingleFlight::new(Pause::default()),
            store,
            pepper,
            limits,
        }
    }

    /// What is known of a key; where nothing is, the store is asked.
    pub(in crate::api_key) fn lookup(
        self: &Arc<Self>,
        key: &str,
        clock: &Clock,
        demand: Demand<'_>,
    ) -> Lookup {
        let shape = Shape::of(key);
        let digest = match (shape, &self.pepper) {
            _ if !LENGTHS.contains(&key.len()) => {
                return Lookup::Refused(refused(shape, None, Faults::default(), demand));
            }
            (Some(_), _) => KeyDigest::generated(key),
            (None, Some(pepper)) => KeyDigest::foreign(key, pepper),
            (None, None) => {
                return Lookup::Refused(refused(shape, None, Faults::default(), demand));
            }
        };
        let recalled = self.recall(&digest, shape, clock, demand);
        store::looked_up(matches!(recalled, Recall::Known(_)));
        match recalled {
            Recall::Known(known) => known,
            Recall::Nothing(_) => {
                let id = shape.map(|shape| shape.id);
                self.ask(KeyLookup::new(digest, id), shape, clock, demand)
            }
        }
    }

    /// What memory alone can say.
    fn recall(
        &self,
        digest: &KeyDigest,
        shape: Option<Shape<'_>>,
        clock: &Clock,
        demand: Demand<'_>,
    ) -> Recall {
        let (now, last) = (clock.monotonic(), self.found.get(&digest.bytes));
        let live = last.as_ref().filter(|found| now < found.until);
        let entry = live.map(|found| &found.entry);
        let same = is_same(entry.map(|entry| entry.digest()), &digest.bytes);
        let wall = clock.now();
        let faults = entry.map(|entry| entry.faults(wall, demand));
        let faults = faults.unwrap_or_default();
        if let Some(entry) = entry.filter(|_| same && faults.are_none()) {
            return Recall::Known(Lookup::Found(Arc::clone(entry)));
        }
        // From here on the key is refused, or not known yet: the work is the same for all.
        let absent = self.absent.get(&digest.bytes);
        let absent = absent.is_some_and(|until| now < until);
        let whole = shape.is_none_or(|shape| shape.is_whole());
        if entry.is_some() || absent || !whole {
            let error = refused(shape, entry.map(|entry| &**entry), faults, demand);
            return Recall::Known(Lookup::Refused(error));
        }
        Recall::Nothing(match last {
            Some(_) => Class::Known,
            None => Class::Unknown,
        })
    }

    pub(in crate::api_key) fn invalidate(&self, digest: &KeyDigest) {
        let mut calls = self.flights.lock();
        calls.leave(&digest.bytes);
        self.found.invalidate(&digest.bytes);
        self.absent.invalidate(&digest.bytes);
    }

    pub(in crate::api_key) fn invalidate_all(&self) {
        let mut calls = self.flights.lock();
        calls.leave_all();
        clear(&self.found);
        clear(&self.absent);
    }

    /// Joins the question about this key, or puts it.
    fn ask(
        self: &Arc<Self>,
        wanted: KeyLookup,
        shape: Option<Shape<'_>>,
        clock: &Clock,
        demand: Demand<'_>,
    ) -> Lookup {
        let now = clock.monotonic();
        let or_stale = |error, why| match self.stale(&wanted.digest().bytes, clock, why) {
            Some(entry) => judged(entry, shape, clock, demand),
            None => Lookup::Refused(error),
        };
        let Some(waiting) = Place::of(&self.waiting) else {
            let why = "too many requests wait for the key store";
            let error = self.limited(now, Trouble::Waiting, why);
            return or_stale(error, NoAnswer::Other);
        };
        let id = wanted.id().unwrap_or_default().into();
        let digest = wanted.digest().bytes;
        let mut calls = self.flights.lock();
        let ticket = match calls.join(&digest) {
            Some(ticket) => ticket,
            None => {
                // What landed since it was looked for need not be asked again.
                let class = match self.recall(wanted.digest(), shape, clock, demand) {
                    Recall::Known(known) => return known,
                    Recall::Nothing(class) => class,
                };
                if now < calls.until {
                    let error = unavailable(Reason::API_KEY_STORE_FAILED, calls.until - now);
                    let error = error.with_detail("questions to the key store pause");
                    return or_stale(error, NoAnswer::Outage);
                }
                let Some(queued) = Place::of(self.turns.calls(class)) else {
                    // Events are written without the lock: a subscriber may call this layer.
                    drop(calls);
                    let why = "too many questions to the key store";
                    let error = self.limited(now, Trouble::Queue, why);
                    return or_stale(error, NoAnswer::Other);
                };
                let clock = clock.clone();
                let question = Question {
                    wanted: wanted.clone(),
                    clock,
                };
                let (ticket, flight) = calls.begin(self, digest, question);
                drop(calls);
                store::queue(self.turns.size());
                flight.launch(Arc::clone(self).put(wanted, class, queued));
                ticket
            }
        };
        Lookup::Wait(Asked::new(ticket, waiting, self, digest, id))
    }

    fn failed(&self, now: Duration, error: &ApiKeyStoreError) -> AuthError {
        let why = one_line(&error.text, MAX_TEXT);
        self.report(now, Trouble::Failed, &why);
        unavailable(Reason::API_KEY_STORE_FAILED, PAUSE).with_detail(why)
    }

    fn limited(&self, now: Duration, limit: Trouble, why: &'static str) -> AuthError {
        self.report(now, limit, why);
        unavailable(Reason::API_KEY_STORE_LIMITED, PAUSE).with_detail(why)
    }

    /// Logs what any client can repeat: now and then as a warning.
    fn report(&self, now: Duration, trouble: Trouble, why: &str) {
        telemetry::key_store_failed(self.warned[trouble as usize].is_due(now), why);
    }
}

impl FlightOwner for StoreCache {
    type Key = Digest;
    type Call = Question;
    type State = Pause;
    type Outcome = Said;
    type Answer = Answer;

    fn flights(&self) -> &SingleFlight<Digest, Answer, Pause> {
        &self.flights
    }

    /// Keeps what a question brought, unless its key was forgotten in between.
    fn land(
        &self,
        calls: Calls<'_, Digest, Answer, Pause>,
        question: &Question,
        current: bool,
        said: Result<Said, CutOff>,
    ) -> Answer {
        let said = said.unwrap_or_else(|cut_off| {
            Said::Error(match cut_off {
                CutOff::NoRuntime => {
                    ApiKeyStoreError::unreachable("there is no Tokio runtime to ask in")
                }
                CutOff::Dropped => ApiKeyStoreError::failed("the question was cut off"),
            })
        });
        let end = match &said {
            Said::Key(Some(_)) => "found",
            Said::Key(None) => "absent",
            Said::Error(_) | Said::NoTurn => "failed",
        };
        let answer = self.keep(calls, question, current, said);
        store::queue(self.turns.size());
        store::called(end);
        answer
    }
}

impl StoreCache {
    fn keep(
        &self,
        mut calls: Calls<'_, Digest, Answer, Pause>,
        question: &Question,
        current: bool,
        said: Said,
    ) -> Answer {
        let (digest, clock) = (question.wanted.digest(), &question.clock);
        let (now, wall) = (clock.monotonic(), clock.now());
        let found = match said {
            Said::Key(found) => found,
            Said::NoTurn => {
                drop(calls);
                let why = "no turn for a question in time";
                let error = self.limited(now, Trouble::Turn, why);
                return self.without_answer(digest, clock, NoAnswer::Other, error);
            }
            Said::Error(error) => {
                let why = match error.pause {
                    true => NoAnswer::Outage,
                    false => NoAnswer::Other,
                };
                if error.pause {
                    calls.until = now.saturating_add(PAUSE);
                }
                drop(calls);
                let error = self.failed(now, &error);
                return self.without_answer(digest, clock, why, error);
            }
        };
        // Who looks by id, or in a column that does not tell case, finds other keys.
        let Some(key) = found.filter(|key| is_wanted(key, digest)) else {
            if current {
                self.found.invalidate(&digest.bytes);
                let until = now.saturating_add(self.limits.negative_ttl);
                self.absent.insert(digest.bytes, until);
            }
            return Answer::Absent;
        };
        let entry = Entry::new(&key);
        if let Some(last) = self.found.get(&digest.bytes) {
            entry.succeed(&last.entry);
        }
        let entry = Arc::new(entry);
        if current {
            // As long as an unknown one, or the time to the next question would tell them
            // apart.
            let life = match entry.is_live(wall) {
                true => self.limits.positive_ttl,
                false => self.limits.negative_ttl,
            };
            let until = now.saturating_add(life);
            let entry = Arc::clone(&entry);
            let found = Found {
                entry,
                said: now,
                until,
            };
            self.found.insert(digest.bytes, found);
            self.absent.invalidate(&digest.bytes);
        }
        Answer::Found(entry)
    }
}

fn remember<V: Clone + Send + Sync + 'static>(most: u64, life: Duration) -> Cache<Digest, V> {
    Cache::builder()
        .max_capacity(most)
        .time_to_live(kept_for(life))
        .build()
}

fn is_wanted(key: &ApiKey, digest: &KeyDigest) -> bool {
    // A plain digest that is equal is of the key itself, so both are of the same kind.
    let kind = key.kind.unwrap_or(DigestKind::Generated);
    is_same(Some(&key.digest), &digest.bytes) && kind == digest.kind
}

/// It was logged when it happened, because any client can repeat it.
pub(super) fn unavailable(reason: Reason, retry_after: Duration) -> AuthError {
    AuthError::unavailable(reason, retry_after).logged()
}

impl fmt::Debug for StoreCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCache")
            .field("store", &self.store)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
