//! Questions to somebody outside (an authorization server, a store of keys): one for all that
//! wait for its answer, and no more at once than is good for who is asked.

use std::collections::HashMap;

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::crypto::Digest;

/// What those that wait see: nothing, and then the answer.
pub(crate) type Answer<O> = watch::Receiver<Option<O>>;

/// Whether a credential is one of those that were good when last asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Known,
    Unknown,
}

/// The questions under way or queued.
pub(crate) struct Record<O> {
    under_way: HashMap<Digest, Question<O>>,
    known: usize,
    unknown: usize,
    next: u64,
}

struct Question<O> {
    number: u64,
    answer: Answer<O>,
}

impl<O> Default for Record<O> {
    fn default() -> Self {
        Self {
            under_way: HashMap::new(),
            known: 0,
            unknown: 0,
            next: 0,
        }
    }
}

impl<O> Record<O> {
    /// What the question about a credential that is under way will bring.
    pub(crate) fn about(&self, digest: &Digest) -> Option<Answer<O>> {
        self.under_way.get(digest).map(|own| own.answer.clone())
    }

    /// Puts a question on record; the number tells it from a later one about the same.
    pub(crate) fn begin(&mut self, digest: Digest, lane: Lane, answer: Answer<O>) -> u64 {
        let number = self.next;
        self.next += 1;
        *self.count(lane) += 1;
        self.under_way.insert(digest, Question { number, answer });
        number
    }

    /// Takes a question off the record; whether what it brings may be kept.
    pub(crate) fn end(&mut self, digest: &Digest, number: u64, lane: Lane) -> bool {
        *self.count(lane) -= 1;
        let own = self.under_way.get(digest);
        let current = own.is_some_and(|own| own.number == number);
        if current {
            self.under_way.remove(digest);
        }
        current
    }

    /// Leaves a question to those that wait for it: who comes later asks another.
    pub(crate) fn leave(&mut self, digest: &Digest) {
        self.under_way.remove(digest);
    }

    pub(crate) fn leave_all(&mut self) {
        self.under_way.clear();
    }

    /// How many there are.
    pub(crate) fn size(&self) -> usize {
        self.known + self.unknown
    }

    /// How many of a lane there are.
    pub(crate) fn count(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Known => &mut self.known,
            Lane::Unknown => &mut self.unknown,
        }
    }
}

/// The questions that may be under way at once.
#[derive(Debug)]
pub(crate) struct Permits {
    all: Semaphore,
    /// A part of them: what is left is for credentials that are known.
    unknown: Semaphore,
}

/// Held while a question is under way.
pub(crate) struct Permit<'a> {
    _unknown: Option<SemaphorePermit<'a>>,
    _one: SemaphorePermit<'a>,
}

impl Permits {
    /// `unknown` of them may be about credentials that are not known; at least one.
    pub(crate) fn new(concurrent: usize, unknown: usize) -> Self {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(concurrent),
            unknown: Semaphore::new(unknown.clamp(1, concurrent)),
        }
    }

    /// Resolves when it is this question's turn.
    pub(crate) async fn turn(&self, lane: Lane) -> Permit<'_> {
        const NEVER_CLOSED: &str = "the semaphores live as long as who asks";
        let unknown = match lane {
            Lane::Known => None,
            Lane::Unknown => Some(self.unknown.acquire().await.expect(NEVER_CLOSED)),
        };
        Permit {
            _unknown: unknown,
            _one: self.all.acquire().await.expect(NEVER_CLOSED),
        }
    }
}
