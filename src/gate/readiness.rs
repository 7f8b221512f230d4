//! Readiness that is given back while a request waits.
//!
//! A service that was polled ready may hold what others wait for: a permit of a limit, a place
//! in a queue. A request that waits for an answer or for its own body must not keep that.

use std::mem;
use std::task::{Context, Poll};

use tower_service::Service;

/// The inner service of a request that may have to wait before it is called.
pub(crate) enum Held<S> {
    /// It was polled ready, and is called if the request need not wait.
    Ready(S),
    /// A clone of it, to be polled ready after the wait.
    Later(S),
}

impl<S: Clone> Held<S> {
    /// Takes the service that was polled ready, and leaves a clone, which is not: the caller may
    /// hold on to the outer service until this request ends, and the permit with it.
    /// <https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services>
    pub(crate) fn take(inner: &mut S) -> Self {
        let not_ready = inner.clone();
        Self::Ready(mem::replace(inner, not_ready))
    }

    /// Gives readiness back. Called when the request is found to wait; again, it does nothing.
    pub(crate) fn give_back(&mut self) {
        if let Self::Ready(ready) = self {
            *self = Self::Later(ready.clone());
        }
    }
}

impl<S> Held<S> {
    /// Ready as soon as the service can be called.
    pub(crate) fn poll_ready<R>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<R>,
    {
        match self {
            Self::Ready(_) => Poll::Ready(Ok(())),
            Self::Later(later) => later.poll_ready(cx),
        }
    }

    /// Calls the service, which must be ready.
    pub(crate) fn call<R>(&mut self, request: R) -> S::Future
    where
        S: Service<R>,
    {
        match self {
            Self::Ready(ready) | Self::Later(ready) => ready.call(request),
        }
    }
}

/// Gives back the readiness of a service that will not be called.
pub(crate) fn give_back<S: Clone>(inner: &mut S) {
    *inner = inner.clone();
}
