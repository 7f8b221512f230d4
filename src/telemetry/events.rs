//! What is traced, in one vocabulary. No credential and no claim is ever a field.

#[cfg(feature = "oauth")]
use std::time::Duration;

use http::Method;
use tracing::field::{DisplayValue, display};
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug, info, trace, warn};

use super::meter;
use super::record::{DecisionRecord, Outcome, RecordedOperation};
use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::principal::{Principal, PrincipalId};
use crate::scope::Scopes;
use crate::util::TRACED_CHARS;

pub(super) const TARGET: &str = "tower_mcp_auth";
/// What the layer that filters lists is called.
const LISTS: &str = "mcp_lists";
/// What the layer that binds sessions is called.
const SESSION: &str = "session";
/// The field of a span that is filled in.
const PRINCIPAL: &str = "principal";

/// The fields are read if a subscriber listens.
macro_rules! went_on {
    ($level:ident, $record:expr, $text:literal) => {
        $level!(
            target: TARGET,
            outcome = $record.outcome.as_str(),
            layer = $record.layer(),
            provider = $record.provider(),
            principal = $record.principal_id().map(PrincipalId::as_str),
            method = $record.method().map(method),
            operation = operation(&$record),
            step_up = $record.step_up.map(display),
            $text
        )
    };
}

/// One event per decision. What any caller can cause at will is `debug`, so that garbage does
/// not fill a log; what an operator must mend is `warn`; what is as it should be is `trace`.
pub(super) fn decided(record: &DecisionRecord<'_>) {
    let Some(error) = record.error else {
        return went_on(record);
    };
    // The fields are the same, but a level is a constant of its call site.
    macro_rules! refused {
        ($level:ident, $text:literal) => {
            $level!(
                target: TARGET,
                outcome = record.outcome.as_str(),
                layer = record.layer(),
                provider = record.provider(),
                principal = record.principal_id().map(PrincipalId::as_str),
                reason = error.reason(),
                status = error.status().as_u16(),
                detail = error.detail().unwrap_or_default(),
                method = record.method().map(method),
                operation = operation(record),
                needed = needed(error),
                step_up = record.step_up.map(display),
                $text
            )
        };
    }
    match error.kind() {
        // Any caller can cause it, but it is what report-only mode is there for.
        _ if record.outcome == Outcome::Reported => {
            refused!(info, "request let pass, only reported");
        }
        AuthErrorKind::Unavailable if !error.is_logged() => refused!(warn, "request refused"),
        _ => refused!(debug, "request refused"),
    }
}

fn went_on(record: &DecisionRecord<'_>) {
    match (record.outcome, record.step_up) {
        (_, Some(_)) => went_on!(debug, record, "request accepted after step-up"),
        (Outcome::Anonymous, None) => went_on!(trace, record, "request let through"),
        _ => went_on!(trace, record, "request accepted"),
    }
}

/// The same for an acceptance that answers no refusal. Nothing is put together without a
/// subscriber, as for most requests.
pub(super) fn accepted<'a>(record: impl Fn() -> DecisionRecord<'a>) {
    went_on!(trace, record(), "request accepted");
}

/// A method can be any token, of any length; it is ASCII, so every cut is one.
fn method(method: &Method) -> &str {
    let method = method.as_str();
    method.get(..TRACED_CHARS).unwrap_or(method)
}

fn operation<'a>(record: &DecisionRecord<'a>) -> Option<DisplayValue<RecordedOperation<'a>>> {
    match record.operation {
        RecordedOperation::Http => None,
        operation => Some(display(operation)),
    }
}

fn needed(error: &AuthError) -> Option<&str> {
    Some(error.scopes().as_str()).filter(|scopes| !scopes.is_empty())
}

/// Names the principal in the span of the request, where that has a place for it.
pub(super) fn principal(principal: &Principal) {
    // Without a subscriber there is no span to ask for.
    if LevelFilter::current() == LevelFilter::OFF {
        return;
    }
    let span = Span::current();
    if span.has_field(PRINCIPAL) {
        span.record(PRINCIPAL, principal.id().as_str());
    }
}

/// The address of a client is needed, and not to be had.
pub(crate) fn no_client_address() {
    tracing::error!(
        target: TARGET,
        "no client address on this request, so failed attempts cannot be counted: set that of the \
         peer further out (`SetPeerAddrLayer`), and have trusted proxies tell that of their clients"
    );
}

/// A piece that needs an auth layer around it ran without one.
pub(crate) fn no_auth_layer(piece: &'static str) {
    tracing::error!(
        target: TARGET,
        piece,
        "no auth layer ran on this request: add one outside, and routes before it"
    );
}

/// A streamed response was ended before its own end.
pub(crate) fn stream_ended(reason: &'static str) {
    meter::stream_ended(reason);
    debug!(target: TARGET, reason, "stream ended");
}

/// The service behind the layer opened a session with an id that no client could give back.
pub(crate) fn unusable_session_id() {
    tracing::error!(
        target: TARGET,
        "the session id of the inner service cannot be bound: it must be one header of 1 to 256 \
         visible ASCII characters"
    );
}

/// A principal is the first to present an anonymous session.
pub(crate) fn session_claimed(principal: Option<&Principal>) {
    info!(
        target: TARGET,
        layer = SESSION,
        principal = principal.map(|principal| principal.id().as_str()),
        "an anonymous session was claimed"
    );
}

/// The store of claimed sessions gave no answer. Any client can repeat it: `is_due` makes it a
/// warning.
pub(crate) fn session_store_failed(is_due: bool, why: &str) {
    if is_due {
        warn!(target: TARGET, layer = SESSION, why, "the store of claimed sessions gave no answer");
    } else {
        debug!(target: TARGET, layer = SESSION, why, "the store of claimed sessions gave no answer");
    }
}

/// A store gave no answer, and its silence lets in. `is_due` makes it a warning, as above.
pub(crate) fn allowed_on_outage(is_due: bool, why: &str) {
    if is_due {
        warn!(target: TARGET, why, "the shared store gave no answer: requests are let in");
    } else {
        debug!(target: TARGET, why, "the shared store gave no answer: requests are let in");
    }
}

/// A session could not be claimed, because the store has no room.
pub(crate) fn session_store_full() {
    warn!(
        target: TARGET,
        layer = SESSION,
        "the store of claimed sessions is full: its principal opens a new one instead; is it large \
         enough for the sessions of a day?"
    );
}

/// An answer that might hold a list was kept from the client, because it could not be filtered.
pub(crate) fn list_withheld(reason: &'static str) {
    warn!(target: TARGET, reason, "answer withheld: it cannot be filtered");
}

/// One layer, or two that read the same header, stand around one service.
pub(crate) fn layer_twice(piece: &'static str) {
    warn!(
        target: TARGET,
        piece,
        "a layer stands twice around one service: the outer one takes out of the request what the \
         inner one looks for; take one of them out"
    );
}

/// A request came with a path that is the end of the resource's.
pub(crate) fn path_cut_short(resource: &str, path: &str) {
    warn!(
        target: TARGET,
        resource_path = resource,
        path,
        "the path of a request is the end of the resource's path: something outside (a proxy, \
         `nest`) took the rest away; is the metadata path served there? `metadata_service` is for \
         that, or `advertised_metadata_url` where the whole host is a gateway's"
    );
}

/// A list shows a caller less than there is.
pub(crate) fn list_shortened(
    list: &'static str,
    shown: usize,
    removed: usize,
    principal: Option<&Principal>,
) {
    meter::list_shortened(shown == 0);
    debug!(
        target: TARGET,
        layer = LISTS,
        list,
        shown,
        removed,
        principal = principal.map(|principal| principal.id().as_str()),
        "items taken out of a list"
    );
}

/// A list became empty, for the first time for this caller.
pub(crate) fn list_emptied(list: &'static str, removed: usize, principal: Option<&Principal>) {
    info!(
        target: TARGET,
        layer = LISTS,
        list,
        removed,
        principal = principal.map(|principal| principal.id().as_str()),
        "nothing was left of a list: none of its items is open to this caller"
    );
}

/// No client can learn of any scope that the layers further in ask for, but by a refusal.
pub(crate) fn scopes_not_announced(scopes: &Scopes) {
    warn!(
        target: TARGET,
        scopes = scopes.as_str(),
        "clients are told of none of the scopes that are asked for: call `announce` of the auth \
         layer with the policy, or name some in `scopes_supported`"
    );
}

/// Scopes are told nowhere, and what needs them is not listed.
pub(crate) fn scopes_hidden(scopes: &Scopes) {
    warn!(
        target: TARGET,
        scopes = scopes.as_str(),
        "clients can learn of these scopes nowhere, because lists show what is granted alone: \
         name them in `scopes_supported`, or let lists show what is reachable"
    );
}

/// A setting that weakens a server, said once where it is made.
pub(crate) fn weakened(setting: &'static str, detail: &str) {
    warn!(target: TARGET, setting, detail, "authentication is weakened by configuration");
}

/// A time limit was set that a smaller one wins over.
#[cfg(feature = "oauth")]
pub(crate) fn time_limit_in_vain(set: (&'static str, Duration), wins: (&'static str, Duration)) {
    warn!(
        target: TARGET,
        setting = set.0,
        limit_ms = set.1.as_millis(),
        wins = wins.0,
        wins_ms = wins.1.as_millis(),
        "each request ends by the smaller of two time limits: set both, or leave the larger out"
    );
}

/// Clients are sent to a server of another name than that of the tokens that are accepted.
#[cfg(feature = "oauth")]
pub(crate) fn advertised_elsewhere(issuer: &str, advertised: &str) {
    warn!(
        target: TARGET,
        issuer,
        advertised,
        "clients are sent to a server whose name is not the `iss` of the tokens that are accepted: \
         it must hand out tokens of that issuer"
    );
}

/// A section of a configuration that no layer was made of.
#[cfg(feature = "config")]
pub(crate) fn section_not_applied(section: &str, maker: &str) {
    warn!(
        target: TARGET,
        section,
        maker,
        "a section of the configuration is not applied: ask `Config` for what is made of it, or \
         take it out"
    );
}

/// A layer was swapped for a new one.
pub(crate) fn reloaded(generation: u64) {
    info!(target: TARGET, generation, "reloaded");
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

/// Clients are answered by what they said when they opened their session, which no layer kept.
pub(crate) fn dialect_lost() {
    warn!(
        target: TARGET,
        "the dialect of a client is not kept in its session, and it is answered over HTTP: put a \
         `SessionBindingLayer` outside of the `McpScopesLayer`"
    );
}

/// Anonymous requests pass an auth layer, because a policy opens something to them.
pub(crate) fn opened_to_anonymous() {
    info!(
        target: TARGET,
        "requests without a credential pass the auth layer: the policy opens operations to \
         anonymous callers, and judges all others"
    );
}
