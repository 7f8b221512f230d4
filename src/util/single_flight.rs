//! One call elsewhere (a fetch of keys, a question about a credential) for all that wait for it.
//!
//! A call runs in a task of its own, so that it goes on when the requests that wait for it are
//! dropped. Its record and what its owner knows of the calls so far are under one lock: whether a
//! call may start, and whether what it brought may be kept, is decided while nothing changes.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::{PoisonError, TryLockError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::sync::{Arc, Mutex, MutexGuard};

/// How much longer than a call may take its answer is waited for.
const SLACK: Duration = Duration::from_secs(1);

/// The calls under way by what they are about, and the state of their owner.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, A, S>(Mutex<Record<K, A, S>>);

#[derive(Debug)]
struct Record<K, A, S> {
    under_way: HashMap<K, UnderWay<A>>,
    /// The number of the next call.
    next: u64,
    state: S,
}

#[derive(Debug)]
struct UnderWay<A> {
    /// Tells it from a later call about the same.
    number: u64,
    answer: watch::Receiver<Option<A>>,
}

/// Makes calls, and takes in what they bring.
pub(crate) trait FlightOwner: Send + Sync + 'static {
    /// What there is one call at a time about.
    type Key: Clone + Eq + Hash + Send + 'static;
    /// What taking in a call needs to know of it.
    type Call: Send + 'static;
    /// What is known of the calls so far.
    type State: Send + 'static;
    /// What a call brings.
    type Outcome: Send + 'static;
    /// What those that wait for a call get.
    type Answer: Clone + Send + Sync + 'static;

    fn flights(&self) -> &SingleFlight<Self::Key, Self::Answer, Self::State>;

    /// Takes in what a call brought. It is off the record already. `current`: it may be kept,
    /// because the call was not [left](Calls::leave).
    ///
    /// The lock is given away, so that events can be written without it.
    fn land(
        &self,
        calls: Calls<'_, Self::Key, Self::Answer, Self::State>,
        call: &Self::Call,
        current: bool,
        outcome: Result<Self::Outcome, CutOff>,
    ) -> Self::Answer;
}

/// Why a call brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// There is no Tokio runtime to make it in.
    NoRuntime,
    /// It panicked, or its runtime shut down.
    Dropped,
}

impl<K, A, S> SingleFlight<K, A, S> {
    pub(crate) fn new(state: S) -> Self {
        Self(Mutex::new(Record {
            under_way: HashMap::new(),
            next: 0,
            state,
        }))
    }

    /// A panic while it is held leaves a consistent record.
    pub(crate) fn lock(&self) -> Calls<'_, K, A, S> {
        Calls(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `None`: another thread has it.
    #[cfg_attr(
        not(feature = "oauth"),
        expect(dead_code, reason = "background refreshes are there with that feature")
    )]
    pub(crate) fn try_lock(&self) -> Option<Calls<'_, K, A, S>> {
        match self.0.try_lock() {
            Ok(record) => Some(Calls(record)),
            Err(TryLockError::Poisoned(poisoned)) => Some(Calls(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The record of the calls, while it is locked. It dereferences to the state of their owner.
pub(crate) struct Calls<'a, K, A, S>(MutexGuard<'a, Record<K, A, S>>);

impl<K, A, S> Deref for Calls<'_, K, A, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.state
    }
}

impl<K, A, S> DerefMut for Calls<'_, K, A, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0.state
    }
}

impl<K: Clone + Eq + Hash, A, S> Calls<'_, K, A, S> {
    /// A place in line for the call about `key` that is under way.
    pub(crate) fn join(&self, key: &K) -> Option<Ticket<A>> {
        let call = self.0.under_way.get(key)?;
        Some(Ticket(call.answer.clone()))
    }

    /// Puts a call on record. To [launch](Flight::launch) it, the lock must be gone.
    pub(crate) fn begin<O>(
        &mut self,
        owner: &Arc<O>,
        key: K,
        call: O::Call,
    ) -> (Ticket<A>, Flight<O>)
    where
        O: FlightOwner<Key = K, Answer = A, State = S>,
    {
        let (sender, answer) = watch::channel(None);
        let number = self.0.next;
        self.0.next += 1;
        let under_way = UnderWay {
            number,
            answer: answer.clone(),
        };
        self.0.under_way.insert(key.clone(), under_way);
        let flight = Flight {
            owner: Arc::clone(owner),
            key,
            number,
            call,
            outcome: Err(CutOff::Dropped),
            sender,
        };
        (Ticket(answer), flight)
    }

    /// Leaves a call to those that wait for it already: later ones make another.
    pub(crate) fn leave(&mut self, key: &K) {
        self.0.under_way.remove(key);
    }

    /// The same for all calls.
    pub(crate) fn leave_all(&mut self) {
        self.0.under_way.clear();
    }

    /// Takes a call off the record; whether it was still on it.
    fn end(&mut self, key: &K, number: u64) -> bool {
        let call = self.0.under_way.get(key);
        let current = call.is_some_and(|call| call.number == number);
        if current {
            self.0.under_way.remove(key);
        }
        current
    }
}

/// A call that is on record. It lands when it is dropped, so that a panic, or a runtime that shuts
/// down, is a failed call and not requests that wait for ever.
#[must_use]
// The bound is that of `Drop`.
pub(crate) struct Flight<O: FlightOwner> {
    owner: Arc<O>,
    key: O::Key,
    number: u64,
    call: O::Call,
    outcome: Result<O::Outcome, CutOff>,
    sender: watch::Sender<Option<O::Answer>>,
}

impl<O: FlightOwner> Flight<O> {
    /// Makes the call in a task of its own.
    ///
    /// Not under the lock: without a runtime, or in one that is shutting down, it lands at once.
    pub(crate) fn launch<F>(mut self, call: F)
    where
        F: Future<Output = O::Outcome> + Send + 'static,
    {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.fly(call))),
            Err(_) => self.outcome = Err(CutOff::NoRuntime),
        }
    }

    /// Makes the call, and lands.
    pub(crate) async fn fly<F>(mut self, call: F)
    where
        F: Future<Output = O::Outcome>,
    {
        self.outcome = Ok(call.await);
    }
}

impl<O: FlightOwner> Drop for Flight<O> {
    fn drop(&mut self) {
        let outcome = mem::replace(&mut self.outcome, Err(CutOff::Dropped));
        let mut calls = self.owner.flights().lock();
        let current = calls.end(&self.key, self.number);
        let answer = self.owner.land(calls, &self.call, current, outcome);
        self.sender.send_replace(Some(answer));
    }
}

/// A place in line for the answer of a call.
#[derive(Debug)]
pub(crate) struct Ticket<A>(watch::Receiver<Option<A>>);

/// Why a ticket brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The call has not ended, though it should have.
    InTime,
    /// It ended without one: what takes it in panicked.
    Ever,
}

impl<A: Clone> Ticket<A> {
    /// The answer of a call that ends by itself within `limit`. It runs where it was started,
    /// though, and a runtime that is no longer driven must not hold a request for ever.
    pub(crate) async fn answer(self, limit: Duration) -> Result<A, NoAnswer> {
        // Made when it is needed: an answer that is there needs no timer, and so no runtime.
        let late = async { tokio::time::sleep(limit.saturating_add(SLACK)).await };
        self.answer_unless(late).await
    }

    /// The answer, unless `late` ends before it is there.
    pub(crate) async fn answer_unless<L>(mut self, late: L) -> Result<A, NoAnswer>
    where
        L: Future<Output = ()>,
    {
        let answer = async {
            let answer = self.0.wait_for(Option::is_some).await;
            let answer = answer.ok().and_then(|answer| answer.clone());
            answer.ok_or(NoAnswer::Ever)
        };
        let (mut answer, mut late) = (pin!(answer), pin!(late));
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => late.as_mut().poll(context).map(|()| Err(NoAnswer::InTime)),
        })
        .await
    }
}
