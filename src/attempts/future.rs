use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::client::Client;
use super::layer::State as Counts;
use crate::auth::ResponseBody;
use crate::error::{AuthError, AuthErrorKind};
use crate::refusal::Answer;

pin_project! {
    /// The future of a [`FailedAttempts`](super::FailedAttempts).
    pub struct ResponseFuture<ReqBody, F> {
        #[pin]
        state: State<ReqBody, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<ReqBody, F> {
        Inner {
            #[pin]
            future: F,
            counted: (Arc<Counts>, Client),
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

impl<ReqBody, F> ResponseFuture<ReqBody, F> {
    pub(super) fn inner(future: F, counted: (Arc<Counts>, Client)) -> Self {
        Self {
            state: State::Inner { future, counted },
        }
    }

    pub(super) fn respond(answer: Answer<ReqBody>) -> Self {
        Self {
            state: State::Respond { answer },
        }
    }
}

impl<ReqBody, F, ResBody, E> Future for ResponseFuture<ReqBody, F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ReqBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { future, counted } => {
                let response = ready!(future.poll(cx))?;
                let (counts, client) = counted;
                if response.extensions().get().is_some_and(is_failed_attempt) {
                    counts.failed(*client);
                }
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            StateProj::Respond { answer } => {
                let response = ready!(answer.poll(cx));
                Poll::Ready(Ok(response.map(ResponseBody::own)))
            }
        }
    }
}

/// What somebody known got wrong besides is no attempt to be let in.
fn is_failed_attempt(error: &AuthError) -> bool {
    let is_of_kind = matches!(
        error.kind(),
        AuthErrorKind::Invalid | AuthErrorKind::Malformed
    );
    is_of_kind && error.principal_id().is_none()
}

impl<ReqBody, F> fmt::Debug for ResponseFuture<ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
