//! Each proof once: what was used is kept, in memory or in a store that replicas share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::options::Replays;
use super::replay::{Entered, ProofId, UsedProofs};
use crate::clock::{Clock, Moment};
use crate::crypto::{Digest, sha256};
use crate::error::{AuthError, Reason};
use crate::principal::{Principal, Thumbprint};
use crate::store::{self, Insertion, ReplayStore, StoreKey, StoreValue};
use crate::telemetry::dpop;
use crate::util::{NowAndThen, TRACED_CHARS, one_line};

const ID_DOMAIN: &[u8] = b"tower-mcp-auth DPoP proof 1";
const RECORD: [u8; 32] = *b"tower-mcp-auth DPoP proof used 1";

/// By how much the clocks of two replicas may differ.
const REPLICAS: Duration = Duration::from_secs(300);

/// When a client comes back.
const RETRY: Duration = Duration::from_secs(1);
/// The same where room is made within a minute.
const RETRY_FULL: Duration = Duration::from_secs(10);

/// A proof in which nothing is wrong, unless it was used before.
pub(super) struct Fresh<'p> {
    /// The URL of the resource.
    pub(super) resource: &'p str,
    pub(super) key: &'p Thumbprint,
    pub(super) jti: &'p str,
    /// Not before this; time since 1970.
    pub(super) made_at: Duration,
    /// Whether `made_at` is the time of a nonce.
    pub(super) has_nonce: bool,
    /// Until then it could be used again; time since 1970.
    pub(super) ends: Duration,
}

impl Fresh<'_> {
    /// What tells it from all others. Of the resource too: one store may serve several.
    fn id(&self) -> Digest {
        let length = (self.resource.len() as u64).to_be_bytes();
        sha256(&[
            ID_DOMAIN,
            &length,
            self.resource.as_bytes(),
            self.key,
            self.jti.as_bytes(),
        ])
    }
}

/// What remains to be done of it.
pub(super) enum Recorded {
    Now,
    Later(Recording),
}

/// An answer of a store.
pub(in crate::oauth) type Recording =
    Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send + 'static>>;

/// Keeps what was used.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    replays: Replays,
    clock: Clock,
    warned: Arc<Warned>,
}

/// When there was a warning last of each kind of trouble.
#[derive(Debug, Default)]
struct Warned {
    filling: NowAndThen,
    full: NowAndThen,
    failed: NowAndThen,
}

impl Recorder {
    pub(super) fn new(replays: Replays, clock: Clock) -> Self {
        Self {
            replays,
            clock,
            warned: Arc::default(),
        }
    }

    /// Whether a proof is accepted more than once.
    pub(super) fn allows_replays(&self) -> bool {
        matches!(self.replays, Replays::Unchecked)
    }

    /// Records that a proof was used, or refuses it.
    pub(super) fn record(
        &self,
        proof: &Fresh<'_>,
        principal: &Principal,
        now: Moment,
    ) -> Result<Recorded, AuthError> {
        match &self.replays {
            Replays::Unchecked => Ok(Recorded::Now),
            Replays::Memory(used) => self
                .enter(used, proof, principal, now)
                .map(|()| Recorded::Now),
            Replays::Shared(store) => {
                let recording = self.clone().insert(Arc::clone(store), proof, now);
                Ok(Recorded::Later(recording))
            }
        }
    }

    fn enter(
        &self,
        used: &UsedProofs,
        proof: &Fresh<'_>,
        principal: &Principal,
        now: Moment,
    ) -> Result<(), AuthError> {
        let mut id = ProofId::default();
        id.copy_from_slice(&proof.id()[..size_of::<ProofId>()]);
        let (issuer, subject) = (principal.issuer(), principal.subject());
        let client = principal.client_id();
        let is_unnamed = subject.is_none() && client.is_none();
        let owner = (issuer, subject, client, is_unnamed.then(|| principal.id()));
        let full = |detail: &str| {
            if self.warned.full.is_due(now.monotonic) {
                dpop::full(used.max_entries(), detail);
            }
            Err(unavailable(RETRY_FULL, detail))
        };
        match used.enter(id, owner, proof.ends, now.wall) {
            Entered::First { filling } => {
                if filling && self.warned.filling.is_due(now.monotonic) {
                    dpop::filling(used.max_entries());
                }
                Ok(())
            }
            Entered::Again => Err(replayed()),
            Entered::Full => full("the memory of used proofs is full (`max_used_proofs`)"),
            Entered::FullForOwner => full(
                "more than half of the memory of used proofs is in use, and a tenth of it by this \
                 issuer, subject and client (`max_used_proofs`)",
            ),
            Entered::Forgotten => Err(unavailable(
                RETRY_FULL,
                "the clock was set back to a time of which it is not known any more which proofs \
                 were used",
            )),
        }
    }

    /// Writes a record at the store, where there is none.
    fn insert(self, store: Arc<dyn ReplayStore>, proof: &Fresh<'_>, now: Moment) -> Recording {
        let (id, made_at, has_nonce) = (proof.id(), proof.made_at, proof.has_nonce);
        // A replica whose clock is late accepts it for longer.
        let life = proof.ends.saturating_add(REPLICAS).saturating_sub(now.wall);
        Box::pin(async move {
            let check_known = || check_known(&*store, made_at, has_nonce, self.clock.now());
            check_known()?;
            let inserted = store.insert_if_absent(StoreKey::new(id), StoreValue::new(RECORD), life);
            match store::within_patience(inserted).await {
                // The store may have found a loss when it was asked.
                Ok(Insertion::Inserted) => check_known(),
                Ok(Insertion::Present(_)) => Err(replayed()),
                Ok(Insertion::Full) => {
                    let detail = "the store has no room for used proofs";
                    if self.warned.full.is_due(self.clock.monotonic()) {
                        dpop::store_full();
                    }
                    Err(unavailable(RETRY_FULL, detail))
                }
                Err(error) => {
                    let why = one_line(&error.to_string(), TRACED_CHARS);
                    let is_due = self.warned.failed.is_due(self.clock.monotonic());
                    dpop::store_failed(is_due, &why);
                    Err(unavailable(RETRY, &why))
                }
            }
        })
    }
}

/// Refuses a proof whose record the store may have lost: one of a second that had ended when it
/// began to know everything. A new proof helps, unless that moment is still to come, or the proof
/// has the time of a nonce: then a later nonce helps, which the client is given once there is one.
fn check_known(
    store: &dyn ReplayStore,
    made_at: Duration,
    has_nonce: bool,
    now: Duration,
) -> Result<(), AuthError> {
    let since = store.complete_since();
    if made_at.saturating_add(Duration::from_secs(1)) > since {
        return Ok(());
    }
    let left = since.saturating_sub(now);
    if left > Duration::ZERO {
        let detail = "the shared store is new, or lost what it knew of used proofs";
        return Err(unavailable(left + Duration::from_secs(1), detail));
    }
    if has_nonce {
        let detail = "the shared store lost what it knew of proofs with this nonce";
        return Err(unavailable(RETRY_FULL, detail));
    }
    Err(AuthError::new(Reason::DPOP_TIME_MISMATCH)
        .with_detail("the proof was made before the shared store lost what it knew of used proofs"))
}

fn replayed() -> AuthError {
    AuthError::new(Reason::REPLAYED_DPOP_PROOF)
        .with_detail("a proof with this jti and of this key was used at this resource before")
}

/// It was logged when it happened, because any client can repeat it.
fn unavailable(retry_after: Duration, detail: &str) -> AuthError {
    AuthError::unavailable(Reason::DPOP_REPLAYS_UNAVAILABLE, retry_after)
        .with_detail(detail)
        .logged()
}
