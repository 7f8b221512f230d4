//! Recorded requests.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

use super::endpoint::Endpoint;
use crate::util::locked;

/// The request an endpoint of an [`Issuer`](super::Issuer) was asked with: for tests of what
/// a client sends.
///
/// It holds the secrets that were sent; `Debug` prints names only.
#[derive(Clone)]
pub struct RecordedRequest(Arc<Recorded>);

struct Recorded {
    head: Parts,
    body: Bytes,
    form: Vec<(String, String)>,
}

impl RecordedRequest {
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        let form = form_urlencoded::parse(&body).into_owned().collect();
        Self(Arc::new(Recorded { head, body, form }))
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.0.head.method
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.head.headers
    }

    /// The first header of this name, if it is text. Names are compared without regard to
    /// case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.head.headers.get(name)?.to_str().ok()
    }

    /// The body, as it came.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The names and values of the body, read as a form (`application/x-www-form-urlencoded`)
    /// whatever its content type, in order and with those that are repeated or empty.
    pub fn form(&self) -> &[(String, String)] {
        &self.0.form
    }

    /// The first value of this name in the [`form`](Self::form).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.0.form.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the form: a body of another kind would stand there as one long name.
        let headers: Vec<&str> = self
            .0
            .head
            .headers
            .keys()
            .map(|name| name.as_str())
            .collect();
        f.debug_struct("RecordedRequest")
            .field("method", self.method())
            .field("path", &self.0.head.uri.path())
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// The last request of each endpoint.
#[derive(Default)]
pub(super) struct Recorder([Mutex<Option<RecordedRequest>>; Endpoint::COUNT]);

impl Recorder {
    pub(super) fn record(&self, endpoint: Endpoint, request: RecordedRequest) {
        *self.slot(endpoint) = Some(request);
    }

    pub(super) fn last(&self, endpoint: Endpoint) -> Option<RecordedRequest> {
        self.slot(endpoint).clone()
    }

    fn slot(&self, endpoint: Endpoint) -> std::sync::MutexGuard<'_, Option<RecordedRequest>> {
        let slot = &self.0[endpoint as usize];
        locked(slot)
    }
}
