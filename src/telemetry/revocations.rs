//! Events of what is revoked, here and at other replicas.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::events::TARGET;
use super::meter;

/// Credentials were revoked; the digest is of what names them.
pub(crate) fn revoked(
    kind: &'static str,
    digest: &str,
    issued_before: Option<Duration>,
    entries: usize,
) {
    meter::revocations(entries);
    info!(
        target: TARGET,
        kind,
        digest,
        issued_before = issued_before.map(|at| at.as_secs()),
        entries,
        "revoked"
    );
}

/// Other replicas have revoked something.
pub(crate) fn revocations_read(entries: usize) {
    meter::revocations(entries);
    debug!(target: TARGET, entries, "revocations of other replicas were read");
}

/// Requests are judged again, or for the first time.
pub(crate) fn revocations_known(entries: usize) {
    info!(target: TARGET, entries, "revocations are up to date");
}

/// Said once; each request that is refused for it is told apart.
pub(crate) fn revocations_unknown(is_allowed: bool, why: &str) {
    match is_allowed {
        false => warn!(
            target: TARGET,
            why,
            "revocations are not up to date: requests with credentials are refused"
        ),
        true => warn!(
            target: TARGET,
            why,
            "revocations are not up to date: what other replicas have revoked since is accepted"
        ),
    }
}

/// What is known here is written back.
pub(crate) fn revocations_lost(entries: usize) {
    warn!(
        target: TARGET,
        entries,
        "the store of revocations may have lost some: those that are known here are written back"
    );
}

/// It holds at this replica, and is tried again.
pub(crate) fn revocation_not_shared(why: &str) {
    warn!(target: TARGET, why, "other replicas do not know of a revocation yet");
}

/// It holds at this replica, and is tried again.
pub(crate) fn revocation_store_full() {
    error!(
        target: TARGET,
        "the store of revocations is full: other replicas do not know of all of them"
    );
}

/// Something was to be revoked, and was not.
pub(crate) fn revocations_full(max_entries: usize) {
    error!(
        target: TARGET,
        max_entries,
        "credentials could not be revoked: there are as many entries as there may be"
    );
}
