//! What is traced, in one vocabulary. No credential and no claim is ever a field.

use http::Method;
use tracing::{debug, info, warn};

use crate::error::{AuthError, AuthErrorKind, ConfigError, TRACED_CHARS};

const TARGET: &str = "tower_mcp_auth";

/// One event per refusal. What a stranger can cause at will is `debug`, so that garbage
/// does not fill a log; what an operator must mend is `warn`.
pub(crate) fn refused(error: &AuthError, method: &Method) {
    let (reason, status) = (error.reason(), error.status().as_u16());
    let detail = error.detail().unwrap_or_default();
    // A method can be any token, of any length; it is ASCII, so every cut is one.
    let method = method.as_str();
    let method = method.get(..TRACED_CHARS).unwrap_or(method);
    match error.kind() {
        AuthErrorKind::Unavailable if !error.is_reported() => {
            warn!(target: TARGET, reason, status, detail, method, "request refused");
        }
        _ => debug!(target: TARGET, reason, status, detail, method, "request refused"),
    }
}

/// A request passes that would be refused, because its layer only observes. Strangers can
/// cause it, but it is what such a layer is there for.
pub(crate) fn observed(error: &AuthError, method: &Method) {
    let (reason, status) = (error.reason(), error.status().as_u16());
    let detail = error.detail().unwrap_or_default();
    let method = method.as_str();
    let method = method.get(..TRACED_CHARS).unwrap_or(method);
    info!(target: TARGET, reason, status, detail, method, "request let pass, only observed");
}

/// A handler found that its principal lacks scopes.
pub(crate) fn refused_by_handler(error: &AuthError) {
    let (reason, status) = (error.reason(), error.status().as_u16());
    debug!(target: TARGET, reason, status, needed = error.scopes().as_str(), "request refused");
}

/// The same, let pass because the layer of the principal only observes.
pub(crate) fn observed_by_handler(error: &AuthError) {
    let (reason, status) = (error.reason(), error.status().as_u16());
    let needed = error.scopes().as_str();
    info!(target: TARGET, reason, status, needed, "request let pass, only observed");
}

/// A piece that needs an auth layer around it ran without one.
pub(crate) fn no_auth_layer(piece: &'static str) {
    tracing::error!(
        target: TARGET,
        piece,
        "no auth layer ran on this request: add one outside, and routes before it"
    );
}

/// A streamed response was ended, because the credential of its request has.
pub(crate) fn stream_ended() {
    debug!(target: TARGET, "stream ended with its credential");
}

/// The service behind the layer opened a session whose id no client could give back.
pub(crate) fn unusable_session_id() {
    tracing::error!(
        target: TARGET,
        "the session id of the inner service cannot be bound: it must be one header of 1 to 256 \
         visible ASCII characters"
    );
}

/// An answer that might hold a list was kept from the client, because it could not be filtered.
pub(crate) fn list_withheld(reason: &'static str) {
    warn!(target: TARGET, reason, "answer withheld: it cannot be filtered");
}

/// A setting that weakens a server, said once where it is made.
pub(crate) fn weakened(setting: &'static str, detail: &str) {
    warn!(target: TARGET, setting, detail, "authentication is weakened by configuration");
}

/// A layer was swapped for a new one.
pub(crate) fn reloaded(generation: u64) {
    tracing::info!(target: TARGET, generation, "reloaded");
}

/// A reload failed, and the layer of this generation stays.
pub(crate) fn reload_failed(generation: u64, error: &ConfigError) {
    tracing::error!(
        target: TARGET,
        generation,
        setting = error.path(),
        error = %error,
        "reload failed: the last good configuration stays"
    );
}
