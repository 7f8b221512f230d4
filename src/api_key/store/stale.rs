//! Keys that were good when the store last answered, while it gives no answer.

use std::sync::Arc;

use super::cache::{Lookup, StoreCache};
use super::call::Answer;
use crate::api_key::KeyDigest;
use crate::api_key::demand::Demand;
use crate::api_key::entry::{Entry, refused};
use crate::api_key::format::Shape;
use crate::clock::Clock;
use crate::crypto::Digest;
use crate::error::AuthError;

/// Why there is no answer now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The store cannot be asked.
    Outage,
    /// Too much is asked, or what the store says of this key cannot be used.
    Other,
}

impl StoreCache {
    /// A key that was good when the store last answered, and is good enough while it does not.
    pub(super) fn stale(
        &self,
        digest: &Digest,
        clock: &Clock,
        why: NoAnswer,
    ) -> Option<Arc<Entry>> {
        let found = self.found.get(digest)?;
        let age = clock.monotonic().saturating_sub(found.said);
        let is_recent = age < self.limits.max_staleness;
        let goes_on = is_recent || why == NoAnswer::Outage && self.limits.allow_on_outage;
        (goes_on && found.entry.is_live(clock.now())).then_some(found.entry)
    }

    pub(super) fn without_answer(
        &self,
        digest: &KeyDigest,
        clock: &Clock,
        why: NoAnswer,
        error: AuthError,
    ) -> Answer {
        match self.stale(&digest.bytes, clock, why) {
            Some(entry) => Answer::Found(entry),
            None => Answer::Failed(error),
        }
    }
}

/// What a request hears of a key that is used though the store gives no answer.
pub(super) fn judged(
    entry: Arc<Entry>,
    shape: Option<Shape<'_>>,
    clock: &Clock,
    demand: Demand<'_>,
) -> Lookup {
    let faults = entry.faults(clock.now(), demand);
    match faults.are_none() {
        true => Lookup::Found(entry),
        false => Lookup::Refused(refused(shape, Some(&entry), faults, demand)),
    }
}
