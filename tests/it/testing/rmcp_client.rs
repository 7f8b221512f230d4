//! rmcp on both sides: its client does the whole OAuth dance with a server of rmcp behind
//! [`OAuthLayer`] and the development issuer.

use axum::Router;
use http::request::Parts;
use rmcp::model::CallToolRequestParams;
use tower_mcp_auth::mcp::{McpPolicy, McpStack, OriginLayer};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::testing::{Endpoint, Issuer};
use tower_mcp_auth::{OAuthLayer, Principal};

use common::mcp_server::{Tool, mcp_app, subject, with_sessions};
use common::{loopback, rmcp_dance};

const TOOLS: &[Tool] = &[
    ("never", |_| "never".to_owned()),
    ("whoami", whoami),
    ("write", |_| "written".to_owned()),
];

/// Who calls, and what they may do.
fn whoami(parts: &Parts) -> String {
    let principal = Principal::from_extensions(&parts.extensions).expect("a principal");
    assert!(!parts.headers.contains_key("authorization"));
    format!("{} {}", subject(parts), principal.scopes())
}

/// A server with sessions that needs the scope `mcp:read`, and its issuer.
async fn server() -> (String, Issuer) {
    let issuer = Issuer::start().await.expect("an issuer");
    let (listener, url) = loopback::bind_mcp().await;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let auth = OAuthLayer::builder(&url)
        .and_then(|layer| layer.authorization_server(server?))
        .and_then(|layer| layer.required_scopes(["mcp:read"]).build())
        .expect("a layer");
    let app = mcp_app(TOOLS, with_sessions(true)).layer(auth);
    loopback::serve(listener, app);
    (url, issuer)
}

/// What a request without a token is told.
async fn challenge_of(url: &str) -> String {
    let refused = reqwest::Client::new().post(url).send().await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str();
    challenge.expect("ASCII").to_owned()
}

async fn completes_the_dance(challenge_first: bool) {
    let (url, issuer) = server().await;
    let challenge = match challenge_first {
        true => Some(challenge_of(&url).await),
        false => None,
    };

    let client = rmcp_dance::dance(&url, challenge.as_deref()).await;
    let (tools, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(tools, ["never", "whoami", "write"]);
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

/// Behind a gateway that passes on only what is below its stage, and takes that off.
#[tokio::test]
async fn rmcp_client_completes_the_dance_behind_a_gateway_with_a_stage() {
    let issuer = Issuer::start().await.expect("an issuer");
    let (listener, gateway) = loopback::bind().await;
    let url = format!("{gateway}/prod/mcp");
    let metadata = format!("{gateway}/prod/.well-known/oauth-protected-resource/mcp");
    let resource = ProtectedResource::new(&url)
        .and_then(|resource| resource.advertised_metadata_url(&metadata))
        .expect("a resource");
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let auth = OAuthLayer::builder(resource)
        .and_then(|layer| layer.authorization_server(server?))
        .and_then(|layer| layer.required_scopes(["mcp:read"]).build())
        .expect("a layer");
    let behind = mcp_app(TOOLS, with_sessions(true)).layer(auth);
    let app = Router::new().nest_service("/prod", behind);
    loopback::serve(listener, app);
    // Where clients look by themselves there is nothing.
    let derived = format!("{gateway}/.well-known/oauth-protected-resource/prod/mcp");
    let found = reqwest::get(derived).await.expect("an answer");
    assert_eq!(found.status(), 404);

    let client = rmcp_dance::dance(&url, None).await;
    let (tools, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(tools, ["never", "whoami", "write"]);
    assert_eq!(whoami, "alice mcp:read");
    client.cancel().await.expect("the end");
}

/// The stack of the README, with the scopes that are advertised, if not those of the policy.
async fn stacked_server(advertised: Option<&str>) -> (String, Issuer) {
    let issuer = Issuer::start().await.expect("an issuer");
    let (listener, url) = loopback::bind_mcp().await;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let mut resource = ProtectedResource::new(&url).expect("a resource");
    if let Some(scope) = advertised {
        resource = resource.scopes_supported([scope]).expect("a scope");
    }
    let auth = OAuthLayer::new(resource, server.expect("an issuer")).expect("a layer");
    let policy = McpPolicy::builder()
        .tool("whoami", "mcp:read")
        .and_then(|policy| policy.tool("write", "mcp:write"))
        .and_then(|policy| policy.tool("never", tower_mcp_auth::scopes::Requirement::deny()))
        .and_then(tower_mcp_auth::mcp::McpPolicyBuilder::build)
        .expect("a policy");
    let stack = McpStack::new(OriginLayer::new(&url).expect("a layer"), auth)
        .policy(policy)
        .expect("a stack");
    let app = mcp_app(TOOLS, with_sessions(true)).layer(stack);
    loopback::serve(listener, app);
    (url, issuer)
}

/// Asks the authorization server for what the challenge names beside what the client has.
async fn step_up(client: &rmcp_dance::Authorized, challenge: &str) {
    let (_, scope) = challenge.split_once("scope=\"").expect("scopes");
    let (scope, _) = scope.split_once('"').expect("an end");
    let manager = client.auth_manager.lock().await;
    let page = manager.request_scope_upgrade(scope).await.expect("a URL");
    let callback = rmcp_dance::redirect_of(&page).await;
    let callback = reqwest::Url::parse(&callback).expect("a URL");
    let parameter = |wanted: &str| {
        let mut pairs = callback.query_pairs();
        let found = pairs.find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    let (code, state) = (parameter("code"), parameter("state"));
    let (code, state) = (code.expect("a code"), state.expect("a state"));
    let issuer = parameter("iss");
    manager
        .exchange_code_for_token_with_issuer(&code, &state, issuer.as_deref())
        .await
        .expect("a token of more scope");
}

#[tokio::test]
async fn rmcp_client_steps_up_through_a_tool_it_was_shown() {
    let (url, issuer) = stacked_server(Some("mcp:read")).await;
    let challenge = challenge_of(&url).await;
    assert!(challenge.contains("scope=\"mcp:read\""), "{challenge}");
    let authorized = rmcp_dance::authorize(&url, Some(&challenge)).await;
    let client = rmcp_dance::connect(&url, authorized.clone()).await;
    let (mut tools, whoami) = rmcp_dance::ask(&client).await;
    tools.sort();
    // What needs more is listed, and what is denied is not.
    assert_eq!(tools, ["whoami", "write"]);
    assert_eq!(whoami, "alice mcp:read");

    let write = || client.call_tool(CallToolRequestParams::new("write"));
    let refused = write().await.expect_err("a 403");
    let challenge = refused.auth_challenge().expect("a challenge").to_owned();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    step_up(&authorized, &challenge).await;
    let result = write().await.expect("a result");
    assert_eq!(result.content[0].as_text().expect("a text").text, "written");

    // And both from now on: the user is not asked a third time.
    let (_, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(whoami, "alice mcp:read mcp:write");
    assert_eq!(issuer.requests(Endpoint::Authorize), 2);
    client.cancel().await.expect("the end");
}

#[tokio::test]
async fn rmcp_client_learns_of_all_scopes_from_the_metadata() {
    let (url, issuer) = stacked_server(None).await;
    let client = rmcp_dance::dance(&url, None).await;
    let (mut tools, whoami) = rmcp_dance::ask(&client).await;
    tools.sort();
    assert_eq!(tools, ["whoami", "write"]);
    assert_eq!(whoami, "alice mcp:read mcp:write");
    let write = client.call_tool(CallToolRequestParams::new("write"));
    write.await.expect("a result");
    assert_eq!(issuer.requests(Endpoint::Authorize), 1);
    client.cancel().await.expect("the end");
}
