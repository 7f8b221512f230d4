//! axum: one layer on a router, the caller as an argument of the handler.
//!
//! Run with
//!
//! ```sh
//! cargo run --example axum
//! ```
//!
//! and paste the `curl` lines it prints: they hold a token made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/health
//! curl -i http://127.0.0.1:3000/hello
//! curl -i http://127.0.0.1:3000/hello -H 'Authorization: Bearer …'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/random.rs"]
mod random;
#[path = "support/token.rs"]
mod token;
#[path = "support/trace.rs"]
mod trace;

use axum::Router;
use axum::routing::get;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::{JwtLayer, Principal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let secret = random::random()?;
    let auth = JwtLayer::new(Secret::new(&secret)?)?.public_path("/health")?;

    // The layer comes after the routes: a route added below it would be unprotected.
    let app = Router::new()
        .route("/hello", get(hello))
        .route("/health", get(health))
        .layer(auth);

    let (listener, url) = listen::listen(3000).await;
    let key = EncodingKey::from_secret(secret.as_bytes());
    let claims = json!({ "sub": "alice", "exp": token::now() + 3600 });
    let token = token::sign(Algorithm::HS256, &key, &claims)?;
    println!("# a public path: 200\ncurl -i {url}/health\n");
    println!("# without a token: 401\ncurl -i {url}/hello\n");
    println!("# with a good token: 200\ncurl -i {url}/hello -H 'Authorization: Bearer {token}'\n");
    println!(
        "# with a good token, but in the URL: 400\ncurl -i '{url}/hello?access_token={token}'\n"
    );
    println!("# an unknown path, without a token: 401\ncurl -i {url}/nowhere\n");
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(principal: Principal) -> String {
    format!("hello {}\n", principal.subject().unwrap_or("somebody"))
}

/// `Option`, because nobody need be known on a public path.
async fn health(principal: Option<Principal>) -> &'static str {
    match principal {
        Some(_) => "well, and you are known\n",
        None => "well\n",
    }
}
