//! The authorization endpoint.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use url::Url;

use super::super::keys::random_name;
use super::super::shared::Shared;
use super::super::store::{Code, Grant};
use super::OAuthError;
use super::client::may_redirect;
use super::form::Form;
use super::token::{SUBJECT, scope};

/// How long a code waits to be exchanged.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// Approves whatever is asked properly (RFC 6749 section 4.1.1, RFC 7636, RFC 8707), and
/// sends the browser back. Errors before the redirect URI is known to be good are shown,
/// all others are sent back as well (section 4.1.2.1).
pub(super) fn answer(
    shared: &Shared,
    head: &Parts,
    body: &[u8],
) -> Result<Response<Bytes>, OAuthError> {
    let form = if head.method == Method::POST {
        Form::body(&head.headers, body)?
    } else {
        Form::parse(head.uri.query().unwrap_or_default().as_bytes())
    };
    let client_id = form
        .one("client_id")?
        .ok_or(OAuthError::invalid_request("there is no client_id"))?;
    let named_uri = form.one("redirect_uri")?;
    let target = redirect_uri(shared, client_id, named_uri)?;
    let state = form.one("state")?;

    let outcome = approve(shared, &form, client_id, named_uri);
    let mut target = target;
    {
        let mut query = target.query_pairs_mut();
        match &outcome {
            Ok(code) => query.append_pair("code", code),
            Err(error) => query
                .append_pair("error", error.code)
                .append_pair("error_description", error.description),
        };
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        // RFC 9207 section 2: on errors too.
        query.append_pair("iss", &shared.url);
    }
    let location = HeaderValue::try_from(target.as_str())
        .map_err(|_| OAuthError::invalid_request("redirect_uri is no header value"))?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn redirect_uri(shared: &Shared, client_id: &str, named: Option<&str>) -> Result<Url, OAuthError> {
    let store = shared.store();
    let client = store.client(client_id);
    let registered = client.and_then(|client| client.redirect_uris.as_deref());
    let uri = match (named, registered) {
        (Some(uri), _) => uri,
        // RFC 6749 section 3.1.2.3: the only one need not be repeated.
        (None, Some([only])) => only,
        (None, _) => return Err(OAuthError::invalid_request("there is no redirect_uri")),
    };
    if !may_redirect(client, uri) {
        return Err(OAuthError::invalid_request(
            "redirect_uri is not registered for this client, nor on a loopback host",
        ));
    }
    Url::parse(uri).map_err(|_| OAuthError::invalid_request("redirect_uri is not a URI"))
}

/// The code.
fn approve(
    shared: &Shared,
    form: &Form,
    client_id: &str,
    redirect_uri: Option<&str>,
) -> Result<String, OAuthError> {
    match form.one("response_type")? {
        Some("code") => {}
        Some(_) => {
            let only = "the only response_type is code";
            return Err(OAuthError::new("unsupported_response_type", only));
        }
        None => return Err(OAuthError::invalid_request("there is no response_type")),
    }
    let challenge = form.one("code_challenge")?;
    let is_s256 = form.one("code_challenge_method")? == Some("S256");
    let Some(challenge) = challenge.filter(|challenge| is_s256 && challenge.len() == 43) else {
        return Err(OAuthError::invalid_request(
            "there is no code_challenge with the method S256",
        ));
    };
    let grant = Grant {
        client_id: client_id.to_owned(),
        subject: SUBJECT.to_owned(),
        scope: scope(shared, form)?,
        audience: form.resources()?,
    };
    let code = random_name();
    let waiting = Code {
        grant,
        challenge: challenge.to_owned(),
        redirect_uri: redirect_uri.map(str::to_owned),
        expires_at: shared.clock.now().saturating_add(CODE_LIFETIME),
    };
    shared.store().codes.insert(code.clone(), waiting);
    Ok(code)
}
