//! The middleware that decides at the head of a request and edits the head of the response.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{ResponseBody, readiness};
use crate::error::AuthError;
use crate::refusal::{Answer, Reported};

/// What decides on requests, by their heads.
///
/// It does not wait: what asks a store or reads a body is a [`BodyGate`](super::BodyGate).
pub(crate) trait Gate {
    type Pass: Pass;

    /// Lets a request pass, or answers it.
    // By the `Arc`, because a pass may keep it until the response.
    fn check<B: Body>(
        self: &Arc<Self>,
        request: &mut Request<B>,
    ) -> ControlFlow<Response<Bytes>, Self::Pass>;
}

/// What a request that passed leaves for its response.
pub(crate) trait Pass {
    /// Edits the head of the response, or replaces the response.
    fn leave(self, head: &mut Parts) -> ControlFlow<Response<Bytes>>;
}

impl Pass for () {
    fn leave(self, _: &mut Parts) -> ControlFlow<Response<Bytes>> {
        ControlFlow::Continue(())
    }
}

/// The error that a request would have been refused with, where the auth layer only reports.
impl Pass for Option<AuthError> {
    fn leave(self, head: &mut Parts) -> ControlFlow<Response<Bytes>> {
        if let Some(error) = self {
            Reported::add(&mut head.extensions, error);
        }
        ControlFlow::Continue(())
    }
}

/// A service behind a gate.
pub(crate) struct Gated<S, G> {
    pub(crate) inner: S,
    /// `None`: requests and responses are not touched.
    pub(crate) gate: Option<Arc<G>>,
}

impl<S, G, ReqBody, ResBody> Service<Request<ReqBody>> for Gated<S, G>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    G: Gate,
    ReqBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = GatedFuture<G::Pass, ReqBody, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let checked = self.gate.as_ref().map(|gate| gate.check(&mut request));
        let pass = match checked {
            None => None,
            Some(ControlFlow::Continue(pass)) => Some(pass),
            Some(ControlFlow::Break(refusal)) => {
                let answer = Answer::to(request, refusal);
                if answer.waits() {
                    readiness::give_back(&mut self.inner);
                }
                return GatedFuture::Respond { answer };
            }
        };
        GatedFuture::Inner {
            future: self.inner.call(request),
            pass,
        }
    }
}

// By hand, because a derive would ask for `G: Clone`.
impl<S: Clone, G> Clone for Gated<S, G> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            gate: self.gate.clone(),
        }
    }
}

pin_project! {
    #[project = Project]
    pub(crate) enum GatedFuture<P, ReqBody, F> {
        Inner {
            #[pin]
            future: F,
            // Taken with the response.
            pass: Option<P>,
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

impl<P, ReqBody, F, ResBody, E> Future for GatedFuture<P, ReqBody, F>
where
    P: Pass,
    ReqBody: Body,
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project() {
            Project::Inner { future, pass } => {
                let response = ready!(future.poll(cx))?;
                leave(pass.take(), response)
            }
            Project::Respond { answer } => ready!(answer.poll(cx)).map(ResponseBody::own),
        };
        Poll::Ready(Ok(response))
    }
}

/// The response of the inner service, as a pass leaves it.
pub(super) fn leave<P: Pass, B>(
    pass: Option<P>,
    response: Response<B>,
) -> Response<ResponseBody<B>> {
    let (mut head, body) = response.into_parts();
    match pass.map(|pass| pass.leave(&mut head)) {
        Some(ControlFlow::Break(response)) => response.map(ResponseBody::own),
        None | Some(ControlFlow::Continue(())) => {
            Response::from_parts(head, ResponseBody::inner(body))
        }
    }
}
