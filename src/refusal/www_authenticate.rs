//! Writes the challenges of `WWW-Authenticate`.
//!
//! Real clients read this header with regular expressions, so its form is narrower than
//! RFC 9110 allows: one line a scheme, `Bearer` first and `DPoP` after it, every value quoted, `", "` between
//! parameters, `error_description` last, and no character inside a description that a
//! loose reader could take for the end of a value or the start of a parameter.

use std::fmt::Write as _;

use http::HeaderValue;

use super::challenge::{Challenge, Scheme};
use super::code;
use crate::error::{AuthError, AuthErrorKind};

/// The lines of a refusal, in their order.
pub(super) fn lines(error: &AuthError, challenges: &[Challenge]) -> Vec<HeaderValue> {
    if !is_challenged(error.kind()) {
        return Vec::new();
    }
    let mut ordered: Vec<&Challenge> = challenges.iter().collect();
    ordered.sort_by_key(|challenge| challenge.rank());
    // RFC 9449 section 7.1: the code stands with the scheme that the token came under. Where that
    // is offered no more, and where both schemes came at once, it stands with each.
    let by_proof = error.is_by_proof();
    let is_of_one = error.kind() != AuthErrorKind::Malformed
        && ordered.iter().any(|own| own.is_of_tokens(by_proof));
    // `Params` lets nothing through that a header value cannot hold.
    let written = |challenge: &Challenge| {
        let has_error = !is_of_one || !challenge.is_of_tokens(!by_proof);
        let code = code(error).filter(|_| has_error);
        HeaderValue::from_str(&line(error, challenge, code)).ok()
    };
    ordered.into_iter().filter_map(written).collect()
}

/// A challenge asks for a better credential; where none would help, there is none.
fn is_challenged(kind: AuthErrorKind) -> bool {
    matches!(
        kind,
        AuthErrorKind::Missing
            | AuthErrorKind::Malformed
            | AuthErrorKind::Invalid
            | AuthErrorKind::InsufficientScope
            | AuthErrorKind::InsufficientUserAuthentication
    )
}

/// The challenges in the result of a tool: those that lead to an authorization server. Each has an
/// `error` and an `error_description`, without which clients do not start to sign in. For a missing
/// credential, for which RFC 6750 has none, the code is that of a missing scope: what is missing is
/// what signing in grants.
pub(super) fn of_result(error: &AuthError, challenges: &[Challenge]) -> Vec<String> {
    let code = code(error).unwrap_or("insufficient_scope");
    let leads_on = challenges
        .iter()
        .filter(|challenge| challenge.names_metadata());
    leads_on
        .map(|challenge| line(error, challenge, Some(code)))
        .collect()
}

fn line(error: &AuthError, challenge: &Challenge, code: Option<&str>) -> String {
    let mut params = Params::default();
    let realm = challenge.realm.as_deref();
    match &challenge.scheme {
        Scheme::Token {
            algs,
            resource_metadata,
            scopes,
            ..
        } => {
            params.push("realm", realm);
            params.push("error", code);
            params.push(
                "scope",
                [error.scopes(), scopes]
                    .into_iter()
                    .find(|scopes| !scopes.is_empty())
                    .map(|scopes| scopes.as_str()),
            );
            params.push("acr_values", error.joined_acr_values());
            let max_age = error.max_age().map(|age| age.as_secs().to_string());
            params.push("max_age", max_age.as_deref());
            params.push("resource_metadata", resource_metadata.as_deref());
            params.push("algs", algs.as_deref());
            // RFC 6750 section 3.1: a request without a credential learns no more.
            params.push("error_description", code.map(|_| error.description()));
            params.after(match algs {
                None => "Bearer",
                Some(_) => "DPoP",
            })
        }
        Scheme::ApiKey { header } => {
            params.push("realm", realm);
            params.push("header", Some(header));
            params.after("ApiKey")
        }
    }
}

#[derive(Default)]
struct Params(String);

impl Params {
    fn push(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        let separator = if self.0.is_empty() { "" } else { ", " };
        let _ = write!(self.0, "{separator}{name}=\"");
        let prose = name == "error_description";
        self.0.extend(value.chars().map(|c| allowed(c, prose)));
        self.0.push('"');
    }

    fn after(self, scheme: &str) -> String {
        if self.0.is_empty() {
            return scheme.to_owned();
        }
        format!("{scheme} {}", self.0)
    }
}

/// RFC 6750 section 3 leaves `%x20-21 / %x23-5B / %x5D-7E`; prose loses `,` and `=` too.
fn allowed(character: char, prose: bool) -> char {
    match character {
        '"' => '\'',
        ',' if prose => ';',
        '=' if prose => '-',
        '\\' => '/',
        ' '..='~' => character,
        _ => '?',
    }
}
