//! The refusals that MCP wants as JSON-RPC errors.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::json::APPLICATION_JSON;
use super::{CutOff, ToolCall};
use crate::error::AuthError;
use crate::util::seconds_up;

/// `HeaderMismatch` of MCP 2026-07-28, "Streamable HTTP", Server Validation.
const HEADER_MISMATCH: i32 = -32020;
/// Outside of what JSON-RPC and MCP 2026-07-28 ("Error Codes") keep for themselves; the status of
/// HTTP that would have said it, had the answer not begun.
const ENDED_UNDER_WAY: i32 = 401;
/// JSON-RPC 2.0 section 5.1.
const INTERNAL_ERROR: i32 = -32603;

/// `id` is JSON already, and found to be so. Without one the request was not identified:
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

/// The answer to a request if its stream ends with its credential; its `id` as JSON. One line.
pub(crate) fn ended_under_way(id: &str, why: CutOff) -> String {
    let message = match why {
        CutOff::Expired => "the access token expired while this ran; ask again",
        CutOff::Revoked => "the credential was revoked while this ran; sign in again",
        CutOff::Unavailable => "authentication became unavailable while this ran; try again later",
    };
    text(Some(id), ENDED_UNDER_WAY, message)
}

/// The result of a tool that failed, for clients that look for challenges in its `_meta`.
pub(super) fn tool_result(
    call: ToolCall<'_>,
    text: &str,
    challenges: &[String],
) -> Response<Bytes> {
    /// The order is for people.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ToolResult<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        result_type: Option<&'static str>,
        content: [serde_json::Value; 1],
        is_error: bool,
        #[serde(rename = "_meta")]
        meta: Meta<'a>,
    }
    #[derive(Serialize)]
    struct Meta<'a> {
        #[serde(rename = "mcp/www_authenticate")]
        www_authenticate: &'a [String],
    }

    let result = ToolResult {
        result_type: call.is_typed.then_some("complete"),
        content: [json!({ "type": "text", "text": text })],
        is_error: true,
        meta: Meta {
            www_authenticate: challenges,
        },
    };
    // Texts and a flag: there is nothing in it that could fail to serialize.
    let result = serde_json::to_string(&result).unwrap_or_default();
    let id = call.id;
    let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let mut response = Response::new(message.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}

/// The error that answers a message with the status of HTTP as its code, for clients that hand on
/// the body alone.
pub(super) fn refusal(id: Option<&str>, error: &AuthError) -> Response<Bytes> {
    let status = error.status();
    let id = id.map_or_else(String::new, |id| format!(r#""id":{id},"#));
    let seconds = error.retry_after().map(seconds_up);
    let error = json!({
        "code": status.as_u16(),
        "message": error.description(),
        "data": { "reason": error.reason(), "retryAfter": seconds },
    });
    let body = format!(r#"{{"jsonrpc":"2.0",{id}"error":{error}}}"#);
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
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
