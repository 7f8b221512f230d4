//! The audience a resource has by default.

use serde_json::json;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::{ApiKeyLayer, AuthLayer, OAuthLayer};

use crate::oauth::introspection::{ENDPOINT, OPAQUE, active, introspection, say_always};
use crate::oauth::support::*;

/// A layer for this resource, with its audience as it is by default.
fn guarded_for(web: &Web, resource: &str, server: AuthorizationServer) -> Guarded {
    let mut guarded = Guarded::new(web);
    guarded.layer = OAuthLayer::builder(resource)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    guarded
}

/// What is asked for and what is in the token, and whether that is the same resource.
const ROWS: [(&str, &str, bool); 30] = [
    ("https://mcp.example.com", "https://mcp.example.com", true),
    ("https://mcp.example.com", "https://mcp.example.com/", true),
    ("https://mcp.example.com/", "https://mcp.example.com/", true),
    ("https://mcp.example.com/", "https://mcp.example.com", true),
    (
        "https://mcp.example.com:8443",
        "https://mcp.example.com:8443/",
        true,
    ),
    (
        "https://mcp.example.com:8443/",
        "https://mcp.example.com:8443",
        true,
    ),
    ("http://127.0.0.1:3000", "http://127.0.0.1:3000/", true),
    ("http://localhost:3000/", "http://localhost:3000", true),
    ("http://[::1]:3000", "http://[::1]:3000/", true),
    ("https://MCP.example.com", "https://MCP.example.com/", true),
    // Exactly one more string.
    (
        "https://mcp.example.com",
        "https://mcp.example.com//",
        false,
    ),
    (
        "https://mcp.example.com/",
        "https://mcp.example.com//",
        false,
    ),
    (
        "https://mcp.example.com",
        "https://mcp.example.com/.",
        false,
    ),
    ("https://mcp.example.com", "https://mcp.example.com?", false),
    (
        "https://mcp.example.com",
        "https://mcp.example.com/?",
        false,
    ),
    ("https://mcp.example.com", "https://mcp.example.com#", false),
    (
        "https://mcp.example.com",
        "https://mcp.example.com:443",
        false,
    ),
    (
        "https://mcp.example.com",
        "https://mcp.example.com:443/",
        false,
    ),
    (
        "https://mcp.example.com:443",
        "https://mcp.example.com/",
        false,
    ),
    ("https://mcp.example.com", "https://MCP.example.com/", false),
    ("https://MCP.example.com", "https://mcp.example.com/", false),
    ("https://mcp.example.com", "HTTPS://mcp.example.com/", false),
    ("https://mcp.example.com", "mcp.example.com/", false),
    ("https://mcp.example.com", "/", false),
    // A path or a query makes it another resource.
    (
        "https://mcp.example.com/mcp",
        "https://mcp.example.com/mcp/",
        false,
    ),
    (
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com/mcp",
        false,
    ),
    (
        "https://mcp.example.com/mcp",
        "https://mcp.example.com",
        false,
    ),
    (
        "https://mcp.example.com?a=b",
        "https://mcp.example.com/?a=b",
        false,
    ),
    (
        "https://mcp.example.com/?a=b",
        "https://mcp.example.com?a=b",
        false,
    ),
    (
        "https://mcp.example.com?a=/",
        "https://mcp.example.com?a=",
        false,
    ),
];

#[tokio::test]
async fn an_origin_is_matched_with_and_without_its_slash_and_nothing_else_is() {
    let key = Key::new("a");
    for (resource, aud, same) in ROWS {
        let web = Web::with_issuer(&[&key]);
        let guarded = guarded_for(&web, resource, AuthorizationServer::new(ISSUER).unwrap());
        for aud in [json!(aud), json!(["https://other.example", aud, "x"])] {
            let answer = guarded.bearer(&key.token(json!({"aud": aud}))).await;
            let reason = if same {
                "accepted"
            } else {
                "audience_mismatch"
            };
            assert_eq!(answer.reason(), reason, "{resource}: {aud}");
        }
    }
}

#[tokio::test]
async fn introspection_answers_are_matched_as_tokens_are() {
    for (resource, aud, same) in ROWS {
        let web = Web::with_issuer(&[]);
        let server = AuthorizationServer::new(ISSUER).unwrap();
        let server = server.introspection(introspection()).unwrap();
        let guarded = guarded_for(&web, resource, server);
        for aud in [json!(aud), json!(["https://other.example", aud])] {
            guarded.layer.invalidate_all();
            say_always(&web, &active(json!({"aud": aud})));
            let answer = guarded.bearer(OPAQUE).await;
            let reason = if same {
                "accepted"
            } else {
                "audience_mismatch"
            };
            assert_eq!(answer.reason(), reason, "{resource}: {aud}");
        }
    }
}

#[tokio::test]
async fn an_audience_that_was_configured_is_matched_byte_by_byte() {
    let key = Key::new("a");
    let origin = "https://mcp.example.com";
    let slash = "https://mcp.example.com/";
    for (configured, other) in [(origin, slash), (slash, origin)] {
        let web = Web::with_issuer(&[&key]);
        let server = AuthorizationServer::new(ISSUER).unwrap();
        let server = server.audience(configured).unwrap();
        let guarded = guarded_for(&web, origin, server);
        for (aud, reason) in [(configured, "accepted"), (other, "audience_mismatch")] {
            let answer = guarded.bearer(&key.token(json!({"aud": aud}))).await;
            assert_eq!(answer.reason(), reason, "{configured}: {aud}");
        }
        let own = Introspection::at(ENDPOINT).unwrap();
        let own = own
            .client_secret_basic("mcp-server", "s3cret-of-ours")
            .unwrap();
        let own = own.audience(configured).unwrap();
        let server = AuthorizationServer::new(ISSUER).unwrap();
        let guarded = guarded_for(&web, origin, server.introspection(own).unwrap());
        for (aud, reason) in [(configured, "accepted"), (other, "audience_mismatch")] {
            guarded.layer.invalidate_all();
            say_always(&web, &active(json!({"aud": aud})));
            assert_eq!(
                guarded.bearer(OPAQUE).await.reason(),
                reason,
                "{configured}: {aud}"
            );
        }
    }
}

#[tokio::test]
async fn neither_the_issuer_nor_what_is_advertised_gains_a_slash() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    for resource in ["https://mcp.example.com", "https://mcp.example.com/"] {
        let guarded = guarded_for(&web, resource, AuthorizationServer::new(ISSUER).unwrap());
        let token = key.token(json!({"aud": resource, "iss": format!("{ISSUER}/")}));
        guarded.bearer(&token).await.assert(401, "issuer_mismatch");
        let provider: AuthLayer<_> = guarded.layer.clone().into();
        assert_eq!(provider.provider().resource().resource(), resource);
    }
}

#[tokio::test]
async fn a_layer_with_another_provider_beside_it_matches_the_same() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = guarded_for(
        &web,
        "https://mcp.example.com",
        AuthorizationServer::new(ISSUER).unwrap(),
    );
    let keys = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"]).unwrap();
    let keys: AuthLayer<_> = keys.clock(guarded.clock.clone()).into();
    let both = guarded.layer.clone().or(keys).unwrap();
    let token = key.token(json!({"aud": "https://mcp.example.com/"}));
    let request = http::Request::post("/").header("authorization", format!("Bearer {token}"));
    let inner = tower::service_fn(
        |_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<
                bytes::Bytes,
            >::default()))
        },
    );
    let service = tower::Layer::layer(&both, inner);
    let request = request.body(http_body_util::Full::default()).unwrap();
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert_eq!(response.status(), 200);
}
