//! Events of DPoP proofs that were used.

use tracing::{debug, warn};

use super::events::TARGET;

pub(crate) fn filling(max_used_proofs: usize) {
    warn!(
        target: TARGET,
        max_used_proofs,
        "80 % of the memory of used DPoP proofs is in use: requests are refused when it is full"
    );
}

pub(crate) fn full(max_used_proofs: usize, why: &str) {
    warn!(
        target: TARGET,
        max_used_proofs,
        why,
        "a request with a DPoP proof was refused: there is no room to keep that it was used"
    );
}

pub(crate) fn store_full() {
    warn!(target: TARGET, "the shared store is full: requests with DPoP proofs are refused");
}

/// Any client can repeat it: `is_due` makes it a warning.
pub(crate) fn store_failed(is_due: bool, why: &str) {
    if is_due {
        warn!(target: TARGET, why, "the store of used DPoP proofs gave no answer");
    } else {
        debug!(target: TARGET, why, "the store of used DPoP proofs gave no answer");
    }
}
