//! A handler that tells that it was reached.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use tower_service::Service;

use super::shot::RequestBody;

/// The header by which a [`Probe`] is known.
pub(super) const MARK: HeaderName = HeaderName::from_static("x-hostile-probe");

const REACHED: HeaderValue = HeaderValue::from_static("reached");
const WITH_CREDENTIAL: HeaderValue = HeaderValue::from_static("reached, credential");

/// A service to put in the place of the handler: it answers 200, and marks its answers with the
/// header `x-hostile-probe`.
///
/// With it, the report knows which requests reached the inside, whatever the status became, and
/// whether they still held a credential. [`Hostile::probe`](super::Hostile::probe) makes it.
#[derive(Clone)]
pub struct Probe {
    secrets: Arc<[String]>,
}

/// What a probe saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Request,
    Credential,
}

impl Seen {
    pub(super) fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let mark = headers.get(MARK)?;
        Some(match *mark == WITH_CREDENTIAL {
            true => Self::Credential,
            false => Self::Request,
        })
    }
}

impl Probe {
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self {
            secrets: secrets.into_iter().collect(),
        }
    }

    fn sees_credential<B>(&self, request: &Request<B>) -> bool {
        let target = request.uri().to_string();
        let values = request.headers().values().map(HeaderValue::as_bytes);
        let texts: Vec<&[u8]> = values.chain([target.as_bytes()]).collect();
        self.secrets
            .iter()
            .any(|secret| texts.iter().any(|text| contains(text, secret.as_bytes())))
    }
}

pub(super) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

impl<B> Service<Request<B>> for Probe {
    type Response = Response<RequestBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mark = match self.sees_credential(&request) {
            true => WITH_CREDENTIAL,
            false => REACHED,
        };
        let mut response = Response::new(RequestBody::new(Bytes::from_static(b"reached\n")));
        response.headers_mut().insert(MARK, mark);
        ready(Ok(response))
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}
