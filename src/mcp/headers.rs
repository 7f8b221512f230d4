//! What the headers of a POST say about its body.

use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::operation::{Kind, Message, Messages};
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::refusal::{Caller, RefusalForm, refuse_or_report};
use crate::scopes::{PROTOCOL_VERSION, is_recent};
use crate::telemetry::Case;
use crate::util::quoted;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What the head of a POST leaves for its body.
pub(super) struct Seen {
    /// Whether headers mirror the body.
    pub(super) is_mirrored: bool,
    /// What it would have been refused for.
    pub(super) reported: Option<AuthError>,
}

impl Seen {
    /// What was judged of a head: refuses it, unless the auth layer only reports.
    pub(super) fn judged(
        is_mirrored: Result<bool, AuthError>,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        case: Case<'_>,
    ) -> ControlFlow<Response<Bytes>, Self> {
        let (is_mirrored, reported) = match is_mirrored {
            Ok(is_mirrored) => (is_mirrored, None),
            Err(error) => {
                let form = RefusalForm::of(head);
                (false, refuse_or_report(error, caller, form, head, case)?)
            }
        };
        ControlFlow::Continue(Self {
            is_mirrored,
            reported,
        })
    }
}

/// The one `MCP-Protocol-Version`, without white space around it; two can be two revisions to
/// two readers.
pub(super) fn protocol_version(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let refuse = |reason, detail| AuthError::new(reason).with_detail(detail);
    let mut values = headers.get_all(PROTOCOL_VERSION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refuse(
            Reason::DUPLICATE_PROTOCOL_VERSION,
            "there is more than one MCP-Protocol-Version header",
        ));
    }
    text(value).map(Some).ok_or_else(|| {
        refuse(
            Reason::MALFORMED_PROTOCOL_VERSION,
            "the value of MCP-Protocol-Version is not visible ASCII",
        )
    })
}

/// A value that is ASCII, without the white space around it.
fn text(value: &HeaderValue) -> Option<&str> {
    Some(value.to_str().ok()?.trim_matches([' ', '\t']))
}

/// Only JSON in UTF-8 is read, and only as it is.
pub(super) fn media_type(headers: &HeaderMap) -> Result<(), AuthError> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(AuthError::new(Reason::UNSUPPORTED_CONTENT_ENCODING).with_detail(
            "the request has a Content-Encoding, and its body is judged as it is: send it without",
        ));
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (values.next(), values.next());
    let detail = match (first, second) {
        (Some(value), None) => match text(value) {
            Some(value) if is_json(value) => return Ok(()),
            Some(value) => format!("the Content-Type is {}", quoted(value)),
            None => "the Content-Type is not ASCII".to_owned(),
        },
        (Some(_), Some(_)) => "there is more than one Content-Type header".to_owned(),
        (None, _) => "the request has no Content-Type".to_owned(),
    };
    Err(
        AuthError::new(Reason::UNSUPPORTED_CONTENT_TYPE).with_detail(format!(
            "{detail}; a message is `application/json` in UTF-8"
        )),
    )
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

/// Whether this revision mirrors the body in headers, and has no sessions. Below, such headers
/// mean nothing: they are neither read nor a reason to refuse.
pub(super) fn is_mirrored(version: Option<&str>) -> bool {
    version.is_some_and(is_recent)
}

/// MCP 2026-07-28, "Streamable HTTP", Server Validation.
pub(super) fn check_mirrors(headers: &HeaderMap, messages: &Messages<'_>) -> Result<(), AuthError> {
    match messages {
        Messages::One(message) => check_message(headers, message),
        Messages::Batch(_) => Err(mismatch(
            Reason::UNEXPECTED_BATCH,
            "the body is a batch, which revisions with these headers do not have",
        )),
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
        None => {
            return Err(mismatch(
                Reason::MISSING_MCP_METHOD,
                "the request has no Mcp-Method header, which its revision asks for",
            ));
        }
        Some(method) if method == message.method => {}
        Some(method) => {
            return Err(mismatch(
                Reason::MCP_METHOD_MISMATCH,
                format!(
                    "Mcp-Method says {}, and the body {}",
                    quoted(method),
                    quoted(&message.method)
                ),
            ));
        }
    }
    let is_needed = matches!(
        &*message.method,
        "tools/call" | "resources/read" | "prompts/get"
    );
    match single(headers, &NAME)? {
        None if is_needed => Err(mismatch(
            Reason::MISSING_MCP_NAME,
            format!(
                "the request has no Mcp-Name header, which {} needs",
                quoted(&message.method)
            ),
        )),
        None => Ok(()),
        Some(raw) => {
            // A URI may hold secrets, and who knows the id of a task may ask for it.
            let is_shown = matches!(&*message.method, "tools/call" | "prompts/get");
            let shown = |name| match is_shown {
                true => format!("Mcp-Name says {}", quoted(name)),
                false => "Mcp-Name says what is not shown here".to_owned(),
            };
            let name = decode(raw).ok_or_else(|| {
                let detail = format!("{}, which is no base64 of UTF-8", shown(raw));
                mismatch(Reason::MALFORMED_MCP_NAME, detail)
            })?;
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
                _ => {
                    let detail = format!("{}, and the body something else", shown(&name));
                    Err(mismatch(Reason::MCP_NAME_MISMATCH, detail))
                }
            }
        }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (text(value), values.next()) {
        (Some(value), None) => Ok(Some(value)),
        (Some(_), Some(_)) => Err(mismatch(
            Reason::DUPLICATE_MCP_HEADER,
            format!("there is more than one {name} header"),
        )),
        (None, _) => Err(mismatch(
            Reason::MALFORMED_MCP_HEADER,
            format!("the value of {name} is not visible ASCII"),
        )),
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

fn mismatch(reason: Reason, detail: impl Into<String>) -> AuthError {
    AuthError::new(reason).with_detail(detail)
}
