//! The cache of introspection responses.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::answer::{Active, Judged, Refusal};
use super::limits::Limits;
use super::store::unavailable;
use crate::clock::Clock;
use crate::crypto::{ByDigest, Digest};
use crate::util::cache::{clear, kept_for};
use crate::util::places::Class;

/// How long a token is known after it was answered active: its answer is not used any more,
/// but it has the places of known tokens.
const KNOWN: Duration = Duration::from_secs(600);
/// How long it is known at least after the end of its answer, where answers live longer.
const KNOWN_AFTER: Duration = Duration::from_secs(300);
/// How long a token is not asked about again that the server refused to answer about.
pub(super) const REFUSED: Duration = Duration::from_secs(10);
/// The bytes of claims kept, with 1 KiB an answer for the rest.
const MAX_BYTES: u64 = 64 << 20;

/// Answers by the digest of their token. They live by our clock, and moka only lets go of those
/// that are of no use any more.
pub(super) struct Memory {
    active: Cache<Digest, Arc<Active>, ByDigest>,
    /// Apart, so that a flood of refused tokens does not push out those in use.
    refused: Cache<Digest, Arc<Refused>>,
}

struct Refused {
    refusal: Refusal,
    until: Duration,
}

impl Refused {
    /// The refusal as it is at `now`: what will pass says when.
    fn refusal_at(&self, now: Duration) -> Refusal {
        let said = &self.refusal.error;
        if said.retry_after().is_none() {
            return self.refusal.clone();
        }
        let error = unavailable(said.as_reason(), self.until.saturating_sub(now));
        Refusal::everywhere(error.with_detail(said.detail().unwrap_or_default()))
    }
}

/// What is remembered of a token.
pub(super) enum Remembered {
    Active(Arc<Active>),
    Refused(Refusal),
    /// Nothing that may be used.
    Nothing(Class),
}

impl Memory {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = limits.cache_capacity;
        // One weight bounds both: an answer weighs its bytes, and its share of the bytes where
        // that is more.
        let share = MAX_BYTES.checked_div(most).unwrap_or(MAX_BYTES);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let weigh = move |_: &Digest, answer: &Arc<Active>| {
            let bytes = 1024 + answer.judged.identity.weight();
            u32::try_from(bytes).unwrap_or(u32::MAX).max(share)
        };
        let known = limits.positive_ttl.saturating_add(KNOWN_AFTER).max(KNOWN);
        let refused = limits.negative_ttl.max(REFUSED);
        Self {
            active: Cache::builder()
                .max_capacity(if most == 0 { 0 } else { MAX_BYTES })
                .weigher(weigh)
                .time_to_live(kept_for(known))
                .build_with_hasher(ByDigest::default()),
            refused: Cache::builder()
                .max_capacity(most)
                .time_to_live(kept_for(refused.saturating_add(Duration::from_secs(1))))
                .build(),
        }
    }

    pub(super) fn get(&self, digest: &Digest, clock: &Clock) -> Remembered {
        let now = clock.monotonic();
        // By both clocks: a machine that slept, or a clock that was set, must not make an
        // answer outlive its token.
        let is_good = |active: &Active| {
            let is_over = |exp| clock.now() >= exp;
            now < active.until && !active.judged.exp.is_some_and(is_over)
        };
        let class = match self.active.get(digest) {
            Some(active) if is_good(&active) => return Remembered::Active(active),
            Some(active) if now < active.known_until => Class::Known,
            _ => Class::Unknown,
        };
        match self.refused.get(digest) {
            Some(refused) if now < refused.until => Remembered::Refused(refused.refusal_at(now)),
            _ => Remembered::Nothing(class),
        }
    }

    /// An answer that is good for `life`. One that is not to be kept is for those that wait for it.
    pub(super) fn active(
        &self,
        digest: Digest,
        judged: Judged,
        life: Duration,
        now: Duration,
        keep: bool,
    ) -> Arc<Active> {
        let until = now.saturating_add(life);
        let known = now.saturating_add(KNOWN);
        let active = Arc::new(Active {
            until,
            judged,
            known_until: known.max(until.saturating_add(KNOWN_AFTER)),
        });
        if keep {
            self.active.insert(digest, Arc::clone(&active));
            self.refused.invalidate(&digest);
        }
        active
    }

    /// Refuses a token for so long.
    pub(super) fn refuse(&self, digest: Digest, refusal: Refusal, life: Duration, now: Duration) {
        let refused = Refused {
            refusal: refusal.kept(),
            until: now.saturating_add(life),
        };
        self.refused.insert(digest, Arc::new(refused));
    }

    /// A token is not known to be good any more.
    pub(super) fn forget_active(&self, digest: &Digest) {
        self.active.invalidate(digest);
    }

    pub(super) fn forget(&self, digest: &Digest) {
        self.active.invalidate(digest);
        self.refused.invalidate(digest);
    }

    pub(super) fn forget_all(&self) {
        clear(&self.active);
        clear(&self.refused);
    }
}
