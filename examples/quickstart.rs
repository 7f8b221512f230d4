//! A protected MCP server: rmcp's streamable HTTP service behind an [`OAuthLayer`].
//!
//! Run with
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start. Or give the URL
//! `http://127.0.0.1:3000/mcp` to an MCP client, which finds its way to a token by itself.
//!
//! The authorization server is the development issuer of the feature `testing`: it approves
//! everything, without asking. Put the URL of yours in its place, and that of your server:
//! `OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")`.
//!
//! Each refusal is a line on the standard error, with its reason.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/mcp.rs"]
mod mcp;
#[path = "support/trace.rs"]
mod trace;

use axum::Router;
use tower_http::cors::AllowOrigin;
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, cors};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, origin) = listen::listen(3000).await;

    // Who we are, and whom we trust.
    let resource = format!("{origin}/mcp");
    let issuer = Issuer::start().await?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;

    // The guard; around it what keeps foreign hosts and pages out, and outermost what lets
    // clients in a browser see refusals.
    let auth = OAuthLayer::new(&resource, server)?;
    let metadata = format!("{origin}{}", auth.metadata_path());
    let app = Router::new()
        .route_service("/mcp", mcp::service())
        .layer(auth)
        .layer(OriginLayer::new(&resource)?)
        .layer(cors::layer(AllowOrigin::any()));

    print_requests(&issuer, &resource, &metadata);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

fn print_requests(issuer: &Issuer, resource: &str, metadata: &str) {
    let call = format!(
        "curl -i {resource} -H 'Content-Type: application/json' \
         -H 'Accept: application/json, text/event-stream' \
         -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"whoami\"}}}}'"
    );
    let good = issuer.token().audience(resource).sign();
    let other = issuer.token().audience("https://files.example.com").sign();
    let expired = issuer.token().audience(resource).expired().sign();
    println!("# without a token, and told where to get one: 401\n{call}\n");
    println!("# the metadata that the challenge names: 200\ncurl -i {metadata}\n");
    println!("# with a good token: 200\n{call} -H 'Authorization: Bearer {good}'\n");
    println!("# with a token for another server: 401\n{call} -H 'Authorization: Bearer {other}'\n");
    println!("# with an expired token: 401\n{call} -H 'Authorization: Bearer {expired}'\n");
    println!("# for an MCP client, which needs no token from here\n{resource}\n");
}
