use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value, json};

use super::super::issuer::Shared;
use super::OAuthError;
use super::client::authenticate;
use super::form::Form;

/// Tells a confidential client what a token is (RFC 7662 section 2): active if a published
/// key signed it and it has not expired.
pub(super) fn answer(
    shared: &Shared,
    head: &Parts,
    body: &[u8],
) -> Result<(StatusCode, Value), OAuthError> {
    let form = Form::body(&head.headers, body)?;
    if !authenticate(shared, &head.headers, &form)?.is_confidential {
        let public = "introspection is for clients with a secret";
        return Err(OAuthError::invalid_client(public));
    }
    let token = form
        .one("token")?
        .ok_or(OAuthError::invalid_request("there is no token"))?;
    let active = claims(shared, token).map_or(json!({"active": false}), |mut claims| {
        claims.insert("active".to_owned(), true.into());
        claims.insert("token_type".to_owned(), "Bearer".into());
        Value::Object(claims)
    });
    Ok((StatusCode::OK, active))
}

fn claims(shared: &Shared, token: &str) -> Option<Map<String, Value>> {
    let payload = shared.keys.verified_payload(token)?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    let exp = claims.get("exp")?.as_f64()?;
    (exp > shared.clock.now().as_secs_f64()).then_some(claims)
}
