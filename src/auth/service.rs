//! The auth service: the fast path of a request.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::Authenticate;
use super::decision::{Decision, State};
use super::future::ResponseFuture;
use crate::gate::ResponseBody;
use crate::gate::readiness::{self, Held};
use crate::refusal::Answer;
use crate::util::inner_service;

/// The service made by an [`AuthLayer`](super::AuthLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::auth) for an example.
pub struct AuthService<S, P> {
    pub(super) inner: S,
    pub(super) state: Arc<State<P>>,
}

inner_service!(AuthService<P>, inner);

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for AuthService<S, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    P: Authenticate,
    ReqBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.state.decide(&mut request) {
            Decision::Respond(response) => {
                let answer = Answer::to(request, response);
                if answer.waits() {
                    readiness::give_back(&mut self.inner);
                }
                ResponseFuture::respond(answer)
            }
            Decision::RespondLater(pending) => {
                readiness::give_back(&mut self.inner);
                ResponseFuture::respond_later(pending, request)
            }
            Decision::GoOn(afterwards) => {
                ResponseFuture::inner(self.inner.call(request), afterwards)
            }
            Decision::Wait(presented, pending) => {
                let shared = Arc::clone(&self.state.shared);
                let inner = Held::take(&mut self.inner);
                ResponseFuture::wait(shared, presented, pending, inner, request)
            }
        }
    }
}

// By hand, because a derive would ask for `P: Clone`.
impl<S: Clone, P> Clone for AuthService<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            state: Arc::clone(&self.state),
        }
    }
}
