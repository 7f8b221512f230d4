//! The JSON body of a refusal over plain HTTP.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::Challenge;
use super::code;
use crate::error::{AuthError, AuthErrorKind};

pub(super) const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The order of the members is part of the contract.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'a str>,
    status: u16,
    r#type: &'static str,
}

/// A response of JSON.
pub(super) fn response(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // For what every refusal has, and two challenges.
    response.headers_mut().reserve(6);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}

pub(super) fn body(error: &AuthError, first: Option<&Challenge>) -> Bytes {
    let status = error.status();
    let of_all = |challenge: &&Challenge| {
        !(challenge.message_of_bad_ones && error.kind() == AuthErrorKind::Missing)
    };
    let message = first.filter(of_all);
    let message = message.and_then(|challenge| challenge.message.as_deref());
    let (text, error_description) = match (message, error.kind()) {
        (Some(message), AuthErrorKind::Missing | AuthErrorKind::Invalid) => (message, None),
        (Some(_), _) => (error.description(), None),
        (None, kind) => (
            code(error).unwrap_or(plain_code(kind)),
            Some(error.description()),
        ),
    };
    let body = Body {
        error: text,
        error_description,
        status: status.as_u16(),
        r#type: "authentication_error",
    };
    // Strings and a number: there is nothing in it that could fail to serialize.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// What stands for an error code where RFC 6750 has none.
fn plain_code(kind: AuthErrorKind) -> &'static str {
    match kind {
        AuthErrorKind::Missing => "unauthorized",
        AuthErrorKind::TooManyRequests => "too_many_requests",
        AuthErrorKind::Unavailable => "temporarily_unavailable",
        AuthErrorKind::UnknownSession | AuthErrorKind::UnknownResource => "not_found",
        AuthErrorKind::Misdirected => "misdirected_request",
        AuthErrorKind::PayloadTooLarge => "too_large",
        AuthErrorKind::UnsupportedMediaType => "unsupported_media_type",
        AuthErrorKind::Malformed | AuthErrorKind::HeaderMismatch => "invalid_request",
        AuthErrorKind::Invalid
        | AuthErrorKind::InsufficientScope
        | AuthErrorKind::InsufficientUserAuthentication
        | AuthErrorKind::Forbidden => "access_denied",
    }
}
