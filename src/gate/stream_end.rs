//! How a stream is ended before its own end: when, and with which last words.
//!
//! A layer further in knows the words, and the auth layer says them.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_ENCODING;
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use crate::clock::Clock;
use crate::refusal;
use crate::refusal::{CutOff, Media};
use crate::util::locked;

/// Clocks are set, and machines sleep: a timer is never trusted for longer.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// The end of what has none.
const NEVER: Duration = Duration::MAX;

/// Hears what a stream says to the client, and has the last word where its credential ends it.
pub(crate) trait LastWords: Send + Sync + 'static {
    fn heard(&mut self, data: &[u8]);
    /// `None`: the stream ends as it is.
    fn say(&mut self, why: StreamEnd) -> Option<Bytes>;
}

/// The last words, in the extensions of a response; the next auth layer further out takes them.
// An extension has to be `Clone`, and there is one stream: the first to take them has them.
#[derive(Clone)]
pub(crate) struct EndOfStream(Arc<Mutex<Option<Box<dyn LastWords>>>>);

impl EndOfStream {
    pub(crate) fn new(words: impl LastWords) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(words)))))
    }

    /// Takes the words out of a response. None are for a body that was encoded in between.
    pub(crate) fn take<B>(response: &mut Response<B>) -> Option<Box<dyn LastWords>> {
        let Self(words) = response.extensions_mut().remove()?;
        let words = locked(&words).take();
        words.filter(|_| !response.headers().contains_key(CONTENT_ENCODING))
    }
}

/// Why a stream is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The credential of its request expired.
    Expired,
    /// It reached the longest life that is set for streams.
    MaxLife,
    /// A principal claimed the anonymous session it is of.
    SessionClaimed,
    /// The credential of its request was revoked.
    Revoked,
    /// It is not known any more whether the credential of its request was revoked.
    Unavailable,
}

impl StreamEnd {
    /// As in events and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::MaxLife => "max_life",
            Self::SessionClaimed => "session_claimed",
            Self::Revoked => "revoked",
            Self::Unavailable => "unavailable",
        }
    }

    /// The texts that go with it.
    pub(crate) fn cut_off(self) -> CutOff {
        match self {
            Self::Revoked => CutOff::Revoked,
            Self::Unavailable => CutOff::Unavailable,
            Self::Expired | Self::MaxLife | Self::SessionClaimed => CutOff::Expired,
        }
    }
}

/// What may end a body of unknown size at any time. It is asked before each frame, and wakes the
/// task when there is news.
pub(crate) trait Watch: Send + Sync + 'static {
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Watched;
}

/// What becomes of a watched body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Nothing of it is passed on until it is known whether it may be.
    Hold,
    /// It goes on.
    Pass,
    /// It goes on, and need not be watched any more.
    Release,
    /// It ends here.
    End(StreamEnd),
}

/// When a body ends, whatever else it has to say.
pub(crate) struct Deadline {
    ends: Duration,
    pub(super) why: StreamEnd,
    clock: Clock,
    /// The form its end takes.
    grpc: Option<Media>,
    pub(super) polled: bool,
    /// What is said before the end.
    pub(crate) words: Option<Box<dyn LastWords>>,
    /// Made when there is something to wait for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Never over: it is there for the form of an end that comes otherwise.
    pub(crate) fn never(grpc: Option<Media>) -> Self {
        Self::new(NEVER, StreamEnd::MaxLife, Clock::system(), grpc)
    }

    /// Over when `clock` says `ends`.
    pub(crate) fn new(ends: Duration, why: StreamEnd, clock: Clock, grpc: Option<Media>) -> Self {
        Self {
            ends,
            why,
            clock,
            grpc,
            polled: false,
            words: None,
            sleep: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.ends != NEVER && self.left().is_none()
    }

    /// The last thing the client hears.
    pub(super) fn last_frame(&mut self, why: StreamEnd) -> Option<Frame<Bytes>> {
        let words = self.words.as_mut();
        let said = words.and_then(|words| words.say(why)).map(Frame::data);
        let grpc = self.grpc;
        grpc.map(|media| refusal::grpc_end(media, why.cut_off()))
            .or(said)
    }

    fn left(&self) -> Option<Duration> {
        let left = self.ends.checked_sub(self.clock.now())?;
        (!left.is_zero()).then_some(left)
    }

    /// Wakes the task when the deadline is over.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ends == NEVER {
            return Poll::Pending;
        }
        while let Some(left) = self.left() {
            let wait = left.min(LONGEST_SLEEP);
            let sleep = match &mut self.sleep {
                Some(sleep) => sleep,
                // Without a runtime there is no timer: the clock is read at every frame.
                None if tokio::runtime::Handle::try_current().is_err() => return Poll::Pending,
                None => self.sleep.insert(Box::pin(tokio::time::sleep(wait))),
            };
            ready!(sleep.as_mut().poll(cx));
            // The timer is monotonic and the clock is not, so the clock has the last word.
            if let Some(left) = self.ends.checked_sub(self.clock.now()) {
                let wait = left.min(LONGEST_SLEEP);
                sleep.as_mut().reset(Instant::now() + wait);
            }
        }
        Poll::Ready(())
    }
}
