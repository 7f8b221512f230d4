//! Tokens that are bound to a key of their client (DPoP, RFC 9449): a stolen one is of no use.
//!
//! Run with
//!
//! ```sh
//! cargo run --example dpop
//! ```
//!
//! and paste the `curl` lines it prints, in their order and within five minutes: they hold tokens and
//! proofs made at start, and a proof is good once. A client makes one for each request.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/mcp -H 'Authorization: DPoP …' -H 'DPoP: …'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use axum::Router;
use axum::routing::get;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::testing::{DpopKey, Issuer};
use tower_mcp_auth::{OAuthLayer, Principal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, url) = listen::listen(3000).await;
    let resource = format!("{url}/mcp");
    // Stands for the authorization server.
    let issuer = Issuer::start().await?;

    let server =
        AuthorizationServer::insecure_http_on_loopback(issuer.url())?.dpop(DpopMode::Allowed);
    let auth = OAuthLayer::new(resource.as_str(), server)?;
    let app = Router::new().route("/mcp", get(whoami)).layer(auth);

    // The rest is what the client does, and a thief who has read one of its requests.
    let (key, thief) = (DpopKey::generate(), DpopKey::generate());
    let token = issuer.token().audience(&resource).bound_to(&key).sign();
    let bearer = issuer.token().audience(&resource).sign();
    let proof = |key: &DpopKey, method: &str| {
        let proof = key.proof(method, &resource);
        proof.access_token(&token).sign()
    };
    let first = proof(&key, "GET");
    println!("# without a token: 401\ncurl -i {resource}\n");
    for (case, token, proof) in [
        ("with a proof: 200", &token, &first),
        ("the same request again: 401", &token, &first),
        ("with a new proof: 200", &token, &proof(&key, "GET")),
        (
            "with one for another method: 401",
            &token,
            &proof(&key, "POST"),
        ),
        (
            "with one of the thief's own key: 401",
            &token,
            &proof(&thief, "GET"),
        ),
        (
            "a token that is not bound: 401",
            &bearer,
            &proof(&key, "GET"),
        ),
    ] {
        let proof = format!("-H 'DPoP: {proof}'");
        println!("# {case}\ncurl -i {resource} -H 'Authorization: DPoP {token}' {proof}\n");
    }
    for (case, token) in [
        ("a token that is bound, without its proof: 401", &token),
        ("one that is not bound: 200", &bearer),
    ] {
        println!("# {case}\ncurl -i {resource} -H 'Authorization: Bearer {token}'\n");
    }
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Is told nothing of keys and proofs.
async fn whoami(principal: Principal) -> String {
    format!("{}\n", principal.id())
}
