//! rmcp's `StreamableHttpService` behind the layer, asked by rmcp's own client.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{ClientInitializeError, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServiceExt, tool, tool_router};
use tokio::net::TcpListener;
use tower::Layer;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::{JwtLayer, Principal};

use common::{SECRET, clock, good_token, hs256_layer, token};

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
#[allow(clippy::unused_self)] // the macro calls it as a method
impl Tools {
    #[tool(description = "who am I")]
    fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let credential = parts.headers.contains_key("authorization");
        match Principal::from_extensions(&parts.extensions) {
            Some(principal) => format!("{} {credential}", principal.id()),
            None => format!("nobody {credential}"),
        }
    }
}

/// With sessions, and without.
fn services() -> [StreamableHttpService<Tools, LocalSessionManager>; 2] {
    [true, false].map(|sessions| {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(sessions)
            .with_json_response(!sessions);
        let manager = Arc::new(LocalSessionManager::default());
        StreamableHttpService::new(|| Ok(Tools), manager, config)
    })
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}/mcp")
}

/// The layer around the router, and around the service alone.
async fn servers(layer: &JwtLayer) -> Vec<String> {
    let mut uris = Vec::new();
    for service in services() {
        let around_router = Router::new().nest_service("/mcp", service.clone());
        uris.push(serve(around_router.layer(layer.clone())).await);
        uris.push(serve(Router::new().nest_service("/mcp", layer.layer(service))).await);
    }
    uris
}

type Client = RunningService<RoleClient, ()>;

async fn connect(uri: &str, token: Option<&str>) -> Result<Client, ClientInitializeError> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(uri);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    let transport = StreamableHttpClientTransport::from_config(config);
    ().serve(transport).await
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
        let client = connect(&uri, Some(&good_token())).await.unwrap();
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
            let error = connect(&uri, token).await.unwrap_err();
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
        let error = connect(&uri, Some(&good_token())).await.unwrap_err();
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
        let client = connect(&uri, Some(&token)).await.unwrap();
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
