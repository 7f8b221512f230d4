//! The streams of anonymous callers end when a principal claims their session.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use super::claims::Claims;
use crate::clock::Clock;
use crate::gate::{StreamEnd, Watch, Watched};
use crate::store::{self, StoreKey};

/// Watches for the claim of one session.
pub(super) struct ClaimWatch {
    session: Session,
    clock: Clock,
    state: State,
}

/// The session.
pub(super) struct Session {
    pub(super) claims: Arc<Claims>,
    pub(super) key: StoreKey,
    pub(super) opened: Duration,
    /// When no replica takes a claim any more.
    pub(super) ends: Duration,
}

impl Session {
    /// Whether its claim can be among what the store lost.
    fn may_be_lost(&self) -> bool {
        self.opened < self.claims.since()
    }
}

enum State {
    /// Not polled yet.
    New,
    /// Whether it was claimed before the response was there is not known yet.
    First(Waits<bool>),
    Watching {
        claimed: Waits<()>,
        /// Whether it was claimed up to the end of the time for it.
        last: Option<Waits<bool>>,
    },
}

impl ClaimWatch {
    pub(super) fn new(session: Session, clock: Clock) -> Self {
        Self {
            session,
            clock,
            state: State::New,
        }
    }

    /// Whether the session is claimed, or may be: its claim can be among what the store lost. It
    /// asks until there is an answer: a stream is not let go on because nothing is known.
    fn ask(&self) -> Waits<bool> {
        let Session { key, opened, .. } = self.session;
        let (claims, clock) = (Arc::clone(&self.session.claims), self.clock.clone());
        Waits::new(Box::pin(async move {
            loop {
                match store::within_patience(claims.store().get(key)).await {
                    Ok(claimed_by) => return claimed_by.is_some() || opened < claims.since(),
                    Err(error) => {
                        claims.tell_failed(&error, &clock);
                        store::pause().await;
                    }
                }
            }
        }))
    }
}

impl Watch for ClaimWatch {
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Watched {
        const CLAIMED: Watched = Watched::End(StreamEnd::SessionClaimed);

        loop {
            match &mut self.state {
                State::New => self.state = State::First(self.ask()),
                State::First(asked) => match asked.poll(cx) {
                    Poll::Pending => return Watched::Hold,
                    Poll::Ready(true) => return CLAIMED,
                    Poll::Ready(false) => {
                        // It looks again when it is polled, so no claim is missed in between.
                        let claimed =
                            Arc::clone(self.session.claims.store()).watch(self.session.key);
                        self.state = State::Watching {
                            claimed: Waits::new(claimed),
                            last: None,
                        };
                    }
                },
                State::Watching { claimed, last } => {
                    // Both, and in this order: a loss before it was watched for is seen here, and
                    // one after that by the store, which may say nothing of it.
                    if claimed.poll(cx).is_ready() || self.session.may_be_lost() {
                        return CLAIMED;
                    }
                    // The store is asked once more: it may have been out of reach when the
                    // session was claimed.
                    let Some(last) = last else {
                        if self.clock.now() <= self.session.ends {
                            return Watched::Pass;
                        }
                        let asked = self.ask();
                        if let State::Watching { last, .. } = &mut self.state {
                            *last = Some(asked);
                        }
                        continue;
                    };
                    return match last.poll(cx) {
                        Poll::Pending => Watched::Pass,
                        Poll::Ready(true) => CLAIMED,
                        Poll::Ready(false) => Watched::Release,
                    };
                }
            }
        }
    }
}

/// Several at once: the request was in one session, and its response opens another.
pub(super) struct Watches(pub(super) Vec<ClaimWatch>);

impl Watch for Watches {
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Watched {
        let mut all = Watched::Release;
        let mut index = 0;
        while let Some(watch) = self.0.get_mut(index) {
            match watch.poll_watch(cx) {
                end @ Watched::End(_) => return end,
                Watched::Release => {
                    self.0.swap_remove(index);
                    continue;
                }
                Watched::Hold => all = Watched::Hold,
                Watched::Pass if all == Watched::Release => all = Watched::Pass,
                Watched::Pass => {}
            }
            index += 1;
        }
        all
    }
}

/// A future that a body waits for. The lock makes it `Sync`, as bodies are; it is never taken.
struct Waits<T>(Mutex<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Waits<T> {
    fn new(future: Pin<Box<dyn Future<Output = T> + Send>>) -> Self {
        Self(Mutex::new(future))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let future = self.0.get_mut();
        let future = future.unwrap_or_else(PoisonError::into_inner);
        future.as_mut().poll(cx)
    }
}
