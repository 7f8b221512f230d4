//! One fetch of keys.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tracing::{info, warn};

use super::freshness::lifetime;
use super::jwks;
use super::store::{Attempts, KeyStore};
use super::{KeyLimits, KeySet, Origin, Source, Times};
use crate::error::is_deceptive;
use crate::jose::VerifyingKey;
use crate::oauth::discovery::{self, Wanted};
use crate::oauth::fetch::get;

/// How much of a failure's text is kept, in characters.
const MAX_FAILURE: usize = 1024;

/// What there is to trace of a fetch.
enum Landing {
    Keys { keys: usize, lifetime: Duration },
    Failure { why: Arc<str>, retry: Duration },
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
        let deadline = self.store.limits.deadline;
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

/// A fetch that is on record and waits to be launched.
///
/// Launching takes no lock and must be done without holding one: a runtime that is shutting
/// down drops the task at once, and dropping it lands it.
#[must_use]
pub(super) struct Launch {
    flight: Flight,
    known: Option<Box<str>>,
}

impl Launch {
    /// Runs the fetch in a task of its own: whoever asked for it may go away.
    pub(super) fn launch(mut self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.flight.fly(self.known))),
            Err(_) => self.flight.outcome = Err("there is no Tokio runtime to fetch in".into()),
        }
    }
}

impl KeyStore {
    /// Puts the one fetch on record. The caller launches it when the lock is gone.
    pub(super) fn start(
        self: &Arc<Self>,
        attempts: &mut Attempts,
        now: Duration,
    ) -> (watch::Receiver<()>, Launch) {
        let (sender, ended) = watch::channel(());
        attempts.last = Some(now);
        attempts.in_flight = Some(ended.clone());
        let flight = Flight {
            store: Arc::clone(self),
            _sender: sender,
            outcome: Err("the fetch was cut off".into()),
        };
        let known = attempts.jwks_uri.take();
        (ended, Launch { flight, known })
    }

    /// Discovery, where needed, and the key set.
    async fn load(&self, known: Option<Box<str>>) -> Result<Loaded, String> {
        if let Some(jwks_uri) = known {
            // The place may have moved: any failure leads to discovery below.
            if let Ok(loaded) = self.load_from(jwks_uri, true).await {
                return Ok(loaded);
            }
        }
        let (jwks_uri, discovered) = match &self.origin.source {
            Source::JwksUri(jwks_uri) => (jwks_uri.clone(), false),
            Source::Discovery | Source::Static(_) => {
                let Origin { issuer, policy, .. } = &self.origin;
                let found =
                    discovery::find(Wanted::JwksUri, issuer, &self.limits, policy, &*self.fetch)
                        .await?;
                (found, true)
            }
        };
        self.load_from(jwks_uri, discovered).await
    }

    async fn load_from(&self, jwks_uri: Box<str>, discovered: bool) -> Result<Loaded, String> {
        let KeyLimits {
            max_set_bytes,
            max_keys,
            ..
        } = self.limits;
        let in_set = |why: String| format!("key set {jwks_uri}: {why}");
        let response = get(&jwks_uri, max_set_bytes, &*self.fetch)
            .await
            .map_err(in_set)?;
        let Origin {
            issuer, algorithms, ..
        } = &self.origin;
        let keys = jwks::parse(response.body(), issuer, algorithms, max_keys).map_err(in_set)?;
        jwks::warn_if_crowded(&keys, issuer, algorithms);
        Ok(Loaded {
            keys,
            headers: response.headers().clone(),
            jwks_uri: discovered.then_some(jwks_uri),
        })
    }

    /// Takes in what a fetch brought.
    fn land(&self, outcome: Result<Loaded, String>) {
        let landing = match outcome {
            Ok(loaded) => self.land_keys(loaded),
            Err(why) => self.land_failure(&why),
        };
        // Traced without the lock: a subscriber may block, or ask for the health.
        let issuer = &*self.origin.issuer;
        match &landing {
            Landing::Keys { keys, .. } => self.meter.fetched(*keys, self.clock.now()),
            // A set without a usable key has taken the place of the last one.
            Landing::Failure { .. } => {
                let held = self.current.load();
                self.meter
                    .failed(held.as_ref().map_or(0, |set| set.keys.len()));
            }
        }
        match landing {
            Landing::Keys { keys, lifetime } => info!(
                target: "tower_mcp_auth",
                issuer,
                keys,
                lifetime_s = lifetime.as_secs(),
                "keys fetched"
            ),
            Landing::Failure { why, retry } => warn!(
                target: "tower_mcp_auth",
                issuer,
                why = &*why,
                retry_ms = retry.as_millis(),
                "keys could not be fetched"
            ),
        }
    }

    fn land_keys(&self, loaded: Loaded) -> Landing {
        let now = self.clock.monotonic();
        let lifetime = lifetime(&loaded.headers, self.clock.now(), &self.limits);
        let fresh_until = now.saturating_add(lifetime);
        // At 80 %, and half a minute before the end at least.
        let ahead = (lifetime / 5).max(Duration::from_secs(30));
        let times = Times {
            refresh_at: fresh_until.saturating_sub(ahead),
            fresh_until,
            stale_until: fresh_until.saturating_add(self.limits.stale),
        };
        let keys = loaded.keys.len();
        let set = KeySet::new(loaded.keys, times);

        let mut attempts = self.attempts();
        self.current.store(Some(Arc::new(set)));
        attempts.jwks_uri = loaded.jwks_uri;
        if keys == 0 {
            // Keys that were withdrawn stop at once. But a server that can sign nothing is
            // out of order, and its clients' tokens are not bad: 503, not 401.
            return self.fail(&mut attempts, "the key set has no usable key", now);
        }
        attempts.in_flight = None;
        attempts.last_success = Some(now);
        attempts.failure = None;
        attempts.failed_at = None;
        attempts.failures = 0;
        attempts.not_before = now;
        Landing::Keys { keys, lifetime }
    }

    fn land_failure(&self, why: &str) -> Landing {
        // Some of this text is the server's: one line of it, and not for ever.
        let plain = |c: char| if is_deceptive(c) { '?' } else { c };
        let why: String = why.chars().map(plain).take(MAX_FAILURE).collect();
        self.fail(&mut self.attempts(), &why, self.clock.monotonic())
    }

    fn fail(&self, attempts: &mut Attempts, why: &str, now: Duration) -> Landing {
        let retry = self.backoff(attempts.failures, now);
        let why: Arc<str> = why.into();
        attempts.in_flight = None;
        attempts.failures = attempts.failures.saturating_add(1);
        attempts.not_before = now.saturating_add(retry);
        attempts.failed_at = attempts.last;
        attempts.failure = Some(Arc::clone(&why));
        Landing::Failure { why, retry }
    }

    /// Doubling, with jitter downwards so that replicas do not come back in step.
    fn backoff(&self, failures: u32, now: Duration) -> Duration {
        let held = self.current.load();
        let holds_keys = held.as_ref().is_some_and(|set| now < set.times.stale_until);
        let most = if holds_keys {
            *self.limits.backoff.end()
        } else {
            self.limits.backoff_most_cold
        };
        let full = self
            .limits
            .backoff
            .start()
            .saturating_mul(1 << failures.min(16))
            .min(most);
        full.mul_f64(0.5 + jitter() / 2.0)
    }
}

/// Between 0 and 1. Not for secrets: the standard library's hasher is seeded at random.
pub(in crate::oauth) fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
