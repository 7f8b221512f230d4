//! What no middleware can leave out: it reads the credential's header, digests it, finds the
//! digest among the known ones, takes the header out, and puts into the request who it is
//! from. It checks nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Ready;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Request, Response};
use tower::Service;

use super::drive::{Bare, Body};
use super::floor::{DigestHasher, Floor};

/// Shared and not copied, as large as what is known of somebody.
type Facts = Arc<[u8; 200]>;

/// See the [module](self).
pub(crate) struct Least {
    header: HeaderName,
    scheme: usize,
    known: HashMap<[u8; 32], Facts, BuildHasherDefault<DigestHasher>>,
}

/// As large as a principal.
#[derive(Clone)]
#[expect(
    dead_code,
    reason = "what it is stands in the request for whoever asks"
)]
struct From(Facts, [u64; 4]);

impl Least {
    /// `values` are all credentials there are, behind the `scheme`.
    pub(crate) fn new(header: &HeaderName, scheme: &str, values: &[String]) -> Self {
        let scheme = scheme.len();
        let digest = |value: &String| Floor::digest(&value.as_bytes()[scheme..]);
        Self {
            header: header.clone(),
            scheme,
            known: values
                .iter()
                .map(|value| (digest(value), Arc::new([0; 200])))
                .collect(),
        }
    }
}

impl Service<Request<Body>> for Least {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let value = request.headers()[&self.header].as_bytes();
        let digest = Floor::digest(&value[self.scheme..]);
        let facts = Arc::clone(&self.known[&digest]);
        request.headers_mut().remove(&self.header);
        request.extensions_mut().insert(From(facts, [0; 4]));
        Bare.call(request)
    }
}
