//! The refusals that MCP wants as JSON-RPC errors.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde::Serialize;

use super::json::APPLICATION_JSON;
use crate::error::AuthError;

/// `HeaderMismatch` of MCP 2026-07-28, "Streamable HTTP", Server Validation.
const HEADER_MISMATCH: i32 = -32020;
/// JSON-RPC 2.0 section 5.1.
const INTERNAL_ERROR: i32 = -32603;

/// There is no `id`: whose request it is was not settled. Clients choke on `"id": null`,
/// and take an error without `id` for the answer to the request they posted.
#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a serde_json::value::RawValue>,
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    message: &'a str,
}

fn write(id: Option<&serde_json::value::RawValue>, code: i32, message: &str) -> Bytes {
    let answer = Answer {
        jsonrpc: "2.0",
        id,
        error: Body { code, message },
    };
    // Strings and a number: there is nothing in it that could fail to serialize.
    serde_json::to_vec(&answer).unwrap_or_default().into()
}

pub(super) fn header_mismatch(error: &AuthError) -> Response<Bytes> {
    let mut response = Response::new(write(None, HEADER_MISMATCH, error.description()));
    *response.status_mut() = error.status();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}

/// The message that stands for an answer which must not pass.
pub(crate) fn internal_error(id: Option<&serde_json::value::RawValue>) -> Bytes {
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
