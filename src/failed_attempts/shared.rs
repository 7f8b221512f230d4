//! Failures that replicas count together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::layer::State;
use super::table::Limit;
use super::under_way::UnderWay;
use crate::crypto::HmacKey;
use crate::error::ConfigError;
use crate::peer::CountedAddr;
use crate::secret::check_strength;
use crate::store::{QuotaAnswer, QuotaCharge, QuotaLimit, QuotaStore, StoreKey, within_patience};
use crate::telemetry;
use crate::util::{Occasionally, TRACED_CHARS, one_line};

const DOMAIN: &[u8] = b"tower-mcp-auth failed attempts";

/// Where failures of all replicas are counted.
#[derive(Clone)]
pub(super) struct SharedFailures {
    store: Arc<dyn QuotaStore>,
    /// Addresses are in the store as codes.
    key: HmacKey,
    under_way: Arc<UnderWay>,
    /// Whether the store gave no answer when it was last asked.
    is_down: Arc<AtomicBool>,
    failed: Arc<Occasionally>,
}

impl SharedFailures {
    pub(super) fn new(store: impl QuotaStore, secret: &[u8]) -> Result<Self, ConfigError> {
        check_strength("secret", "secret", secret)?;
        Ok(Self {
            store: Arc::new(store),
            key: HmacKey::new(secret),
            under_way: Arc::default(),
            is_down: Arc::default(),
            failed: Arc::default(),
        })
    }

    /// The limit as the store counts it.
    pub(super) fn limit(limit: &Limit) -> Result<QuotaLimit, ConfigError> {
        QuotaLimit::new(limit.failures, limit.window)
    }

    /// Whether a client waits for the store: it may be blocked elsewhere, and would guess at each
    /// replica as often as it can before the first answer is here. A store without an answer makes
    /// no client wait.
    pub(super) fn waits(&self, client: CountedAddr) -> bool {
        self.under_way.is_at_most(client) && !self.is_down.load(Ordering::Relaxed)
    }

    /// Counts a failure there too, and blocks the client here when all replicas together saw
    /// too many. Its request does not wait for it.
    pub(super) fn count(state: &Arc<State>, client: CountedAddr, since: Duration, limit: Limit) {
        let Some(shared) = state.shared() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return shared.warn("there is no Tokio runtime to ask it in", state);
        };
        let Some(place) = shared.under_way.enter(client) else {
            return shared.warn("too many failures are on their way to it", state);
        };
        let Ok(own) = Self::limit(&limit) else { return };
        let bytes = client.bytes();
        let key = StoreKey::new(shared.key.mac([DOMAIN, bytes.as_slice()]));
        let asked = shared.store.charge(vec![QuotaCharge::new(key, own, 1)]);
        let (state, shared) = (Arc::clone(state), shared.clone());
        runtime.spawn(async move {
            let answer = within_patience(asked).await;
            shared.is_down.store(answer.is_err(), Ordering::Relaxed);
            match answer {
                Ok(QuotaAnswer::Refused(_)) => state.block(client, since),
                Ok(QuotaAnswer::Admitted(states)) => match states.as_slice() {
                    // It was the last one.
                    [own] if own.remaining() == 0 => state.block(client, since),
                    [_] => {}
                    _ => shared.warn("it does not say how many there are", &state),
                },
                Ok(QuotaAnswer::Full) => shared.warn("it has no room", &state),
                Err(error) => {
                    let why = one_line(&error.to_string(), TRACED_CHARS);
                    shared.warn(&why, &state);
                }
            }
            // The client is blocked before it is heard again.
            drop(place);
        });
    }

    fn warn(&self, why: &str, state: &State) {
        telemetry::failures_not_shared(self.failed.is_due(state.now()), why);
    }
}

impl fmt::Debug for SharedFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
