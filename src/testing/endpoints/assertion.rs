//! Client assertions (RFC 7523).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::super::endpoint::Endpoint;
use super::super::shared::Shared;
use super::OAuthError;
use crate::jose::{Algorithm, Compact, PayloadBuffer, PublicKey, SignatureBuffer, TokenLimits};
use crate::json::object;

/// `client_assertion_type` (RFC 7523 section 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far ahead `exp` may be, in seconds.
const MAX_LIFETIME: f64 = 3600.0;

/// Checks the assertion of one of the clients with a key (RFC 7523 section 3); `named` is
/// the `client_id` beside it, which need not be there.
pub(super) fn check<'k>(
    shared: &Shared,
    mut keys: impl Iterator<Item = (&'k str, &'k PublicKey)>,
    named: Option<&str>,
    assertion: &str,
) -> Result<(), OAuthError> {
    let refused = OAuthError::invalid_client;
    let compact = Compact::parse(assertion.as_bytes(), TokenLimits::DEFAULT)
        .map_err(|_| refused("the assertion is no JWT"))?;
    let claims: Map<String, Value> = compact
        .payload(&mut PayloadBuffer::default())
        .ok()
        .and_then(|payload| object(payload.as_bytes()).ok())
        .ok_or(refused("the assertion has no claims"))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let client_id = text("sub")
        .filter(|sub| text("iss") == Some(sub) && named.is_none_or(|named| named == *sub))
        .ok_or(refused("iss, sub and client_id are not the same"))?;
    let algorithm = algorithm(assertion).ok_or(refused("alg is none of those in the metadata"))?;
    let mut buffer = SignatureBuffer::default();
    let signature = compact
        .signature(&mut buffer)
        .map_err(|_| refused("the signature is not base64url"))?;
    if !keys.any(|(id, key)| {
        id == client_id && key.verify(algorithm, compact.signing_input(), signature)
    }) {
        return Err(refused("no key of this client signed the assertion"));
    }
    check_claims(shared, &claims).map_err(refused)?;
    let jti = text("jti").ok_or(refused("there is no jti"))?;
    let assertions = &mut shared.store().assertions;
    // A length first, so that no two pairs are the same text.
    let used = format!("{} {client_id} {jti}", client_id.len());
    if assertions.contains(&used) {
        return Err(refused("the assertion was used before"));
    }
    assertions.insert(used, ());
    Ok(())
}

/// What the header says, if it may say so.
fn algorithm(assertion: &str) -> Option<Algorithm> {
    let header = URL_SAFE_NO_PAD.decode(assertion.split('.').next()?).ok()?;
    let header = object(&header).ok()?;
    let algorithm = Algorithm::from_name(header.get("alg")?.as_str()?)?;
    Algorithm::ASYMMETRIC
        .contains(&algorithm)
        .then_some(algorithm)
}

fn check_claims(shared: &Shared, claims: &Map<String, Value>) -> Result<(), &'static str> {
    let endpoint = shared.paths.url(Endpoint::Introspect);
    let is_ours = |aud: &Value| aud == shared.url.as_str() || aud == endpoint.as_str();
    match claims.get("aud") {
        Some(Value::Array(several)) if several.iter().any(is_ours) => {}
        Some(one) if is_ours(one) => {}
        _ => return Err("aud is neither the issuer nor the endpoint"),
    }
    let now = shared.clock.now().as_secs_f64();
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    match time("exp") {
        Some(exp) if exp <= now => return Err("the assertion expired"),
        Some(exp) if exp > now + MAX_LIFETIME => return Err("exp is too far ahead"),
        Some(_) => {}
        None => return Err("there is no exp"),
    }
    if ["nbf", "iat"]
        .into_iter()
        .any(|name| time(name).is_some_and(|time| time > now))
    {
        return Err("nbf or iat is ahead");
    }
    Ok(())
}
