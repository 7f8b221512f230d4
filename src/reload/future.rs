//! The future of a reloadable service.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

pin_project! {
    /// The future of a [`Reload`](super::Reload).
    pub struct ResponseFuture<T, Request, F> {
        #[pin]
        state: State<T, Request, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<T, Request, F> {
        Called {
            #[pin]
            future: F,
        },
        Waiting {
            service: T,
            request: Option<Request>,
        },
    }
}

impl<T, Request, F> ResponseFuture<T, Request, F> {
    pub(super) fn called(future: F) -> Self {
        Self {
            state: State::Called { future },
        }
    }

    pub(super) fn waiting(service: T, request: Request) -> Self {
        Self {
            state: State::Waiting {
                service,
                request: Some(request),
            },
        }
    }
}

impl<T, Request> Future for ResponseFuture<T, Request, T::Future>
where
    T: Service<Request>,
{
    type Output = Result<T::Response, T::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateProj::Called { future } => return future.poll(cx),
                StateProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let request = request
                        .take()
                        .expect("ResponseFuture polled after completion");
                    service.call(request)
                }
            };
            state.set(State::Called { future });
        }
    }
}

impl<T, Request, F> fmt::Debug for ResponseFuture<T, Request, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
