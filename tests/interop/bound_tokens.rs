//! Tokens that real authorization servers bind to the key of a proof, whose maker is another program.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::{AuthError, OAuthLayer, Principal};

use crate::oidc_provider::{Provider, RESOURCE};
use crate::programs::{Running, node};

/// A layer that takes tokens of this server, bound ones alone.
fn layer(issuer: &str) -> OAuthLayer {
    let server = AuthorizationServer::insecure_http_on_loopback(issuer);
    let server = server.expect("a server").dpop(DpopMode::Required);
    OAuthLayer::new(RESOURCE, server).expect("a layer")
}

/// What becomes of a request: the reason, or the thumbprint that the token names.
async fn ask(layer: &OAuthLayer, scheme: &str, token: &str, proof: &str) -> String {
    let inner = service_fn(async |request: Request<Full<Bytes>>| {
        let principal = Principal::from_extensions(request.extensions()).expect("a principal");
        let bound = principal.claims()["cnf"]["jkt"].as_str();
        let mut response = Response::new(Full::<Bytes>::default());
        response
            .extensions_mut()
            .insert(bound.expect("a key").to_owned());
        Ok::<_, Infallible>(response)
    });
    let request = Request::post("/mcp")
        .header("authorization", format!("{scheme} {token}"))
        .header("dpop", proof)
        .body(Full::default())
        .expect("a request");
    let response = layer.layer(inner).oneshot(request).await;
    let response = response.expect("a response");
    match response.extensions().get::<AuthError>() {
        Some(error) => error.reason().to_owned(),
        None => response.extensions().get::<String>().expect("it").clone(),
    }
}

/// Asks for a token with a proof for the token endpoint.
async fn bound_token(endpoint: &str, client: (&str, &str), proof: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "mcp:read"),
        ("resource", RESOURCE),
    ];
    let request = reqwest::Client::new()
        .post(endpoint)
        .basic_auth(client.0, Some(client.1))
        .header("dpop", proof)
        .form(&form);
    let answer = request.send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(answer["token_type"], "DPoP", "{answer}");
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// A token is good with a proof of the key it was bound to, and with no other.
async fn only_with_proofs_of_its_key(
    issuer: &str,
    endpoint: &str,
    client: (&str, &str),
    algs: [&str; 2],
) {
    let layer = layer(issuer);
    for alg in algs {
        let mut holder = Running::start(node("dpop-proofs.mjs").arg(alg));
        let mut thief = Running::start(node("dpop-proofs.mjs").arg(alg));
        let thumbprint = holder.line("key ").await;
        let proof = holder.ask(&format!("POST {endpoint}"), "proof ").await;
        let token = bound_token(endpoint, client, &proof).await;

        let request = format!("POST {RESOURCE} {token}");
        let proof = holder.ask(&request, "proof ").await;
        assert_eq!(ask(&layer, "Bearer", &token, &proof).await, "bound_token");
        assert_eq!(ask(&layer, "DPoP", &token, &proof).await, thumbprint);
        let again = ask(&layer, "DPoP", &token, &proof).await;
        assert_eq!(again, "replayed_dpop_proof");
        let proof = thief.ask(&request, "proof ").await;
        assert_eq!(
            ask(&layer, "DPoP", &token, &proof).await,
            "dpop_key_mismatch"
        );
    }
}

#[tokio::test]
#[ignore = "needs Node 22 and npm packages: see tests/interop/README.md"]
async fn oidc_provider_binds_its_tokens() {
    let provider = Provider::start().await;
    let (issuer, endpoint) = (&provider.issuer, &provider.token_endpoint);
    let (client, algs) = (("interop", "interop-secret"), ["ES256", "Ed25519"]);
    only_with_proofs_of_its_key(issuer, endpoint, client, algs).await;
}

#[tokio::test]
#[ignore = "needs Node 22 and npm packages: see tests/interop/README.md"]
async fn better_auth_binds_its_tokens() {
    let mut command = node("better-auth.mjs");
    let mut server = Running::start(command.args(["--resource", RESOURCE]));
    let issuer = server.line("issuer ").await;
    let client = server.line("client ").await;
    let client = client.split_once(' ').expect("an id and a secret");
    let endpoint = format!("{issuer}/oauth2/token");
    only_with_proofs_of_its_key(&issuer, &endpoint, client, ["ES256", "PS256"]).await;
}
