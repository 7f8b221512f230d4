//! The refusals that MCP wants as JSON-RPC errors.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};

use super::json::APPLICATION_JSON;
use crate::error::AuthError;

/// `HeaderMismatch` of MCP 2026-07-28, "Streamable HTTP", Server Validation.
const HEADER_MISMATCH: i32 = -32020;
/// Outside of what JSON-RPC and MCP 2026-07-28 ("Error Codes") keep for themselves; the status of
/// HTTP that would have said it, had the answer not begun.
const EXPIRED_UNDER_WAY: i32 = 401;
/// JSON-RPC 2.0 section 5.1.
const INTERNAL_ERROR: i32 = -32603;

/// `id` is JSON already, and found to be so. Without one whose request it is was not settled:
/// clients choke on `"id": null`, and take an error without `id` for the answer to the request
/// they posted.
fn write(id: Option<&str>, code: i32, message: &str) -> Bytes {
    text(id, code, message).into()
}

fn text(id: Option<&str>, code: i32, message: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!(r#""id":{id},"#));
    let message = serde_json::Value::from(message);
    format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}}}}}"#)
}

/// The answer to a request whose stream ends with its credential; its `id` as JSON. One line.
pub(crate) fn expired_under_way(id: &str) -> String {
    let message = "the access token expired while this ran; ask again";
    text(Some(id), EXPIRED_UNDER_WAY, message)
}

pub(super) fn header_mismatch(error: &AuthError) -> Response<Bytes> {
    let mut response = Response::new(write(None, HEADER_MISMATCH, error.description()));
    *response.status_mut() = error.status();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}

/// The message that stands for an answer which must not pass; `id` is that of its request, as
/// JSON.
pub(crate) fn internal_error(id: Option<&str>) -> Bytes {
    write(id, INTERNAL_ERROR, "Internal error")
}

/// The whole response that stands for one which must not pass.
pub(crate) fn internal_error_response() -> Response<Bytes> {
    let mut response = Response::new(internal_error(None));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}
