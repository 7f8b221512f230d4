//! rmcp on both sides: its client does the whole OAuth dance with a server of rmcp behind
//! [`OAuthLayer`] and the development issuer.

#[path = "common/rmcp_dance.rs"]
mod rmcp_dance;

use std::sync::Arc;

use axum::Router;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tokio::net::TcpListener;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::{Endpoint, Issuer};
use tower_mcp_auth::{OAuthLayer, Principal};

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Says who calls, and what they may do")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let principal = Principal::from_extensions(&parts.extensions).expect("a principal");
        assert!(!parts.headers.contains_key("authorization"));
        format!(
            "{} {}",
            principal.subject().expect("a subject"),
            principal.scopes()
        )
    }
}

/// A server with sessions that needs the scope `mcp:read`, and its issuer.
async fn server() -> (String, Issuer) {
    let issuer = Issuer::start().await.expect("an issuer");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let auth = OAuthLayer::builder(&url)
        .and_then(|layer| layer.authorization_server(server?))
        .and_then(|layer| layer.required_scopes(["mcp:read"]).build())
        .expect("a layer");
    let service = StreamableHttpService::new(
        || Ok(Tools),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let app = Router::new().route_service("/mcp", service).layer(auth);
    tokio::spawn(async { axum::serve(listener, app).await });
    (url, issuer)
}

async fn completes_the_dance(challenge_first: bool) {
    let (url, issuer) = server().await;
    let challenge = if challenge_first {
        let refused = reqwest::Client::new().post(&url).send().await;
        let refused = refused.expect("an answer");
        assert_eq!(refused.status(), 401);
        let challenge = refused.headers()["www-authenticate"].to_str();
        Some(challenge.expect("ASCII").to_owned())
    } else {
        None
    };

    let client = rmcp_dance::dance(&url, challenge.as_deref()).await;
    let (tools, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(tools, ["whoami"]);
    // The scope is granted because the client asked for it, and it asked because the
    // challenge named it.
    assert_eq!(whoami, "alice mcp:read");
    client.cancel().await.expect("the end");

    for (endpoint, requests) in [
        (Endpoint::Register, 1),
        (Endpoint::Authorize, 1),
        (Endpoint::Token, 1),
        // By the layer; whatever the client sends, the keys are fetched once.
        (Endpoint::Jwks, 1),
    ] {
        assert_eq!(issuer.requests(endpoint), requests, "{endpoint:?}");
    }
}

#[tokio::test]
async fn rmcp_client_completes_the_dance() {
    completes_the_dance(false).await;
}

#[tokio::test]
async fn rmcp_client_completes_the_dance_from_a_challenge() {
    completes_the_dance(true).await;
}
