//! Failures that were told to the shared store, and not answered yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::peer::CountedAddr;
use crate::util::locked;

/// How many there may be. Others are counted by this replica alone.
const MOST: usize = 1024;
/// How many there may be of one client. It is not heard until one of them is answered.
const MOST_OF_ONE: usize = 4;

#[derive(Default)]
pub(super) struct UnderWay {
    of_clients: Mutex<OfClients>,
    /// How many clients have the most. Where none has, no request waits for the lock.
    at_most: AtomicUsize,
}

#[derive(Default)]
struct OfClients {
    counts: HashMap<CountedAddr, usize>,
    all: usize,
}

/// One of them, until it is dropped.
pub(super) struct Place {
    under_way: Arc<UnderWay>,
    client: CountedAddr,
}

impl UnderWay {
    /// `None`: there are too many.
    pub(super) fn enter(self: &Arc<Self>, client: CountedAddr) -> Option<Place> {
        let mut own = self.of_clients();
        if own.all == MOST {
            return None;
        }
        own.all += 1;
        let count = own.counts.entry(client).or_default();
        *count += 1;
        if *count == MOST_OF_ONE {
            self.at_most.fetch_add(1, Ordering::Relaxed);
        }
        Some(Place {
            under_way: Arc::clone(self),
            client,
        })
    }

    /// Whether a client has the most.
    pub(super) fn is_at_most(&self, client: CountedAddr) -> bool {
        self.at_most.load(Ordering::Relaxed) > 0
            && self.of_clients().counts.get(&client) >= Some(&MOST_OF_ONE)
    }

    fn of_clients(&self) -> MutexGuard<'_, OfClients> {
        locked(&self.of_clients)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut own = self.under_way.of_clients();
        own.all -= 1;
        if let Some(count) = own.counts.get_mut(&self.client) {
            if *count == MOST_OF_ONE {
                self.under_way.at_most.fetch_sub(1, Ordering::Relaxed);
            }
            *count -= 1;
            if *count == 0 {
                own.counts.remove(&self.client);
            }
        }
    }
}
