//! A server of rmcp behind the layers, on loopback, asked by rmcp's own client.

use std::sync::Arc;

use ::rmcp::model::CallToolRequestParams;
use ::rmcp::service::{RoleClient, RunningService};
use ::rmcp::transport::StreamableHttpClientTransport;
use ::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use ::rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use ::rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService,
};
use ::rmcp::{ServiceExt, tool, tool_router};
use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_mcp_auth::mcp::{McpListsLayer, McpPolicy, McpScopesLayer};

use crate::mcp::support::{METADATA, auth, call};

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
#[allow(clippy::unused_self)] // the macro calls them as methods
impl Tools {
    #[tool(description = "anybody")]
    fn ping(&self) -> String {
        "pong".to_owned()
    }

    #[tool(description = "readers")]
    fn get_file(&self) -> String {
        "got".to_owned()
    }

    #[tool(description = "writers")]
    fn put_file(&self) -> String {
        "put".to_owned()
    }

    #[tool(description = "administrators")]
    fn delete_file(&self) -> String {
        "deleted".to_owned()
    }
}

fn policy() -> McpPolicy {
    serde_json::from_value(json!({
        "hierarchy": { "admin": ["write"], "write": ["read"] },
        "tools": { "ping": [], "get_*": "read", "put_*": "write", "delete_*": "admin" },
    }))
    .unwrap()
}

/// With sessions and event streams, or without and with JSON.
async fn serve(sessions: bool) -> String {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(sessions)
        .with_json_response(!sessions);
    let manager = Arc::new(LocalSessionManager::default());
    let server = StreamableHttpService::new(|| Ok(Tools), manager, config);
    let guarded = ServiceBuilder::new()
        .layer(auth())
        .layer(McpScopesLayer::new(policy()))
        .layer(McpListsLayer::new(policy()))
        .service(server);
    let app = Router::new().nest_service("/mcp", guarded);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}/mcp")
}

async fn connect(uri: &str, token: &str) -> RunningService<RoleClient, ()> {
    let config = StreamableHttpClientTransportConfig::with_uri(uri).auth_header(token);
    let transport = StreamableHttpClientTransport::from_config(config);
    ().serve(transport).await.unwrap()
}

#[tokio::test]
async fn a_client_sees_and_calls_what_its_scopes_allow() {
    for sessions in [true, false] {
        let uri = serve(sessions).await;
        for (token, names) in [
            ("-", &["ping"][..]),
            ("read", &["get_file", "ping"]),
            ("write", &["get_file", "ping", "put_file"]),
            ("admin", &["delete_file", "get_file", "ping", "put_file"]),
        ] {
            let client = connect(&uri, token).await;
            let tools = client.list_all_tools().await.unwrap();
            let mut seen: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
            seen.sort_unstable();
            assert_eq!(seen, names, "{token}");
            for name in names {
                let call = CallToolRequestParams::new(*name);
                client.call_tool(call).await.unwrap();
            }
            client.cancel().await.unwrap();
        }
        let client = connect(&uri, "read").await;
        let call = CallToolRequestParams::new("delete_file");
        assert!(client.call_tool(call).await.is_err());
        client.cancel().await.unwrap();
    }
}

async fn post(uri: &str, token: &str, version: Option<&str>, body: String) -> reqwest::Response {
    let mut request = reqwest::Client::new()
        .post(uri)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    if let Some(version) = version {
        request = request
            .header("mcp-protocol-version", version)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "ping");
    }
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn step_up_and_lying_headers_over_the_wire() {
    let uri = serve(false).await;
    // Below 2026-07-28 rmcp runs what the body says; so that is what is judged.
    for version in [None, Some("2025-11-25")] {
        let refused = post(&uri, "read", version, call("delete_file")).await;
        assert_eq!(refused.status(), 403);
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("scope=\"admin\""), "{challenge}");
        assert!(challenge.contains(METADATA));

        let stepped_up = post(&uri, "admin", version, call("delete_file")).await;
        assert_eq!(stepped_up.status(), 200);
        assert!(stepped_up.text().await.unwrap().contains("deleted"));
    }
    let lying = post(&uri, "admin", Some("2026-07-28"), call("delete_file")).await;
    assert_eq!(lying.status(), 400);
    let body: Value = lying.json().await.unwrap();
    assert_eq!(body["error"]["code"], -32020);

    let twice = call("ping").replace("\"name\":", "\"name\":\"delete_file\",\"name\":");
    let confused = post(&uri, "read", None, twice).await;
    assert_eq!(confused.status(), 400);
}
