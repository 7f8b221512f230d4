//! What the issuer serves.

mod assertion;
mod authorize;
mod client;
mod form;
mod introspect;
mod introspect_client;
pub(super) mod metadata;
mod paths;
mod register;
mod token;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

pub(super) use self::client::is_loopback;
pub(super) use self::paths::Paths;
use super::issuer::Shared;

/// An endpoint of an [`Issuer`](super::Issuer).
///
/// An issuer without a path has each metadata document in one place only: it counts as
/// [`OAuthMetadata`](Self::OAuthMetadata) and [`OidcMetadata`](Self::OidcMetadata).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/.well-known/oauth-authorization-server/tenant`: RFC 8414, the path inserted.
    OAuthMetadata,
    /// `/tenant/.well-known/oauth-authorization-server`: not in a standard, and common.
    OAuthMetadataAppended,
    /// `/.well-known/openid-configuration/tenant`: RFC 8414 section 5.
    OidcMetadataInserted,
    /// `/tenant/.well-known/openid-configuration`: OpenID Connect Discovery.
    OidcMetadata,
    /// The key set.
    Jwks,
    /// The token endpoint.
    Token,
    /// The authorization endpoint, which approves everything.
    Authorize,
    /// Dynamic client registration (RFC 7591).
    Register,
    /// Token introspection (RFC 7662), for those whom
    /// [`introspection_auth`](super::IssuerBuilder::introspection_auth) lets ask.
    Introspect,
}

impl Endpoint {
    pub(super) const COUNT: usize = Self::ALL.len();
    /// In the order of their discriminants. The appended OpenID place is asked for before
    /// the inserted one; without a path they are the same.
    pub(super) const ALL: [Self; 9] = [
        Self::OAuthMetadata,
        Self::OAuthMetadataAppended,
        Self::OidcMetadataInserted,
        Self::OidcMetadata,
        Self::Jwks,
        Self::Token,
        Self::Authorize,
        Self::Register,
        Self::Introspect,
    ];

    fn is_document(self) -> bool {
        matches!(
            self,
            Self::OAuthMetadata
                | Self::OAuthMetadataAppended
                | Self::OidcMetadataInserted
                | Self::OidcMetadata
                | Self::Jwks
        )
    }

    /// Whether browsers fetch it, so that it needs CORS; the authorization endpoint is
    /// navigated to, and introspection is for servers.
    pub(super) fn is_for_scripts(self) -> bool {
        !matches!(self, Self::Authorize | Self::Introspect)
    }

    pub(super) fn methods(self) -> HeaderValue {
        HeaderValue::from_static(if self.is_document() {
            "GET, HEAD, OPTIONS"
        } else if self == Self::Authorize {
            "GET, POST, OPTIONS"
        } else {
            "POST, OPTIONS"
        })
    }

    fn takes(self, method: &Method) -> bool {
        match *method {
            Method::GET => self.is_document() || self == Self::Authorize,
            Method::HEAD => self.is_document(),
            Method::POST => !self.is_document(),
            _ => false,
        }
    }
}

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

/// An answer that carries a secret, so nobody stores it (RFC 6749 section 5.1).
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
