//! What no middleware can leave out: it reads the credential's header, digests it, finds the
//! digest among the known ones, takes the header out, and puts into the request who it is
//! from. It checks nothing.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Request};
use tower::Service;

use super::floor::{DigestHasher, Floor};

/// Shared and not copied, as large as what is known of a caller.
type Facts = Arc<[u8; 200]>;

/// See the [module](self).
#[derive(Clone)]
pub(crate) struct Least<S> {
    header: HeaderName,
    scheme: usize,
    known: Arc<HashMap<[u8; 32], Facts, BuildHasherDefault<DigestHasher>>>,
    inner: S,
}

/// As large as a principal.
#[derive(Clone)]
#[expect(
    dead_code,
    reason = "what it is stands in the request for whoever asks"
)]
struct From(Facts, [u64; 4]);

impl<S> Least<S> {
    /// `values` are all credentials there are, behind the `scheme`.
    pub(crate) fn new(inner: S, header: &HeaderName, scheme: &str, values: &[String]) -> Self {
        let scheme = scheme.len();
        let digest = |value: &String| Floor::digest(&value.as_bytes()[scheme..]);
        let known = values.iter();
        let known = known.map(|value| (digest(value), Arc::new([0; 200])));
        Self {
            header: header.clone(),
            scheme,
            known: Arc::new(known.collect()),
            inner,
        }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Least<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let value = request.headers()[&self.header].as_bytes();
        let digest = Floor::digest(&value[self.scheme..]);
        let facts = Arc::clone(&self.known[&digest]);
        request.headers_mut().remove(&self.header);
        request.extensions_mut().insert(From(facts, [0; 4]));
        self.inner.call(request)
    }
}
