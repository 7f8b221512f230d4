//! The body of a response: the inner one, or that of a refusal.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use super::stream_end::{Deadline, Watch, Watched};
use crate::telemetry;

pin_project! {
    /// The body of a response: the inner service's, or that of a refusal.
    ///
    /// A body of unknown size ends when the credential of its request does: see
    /// [the end of streams](crate::auth#stream-termination).
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner {
            #[pin]
            body: B,
            deadline: Option<Deadline>,
            watch: Option<Watching>,
        },
        Own { #[pin] body: Full<Bytes> },
        Ended,
    }
}

/// What watches a body, and whether it was asked before.
struct Watching {
    watch: Box<dyn Watch>,
    polled: bool,
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self::until(body, None)
    }

    /// The inner service's body, until the deadline if it streams.
    pub(crate) fn until(body: B, deadline: Option<Deadline>) -> Self {
        Self {
            kind: Kind::Inner {
                body,
                deadline,
                watch: None,
            },
        }
    }

    /// The same, watched if it streams. The deadline has the form of the end, if there is one.
    pub(crate) fn watched(
        body: B,
        deadline: Option<Deadline>,
        watch: Option<Box<dyn Watch>>,
    ) -> Self {
        Self {
            kind: Kind::Inner {
                body,
                deadline,
                watch: watch.map(|watch| Watching {
                    watch,
                    polled: false,
                }),
            },
        }
    }

    pub(crate) fn own(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Own {
                body: Full::new(bytes),
            },
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut kind = self.project().kind;
        let (mut body, deadline, watch) = match kind.as_mut().project() {
            KindProj::Inner {
                body,
                deadline,
                watch,
            } => (body, deadline, watch),
            KindProj::Own { body } => {
                return body.poll_frame(cx).map_err(|never| match never {});
            }
            KindProj::Ended => return Poll::Ready(None),
        };
        if let Some(watching) = watch {
            // Before the body is asked: nothing that it says afterwards gets out.
            let watched = match body.size_hint().exact() {
                Some(_) if !watching.polled => Watched::Release,
                _ => watching.watch.poll_watch(cx),
            };
            watching.polled = true;
            match watched {
                Watched::Hold => return Poll::Pending,
                Watched::Pass => {}
                Watched::Release => *watch = None,
                Watched::End(why) => {
                    telemetry::stream_ended(why.as_str());
                    let last = deadline.as_mut();
                    let last = last.and_then(|deadline| deadline.last_frame(why));
                    // The inner service learns of it now, not when the client has gone.
                    kind.set(Kind::Ended);
                    return Poll::Ready(last.map(Ok));
                }
            }
        }
        if deadline.as_ref().is_some_and(|deadline| !deadline.polled)
            && body.size_hint().exact().is_some()
        {
            *deadline = None;
        }
        let Some(deadline) = deadline else {
            return body.poll_frame(cx);
        };
        deadline.polled = true;
        // Before the body is asked: one that always has more to say ends as well.
        if !deadline.is_over() {
            let frame = body.as_mut().poll_frame(cx);
            if let (Poll::Ready(Some(Ok(frame))), Some(words)) = (&frame, &mut deadline.words)
                && let Some(data) = frame.data_ref()
            {
                words.heard(data);
            }
            if frame.is_ready() || deadline.poll_over(cx).is_pending() {
                return frame;
            }
        }
        telemetry::stream_ended(deadline.why.as_str());
        let last = deadline.last_frame(deadline.why);
        // The inner service learns of it now, not when the client has gone.
        kind.set(Kind::Ended);
        Poll::Ready(last.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Own { body } => body.is_end_stream(),
            Kind::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Own { body } => body.size_hint(),
            Kind::Ended => SizeHint::with_exact(0),
        }
    }
}

// By hand, because a derive would print the clock and the timer.
impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("ResponseBody");
        match &self.kind {
            Kind::Inner { body, .. } => debug.field(body),
            Kind::Own { body } => debug.field(body),
            Kind::Ended => debug.field(&"ended"),
        };
        debug.finish()
    }
}
