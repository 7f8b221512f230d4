//! What a caller learns that has no token of this resource: nothing of what is accepted.

use std::collections::HashSet;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::presets::entra;

use crate::oauth::introspection::{introspection, server as introspected};
use crate::oauth::support::*;

const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
const OTHER: &str = "11111111-2b34-4da1-9baa-8bc8c9d6a490";
const APP: &str = "6e74172b-be56-4843-9ff4-e66a39bb12e3";

/// All that a client gets: status, headers, body.
async fn said(layer: &OAuthLayer, token: &str) -> String {
    let inner = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
    });
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    let request = request.body(Full::default()).unwrap();
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .unwrap_or_else(|_| panic!("a body"))
        .to_bytes();
    format!(
        "{} {:?} {}",
        parts.status,
        parts.headers,
        String::from_utf8_lossy(&body)
    )
}

/// Everything a forger can write into a token.
fn guesses() -> Vec<(Value, Value)> {
    let now = START.as_secs();
    let mut guesses = vec![(json!({}), json!({}))];
    for claims in [
        json!({"exp": now - 1000}),
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"nbf": now + 1000}),
        json!({"iat": now + 1000}),
        json!({"aud": "https://other.example"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"aud": null, "client_id": "app"}),
        json!({"aud": null, "client_id": "other"}),
        json!({"aud": null, "client_id": null}),
        json!({"aud": null, "client_id": "app", "org_id": "secret-org"}),
        json!({"aud": null, "client_id": "app", "org_id": "o"}),
        json!({"org_id": "secret-org"}),
        json!({"org_id": "secret-org", "aud": "app"}),
        json!({"org_id": "o"}),
        json!({"iss": "https://other.example"}),
        json!({"iss": "https://second.example.com"}),
        json!({"iss": null}),
        json!({"token_use": "id"}),
        json!({"type": "refresh"}),
        json!({"nonce": "n", "scope": null}),
        json!({"at_hash": "x"}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"scope": "admin"}),
        json!({"sub": 5}),
    ] {
        guesses.push((json!({}), claims.clone()));
        guesses.push((json!({"typ": "JWT"}), claims));
    }
    for header in [
        json!({"kid": "b"}),
        json!({"kid": null}),
        json!({"kid": 5}),
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": 5}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256"}),
        json!({"alg": "none"}),
        json!({"crit": ["exp"]}),
        json!({"b64": false}),
    ] {
        guesses.push((header, json!({})));
    }
    guesses
}

/// The layer, and that it was asked once before, so that it holds keys.
async fn warm(web: &Web, servers: Vec<AuthorizationServer>) -> Guarded {
    let guarded = Guarded::with_servers(web, servers);
    guarded.layer.warm_up().await.unwrap();
    guarded
}

#[tokio::test]
async fn whatever_a_forger_writes_the_answer_is_the_same() {
    let (key, forger) = (Key::new("a"), Key::new("a"));
    let web = Web::with_issuer(&[&key]);
    let second = "https://second.example.com";
    web.publish_metadata(second);
    web.set(&format!("{second}/keys"), Page::Json(key_set(&[&key])));
    let plain = || AuthorizationServer::new(ISSUER).unwrap();
    let strict = || {
        plain()
            .client_ids(["app"])
            .unwrap()
            .require_claim("org_id", ["secret-org"])
            .unwrap()
    };
    let second = || AuthorizationServer::new(second).unwrap();
    for servers in [
        vec![plain()],
        vec![plain().require_at_jwt()],
        vec![strict()],
        vec![strict(), second()],
        vec![plain().audience("app").unwrap(), second()],
        vec![introspected(introspection().introspect_jwts().unwrap())],
    ] {
        let guarded = warm(&web, servers).await;
        let mut answers = HashSet::new();
        for (header, claims) in guesses() {
            let token = forger.token_with_header(header.clone(), claims.clone());
            answers.insert(said(&guarded.layer, &token).await);
            let token = key.token_with_header(header, claims);
            let (input, _) = token.rsplit_once('.').unwrap();
            answers.insert(said(&guarded.layer, &format!("{input}.AAAA")).await);
            answers.insert(said(&guarded.layer, &format!("{input}.")).await);
        }
        assert_eq!(answers.len(), 1, "{answers:#?}");
        let only = answers.iter().next().unwrap();
        assert!(only.contains("The access token is not valid"), "{only}");
    }
}

#[tokio::test]
async fn a_real_token_that_is_refused_says_why() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server.require_claim("org_id", ["ours"]).unwrap();
    let guarded = warm(&web, vec![server]).await;
    let now = START.as_secs();
    for (header, claims, text) in [
        (
            json!({}),
            json!({"org_id": "ours", "exp": now - 1000}),
            "The access token expired",
        ),
        (
            json!({}),
            json!({"org_id": "ours", "nbf": now + 1000}),
            "The access token is not valid yet",
        ),
        (
            json!({}),
            json!({"org_id": "ours", "aud": "x"}),
            "The access token is not for this resource",
        ),
        (
            json!({}),
            json!({"org_id": "theirs"}),
            "The access token is not accepted here",
        ),
        (
            json!({"typ": "JWT"}),
            json!({"org_id": "ours", "token_use": "id"}),
            "The token is not an access token",
        ),
        (
            json!({"typ": "logout+jwt"}),
            json!({"org_id": "ours"}),
            "The token is not an access token",
        ),
    ] {
        let token = key.token_with_header(header.clone(), claims.clone());
        let answer = said(&guarded.layer, &token).await;
        assert!(answer.contains(text), "{header} {claims}: {answer}");
    }
    // Where no key is held none is fetched to say so.
    let cold = Guarded::new(&web);
    let before = web.log().len();
    let expired = key.token(json!({"exp": now - 1000}));
    let answer = said(&cold.layer, &expired).await;
    assert!(answer.contains("The access token is not valid"), "{answer}");
    assert_eq!(web.log().len(), before);
}

#[tokio::test]
async fn trusted_tenants_are_not_disclosed() {
    let web = Web::new();
    let guarded = Guarded::with_server(&web, entra::tenants([TENANT], APP).unwrap());
    let forger = Key::new("x");
    let mut answers = HashSet::new();
    for tenant in [TENANT, OTHER] {
        for (aud, tid) in [("x", TENANT), ("x", OTHER), (APP, OTHER)] {
            if (aud, tid, tenant) == (APP, OTHER, OTHER) {
                continue;
            }
            let iss = format!("https://login.microsoftonline.com/{tenant}/v2.0");
            let claims = json!({"iss": iss, "aud": aud, "tid": tid});
            for header in [json!({"alg": "RS256"}), json!({"alg": "ES256"}), json!({})] {
                answers.insert(
                    said(
                        &guarded.layer,
                        &forger.token_with_header(header, claims.clone()),
                    )
                    .await,
                );
            }
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(web.log().is_empty());
}
