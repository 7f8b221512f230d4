//! The future of the origin service.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::auth::ResponseBody;
use crate::refusal::Answer;

pin_project! {
    /// The future of an [`Origin`](super::Origin).
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
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

impl<ReqBody, F> ResponseFuture<ReqBody, F> {
    pub(super) fn inner(future: F) -> Self {
        Self {
            state: State::Inner { future },
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
            StateProj::Inner { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            StateProj::Respond { answer } => {
                let response = ready!(answer.poll(cx));
                Poll::Ready(Ok(response.map(ResponseBody::own)))
            }
        }
    }
}

impl<ReqBody, F> fmt::Debug for ResponseFuture<ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
