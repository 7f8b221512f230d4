//! The checks of single claims and headers, and what is said where one fails.

use std::time::Duration;

use super::claims::ClaimReader;
use crate::error::{AuthError, Reason};
use crate::jose::{Alg, Algorithm, Header};
use crate::principal::Principal;
use crate::requirement::shortfall;
use crate::scope::Scopes;
use crate::util::quoted;

pub(crate) fn check_algorithm(
    algorithms: &[Algorithm],
    header: &Header<'_>,
) -> Result<Algorithm, AuthError> {
    match &header.alg {
        Alg::Known(alg) if algorithms.contains(alg) => Ok(*alg),
        Alg::Known(alg) => Err(alg_error(alg.name())),
        Alg::Unknown(alg) => Err(alg_error(&quoted(alg))),
        Alg::Absent => Err(alg_error("absent")),
    }
}

/// Judges the scopes; last, because only a good token learns what it lacks.
pub(crate) fn check_scopes(required: &Scopes, principal: &Principal) -> Result<(), AuthError> {
    if principal.scopes().contains_all(required) {
        return Ok(());
    }
    let error = AuthError::insufficient_scope(required.clone());
    Err(error
        .with_detail(shortfall(required, principal))
        .proven(principal.clone()))
}

#[cold]
pub(super) fn ahead(
    reason: Reason,
    claim: &'static str,
    at: Option<Duration>,
    now: Duration,
) -> AuthError {
    let seconds = at.unwrap_or_default().saturating_sub(now).as_secs();
    let why = match claim {
        "iat" => ": one of the clocks is wrong",
        _ => "",
    };
    AuthError::new(reason).with_detail(format!("{claim} is {seconds} s ahead{why}"))
}

fn alg_error(alg: &str) -> AuthError {
    AuthError::new(Reason::ALGORITHM_NOT_ALLOWED)
        .with_detail(format!("alg {alg} is not in the list of algorithms"))
}

pub(crate) fn wrong_kind(detail: String) -> AuthError {
    AuthError::new(Reason::WRONG_TOKEN_TYPE).with_detail(detail)
}

pub(super) fn not_evidently_access(why: &str) -> AuthError {
    wrong_kind(format!(
        "{why}, and nothing says that this is an access token: neither its type nor token_use \
         nor scopes"
    ))
}

pub(super) fn check_issuer(expected: &str, got: Option<&str>) -> Result<(), AuthError> {
    let Some(got) = got else {
        return Err(AuthError::new(Reason::MISSING_ISSUER).with_detail("the token has no iss"));
    };
    if got == expected {
        return Ok(());
    }
    Err(AuthError::new(Reason::ISSUER_MISMATCH).with_detail(mismatch(expected, got)))
}

/// The audience that matched.
pub(super) fn check_audience<'e>(
    expected: &'e [Box<str>],
    claims: &ClaimReader<'_>,
) -> Result<&'e str, AuthError> {
    let is_named = |own: &&str| claims.aud.iter().any(|aud| *own == aud);
    if let Some(own) = expected.iter().map(AsRef::as_ref).find(is_named) {
        return Ok(own);
    }
    if !claims.has_aud {
        return Err(AuthError::new(Reason::MISSING_AUDIENCE).with_detail(
            "the token has no aud: configure the authorization server to issue tokens for \
                 this resource",
        ));
    }
    let first = claims.aud.iter().next().unwrap_or_default();
    let own = expected.first().map_or("", |own| &**own);
    Err(AuthError::new(Reason::AUDIENCE_MISMATCH).with_detail(mismatch(own, first)))
}

/// Both values, quoted, and the most common mistake by name.
pub(crate) fn mismatch(expected: &str, got: &str) -> String {
    let hint = if got.trim_end_matches('/') == expected.trim_end_matches('/') {
        " (they differ only by a trailing slash)"
    } else if got.eq_ignore_ascii_case(expected) {
        " (they differ only by case)"
    } else {
        ""
    };
    format!("expected {}, got {}{hint}", quoted(expected), quoted(got))
}

/// Whether the claims are there that are asked for.
pub(super) fn check_required(claims: &ClaimReader<'_>) -> Result<(), AuthError> {
    match &claims.unmet {
        None => Ok(()),
        Some(unmet) => Err(AuthError::new(Reason::CLAIM_MISMATCH).with_detail(unmet.as_str())),
    }
}

/// Refuses ID tokens, refresh tokens, logout tokens and session tokens of the same issuer.
pub(super) fn check_kind(claims: &ClaimReader<'_>) -> Result<(), AuthError> {
    if let Some(token_use) = claims.token_use.as_deref()
        && !matches!(token_use, "access" | "access_token")
    {
        return Err(wrong_kind(format!("token_use is {}", quoted(token_use))));
    }
    if let Some(other) = &claims.other_kind {
        return Err(other.refusal());
    }
    // Keycloak before 25 puts nonce into access tokens, which then have scopes.
    // So does authentik, which has no scopes there, but a mark of its own.
    if claims.has_nonce && !claims.has_scope && !claims.marked {
        return Err(wrong_kind(
            "nonce without scope: this is an ID token".to_owned(),
        ));
    }
    Ok(())
}
