//! People with OAuth tokens and machines with API keys on one server, and a page for all.
//!
//! Run with
//!
//! ```sh
//! cargo run --example several
//! ```
//!
//! and paste the `curl` lines it prints: they hold a token and a key made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/mcp -H 'Authorization: Bearer eyJ…'
//! curl -i http://127.0.0.1:3000/mcp -H 'Authorization: Bearer acme_…'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use axum::Router;
use axum::routing::get;
use tower_mcp_auth::api_key::{ApiKey, ApiKeyScheme};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::scopes::RequireScopesLayer;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{ApiKeyLayer, OAuthLayer, Principal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, url) = listen::listen(3000).await;
    let resource = format!("{url}/mcp");
    // Stands for the authorization server.
    let issuer = Issuer::builder().start().await?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
    let oauth = OAuthLayer::new(resource.as_str(), server)?;

    // Among bearer tokens the prefix tells what is a key.
    let new = ApiKey::generate("acme")?;
    let key = new.to_api_key().owner("ci").scopes(["mcp:read"])?;
    let keys = ApiKeyLayer::new([key])?
        .authorization_scheme(ApiKeyScheme::Bearer)?
        .prefix("acme_")?;

    // Who presents nothing is nobody, and gets no further than `/`.
    let auth = oauth.or(keys)?.optional();
    let mcp = Router::new()
        .route("/mcp", get(whoami))
        .layer(RequireScopesLayer::new(["mcp:read"])?);
    let app = Router::new()
        .route("/", get(welcome))
        .merge(mcp)
        .layer(auth);

    let token = issuer.token().audience(&resource).scope("mcp:read").sign();
    let expired = issuer.token().audience(&resource).expired().sign();
    let key = new.expose();
    println!("# nobody, where anybody may be: 200\ncurl -i {url}/\n");
    println!("# nobody, where somebody must be: 401\ncurl -i {url}/mcp\n");
    for (case, path, credential) in [
        ("with a token: 200", "/mcp", token.as_str()),
        ("with a key: 200", "/mcp", key),
        ("with a key nobody has: 401", "/mcp", "acme_of-nobody"),
        (
            "with an expired token, where anybody may be: 401",
            "/",
            &expired,
        ),
    ] {
        println!("# {case}\ncurl -i {url}{path} -H 'Authorization: Bearer {credential}'\n");
    }
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn welcome(who: Option<Principal>) -> &'static str {
    match who {
        Some(_) => "welcome, you are known\n",
        None => "welcome\n",
    }
}

/// Cannot tell tokens from keys, and need not.
async fn whoami(principal: Principal) -> String {
    format!("{} with {}\n", principal.id(), principal.scopes())
}
