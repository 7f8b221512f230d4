//! Opaque tokens and JWTs on one server: the authorization server is asked about the first
//! kind, and about those JWTs that may change something.
//!
//! Run with
//!
//! ```sh
//! cargo run --example introspection
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/mcp -H 'Authorization: Bearer ops_…'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, Principal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, url) = listen::listen(3000).await;
    let resource = format!("{url}/mcp");
    // Stands for the authorization server.
    let issuer = Issuer::builder()
        .client("mcp@example.com", "the-secret-of-this-server")
        .start()
        .await?;

    let introspection = Introspection::discovered()
        .client_secret_basic("mcp@example.com", "the-secret-of-this-server")?
        .token_prefix("ops_")?
        .introspect_jwts_with_scope("mcp:write")?
        .positive_ttl(Duration::from_secs(10));
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?
        .introspection(introspection)?;
    let auth = OAuthLayer::new(resource.as_str(), server)?;
    let app = Router::new().route("/mcp", get(whoami)).layer(auth);

    // The rest is what the authorization server does.
    let token = |scope: &str| issuer.token().audience(&resource).scope(scope);
    let (opaque, revoked) = (
        token("mcp:read").opaque_with_prefix("ops_"),
        token("mcp:read").opaque_with_prefix("ops_"),
    );
    let (reads, writes) = (token("mcp:read").sign(), token("mcp:write").sign());
    let revoked_reads = token("mcp:read").subject("bob").sign();
    let revoked_writes = token("mcp:write").subject("bob").sign();
    for token in [&revoked, &revoked_reads, &revoked_writes] {
        issuer.revoke(token);
    }
    println!("# without a token: 401\ncurl -i {url}/mcp\n");
    for (case, token) in [
        ("with an opaque token: 200", opaque.as_str()),
        ("with an opaque token that was revoked: 401", &revoked),
        (
            "with one that cannot be this server's, so nobody is asked: 401",
            "gho_a-token-of-others",
        ),
        ("with a JWT: 200", &reads),
        (
            "with a JWT that was revoked and may only read, so nobody is asked: 200",
            &revoked_reads,
        ),
        ("with a JWT that may write: 200", &writes),
        (
            "with a JWT that may write and was revoked: 401",
            &revoked_writes,
        ),
    ] {
        println!("# {case}\ncurl -i {url}/mcp -H 'Authorization: Bearer {token}'\n");
    }
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Cannot tell the two kinds of tokens apart, and need not.
async fn whoami(principal: Principal) -> String {
    format!("{} with {}\n", principal.id(), principal.scopes())
}
