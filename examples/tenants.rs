//! Two tenants on one MCP server, each a resource of its own: a template in place of a URL.
//!
//! Run with
//!
//! ```sh
//! cargo run --example tenants
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start. Or give both URLs,
//! `http://127.0.0.1:3000/acme/mcp` and `http://127.0.0.1:3000/globex/mcp`, to one MCP client:
//! it needs a token for each.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use std::sync::Arc;

use axum::Router;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tower_mcp_auth::mcp::{MacKey, McpStack, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, Principal, Tenants};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, origin) = listen::listen(3000).await;

    // As in the quickstart: the development issuer stands for your authorization server.
    let issuer = Issuer::start().await?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;

    // One layer for all tenants. Of a token it asks that it is for the tenant in the path.
    let tenants = Tenants::new(["acme", "globex"])?;
    let template = ProtectedResource::from_template(format!("{origin}/{{tenant}}/mcp"), tenants)?;
    let oauth = OAuthLayer::new(template, server)?;
    let stack = McpStack::new(OriginLayer::from_hosts(oauth.hosts()), oauth)
        // A session is one person's at one tenant.
        .sessions(SessionBindingLayer::new(MacKey::ephemeral()?));

    // Around the router, not inside of `nest`: the layer must see the whole path.
    let app = Router::new()
        .route_service("/{tenant}/mcp", service())
        .layer(stack);

    print_requests(&issuer, &origin);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

fn service() -> StreamableHttpService<Tools, LocalSessionManager> {
    // The `OriginLayer` knows the hosts.
    let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    StreamableHttpService::new(|| Ok(Tools), Arc::default(), config)
}

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Says who calls, and at which resource")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let principal = Principal::from_extensions(&parts.extensions);
        let who = principal.and_then(Principal::subject).unwrap_or("nobody");
        let resource = principal.and_then(Principal::resource);
        let resource = resource.map_or("no resource", |resource| resource.url());
        format!("{who} at {resource}")
    }
}

fn print_requests(issuer: &Issuer, origin: &str) {
    let url = |tenant: &str| format!("{origin}/{tenant}/mcp");
    let curl = |tenant: &str| {
        format!(
            "curl -i {} -H 'Content-Type: application/json' \
             -H 'Accept: application/json, text/event-stream'",
            url(tenant)
        )
    };
    let bearer = |tenant: &str| {
        let token = issuer.token().audience(&url(tenant)).sign();
        format!("-H 'Authorization: Bearer {token}'")
    };
    let (acme, globex) = (bearer("acme"), bearer("globex"));
    // Revision 2026-07-28: every request stands alone, and its headers say what it is.
    let whoami = r#"-H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: whoami' -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"curl","version":"8"},"io.modelcontextprotocol/clientCapabilities":{}}}}'"#;
    // Until 2025-11-25 a session is opened first.
    let initialize = r#"-d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"8"}}}'"#;

    for (tenant, own, other) in [("acme", &acme, &globex), ("globex", &globex, &acme)] {
        let curl = curl(tenant);
        let metadata = format!("{origin}/.well-known/oauth-protected-resource/{tenant}/mcp");
        println!("# {tenant}, without a token: 401\n{curl} {whoami}\n");
        println!("# the metadata that the challenge of {tenant} names: 200\ncurl -i {metadata}\n");
        println!("# {tenant}, with a token for it: 200\n{curl} {own} {whoami}\n");
        println!("# {tenant}, with a token for the other tenant: 401\n{curl} {other} {whoami}\n");
        println!(
            "# a session of {tenant}, for clients of 2025-11-25: 200\n{curl} {own} {initialize}\n"
        );
    }
    let hooli = curl("hooli");
    println!("# a tenant that there is not: 404\n{hooli} {acme} {whoami}\n");
    let elsewhere = "-H 'Host: evil.example'";
    println!(
        "# a host that there is not: 421\n{} {elsewhere} {acme} {whoami}\n",
        curl("acme")
    );
    println!(
        "# for an MCP client, which needs no tokens from here\n{}\n{}\n",
        url("acme"),
        url("globex")
    );
}
