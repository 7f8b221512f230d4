//! DPoP proofs that other programs make.

use axum::Router;
use axum::routing::any;
use tokio::process::Command;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::testing::Issuer;

use crate::programs::{Running, node, python};

/// A server whose tokens are bound, and its issuer. `nonces`: whether it asks for them.
struct Server {
    issuer: Issuer,
    resource: String,
}

impl Server {
    async fn start(nonces: bool) -> Self {
        let issuer = Issuer::start().await.expect("an issuer");
        let (listener, resource) = common::loopback::bind_mcp().await;
        let mut options = DpopOptions::new();
        if nonces {
            let set = options.nonce_secret("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5");
            options = set.expect("a secret");
        }
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())
            .expect("an authorization server");
        let layer = OAuthLayer::builder(&resource)
            .and_then(|layer| layer.authorization_server(server.dpop(DpopMode::Required)))
            .and_then(|layer| layer.dpop_options(options).build())
            .expect("a layer");
        let app = Router::new().fallback(any(async || "ok")).layer(layer);
        common::loopback::serve(listener, app);
        Self { issuer, resource }
    }

    fn token(&self, thumbprint: &str) -> String {
        let token = self.issuer.token().audience(&self.resource);
        let cnf = serde_json::json!({ "jkt": thumbprint });
        token.claim("cnf", cnf).sign()
    }
}

#[tokio::test]
#[ignore = "needs npm packages"]
async fn the_official_client_proves_its_key() {
    for nonces in [false, true] {
        let server = Server::start(nonces).await;
        for alg in ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"] {
            let mut client = Running::start(node("dpop-client.mjs").arg(alg));
            let thumbprint = client.line("key ").await;
            let token = server.token(&thumbprint);
            client.command(&format!("token {token}"), "ok").await;
            let url = &server.resource;
            // It is told a nonce once.
            let first = if nonces { "200 2" } else { "200 1" };
            for (request, answer) in [
                (format!("request POST {url}"), first),
                (format!("request GET {url}"), "200 1"),
                (format!("request DELETE {url}?a=b"), "200 1"),
                ("repeat".to_owned(), "401 1"),
                (format!("request POST {url}"), "200 1"),
            ] {
                let said = client.ask(&request, "answer ").await;
                assert_eq!(said, answer, "{alg}, nonces {nonces}: {request}");
            }
            // The token of another client.
            let other = server.token("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
            client.command(&format!("token {other}"), "ok").await;
            let said = client.ask(&format!("request POST {url}"), "answer ").await;
            assert_eq!(said, "401 1", "{alg}");
        }
    }
}

#[tokio::test]
#[ignore = "needs Python packages"]
async fn proofs_of_joserfc_are_accepted() {
    let algs = [
        "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS256",
    ];
    accepted_once(&algs, || python("dpop_client.py")).await;
}

#[tokio::test]
#[ignore = "needs npm packages"]
async fn proofs_of_npm_dpop_are_accepted() {
    let algs = ["ES256", "Ed25519", "RS256", "PS256"];
    accepted_once(&algs, || node("dpop-proofs.mjs")).await;
}

/// Each proof of a program is good for its method, and once.
async fn accepted_once(algs: &[&str], program: impl Fn() -> Command) {
    let server = Server::start(false).await;
    let http = reqwest::Client::new();
    for alg in algs {
        let mut client = Running::start(program().arg(alg));
        let thumbprint = client.line("key ").await;
        let token = server.token(&thumbprint);
        let url = &server.resource;
        let proof = client.ask(&format!("POST {url} {token}"), "proof ").await;
        for (method, status) in [("GET", 401), ("POST", 200), ("POST", 401)] {
            let request = http
                .request(method.parse().expect("a method"), url)
                .header("authorization", format!("DPoP {token}"))
                .header("dpop", &proof);
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), status, "{alg} {method}");
        }
    }
}
