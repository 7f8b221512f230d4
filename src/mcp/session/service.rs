use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::bind::Binder;
use super::future::{Opened, ResponseFuture};
use crate::auth::ResponseBody;
use crate::credential::RequestHead;
use crate::mcp::refuse;
use crate::principal::{Principal, refusal_context};
use crate::{refusal, telemetry};

/// The service made by a [`SessionBindingLayer`](super::SessionBindingLayer).
///
/// A refusal is a response, so the error is the inner service's own and unchanged.
///
/// See the [module docs](crate::mcp::session) for an example.
#[derive(Clone)]
pub struct SessionBindingService<S> {
    inner: S,
    binder: Arc<Binder>,
}

impl<S> SessionBindingService<S> {
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

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionBindingService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if refusal_context(request.extensions()).is_none() {
            telemetry::no_auth_layer("SessionBindingLayer");
            return ResponseFuture::respond(refusal::internal_error());
        }
        let principal = request.extensions().get::<Principal>().cloned();
        match self.binder.check(&mut request, principal.as_ref()) {
            Ok(()) => {
                let opened = Opened {
                    binder: Arc::clone(&self.binder),
                    principal,
                };
                ResponseFuture::inner(self.inner.call(request), opened)
            }
            Err(error) => ResponseFuture::respond(refuse(error, RequestHead::of(&request))),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionBindingService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBindingService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
