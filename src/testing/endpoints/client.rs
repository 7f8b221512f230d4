//! Client authentication and redirect URIs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap};
use subtle::ConstantTimeEq;
use url::Url;

use super::super::origin::is_loopback;
use super::super::shared::Shared;
use super::super::store::Client;
use super::OAuthError;
use super::form::Form;

/// Who asks, as far as it was proven.
pub(super) struct Caller {
    pub(super) client_id: String,
}

/// Authenticates a client by Basic, by the parameters of the body, or takes the word of a
/// public one (RFC 6749 section 2.3). An unregistered client is a public one.
pub(super) fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Caller, OAuthError> {
    let named = form.one("client_id")?;
    let posted = form.one("client_secret")?.map(str::to_owned);
    let (client_id, secret) = match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            if posted.is_some() {
                return Err(OAuthError::invalid_request("two client secrets"));
            }
            let (id, secret) =
                value
                    .to_str()
                    .ok()
                    .and_then(basic)
                    .ok_or(OAuthError::invalid_client(
                        "the Authorization header is not Basic",
                    ))?;
            if named.is_some_and(|named| named != id) {
                return Err(OAuthError::invalid_request("two client ids"));
            }
            (id, Some(secret))
        }
        None => {
            let missing = OAuthError::invalid_client("there is no client_id");
            (named.ok_or(missing)?.to_owned(), posted)
        }
    };
    let known = shared.store().client(&client_id).cloned();
    let expected = known.and_then(|client| client.secret);
    let is_good = match (&expected, &secret) {
        (None, None) => true,
        (Some(expected), Some(got)) => bool::from(expected.as_bytes().ct_eq(got.as_bytes())),
        _ => false,
    };
    if !is_good {
        return Err(OAuthError::invalid_client(
            "the client secret is not the right one",
        ));
    }
    Ok(Caller { client_id })
}

/// Id and secret, each of them form-encoded (RFC 6749 section 2.3.1).
pub(super) fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((decode(id), decode(secret)))
}

/// One form-encoded string.
fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Whether `uri` can be redirected to at all.
pub(super) fn is_redirect_uri(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    // Custom schemes of native applications pass (RFC 8252 section 7.1).
    let is_document = matches!(
        url.scheme(),
        "javascript" | "data" | "file" | "blob" | "about"
    );
    let is_safe = url.scheme() != "http" || is_loopback(&url);
    is_safe && !is_document && url.fragment().is_none() && uri.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether a client may be redirected to `uri`; `None` is an unregistered client.
pub(super) fn may_redirect(client: Option<&Client>, uri: &str) -> bool {
    let asked = match Url::parse(uri) {
        Ok(url) if is_redirect_uri(uri) => url,
        _ => return false,
    };
    match client.and_then(|client| client.redirect_uris.as_ref()) {
        Some(registered) => registered
            .iter()
            .any(|own| own == uri || is_same_but_for_the_port(own, &asked)),
        None => is_loopback(&asked),
    }
}

/// Native applications listen on any port (RFC 8252 section 7.3).
fn is_same_but_for_the_port(registered: &str, asked: &Url) -> bool {
    let Ok(mut registered) = Url::parse(registered) else {
        return false;
    };
    is_loopback(&registered)
        && is_loopback(asked)
        && registered.set_port(asked.port()).is_ok()
        && registered == *asked
}
