//! rmcp's `StreamableHttpService` behind the layer, asked by rmcp's own client.

use std::error::Error;

use axum::Router;
use http::request::Parts;
use rmcp::model::CallToolRequestParams;
use rmcp::service::ClientInitializeError;
use rmcp::transport::streamable_http_client::{AuthRequiredError, InsufficientScopeError};
use tower::Layer;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::{JwtLayer, Principal};

use common::mcp_server::{mcp_server, with_sessions};
use common::rmcp_dance::connect_with;
use common::{SECRET, clock, good_token, hs256_layer, loopback, token};

/// Who calls, and whether the credential came through.
fn whoami(parts: &Parts) -> String {
    let credential = parts.headers.contains_key("authorization");
    match Principal::from_extensions(&parts.extensions) {
        Some(principal) => format!("{} {credential}", principal.id()),
        None => format!("anonymous {credential}"),
    }
}

async fn served(app: Router) -> String {
    let (listener, origin) = loopback::bind().await;
    loopback::serve(listener, app);
    format!("{origin}/mcp")
}

/// The layer around the router, and around the service alone.
async fn servers(layer: &JwtLayer) -> Vec<String> {
    let mut uris = Vec::new();
    for sessions in [true, false] {
        let service = mcp_server(&[("whoami", whoami)], with_sessions(sessions));
        let around_router = Router::new().nest_service("/mcp", service.clone());
        uris.push(served(around_router.layer(layer.clone())).await);
        uris.push(served(Router::new().nest_service("/mcp", layer.layer(service))).await);
    }
    uris
}

/// The first error of this type among the causes of a handshake that failed.
fn cause<T: Error + 'static>(error: &ClientInitializeError) -> Option<&T> {
    let ClientInitializeError::TransportError { error, .. } = error else {
        return None;
    };
    let mut next: Option<&(dyn Error + 'static)> = Some(&*error.error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[tokio::test]
async fn a_client_with_a_good_token_calls_tools_in_its_name() {
    for uri in servers(&hs256_layer()).await {
        let client = connect_with(&uri, Some(&good_token())).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 1);
        assert_eq!(tools[0].name, "whoami");
        let result = client
            .call_tool(CallToolRequestParams::new("whoami"))
            .await
            .unwrap();
        let text = &result.content[0].as_text().unwrap().text;
        assert_eq!(text, "jwt|sub=alice false");
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_without_a_good_token_is_told_the_challenge() {
    let expired = token(r#"{"sub":"alice","exp":1}"#);
    for uri in servers(&hs256_layer()).await {
        for (token, challenge) in [
            (None, r#"Bearer realm="MCP Server""#),
            (
                Some(&*expired),
                r#"Bearer realm="MCP Server", error="invalid_token", error_description="The access token expired""#,
            ),
            (
                Some("bad"),
                r#"Bearer realm="MCP Server", error="invalid_token", error_description="The access token is not valid""#,
            ),
        ] {
            let error = connect_with(&uri, token).await.unwrap_err();
            let required = cause::<AuthRequiredError>(&error);
            let required = required.unwrap_or_else(|| panic!("no challenge in {error:?}"));
            assert_eq!(required.www_authenticate_header, challenge);
        }
    }
}

#[tokio::test]
async fn a_client_with_too_little_scope_is_told_what_it_needs() {
    let layer = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .required_scopes(["mcp:read", "mcp:write"])
        .clock(clock())
        .build()
        .unwrap();
    for uri in servers(&layer).await {
        let error = connect_with(&uri, Some(&good_token())).await.unwrap_err();
        let needed = cause::<InsufficientScopeError>(&error);
        let needed = needed.unwrap_or_else(|| panic!("no scopes in {error:?}"));
        assert_eq!(needed.required_scope.as_deref(), Some("mcp:read mcp:write"));
    }
}

#[tokio::test]
async fn a_session_does_not_stand_for_a_token() {
    // A client that was let in once is asked again at every request.
    let clock = clock();
    let layer = JwtLayer::builder(Secret::new(SECRET).unwrap()).clock(clock.clone());
    for uri in servers(&layer.build().unwrap()).await {
        let now = clock.now().as_secs();
        let token = token(&format!(r#"{{"sub":"alice","exp":{}}}"#, now + 300));
        let client = connect_with(&uri, Some(&token)).await.unwrap();
        client.list_all_tools().await.unwrap();
        clock.advance(std::time::Duration::from_secs(360));
        let error = client
            .call_tool(CallToolRequestParams::new("whoami"))
            .await
            .unwrap_err();
        assert!(error.is_authorization_required(), "{error:?}");
        assert!(error.auth_challenge().unwrap().contains("expired"));
    }
}
