//! Dynamic client registration (RFC 7591).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::keys::random_name;
use super::super::shared::Shared;
use super::super::store::Client;
use super::OAuthError;
use super::client::is_redirect_uri;
use crate::json::object;

/// The most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 32;

/// Registers any client (RFC 7591). The response has all that the client sent, and what
/// was added (section 3.2.1).
pub(super) fn answer(shared: &Shared, body: &[u8]) -> Result<(StatusCode, Value), OAuthError> {
    let mut metadata = object(body)
        .map_err(|_| invalid("the body is not a JSON object that can be read in one way"))?;

    let method = defaulted(&mut metadata, "token_endpoint_auth_method", || {
        json!("client_secret_basic")
    });
    let is_public = match method.as_str() {
        Some("none") => true,
        Some("client_secret_basic" | "client_secret_post") => false,
        _ => {
            return Err(invalid(
                "token_endpoint_auth_method is none of those in the metadata",
            ));
        }
    };
    let grant_types = defaulted(&mut metadata, "grant_types", || {
        json!(["authorization_code"])
    });
    let uses_codes = grant_types
        .as_array()
        .ok_or(invalid("grant_types is not an array"))?
        .iter()
        .any(|grant_type| grant_type == "authorization_code");
    if uses_codes {
        defaulted(&mut metadata, "response_types", || json!(["code"]));
    }
    let redirect_uris = redirect_uris(&metadata)?;
    if uses_codes && redirect_uris.is_empty() {
        let missing = "the grant authorization_code needs redirect_uris";
        return Err(OAuthError::new("invalid_redirect_uri", missing));
    }

    let client_id = random_name();
    let secret = (!is_public).then(random_name);
    metadata.insert("client_id".to_owned(), client_id.clone().into());
    let now = shared.clock.now().as_secs();
    metadata.insert("client_id_issued_at".to_owned(), now.into());
    metadata.remove("client_secret");
    metadata.remove("client_secret_expires_at");
    if let Some(secret) = &secret {
        metadata.insert("client_secret".to_owned(), secret.clone().into());
        metadata.insert("client_secret_expires_at".to_owned(), 0.into());
    }
    let client = Client {
        secret,
        redirect_uris: Some(redirect_uris),
    };
    shared.store().register(client_id, client);
    Ok((StatusCode::CREATED, Value::Object(metadata)))
}

/// A member, filled in where the client left it out.
fn defaulted(
    metadata: &mut Map<String, Value>,
    name: &str,
    default: impl FnOnce() -> Value,
) -> Value {
    let value = metadata.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = default();
    }
    value.clone()
}

fn redirect_uris(metadata: &Map<String, Value>) -> Result<Vec<String>, OAuthError> {
    let refused = |why| OAuthError::new("invalid_redirect_uri", why);
    let uris = match metadata.get("redirect_uris") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(uris)) => uris,
        Some(_) => return Err(refused("redirect_uris is not an array")),
    };
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(refused("there are too many redirect_uris"));
    }
    uris.iter()
        .map(|uri| match uri.as_str() {
            Some(uri) if is_redirect_uri(uri) => Ok(uri.to_owned()),
            _ => Err(refused(
                "a redirect URI is absolute, has no fragment, and is https, of an application's \
                 own scheme, or on a loopback host",
            )),
        })
        .collect()
}

fn invalid(why: &'static str) -> OAuthError {
    OAuthError::new("invalid_client_metadata", why)
}
