//! A response to a request that goes no further.

use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::error::AuthError;

/// How much is read of a body that is not wanted: any message, and no upload.
const MAX_BYTES: u64 = 64 * 1024;
/// Frames may be small, or hold nothing.
const MAX_FRAMES: u16 = 1024;
/// How long is waited for it. It is on its way already, right behind the head.
const PATIENCE: Duration = Duration::from_millis(500);

/// A response that is given when the body of its request is out of the way.
///
/// Over HTTP/1 the next request of a connection begins where the body of this one ends. A
/// server like hyper closes the connection if an answer is there before the body was read,
/// and the client, which was not told, sends its next request into the void: the Python
/// client of MCP gives up then. So a small body is read first, and where it cannot be, the
/// client is told that the connection ends (RFC 9112 section 9.6).
///
/// Over HTTP/2 a server that answers before the body has ended resets the stream without an
/// error (RFC 9113 section 8.1), and curl 7.88, still sending, drops the answer. So a small body
/// is read there as well; where it cannot be, the answer is given at once, and the rest of the
/// connection is not touched.
pub(crate) struct Answer<B> {
    response: Option<Response<Bytes>>,
    // In a box, because few requests are refused before their body is there.
    unread: Option<Pin<Box<Unread<B>>>>,
}

impl<B> Answer<B> {
    /// A response to a request with a body that need not be read.
    pub(crate) fn at_once(response: Response<Bytes>) -> Self {
        Self {
            response: Some(response),
            unread: None,
        }
    }

    /// A response to a request with a body that was given up.
    pub(crate) fn and_close(mut response: Response<Bytes>, version: Version) -> Self {
        if shares_connection(version) {
            close(&mut response, version);
        }
        Self::at_once(response)
    }

    /// Whether the response waits for the body of its request.
    pub(crate) fn waits(&self) -> bool {
        self.unread.is_some()
    }

    /// The response, when it is time.
    ///
    /// # Panics
    ///
    /// If it was given before.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<Bytes>>
    where
        B: Body,
    {
        let closes = match &mut self.unread {
            Some(unread) => ready!(unread.as_mut().poll_end(cx)).err(),
            None => None,
        };
        self.unread = None;
        let response = self.response.take();
        let mut response = response.expect("future polled after completion");
        if let Some(NoEnd(version)) = closes
            && shares_connection(version)
        {
            close(&mut response, version);
        }
        Poll::Ready(response)
    }
}

/// Who counts refusals, in the extensions of a request. One that waits is told here: others
/// come meanwhile, and who hangs up was refused nonetheless.
#[derive(Clone)]
pub(crate) struct CountedBy(pub(crate) Arc<dyn Counts>);

pub(crate) trait Counts: Send + Sync {
    fn refused(&self, error: &AuthError);
}

impl<B: Body> Answer<B> {
    /// Whether an answer to this request may have to wait.
    pub(crate) fn may_wait(request: &Request<B>) -> bool {
        !request.body().is_end_stream()
    }

    /// The response to `request`.
    pub(crate) fn to(request: Request<B>, response: Response<Bytes>) -> Self {
        if !Self::may_wait(&request) {
            return Self::at_once(response);
        }
        let version = request.version();
        // To read would be to ask for it (RFC 9110 section 10.1.1).
        let is_held_back = request.headers().contains_key(EXPECT);
        if is_held_back || request.body().size_hint().lower() > MAX_BYTES {
            return Self::and_close(response, version);
        }
        if let Some(CountedBy(counted_by)) = request.extensions().get()
            && let Some(error) = response.extensions().get()
        {
            counted_by.refused(error);
        }
        Self {
            response: Some(response),
            unread: Some(Box::pin(Unread {
                version,
                body: request.into_body(),
                bytes: 0,
                frames: 0,
                deadline: None,
            })),
        }
    }
}

/// Later versions have a stream for each request.
fn shares_connection(version: Version) -> bool {
    version < Version::HTTP_2
}

fn close(response: &mut Response<Bytes>, version: Version) {
    if version == Version::HTTP_10 {
        // Hyper takes a response of HTTP/1.1 for one that keeps such a connection, and says so
        // in this header as well.
        *response.version_mut() = version;
    }
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

pin_project! {
    /// A body that is read for its end alone.
    struct Unread<B> {
        version: Version,
        #[pin]
        body: B,
        bytes: u64,
        frames: u16,
        // Made when the body first lets us wait: one that is there needs no timer.
        #[pin]
        deadline: Option<Sleep>,
    }
}

/// The body, of a request of this version, did not end within its bounds.
struct NoEnd(Version);

impl<B: Body> Unread<B> {
    fn poll_end(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), NoEnd>> {
        let mut this = self.project();
        let no_end = Poll::Ready(Err(NoEnd(*this.version)));
        while !this.body.is_end_stream() {
            let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) else {
                if this.deadline.is_none() {
                    // Without a timer there is no wait, which would have no end.
                    let Some(deadline) = timer() else {
                        return no_end;
                    };
                    this.deadline.set(Some(deadline));
                }
                if let Some(deadline) = this.deadline.as_mut().as_pin_mut() {
                    ready!(deadline.poll(cx));
                }
                return no_end;
            };
            let Some(frame) = frame else { break };
            let Ok(frame) = frame else {
                return no_end;
            };
            *this.frames += 1;
            *this.bytes += frame.data_ref().map_or(0, remaining);
            if *this.bytes > MAX_BYTES || *this.frames > MAX_FRAMES {
                return no_end;
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn timer() -> Option<Sleep> {
    tokio::runtime::Handle::try_current().ok()?;
    // Tokio says that a runtime has its timers switched off by a panic, and in no other way.
    catch_unwind(|| tokio::time::sleep(PATIENCE)).ok()
}

fn remaining(data: &impl bytes::Buf) -> u64 {
    data.remaining() as u64
}
