//! Failures that replicas count together.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::layer::State;
use super::table::Limit;
use crate::crypto::HmacKey;
use crate::error::ConfigError;
use crate::peer::CountedAddr;
use crate::secret::check_strength;
use crate::store::{QuotaAnswer, QuotaCharge, QuotaLimit, QuotaStore, StoreKey, within_patience};
use crate::telemetry;
use crate::util::{NowAndThen, TRACED_CHARS, one_line};

/// How many failures may be on their way to the store at once. Others are counted here alone.
const MOST_UNDER_WAY: usize = 1024;
const DOMAIN: &[u8] = b"tower-mcp-auth failed attempts";

/// Where failures of all replicas are counted.
#[derive(Clone)]
pub(super) struct SharedFailures {
    store: Arc<dyn QuotaStore>,
    /// Addresses are in the store as codes.
    key: HmacKey,
    under_way: Arc<Semaphore>,
    failed: Arc<NowAndThen>,
}

impl SharedFailures {
    pub(super) fn new(store: impl QuotaStore, secret: &[u8]) -> Result<Self, ConfigError> {
        check_strength("secret", "secret", secret)?;
        Ok(Self {
            store: Arc::new(store),
            key: HmacKey::new(secret),
            under_way: Arc::new(Semaphore::new(MOST_UNDER_WAY)),
            failed: Arc::default(),
        })
    }

    /// The limit as the store counts it.
    pub(super) fn limit(limit: &Limit) -> Result<QuotaLimit, ConfigError> {
        QuotaLimit::new(limit.failures, limit.window)
    }

    /// Counts a failure there too, and blocks the client here when all replicas together saw
    /// too many. No request waits for it.
    pub(super) fn count(state: &Arc<State>, client: CountedAddr, limit: Limit) {
        let Some(shared) = state.shared() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (Ok(own), Ok(place)) = (
            Self::limit(&limit),
            Arc::clone(&shared.under_way).try_acquire_owned(),
        ) else {
            return;
        };
        let bytes = client.bytes();
        let key = StoreKey::new(shared.key.mac([DOMAIN, bytes.as_slice()]));
        let asked = shared.store.charge(vec![QuotaCharge::new(key, own, 1)]);
        let (state, shared) = (Arc::clone(state), shared.clone());
        runtime.spawn(async move {
            let _place = place;
            match within_patience(asked).await {
                Ok(QuotaAnswer::Refused(_)) => state.block(client),
                Ok(QuotaAnswer::Admitted(states)) => {
                    // It was the last one.
                    if states.iter().any(|state| state.remaining() == 0) {
                        state.block(client);
                    }
                }
                Ok(QuotaAnswer::Full) => shared.tell("it has no room", &state),
                Err(error) => {
                    let why = one_line(&error.to_string(), TRACED_CHARS);
                    shared.tell(&why, &state);
                }
            }
        });
    }

    fn tell(&self, why: &str, state: &State) {
        telemetry::failures_not_shared(self.failed.is_due(state.now()), why);
    }
}

impl fmt::Debug for SharedFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
