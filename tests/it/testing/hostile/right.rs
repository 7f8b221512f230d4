//! Right middlewares, in which nothing is found.

use axum::Router;
use serde_json::json;
use tower::Layer;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::jose::{Algorithm, Secret};
use tower_mcp_auth::mcp::{MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::testing::hostile::{Class, Hostile, Report};
use tower_mcp_auth::{ApiKeyLayer, JwtLayer, OAuthLayer};

use super::{RESOURCE, hostile, issuer, oauth, server};
use common::mcp_server::{Tool, mcp_app, with_sessions};
use common::{API_KEY, NOW, SECRET};

/// How many requests there were of a class.
fn count(report: &Report, class: Class) -> usize {
    let findings = report.into_iter();
    findings
        .filter(|finding| finding.attack().class() == class)
        .count()
}

#[tokio::test]
async fn nothing_gets_through_an_oauth_layer() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let issuer = Issuer::builder().algorithms([algorithm]).start();
        let issuer = issuer.await.unwrap();
        let hostile = hostile(&issuer);
        let report = hostile.attack(oauth(&issuer).layer(hostile.probe())).await;
        report.assert_held();
        for class in [
            Class::Anonymous,
            Class::Routes,
            Class::Placement,
            Class::Signature,
            Class::Claims,
            Class::Kind,
            Class::Syntax,
            Class::Binding,
            Class::Session,
        ] {
            assert!(count(&report, class) >= 6, "{algorithm:?}: {class:?}");
        }
    }
}

#[tokio::test]
async fn nothing_gets_through_where_scopes_are_required() {
    let issuer = issuer().await;
    let good = issuer
        .token()
        .audience(RESOURCE)
        .scope("mcp:read mcp:write");
    let hostile = Hostile::new(RESOURCE)
        .unwrap()
        .token(good)
        .requires_scopes();
    let layer = OAuthLayer::builder(RESOURCE).unwrap();
    let layer = layer.authorization_server(server(&issuer)).unwrap();
    let layer = layer
        .required_scopes(["mcp:read", "mcp:write"])
        .build()
        .unwrap();
    let report = hostile.attack(layer.layer(hostile.probe())).await;
    report.assert_held();
    let of_scopes = |name: &str| {
        report
            .into_iter()
            .filter(|it| it.attack().name() == name)
            .count()
    };
    assert!(of_scopes("scope_missing") >= 9);
}

#[tokio::test]
async fn nothing_gets_through_where_tokens_are_bound() {
    let issuer = issuer().await;
    for (mode, nonce) in [
        (DpopMode::Allowed, false),
        (DpopMode::Required, false),
        (DpopMode::Required, true),
    ] {
        let hostile = hostile(&issuer).dpop();
        let mut options = tower_mcp_auth::oauth::binding::DpopOptions::new();
        if nonce {
            options = options.nonce_secret(SECRET).unwrap();
        }
        let layer = OAuthLayer::builder(RESOURCE).unwrap();
        let layer = layer
            .authorization_server(server(&issuer).dpop(mode))
            .unwrap();
        let layer = layer.dpop_options(options).build().unwrap();
        let report = hostile.attack(layer.layer(hostile.probe())).await;
        report.assert_held();
        assert!(
            count(&report, Class::Binding) >= 30,
            "{}",
            count(&report, Class::Binding)
        );
    }
}

#[tokio::test]
async fn nothing_gets_through_a_jwt_layer() {
    let claims = json!({
        "iss": "https://auth.example.com", "aud": RESOURCE, "sub": "alice", "exp": NOW + 3600,
    });
    let layer = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .issuer("https://auth.example.com")
        .audience(RESOURCE)
        .clock(common::clock())
        .build()
        .unwrap();
    let hostile = Hostile::new(RESOURCE)
        .unwrap()
        .jwt_secret(SECRET, claims)
        .unwrap();
    let report = hostile.attack(layer.layer(hostile.probe())).await;
    report.assert_held();
    assert!(count(&report, Class::Claims) >= 60);
}

fn api_keys() -> ApiKeyLayer {
    ApiKeyLayer::new([ApiKey::new(API_KEY).unwrap().name("alice")]).unwrap()
}

#[tokio::test]
async fn nothing_gets_through_an_api_key_layer() {
    let hostile = Hostile::new(RESOURCE).unwrap().api_key(API_KEY).unwrap();
    let report = hostile.attack(api_keys().layer(hostile.probe())).await;
    report.assert_held();
    assert!(count(&report, Class::ApiKey) >= 15);
    assert_eq!(count(&report, Class::Signature), 0);
}

#[tokio::test]
async fn nothing_gets_through_where_either_is_accepted() {
    let issuer = issuer().await;
    let hostile = hostile(&issuer).api_key(API_KEY).unwrap();
    let layer = oauth(&issuer).or(api_keys()).unwrap();
    hostile
        .attack(layer.layer(hostile.probe()))
        .await
        .assert_held();
}

#[tokio::test]
async fn nothing_gets_through_where_there_are_several_resources() {
    const OTHER: &str = "https://mcp.example.com/files";
    let issuer = issuer().await;
    let layer = OAuthLayer::builder(RESOURCE).unwrap();
    let layer = layer.resource(OTHER).unwrap();
    let layer = layer
        .authorization_server(server(&issuer))
        .unwrap()
        .build()
        .unwrap();
    for resource in [RESOURCE, OTHER] {
        let hostile = Hostile::new(resource).unwrap().issuer(&issuer);
        let hostile = hostile.routes(["/mcp", "/files"]).unwrap();
        hostile
            .attack(layer.layer(hostile.probe()))
            .await
            .assert_held();
    }
}

/// A stack around rmcp, with sessions and without.
fn stacks(issuer: &Issuer) -> [Router; 2] {
    [true, false].map(|sessions| {
        let tools: &[Tool] = &[
            ("get_file", |_| "got".to_owned()),
            ("delete_file", |_| "deleted".to_owned()),
        ];
        let config = with_sessions(sessions).disable_allowed_hosts();
        let policy = McpPolicy::builder().baseline("mcp:read").unwrap();
        let policy = policy
            .tool("delete_*", "files:delete")
            .unwrap()
            .build()
            .unwrap();
        let stack = McpStack::new(OriginLayer::new(RESOURCE).unwrap(), oauth(issuer));
        let stack = stack.sessions(SessionBindingLayer::new(MacKey::new(SECRET).unwrap()));
        let health = axum::routing::get(async || "well");
        mcp_app(tools, config)
            .layer(stack.policy(policy).unwrap())
            .route("/health", health)
    })
}

#[tokio::test]
async fn nothing_gets_through_a_stack_around_rmcp() {
    let issuer = issuer().await;
    for (app, sessions) in stacks(&issuer).into_iter().zip([true, false]) {
        let good = issuer.token().audience(RESOURCE).scope("mcp:read");
        let hostile = Hostile::new(RESOURCE).unwrap().token(good);
        let hostile = hostile.forbidden_tool("delete_file");
        let hostile = hostile.public(["/health"]).unwrap();
        let report = hostile.attack(app).await;
        report.assert_held();
        assert!(count(&report, Class::Policy) >= 15);
        let of_sessions = if sessions { 28 } else { 20 };
        assert_eq!(count(&report, Class::Session), of_sessions);
    }
}
