//! One fetch of keys.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tracing::{info, warn};

use super::freshness::lifetime;
use super::jwks;
use super::store::{Attempts, KeyStore};
use super::{KeySet, Times};
use crate::jose::VerifyingKey;
use crate::oauth::discovery;
use crate::oauth::server::KeySource;

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
                let times = Times {
                    refresh_at: fresh_until.saturating_sub(ahead),
                    fresh_until,
                    stale_until: fresh_until + self.bounds.stale,
                };
                let set = KeySet::new(loaded.keys, times);
                self.current.store(Some(Arc::new(set)));
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
        let holds_keys = held.as_ref().is_some_and(|set| now < set.times.stale_until);
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
}

/// Between 0 and 1. Not for secrets: the standard library's hasher is seeded at random.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
