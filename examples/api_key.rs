//! API keys with names and scopes, replaced while serving.
//!
//! Run with
//!
//! ```sh
//! cargo run --example api_key
//! ```
//!
//! and paste the `curl` lines it prints: they hold keys made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/hello -H 'X-API-Key: …'
//! curl -i -X POST http://127.0.0.1:3000/keys -H 'X-API-Key: …'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/random.rs"]
mod random;
#[path = "support/trace.rs"]
mod trace;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_mcp_auth::api_key::{ApiKey, ApiKeyProvider};
use tower_mcp_auth::{ApiKeyLayer, Principal};

/// The keys in use, and the one that stays.
#[derive(Clone)]
struct Keys {
    live: ApiKeyProvider,
    admin: ApiKey,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (admin_key, ci_key) = (random::random()?, random::random()?);
    let admin = ApiKey::new(&admin_key)?
        .name("admin")
        .scopes(["keys:replace"])?;
    let ci = ApiKey::new(&ci_key)?.name("ci");
    let auth = ApiKeyLayer::new([admin.clone(), ci])?;

    // `live` shares its keys with the layer and all its clones.
    let live = auth.keys().clone();
    let app = Router::new()
        .route("/hello", get(hello))
        .route("/keys", post(replace))
        .with_state(Keys { live, admin })
        .layer(auth);

    let (listener, url) = listen::listen(3000).await;
    println!("# without a key: 401\ncurl -i {url}/hello\n");
    println!("# with a good key: 200\ncurl -i {url}/hello -H 'X-API-Key: {ci_key}'\n");
    println!("# with an unknown key: 401\ncurl -i {url}/hello -H 'X-API-Key: {ci_key}x'\n");
    println!("# with the key in the URL: 400\ncurl -i '{url}/hello?api_key={ci_key}'\n");
    println!(
        "# with a key without the scope: 403\ncurl -i -X POST {url}/keys -H 'X-API-Key: {ci_key}'\n"
    );
    println!(
        "# replacing the key of ci: 200\ncurl -i -X POST {url}/keys -H 'X-API-Key: {admin_key}'\n"
    );
    println!(
        "# with the key that was good before: 401\ncurl -i {url}/hello -H 'X-API-Key: {ci_key}'\n"
    );
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(principal: Principal) -> String {
    format!("hello {}\n", principal.subject().unwrap_or("somebody"))
}

/// Makes a new key for `ci`; the old one is refused from the next request on.
async fn replace(
    principal: Principal,
    State(keys): State<Keys>,
) -> Result<String, (StatusCode, &'static str)> {
    if !principal.scopes().contains("keys:replace") {
        return Err((StatusCode::FORBIDDEN, "this key may not replace keys\n"));
    }
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, "no new key was made\n");
    let key = random::random().map_err(|_| failed)?;
    let ci = ApiKey::new(&key).map_err(|_| failed)?.name("ci");
    keys.live.replace([keys.admin, ci]).map_err(|_| failed)?;
    Ok(format!("{key}\n"))
}
