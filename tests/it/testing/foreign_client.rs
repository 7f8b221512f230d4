//! rmcp's client, which was written elsewhere, against the issuer.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, Router};
use rmcp::transport::auth::{AuthorizationRequest, OAuthState};
use serde_json::json;
use tower_mcp_auth::testing::{Endpoint, Issuer};

use super::{claims, http, quick};
use common::loopback;

/// A resource that refuses everything and says whom it trusts; its URL.
async fn resource(issuer: &Issuer) -> String {
    let (listener, origin) = loopback::bind().await;
    let resource = format!("{origin}/mcp");
    let metadata = json!({
        "resource": resource,
        "authorization_servers": [issuer.url()],
        "scopes_supported": ["mcp:read"],
    });
    let pointer = format!("{origin}/.well-known/oauth-protected-resource/mcp");
    let challenge = format!("Bearer resource_metadata=\"{pointer}\"");
    let app = Router::new().fallback(async move |request: Request| {
        if request.uri().path() == "/.well-known/oauth-protected-resource/mcp" {
            Json(metadata).into_response()
        } else {
            let challenge = [(header::WWW_AUTHENTICATE, challenge)];
            (StatusCode::UNAUTHORIZED, challenge).into_response()
        }
    });
    loopback::serve(listener, app);
    resource
}

#[tokio::test]
async fn rmcp_registers_and_gets_and_refreshes_a_token() {
    for path in ["", "/tenant"] {
        let issuer = quick().path(path).start().await.unwrap();
        let resource = resource(&issuer).await;
        let mut state = OAuthState::new(&resource, None).await.unwrap();
        let request = AuthorizationRequest::new("http://127.0.0.1:8976/callback")
            .with_client_name("a test")
            .with_initial_scope_selection();
        state.start_authorization(request).await.unwrap();
        assert_eq!(issuer.requests(Endpoint::Register), 1);

        // In the place of a browser.
        let url = state.get_authorization_url().await.unwrap();
        let response = http().get(url).send().await.unwrap();
        let back = response.headers()["location"].to_str().unwrap();
        state.handle_callback_url(back).await.unwrap();

        let OAuthState::Authorized(manager) = state else {
            panic!("not authorized");
        };
        let token = claims(&manager.get_access_token().await.unwrap());
        assert_eq!(token["aud"], resource);
        assert_eq!(token["iss"], *issuer.url());
        assert_eq!(token["scope"], "mcp:read");
        manager.refresh_token().await.unwrap();
        let next = claims(&manager.get_access_token().await.unwrap());
        assert_ne!(next["jti"], token["jti"]);
        assert_eq!(next["aud"], resource);
        assert_eq!(issuer.requests(Endpoint::Token), 2);
    }
}
