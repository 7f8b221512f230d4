//! The body of a request: read whole within its limits, and passed on as it was.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::error::{AuthError, Reason};

pin_project! {
    /// The body of a request behind a layer that reads bodies: the client's own, or what was
    /// read of it, unchanged.
    ///
    /// A body that was read comes as one frame, with its trailers after it.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Unread { #[pin] body: B },
        Read { read: ReadBody },
    }
}

/// All there was in a body.
#[derive(Debug, Default)]
pub(crate) struct ReadBody {
    pub(crate) data: Bytes,
    trailers: Option<HeaderMap>,
}

impl<B> RequestBody<B> {
    pub(crate) fn unread(body: B) -> Self {
        Self {
            kind: Kind::Unread { body },
        }
    }

    pub(crate) fn read(read: ReadBody) -> Self {
        Self {
            kind: Kind::Read { read },
        }
    }
}

impl<B: Default> Default for RequestBody<B> {
    fn default() -> Self {
        Self::unread(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Unread { body } => body.poll_frame(cx),
            KindProj::Read { read } if !read.data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut read.data)))))
            }
            KindProj::Read { read } => Poll::Ready(
                read.trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Unread { body } => body.is_end_stream(),
            Kind::Read { read } => read.data.is_empty() && read.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Unread { body } => body.size_hint(),
            Kind::Read { read } => SizeHint::with_exact(read.data.len() as u64),
        }
    }
}

/// Frames without data: they count towards no size, and a body that always has one never
/// lets the deadline be asked.
const MAX_EMPTY_FRAMES: u16 = 1024;

pin_project! {
    /// Reads a body whole, within its bounds.
    pub(crate) struct Reading<B> {
        #[pin]
        body: B,
        gathered: Gathered,
        empty_frames: u16,
        max_bytes: usize,
        patience: Duration,
        // Made when the body first lets us wait: one that is there needs no timer.
        deadline: Option<Pin<Box<Sleep>>>,
    }
}

/// What was read so far. The first frame is usually all, and then never copied.
#[derive(Debug, Default)]
enum Gathered {
    #[default]
    Nothing,
    One(Bytes),
    Many(Vec<u8>),
}

impl<B: Body<Data = Bytes>> Reading<B> {
    pub(crate) fn new(body: B, max_bytes: usize, patience: Duration) -> Self {
        Self {
            body,
            gathered: Gathered::Nothing,
            empty_frames: 0,
            max_bytes,
            patience,
            deadline: None,
        }
    }

    pub(crate) fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ReadBody, AuthError>> {
        let mut this = self.project();
        let max_bytes = *this.max_bytes;
        loop {
            let size = this.body.size_hint();
            if size.lower() > (max_bytes - this.gathered.len()) as u64 {
                return Poll::Ready(Err(too_large(max_bytes)));
            }
            let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) else {
                let patience = *this.patience;
                let deadline = this
                    .deadline
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                ready!(deadline.as_mut().poll(cx));
                let detail = format!("it did not end within {patience:?} (`read_timeout`)");
                return Poll::Ready(Err(unreadable(Reason::BODY_TOO_SLOW, detail)));
            };
            let trailers = match frame {
                None => None,
                Some(Err(_)) => {
                    let detail = "the connection broke, or the client gave the request up";
                    return Poll::Ready(Err(unreadable(Reason::INCOMPLETE_BODY, detail)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        if data.is_empty() {
                            *this.empty_frames += 1;
                            if *this.empty_frames > MAX_EMPTY_FRAMES {
                                let detail = "it came in more than a thousand empty pieces";
                                return Poll::Ready(Err(unreadable(
                                    Reason::FRAGMENTED_BODY,
                                    detail,
                                )));
                            }
                        }
                        // Where the size was given, what is left of it comes in one piece.
                        let rest = size.exact().and_then(|rest| usize::try_from(rest).ok());
                        if !this.gathered.add(data, rest, max_bytes) {
                            return Poll::Ready(Err(too_large(max_bytes)));
                        }
                        continue;
                    }
                    Err(frame) => frame.into_trailers().ok(),
                },
            };
            return Poll::Ready(Ok(ReadBody {
                data: std::mem::take(this.gathered).into_bytes(),
                trailers,
            }));
        }
    }
}

fn unreadable(reason: Reason, detail: impl Into<String>) -> AuthError {
    AuthError::new(reason).with_detail(detail)
}

fn too_large(max_bytes: usize) -> AuthError {
    AuthError::new(Reason::BODY_TOO_LARGE).with_detail(format!(
        "the body has more than {max_bytes} bytes (`max_body_bytes`)"
    ))
}

impl Gathered {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(data) => data.len(),
            Self::Many(data) => data.len(),
        }
    }

    /// Adds a frame; `exact` is what was still to come with it, if that is known. False where
    /// it would be more than `max`.
    ///
    /// Never holds more than twice `max`, old and new together while it grows.
    fn add(&mut self, data: Bytes, exact: Option<usize>, max: usize) -> bool {
        let len = self.len();
        if data.len() > max - len {
            return false;
        }
        match self {
            Self::Nothing => *self = Self::One(data),
            Self::One(_) | Self::Many(_) if data.is_empty() => {}
            Self::One(first) => {
                let room = match exact {
                    Some(rest) => len + rest.min(max - len),
                    None => (2 * (len + data.len())).min(max),
                };
                let mut all = Vec::with_capacity(room.max(len + data.len()));
                all.extend_from_slice(first);
                all.extend_from_slice(&data);
                *self = Self::Many(all);
            }
            Self::Many(all) => {
                let needed = len + data.len();
                if needed > all.capacity() {
                    all.reserve_exact((2 * needed).min(max) - len);
                }
                all.extend_from_slice(&data);
            }
        }
        true
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(data) => data,
            Self::Many(data) => data.into(),
        }
    }
}

impl<B> fmt::Debug for Reading<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}
