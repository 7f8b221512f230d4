//! Layers for MCP around an auth layer with several resources.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_mcp_auth::mcp::{
    MacKey, McpPolicy, McpStack, OriginLayer, PrincipalSealer, RequestDigest, SessionBindingLayer,
};
use tower_mcp_auth::oauth::ProtectedResource;
use tower_mcp_auth::{AuthError, OAuthLayer, Principal, Tenants};

use crate::oauth::support::{ISSUER, Key, START, Web};

const SESSION: &str = "mcp-session-id";

fn mac_key() -> MacKey {
    MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap()
}

fn oauth(web: &Web) -> OAuthLayer {
    let tenants = Tenants::new(["acme", "globex"]).unwrap();
    let template = ProtectedResource::from_template("https://{tenant}.example.com/mcp", tenants);
    OAuthLayer::builder(template.unwrap())
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .clock(tower_mcp_auth::Clock::manual(START))
        .fetch(web.clone())
        .build()
        .unwrap()
}

/// A token of alice for both tenants.
fn token(key: &Key) -> String {
    let audiences = ["acme", "globex"].map(|tenant| format!("https://{tenant}.example.com/mcp"));
    format!("Bearer {}", key.token(json!({ "aud": audiences })))
}

fn request(tenant: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::post("/mcp").header("host", format!("{tenant}.example.com"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_session_of_one_resource_is_none_of_another() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    for layer in [oauth(&web), oauth(&web).optional()] {
        let service = ServiceBuilder::new()
            .layer(layer)
            .layer(SessionBindingLayer::new(mac_key()))
            .service_fn(async |_: Request<Full<Bytes>>| {
                let response = Response::builder().header(SESSION, "one");
                Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
            });
        let send = |request| service.clone().oneshot(request);
        let token = token(&key);
        let mut callers = vec![vec![("authorization", &*token)]];
        let anonymous = send(request("acme", &[])).await.unwrap();
        if anonymous.status() == StatusCode::OK {
            callers.push(Vec::new());
        }
        for caller in callers {
            let opened = send(request("acme", &caller)).await.unwrap();
            let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
            for (tenant, status) in [("acme", 200), ("globex", 404)] {
                let mut headers = caller.clone();
                headers.push((SESSION, &session));
                let answer = send(request(tenant, &headers)).await.unwrap();
                assert_eq!(answer.status().as_u16(), status, "{tenant}");
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_was_sealed_at_one_resource_is_not_opened_at_another() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let sealer = PrincipalSealer::new(mac_key()).clock(tower_mcp_auth::Clock::manual(START));
    let service = ServiceBuilder::new().layer(oauth(&web)).service_fn({
        let sealer = sealer.clone();
        move |request: Request<Full<Bytes>>| {
            let principal = Principal::from_extensions(request.extensions()).unwrap();
            let digest = RequestDigest::unbound();
            let body = match request.headers().get("x-state") {
                None => sealer.seal(principal, &digest, b"value").unwrap(),
                Some(state) => {
                    let opened = sealer.open(principal, &digest, state.to_str().unwrap());
                    format!("{}", opened.is_ok())
                }
            };
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
                body,
            ))))
        }
    });
    let token = token(&key);
    let say = async |tenant, headers: &[(&str, &str)]| {
        let answer = service
            .clone()
            .oneshot(request(tenant, headers))
            .await
            .unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let state = say("acme", &[("authorization", &token)]).await;
    for (tenant, opened) in [("acme", "true"), ("globex", "false")] {
        let headers = [("authorization", &*token), ("x-state", &*state)];
        assert_eq!(say(tenant, &headers).await, opened, "{tenant}");
    }
}

#[tokio::test]
async fn an_origin_layer_knows_the_hosts_of_all_resources() {
    let layer = OriginLayer::from_hosts(oauth(&Web::new()).hosts());
    let inner = tower::service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = layer
        .allow_origin("https://app.example.org")
        .unwrap()
        .layer(inner);
    let cases: [(&str, Option<&str>, u16, &str); 12] = [
        ("acme.example.com", None, 200, ""),
        ("ACME.example.com:443", None, 200, ""),
        (
            "globex.example.com",
            Some("https://globex.example.com"),
            200,
            "",
        ),
        (
            "globex.example.com",
            Some("https://app.example.org"),
            200,
            "",
        ),
        (
            "globex.example.com",
            Some("https://acme.example.com"),
            403,
            "origin_not_allowed",
        ),
        (
            "acme.example.com",
            Some("http://acme.example.com"),
            403,
            "origin_not_allowed",
        ),
        (
            "acme.example.com",
            Some("https://acme.example.com:8443"),
            403,
            "origin_not_allowed",
        ),
        ("acme.example.com", Some("null"), 403, "origin_not_allowed"),
        ("hooli.example.com", None, 421, "unknown_host"),
        ("acme.example.com:8443", None, 421, "unknown_host"),
        ("127.0.0.1", None, 421, "unknown_host"),
        ("acme.example.com.", None, 400, "malformed_host"),
    ];
    for (host, origin, status, reason) in cases {
        let mut request = Request::post("/mcp").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let request = request.body(Full::default()).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{host} {origin:?}");
        let error = answer.extensions().get::<AuthError>();
        assert_eq!(
            error.map_or("", AuthError::reason),
            reason,
            "{host} {origin:?}"
        );
    }
}

#[tokio::test]
async fn a_stack_leads_each_caller_to_the_metadata_of_the_resource() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let policy = McpPolicy::builder()
        .tool("*", "mcp:admin")
        .unwrap()
        .build()
        .unwrap();
    let oauth = oauth(&web);
    let stack = McpStack::new(OriginLayer::from_hosts(oauth.hosts()), oauth)
        .sessions(SessionBindingLayer::new(mac_key()))
        .policy(policy)
        .unwrap();
    let app = Router::new().route("/mcp", post(|| async {})).layer(stack);
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "x" } });
    for tenant in ["acme", "globex"] {
        for (token, status) in [(None, 401), (Some(token(&key)), 403)] {
            let mut request = Request::post("/mcp")
                .header("host", format!("{tenant}.example.com"))
                .header("content-type", "application/json");
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let request = request.body(Body::from(call.to_string())).unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{tenant}");
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            let metadata =
                format!("https://{tenant}.example.com/.well-known/oauth-protected-resource/mcp");
            assert!(challenge.contains(&metadata), "{challenge}");
            assert!(challenge.contains("mcp:admin"), "{challenge}");
        }
    }
}
