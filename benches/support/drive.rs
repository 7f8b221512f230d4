//! A service with nothing in it, and how requests are put through one.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use tower::Service;

pub(crate) type Body = Full<Bytes>;

/// Answers every request at once with an empty response.
#[derive(Clone, Debug)]
pub(crate) struct Bare;

impl<B> Service<Request<B>> for Bare {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::default()))
    }
}

/// A request with this header and nothing else.
pub(crate) fn request(name: &HeaderName, value: &str) -> Request<Body> {
    let mut request = Request::post("/mcp").body(Body::default()).unwrap();
    let value = HeaderValue::from_str(value).unwrap();
    request.headers_mut().insert(name, value);
    request
}

/// Puts one request through, and expects its answer at once and with this status.
pub(crate) fn put_through<S, B>(service: &mut S, request: Request<Body>, status: u16)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut context) else {
        panic!("the service did not answer at once");
    };
    assert_eq!(response.status(), status);
    black_box(response);
}
