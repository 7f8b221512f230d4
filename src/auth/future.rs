//! The future of the auth service: waits for the provider, then calls the inner service.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::AuthenticateFuture;
use super::decision::{Afterwards, Presented};
use super::route::DocumentFuture;
use super::settings::Shared;
use crate::gate::ResponseBody;
use crate::gate::readiness::Held;
use crate::refusal::Answer;

pin_project! {
    /// The future of an [`AuthService`](super::AuthService).
    pub struct ResponseFuture<S, ReqBody, F> {
        #[pin]
        state: State<S, ReqBody, F>,
    }
}

/// A request that waits for its provider. In a box, because few do, and the future of each is as
/// large as this.
struct Waiting<S, ReqBody> {
    shared: Arc<Shared>,
    presented: Presented,
    inner: Held<S>,
    request: Request<ReqBody>,
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, F> {
        Wait {
            pending: AuthenticateFuture,
            // Taken when the answer is there.
            waiting: Option<Box<Waiting<S, ReqBody>>>,
        },
        // Accepted, and not ready any more.
        GoOn {
            accepted: Option<Box<(Afterwards, Held<S>, Request<ReqBody>)>>,
        },
        Inner {
            #[pin]
            future: F,
            afterwards: Afterwards,
        },
        Respond {
            answer: Answer<ReqBody>,
        },
        // To a request that goes no further.
        RespondLater {
            pending: DocumentFuture,
            request: Option<Box<Request<ReqBody>>>,
        },
    }
}

impl<S, ReqBody, F> ResponseFuture<S, ReqBody, F> {
    pub(super) fn wait(
        shared: Arc<Shared>,
        presented: Presented,
        pending: AuthenticateFuture,
        inner: Held<S>,
        request: Request<ReqBody>,
    ) -> Self {
        let waiting = Waiting {
            shared,
            presented,
            inner,
            request,
        };
        Self {
            state: State::Wait {
                pending,
                waiting: Some(Box::new(waiting)),
            },
        }
    }

    pub(super) fn inner(future: F, afterwards: Afterwards) -> Self {
        Self {
            state: State::Inner { future, afterwards },
        }
    }

    pub(super) fn respond_later(pending: DocumentFuture, request: Request<ReqBody>) -> Self {
        Self {
            state: State::RespondLater {
                pending,
                request: Some(Box::new(request)),
            },
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
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Wait { pending, waiting } => {
                    let Poll::Ready(answer) = pending.as_mut().poll(cx) else {
                        if let Some(waiting) = waiting {
                            waiting.inner.give_back();
                        }
                        return Poll::Pending;
                    };
                    let Waiting {
                        shared,
                        presented,
                        inner,
                        mut request,
                    } = *waiting
                        .take()
                        .expect("ResponseFuture polled after completion");
                    match shared.conclude(&mut request, &presented, answer) {
                        ControlFlow::Continue(afterwards) => State::GoOn {
                            accepted: Some(Box::new((afterwards, inner, request))),
                        },
                        ControlFlow::Break(response) => State::Respond {
                            answer: Answer::to(request, response),
                        },
                    }
                }
                StateProj::GoOn { accepted } => {
                    if let Some(accepted) = accepted {
                        ready!(accepted.1.poll_ready(cx))?;
                    }
                    let accepted = accepted.take();
                    let (afterwards, mut inner, request) =
                        *accepted.expect("ResponseFuture polled after completion");
                    State::Inner {
                        future: inner.call(request),
                        afterwards,
                    }
                }
                StateProj::Inner { future, afterwards } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(afterwards.apply(response)));
                }
                StateProj::RespondLater { pending, request } => {
                    let response = ready!(pending.as_mut().poll(cx));
                    let request = request.take();
                    let request = *request.expect("ResponseFuture polled after completion");
                    State::Respond {
                        answer: Answer::to(request, response),
                    }
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
