use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use crate::auth::ResponseBody;
use crate::error::AuthError;
use crate::observe::Observed;

pin_project! {
    /// The future of a [`RequireScopes`](super::RequireScopes).
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F> {
        Inner {
            #[pin]
            future: F,
            observed: Option<AuthError>,
        },
        Respond { response: Option<Response<Bytes>> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn inner(future: F, observed: Option<AuthError>) -> Self {
        Self {
            kind: Kind::Inner { future, observed },
        }
    }

    pub(super) fn respond(response: Response<Bytes>) -> Self {
        Self {
            kind: Kind::Respond {
                response: Some(response),
            },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Inner { future, observed } => {
                let mut response = ready!(future.poll(cx))?;
                if let Some(error) = observed.take() {
                    Observed::tell(response.extensions_mut(), error);
                }
                Ok(response.map(ResponseBody::inner))
            }
            KindProj::Respond { response } => {
                let response = response
                    .take()
                    .expect("ResponseFuture polled after completion");
                Ok(response.map(ResponseBody::own))
            }
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
