//! The gRPC form of a refusal: HTTP 200, the status in the headers, no body.
//!
//! A client of gRPC that gets a bare 401 with a body reports "Internal", so the form
//! follows the request (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>,
//! "Trailers-Only").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version};
use http_body::Frame;

use crate::credential::trim;
use crate::error::{AuthError, AuthErrorKind};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The media type a refusal answers with; grpc-web clients insist on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Grpc,
    Web,
    WebText,
}

impl Media {
    pub(super) fn of(method: &Method, version: Version, headers: &HeaderMap) -> Option<Self> {
        let media = Self::of_content_type(headers.get(CONTENT_TYPE)?.as_bytes())?;
        let carries_grpc = media != Self::Grpc || version >= Version::HTTP_2;
        (method == Method::POST && carries_grpc).then_some(media)
    }

    pub(crate) fn of_content_type(value: &[u8]) -> Option<Self> {
        let essence = trim(value)
            .split(|byte| matches!(byte, b';' | b'+' | b' '))
            .next()?;
        if essence.eq_ignore_ascii_case(b"application/grpc") {
            Some(Self::Grpc)
        } else if essence.eq_ignore_ascii_case(b"application/grpc-web") {
            Some(Self::Web)
        } else if essence.eq_ignore_ascii_case(b"application/grpc-web-text") {
            Some(Self::WebText)
        } else {
            None
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Grpc => "application/grpc",
            Self::Web => "application/grpc-web+proto",
            Self::WebText => "application/grpc-web-text+proto",
        })
    }
}

pub(super) fn response(error: &AuthError, media: Media) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media.content_type());
    headers.insert(GRPC_STATUS, HeaderValue::from(status(error.kind())));
    if let Ok(message) = HeaderValue::from_str(&encode(error.description())) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// The trailers that end a stream. In grpc-web they are a message with the first bit of its
/// flags set (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>).
pub(super) fn end(error: &AuthError, media: Media) -> Frame<Bytes> {
    let (status, message) = (status(error.kind()), encode(error.description()));
    if media == Media::Grpc {
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert(GRPC_STATUS, HeaderValue::from(status));
        if let Ok(message) = HeaderValue::from_str(&message) {
            trailers.insert(GRPC_MESSAGE, message);
        }
        return Frame::trailers(trailers);
    }
    let trailers = format!("grpc-status:{status}\r\ngrpc-message:{message}\r\n");
    let length = u32::try_from(trailers.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0x80];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(trailers.as_bytes());
    if media == Media::WebText {
        bytes = STANDARD.encode(bytes).into_bytes();
    }
    Frame::data(bytes.into())
}

/// <https://grpc.io/docs/guides/status-codes/>
fn status(kind: AuthErrorKind) -> u16 {
    match kind {
        AuthErrorKind::Missing
        | AuthErrorKind::Malformed
        | AuthErrorKind::Invalid
        | AuthErrorKind::InsufficientUserAuthentication
        | AuthErrorKind::HeaderMismatch => 16,
        AuthErrorKind::InsufficientScope | AuthErrorKind::Forbidden => 7,
        AuthErrorKind::UnknownSession
        | AuthErrorKind::UnknownResource
        | AuthErrorKind::Misdirected => 5,
        AuthErrorKind::PayloadTooLarge | AuthErrorKind::TooManyRequests => 8,
        AuthErrorKind::UnsupportedMediaType => 3,
        AuthErrorKind::Unavailable => 14,
    }
}

/// Percent-encodes all that `grpc-message` must not hold as it is.
fn encode(message: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

    const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
    utf8_percent_encode(message, UNSAFE).to_string()
}
