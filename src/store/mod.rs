//! Stores that the replicas of a server share: replays, revocations and budgets.
//!
//! A [`ReplayStore`] keeps small records for a while, and says who was first to write one.
//! [`MemoryReplayStore`] is one for servers of one process, and [`Redis`](crate::redis::Redis),
//! with the feature `redis`, one for several. The sessions of
//! [`SessionBindingLayer`](crate::mcp::SessionBindingLayer) are
//! [claimed](crate::mcp::session#signing-in-in-the-middle-of-a-session) with it, and
//! [logout tokens](crate::oauth::logout) and [DPoP proofs](crate::oauth::binding) are taken once.
//!
//! A [`RevocationStore`] keeps what is revoked, and tells all replicas of it:
//! [`MemoryRevocationStore`] those of one process, and `Redis` those of several.
//!
//! A [`QuotaStore`] keeps what is used of [budgets](crate::mcp::quota): [`MemoryQuotaStore`] in one
//! process, and `Redis` over all replicas.
//!
//! ```
//! use std::time::Duration;
//!
//! use tower_mcp_auth::store::{Insertion, MemoryReplayStore, ReplayStore, StoreKey, StoreValue};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_mcp_auth::store::StoreError> {
//! let store = MemoryReplayStore::default();
//! let (key, hour) = (StoreKey::new([7; 32]), Duration::from_secs(3600));
//! let (alice, mallory) = (StoreValue::new([1; 32]), StoreValue::new([2; 32]));
//!
//! // The first one is accepted.
//! assert_eq!(store.insert_if_absent(key, alice, hour).await?, Insertion::Inserted);
//! // Later ones are told who was there.
//! assert_eq!(store.insert_if_absent(key, mallory, hour).await?, Insertion::Present(alice));
//! assert_eq!(store.get(key).await?, Some(alice));
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! Keys and values are codes (HMAC-SHA-256) that the layers make with their own key: a reader of
//! the store learns neither session ids nor principals, and a writer cannot make a record that
//! gives a session to a principal. A writer can close sessions, and give one back to anonymous
//! callers by deleting its record: a store is as trusted as the server.
//!
//! A record of a revocation is such a code too. A writer of the store can make none that counts,
//! but can delete records, which undoes revocations for replicas that start later.
//!
//! The key of a bucket is such a code as well. A writer of the store can fill and empty buckets.
//!
//! Of logout tokens and DPoP proofs the store has digests (SHA-256). If a record is deleted, its
//! token can be accepted again, which ends nothing more, or its proof, which repeats a request.

mod memory;
mod memory_revocation;
mod outage;
mod quota;
mod revocation;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use self::memory::MemoryReplayStore;
#[cfg(feature = "config")]
pub(crate) use self::memory::WeakMemoryReplayStore;
pub use self::memory_revocation::MemoryRevocationStore;
pub use self::outage::AllowOnOutage;
#[cfg(feature = "config")]
pub(crate) use self::quota::WeakMemoryQuotaStore;
#[cfg(feature = "redis")]
pub(crate) use self::quota::check_charges;
pub(crate) use self::quota::{Charge, MOST_AT_ONCE, MOST_REPLICAS, Outcome};
pub use self::quota::{
    MemoryQuotaStore, QuotaAnswer, QuotaCharge, QuotaLimit, QuotaState, QuotaStore,
};
pub(crate) use self::revocation::{Additions, HISTORY, WAIT};
pub use self::revocation::{
    Appended, ReadOn, RevocationEntry, RevocationRecord, RevocationStore, Snapshot, StorePosition,
};

/// How often [`ReplayStore::watch`] asks unless a store does better.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps records for a while, and says who was first.
///
/// It is asked by requests that wait, so an answer should take milliseconds; what takes longer
/// than 5 seconds is an error. Futures own what they need: clone a handle of the store into them.
///
/// A store of several replicas is one place for all of them, such as a server with an atomic
/// "set if absent". Two places that are reconciled later have two first ones.
pub trait ReplayStore: fmt::Debug + Send + Sync + 'static {
    /// Writes a record, unless there is one with this key. This is one atomic step: of several at
    /// once exactly one is [`Insertion::Inserted`], whichever replica it came from.
    ///
    /// The record is there for `life`, counted by the clock of the store: those of replicas
    /// differ. It is never dropped or replaced before, not even where room is short. Whatever was
    /// inserted is seen by each [`get`](Self::get) that begins after this future is ready.
    ///
    /// # Errors
    /// It is not known whether the record was written. The request is refused with 503, and may
    /// have written it nonetheless.
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion>;

    /// The value of the record with this key. `None`: there is none, or its life is over.
    ///
    /// # Errors
    /// It is not known whether there is one. That is never taken for `None`.
    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>>;

    /// The time since 1970 from which on the store knows everything that was written. What is
    /// older may have been written and lost, and is refused.
    ///
    /// It is asked before anything is begun that may be written of later, and again when an answer
    /// is there: an answer says nothing of what is older. So a store that finds a loss while it is
    /// asked says so here before it answers. A store that outlives processes says zero, and after a
    /// loss the time at which it was whole again; one in memory says when it was first asked.
    fn complete_since(&self) -> Duration;

    /// Resolves when there is a record with this key: at once where there is one already. It has
    /// no error: a store that does not answer is asked again. A store that has lost records may
    /// resolve it too: this one can be among them.
    ///
    /// How late it resolves is how long the stream of an anonymous caller can go on in a session
    /// that a principal has claimed. This implementation asks [`get`](Self::get) every second,
    /// for which it needs a timer of tokio; without one it resolves only if the record is there
    /// when it is first polled.
    fn watch(self: Arc<Self>, key: StoreKey) -> WatchFuture {
        Box::pin(async move {
            while !matches!(within_patience(self.get(key)).await, Ok(Some(_))) {
                pause().await;
            }
        })
    }

    /// This store, with an answer during an outage. A record that cannot be written counts as
    /// written first, and one that cannot be read as absent. By default these are errors, and
    /// requests are 503.
    ///
    /// For [claimed](crate::mcp::SessionBindingLayer::anonymous_sessions_can_be_claimed) sessions,
    /// an outage lets in every caller that knows the id of an anonymous session, also without a
    /// credential, and also after a principal has claimed it. In the first ten minutes of a session
    /// every principal can claim it, and all of them are served in it; later it is a 404 to every
    /// principal, the one that has claimed it included. None of these claims is written: when the
    /// store is back, the next principal that claims the session has it. Streams end as usual when
    /// a claim is found. What the store has [lost](Self::complete_since), as far as this server
    /// knows, stays a 404.
    ///
    /// ```
    /// use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
    /// use tower_mcp_auth::store::ReplayStore;
    ///
    /// fn sessions(key: MacKey, store: impl ReplayStore) -> SessionBindingLayer {
    ///     SessionBindingLayer::new(key)
    ///         .anonymous_sessions_can_be_claimed(store.dangerously_allow_on_outage())
    /// }
    /// ```
    fn dangerously_allow_on_outage(self) -> AllowOnOutage<Self>
    where
        Self: Sized,
    {
        AllowOnOutage::new(self)
    }
}

/// What a store answers later.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'static>>;

/// The future of [`ReplayStore::watch`].
pub type WatchFuture = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

impl<S: ReplayStore + ?Sized> ReplayStore for Arc<S> {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        (**self).insert_if_absent(key, value, life)
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        (**self).get(key)
    }

    fn complete_since(&self) -> Duration {
        (**self).complete_since()
    }

    fn watch(self: Arc<Self>, key: StoreKey) -> WatchFuture {
        Self::clone(&self).watch(key)
    }
}

/// The key of a record: 32 bytes that are a code or a digest, and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The value of a record: 32 bytes that are a code or a digest, and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreValue([u8; 32]);

impl StoreValue {
    /// A value of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What became of [`ReplayStore::insert_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Insertion {
    /// The record was written. There was none.
    Inserted,
    /// Nothing was written. There is a record, with this value.
    Present(StoreValue),
    /// Nothing was written. There is no record, and no room for one.
    Full,
}

/// Why a store has no answer.
///
/// Its text reaches traces and no response: no secret belongs in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(Box<str>);

impl StoreError {
    /// The store cannot be reached, or its answer cannot be used.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

/// How long a store may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a store, or an error if it takes too long.
pub(crate) async fn within_patience<T>(mut answer: StoreFuture<T>) -> Result<T, StoreError> {
    let mut timer = None;
    std::future::poll_fn(|cx| {
        if let done @ std::task::Poll::Ready(_) = answer.as_mut().poll(cx) {
            return done;
        }
        // Made when there is something to wait for: a store in memory needs none.
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        let late = || StoreError::new(format!("no answer within {} s", PATIENCE.as_secs()));
        timer.as_mut().poll(cx).map(|()| Err(late()))
    })
    .await
}

/// The time between two questions.
pub(crate) async fn pause() {
    sleep(EVERY).await;
}

/// Without a runtime there is no timer, and no end of it.
async fn sleep(time: Duration) {
    if tokio::runtime::Handle::try_current().is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(time).await;
}
