//! Events of the engine that replicas share.

use std::time::Duration;

use tracing::{error, info, warn};

use super::events::TARGET;

/// Said once; each request that it refuses is told apart.
pub(crate) fn down(prefix: &str, why: &str) {
    warn!(target: TARGET, prefix, why, "the shared store is down: what needs it is refused");
}

pub(crate) fn up(prefix: &str) {
    info!(target: TARGET, prefix, "the shared store is up again");
}

pub(crate) fn lost_records(prefix: &str, since: Duration) {
    warn!(
        target: TARGET,
        prefix,
        complete_since = since.as_secs(),
        "the engine of the shared store restarted, failed over or was emptied, and may have lost \
         records: what was begun before is not believed"
    );
}

pub(crate) fn no_marker(prefix: &str) {
    error!(
        target: TARGET,
        prefix,
        "the engine of the shared store is new, or was emptied: what needs it is refused until \
         `Redis::init` is called once"
    );
}

pub(crate) fn not_persistent(prefix: &str) {
    warn!(
        target: TARGET,
        prefix,
        "the engine of the shared store keeps nothing when it ends: set `appendonly yes`"
    );
}
