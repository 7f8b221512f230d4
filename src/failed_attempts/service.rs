//! The service: refuses an address that failed too often.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::attempt::Attempt;
use super::future::ResponseFuture;
use super::layer::State;
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::gate::readiness;
use crate::refusal::{Answer, refuse, server_error};
use crate::telemetry::{self, Case, Stage};

/// The service made by a [`FailedAttemptsLayer`](super::FailedAttemptsLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::failed_attempts) for an example.
#[derive(Clone)]
pub struct FailedAttempts<S> {
    inner: S,
    state: Arc<State>,
}

impl<S> FailedAttempts<S> {
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

impl<S: Clone> FailedAttempts<S> {
    fn respond<B, F>(&mut self, answer: Answer<B>) -> ResponseFuture<B, F> {
        if answer.waits() {
            readiness::give_back(&mut self.inner);
        }
        ResponseFuture::respond(answer)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for FailedAttempts<S>
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let head = RequestHead::of(&request);
        let Some(client) = self.state.client(head) else {
            telemetry::no_client_address();
            return self.respond(Answer::to(request, server_error()));
        };
        let (context, case) = (self.state.context(), Case::new(Stage::Attempts, None));
        if let Some(left) = self.state.blocked(client) {
            let error = AuthError::too_many_requests("too_many_failed_attempts", left)
                .with_description("There were too many failed attempts from this address")
                .with_detail(format!(
                    "the address failed too often, and is heard again in {} s",
                    left.as_secs().saturating_add(1)
                ));
            let refusal = refuse(error, context, head, case);
            return self.respond(Answer::to(request, refusal));
        }
        case.accepted(head, &context.audit);
        let attempt = Attempt::new(Arc::clone(&self.state), client);
        if Answer::may_wait(&request) {
            Attempt::watch(&attempt, request.extensions_mut());
        }
        ResponseFuture::inner(self.inner.call(request), attempt)
    }
}

impl<S: fmt::Debug> fmt::Debug for FailedAttempts<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedAttempts")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
