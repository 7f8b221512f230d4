//! An authorization server that does not speak RFC 7662: it is asked with a `GET` to its
//! token-info endpoint, by code of the application.
//!
//! Run with
//!
//! ```sh
//! cargo run --example token_info
//! ```
//!
//! and paste the `curl` lines it prints.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/mcp -H 'Authorization: Bearer token-of-alice-0001'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, Introspect, IntrospectFuture, Introspection, IntrospectionError,
    IntrospectionResponse,
};
use tower_mcp_auth::{OAuthLayer, Principal};

/// Where tokens are asked about.
#[derive(Debug)]
struct TokenInfo {
    url: String,
}

/// What the server answers: its own names for what RFC 7662 calls `aud`, `sub` and `exp`.
#[derive(serde::Deserialize)]
struct Info {
    issued_to: String,
    user_id: String,
    expires_at: u64,
    scope: String,
}

impl Introspect for TokenInfo {
    fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> IntrospectFuture {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", token)
            .finish();
        let request = Request::get(format!("{}?{query}", self.url)).body(Bytes::new());
        Box::pin(async move {
            let request = request.map_err(|_| IntrospectionError::failed("no URL"))?;
            let response = fetch.fetch(request, 64 * 1024).await?;
            match response.status() {
                StatusCode::OK => {}
                // This server's way to say that the token is not good.
                StatusCode::BAD_REQUEST => return Ok(IntrospectionResponse::inactive()),
                status => return Err(IntrospectionError::failed(format!("status {status}"))),
            }
            let info: Info = serde_json::from_slice(response.body())
                .map_err(|_| IntrospectionError::failed("not what a token info looks like"))?;
            let mut claims = Map::new();
            claims.insert("aud".to_owned(), info.issued_to.into());
            claims.insert("sub".to_owned(), info.user_id.into());
            claims.insert("exp".to_owned(), info.expires_at.into());
            claims.insert("scope".to_owned(), info.scope.into());
            Ok(IntrospectionResponse::active(claims))
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let issuer = token_info_server().await?;
    let (listener, url) = listen::listen(3000).await;
    let resource = format!("{url}/mcp");

    let introspection = Introspection::custom(TokenInfo {
        url: format!("{issuer}/tokeninfo"),
    })
    // The server says which client a token was issued to, and these are ours.
    .audience("mcp-clients")?
    // It has no keys, so whatever looks like a JWT is asked about as well.
    .introspect_jwts_only()?;
    let server =
        AuthorizationServer::insecure_http_on_loopback(issuer)?.introspection(introspection)?;
    let auth = OAuthLayer::new(resource.as_str(), server)?;
    let app = Router::new().route("/mcp", get(whoami)).layer(auth);

    println!("# without a token: 401\ncurl -i {url}/mcp\n");
    for (case, token) in [
        ("with a token the server knows: 200", "token-of-alice-0001"),
        ("with one of another client: 401", "token-of-alice-0002"),
        ("with one it does not know: 401", "token-of-nobody-001"),
    ] {
        println!("# {case}\ncurl -i {url}/mcp -H 'Authorization: Bearer {token}'\n");
    }
    println!("listening on {url}");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn whoami(principal: Principal) -> String {
    format!("{} with {}\n", principal.id(), principal.scopes())
}

/// Stands for the authorization server; its URL.
async fn token_info_server() -> std::io::Result<String> {
    #[derive(serde::Deserialize)]
    struct Asked {
        access_token: String,
    }
    let info = |client: &str| {
        json!({
            "issued_to": client, "user_id": "alice", "expires_at": 4_102_444_800_u64,
            "scope": "mcp:read",
        })
    };
    let answer = move |Query(asked): Query<Asked>| async move {
        match asked.access_token.as_str() {
            "token-of-alice-0001" => (StatusCode::OK, axum::Json(info("mcp-clients"))),
            "token-of-alice-0002" => (StatusCode::OK, axum::Json(info("other-clients"))),
            _ => (StatusCode::BAD_REQUEST, axum::Json(Value::Null)),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/tokeninfo", get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
