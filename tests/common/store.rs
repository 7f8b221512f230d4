//! Shared stores that fail, or answer late, when a test says so.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tower_mcp_auth::Clock;
use tower_mcp_auth::store::{
    Insertion, MemoryQuotaStore, MemoryReplayStore, QuotaAnswer, QuotaCharge, QuotaStore,
    ReplayStore, StoreError, StoreFuture, StoreKey, StoreValue,
};

/// A store in memory that can be out of reach, and whose `watch` is the one that asks.
#[derive(Clone, Debug, Default)]
pub struct FlakyStore {
    store: MemoryReplayStore,
    fails: Arc<AtomicBool>,
}

impl FlakyStore {
    /// Puts it out of reach, or back.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn or_fail<T: Send + 'static>(&self, answer: StoreFuture<T>) -> StoreFuture<T> {
        let fails = Arc::clone(&self.fails);
        Box::pin(async move {
            if fails.load(Ordering::SeqCst) {
                return Err(StoreError::new("out of\nreach"));
            }
            answer.await
        })
    }
}

impl ReplayStore for FlakyStore {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        self.or_fail(self.store.insert_if_absent(key, value, life))
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        self.or_fail(self.store.get(key))
    }

    fn complete_since(&self) -> Duration {
        Duration::ZERO
    }
}

type Answers = dyn Fn(Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> + Send + Sync;

/// A store of budgets that keeps what it was asked, and answers when it may.
#[derive(Clone)]
pub struct LateQuotas {
    may_answer: watch::Sender<bool>,
    asked: Arc<Mutex<Vec<StoreKey>>>,
    answers: Arc<Answers>,
}

impl LateQuotas {
    /// With the answers of a store in memory.
    pub fn new(clock: &Clock) -> Self {
        let store = MemoryQuotaStore::default().clock(clock.clone());
        Self::from_answers(move |charges| store.charge(charges))
    }

    /// With this answer to everything.
    pub fn of(
        answer: impl Fn(Vec<QuotaCharge>) -> Result<QuotaAnswer, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self::from_answers(move |charges| Box::pin(std::future::ready(answer(charges))))
    }

    fn from_answers(
        answers: impl Fn(Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> + Send + Sync + 'static,
    ) -> Self {
        Self {
            may_answer: watch::Sender::new(true),
            asked: Arc::default(),
            answers: Arc::new(answers),
        }
    }

    /// Answers nothing until it goes on.
    pub fn hang(&self) {
        self.may_answer.send_replace(false);
    }

    pub fn go_on(&self) {
        self.may_answer.send_replace(true);
    }

    /// What it was asked for since the last call.
    pub fn asked(&self) -> Vec<StoreKey> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl fmt::Debug for LateQuotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LateQuotas")
    }
}

impl QuotaStore for LateQuotas {
    fn charge(&self, charges: Vec<QuotaCharge>) -> StoreFuture<QuotaAnswer> {
        let keys = charges.iter().map(QuotaCharge::key);
        self.asked.lock().unwrap().extend(keys);
        let answer = (self.answers)(charges);
        let mut may_answer = self.may_answer.subscribe();
        Box::pin(async move {
            may_answer.wait_for(|may| *may).await.unwrap();
            answer.await
        })
    }
}
