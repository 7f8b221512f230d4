//! One request of an attack, and the body that requests have.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body::{Body, Frame, SizeHint};

/// One request of an attack, and those that must precede it.
pub(super) struct Shot {
    /// What is special about it; never a secret.
    pub(super) label: Cow<'static, str>,
    /// Sent first, and not judged.
    pub(super) before: Vec<Request<Bytes>>,
    pub(super) request: Request<Bytes>,
    /// What must not come back, beside the good credentials.
    pub(super) secrets: Vec<String>,
}

impl Shot {
    pub(super) fn new(label: impl Into<Cow<'static, str>>, request: Request<Bytes>) -> Self {
        Self {
            label: label.into(),
            before: Vec::new(),
            request,
            secrets: Vec::new(),
        }
    }

    pub(super) fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    pub(super) fn after(mut self, request: Request<Bytes>) -> Self {
        self.before.push(request);
        self
    }

    /// Adds a header. One that no request can have is left out: the credential of a user may be
    /// of any text.
    pub(super) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        append(&mut self.request, name, value);
        self
    }

    /// Sends another method.
    pub(super) fn method(mut self, method: Method) -> Self {
        *self.request.method_mut() = method;
        self
    }

    /// Sends another body.
    pub(super) fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let value = HeaderValue::from_static(content_type);
        self.request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, value);
        *self.request.body_mut() = body.into();
        self
    }
}

pub(super) fn append(request: &mut Request<Bytes>, name: &'static str, value: impl AsRef<[u8]>) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
        let name = HeaderName::from_static(name);
        request.headers_mut().append(name, value);
    }
}

/// A target of a request. `None`: this text is none.
pub(super) fn target(text: &str) -> Option<Uri> {
    text.parse().ok()
}

/// The body of the requests that the kit sends to a service.
///
/// It is whole, and short. A service that takes one body only converts it first:
/// `ServiceBuilder::new().map_request(|request: Request<RequestBody>| request.map(Body::new))`.
#[derive(Clone, Default)]
pub struct RequestBody(Bytes);

impl RequestBody {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("len", &self.0.len())
            .finish()
    }
}
