//! The token endpoint.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::super::keys::random_name;
use super::super::shared::Shared;
use super::super::store::Grant;
use super::super::token::TokenBuilder;
use super::OAuthError;
use super::client::{Caller, authenticate};
use super::form::Form;
use crate::crypto::sha256;
use crate::scope::Scopes;

/// Who approves at the authorization endpoint.
pub(super) const SUBJECT: &str = "alice";

pub(super) fn answer(
    shared: &Arc<Shared>,
    head: &Parts,
    body: &[u8],
) -> Result<(StatusCode, Value), OAuthError> {
    let form = Form::body(&head.headers, body)?;
    let caller = authenticate(shared, &head.headers, &form)?;
    let (grant, refreshable) = match form.one("grant_type")? {
        Some("authorization_code") => (exchange(shared, &form, &caller)?, true),
        Some("refresh_token") => (refresh(shared, &form, &caller)?, true),
        Some("client_credentials") => (machine(shared, &form, caller)?, false),
        Some(_) => {
            let unknown = "the grant_type is none of those in the metadata";
            return Err(OAuthError::new("unsupported_grant_type", unknown));
        }
        None => return Err(OAuthError::invalid_request("there is no grant_type")),
    };
    Ok((StatusCode::OK, issue(shared, grant, refreshable)?))
}

/// The response (RFC 6749 section 5.1), with what the request's own `resource` and `scope`
/// leave of the grant.
fn issue(shared: &Arc<Shared>, granted: Narrowed, refreshable: bool) -> Result<Value, OAuthError> {
    let Narrowed { grant, token } = granted;
    let mut builder = TokenBuilder::new(Arc::clone(shared))
        .subject(&token.subject)
        .client_id(&token.client_id);
    if !token.scope.is_empty() {
        builder = builder.scope(&token.scope);
    }
    for audience in &token.audience {
        builder = builder.audience(audience);
    }
    if token.audience.is_empty() {
        // RFC 9068 section 3: some default. This one is good for no resource at all.
        builder = builder.audience(&shared.url);
    }
    let access_token = match &shared.opaque_tokens {
        Some(prefix) => builder.opaque_with_prefix(prefix),
        None => builder.sign(),
    };
    let mut response = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": shared.token_lifetime.as_secs(),
    });
    if !token.scope.is_empty() {
        response["scope"] = token.scope.into();
    }
    if refreshable {
        let refresh_token = random_name();
        response["refresh_token"] = refresh_token.clone().into();
        shared.store().refresh_tokens.insert(refresh_token, grant);
    }
    Ok(response)
}

/// What was granted once, and what this token gets of it.
struct Narrowed {
    grant: Grant,
    token: Grant,
}

/// RFC 6749 section 4.1.3, RFC 7636 section 4.6.
fn exchange(shared: &Shared, form: &Form, caller: &Caller) -> Result<Narrowed, OAuthError> {
    let invalid = |why| OAuthError::new("invalid_grant", why);
    let code = form
        .one("code")?
        .ok_or(OAuthError::invalid_request("there is no code"))?;
    let verifier = form
        .one("code_verifier")?
        .ok_or(OAuthError::invalid_request("there is no code_verifier"))?;
    // Taken before anything is judged: a code is good for one attempt.
    let code = shared
        .store()
        .codes
        .remove(code)
        .ok_or(invalid("the code is unknown, or was used"))?;
    if shared.clock.now() >= code.expires_at {
        return Err(invalid("the code expired"));
    }
    if code.grant.client_id != caller.client_id {
        return Err(invalid("the code was issued to another client"));
    }
    let named = form.one("redirect_uri")?;
    // OAuth 2.1 section 4.1.3 no longer asks for it.
    if named.is_some_and(|named| code.redirect_uri.as_deref() != Some(named)) {
        return Err(invalid(
            "redirect_uri is not that of the authorization request",
        ));
    }
    if URL_SAFE_NO_PAD.encode(sha256(&[verifier.as_bytes()])) != code.challenge {
        return Err(invalid("the code_verifier does not fit the code_challenge"));
    }
    narrow(form, code.grant)
}

/// RFC 6749 section 6. A refresh token is good for one use (OAuth 2.1 section 4.3.1).
fn refresh(shared: &Shared, form: &Form, caller: &Caller) -> Result<Narrowed, OAuthError> {
    let token = form
        .one("refresh_token")?
        .ok_or(OAuthError::invalid_request("there is no refresh_token"))?;
    let invalid = |why| OAuthError::new("invalid_grant", why);
    let mut store = shared.store();
    let grant = store
        .refresh_tokens
        .get(token)
        .ok_or(invalid("the refresh token is unknown, or was used"))?;
    if grant.client_id != caller.client_id {
        return Err(invalid("the refresh token was issued to another client"));
    }
    let narrowed = narrow(form, grant.clone())?;
    store.refresh_tokens.remove(token);
    Ok(narrowed)
}

/// RFC 6749 section 4.4: there is no user, so the client is the subject (RFC 9068 section 2.2).
fn machine(shared: &Shared, form: &Form, caller: Caller) -> Result<Narrowed, OAuthError> {
    let grant = Grant {
        subject: caller.client_id.clone(),
        client_id: caller.client_id,
        scope: scope(shared, form)?,
        audience: form.resources()?,
    };
    Ok(Narrowed {
        token: grant.clone(),
        grant,
    })
}

/// Takes from a grant what this request asks for, which must be part of it (RFC 8707
/// section 2.2, RFC 6749 section 6).
fn narrow(form: &Form, grant: Grant) -> Result<Narrowed, OAuthError> {
    let mut token = grant.clone();
    let resources = form.resources()?;
    if !resources.is_empty() {
        if !resources.iter().all(|asked| grant.audience.contains(asked)) {
            let more = "resource was not part of the authorization request";
            return Err(OAuthError::new("invalid_target", more));
        }
        token.audience = resources;
    }
    if let Some(asked) = parse_scope(form)? {
        let granted: Scopes = grant.scope.parse().unwrap_or_default();
        if !granted.contains_all(&asked) {
            return Err(OAuthError::new("invalid_scope", "scope was not granted"));
        }
        token.scope = asked.as_str().to_owned();
    }
    Ok(Narrowed { grant, token })
}

/// The scope of a new grant: what was asked for, else what is supported.
pub(super) fn scope(shared: &Shared, form: &Form) -> Result<String, OAuthError> {
    Ok(match parse_scope(form)? {
        Some(asked) => asked.as_str().to_owned(),
        None => shared.scopes_supported.join(" "),
    })
}

fn parse_scope(form: &Form) -> Result<Option<Scopes>, OAuthError> {
    let malformed = |_| OAuthError::new("invalid_scope", "scope has characters no scope may have");
    form.one("scope")?
        .map(|scope| scope.parse().map_err(malformed))
        .transpose()
}
