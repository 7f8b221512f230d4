//! A protected MCP server: rmcp's streamable HTTP service behind a [`JwtLayer`].
//!
//! Run with
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/mcp -H 'Authorization: Bearer …' \
//!   -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
//!   -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/mcp.rs"]
mod mcp;
#[path = "support/random.rs"]
mod random;
#[path = "support/token.rs"]
mod token;

use axum::Router;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::Secret;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (listener, origin) = listen::listen(3000).await;
    let url = format!("{origin}/mcp");

    // The guard.
    let secret = random::random()?;
    let auth = JwtLayer::builder(Secret::new(&secret)?)
        .audience(&*url)
        .build()?;

    // What it guards.
    let app = Router::new()
        .route_service("/mcp", mcp::service())
        .layer(auth);

    let key = EncodingKey::from_secret(secret.as_bytes());
    let token = |exp: u64| {
        let claims = json!({ "sub": "alice", "aud": url, "exp": exp });
        token::sign(Algorithm::HS256, &key, &claims)
    };
    print_requests(
        &url,
        &token(token::now() + 3600)?,
        &token(token::now() - 3600)?,
    );
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

fn print_requests(url: &str, good: &str, expired: &str) {
    let post = |body: &str| {
        format!(
            "curl -i {url} -H 'Content-Type: application/json' \
             -H 'Accept: application/json, text/event-stream' -d '{body}'"
        )
    };
    let list = post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let call = post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}"#);
    println!("# without a token: 401\n{call}\n");
    println!("# with a good token: 200\n{list} -H 'Authorization: Bearer {good}'\n");
    println!(
        "# with a good token, calling a tool: 200\n{call} -H 'Authorization: Bearer {good}'\n"
    );
    println!("# with an expired token: 401\n{call} -H 'Authorization: Bearer {expired}'\n");
}
