//! What may go on at once: requests that wait, calls that queue, calls under way.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::sync::{Arc, AtomicUsize, Ordering};

/// Whether a credential is one of those that were good when last asked about. Others can be made
/// up, so those that are known have a share that is their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Known,
    Unknown,
}

/// One for each class.
#[derive(Debug, Default)]
pub(crate) struct ByClass<T> {
    pub(crate) known: T,
    pub(crate) unknown: T,
}

impl<T> ByClass<T> {
    pub(crate) fn new(mut make: impl FnMut() -> T) -> Self {
        Self {
            known: make(),
            unknown: make(),
        }
    }

    pub(crate) fn of(&self, class: Class) -> &T {
        match class {
            Class::Known => &self.known,
            Class::Unknown => &self.unknown,
        }
    }
}

/// So many places and no more.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) most: usize,
    taken: AtomicUsize,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Places {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: AtomicUsize::new(0),
        })
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Takes a place, if one is free.
    pub(crate) fn of(places: &Arc<Places>) -> Option<Self> {
        let most = places.most;
        let one_more = |taken| (taken < most).then_some(taken + 1);
        let taken = places
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Self(Arc::clone(places)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The calls that may be under way at once, and those that queue for their turn.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Semaphore,
    /// A part of them: what is left is for credentials that are known.
    unknown: Semaphore,
    /// Both those under way and those that queue.
    calls: ByClass<Arc<Places>>,
}

/// Held while a call is under way.
pub(crate) struct Turn<'a> {
    _unknown: Option<SemaphorePermit<'a>>,
    _one: SemaphorePermit<'a>,
}

impl Turns {
    /// `unknown` of the `concurrent` ones may be about credentials that are not known; at least
    /// one. `queue` more of each class may wait.
    pub(crate) fn new(concurrent: usize, unknown: usize, queue: usize) -> Self {
        let most = concurrent.saturating_add(queue);
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(concurrent),
            unknown: Semaphore::new(unknown.clamp(1, concurrent)),
            calls: ByClass::new(|| Places::new(most)),
        }
    }

    /// The calls there may be of a class, and those there are.
    pub(crate) fn calls(&self, class: Class) -> &Arc<Places> {
        self.calls.of(class)
    }

    /// How many calls are under way or queued.
    pub(crate) fn size(&self) -> usize {
        self.calls.known.taken() + self.calls.unknown.taken()
    }

    /// Waits for the turn of a call. `None`: it did not come within `deadline`.
    pub(crate) async fn turn(&self, class: Class, deadline: Duration) -> Option<Turn<'_>> {
        let turn = async {
            let unknown = match class {
                Class::Known => None,
                Class::Unknown => Some(self.unknown.acquire().await.ok()?),
            };
            Some(Turn {
                _unknown: unknown,
                _one: self.all.acquire().await.ok()?,
            })
        };
        tokio::time::timeout(deadline, turn).await.ok()?
    }
}
