//! The callers with a list that became empty, each reported once.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use crate::mcp::policy::Item;
use crate::principal::PrincipalId;
use crate::util::locked;

/// How many callers are remembered; of more, the first ones are told of again.
const REMEMBERED: usize = 4096;

/// Callers with an emptied list: each is reported once.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    hasher: RandomState,
    warned: Mutex<LastWarned>,
}

#[derive(Debug, Default)]
struct LastWarned {
    known: HashSet<u64>,
    in_order: VecDeque<u64>,
}

impl Emptied {
    /// Whether it is the first time. `None` is a caller without a principal.
    pub(super) fn is_first(&self, caller: Option<&PrincipalId>, item: Item) -> bool {
        let digest = self.hasher.hash_one((caller, item.list()));
        let mut warned = locked(&self.warned);
        if !warned.known.insert(digest) {
            return false;
        }
        warned.in_order.push_back(digest);
        if warned.in_order.len() > REMEMBERED
            && let Some(oldest) = warned.in_order.pop_front()
        {
            warned.known.remove(&oldest);
        }
        true
    }
}
