//! What the headers of a POST say about its body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use super::operation::{Kind, Message, Messages};
use crate::error::{AuthError, quoted};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The first revision whose headers must mirror the body.
const MIRRORED: &str = "2026-07-28";

/// The one `MCP-Protocol-Version`; two can be two revisions to two readers.
pub(super) fn protocol_version(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let refuse = |reason| {
        AuthError::malformed(reason)
            .with_description("The MCP-Protocol-Version header cannot be read in one way")
    };
    let mut values = headers.get_all(PROTOCOL_VERSION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refuse("protocol_version_twice"));
    }
    match value.to_str() {
        Ok(version) => Ok(Some(version)),
        Err(_) => Err(refuse("protocol_version_unreadable")),
    }
}

/// Only JSON in UTF-8 is read, and only as it is.
pub(super) fn media_type(headers: &HeaderMap) -> Result<(), AuthError> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(AuthError::unsupported_media("content_encoding"));
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    match value {
        Some(value) if is_json(value) && values.next().is_none() => Ok(()),
        _ => Err(AuthError::unsupported_media("content_type")),
    }
}

fn is_json(value: &str) -> bool {
    if value == "application/json" {
        return true;
    }
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim_matches('"');
            // Another encoding is another text; other parameters mean nothing in JSON.
            !name.eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8")
        })
}

/// Whether this revision mirrors the body in headers. Below, such headers mean nothing: they
/// are neither read nor a reason to refuse.
pub(super) fn is_mirrored(version: Option<&str>) -> bool {
    // Compared as text, so that what is no date at all has to say what it means.
    version.is_some_and(|version| version >= MIRRORED)
}

/// MCP 2026-07-28, "Streamable HTTP", Server Validation.
pub(super) fn check_mirrors(headers: &HeaderMap, messages: &Messages<'_>) -> Result<(), AuthError> {
    match messages {
        Messages::One(message) => check_message(headers, message),
        Messages::Batch(_) => Err(mismatch("batch_with_headers", None)),
    }
}

fn check_message(headers: &HeaderMap, message: &Message<'_>) -> Result<(), AuthError> {
    if message.kind == Kind::Answer {
        return Ok(());
    }
    // The revision says nothing of notifications. `initialize` is no part of it: a client
    // that falls back to an older one may not know what to mirror yet.
    let is_optional = message.kind == Kind::Notification || message.method == "initialize";
    match single(headers, &METHOD)? {
        None if is_optional => {}
        None => return Err(mismatch("mcp_method_missing", None)),
        Some(method) if method == message.method => {}
        Some(method) => return Err(mismatch("mcp_method_mismatch", Some(method))),
    }
    let is_needed = matches!(
        &*message.method,
        "tools/call" | "resources/read" | "prompts/get"
    );
    match single(headers, &NAME)? {
        None if is_needed => Err(mismatch("mcp_name_missing", None)),
        None => Ok(()),
        Some(raw) => {
            // A URI may hold secrets, and who knows the id of a task may ask for it.
            let is_shown = matches!(&*message.method, "tools/call" | "prompts/get");
            let shown = |name| Some(name).filter(|_| is_shown);
            let name = decode(raw).ok_or_else(|| mismatch("mcp_name_unreadable", shown(raw)))?;
            let [own_name, own_uri, task_id] = &message.mirrored;
            let own = match &*message.method {
                "tools/call" | "prompts/get" => own_name,
                method if method.starts_with("resources/") => own_uri,
                method if method.starts_with("tasks/") => task_id,
                // What an extension mirrors, if not one of these, is not for us to know.
                _ if [own_name, own_uri, task_id]
                    .into_iter()
                    .flatten()
                    .any(|own| **own == *name) =>
                {
                    return Ok(());
                }
                _ => &None,
            };
            match own {
                Some(own) if **own == *name => Ok(()),
                _ => Err(mismatch("mcp_name_mismatch", shown(&name))),
            }
        }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value)),
        (Ok(_), Some(_)) => Err(mismatch("mcp_header_twice", None)),
        (Err(_), _) => Err(mismatch("mcp_header_unreadable", None)),
    }
}

/// Takes the wrapping `=?base64?…?=` off (Value Encoding).
fn decode(value: &str) -> Option<String> {
    let wrapped = value
        .strip_prefix("=?base64?")
        .and_then(|value| value.strip_suffix("?="));
    match wrapped {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

fn mismatch(reason: &'static str, header: Option<&str>) -> AuthError {
    let error = AuthError::header_mismatch(reason);
    match header {
        Some(header) => error.with_detail(format!("the header says {}", quoted(header))),
        None => error,
    }
}
