//! The service: admits the session ids of the caller only.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::bind::{self, Binder};
use super::future::{Opened, ResponseFuture};
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::gate::readiness;
use crate::refusal::Caller;
use crate::refusal::{self, Answer, Outcome, refuse_or_report};
use crate::telemetry::{self, Case, Stage};

/// The service made by a [`SessionBindingLayer`](super::SessionBindingLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp::session) for an example.
#[derive(Clone)]
pub struct SessionBinding<S> {
    inner: S,
    binder: Arc<Binder>,
}

impl<S> SessionBinding<S> {
    pub(super) fn new(inner: S, binder: Arc<Binder>) -> Self {
        Self { inner, binder }
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

impl<S: Clone> SessionBinding<S> {
    fn respond<B, F>(&mut self, answer: Answer<B>) -> ResponseFuture<B, F> {
        if answer.waits() {
            readiness::give_back(&mut self.inner);
        }
        ResponseFuture::respond(answer)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionBinding<S>
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
        let Some(caller) = Caller::of(request.extensions()) else {
            telemetry::no_auth_layer("SessionBindingLayer");
            return self.respond(Answer::to(request, refusal::no_auth_layer()));
        };
        let principal = caller.known().cloned();
        let checked = self.binder.check(&mut request, principal.as_ref());
        let head = RequestHead::of(&request);
        // Still there: only headers were changed.
        let Some(caller) = Caller::of(head.extensions()) else {
            return self.respond(Answer::to(request, refusal::no_auth_layer()));
        };
        let case = Case::new(Stage::Session, caller.known());
        let mut reported = None;
        match checked {
            Ok(()) => case.accepted(head, &caller.context.audit),
            Err(error) => {
                reported = match refuse_or_report(error, caller, head, case) {
                    Outcome::Pass(reported) => reported,
                    Outcome::Refuse(refusal) => {
                        return self.respond(Answer::to(request, refusal));
                    }
                };
                bind::unseal(request.headers_mut());
            }
        }
        let opened = Opened {
            binder: Arc::clone(&self.binder),
            principal,
            reported,
        };
        ResponseFuture::inner(self.inner.call(request), opened)
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionBinding<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBinding")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
