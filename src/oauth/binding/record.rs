//! Each proof once: what was used is kept, in memory or in a store that replicas share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::options::Replays;
use super::replay::{Entered, ProofId, UsedProofs};
use crate::clock::{Clock, Moment};
use crate::crypto::{Digest, sha256};
use crate::error::{AuthError, Reason};
use crate::principal::{Principal, Thumbprint};
use crate::store::{self, Insertion, ReplayStore, StoreKey, StoreValue};
use crate::telemetry::dpop;
use crate::util::{Occasionally, TRACED_CHARS, one_line};

const ID_DOMAIN: &[u8] = b"tower-mcp-auth DPoP proof 2";
const NONCE_DOMAIN: &[u8] = b"tower-mcp-auth DPoP nonce after a loss 1";
const RECORD: [u8; 32] = *b"tower-mcp-auth DPoP proof used 1";

/// By how much the clocks of two replicas may differ.
const REPLICAS: Duration = Duration::from_secs(300);

/// How far the time of a proof may be from now, both ways.
pub(super) const WINDOW: Duration = Duration::from_secs(300);

/// How many bytes a nonce has that a store keeps: too many to be guessed.
const NONCE_BYTES: usize = 18;

/// When a client comes back.
const RETRY: Duration = Duration::from_secs(1);
/// The same where room is made within a minute.
const RETRY_FULL: Duration = Duration::from_secs(10);

/// A proof in which nothing is wrong, unless it was used before.
pub(super) struct Fresh<'p> {
    /// The URL that it is for.
    pub(super) url: &'p str,
    pub(super) key: &'p Thumbprint,
    pub(super) jti: &'p str,
    pub(super) made: Made<'p>,
    /// Until then it could be used again; time since 1970.
    pub(super) ends: Duration,
}

/// When a proof was made; times since 1970.
#[derive(Clone, Copy)]
pub(super) enum Made<'p> {
    /// By the clock of its client, which may be ahead by the window; and the nonce in it, for
    /// which no client was asked unless a store lost something.
    ByIat(Duration, Option<&'p str>),
    /// Not before its nonce was given.
    ByNonce(Duration),
}

impl Fresh<'_> {
    /// What tells it from all others. Of the URL, not of the resource: that has another name once
    /// it is configured so.
    fn id(&self) -> Digest {
        let length = (self.url.len() as u64).to_be_bytes();
        sha256(&[
            ID_DOMAIN,
            &length,
            self.url.as_bytes(),
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
    filling: Occasionally,
    full: Occasionally,
    failed: Occasionally,
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
                dpop::full(used.most(), detail);
            }
            Err(unavailable(RETRY_FULL, detail))
        };
        match used.enter(id, owner, proof.ends, now.wall) {
            Entered::First { filling } => {
                if filling && self.warned.filling.is_due(now.monotonic) {
                    dpop::filling(used.most());
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
        let id = StoreKey::new(proof.id());
        let made = MadeOwned::from(proof.made);
        // A replica with a late clock accepts it for longer.
        let life = proof.ends.saturating_add(REPLICAS).saturating_sub(now.wall);
        Box::pin(async move {
            let since = self.check_known(&*store, &made).await?;
            let record = StoreValue::new(RECORD);
            match self.write(&*store, id, record, life).await? {
                Some(_) => Err(replayed()),
                None if store.complete_since() == since => Ok(()),
                // The store found a loss when it was asked.
                None => self.check_known(&*store, &made).await.map(drop),
            }
        })
    }

    /// Refuses a proof if the store may have lost its record, and returns since when it knows
    /// everything.
    ///
    /// What was used before a loss was dated by a clock that may be ahead, so `iat` tells an old
    /// proof from a new one only when that time is over. Until then a nonce does that no proof can
    /// have from before the loss: replicas agree on it in the store. Until the store is whole there
    /// is none, and nothing helps. Nonces that are asked for anyway have a time of their own: a
    /// later one helps, which the client is given once there is one.
    async fn check_known(
        &self,
        store: &dyn ReplayStore,
        made: &MadeOwned,
    ) -> Result<Duration, AuthError> {
        let since = store.complete_since();
        let (made_at, ahead) = match made {
            MadeOwned::ByIat(iat, _) => (*iat, WINDOW),
            MadeOwned::ByNonce(given_at) => (*given_at, Duration::ZERO),
        };
        let whole_second = Duration::from_secs(1);
        let is_young = made_at.saturating_add(whole_second) > since.saturating_add(ahead);
        if since.is_zero() || is_young {
            return Ok(since);
        }
        let now = self.clock.now();
        let left = since.saturating_sub(now);
        if left > Duration::ZERO {
            let detail = "the shared store is new, or lost what it knew of used proofs";
            return Err(unavailable(left + whole_second, detail));
        }
        let MadeOwned::ByIat(_, given) = made else {
            let detail = "the shared store lost what it knew of proofs with this nonce";
            return Err(unavailable(RETRY_FULL, detail));
        };
        let nonce = self.nonce_after(store, since, now).await?;
        match given.as_deref() == Some(&*nonce) {
            true => Ok(since),
            false => Err(AuthError::new(Reason::DPOP_NONCE_REQUIRED)
                .with_detail(
                    "the proof may be from before the shared store lost what it knew of used \
                     proofs, or from before it was new",
                )
                .with_dpop_nonce(&nonce)),
        }
    }

    /// The nonce of a time at which the store was whole again: who is first makes it.
    async fn nonce_after(
        &self,
        store: &dyn ReplayStore,
        since: Duration,
        now: Duration,
    ) -> Result<String, AuthError> {
        let millis = since.as_millis().to_be_bytes();
        let key = StoreKey::new(sha256(&[NONCE_DOMAIN, &millis]));
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|_| unavailable(RETRY, "there are no random numbers"))?;
        let ends = since.saturating_add(WINDOW).saturating_add(REPLICAS);
        let life = ends.saturating_sub(now);
        let own = StoreValue::new(random);
        let there = self.write(store, key, own, life).await?.unwrap_or(own);
        Ok(URL_SAFE_NO_PAD.encode(&there.as_bytes()[..NONCE_BYTES]))
    }

    /// Writes a value where there is none, and returns the one that was there.
    async fn write(
        &self,
        store: &dyn ReplayStore,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> Result<Option<StoreValue>, AuthError> {
        match store::within_patience(store.insert_if_absent(key, value, life)).await {
            Ok(Insertion::Inserted) => Ok(None),
            Ok(Insertion::Present(there)) => Ok(Some(there)),
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
    }
}

/// [`Made`], for as long as the store takes.
enum MadeOwned {
    ByIat(Duration, Option<Box<str>>),
    ByNonce(Duration),
}

impl From<Made<'_>> for MadeOwned {
    fn from(made: Made<'_>) -> Self {
        match made {
            Made::ByIat(iat, nonce) => Self::ByIat(iat, nonce.map(Into::into)),
            Made::ByNonce(given_at) => Self::ByNonce(given_at),
        }
    }
}

fn replayed() -> AuthError {
    AuthError::new(Reason::REPLAYED_DPOP_PROOF)
        .with_detail("a proof with this jti and of this key was used for this URL before")
}

/// It was logged when it happened, because any client can repeat it.
fn unavailable(retry_after: Duration, detail: &str) -> AuthError {
    AuthError::unavailable(Reason::DPOP_REPLAYS_UNAVAILABLE, retry_after)
        .with_detail(detail)
        .logged()
}
