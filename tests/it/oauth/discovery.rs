//! Where keys are looked for, and what is not believed.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;

async fn ask(web: &Web, issuer: &str) -> Answer {
    let guarded = Guarded::with_server(web, AuthorizationServer::new(issuer).unwrap());
    let token = Key::new("nobody").token(json!({"iss": issuer}));
    guarded.bearer(&token).await
}

#[tokio::test]
async fn the_places_are_tried_in_order() {
    let web = Web::new();
    ask(&web, "https://h.example/tenant")
        .await
        .assert(503, "keys_unavailable");
    assert_eq!(
        web.log(),
        [
            "https://h.example/.well-known/oauth-authorization-server/tenant",
            "https://h.example/.well-known/openid-configuration/tenant",
            "https://h.example/tenant/.well-known/openid-configuration",
            "https://h.example/tenant/.well-known/oauth-authorization-server",
        ]
    );
}

#[tokio::test]
async fn an_issuer_at_the_root_or_with_a_slash_has_its_own_places() {
    let root = [
        "https://h.example/.well-known/oauth-authorization-server",
        "https://h.example/.well-known/openid-configuration",
    ];
    for issuer in ["https://h.example", "https://h.example/"] {
        let web = Web::new();
        ask(&web, issuer).await;
        assert_eq!(web.log(), root, "{issuer}");
    }
    let web = Web::new();
    ask(&web, "https://h.example/o/slug/").await;
    assert_eq!(
        web.log(),
        [
            "https://h.example/.well-known/oauth-authorization-server/o/slug",
            "https://h.example/.well-known/openid-configuration/o/slug",
            "https://h.example/o/slug/.well-known/openid-configuration",
            "https://h.example/o/slug/.well-known/oauth-authorization-server",
        ]
    );
}

#[tokio::test]
async fn every_unusable_document_leads_to_the_next_place() {
    let unusable = [
        Page::Status(404),
        Page::Status(500),
        Page::Status(302),
        Page::NoConnection,
        Page::Raw(b"not json".to_vec()),
        Page::Raw(vec![b' '; 64 * 1024 + 1]),
        Page::Json(json!([])),
        Page::Json(json!({"jwks_uri": JWKS})),
        Page::Json(json!({"issuer": ISSUER})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": null})),
        Page::Json(json!({"issuer": [ISSUER], "jwks_uri": JWKS})),
        Page::Json(json!({"issuer": "https://auth.example.com/", "jwks_uri": JWKS})),
        Page::Json(json!({"issuer": "https://AUTH.example.com", "jwks_uri": JWKS})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": "http://auth.example.com/keys"})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/keys"})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": "https://u:p@auth.example.com/keys"})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": "/keys"})),
    ];
    for page in unusable {
        let key = Key::new("a");
        let web = Web::with_issuer(&[&key]);
        let first = format!("{ISSUER}/.well-known/oauth-authorization-server");
        web.set(&first, page.clone());
        let good = json!({"issuer": ISSUER, "jwks_uri": JWKS, "scopes_supported": 5});
        let second = format!("{ISSUER}/.well-known/openid-configuration");
        web.set(&second, Page::Json(good));
        let answer = Guarded::new(&web).bearer(&key.token(json!({}))).await;
        assert_eq!(answer.status, 200, "{page:?}: {answer:?}");
        assert_eq!(web.log(), [first, second, JWKS.to_owned()]);
    }
}

#[tokio::test]
async fn the_error_lists_each_attempt_and_names_a_trailing_slash() {
    let web = Web::new();
    let document = |issuer: &str| -> Page {
        let document: Value = json!({"issuer": issuer, "jwks_uri": JWKS});
        Page::Json(document)
    };
    web.set(
        &format!("{ISSUER}/.well-known/openid-configuration"),
        document("https://auth.example.com/"),
    );
    let answer = ask(&web, ISSUER).await;
    answer.assert(503, "keys_unavailable");
    for part in [
        "https://auth.example.com/.well-known/oauth-authorization-server: status 404",
        "expected \"https://auth.example.com\", got \"https://auth.example.com/\"",
        "differ only by a trailing slash",
    ] {
        assert!(
            answer.detail().contains(part),
            "{part}: {}",
            answer.detail()
        );
    }
}

#[tokio::test]
async fn nothing_in_a_token_is_ever_requested() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let header = json!({
        "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert",
        "jwk": key.jwk(), "kid": "https://evil.example/kid", "x5c": ["AA"], "x5t": "AA",
    });
    let answer = guarded
        .bearer(&key.token_with_header(header, json!({})))
        .await;
    answer.assert(401, "unknown_key");
    assert!(
        web.log().iter().all(|url| url.starts_with(ISSUER)),
        "{:?}",
        web.log()
    );
}

#[tokio::test]
async fn a_token_without_issuer_or_audience_is_refused_and_keys_are_fetched_once() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
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
