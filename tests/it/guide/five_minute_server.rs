//! `src/main.rs` of the chapter "Five-minute server", and its test.

use std::sync::Arc;

use axum::Router;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tower_mcp_auth::mcp::{MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{ConfigError, OAuthLayer};

#[derive(Clone)]
struct Notes;

#[tool_router(server_handler)]
impl Notes {
    #[tool(description = "Reads the notes")]
    async fn get_notes(&self) -> String {
        "buy milk".to_owned()
    }

    #[tool(description = "Adds a note")]
    async fn add_note(&self) -> String {
        "added".to_owned()
    }
}

/// The server, for the URL that clients use and the authorization server that issues their tokens.
fn app(resource: &str, server: AuthorizationServer) -> Result<Router, ConfigError> {
    let policy = McpPolicy::builder()
        .tool("get_*", "notes:read")?
        .tool("add_note", "notes:write")?
        .build()?; // what no rule names is denied
    let stack = McpStack::new(
        OriginLayer::new(resource)?,
        OAuthLayer::new(resource, server)?,
    )
    .sessions(SessionBindingLayer::new(MacKey::ephemeral()?).server(resource))
    .policy(policy)?;
    // rmcp checks hosts too, and knows none but those of loopback: the stack does it.
    let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    let service =
        StreamableHttpService::new(|| Ok(Notes), Arc::<LocalSessionManager>::default(), config);
    Ok(Router::new().route_service("/mcp", service).layer(stack))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each refusal is a line with its reason.
    tracing_subscriber::fmt()
        .with_env_filter("info,tower_mcp_auth=debug")
        .init();

    let resource = "http://127.0.0.1:3000/mcp";
    let issuer = Issuer::start().await?; // for development alone: it approves everything
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
    let app = app(resource, server)?;

    let token = issuer.token().audience(resource).scope("notes:read").sign();
    println!("a token that may read:\n{token}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;

    const RESOURCE: &str = "https://mcp.example.com/mcp";

    fn call(tool: &str, token: Option<&str>) -> Request<Body> {
        let mut request = Request::post(RESOURCE)
            .header("Host", "mcp.example.com")
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("Mcp-Method", "tools/call")
            .header("Mcp-Name", tool);
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let about_the_client = r#"{
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {}
        }"#;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",
                "params":{{"name":"{tool}","arguments":{{}},"_meta":{about_the_client}}}}}"#
        );
        request.body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn each_tool_asks_for_its_scope() {
        let issuer = Issuer::start().await.unwrap();
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        let app = app(RESOURCE, server).unwrap();
        let token = |scope: &str| issuer.token().audience(RESOURCE).scope(scope).sign();
        let (read, write) = (token("notes:read"), token("notes:write"));
        let elsewhere = issuer.token().audience("https://other.example.com").sign();

        for (tool, token, status) in [
            ("get_notes", None, StatusCode::UNAUTHORIZED),
            ("get_notes", Some(&*elsewhere), StatusCode::UNAUTHORIZED),
            ("get_notes", Some(&*read), StatusCode::OK),
            ("add_note", Some(&*read), StatusCode::FORBIDDEN),
            ("add_note", Some(&*write), StatusCode::OK),
        ] {
            let response = app.clone().oneshot(call(tool, token)).await.unwrap();
            assert_eq!(response.status(), status, "{tool}");
        }
    }
}
