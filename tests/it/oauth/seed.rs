//! What is promised of JWTs of an authorization server, one test for each promise; the other files
//! go into depth, and tokens that the server is asked about are in `introspection`.

use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;

async fn accepting() -> (Key, Web, Guarded) {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    (key, web, guarded)
}

#[tokio::test]
async fn every_revision_of_mcp_is_served_alike() {
    let (key, _, guarded) = accepting().await;
    for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let request = Request::post("/mcp")
            .header("mcp-protocol-version", version)
            .header("authorization", format!("Bearer {}", key.token(json!({}))));
        let answer = guarded.ask(request.body(Full::default()).unwrap()).await;
        answer.assert(200, "accepted");
    }
}

#[tokio::test]
async fn two_servers_are_trusted_each_with_its_own_keys() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let web = Web::with_issuer(&[&one]);
    let second = "https://second.example.com";
    web.publish_metadata(second);
    web.set(&format!("{second}/keys"), Page::Json(key_set(&[&two])));
    let servers = [ISSUER, second].map(|issuer| AuthorizationServer::new(issuer).unwrap());
    let guarded = Guarded::with_servers(&web, servers);
    guarded
        .bearer(&one.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&two.token(json!({"iss": second})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&two.token(json!({})))
        .await
        .assert(401, "unknown_key");
}

#[tokio::test]
async fn the_resource_gives_the_audience_the_url_of_the_metadata_and_the_challenge() {
    let (key, _, guarded) = accepting().await;
    guarded
        .bearer(&key.token(json!({"aud": RESOURCE})))
        .await
        .assert(200, "accepted");
    let url = guarded.layer.resource().metadata_url();
    assert_eq!(
        url,
        "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    );
    let answer = guarded.ask(Request::new(Full::default())).await;
    assert_eq!(
        answer.challenge(),
        format!("Bearer resource_metadata=\"{url}\"")
    );
}

#[tokio::test]
async fn a_token_without_issuer_or_audience_is_refused_and_keys_are_fetched_once() {
    let (key, web, guarded) = accepting().await;
    for (claims, reason) in [
        (json!({"iss": null}), "missing_issuer"),
        (json!({"aud": null}), "missing_audience"),
        (json!({}), "accepted"),
    ] {
        let answer = guarded.bearer(&key.token(claims)).await;
        assert_eq!(answer.reason(), reason);
    }
    assert_eq!(web.count(JWKS), 1);
}

#[tokio::test]
async fn issuers_as_providers_write_them_need_no_setting_of_their_own() {
    // Issuers as Auth0, Okta, Cognito, Entra ID, Keycloak and authentik write them.
    for issuer in [
        "https://tenant.auth0.com/",
        "https://org.okta.com/oauth2/default",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc",
        "https://login.microsoftonline.com/tenant/v2.0",
        "https://keycloak.example.com/realms/mcp",
        "https://authentik.example.com/application/o/mcp/",
    ] {
        let key = Key::new("a");
        let web = Web::new();
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let document = json!({"issuer": issuer, "jwks_uri": JWKS});
        web.set(
            &format!("{base}/.well-known/openid-configuration"),
            Page::Json(document),
        );
        web.publish_keys(&[&key]);
        let guarded = Guarded::with_server(&web, AuthorizationServer::new(issuer).unwrap());
        guarded
            .bearer(&key.token(json!({"iss": issuer})))
            .await
            .assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_refused_beside_a_good_one() {
    let (key, _, guarded) = accepting().await;
    let token = key.token(json!({}));
    for uri in [
        "/mcp?access_token=x",
        "/mcp?a=b&accessToken",
        "/mcp?Authorization=x",
    ] {
        let request = Request::post(uri).header("authorization", format!("Bearer {token}"));
        let answer = guarded.ask(request.body(Full::default()).unwrap()).await;
        answer.assert(400, "token_in_query");
    }
}

#[tokio::test]
async fn a_token_for_another_service_of_the_issuer_is_refused() {
    let (key, _, guarded) = accepting().await;
    let other = key.token(json!({"aud": "https://files.example.com"}));
    guarded
        .bearer(&other)
        .await
        .assert(401, "audience_mismatch");
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn a_challenge_of_an_oauth_layer_has_an_error_only_where_a_token_was_sent() {
    let (key, _, guarded) = accepting().await;
    let none = guarded.ask(Request::new(Full::default())).await;
    assert!(!none.challenge().contains("error"), "{none:?}");
    let expired = guarded.bearer(&key.token(json!({"exp": 1}))).await;
    assert!(
        expired
            .challenge()
            .starts_with("Bearer error=\"invalid_token\", ")
    );
}

#[tokio::test]
async fn the_metadata_is_served_without_a_token_and_without_the_inner_service() {
    let (_, _, guarded) = accepting().await;
    let request = Request::get("/.well-known/oauth-protected-resource/mcp");
    let answer = guarded.ask(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(guarded.reached(), 0);
}
