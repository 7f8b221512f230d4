//! CORS around an auth layer: pages read refusals, and preflights pass.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tower::ServiceExt;
use tower_http::cors::AllowOrigin;
use tower_mcp_auth::OAuthLayer;

use crate::oauth::metadata::{PATH, app, ask};
use crate::oauth::support::{ISSUER, RESOURCE};

#[tokio::test]
async fn behind_cors_a_browser_client_reads_refusals_and_preflights_pass() {
    let cors = tower_mcp_auth::cors::layer(AllowOrigin::any());
    let app = app(OAuthLayer::new(RESOURCE, ISSUER).unwrap()).layer(cors);
    let request = |method: &str, path: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,mcp-param-city,x-key",
            )
            .body(Body::empty())
            .unwrap()
    };
    let preflight = app
        .clone()
        .oneshot(request("OPTIONS", "/mcp"))
        .await
        .unwrap();
    assert_eq!(preflight.status(), StatusCode::OK);
    let allowed = &preflight.headers()["access-control-allow-headers"];
    assert_eq!(allowed, "authorization,mcp-param-city,x-key");

    let refused = app.clone().oneshot(request("POST", "/mcp")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
    let exposed = refused.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    for name in [
        "www-authenticate",
        "mcp-session-id",
        "dpop-nonce",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
    ] {
        let mut exposed_names = exposed.split(',').map(str::trim);
        assert!(exposed_names.any(|own| own == name), "{exposed}");
    }

    let metadata = app.clone().oneshot(request("GET", PATH)).await.unwrap();
    let origins = metadata.headers().get_all("access-control-allow-origin");
    assert_eq!(origins.iter().count(), 1);
}

#[tokio::test]
async fn without_cors_the_layer_lets_no_preflight_through() {
    let app = app(OAuthLayer::new(RESOURCE, ISSUER).unwrap());
    let (status, ..) = ask(&app, Method::OPTIONS, "/mcp").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}
