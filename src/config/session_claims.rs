//! The stores of claimed sessions, each of which outlives a reload.

use std::sync::Mutex;

use crate::store::{MemoryReplayStore, WeakMemoryReplayStore};
use crate::util::locked;

/// The store of a server, by its name and size.
struct Kept {
    server: Box<str>,
    max_claims: usize,
    store: WeakMemoryReplayStore,
}

/// Those that some layer has. A reload builds the new layers while the old ones are in force, so
/// the new ones find the store there; without it every open anonymous session would be lost.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// The store for this server: that of the layers in force, if they have one of this size.
///
/// What is in it are codes made with the key of sessions: servers that share a name and not the
/// key do not meet there.
pub(super) fn store(server: &str, max_claims: usize) -> MemoryReplayStore {
    let mut kept = locked(&KEPT);
    kept.retain(|kept| kept.store.upgrade().is_some());
    let found = kept
        .iter()
        .find(|kept| *kept.server == *server && kept.max_claims == max_claims);
    if let Some(store) = found.and_then(|kept| kept.store.upgrade()) {
        return store;
    }
    let store = MemoryReplayStore::new(max_claims);
    kept.push(Kept {
        server: server.into(),
        max_claims,
        store: store.downgrade(),
    });
    store
}
