//! A server behind the layer that says what it is told to, and requests of principals.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_mcp_auth::Principal;
use tower_mcp_auth::mcp::MacKey;
use tower_mcp_auth::testing::{insert_anonymous, insert_principal};

pub type Body = Full<Bytes>;

pub const KEYS: [&str; 3] = [
    "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5",
    "tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E",
    "mB5xT2vK9qHc8WnJ4sZy1RfGd7PaLu6E",
];

pub fn key(number: usize) -> MacKey {
    MacKey::new(KEYS[number]).unwrap()
}

/// Answers 200 with these headers to whatever reaches it, and keeps the request's head.
#[derive(Clone, Debug, Default)]
pub struct Server {
    pub answers: HeaderMap,
    seen: Arc<Mutex<Vec<Parts>>>,
}

impl Server {
    /// Hands out session ids.
    pub fn opening<V: AsRef<[u8]>>(ids: &[V]) -> Self {
        let mut server = Self::default();
        for id in ids {
            let id = HeaderValue::from_bytes(id.as_ref()).unwrap();
            server.answers.append("mcp-session-id", id);
        }
        server
    }

    pub fn take(&self) -> Vec<Parts> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl<B> Service<Request<B>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.seen.lock().unwrap().push(request.into_parts().0);
        let mut response = Response::new(Body::default());
        response.headers_mut().extend(self.answers.clone());
        ready(Ok(response))
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Who {
    Principal(Principal),
    Anonymous,
    /// No auth layer ran.
    Unjudged,
}

pub fn alice() -> Who {
    Who::Principal(Principal::builder("oauth").subject("alice").build())
}

pub fn mallory() -> Who {
    Who::Principal(Principal::builder("oauth").subject("mallory").build())
}

pub fn request<V: AsRef<[u8]>>(who: &Who, method: &Method, headers: &[(&str, V)]) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri("/mcp")
        .body(Body::default())
        .unwrap();
    match who {
        Who::Principal(principal) => insert_principal(request.extensions_mut(), principal.clone()),
        Who::Anonymous => insert_anonymous(request.extensions_mut()),
        Who::Unjudged => {}
    }
    for (name, value) in headers {
        request.headers_mut().append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_bytes(value.as_ref()).unwrap(),
        );
    }
    request
}
