use std::fmt;
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
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::mcp::RequestBody;
use crate::mcp::body::{ReadBody, Reading};
use crate::mcp::lists::NoLists;
use crate::principal::Caller;
use crate::refusal::refuse;
use crate::telemetry::{Case, Stage};

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
        Inner {
            #[pin]
            future: F,
        },
        Respond {
            response: Option<Response<Bytes>>,
        },
    }
}

struct Held<S> {
    parts: Parts,
    is_mirrored: bool,
    ready_inner: S,
    rule: Arc<Rule>,
}

impl<S> Held<S> {
    /// The body to hand on, and whether its answer can hold no list; or the refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is moved on at once")]
    fn judge<B>(
        &self,
        caller: Caller<'_>,
        read: Result<ReadBody, AuthError>,
    ) -> Result<(RequestBody<B>, bool), Response<Bytes>> {
        let head = RequestHead::from(&self.parts);
        let case = Case::new(Stage::McpScopes, caller.principal);
        let read = read.map_err(|error| refuse(error, caller.context, head, case))?;
        let no_lists = self
            .rule
            .judge_body(caller, head, self.is_mirrored, &read.data)?;
        Ok((RequestBody::read(read), no_lists))
    }
}

impl<S, ReqBody, F> ScopesFuture<S, ReqBody, F> {
    pub(super) fn read(
        reading: Reading<ReqBody>,
        parts: Parts,
        is_mirrored: bool,
        ready_inner: S,
        rule: Arc<Rule>,
    ) -> Self {
        Self {
            state: State::Read {
                reading,
                held: Some(Held {
                    parts,
                    is_mirrored,
                    ready_inner,
                    rule,
                }),
            },
        }
    }

    pub(super) fn inner(future: F) -> Self {
        Self {
            state: State::Inner { future },
        }
    }

    pub(super) fn respond(response: Response<Bytes>) -> Self {
        Self {
            state: State::Respond {
                response: Some(response),
            },
        }
    }
}

impl<S, ReqBody, ResBody, E> Future for ScopesFuture<S, ReqBody, S::Future>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>, Error = E>,
    ReqBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Read { reading, held } => {
                    let read = ready!(reading.poll_read(cx));
                    let held = held.take();
                    let mut held = held.expect("ScopesFuture polled after completion");
                    // It was there before the body was read, and no one could take it away.
                    let caller = Caller::of(&held.parts.extensions);
                    let caller = caller.expect("a request keeps its extensions");
                    match held.judge(caller, read) {
                        Ok((body, no_lists)) => {
                            if no_lists {
                                held.parts.extensions.insert(NoLists);
                            }
                            let request = Request::from_parts(held.parts, body);
                            State::Inner {
                                future: held.ready_inner.call(request),
                            }
                        }
                        Err(refusal) => State::Respond {
                            response: Some(refusal),
                        },
                    }
                }
                StateProj::Inner { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
                StateProj::Respond { response } => {
                    let response = response
                        .take()
                        .expect("ScopesFuture polled after completion");
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
