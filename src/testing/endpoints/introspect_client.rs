//! Client authentication at the introspection endpoint.

use http::header::{self, HeaderMap};
use subtle::ConstantTimeEq;

use super::super::introspection::Method;
use super::super::shared::Shared;
use super::OAuthError;
use super::assertion;
use super::client::basic;
use super::form::Form;

/// What a request brought to prove who asks.
enum Proof<'r> {
    Basic(String, String),
    Post(&'r str, &'r str),
    Assertion(&'r str),
    Bearer(&'r str),
    Nothing,
}

/// Authenticates who asks for introspection, in one of the ways that were configured.
pub(super) fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(), OAuthError> {
    let proof = proof(headers, form)?;
    let methods = &shared.introspection.auth;
    let mut methods = methods.iter().map(|auth| &auth.0);
    let is_good = match &proof {
        Proof::Basic(id, secret) => {
            methods.any(|method| matches!(method, Method::Basic)) && knows(shared, id, secret)
        }
        Proof::Post(id, secret) => {
            methods.any(|method| matches!(method, Method::Post)) && knows(shared, id, secret)
        }
        Proof::Assertion(assertion) => {
            let named = form.one("client_id")?;
            let keys = methods.filter_map(|method| match method {
                Method::PrivateKeyJwt { client_id, key } => Some((client_id.as_str(), key)),
                _ => None,
            });
            return assertion::check(shared, keys, named, assertion);
        }
        Proof::Bearer(token) => {
            let is_own = |method: &Method| match method {
                Method::Bearer(own) => bool::from(own.as_bytes().ct_eq(token.as_bytes())),
                _ => false,
            };
            if !methods.any(is_own) {
                // RFC 7662 section 2.3.
                return Err(OAuthError::invalid_token("the token is not the right one"));
            }
            true
        }
        Proof::Nothing => methods.any(|method| matches!(method, Method::Nothing)),
    };
    if is_good {
        Ok(())
    } else {
        let why = "the client is unknown, its secret wrong, or its method not configured";
        Err(OAuthError::invalid_client(why))
    }
}

/// RFC 6749 section 2.3: one method for each request.
fn proof<'r>(headers: &'r HeaderMap, form: &'r Form) -> Result<Proof<'r>, OAuthError> {
    let two = || OAuthError::invalid_request("the client authenticates in two ways");
    let named = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    let assertion = form.one("client_assertion")?;
    let assertion_type = form.one("client_assertion_type")?;
    if secret.is_some() && assertion.is_some() {
        return Err(two());
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = values.next() {
        if secret.is_some() || assertion.is_some() || values.next().is_some() {
            return Err(two());
        }
        let refused = || OAuthError::invalid_client("the Authorization header cannot be read");
        let value = value.to_str().map_err(|_| refused())?;
        if let Some((scheme, token)) = value.split_once(' ')
            && scheme.eq_ignore_ascii_case("Bearer")
        {
            return Ok(Proof::Bearer(token));
        }
        let (id, secret) = basic(value).ok_or_else(refused)?;
        if named.is_some_and(|named| named != id) {
            return Err(OAuthError::invalid_request("two client ids"));
        }
        return Ok(Proof::Basic(id, secret));
    }
    match (assertion, secret) {
        (Some(assertion), _) => match assertion_type {
            Some(assertion::TYPE) => Ok(Proof::Assertion(assertion)),
            _ => Err(OAuthError::invalid_request(
                "client_assertion_type is not that of a JWT",
            )),
        },
        (None, Some(secret)) => {
            let missing = OAuthError::invalid_client("there is no client_id");
            Ok(Proof::Post(named.ok_or(missing)?, secret))
        }
        (None, None) => Ok(Proof::Nothing),
    }
}

/// Whether a client with a secret has this one.
fn knows(shared: &Shared, id: &str, secret: &str) -> bool {
    let store = shared.store();
    let expected = store.client(id).and_then(|client| client.secret.as_ref());
    expected.is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(secret.as_bytes())))
}
