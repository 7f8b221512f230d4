//! The future of the quota service: reads the body, asks the store, then calls the inner service.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::decide::{Costs, Verdict};
use super::layer::Quotas;
use super::service::{Begun, Form};
use super::settle::Passed;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::{ReadBody, Reading};
use crate::gate::{ResponseBody, readiness};
use crate::mcp::RequestBody;
use crate::refusal::{Answer, Caller, RefusalForm, Reported, refuse};
use crate::telemetry::{Case, Stage};

/// What the shared store says later.
pub(super) type Asked = Pin<Box<dyn Future<Output = Result<Verdict, AuthError>> + Send>>;

pin_project! {
    /// The future of a [`Quota`](super::Quota).
    pub struct QuotaFuture<S, ReqBody, F> {
        #[pin]
        state: State<S, ReqBody, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, F> {
        Read {
            #[pin]
            reading: Reading<ReqBody>,
            // Taken together when the body is there.
            held: Option<Held<S>>,
        },
        // In a box, because few requests ask, and the future of each is as large as this.
        Ask {
            asked: Asked,
            waiting: Option<Box<Waiting<S, ReqBody>>>,
        },
        // Admitted, and perhaps not ready any more.
        GoOn {
            request: Option<Request<RequestBody<ReqBody>>>,
            inner: readiness::Held<S>,
            passed: Passed,
            reported: Option<AuthError>,
        },
        Inner {
            #[pin]
            future: F,
            passed: Passed,
            // What its head would have been refused for.
            reported: Option<AuthError>,
        },
        Respond {
            answer: Answer<RequestBody<ReqBody>>,
        },
    }
}

/// A request without its body.
pub(super) struct Held<S> {
    pub(super) parts: Parts,
    pub(super) is_mirrored: bool,
    /// What its head would have been refused for.
    pub(super) reported: Option<AuthError>,
    pub(super) inner: readiness::Held<S>,
    pub(super) quotas: Arc<Quotas>,
}

/// A request that waits for the store.
pub(super) struct Waiting<S, ReqBody> {
    pub(super) request: Request<RequestBody<ReqBody>>,
    /// Whether its body was read.
    pub(super) is_read: bool,
    pub(super) reported: Option<AuthError>,
    pub(super) inner: readiness::Held<S>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) costs: Costs,
    pub(super) form: Form,
}

impl<S> Held<S> {
    /// What becomes of the request, with its body, if that was read.
    fn begin(&self, read: &Result<ReadBody, AuthError>) -> Begun {
        let head = RequestHead::from(&self.parts);
        // It was there before the body was read, and no one could take it away.
        let caller = Caller::of(head.extensions()).expect("a request keeps its extensions");
        match read {
            Ok(read) => self
                .quotas
                .begin_read(caller, head, self.is_mirrored, &read.data),
            // What was not read whole cannot be passed on, reported or not.
            Err(error) => {
                let error = error.clone().asked_by(caller.known());
                let case = Case::new(Stage::Quota, caller.known());
                let form = RefusalForm::of(head);
                Begun::Refuse(refuse(error, caller.context, form, head, case))
            }
        }
    }

    fn next<ReqBody, F>(self, read: Result<ReadBody, AuthError>) -> State<S, ReqBody, F> {
        let begun = self.begin(&read);
        let version = self.parts.version;
        let (begun, read) = match (begun, read) {
            (Begun::Refuse(refusal), Ok(_)) => {
                let answer = Answer::at_once(refusal);
                return State::Respond { answer };
            }
            (Begun::Refuse(refusal), Err(_)) => {
                let answer = Answer::and_close(refusal, version);
                return State::Respond { answer };
            }
            (begun, read) => (begun, read.unwrap_or_default()),
        };
        let request = Request::from_parts(self.parts, RequestBody::read(read));
        match begun {
            Begun::Ask(costs, form) => State::Ask {
                asked: self.quotas.ask_for(&costs),
                waiting: Some(Box::new(Waiting {
                    request,
                    is_read: true,
                    reported: self.reported,
                    inner: self.inner,
                    quotas: self.quotas,
                    costs: *costs,
                    form,
                })),
            },
            Begun::Pass(passed) => State::GoOn {
                request: Some(request),
                inner: self.inner,
                passed,
                reported: self.reported,
            },
            Begun::Refuse(refusal) => State::Respond {
                answer: Answer::at_once(refusal),
            },
        }
    }
}

impl<S, ReqBody: Body<Data = Bytes>> Waiting<S, ReqBody> {
    fn next<F>(self, verdict: Result<Verdict, AuthError>) -> State<S, ReqBody, F> {
        let head = RequestHead::of(&self.request);
        let settled = self.quotas.answered(&self.costs, verdict, head, &self.form);
        match settled {
            ControlFlow::Break(refusal) => State::Respond {
                answer: match self.is_read {
                    true => Answer::at_once(refusal),
                    false => Answer::to(self.request, refusal),
                },
            },
            ControlFlow::Continue(passed) => State::GoOn {
                request: Some(self.request),
                inner: self.inner,
                passed,
                reported: self.reported,
            },
        }
    }
}

impl Passed {
    fn apply<B>(self, response: &mut Response<B>, reported: Option<AuthError>) {
        if let Some(shown) = self.shown {
            for (name, value) in shown.iter() {
                response.headers_mut().append(name, value.clone());
            }
        }
        // Each is told before those that were told.
        for error in self.reported.into_iter().chain(reported) {
            Reported::add(response.extensions_mut(), error);
        }
    }
}

impl<S, ReqBody, F> QuotaFuture<S, ReqBody, F> {
    pub(super) fn read(reading: Reading<ReqBody>, held: Held<S>) -> Self {
        Self {
            state: State::Read {
                reading,
                held: Some(held),
            },
        }
    }

    pub(super) fn ask(asked: Asked, waiting: Waiting<S, ReqBody>) -> Self {
        Self {
            state: State::Ask {
                asked,
                waiting: Some(Box::new(waiting)),
            },
        }
    }

    pub(super) fn inner(future: F, passed: Passed) -> Self {
        Self {
            state: State::Inner {
                future,
                passed,
                reported: None,
            },
        }
    }

    pub(super) fn respond(answer: Answer<RequestBody<ReqBody>>) -> Self {
        Self {
            state: State::Respond { answer },
        }
    }
}

impl<S, ReqBody, ResBody, E> Future for QuotaFuture<S, ReqBody, S::Future>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>, Error = E> + Clone,
    ReqBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "QuotaFuture polled after completion";

        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Read { reading, held } => {
                    let Poll::Ready(read) = reading.poll_read(cx) else {
                        if let Some(held) = held {
                            held.inner.give_back();
                        }
                        return Poll::Pending;
                    };
                    held.take().expect(AGAIN).next(read)
                }
                StateProj::Ask { asked, waiting } => {
                    let Poll::Ready(verdict) = asked.as_mut().poll(cx) else {
                        if let Some(waiting) = waiting {
                            waiting.inner.give_back();
                        }
                        return Poll::Pending;
                    };
                    waiting.take().expect(AGAIN).next(verdict)
                }
                StateProj::GoOn {
                    request,
                    inner,
                    passed,
                    reported,
                } => {
                    ready!(inner.poll_ready(cx))?;
                    State::Inner {
                        future: inner.call(request.take().expect(AGAIN)),
                        passed: std::mem::take(passed),
                        reported: reported.take(),
                    }
                }
                StateProj::Inner {
                    future,
                    passed,
                    reported,
                } => {
                    let mut response = ready!(future.poll(cx))?;
                    std::mem::take(passed).apply(&mut response, reported.take());
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
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

impl<S, ReqBody, F> fmt::Debug for QuotaFuture<S, ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaFuture").finish_non_exhaustive()
    }
}
