//! The service behind the layer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_mcp_auth::Principal;

/// Counts its calls and its clones, keeps the head of every request it was given, and
/// answers with the id of the principal, or `nobody`.
#[derive(Debug, Default)]
pub struct Inner {
    seen: Arc<Mutex<Vec<Parts>>>,
    clones: Arc<AtomicUsize>,
}

impl Inner {
    pub fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// How often it was cloned, by this handle or any other.
    pub fn clones(&self) -> usize {
        self.clones.load(Ordering::SeqCst)
    }

    pub fn take(&self) -> Vec<Parts> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// A second handle on the same counters; does not count as a clone.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            seen: Arc::clone(&self.seen),
            clones: Arc::clone(&self.clones),
        }
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        self.handle()
    }
}

impl<B> Service<Request<B>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let who = Principal::from_extensions(&parts.extensions).map_or_else(
            || "nobody".to_owned(),
            |principal| principal.id().to_string(),
        );
        self.seen.lock().unwrap().push(parts);
        ready(Ok(Response::new(Full::from(who))))
    }
}
