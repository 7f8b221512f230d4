//! Requests, and what became of them.

use std::convert::Infallible;
use std::fmt::Debug;

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};
use tower_mcp_auth::{AuthError, AuthErrorKind, Principal, Reason};

use super::Inner;

/// A GET of `/mcp` with these headers; values are bytes, so that they can be bad ones.
pub fn request<V: AsRef<[u8]>>(headers: &[(&str, V)]) -> Request<Full<Bytes>> {
    request_to("/mcp", headers)
}

pub fn request_to<V: AsRef<[u8]>>(uri: &str, headers: &[(&str, V)]) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .uri(uri)
        .body(Full::default())
        .unwrap_or_else(|error| panic!("{uri:?}: {error}"));
    for (name, value) in headers {
        request.headers_mut().append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_bytes(value.as_ref()).unwrap(),
        );
    }
    request
}

/// Sends one request through the layer to a new [`Inner`].
pub async fn ask<L, B>(layer: &L, request: Request<Full<Bytes>>) -> Answer
where
    L: Layer<Inner>,
    L::Service: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
    B::Error: Debug,
{
    let inner = Inner::default();
    let service = layer.layer(inner.handle());
    let response = service.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let mut reached = inner.take();
    assert!(reached.len() <= 1, "one request was passed on twice");
    Answer {
        status: parts.status,
        headers: parts.headers,
        extensions: parts.extensions,
        body: body.collect().await.unwrap().to_bytes(),
        reached: reached.pop(),
    }
}

/// The operator is told what is wrong, whatever it is.
#[track_caller]
pub fn assert_explained(error: &AuthError) {
    // Providers that tests make up have reasons of their own.
    let mut own = Reason::ALL.iter().map(|reason| reason.code());
    let is_of_the_crate = own.any(|code| code == error.reason());
    let detail = error.detail().unwrap_or_default();
    assert!(
        !is_of_the_crate || !detail.is_empty(),
        "no detail: {error:?}"
    );
}

/// A response, and the request as it reached the service behind the layer, if it did.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub extensions: Extensions,
    pub body: Bytes,
    pub reached: Option<Parts>,
}

impl Answer {
    /// The request behind the layer; fails where it was refused.
    #[track_caller]
    pub fn admitted(&self) -> &Parts {
        assert!(
            self.extensions.get::<AuthError>().is_none(),
            "admitted with an error: {self:?}"
        );
        match &self.reached {
            Some(parts) => parts,
            None => panic!("refused: {:?}", self.extensions.get::<AuthError>()),
        }
    }

    /// The principal behind the layer.
    #[track_caller]
    pub fn principal(&self) -> &Principal {
        Principal::from_extensions(&self.admitted().extensions).expect("a principal")
    }

    /// The error of a refusal; fails where the request reached the service.
    #[track_caller]
    pub fn error(&self) -> &AuthError {
        assert!(self.reached.is_none(), "a refused request was passed on");
        self.extensions
            .get::<AuthError>()
            .unwrap_or_else(|| panic!("no error in the extensions: {self:?}"))
    }

    /// Refused over plain HTTP for this reason, with the status and challenge of the kind.
    #[track_caller]
    pub fn refused(&self, kind: AuthErrorKind, reason: &str) -> &AuthError {
        let error = self.error();
        assert_eq!((error.kind(), error.reason()), (kind, reason), "{error:?}");
        assert_explained(error);
        let (status, code) = match kind {
            AuthErrorKind::Missing => (401, None),
            AuthErrorKind::Malformed => (400, Some("invalid_request")),
            AuthErrorKind::Invalid => (401, Some("invalid_token")),
            AuthErrorKind::InsufficientScope => (403, Some("insufficient_scope")),
            AuthErrorKind::InsufficientUserAuthentication => {
                (401, Some("insufficient_user_authentication"))
            }
            AuthErrorKind::Forbidden => (403, None),
            AuthErrorKind::Unavailable => (503, None),
            AuthErrorKind::UnknownSession | AuthErrorKind::UnknownResource => (404, None),
            AuthErrorKind::Misdirected => (421, None),
            AuthErrorKind::PayloadTooLarge => (413, None),
            AuthErrorKind::UnsupportedMediaType => (415, None),
            AuthErrorKind::HeaderMismatch => (400, None),
            AuthErrorKind::TooManyRequests => (429, None),
            _ => panic!("{kind:?} has no status here"),
        };
        assert_eq!(self.status, status, "{error:?}");
        assert_eq!(self.headers["cache-control"], "no-store");
        for line in self.challenges() {
            if line.starts_with("Bearer") {
                let told = line
                    .split("error=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                assert_eq!(told, code, "{line}");
            }
        }
        error
    }

    #[track_caller]
    pub fn missing(&self) {
        self.refused(AuthErrorKind::Missing, "missing_credential");
    }

    #[track_caller]
    pub fn malformed(&self, reason: &str) {
        self.refused(AuthErrorKind::Malformed, reason);
    }

    #[track_caller]
    pub fn invalid(&self, reason: &str) {
        self.refused(AuthErrorKind::Invalid, reason);
    }

    /// The lines of `WWW-Authenticate`.
    pub fn challenges(&self) -> Vec<&str> {
        self.headers
            .get_all("www-authenticate")
            .iter()
            .map(|line| line.to_str().expect("ASCII"))
            .collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).expect("JSON")
    }
}
