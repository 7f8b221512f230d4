//! The introspection endpoint (RFC 7662, RFC 9701).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::super::shared::Shared;
use super::super::token::TokenBuilder;
use super::form::Form;
use super::introspect_client::authenticate;
use super::{OAuthError, no_store, respond};
use crate::json::object;

/// The media type of signed answers (RFC 9701 section 5).
const SIGNED: &str = "application/token-introspection+jwt";

/// Tells who may ask what a token is (RFC 7662 section 2).
pub(super) fn answer(shared: &Arc<Shared>, head: &Parts, body: &[u8]) -> Response<Bytes> {
    let document = match document(shared, head, body) {
        Ok(document) => document,
        Err(error) => return respond(Err(error)),
    };
    let audience = shared.introspection.signed_for.as_deref();
    match audience.filter(|_| wants_signed(&head.headers)) {
        Some(audience) => {
            let jwt = sign(shared, audience, document);
            let mut response = no_store(Response::new(jwt.into()));
            let content_type = HeaderValue::from_static(SIGNED);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
            response
        }
        None => respond(Ok((StatusCode::OK, document))),
    }
}

fn document(shared: &Shared, head: &Parts, body: &[u8]) -> Result<Value, OAuthError> {
    let form = Form::body(&head.headers, body)?;
    authenticate(shared, &head.headers, &form)?;
    let token = form
        .one("token")?
        .ok_or(OAuthError::invalid_request("there is no token"))?;
    // `token_type_hint` may be ignored where it does not help (section 2.1).
    Ok(match claims(shared, token) {
        Some(mut claims) => {
            claims.entry("active").or_insert(true.into());
            claims.entry("token_type").or_insert("Bearer".into());
            Value::Object(claims)
        }
        None => json!({"active": false}),
    })
}

/// The claims of a token that was issued here, was not revoked, and is within its time.
fn claims(shared: &Shared, token: &str) -> Option<Map<String, Value>> {
    let opaque = {
        let store = shared.store();
        if store.revoked.contains(token) {
            return None;
        }
        store.opaque_tokens.get(token).cloned()
    };
    let claims = opaque.or_else(|| {
        let payload = shared.keys.verified_payload(token)?;
        let claims = object(payload.as_bytes()).ok()?;
        // The same keys sign answers, which are no tokens (RFC 9701 section 8.1).
        (!claims.contains_key("token_introspection")).then_some(claims)
    })?;
    // A claim of another type is a lie that was asked for: it is for the client to find.
    let now = shared.clock.now().as_secs_f64();
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    let is_over = time("exp").is_some_and(|exp| exp <= now);
    let is_ahead = time("nbf").is_some_and(|nbf| nbf > now);
    (!is_over && !is_ahead).then_some(claims)
}

fn wants_signed(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|media_type| media_type.trim().eq_ignore_ascii_case(SIGNED))
}

/// RFC 9701 section 5: neither `sub` nor `exp`, so that it is not taken for an access token.
fn sign(shared: &Arc<Shared>, audience: &str, document: Value) -> String {
    TokenBuilder::new(Arc::clone(shared))
        .header("typ", "token-introspection+jwt")
        .audience(audience)
        .claim("token_introspection", document)
        .without_claim("sub")
        .without_claim("client_id")
        .without_claim("exp")
        .without_claim("jti")
        .sign()
}
