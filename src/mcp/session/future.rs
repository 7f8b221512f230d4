//! The future of the session service: binds the id of the response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::bind::Binder;
use super::layer::SESSION_ID;
use crate::auth::ResponseBody;
use crate::error::AuthError;
use crate::mcp::key::Owner;
use crate::principal::Principal;
use crate::refusal::Reported;
use crate::refusal::{self, Answer};
use crate::telemetry;

/// Whose the session is that a response may name.
pub(super) struct Opened {
    pub(super) binder: Arc<Binder>,
    /// `None`: nobody's in particular.
    pub(super) principal: Option<Principal>,
    pub(super) reported: Option<AuthError>,
}

impl Opened {
    /// Binds the session id of a response. `false`: it cannot be bound, and must not go out.
    fn bind(&self, headers: &mut HeaderMap) -> bool {
        let mut ids = headers.get_all(SESSION_ID).iter();
        let Some(inner) = ids.next() else { return true };
        if ids.next().is_some() {
            return false;
        }
        let owner = Owner::of(self.principal.as_ref());
        let Some(mut bound) = self.binder.bind(owner, inner.as_bytes()) else {
            return false;
        };
        bound.set_sensitive(true);
        headers.insert(SESSION_ID, bound);
        true
    }
}

pin_project! {
    /// The future of a [`SessionBinding`](super::SessionBinding).
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
            opened: Opened,
        },
        Respond {
            answer: Answer<ReqBody>,
        },
    }
}

impl<ReqBody, F> ResponseFuture<ReqBody, F> {
    pub(super) fn inner(future: F, opened: Opened) -> Self {
        Self {
            state: State::Inner { future, opened },
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
        let response = match self.project().state.project() {
            StateProj::Inner { future, opened } => {
                let mut response = ready!(future.poll(cx))?;
                if let Some(error) = opened.reported.take() {
                    Reported::tell(response.extensions_mut(), error);
                }
                if opened.bind(response.headers_mut()) {
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
                telemetry::unusable_session_id();
                refusal::server_error()
            }
            StateProj::Respond { answer } => ready!(answer.poll(cx)),
        };
        Poll::Ready(Ok(response.map(ResponseBody::own)))
    }
}

impl<ReqBody, F> fmt::Debug for ResponseFuture<ReqBody, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
