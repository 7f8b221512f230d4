//! The future of the session service: asks the store of claims, then calls the inner service.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::claims::Asked;
use super::service::Opened;
use crate::gate::ResponseBody;
use crate::gate::readiness::Held;
use crate::refusal::Answer;

pin_project! {
    /// The future of a [`SessionBinding`](super::SessionBinding).
    pub struct ResponseFuture<S, ReqBody, F> {
        #[pin]
        state: State<S, ReqBody, F>,
    }
}

/// A request that waits for the store. In a box, because few do, and the future of each is as
/// large as this.
struct Waiting<S, ReqBody> {
    opened: Opened,
    inner: Held<S>,
    request: Request<ReqBody>,
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, F> {
        Ask {
            asked: Asked,
            // Taken when the answer is there.
            waiting: Option<Box<Waiting<S, ReqBody>>>,
        },
        // Accepted, and perhaps not ready any more.
        GoOn {
            waiting: Option<Box<Waiting<S, ReqBody>>>,
        },
        Inner {
            #[pin]
            future: F,
            // Taken with the response. `None` where nothing is bound.
            opened: Option<Opened>,
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

impl<S, ReqBody, F> ResponseFuture<S, ReqBody, F> {
    pub(super) fn ask(
        asked: Asked,
        opened: Opened,
        inner: Held<S>,
        request: Request<ReqBody>,
    ) -> Self {
        let waiting = Waiting {
            opened,
            inner,
            request,
        };
        Self {
            state: State::Ask {
                asked,
                waiting: Some(Box::new(waiting)),
            },
        }
    }

    pub(super) fn inner(future: F, opened: Option<Opened>) -> Self {
        Self {
            state: State::Inner { future, opened },
        }
    }

    pub(super) fn respond(answer: Answer<ReqBody>) -> Self {
        Self {
            state: State::Respond { answer },
        }
    }
}

impl<S, ReqBody, ResBody, E> Future for ResponseFuture<S, ReqBody, S::Future>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error = E> + Clone,
    ReqBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "ResponseFuture polled after completion";

        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Ask { asked, waiting } => {
                    let Poll::Ready(answer) = asked.as_mut().poll(cx) else {
                        if let Some(waiting) = waiting {
                            waiting.inner.give_back();
                        }
                        return Poll::Pending;
                    };
                    let mut waiting = waiting.take().expect(AGAIN);
                    let Waiting {
                        opened, request, ..
                    } = &mut *waiting;
                    match opened.answered(answer, request) {
                        ControlFlow::Continue(()) => State::GoOn {
                            waiting: Some(waiting),
                        },
                        ControlFlow::Break(refusal) => State::Respond {
                            answer: Answer::to(waiting.request, refusal),
                        },
                    }
                }
                StateProj::GoOn { waiting } => {
                    if let Some(waiting) = waiting {
                        ready!(waiting.inner.poll_ready(cx))?;
                    }
                    let Waiting {
                        opened,
                        mut inner,
                        request,
                    } = *waiting.take().expect(AGAIN);
                    State::Inner {
                        future: inner.call(request),
                        opened: Some(opened),
                    }
                }
                StateProj::Inner { future, opened } => {
                    let (mut head, body) = ready!(future.poll(cx))?.into_parts();
                    let watch = match opened.take().map(|opened| opened.leave(&mut head)) {
                        Some(ControlFlow::Break(response)) => {
                            return Poll::Ready(Ok(response.map(ResponseBody::own)));
                        }
                        Some(ControlFlow::Continue(watch)) => watch,
                        None => None,
                    };
                    let body = ResponseBody::watched(body, None, watch);
                    return Poll::Ready(Ok(Response::from_parts(head, body)));
                }
                StateProj::Respond { answer } => {
                    let response = ready!(answer.poll(cx));
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, ReqBody, F> fmt::Debug for ResponseFuture<S, ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
