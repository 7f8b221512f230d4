//! Google: `google::server(client_ids)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::google};
//!
//! let server = google::server(["407408718192-a1b2c3d4e5.apps.googleusercontent.com"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::google`](crate::guide::identity_providers::google).
//!
//! # Setup at Google
//! 1. Under "Clients" of the Google Auth Platform add an OAuth client for each MCP client, and
//!    list their ids here. Google has no dynamic registration, and no scopes of your own:
//!    `openid`, `email` and the scopes of its APIs are all there are.
//! 2. Ask for the scopes by their names in tokens: `https://www.googleapis.com/auth/userinfo.email`
//!    stands for `email`.
//!
//! # Differences from the defaults
//! Access tokens are opaque and begin with `ya29.`. Each new one is asked about at the
//! token-info endpoint, which knows no RFC 7662: with a `GET`, the token in the query, and
//! nothing that proves who asks. Its `aud` is the client, and must be one of those listed.
//! Answers are remembered like all others; Google documents the endpoint for debugging, and
//! may limit calls.
//!
//! **No JWT of Google is accepted**, on purpose: every Google Cloud account can get
//! ID tokens of a service account for any audience, that of this resource included.
//!
//! Documentation: [OAuth 2.0 for Google APIs](https://developers.google.com/identity/protocols/oauth2)
//! and [calling the token-info endpoint](https://developers.google.com/identity/sign-in/android/backend-auth#calling-the-tokeninfo-endpoint).
//! The form of the answer for access tokens is that of Google's client libraries.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Map, Value};

use crate::error::ConfigError;
use crate::oauth::{
    AuthorizationServer, Fetch, Introspect, IntrospectFuture, Introspection, IntrospectionError,
    IntrospectionResponse,
};

const PREFIX: &str = "ya29.";
const TOKEN_INFO: &str = "https://oauth2.googleapis.com/tokeninfo";
const MAX_ANSWER: usize = 64 * 1024;

/// Google, for tokens of these clients.
///
/// # Errors
/// The list or one of the ids is empty.
pub fn server<I>(client_ids: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let refuse = |why: &str| Err(ConfigError::new("client_ids", why));
    // The server signs, but nothing it signs is an access token: without keys to check a JWT
    // with, none is ever found good.
    let mut introspection = Introspection::custom(TokenInfo)
        .token_prefix(PREFIX)?
        .introspect_jwts_only()?;
    let mut is_empty = true;
    for client in client_ids {
        let client: String = client.into();
        if client.is_empty() {
            return refuse("a client id is empty; is a variable of the environment not set?");
        }
        introspection = introspection.audience(client)?;
        is_empty = false;
    }
    if is_empty {
        return refuse("the list is empty, so no token could pass");
    }
    AuthorizationServer::new("https://accounts.google.com")?.introspection(introspection)
}

/// Asks the token-info endpoint.
#[derive(Debug)]
struct TokenInfo;

impl Introspect for TokenInfo {
    fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> IntrospectFuture {
        if !token.starts_with(PREFIX) {
            // A JWT: see the module's documentation.
            return Box::pin(std::future::ready(Ok(IntrospectionResponse::inactive())));
        }
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", token)
            .finish();
        let request = Request::get(format!("{TOKEN_INFO}?{query}")).body(Bytes::new());
        Box::pin(async move {
            let request = request.map_err(|_| IntrospectionError::failed("no request"))?;
            let response = fetch.fetch(request, MAX_ANSWER).await?;
            match response.status() {
                StatusCode::OK => read(response.body()),
                // What it says of tokens it does not know, and of expired ones.
                StatusCode::BAD_REQUEST => Ok(IntrospectionResponse::inactive()),
                status => Err(IntrospectionError::failed(format!(
                    "token-info: status {}",
                    status.as_u16()
                ))),
            }
        })
    }
}

/// The answer, in the terms of RFC 7662.
fn read(body: &[u8]) -> Result<IntrospectionResponse, IntrospectionError> {
    let unusable = |why: &str| IntrospectionError::failed(format!("token-info: {why}"));
    if body.len() > MAX_ANSWER {
        return Err(unusable("the answer is too large"));
    }
    let mut said: Map<String, Value> = crate::json::object(body).map_err(|why| unusable(&why))?;
    // Numbers come as strings here.
    let exp = match said.get("exp") {
        Some(Value::String(exp)) => exp.parse::<u64>().ok(),
        Some(Value::Number(exp)) => exp.as_u64(),
        _ => None,
    };
    let exp = exp.ok_or_else(|| unusable("the answer has no exp"))?;
    said.insert("exp".to_owned(), exp.into());
    // Two tokens of one user are one principal only by `sub`, which is there with `openid`.
    Ok(IntrospectionResponse::active(said))
}
