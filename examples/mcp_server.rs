//! A whole MCP server behind the [`McpStack`]: hosts and origins, tokens, sessions, and the
//! scopes of each tool.
//!
//! Run with
//!
//! ```sh
//! cargo run --example mcp_server
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start. Or give the URL
//! `http://127.0.0.1:3000/mcp` to an MCP client. The four tools are in `support/notes.rs`.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/notes.rs"]
mod notes;
#[path = "support/trace.rs"]
mod trace;

use std::time::Duration;

use axum::Router;
use tower_http::cors::AllowOrigin;
use tower_mcp_auth::mcp::{MacKey, McpStack, OriginLayer, PrincipalSealer, SessionBindingLayer};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, cors};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, origin) = listen::listen(3000).await;
    let resource = format!("{origin}/mcp");

    // As in the quickstart: the development issuer stands for your authorization server.
    let issuer = Issuer::start().await?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
    // What a client asks for at first; the rest it asks for when a tool needs it.
    let about_us = ProtectedResource::new(&*resource)?.scopes_supported(["notes:read"])?;

    // Every replica needs the same key. This server is one process, and its sessions and
    // confirmations end with it.
    let key = MacKey::ephemeral()?;
    let stack = McpStack::new(
        OriginLayer::new(&resource)?,
        OAuthLayer::new(about_us, server)?,
    )
    .sessions(SessionBindingLayer::new(key.clone()).server(&*resource))
    .policy(notes::policy()?)?;

    let sealer = PrincipalSealer::new(key).purpose("confirmation");
    let service = notes::service(sealer, Duration::from_secs(15));
    let app = Router::new()
        .route_service("/mcp", service)
        .layer(stack)
        .layer(cors::layer(AllowOrigin::mirror_request()));

    print_requests(&issuer, &resource);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

fn print_requests(issuer: &Issuer, resource: &str) {
    let curl = format!(
        "curl -i {resource} -H 'Content-Type: application/json' \
         -H 'Accept: application/json, text/event-stream'"
    );
    let bearer = |scope: &str| {
        let token = issuer.token().audience(resource).scope(scope).sign();
        format!("-H 'Authorization: Bearer {token}'")
    };
    let (read, write) = (bearer("notes:read"), bearer("notes:write"));
    // Revision 2026-07-28: every request stands alone, and its headers say what it is.
    let newest = "-H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call'";
    let call = |header: &str, body: &str, arguments: &str| {
        format!(
            "{newest} -H 'Mcp-Name: {header}' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\
             \"method\":\"tools/call\",\"params\":{{\"name\":\"{body}\",\
             \"arguments\":{arguments},\"_meta\":{{\
             \"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
             \"io.modelcontextprotocol/clientInfo\":{{\"name\":\"curl\",\"version\":\"8\"}},\
             \"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}'"
        )
    };
    let list = call("list_notes", "list_notes", "{}");
    let add = call("add_note", "add_note", r#"{"text":"buy milk"}"#);
    let lie = call("list_notes", "add_note", r#"{"text":"buy milk"}"#);
    // Until 2025-11-25 a session is opened first.
    let initialize = r#"-d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"8"}}}'"#;
    let twice = r#"-d '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"add_note"}}'"#;

    println!("# without a token: 401\n{curl} {list}\n");
    println!("# notes:read is enough to list: 200\n{curl} {read} {list}\n");
    println!("# and not to add; the challenge names what is needed: 403\n{curl} {read} {add}\n");
    println!("# with a second token, of more scope: 200\n{curl} {write} {add}\n");
    println!("# which includes the smaller one: 200\n{curl} {write} {list}\n");
    println!("# a header that says another tool than the body: 400\n{curl} {read} {lie}\n");
    println!("# a body that says two methods: 400\n{curl} {read} {twice}\n");
    println!(
        "# a page of another origin: 403\n{curl} {read} -H 'Origin: https://evil.example' {list}\n"
    );
    println!("# a session, for clients of 2025-11-25: 200\n{curl} {read} {initialize}\n");
    println!(
        "# a session that is not yours: 404\n{curl} {read} -H 'Mcp-Session-Id: stolen' {initialize}\n"
    );
    println!("# for an MCP client, which needs no token from here\n{resource}\n");
}
