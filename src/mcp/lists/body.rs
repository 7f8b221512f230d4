//! The body of a response with its lists filtered.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::View;
use super::events::{Events, Unfit};
use super::filter::{self, filter};
use crate::refusal;
use crate::telemetry;

pin_project! {
    /// The body of a response behind a [`McpListsLayer`](super::McpListsLayer): the inner
    /// service's, without what is closed to the caller. Its error is the inner body's own.
    pub struct ListsBody<B> {
        #[pin]
        inner: B,
        mode: Mode,
    }
}

enum Mode {
    /// Nothing in it is a message.
    Pass,
    Json {
        view: Box<View>,
        read: Vec<u8>,
        /// Whether that is all it can be. Otherwise its first characters decide.
        is_said: bool,
    },
    /// What was read of a body that is none, and then the rest.
    Begun(Vec<u8>),
    Events {
        view: Box<View>,
        events: Events,
    },
    /// A response of our own.
    Own(Bytes),
    /// What the inner body still had to say, after its data.
    Trailers(Option<HeaderMap>),
    Ended,
}

impl<B> ListsBody<B> {
    pub(super) fn pass(inner: B) -> Self {
        Self {
            inner,
            mode: Mode::Pass,
        }
    }

    /// Filters it as JSON; where the response does not say that it is, if it begins like a
    /// message.
    pub(super) fn json(inner: B, view: View, is_said: bool) -> Self {
        Self {
            inner,
            mode: Mode::Json {
                view: Box::new(view),
                read: Vec::new(),
                is_said,
            },
        }
    }

    /// Filters it event by event. `passes_unread`: no list was asked for, so an event that cannot
    /// be read is none.
    pub(super) fn events(inner: B, view: View, passes_unread: bool) -> Self {
        Self {
            inner,
            mode: Mode::Events {
                view: Box::new(view),
                events: Events::new(passes_unread),
            },
        }
    }

    /// Instead of the inner body, which is never read.
    pub(super) fn own(inner: B, bytes: Bytes) -> Self {
        Self {
            inner,
            mode: Mode::Own(bytes),
        }
    }
}

impl<B: Default> Default for ListsBody<B> {
    fn default() -> Self {
        Self::pass(B::default())
    }
}

/// The message that stands for a list that must not pass, with the `id` of the answer where
/// its beginning tells.
fn instead_of(read: &[u8]) -> Bytes {
    let valid = match std::str::from_utf8(read) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&read[..error.valid_up_to()]).unwrap_or_default(),
    };
    refusal::internal_error(filter::id(valid))
}

/// Whether a text that begins like this may be an object or an array of JSON, in whatever
/// encoding: what stands before it to a loose reader is passed over. `None`: not said yet.
fn may_be_message(read: &[u8]) -> Option<bool> {
    let read = match read {
        // A byte order mark, whole or in part.
        [0xEF] | [0xEF, 0xBB] => return None,
        [0xEF, 0xBB, 0xBF, rest @ ..] => rest,
        // Those of UTF-16, in which a list cannot be judged.
        [0xFE | 0xFF, ..] => return Some(true),
        read => read,
    };
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0);
    let first = read.iter().find(|byte| !is_space(byte))?;
    Some(matches!(first, b'{' | b'['))
}

/// Filters a whole answer.
fn whole(read: Vec<u8>, view: &View) -> Bytes {
    if read.is_empty() {
        return Bytes::new();
    }
    let filtered = std::str::from_utf8(&read)
        .ok()
        .and_then(|text| filter(text, view).ok());
    match filtered {
        Some(Some(text)) => text.into(),
        Some(None) => read.into(),
        None => {
            telemetry::list_withheld("unreadable");
            instead_of(&read)
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ListsBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        loop {
            match this.mode {
                Mode::Pass => return this.inner.poll_frame(cx),
                Mode::Begun(read) => {
                    let read = std::mem::take(read);
                    *this.mode = Mode::Pass;
                    return Poll::Ready(Some(Ok(Frame::data(read.into()))));
                }
                Mode::Own(bytes) => {
                    let bytes = std::mem::take(bytes);
                    *this.mode = Mode::Ended;
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Mode::Trailers(trailers) => {
                    let trailers = trailers.take();
                    *this.mode = Mode::Ended;
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Mode::Ended => return Poll::Ready(None),
                Mode::Json {
                    view,
                    read,
                    is_said,
                } => {
                    let frame = match ready!(this.inner.as_mut().poll_frame(cx)) {
                        Some(Ok(frame)) => Some(frame),
                        Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                        None => None,
                    };
                    let trailers = match frame.map(Frame::into_data) {
                        Some(Ok(data)) => {
                            // No more than may be read, so that nothing depends on where the
                            // body was cut.
                            let room = view.rule.max_bytes - read.len();
                            let (fits, rest) = data.split_at(data.len().min(room));
                            read.extend_from_slice(fits);
                            if !*is_said {
                                match may_be_message(read) {
                                    Some(false) => {
                                        let mut read = std::mem::take(read);
                                        read.extend_from_slice(rest);
                                        *this.mode = Mode::Begun(read);
                                        continue;
                                    }
                                    said => *is_said = said.is_some(),
                                }
                            }
                            if !rest.is_empty() {
                                telemetry::list_withheld("too_large");
                                *this.mode = Mode::Own(instead_of(read));
                            }
                            continue;
                        }
                        Some(Err(frame)) => frame.into_trailers().ok(),
                        None => None,
                    };
                    let read = std::mem::take(read);
                    // White space that may be the beginning of anything is no message.
                    let bytes = match is_said {
                        true => whole(read, view),
                        false => read.into(),
                    };
                    *this.mode = Mode::Trailers(trailers);
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Mode::Events { view, events } => {
                    let frame = match ready!(this.inner.as_mut().poll_frame(cx)) {
                        Some(Ok(frame)) => Some(frame),
                        Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                        None => None,
                    };
                    let (fed, after) = match frame.map(Frame::into_data) {
                        Some(Ok(data)) => (events.feed(&data, view.rule.max_bytes, &**view), None),
                        Some(Err(frame)) => {
                            let trailers = frame.into_trailers().ok();
                            (events.finish(&**view), Some(Mode::Trailers(trailers)))
                        }
                        None => (events.finish(&**view), Some(Mode::Ended)),
                    };
                    match fed {
                        Ok(bytes) => {
                            if let Some(after) = after {
                                *this.mode = after;
                            }
                            if !bytes.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
                            }
                        }
                        // The events before it in this chunk go with it: the client sees an
                        // end, and nothing it could take for a whole answer.
                        Err(unfit) => {
                            telemetry::list_withheld(match unfit {
                                Unfit::TooLarge => "too_large",
                                Unfit::Unreadable => "unreadable",
                            });
                            *this.mode = Mode::Ended;
                        }
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.mode {
            Mode::Pass => self.inner.is_end_stream(),
            Mode::Own(bytes) => bytes.is_empty(),
            Mode::Json { .. } | Mode::Events { .. } | Mode::Begun(_) => false,
            Mode::Trailers(trailers) => trailers.is_none(),
            Mode::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.mode {
            Mode::Pass => self.inner.size_hint(),
            Mode::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Mode::Json { .. } | Mode::Events { .. } | Mode::Begun(_) => SizeHint::default(),
            Mode::Trailers(_) | Mode::Ended => SizeHint::with_exact(0),
        }
    }
}

impl<B> fmt::Debug for ListsBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListsBody").finish_non_exhaustive()
    }
}
