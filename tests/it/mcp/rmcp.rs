//! A server of rmcp behind the layers, on loopback, asked by rmcp's own client.

use ::rmcp::model::CallToolRequestParams;
use axum::Router;
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_mcp_auth::mcp::{McpListsLayer, McpPolicy, McpScopesLayer};

use crate::mcp::support::{METADATA, auth, call};
use common::loopback;
use common::mcp_server::{Tool, mcp_server, with_sessions};
use common::rmcp_dance::connect_with;

const TOOLS: &[Tool] = &[
    ("ping", |_| "pong".to_owned()),
    ("get_file", |_| "got".to_owned()),
    ("put_file", |_| "put".to_owned()),
    ("delete_file", |_| "deleted".to_owned()),
];

fn policy() -> McpPolicy {
    serde_json::from_value(json!({
        "hierarchy": { "admin": ["write"], "write": ["read"] },
        "tools": { "ping": [], "get_*": "read", "put_*": "write", "delete_*": "admin" },
    }))
    .unwrap()
}

/// With sessions and event streams, or without and with JSON.
async fn serve(sessions: bool) -> String {
    let guarded = ServiceBuilder::new()
        .layer(auth())
        .layer(McpScopesLayer::new(policy()))
        .layer(McpListsLayer::new(policy()))
        .service(mcp_server(TOOLS, with_sessions(sessions)));
    let (listener, origin) = loopback::bind().await;
    loopback::serve(listener, Router::new().nest_service("/mcp", guarded));
    format!("{origin}/mcp")
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
            let client = connect_with(&uri, Some(token)).await.unwrap();
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
        let client = connect_with(&uri, Some("read")).await.unwrap();
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
