//! Three providers that all read `Authorization: Bearer`, and a network that counts.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::json;
use tower_mcp_auth::api_key::{ApiKey, ApiKeyScheme};
use tower_mcp_auth::auth::{AuthLayer, Authenticate};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::{ApiKeyLayer, Clock, JwtLayer, OAuthLayer};

use crate::auth::several::network::{ISSUER, Key, Page, RESOURCE, START, Web};
use common::{Answer, SECRET, ask, request, token};

pub type Layer = AuthLayer<Arc<dyn Authenticate>>;

pub const ENDPOINT: &str = "https://auth.example.com/introspect";
pub const OPAQUE: &str = "Zx81-opaque_token.of~some+length/1==";
pub const KEY: &str = "acme_Zm9yLXRoZS10ZXN0cy1vbmx5LTE3";
pub const JWT_ISSUER: &str = "https://jwt.example.com";

/// What `ISSUER` signs with.
pub static SIGNER: LazyLock<Key> = LazyLock::new(|| Key::new("k1"));

/// A network with `ISSUER`, its keys, and its introspection endpoint.
pub fn web() -> Web {
    let web = Web::with_issuer(&[&*SIGNER]);
    let said = json!({
        "active": true, "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app",
        "exp": START.as_secs() + 3600, "scope": "mcp:read", "token_type": "Bearer",
    });
    let tokens = HashMap::from([(OPAQUE.to_owned(), said)]);
    web.set(ENDPOINT, Page::Tokens(tokens));
    web
}

pub fn asked(web: &Web) -> usize {
    web.log().iter().filter(|url| *url == ENDPOINT).count()
}

pub fn introspection() -> Introspection {
    Introspection::at(ENDPOINT)
        .unwrap()
        .client_secret_basic("mcp-server", "s3cret-of-ours")
        .unwrap()
}

/// JWTs of `ISSUER`, and opaque tokens.
pub fn oauth(web: &Web, clock: &Clock) -> OAuthLayer {
    oauth_with(web, clock, introspection())
}

pub fn oauth_with(web: &Web, clock: &Clock, introspection: Introspection) -> OAuthLayer {
    let server = AuthorizationServer::new(ISSUER).unwrap();
    OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server.introspection(introspection).unwrap())
        .unwrap()
        .clock(clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap()
}

/// JWTs of `issuer` under the shared secret.
pub fn jwt(issuer: &str, clock: &Clock) -> JwtLayer {
    JwtLayer::builder(Secret::new(SECRET).unwrap())
        .issuer(issuer)
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// Keys in `X-API-Key`.
pub fn keys(clock: &Clock) -> ApiKeyLayer {
    let key = ApiKey::new(KEY).unwrap().name("ci");
    ApiKeyLayer::new([key]).unwrap().clock(clock.clone())
}

/// Keys in `Authorization: Bearer`, told by their prefix.
pub fn bearer_keys(clock: &Clock) -> ApiKeyLayer {
    let keys = keys(clock)
        .authorization_scheme(ApiKeyScheme::Bearer)
        .unwrap();
    keys.prefix("acme_").unwrap()
}

pub fn jwt_of(issuer: &str) -> String {
    let exp = START.as_secs() + 300;
    token(&format!(
        r#"{{"iss":"{issuer}","sub":"carol","exp":{exp}}}"#
    ))
}

pub async fn bearer(layer: &Layer, credential: &str) -> Answer {
    let value = format!("Bearer {credential}");
    ask(layer, request(&[("authorization", value)])).await
}
