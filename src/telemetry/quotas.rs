//! Events of budgets.

use tracing::{debug, info, warn};

use super::events::TARGET;
use super::meter;

/// What the layer of budgets is called.
const QUOTA: &str = "quota";

/// The shared store gave no answer. Said once, with what is done until it does.
pub(crate) fn quota_store_failed(is_first: bool, why: &str, mode: &'static str) {
    meter::quota_store_answers(false);
    if is_first {
        warn!(
            target: TARGET,
            layer = QUOTA,
            why,
            mode,
            "the shared store of budgets gave no answer: this replica goes on as `mode` says"
        );
    } else {
        debug!(target: TARGET, layer = QUOTA, why, mode, "the shared store gave no answer");
    }
}

/// The shared store answers, for the first time or again.
pub(crate) fn quota_store_up(again: bool) {
    meter::quota_store_answers(true);
    if again {
        info!(target: TARGET, layer = QUOTA, "the shared store of budgets answers again");
    }
}

/// The shared store of failed attempts gave no answer. Every client can repeat it: `is_due` makes
/// it a warning.
pub(crate) fn failures_not_shared(is_due: bool, why: &str) {
    const LAYER: &str = "failed_attempts";
    meter::failure_not_shared();
    if is_due {
        warn!(target: TARGET, layer = LAYER, why, "failed attempts are counted by this replica alone");
    } else {
        debug!(target: TARGET, layer = LAYER, why, "a failed attempt is counted here alone");
    }
}

/// Any caller can repeat it: `is_due` makes it a warning.
pub(crate) fn quota_store_full(is_due: bool) {
    if is_due {
        warn!(
            target: TARGET,
            layer = QUOTA,
            "there is no room to count one more caller: raise `max_entries` or the memory of the \
             engine, or count by what callers cannot multiply"
        );
    } else {
        debug!(target: TARGET, layer = QUOTA, "there is no room to count one more caller");
    }
}

/// One layer stands twice around one service.
pub(crate) fn quota_twice() {
    warn!(
        target: TARGET,
        layer = QUOTA,
        "a layer of budgets stands twice around one service, and charges each request twice: take \
         one of them out"
    );
}

/// Callers can make themselves as many ids as they like, each with a budget of its own.
pub(crate) fn quota_id_multiplies(budget: &str, id: &'static str, fix: &'static str) {
    warn!(
        target: TARGET,
        layer = QUOTA,
        budget,
        id,
        fix,
        "a budget is counted by an id that callers may be able to multiply"
    );
}

/// Anonymous callers without a known address have one bucket together.
pub(crate) fn quota_without_address(budget: &str) {
    warn!(
        target: TARGET,
        layer = QUOTA,
        budget,
        "an anonymous caller has no address, and all of these are counted together: set the \
         address of the peer further out (`SetPeerAddrLayer`), and name trusted proxies"
    );
}
