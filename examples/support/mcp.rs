//! A small MCP server, unprotected: two tools over streamable HTTP, without sessions.

use std::sync::Arc;

use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tower_mcp_auth::Principal;

/// The service, to put a layer around.
pub(crate) fn service() -> StreamableHttpService<Tools, NeverSessionManager> {
    // rmcp answers 403 to every host but those of loopback, and so to the public one that a
    // proxy passes on. An `OriginLayer` further out knows that from the resource.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    StreamableHttpService::new(
        || Ok(Tools),
        Arc::new(NeverSessionManager::default()),
        config,
    )
}

#[derive(Clone)]
pub(crate) struct Tools;

#[derive(serde::Deserialize, JsonSchema)]
struct Numbers {
    a: i64,
    b: i64,
}

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Says who calls")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        match Principal::from_extensions(&parts.extensions) {
            Some(principal) => principal.subject().unwrap_or("somebody").to_owned(),
            None => "nobody".to_owned(),
        }
    }

    #[tool(description = "Adds two numbers")]
    async fn add(&self, Parameters(Numbers { a, b }): Parameters<Numbers>) -> String {
        a.checked_add(b)
            .map_or_else(|| "too large".to_owned(), |sum| sum.to_string())
    }
}
