//! What the issuer serves.

mod assertion;
mod authorize;
mod client;
mod form;
mod introspect;
mod introspect_client;
pub(super) mod metadata;
mod register;
mod token;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::shared::Shared;

/// The proper answer.
pub(super) fn answer(
    shared: &Arc<Shared>,
    endpoint: Endpoint,
    head: &Parts,
    body: &[u8],
) -> Response<Bytes> {
    if !endpoint.takes(&head.method) {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
            .headers_mut()
            .insert(header::ALLOW, endpoint.methods());
        return response;
    }
    match endpoint {
        Endpoint::OAuthMetadata
        | Endpoint::OAuthMetadataAppended
        | Endpoint::OidcMetadataInserted
        | Endpoint::OidcMetadata => json(
            StatusCode::OK,
            "application/json",
            &metadata::document(shared),
        ),
        Endpoint::Jwks => json(
            StatusCode::OK,
            "application/jwk-set+json",
            &shared.keys.jwks(),
        ),
        Endpoint::Token => respond(token::answer(shared, head, body)),
        Endpoint::Authorize => {
            authorize::answer(shared, head, body).unwrap_or_else(|error| error.into_response())
        }
        Endpoint::Register => respond(register::answer(shared, body)),
        Endpoint::Introspect => introspect::answer(shared, head, body),
    }
}

pub(super) fn json(
    status: StatusCode,
    content_type: &'static str,
    body: &Value,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// An answer that carries a secret, so no cache stores it (RFC 6749 section 5.1).
fn respond(result: Result<(StatusCode, Value), OAuthError>) -> Response<Bytes> {
    match result {
        Ok((status, body)) => no_store(json(status, "application/json", &body)),
        Err(error) => error.into_response(),
    }
}

fn no_store(mut response: Response<Bytes>) -> Response<Bytes> {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// An error of an endpoint (RFC 6749 section 5.2).
#[derive(Debug)]
struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
}

impl OAuthError {
    fn new(code: &'static str, description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            description,
        }
    }

    fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    fn invalid_client(description: &'static str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            ..Self::new("invalid_client", description)
        }
    }

    /// For a client that proves itself with a token (RFC 6750 section 3.1).
    fn invalid_token(description: &'static str) -> Self {
        Self {
            code: "invalid_token",
            ..Self::invalid_client(description)
        }
    }

    fn into_response(self) -> Response<Bytes> {
        let body = json!({"error": self.code, "error_description": self.description});
        let mut response = no_store(json(self.status, "application/json", &body));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(if self.code == "invalid_token" {
                "Bearer realm=\"development issuer\", error=\"invalid_token\""
            } else {
                "Basic realm=\"development issuer\""
            });
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
