//! Reading small posted documents and answering them, for the services of revocation and logout.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "oauth")]
use http::header::RETRY_AFTER;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;

#[cfg(feature = "oauth")]
use super::delay_seconds;
use super::json;
#[cfg(feature = "oauth")]
use crate::error::{AuthError, AuthErrorKind};

/// The most bytes of a body.
const MAX_BYTES: usize = 16 * 1024;
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer to a request that does not post a body of this media type, in lower case.
pub(crate) fn misdirected(
    method: &Method,
    headers: &HeaderMap,
    media_type: &str,
) -> Option<Response<Bytes>> {
    if *method != Method::POST {
        let mut response = posted(StatusCode::METHOD_NOT_ALLOWED);
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let essence = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
    let is_right = |essence: &[u8]| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(media_type.as_bytes())
    };
    (!essence.is_some_and(is_right)).then(|| {
        posted_badly(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            &format!("the body must be {media_type}"),
        )
    })
}

/// Reads a body within its bounds, or says what is wrong with it.
pub(crate) async fn read_posted<B: Body>(body: B) -> Result<Bytes, Response<Bytes>> {
    let body = body.map_err(|_| Broken);
    let mut reading = pin!(Limited::new(body, MAX_BYTES).collect());
    let mut timer = None;
    let read = poll_fn(|cx| {
        if let Poll::Ready(read) = reading.as_mut().poll(cx) {
            return Poll::Ready(Some(read));
        }
        // Made when there is something to wait for.
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        timer.as_mut().poll(cx).map(|()| None)
    });
    let bad = |why| posted_badly(StatusCode::BAD_REQUEST, "invalid_request", why);
    match read.await {
        Some(Ok(body)) => Ok(body.to_bytes()),
        Some(Err(error)) if error.is::<LengthLimitError>() => Err(posted_badly(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body has more than 16 KiB",
        )),
        Some(Err(_)) => Err(bad("the body did not arrive whole")),
        None => Err(bad("the body did not arrive within 10 s")),
    }
}

/// An answer without a body.
pub(crate) fn posted(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer that says what is wrong, as RFC 6749 section 5.2 has it.
pub(crate) fn posted_badly(code: StatusCode, error: &str, description: &str) -> Response<Bytes> {
    let body = json!({
        "error": error,
        "error_description": description,
        "status": code.as_u16(),
    });
    let mut response = posted(code).map(|_| Bytes::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, json::APPLICATION_JSON);
    response
}

/// The answer to what is refused: as an endpoint of OAuth refuses it, which no challenge helps.
#[cfg(feature = "oauth")]
pub(crate) fn posted_refusal(error: AuthError) -> Response<Bytes> {
    let code = match error.kind() {
        AuthErrorKind::Unavailable => "temporarily_unavailable",
        _ => "invalid_request",
    };
    let mut response = posted_badly(error.status(), code, error.description());
    if let Some(delay) = error.retry_after() {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, delay_seconds(delay));
    }
    response.extensions_mut().insert(error.alone());
    response
}

/// Whatever a body says when it breaks.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body did not arrive whole")
    }
}

impl std::error::Error for Broken {}
