//! The future of the scopes service.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::auth::ResponseBody;
use crate::error::AuthError;
use crate::refusal::Answer;
use crate::refusal::Reported;

pin_project! {
    /// The future of a [`RequireScopes`](super::RequireScopes).
    pub struct ResponseFuture<ReqBody, F> {
        #[pin]
        kind: Kind<ReqBody, F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<ReqBody, F> {
        Inner {
            #[pin]
            future: F,
            reported: Option<AuthError>,
        },
        Respond { answer: Answer<ReqBody> },
    }
}

impl<ReqBody, F> ResponseFuture<ReqBody, F> {
    pub(super) fn inner(future: F, reported: Option<AuthError>) -> Self {
        Self {
            kind: Kind::Inner { future, reported },
        }
    }

    pub(super) fn respond(answer: Answer<ReqBody>) -> Self {
        Self {
            kind: Kind::Respond { answer },
        }
    }
}

impl<ReqBody, F, B, E> Future for ResponseFuture<ReqBody, F>
where
    F: Future<Output = Result<Response<B>, E>>,
    ReqBody: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Inner { future, reported } => {
                let mut response = ready!(future.poll(cx))?;
                if let Some(error) = reported.take() {
                    Reported::tell(response.extensions_mut(), error);
                }
                Ok(response.map(ResponseBody::inner))
            }
            KindProj::Respond { answer } => {
                let response = ready!(answer.poll(cx));
                Ok(response.map(ResponseBody::own))
            }
        })
    }
}

impl<ReqBody, F> fmt::Debug for ResponseFuture<ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
