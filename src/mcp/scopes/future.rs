//! The future of the policy layer: reads the body, judges each message.

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

use super::layer::Rule;
use super::service::Passed;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::readiness;
use crate::gate::{EndOfStream, ResponseBody};
use crate::gate::{ReadBody, Reading};
use crate::mcp::RequestBody;
use crate::mcp::dialect::{SaysSchemes, SessionDialect};
use crate::mcp::lists::NoLists;
use crate::mcp::unanswered::Unanswered;
use crate::refusal::Caller;
use crate::refusal::Reported;
use crate::refusal::{Answer, RefusalForm, refuse};

pin_project! {
    /// The future of a [`McpScopes`](super::McpScopes).
    pub struct ScopesFuture<S, ReqBody, F> {
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
        // Judged, and not ready any more.
        GoOn {
            request: Option<Request<RequestBody<ReqBody>>>,
            inner: readiness::Held<S>,
            afterwards: Afterwards,
        },
        Inner {
            #[pin]
            future: F,
            afterwards: Afterwards,
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

/// What is done to the response of a request that went on.
#[derive(Default)]
pub(super) struct Afterwards {
    pub(super) unanswered: Unanswered,
    pub(super) session_dialect: Option<SessionDialect>,
    pub(super) reported: Vec<AuthError>,
}

impl Afterwards {
    fn apply<B>(&mut self, response: &mut Response<B>) {
        let unanswered = std::mem::take(&mut self.unanswered);
        if let Some(words) = unanswered.on_stream(response.headers()) {
            let end = EndOfStream::new(words);
            response.extensions_mut().insert(end);
        }
        if let Some(dialect) = self.session_dialect.take() {
            response.extensions_mut().insert(dialect);
        }
        // The last one first: each is told before those that were told.
        for error in self.reported.drain(..).rev() {
            Reported::add(response.extensions_mut(), error);
        }
    }
}

/// A request without its body.
pub(super) struct Held<S> {
    pub(super) parts: Parts,
    pub(super) is_mirrored: bool,
    /// What its head would have been refused for.
    pub(super) reported: Vec<AuthError>,
    pub(super) inner: readiness::Held<S>,
    pub(super) rule: Arc<Rule>,
}

/// What becomes of a request whose body was read.
enum Judged<B> {
    Pass(RequestBody<B>, Passed),
    Refuse(Answer<B>),
}

impl<S> Held<S> {
    /// Whether it was told already what the request would have been refused for.
    pub(super) fn is_reported(&self) -> bool {
        !self.reported.is_empty()
    }

    fn judge<B>(&self, read: Result<ReadBody, AuthError>) -> Judged<B> {
        let head = RequestHead::from(&self.parts);
        // It was there before the body was read, and no one could take it away.
        let caller = Caller::of(head.extensions()).expect("a request keeps its extensions");
        let read = match read {
            Ok(read) => read,
            // What was not read whole cannot be passed on, reported or not.
            Err(error) => {
                let error = error.asked_by(caller.known());
                let case = self.rule.case(caller);
                let refusal = refuse(error, caller.context, RefusalForm::of(head), head, case);
                return Judged::Refuse(Answer::and_close(refusal, self.parts.version));
            }
        };
        match self.rule.judge_body(caller, head, self, &read.data) {
            ControlFlow::Continue(passed) => Judged::Pass(RequestBody::read(read), passed),
            ControlFlow::Break(refusal) => Judged::Refuse(Answer::at_once(refusal)),
        }
    }
}

impl<S, ReqBody, F> ScopesFuture<S, ReqBody, F> {
    pub(super) fn read(reading: Reading<ReqBody>, held: Held<S>) -> Self {
        Self {
            state: State::Read {
                reading,
                held: Some(held),
            },
        }
    }

    pub(super) fn inner(future: F, afterwards: Afterwards) -> Self {
        Self {
            state: State::Inner { future, afterwards },
        }
    }

    pub(super) fn respond(answer: Answer<ReqBody>) -> Self {
        Self {
            state: State::Respond { answer },
        }
    }
}

impl<S, ReqBody, ResBody, E> Future for ScopesFuture<S, ReqBody, S::Future>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>, Error = E> + Clone,
    ReqBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
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
                    let held = held.take();
                    let mut held = held.expect("ScopesFuture polled after completion");
                    match held.judge(read) {
                        Judged::Pass(body, passed) => {
                            if passed.no_lists {
                                held.parts.extensions.insert(NoLists);
                            }
                            if passed.says_schemes {
                                held.parts.extensions.insert(SaysSchemes);
                            }
                            held.reported.extend(passed.reported);
                            let request = Request::from_parts(held.parts, body);
                            State::GoOn {
                                request: Some(request),
                                inner: held.inner,
                                afterwards: Afterwards {
                                    unanswered: passed.unanswered,
                                    session_dialect: passed.session_dialect,
                                    reported: held.reported,
                                },
                            }
                        }
                        Judged::Refuse(answer) => State::Respond { answer },
                    }
                }
                StateProj::GoOn {
                    request,
                    inner,
                    afterwards,
                } => {
                    ready!(inner.poll_ready(cx))?;
                    let request = request.take();
                    let request = request.expect("ScopesFuture polled after completion");
                    State::Inner {
                        future: inner.call(request),
                        afterwards: std::mem::take(afterwards),
                    }
                }
                StateProj::Inner { future, afterwards } => {
                    let mut response = ready!(future.poll(cx))?;
                    afterwards.apply(&mut response);
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

impl<S, ReqBody, F> fmt::Debug for ScopesFuture<S, ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopesFuture").finish_non_exhaustive()
    }
}
