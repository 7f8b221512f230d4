//! What is revoked is refused from the next request on, whichever provider accepted it.

mod bounds;
mod concurrent;
mod kinds;
mod layers;
mod moments;
pub(crate) mod service;
pub(crate) mod shared;
pub(crate) mod streams;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::{AuthLayer, Authenticate, Authenticated, Authentication};
use tower_mcp_auth::oauth::{
    AuthorizationServer, Introspection, OAuthLayerBuilder, TokenCacheOptions,
};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::{ApiKeyLayer, AuthError, Clock, JwtLayer, OAuthLayer, Principal};

use crate::oauth::support::{ISSUER, Key, Page, RESOURCE, START, Web, changed};
use common::{API_KEY, Answer, Answering, ask, request};

pub(crate) type Layer = AuthLayer<Arc<dyn Authenticate>>;

const OPAQUE: &str = "Zx81-opaque_token.of~some+length/1==";
const HOUR: Duration = Duration::from_secs(3600);

fn now() -> u64 {
    START.as_secs()
}

fn at(since_epoch: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(since_epoch)
}

/// What alice's tokens say, with `changes` (`null` takes one out).
// By value, because every caller writes the changes in place.
#[allow(clippy::needless_pass_by_value)]
fn claims(changes: Value) -> Value {
    let said = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app", "jti": "j-1",
        "sid": "s-1", "gid": "g-1", "exp": now() + 3600, "iat": now(), "scope": "mcp:read",
    });
    changed(said, &changes)
}

fn bearer(token: &str) -> Request<Full<Bytes>> {
    request(&[("authorization", format!("Bearer {token}"))])
}

/// A layer that accepts tokens, and the request with one.
struct Tokens {
    name: &'static str,
    layer: Layer,
    token: String,
    clock: Clock,
}

impl Tokens {
    async fn ask(&self) -> Answer {
        ask(&self.layer, bearer(&self.token)).await
    }

    /// Asks, and finds it accepted (`None`), or refused for this reason.
    async fn expect(&self, reason: Option<&str>, context: &str) {
        let answer = self.ask().await;
        let error = answer.extensions.get::<AuthError>();
        let got = error.map(AuthError::reason);
        assert_eq!(got, reason, "{}, {context}: {error:?}", self.name);
        match reason {
            None => drop(answer.admitted()),
            Some(reason) => answer.invalid(reason),
        }
    }
}

fn oauth(
    clock: &Clock,
    key: &Key,
    more: impl FnOnce(OAuthLayerBuilder) -> OAuthLayerBuilder,
) -> OAuthLayer {
    let builder = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .clock(clock.clone())
        .fetch(Web::with_issuer(&[key]));
    more(builder).build().unwrap()
}

fn hs256(clock: &Clock) -> JwtLayer {
    let secret = tower_mcp_auth::jose::Secret::new(common::SECRET).unwrap();
    let builder = JwtLayer::builder(secret).clock(clock.clone());
    builder.issuer(ISSUER).audience(RESOURCE).build().unwrap()
}

fn introspecting(clock: &Clock, said: &Value, ttl: Option<Duration>) -> OAuthLayer {
    let web = Web::with_issuer(&[]);
    let said = changed(said.clone(), &json!({"active": true}));
    web.set(
        "https://auth.example.com/introspect",
        Page::Tokens([(OPAQUE.to_owned(), said)].into()),
    );
    introspecting_at(clock, web, ttl)
}

fn introspecting_at(clock: &Clock, web: Web, ttl: Option<Duration>) -> OAuthLayer {
    let mut introspection = Introspection::at("https://auth.example.com/introspect")
        .unwrap()
        .client_secret_basic("mcp-server", "s3cret-of-ours")
        .unwrap();
    if let Some(ttl) = ttl {
        introspection = introspection.positive_ttl(ttl);
    }
    let server = AuthorizationServer::new(ISSUER).unwrap();
    OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server.introspection(introspection).unwrap())
        .unwrap()
        .clock(clock.clone())
        .fetch(web)
        .build()
        .unwrap()
}

/// A provider of a user's own that vouches for these claims.
fn own(said: &Value, waits: bool) -> Layer {
    let said = said.clone();
    let provider = Answering::new(move |_| {
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        let mut principal = Principal::builder("badge").claims(said.as_object().unwrap());
        if let Some(issuer) = text("iss") {
            principal = principal.issuer(issuer);
        }
        if let Some(subject) = text("sub") {
            principal = principal.subject(subject);
        }
        if let Some(client) = text("client_id") {
            principal = principal.client_id(client);
        }
        if let Some(exp) = said["exp"].as_u64() {
            principal = principal.expires_at(Duration::from_secs(exp));
        }
        let accepted = Authenticated::from(principal.build());
        match waits {
            false => Authentication::Ready(Ok(accepted)),
            true => Authentication::Pending(Box::pin(async { Ok(accepted) })),
        }
    });
    AuthLayer::new(provider).boxed()
}

/// Every provider of tokens, each with a token that says this, behind a revocation of its own.
fn providers(said: &Value, set: impl Fn(Revocation) -> Revocation) -> Vec<(Tokens, Revocation)> {
    let mut all = Vec::new();
    for name in [
        "jwt",
        "oauth",
        "oauth without a cache",
        "introspection",
        "own",
        "own, waiting",
    ] {
        let clock = Clock::manual(START);
        let key = Key::new("k");
        let revocation = set(Revocation::in_memory().clock(clock.clone()));
        let (layer, token) = match name {
            "jwt" => (hs256(&clock).boxed(), common::token(&said.to_string())),
            "oauth" => (
                oauth(&clock, &key, |it| it).boxed(),
                signed_exactly(&key, said),
            ),
            "oauth without a cache" => {
                let no_cache =
                    |it: OAuthLayerBuilder| it.token_cache(TokenCacheOptions::disabled());
                (
                    oauth(&clock, &key, no_cache).boxed(),
                    signed_exactly(&key, said),
                )
            }
            "introspection" => (introspecting(&clock, said, None).boxed(), OPAQUE.to_owned()),
            "own" => (own(said, false), "badge".to_owned()),
            _ => (own(said, true), "badge".to_owned()),
        };
        let layer = layer.revocation(revocation.clone());
        all.push((
            Tokens {
                name,
                layer,
                token,
                clock,
            },
            revocation,
        ));
    }
    all
}

/// Signed, with these claims and no others.
fn signed_exactly(key: &Key, said: &Value) -> String {
    let mut changes = json!({
        "iss": null, "aud": null, "sub": null, "client_id": null, "jti": null, "exp": null,
        "iat": null, "scope": null,
    });
    for (name, value) in said.as_object().unwrap() {
        changes[name] = value.clone();
    }
    key.token(changes)
}

fn api_keys(key: ApiKey, clock: &Clock) -> ApiKeyLayer {
    ApiKeyLayer::new([key]).unwrap().clock(clock.clone())
}

fn with_key() -> Request<Full<Bytes>> {
    request(&[("x-api-key", API_KEY)])
}
