//! A gate that reads bodies: it decides by the head of a request, its body, or what a store answers.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::gated::{Gated, Pass, leave};
use super::request_body::{ReadBody, Reading, RequestBody};
use super::{ResponseBody, readiness};
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::refusal::{Answer, Caller, RefusalForm, no_auth_layer, refuse};
use crate::telemetry::{self, Case};

/// What decides on requests, and may need their bodies.
pub(crate) trait BodyGate: Sized {
    /// Its layer, as events name it.
    const LAYER: &'static str;
    /// What the head of a request leaves for its body.
    type Seen;
    /// What a store is asked, and what was asked for.
    type Question;
    type Pass: Pass;

    /// What is decided on.
    fn case<'a>(&self, caller: Caller<'a>) -> Case<'a>;

    /// How many bytes a body may have, and how long it may take.
    fn bounds(&self) -> (usize, Duration);

    /// Sees a request before it is decided on.
    fn arrived(&self, _: &mut Extensions) {}

    /// Decides by the head of a request, or has its body read.
    fn check_head(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
    ) -> ControlFlow<Next<Self>, Self::Seen>;

    /// Decides by the body.
    fn check_body(
        self: &Arc<Self>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        seen: Self::Seen,
        body: &[u8],
    ) -> Next<Self>;

    /// Decides by what the store answers.
    fn poll_answer(
        &self,
        question: &mut Self::Question,
        head: RequestHead<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Response<Bytes>, Self::Pass>>;

    /// Tells the inner service of a request that goes on.
    fn mark(_: &Self::Pass, _: &mut Extensions) {}
}

/// What becomes of a request.
pub(crate) enum Next<G: BodyGate> {
    Refuse(Response<Bytes>),
    Pass(G::Pass),
    Ask(G::Question),
}

impl<G: BodyGate> From<ControlFlow<Response<Bytes>, G::Pass>> for Next<G> {
    fn from(decided: ControlFlow<Response<Bytes>, G::Pass>) -> Self {
        match decided {
            ControlFlow::Break(refusal) => Self::Refuse(refusal),
            ControlFlow::Continue(pass) => Self::Pass(pass),
        }
    }
}

impl<S, G: BodyGate> Gated<S, G> {
    /// Decides on a request, and calls the inner service as soon as it may go on.
    pub(crate) fn call_with_body<B>(
        &mut self,
        mut request: Request<B>,
    ) -> BodyGateFuture<G, S, B, S::Future>
    where
        S: Service<Request<RequestBody<B>>> + Clone,
        B: Body<Data = Bytes>,
    {
        let Some(gate) = &self.gate else {
            return BodyGateFuture::Inner {
                future: self.inner.call(request.map(RequestBody::unread)),
                pass: None,
            };
        };
        gate.arrived(request.extensions_mut());
        let head = RequestHead::of(&request);
        let checked = match Caller::of(head.extensions()) {
            Some(caller) => gate.check_head(caller, head),
            None => {
                telemetry::no_auth_layer(G::LAYER);
                ControlFlow::Break(Next::Refuse(no_auth_layer()))
            }
        };
        match checked {
            ControlFlow::Break(Next::Pass(pass)) => {
                let mut request = request.map(RequestBody::unread);
                G::mark(&pass, request.extensions_mut());
                BodyGateFuture::Inner {
                    future: self.inner.call(request),
                    pass: Some(pass),
                }
            }
            ControlFlow::Break(Next::Refuse(refusal)) => {
                let answer = Answer::to(request.map(RequestBody::unread), refusal);
                if answer.waits() {
                    readiness::give_back(&mut self.inner);
                }
                BodyGateFuture::Respond { answer }
            }
            ControlFlow::Break(Next::Ask(question)) => BodyGateFuture::ask(Asking {
                request: request.map(RequestBody::unread),
                is_read: false,
                inner: readiness::Held::take(&mut self.inner),
                gate: Arc::clone(gate),
                question,
            }),
            ControlFlow::Continue(seen) => {
                let (parts, body) = request.into_parts();
                let (max_bytes, patience) = gate.bounds();
                BodyGateFuture::Read {
                    reading: Reading::new(body, max_bytes, patience),
                    held: Some(Held {
                        parts,
                        seen,
                        inner: readiness::Held::take(&mut self.inner),
                        gate: Arc::clone(gate),
                    }),
                }
            }
        }
    }
}

/// A request without its body.
struct Held<G: BodyGate, S> {
    parts: Parts,
    seen: G::Seen,
    inner: readiness::Held<S>,
    gate: Arc<G>,
}

impl<G: BodyGate, S> Held<G, S> {
    fn next<B, F>(self, read: Result<ReadBody, AuthError>) -> BodyGateFuture<G, S, B, F> {
        let Self {
            parts,
            seen,
            inner,
            gate,
        } = self;
        let head = RequestHead::from(&parts);
        // It was there before the body was read, and no one could take it away.
        let caller = Caller::of(head.extensions()).expect("a request keeps its extensions");
        let read = match read {
            Ok(read) => read,
            // What was not read whole cannot be passed on, reported or not.
            Err(error) => {
                let error = error.asked_by(caller.known());
                let case = gate.case(caller);
                let refusal = refuse(error, caller.context, RefusalForm::of(head), head, case);
                let answer = Answer::and_close(refusal, parts.version);
                return BodyGateFuture::Respond { answer };
            }
        };
        let next = gate.check_body(caller, head, seen, &read.data);
        let request = Request::from_parts(parts, RequestBody::read(read));
        match next {
            Next::Pass(pass) => BodyGateFuture::go_on(request, inner, pass),
            Next::Refuse(refusal) => BodyGateFuture::Respond {
                answer: Answer::at_once(refusal),
            },
            Next::Ask(question) => BodyGateFuture::ask(Asking {
                request,
                is_read: true,
                inner,
                gate,
                question,
            }),
        }
    }
}

/// A request that waits for a store.
struct Asking<G: BodyGate, S, B> {
    request: Request<RequestBody<B>>,
    /// Whether its body was read.
    is_read: bool,
    inner: readiness::Held<S>,
    gate: Arc<G>,
    question: G::Question,
}

impl<G: BodyGate, S, B: Body<Data = Bytes>> Asking<G, S, B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<Response<Bytes>, G::Pass>> {
        let head = RequestHead::of(&self.request);
        self.gate.poll_answer(&mut self.question, head, cx)
    }

    fn next<F>(self, decided: ControlFlow<Response<Bytes>, G::Pass>) -> BodyGateFuture<G, S, B, F> {
        match decided {
            ControlFlow::Continue(pass) => BodyGateFuture::go_on(self.request, self.inner, pass),
            ControlFlow::Break(refusal) => BodyGateFuture::Respond {
                answer: match self.is_read {
                    true => Answer::at_once(refusal),
                    false => Answer::to(self.request, refusal),
                },
            },
        }
    }
}

pin_project! {
    #[project = Project]
    pub(crate) enum BodyGateFuture<G, S, B, F>
    where
        G: BodyGate,
    {
        Read {
            #[pin]
            reading: Reading<B>,
            // Taken when the body is there.
            held: Option<Held<G, S>>,
        },
        Ask {
            // In a box, because few requests ask, and the future of each is as large as this.
            asking: Option<Box<Asking<G, S, B>>>,
        },
        // Let through, and perhaps not ready any more.
        GoOn {
            request: Option<Request<RequestBody<B>>>,
            inner: readiness::Held<S>,
            pass: Option<G::Pass>,
        },
        Inner {
            #[pin]
            future: F,
            // Taken with the response.
            pass: Option<G::Pass>,
        },
        Respond {
            answer: Answer<RequestBody<B>>,
        },
    }
}

impl<G: BodyGate, S, B, F> BodyGateFuture<G, S, B, F> {
    fn ask(asking: Asking<G, S, B>) -> Self {
        Self::Ask {
            asking: Some(Box::new(asking)),
        }
    }

    fn go_on(
        mut request: Request<RequestBody<B>>,
        inner: readiness::Held<S>,
        pass: G::Pass,
    ) -> Self {
        G::mark(&pass, request.extensions_mut());
        Self::GoOn {
            request: Some(request),
            inner,
            pass: Some(pass),
        }
    }
}

impl<G, S, B, ResBody> Future for BodyGateFuture<G, S, B, S::Future>
where
    G: BodyGate,
    S: Service<Request<RequestBody<B>>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "future polled after completion";

        loop {
            let next = match self.as_mut().project() {
                Project::Read { reading, held } => {
                    let Poll::Ready(read) = reading.poll_read(cx) else {
                        if let Some(held) = held {
                            held.inner.give_back();
                        }
                        return Poll::Pending;
                    };
                    held.take().expect(AGAIN).next(read)
                }
                Project::Ask { asking } => {
                    let mut own = asking.take().expect(AGAIN);
                    let Poll::Ready(decided) = own.poll(cx) else {
                        own.inner.give_back();
                        *asking = Some(own);
                        return Poll::Pending;
                    };
                    own.next(decided)
                }
                Project::GoOn {
                    request,
                    inner,
                    pass,
                } => {
                    ready!(inner.poll_ready(cx))?;
                    Self::Inner {
                        future: inner.call(request.take().expect(AGAIN)),
                        pass: pass.take(),
                    }
                }
                Project::Inner { future, pass } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(leave(pass.take(), response)));
                }
                Project::Respond { answer } => {
                    let response = ready!(answer.poll(cx));
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
            };
            self.set(next);
        }
    }
}
