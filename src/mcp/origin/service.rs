//! The service: refuses foreign hosts and origins.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::future::ResponseFuture;
use super::layer::State;
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::gate::readiness;
use crate::refusal::{Answer, refuse};
use crate::telemetry::{Case, Stage};

/// The service made by an [`OriginLayer`](super::OriginLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp::origin) for an example.
#[derive(Clone)]
pub struct Origin<S> {
    inner: S,
    state: Arc<State>,
}

impl<S> Origin<S> {
    pub(super) fn new(inner: S, state: Arc<State>) -> Self {
        Self { inner, state }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, taken out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Origin<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ReqBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let head = RequestHead::of(&request);
        let (context, case) = (&self.state.context, Case::new(Stage::Origin, None));
        match self.state.rules.check(head) {
            Ok(()) => {
                case.accepted(head, &context.audit);
                ResponseFuture::inner(self.inner.call(request))
            }
            Err(error) => {
                let refusal = refuse(error, context, head, case);
                let answer = Answer::to(request, refusal);
                if answer.waits() {
                    readiness::give_back(&mut self.inner);
                }
                ResponseFuture::respond(answer)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Origin<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
