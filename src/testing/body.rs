//! The body of an answer, whole or faulty.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The body of an answer, sent properly or not.
pub(super) enum Answer {
    Whole(Bytes),
    /// A byte a second.
    Drip(Bytes, Pin<Box<Sleep>>),
    /// Then so many spaces.
    Padded(Bytes, usize),
}

const SECOND: Duration = Duration::from_secs(1);
const SPACES: &[u8] = &[b' '; 16 * 1024];

impl Answer {
    pub(super) fn drip(bytes: Bytes) -> Self {
        Self::Drip(bytes, Box::pin(sleep(Duration::ZERO)))
    }

    pub(super) fn padded(bytes: Bytes, total: usize) -> Self {
        let spaces = total.saturating_sub(bytes.len());
        Self::Padded(bytes, spaces)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match &mut *self {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Drip(bytes, _) if bytes.is_empty() => Bytes::new(),
            Self::Drip(bytes, next) => {
                std::task::ready!(next.as_mut().poll(cx));
                *next = Box::pin(sleep(SECOND));
                bytes.split_to(1)
            }
            Self::Padded(bytes, spaces) if bytes.is_empty() => {
                let size = SPACES.len().min(*spaces);
                *spaces -= size;
                Bytes::from_static(&SPACES[..size])
            }
            Self::Padded(bytes, _) => std::mem::take(bytes),
        };
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) | Self::Drip(bytes, _) => bytes.is_empty(),
            Self::Padded(bytes, spaces) => bytes.is_empty() && *spaces == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) | Self::Drip(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Self::Padded(..) => SizeHint::default(),
        }
    }
}
