//! Tokens the authorization server is asked about (RFC 7662).

mod answers;
mod calls;
pub mod clients;
mod config;
mod custom;
mod failures;
mod refusals;
mod remembered;
mod routing;
mod signed;

use std::collections::HashMap;

use serde_json::{Value, json};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};

use crate::oauth::support::*;

pub const ENDPOINT: &str = "https://auth.example.com/introspect";
/// A token that says nothing to anybody but its server.
pub const OPAQUE: &str = "Zx81-opaque_token.of~some+length/1==";

pub fn introspection() -> Introspection {
    Introspection::at(ENDPOINT)
        .unwrap()
        .client_secret_basic("mcp-server", "s3cret-of-ours")
        .unwrap()
}

pub fn server(introspection: Introspection) -> AuthorizationServer {
    AuthorizationServer::new(ISSUER)
        .unwrap()
        .introspection(introspection)
        .unwrap()
}

/// What the server says of a good token, with `changes` made to it (`null` takes one out).
// By value, because every caller writes the changes in place.
#[allow(clippy::needless_pass_by_value)]
pub fn active(changes: Value) -> Value {
    let now = START.as_secs();
    let said = json!({
        "active": true, "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app",
        "exp": now + 3600, "iat": now, "scope": "mcp:read", "token_type": "Bearer",
    });
    changed(said, &changes)
}

/// A network on which `ISSUER` knows these tokens.
pub fn web(tokens: impl IntoIterator<Item = (&'static str, Value)>) -> Web {
    let web = Web::with_issuer(&[]);
    say(&web, tokens);
    web
}

/// Replaces what `ISSUER` knows.
pub fn say(web: &Web, tokens: impl IntoIterator<Item = (&'static str, Value)>) {
    let tokens = tokens
        .into_iter()
        .map(|(token, said)| (token.to_owned(), said));
    web.set(ENDPOINT, Page::Tokens(tokens.collect::<HashMap<_, _>>()));
}

/// What the network answers, whatever the token.
pub fn say_always(web: &Web, said: &Value) {
    let json = vec![("content-type", "application/json".to_owned())];
    web.set(
        ENDPOINT,
        Page::Answer(200, json, said.to_string().into_bytes()),
    );
}

/// A layer with these servers, on the clock of `guarded`.
pub fn guarded(web: &Web, introspection: Introspection) -> Guarded {
    Guarded::with_server(web, server(introspection))
}

pub fn scoped(web: &Web, introspection: Introspection, scopes: &[&str]) -> Guarded {
    let mut guarded = Guarded::new(web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server(introspection))
        .unwrap()
        .required_scopes(scopes.iter().copied())
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    guarded
}
