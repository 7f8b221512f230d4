//! Refusals: the one place where an [`AuthError`] becomes a response.

mod answer;
mod caller;
mod challenge;
mod context;
mod grpc;
mod json;
mod jsonrpc;
mod posted;
mod rate_limit;
mod report_only;
mod written;
mod www_authenticate;

pub(crate) use self::answer::{Answer, CountedBy, Counts};
pub(crate) use self::jsonrpc::{ended_under_way, internal_error, internal_error_response};

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Frame;

pub(crate) use self::caller::{Caller, Cause, NoPrincipal};
#[cfg(feature = "oauth")]
pub(crate) use self::challenge::Advertised;
pub use self::challenge::Challenge;
pub(crate) use self::context::{RefusalContext, Settled};
pub(crate) use self::grpc::Media;
#[cfg(feature = "oauth")]
pub(crate) use self::posted::posted_refusal;
pub(crate) use self::posted::{misdirected, posted, posted_badly, read_posted};
pub(crate) use self::rate_limit::{RateLimit, show_rate_limits};
pub(crate) use self::report_only::ReportOnly;
pub use self::report_only::Reported;
pub(crate) use self::written::Written;
#[cfg(feature = "oauth")]
use crate::clock::Clock;
use crate::credential::RequestHead;
use crate::error::{AuthError, AuthErrorKind, Reason};
use crate::telemetry::Case;
use crate::util::seconds_up;

/// The form a refusal takes: what the client asked with decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalForm<'a> {
    Http,
    Grpc(grpc::Media),
    /// The result of a tool that failed, where the refusal asks to sign in, once more or for more
    /// scope; of any other one the HTTP form.
    ToolResult(ToolCall<'a>),
    /// A JSON-RPC error over HTTP, with the `id` of the only request, as JSON.
    JsonRpc(Option<&'a str>),
}

/// The call of a tool that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToolCall<'a> {
    /// The `id` of its request, as JSON.
    pub(crate) id: &'a str,
    /// Whether results say what type they are, as from MCP 2026-07-28 on.
    pub(crate) is_typed: bool,
}

impl RefusalForm<'_> {
    /// The form that the client of this request understands.
    pub(crate) fn of(head: RequestHead<'_>) -> Self {
        let media = grpc::Media::of(head.method(), head.version(), head.headers());
        media.map_or(Self::Http, Self::Grpc)
    }
}

/// Writes the refusal of a request in the form that the layer chose, and reports the decision.
pub(crate) fn refuse(
    error: AuthError,
    context: &RefusalContext,
    form: RefusalForm<'_>,
    head: RequestHead<'_>,
    case: Case<'_>,
) -> Response<Bytes> {
    case.refused(&error, head, &context.audit);
    respond(error, context, form)
}

/// [`refuse`], unless the auth layer only reports: then the request goes on, and its response
/// tells of the error, if that is news.
pub(crate) fn refuse_or_report(
    error: AuthError,
    caller: Caller<'_>,
    form: RefusalForm<'_>,
    head: RequestHead<'_>,
    case: Case<'_>,
) -> ControlFlow<Response<Bytes>, Option<AuthError>> {
    if let Some(error) = caller.carried_out(&error) {
        let error = caller.refused_for(error);
        return ControlFlow::Break(refuse(error, caller.context, form, head, case));
    }
    let error = error.asked_by(caller.known());
    if caller.repeats(&error) {
        return ControlFlow::Continue(None);
    }
    case.reported(&error, head, &caller.context.audit);
    ControlFlow::Continue(Some(error))
}

/// Writes the refusal.
pub(crate) fn respond(
    error: AuthError,
    context: &RefusalContext,
    form: RefusalForm<'_>,
) -> Response<Bytes> {
    let texts = context.written.texts(&error, &context.challenges);
    let mut response = match form {
        RefusalForm::Grpc(media) if context.grpc => grpc::response(&error, media),
        RefusalForm::ToolResult(call) if asks_to_sign_in(&error) => {
            let challenges = www_authenticate::of_result(&error, &context.challenges);
            jsonrpc::tool_result(call, error.description(), &challenges)
        }
        RefusalForm::JsonRpc(id) => jsonrpc::refusal(id, &error),
        _ if error.kind() == AuthErrorKind::HeaderMismatch => jsonrpc::header_mismatch(&error),
        _ => json::response(error.status(), texts.body),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for challenge in texts.challenges {
        headers.append(WWW_AUTHENTICATE, challenge);
    }
    if let Some(delay) = error.retry_after() {
        headers.insert(RETRY_AFTER, delay_seconds(delay));
    }
    if let Some(nonce) = error.dpop_nonce().and_then(|nonce| nonce.parse().ok()) {
        headers.insert(DPOP_NONCE, nonce);
    }
    response.extensions_mut().insert(error.alone());
    response
}

/// The header with the nonce of a server (RFC 9449 section 8.2).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Whether a client answers the refusal by signing in, once more or for more scope. A credential
/// that is bad is not among these.
fn asks_to_sign_in(error: &AuthError) -> bool {
    let reason = error.as_reason();
    reason == Reason::MISSING_CREDENTIAL
        || reason == Reason::INSUFFICIENT_SCOPE
        || reason == Reason::INSUFFICIENT_USER_AUTHENTICATION
}

/// Why an answer was cut off in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutOff {
    Expired,
    Revoked,
    /// It is not known whether it was.
    Unavailable,
}

/// What a gRPC stream ends with when its credential does.
pub(crate) fn grpc_end(media: Media, why: CutOff) -> Frame<Bytes> {
    let (reason, text) = match why {
        CutOff::Expired => (Reason::EXPIRED, "The credential expired"),
        CutOff::Revoked => (Reason::REVOKED_TOKEN, "The credential was revoked"),
        CutOff::Unavailable => (
            Reason::REVOCATIONS_UNAVAILABLE,
            "Authentication is temporarily unavailable",
        ),
    };
    let error = AuthError::new(reason).with_description(text);
    grpc::end(&error, media)
}

/// 500 for a request that reached a piece that needs an auth layer around it, and had none.
pub(crate) fn no_auth_layer() -> Response<Bytes> {
    server_error()
}

/// 500 for what the server behind a layer did wrong.
pub(crate) fn server_error() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(
        br#"{"error":"Internal server error","status":500,"type":"server_error"}"#,
    ));
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json::APPLICATION_JSON);
    response
}

/// The refusal of a request that no layer judges: to a service that has nothing but documents.
#[cfg(feature = "oauth")]
pub(crate) fn of_document(error: AuthError) -> Response<Bytes> {
    let context = RefusalContext::new(Vec::new(), Clock::system());
    let mut response = respond(error, &context, RefusalForm::Http);
    show_to_pages(response.headers_mut());
    response
}

/// 404 for a document that clients look for without a credential, and that is not here.
pub(crate) fn no_document() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    // A cache may keep a 404 that says nothing of it (RFC 9110 section 15.5.5), and behind a proxy
    // another host can have the document at this URL.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    show_to_pages(headers);
    response
}

/// 503 for a document that cannot be had now.
#[cfg(feature = "oauth")]
pub(crate) fn document_unavailable(retry_after: Duration) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RETRY_AFTER, delay_seconds(retry_after));
    show_to_pages(headers);
    response
}

/// Delay-seconds are whole (RFC 9110 section 10.2.3): early would be too early.
fn delay_seconds(delay: Duration) -> HeaderValue {
    HeaderValue::from(seconds_up(delay).max(1))
}

/// Lets a browser client that looks for a document in several places see that it is not here.
pub(crate) fn show_to_pages(headers: &mut HeaderMap) {
    headers
        .entry(http::header::ACCESS_CONTROL_ALLOW_ORIGIN)
        .or_insert(HeaderValue::from_static("*"));
}

/// The error code of RFC 6750 section 3.1, RFC 9449 section 7.1 or RFC 9470 section 3, where it has
/// one.
fn code(error: &AuthError) -> Option<&'static str> {
    if let Some(code) = error.as_reason().dpop_code() {
        return Some(code);
    }
    match error.kind() {
        AuthErrorKind::Malformed => Some("invalid_request"),
        AuthErrorKind::Invalid => Some("invalid_token"),
        AuthErrorKind::InsufficientScope => Some("insufficient_scope"),
        AuthErrorKind::InsufficientUserAuthentication => Some("insufficient_user_authentication"),
        _ => None,
    }
}
