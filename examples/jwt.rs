//! JWTs checked with a public key, and their claims as a type of the application.
//!
//! Run with
//!
//! ```sh
//! cargo run --example jwt
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/tenant -H 'Authorization: Bearer …'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/token.rs"]
mod token;
#[path = "support/trace.rs"]
mod trace;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use tower_mcp_auth::jose::PublicKey;
use tower_mcp_auth::{Claims, JwtLayer};

const ISSUER: &str = "https://issuer.example.com";
const AUDIENCE: &str = "https://mcp.example.com";

/// What the issuer says about the caller, besides who it is.
#[derive(serde::Deserialize)]
struct Tenant {
    tenant: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let pair = Ed25519KeyPair::generate()?;
    let auth = JwtLayer::builder(public_key(&pair)?)
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .required_scopes(["tenant:read"])
        .build()?;
    let app = Router::new().route("/tenant", get(tenant)).layer(auth);

    let (listener, url) = listen::listen(3000).await;
    // The rest is what the issuer does.
    let key = EncodingKey::from_ed_der(pair.to_pkcs8v1()?.as_ref());
    let token = |audience: &str, scope: &str, exp: u64| {
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": "alice", "tenant": "acme",
            "scope": scope, "exp": exp,
        });
        token::sign(Algorithm::EdDSA, &key, &claims)
    };
    let (later, before) = (token::now() + 3600, token::now() - 3600);
    let cases = [
        (
            "with a good token: 200",
            token(AUDIENCE, "tenant:read", later)?,
        ),
        (
            "with an expired token: 401",
            token(AUDIENCE, "tenant:read", before)?,
        ),
        (
            "with a token for another server: 401",
            token("https://files.example.com", "tenant:read", later)?,
        ),
        (
            "with a token of too little scope: 403",
            token(AUDIENCE, "tenant:list", later)?,
        ),
    ];
    println!("# without a token: 401\ncurl -i {url}/tenant\n");
    for (case, token) in cases {
        println!("# {case}\ncurl -i {url}/tenant -H 'Authorization: Bearer {token}'\n");
    }
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// A good token without this claim is rejected with 403: the issuer made a mistake.
async fn tenant(Claims(Tenant { tenant }): Claims<Tenant>) -> String {
    format!("{tenant}\n")
}

/// The issuer publishes it as a JWK; PEM and DER are read as well.
fn public_key(pair: &Ed25519KeyPair) -> Result<PublicKey, tower_mcp_auth::ConfigError> {
    let x = BASE64URL.encode(pair.public_key());
    PublicKey::from_jwk(json!({ "kty": "OKP", "crv": "Ed25519", "x": x }).to_string())
}
