//! The life of one issuer's keys.
//!
//! A known key is served from memory, without a lock. Whether memory is good enough, and
//! whether a fetch may start, is decided by [`KeyStore::lookup`] alone; fetches run detached
//! from the requests that wait for them, one at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use tokio::sync::watch;
use tracing::{info, warn};

use super::discovery;
use super::fetch::Fetch;
use super::freshness::lifetime;
use super::jwks;
use super::server::{AuthorizationServer, KeySource};
use crate::clock::Clock;
use crate::error::AuthError;
use crate::jose::{self, Algorithm, VerifyingKey, select};

/// The numbers a key set lives by.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Over discovery and key set together.
    pub(super) deadline: Duration,
    /// Between a fetch and the next one for an unknown key id.
    pub(super) cooldown: Duration,
    /// How long keys serve past their lifetime while the server is down.
    pub(super) stale: Duration,
    pub(super) backoff_first: Duration,
    pub(super) backoff_most: Duration,
    /// While no keys are held, recovery should not take a minute.
    pub(super) backoff_most_cold: Duration,
    pub(super) waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            cooldown: Duration::from_secs(30),
            stale: Duration::from_secs(3600),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            backoff_most_cold: Duration::from_secs(15),
            waiting: 16_384,
        }
    }
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyStore {
    server: AuthorizationServer,
    fetch: Arc<dyn Fetch>,
    clock: Clock,
    bounds: Bounds,
    current: ArcSwapOption<KeySet>,
    attempts: Mutex<Attempts>,
    waiting: AtomicUsize,
}

/// A key set as it was fetched. Times are those of the clock.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<VerifyingKey>,
    refresh_at: Duration,
    fresh_until: Duration,
    stale_until: Duration,
}

/// What is known of the fetches so far.
#[derive(Debug, Default)]
struct Attempts {
    last: Option<Duration>,
    last_success: Option<Duration>,
    /// Why the last attempt failed; `None` when it succeeded.
    failure: Option<Arc<str>>,
    failures: u32,
    not_before: Duration,
    in_flight: Option<watch::Receiver<()>>,
    /// Found by discovery, forgotten when a fetch from it fails.
    jwks_uri: Option<Box<str>>,
}

/// The state of one issuer's keys, for a readiness probe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyHealth {
    /// How many usable keys are held.
    pub keys: usize,
    /// How long ago keys were fetched, if they ever were.
    pub age: Option<Duration>,
    /// Why the last fetch failed; `None` when it succeeded, or none was made yet.
    pub last_error: Option<Arc<str>>,
    /// How long until keys are fetched ahead of their expiry, if any are held.
    pub next_refresh: Option<Duration>,
}

/// Why a fetch is asked for; it decides how soon after the last one it may be.
#[derive(Clone, Copy)]
enum Need {
    /// There are no keys that may serve: as soon as the backoff allows.
    Keys,
    /// A token names a key that is not held: strangers can cause this at will, so once a
    /// cooldown.
    UnknownKey,
    /// The operator asked.
    Now,
}

/// What memory can say about a key.
pub(super) enum Lookup {
    Found(Arc<KeySet>, usize),
    /// Ask again when this fetch has ended.
    Wait(Waiting),
    Refused(AuthError),
}

/// A place among those that wait for a fetch; bounded, because each holds a request.
pub(super) struct Waiting {
    ended: watch::Receiver<()>,
    store: Arc<KeyStore>,
}

impl Waiting {
    /// Resolves when the fetch has ended, however it did.
    pub(super) async fn ended(mut self) {
        // An error means that the sender is gone: the fetch has ended as well.
        let _ = self.ended.changed().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.store.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeySet {
    pub(super) fn key(&self, index: usize) -> &VerifyingKey {
        &self.keys[index]
    }
}

impl KeyStore {
    pub(super) fn new(
        server: AuthorizationServer,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
        bounds: Bounds,
    ) -> Self {
        let current = match &server.keys {
            KeySource::Static(keys) => Some(Arc::new(KeySet {
                keys: keys
                    .iter()
                    .filter_map(|key| {
                        let source = jose::KeySource::Public(key.clone());
                        VerifyingKey::prepare(&source, &server.algorithms)
                    })
                    .collect(),
                refresh_at: Duration::MAX,
                fresh_until: Duration::MAX,
                stale_until: Duration::MAX,
            })),
            KeySource::Discovery | KeySource::JwksUri(_) => None,
        };
        Self {
            server,
            fetch,
            clock,
            bounds,
            current: ArcSwapOption::new(current),
            attempts: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The key for a token, or what to do about it.
    ///
    /// `waited`: a fetch this request waited for has ended, so the answer is final.
    pub(super) fn lookup(
        self: &Arc<Self>,
        kid: Option<&str>,
        alg: Algorithm,
        waited: bool,
    ) -> Lookup {
        loop {
            let held = self.current.load_full();
            // `None`: a fetch landed in between, and what was judged is no longer held.
            if let Some(answer) = self.judge(held, kid, alg, waited) {
                return answer;
            }
        }
    }

    fn judge(
        self: &Arc<Self>,
        held: Option<Arc<KeySet>>,
        kid: Option<&str>,
        alg: Algorithm,
        waited: bool,
    ) -> Option<Lookup> {
        let now = self.clock.now();
        let Some(set) = held.clone().filter(|set| self.may_serve(set, now)) else {
            return self.wait_or(held.as_ref(), Need::Keys, now, waited, |attempts| {
                self.no_keys(attempts, now)
            });
        };
        if now >= set.refresh_at {
            self.refresh_in_background(now);
        }
        match select(&set.keys, kid, alg) {
            Ok(index) => Some(Lookup::Found(set, index)),
            Err(error) if error.reason() != jose::UNKNOWN_KEY || self.is_static() => {
                Some(Lookup::Refused(error))
            }
            Err(error) => self.wait_or(held.as_ref(), Need::UnknownKey, now, waited, |attempts| {
                match attempts.failure {
                    // The key may be new, which nobody could tell.
                    Some(_) => self.no_keys(attempts, now),
                    None => error.clone(),
                }
            }),
        }
    }

    /// Fetches keys now, unless that is under way, and waits for the end.
    pub(super) async fn warm_up(self: &Arc<Self>) -> Result<(), AuthError> {
        if self.is_static() {
            return Ok(());
        }
        let entered = self.enter(&mut self.attempts(), Need::Now, self.clock.now());
        match entered {
            Some(Ok(waiting)) => waiting.ended().await,
            Some(Err(full)) => return Err(full),
            None => {}
        }
        let attempts = self.attempts();
        match attempts.failure {
            Some(_) => Err(self.no_keys(&attempts, self.clock.now())),
            None => Ok(()),
        }
    }

    pub(super) fn health(&self) -> KeyHealth {
        let now = self.clock.now();
        let attempts = self.attempts();
        let set = self.current.load();
        KeyHealth {
            keys: set.as_ref().map_or(0, |set| set.keys.len()),
            age: attempts.last_success.map(|at| now.saturating_sub(at)),
            last_error: attempts.failure.clone(),
            next_refresh: set
                .as_ref()
                .filter(|set| set.refresh_at != Duration::MAX)
                .map(|set| set.refresh_at.saturating_sub(now)),
        }
    }

    fn is_static(&self) -> bool {
        matches!(self.server.keys, KeySource::Static(_))
    }

    /// Whether keys may serve now.
    fn may_serve(&self, set: &KeySet, now: Duration) -> bool {
        if now < set.fresh_until {
            return true;
        }
        // Past their lifetime they serve only where it was tried to refresh them, and
        // failed: keys that merely sat idle may have been withdrawn since.
        let attempts = self.attempts();
        let tried = attempts.last.is_some_and(|last| last >= set.refresh_at);
        tried && attempts.failure.is_some() && now < set.stale_until
    }

    /// Waits for a fetch, the one under way or a new one; refuses where neither may be.
    /// `None`: the keys are no longer those that were `held`.
    fn wait_or(
        self: &Arc<Self>,
        held: Option<&Arc<KeySet>>,
        need: Need,
        now: Duration,
        waited: bool,
        refuse: impl Fn(&Attempts) -> AuthError,
    ) -> Option<Lookup> {
        let mut attempts = self.attempts();
        // Fetches land under this lock, so what is compared here cannot change below.
        let current = self.current.load_full();
        let unchanged = match (held, &current) {
            (Some(held), Some(current)) => Arc::ptr_eq(held, current),
            (None, None) => true,
            _ => false,
        };
        if !unchanged {
            return None;
        }
        if waited {
            return Some(Lookup::Refused(refuse(&attempts)));
        }
        Some(match self.enter(&mut attempts, need, now) {
            Some(Ok(waiting)) => Lookup::Wait(waiting),
            Some(Err(full)) => Lookup::Refused(full),
            None => Lookup::Refused(refuse(&attempts)),
        })
    }

    /// A place to wait for a fetch. `None`: none is under way, and it is too early for one.
    fn enter(
        self: &Arc<Self>,
        attempts: &mut Attempts,
        need: Need,
        now: Duration,
    ) -> Option<Result<Waiting, AuthError>> {
        let cooled = || {
            let since_last = |last| now.saturating_sub(last);
            attempts
                .last
                .is_none_or(|last| since_last(last) >= self.bounds.cooldown)
        };
        let allowed = match need {
            Need::Now => true,
            Need::Keys => now >= attempts.not_before,
            Need::UnknownKey => now >= attempts.not_before && cooled(),
        };
        let ended = match &attempts.in_flight {
            Some(ended) => ended.clone(),
            None if allowed => self.start(attempts, now),
            None => return None,
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.bounds.waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let error = AuthError::unavailable("too_many_waiting", Duration::from_secs(1));
            return Some(Err(error.with_detail(format!(
                "{} requests wait for the keys of {:?} already",
                self.bounds.waiting, self.server.issuer
            ))));
        }
        Some(Ok(Waiting {
            ended,
            store: Arc::clone(self),
        }))
    }

    fn refresh_in_background(self: &Arc<Self>, now: Duration) {
        let mut attempts = self.attempts();
        if attempts.in_flight.is_none() && now >= attempts.not_before {
            self.start(&mut attempts, now);
        }
    }

    /// Starts the one fetch, in a task of its own: whoever asked for it may go away.
    fn start(self: &Arc<Self>, attempts: &mut Attempts, now: Duration) -> watch::Receiver<()> {
        let (sender, ended) = watch::channel(());
        attempts.last = Some(now);
        attempts.in_flight = Some(ended.clone());
        let known = attempts.jwks_uri.take();
        let flight = Flight {
            store: Arc::clone(self),
            _sender: sender,
            outcome: Err("the fetch was cut off".into()),
        };
        tokio::spawn(flight.fly(known));
        ended
    }

    /// Discovery, where needed, and the key set.
    async fn load(&self, known: Option<Box<str>>) -> Result<Loaded, String> {
        if let Some(jwks_uri) = known {
            // The place may have moved: any failure leads to discovery below.
            if let Ok(loaded) = self.load_from(jwks_uri, true).await {
                return Ok(loaded);
            }
        }
        let (jwks_uri, discovered) = match &self.server.keys {
            KeySource::JwksUri(jwks_uri) => (jwks_uri.clone(), false),
            KeySource::Discovery | KeySource::Static(_) => {
                let (issuer, policy) = (&self.server.issuer, &self.server.policy);
                let found = discovery::find_jwks_uri(issuer, policy, &*self.fetch).await?;
                (found, true)
            }
        };
        self.load_from(jwks_uri, discovered).await
    }

    async fn load_from(&self, jwks_uri: Box<str>, discovered: bool) -> Result<Loaded, String> {
        let in_set = |why: String| format!("key set {jwks_uri}: {why}");
        let response = discovery::get(&jwks_uri, jwks::MAX_SET, &*self.fetch)
            .await
            .map_err(in_set)?;
        let keys = jwks::parse(response.body(), &self.server.algorithms).map_err(in_set)?;
        Ok(Loaded {
            keys,
            headers: response.headers().clone(),
            jwks_uri: discovered.then_some(jwks_uri),
        })
    }

    /// Takes in what a fetch brought.
    fn land(&self, outcome: Result<Loaded, String>) {
        let now = self.clock.now();
        let issuer = &*self.server.issuer;
        let mut attempts = self.attempts();
        attempts.in_flight = None;
        match outcome {
            Ok(loaded) => {
                let lifetime = lifetime(&loaded.headers, now);
                let fresh_until = now + lifetime;
                // At 80 %, and half a minute before the end at least.
                let ahead = (lifetime / 5).max(Duration::from_secs(30));
                info!(
                    target: "tower_mcp_auth",
                    issuer,
                    keys = loaded.keys.len(),
                    lifetime_s = lifetime.as_secs(),
                    "keys fetched"
                );
                self.current.store(Some(Arc::new(KeySet {
                    keys: loaded.keys,
                    refresh_at: fresh_until.saturating_sub(ahead),
                    fresh_until,
                    stale_until: fresh_until + self.bounds.stale,
                })));
                attempts.last_success = Some(now);
                attempts.failure = None;
                attempts.failures = 0;
                attempts.not_before = now;
                attempts.jwks_uri = loaded.jwks_uri;
            }
            Err(why) => {
                let delay = self.backoff(attempts.failures, now);
                attempts.failures = attempts.failures.saturating_add(1);
                attempts.not_before = now + delay;
                warn!(
                    target: "tower_mcp_auth",
                    issuer,
                    why,
                    retry_ms = delay.as_millis(),
                    "keys could not be fetched"
                );
                attempts.failure = Some(why.into());
            }
        }
    }

    /// Doubling, with jitter downwards so that replicas do not come back in step.
    fn backoff(&self, failures: u32, now: Duration) -> Duration {
        let held = self.current.load();
        let holds_keys = held.as_ref().is_some_and(|set| now < set.stale_until);
        let most = if holds_keys {
            self.bounds.backoff_most
        } else {
            self.bounds.backoff_most_cold
        };
        let full = self
            .bounds
            .backoff_first
            .saturating_mul(1 << failures.min(16))
            .min(most);
        full.mul_f64(0.5 + jitter() / 2.0)
    }

    fn no_keys(&self, attempts: &Attempts, now: Duration) -> AuthError {
        let retry = attempts.not_before.saturating_sub(now);
        let why = attempts
            .failure
            .as_deref()
            .unwrap_or("no fetch has ended yet");
        AuthError::unavailable("keys_unavailable", retry)
            .with_detail(format!("no usable keys of {:?}: {why}", self.server.issuer))
    }

    /// Nothing panics while it is held; were that to change, a poisoned lock would still
    /// hold a consistent record.
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Loaded {
    keys: Vec<VerifyingKey>,
    headers: HeaderMap,
    jwks_uri: Option<Box<str>>,
}

/// A fetch under way. It lands when dropped, so that a panic, or a runtime shutting down,
/// is a failed attempt and not a store that waits for ever.
struct Flight {
    store: Arc<KeyStore>,
    outcome: Result<Loaded, String>,
    /// Dropped last: its end is what waiting requests see.
    _sender: watch::Sender<()>,
}

impl Flight {
    async fn fly(mut self, known: Option<Box<str>>) {
        let deadline = self.store.bounds.deadline;
        let load = self.store.load(known);
        self.outcome = match tokio::time::timeout(deadline, load).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
        };
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Err(String::new()));
        self.store.land(outcome);
    }
}

/// Between 0 and 1. Not for secrets: the standard library's hasher is seeded at random.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
