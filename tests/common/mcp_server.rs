//! The server of rmcp that tests put layers around: what a tool says is a function of the request.
//!
//! There is one type of it, which is used here already: for each type, rmcp is 5,000 functions to
//! compile, in each crate that is the first to use it.

use std::sync::Arc;

use axum::Router;
use http::request::Parts;
use rmcp::handler::server::common::schema_for_empty_input;
use rmcp::handler::server::router::tool::{ToolRoute, ToolRouter};
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{self, CallToolResult, ContentBlock};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool_handler};
use tower_mcp_auth::Principal;

/// The name of a tool, and what it says.
pub type Tool = (&'static str, fn(&Parts) -> String);

/// The tools of a server.
#[derive(Clone)]
pub struct Tools {
    router: ToolRouter<Self>,
}

impl Tools {
    fn new(tools: &[Tool]) -> Self {
        let mut router = ToolRouter::new();
        for &(name, says) in tools {
            let tool = model::Tool::new(name, "Of the tests", schema_for_empty_input());
            let route = ToolRoute::new_dyn(tool, move |call: ToolCallContext<'_, Self>| {
                let parts = call.request_context.extensions.get();
                let said = says(parts.expect("a request over HTTP"));
                Box::pin(async {
                    Ok(CallToolResult::success(vec![ContentBlock::text(said)]).into())
                })
            });
            router.add_route(route);
        }
        Self { router }
    }
}

#[tool_handler(router = self.router)]
impl ServerHandler for Tools {}

/// The server, to put a layer around.
pub type McpServer = StreamableHttpService<Tools, LocalSessionManager>;

/// A server with these tools.
pub fn mcp_server(tools: &'static [Tool], config: StreamableHttpServerConfig) -> McpServer {
    StreamableHttpService::new(move || Ok(Tools::new(tools)), Arc::default(), config)
}

/// The same at `/mcp`, where most of them are.
pub fn mcp_app(tools: &'static [Tool], config: StreamableHttpServerConfig) -> Router {
    Router::new().route_service("/mcp", mcp_server(tools, config))
}

/// With sessions and event streams, or without and with JSON.
pub fn with_sessions(sessions: bool) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(sessions)
        .with_json_response(!sessions)
}

/// The subject of the caller, or `anonymous`.
pub fn subject(parts: &Parts) -> String {
    let principal = Principal::from_extensions(&parts.extensions);
    let subject = principal.and_then(Principal::subject);
    subject.unwrap_or("anonymous").to_owned()
}
