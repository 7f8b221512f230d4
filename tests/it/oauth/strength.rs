//! Sign-ins that tokens and introspection responses tell of, judged alike.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::scopes::Strength;

use crate::oauth::introspection::{OPAQUE, active, introspection, say, server, web};
use crate::oauth::support::*;

const WEAK: &str = "insufficient_user_authentication";
const NOW: u64 = START.as_secs();

fn strength() -> Strength {
    let strength = Strength::new().acr(["mfa", "phr"]).unwrap();
    strength.max_age(Duration::from_secs(300)).unwrap()
}

/// A layer that requires the scope `mcp:read` and a sign-in.
fn layer(web: &Web, guarded: &Guarded, is_opaque: bool) -> OAuthLayer {
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    let builder = match is_opaque {
        true => builder.authorization_server(server(introspection())),
        false => builder.authorization_server(ISSUER),
    };
    let builder = builder.unwrap().required_scopes(["mcp:read"]);
    let builder = builder.clock(guarded.clock.clone()).fetch(web.clone());
    builder
        .build()
        .and_then(|layer| layer.required_strength(strength()))
        .unwrap()
}

#[tokio::test]
async fn jwts_and_introspected_tokens_say_the_same_of_a_sign_in() {
    let good = json!({ "acr": "mfa", "auth_time": NOW - 60 });
    let cases: [(Value, &str, u16); 14] = [
        (json!({}), "accepted", 200),
        (json!({ "acr": "phr" }), "accepted", 200),
        (json!({ "acr": "pwd" }), WEAK, 401),
        (json!({ "acr": null }), WEAK, 401),
        (json!({ "acr": ["mfa"] }), WEAK, 401),
        (json!({ "auth_time": NOW - 301 }), WEAK, 401),
        (json!({ "auth_time": null }), WEAK, 401),
        (json!({ "auth_time": NOW + 61 }), WEAK, 401),
        // Tokens of a client: its own, or without a subject.
        (json!({ "sub": "app" }), "missing_user", 403),
        (json!({ "sub": null }), "missing_user", 403),
        // Whatever else is wrong with a token comes first, but for its scopes.
        (json!({ "acr": "pwd", "exp": NOW - 100 }), "expired", 401),
        (json!({ "scope": "other" }), "insufficient_scope", 403),
        (json!({ "scope": "other", "acr": "pwd" }), WEAK, 401),
        (
            json!({ "scope": "other", "sub": "app" }),
            "missing_user",
            403,
        ),
    ];
    let key = Key::new("a");
    for (changes, reason, status) in cases {
        let mut claims = good.clone();
        let own = claims.as_object_mut().unwrap();
        own.extend(changes.as_object().unwrap().clone());
        for is_opaque in [false, true] {
            let (web, token) = match is_opaque {
                true => (web([(OPAQUE, active(claims.clone()))]), OPAQUE.to_owned()),
                false => (Web::with_issuer(&[&key]), key.token(claims.clone())),
            };
            let mut guarded = Guarded::new(&web);
            guarded.layer = layer(&web, &guarded, is_opaque);
            let answer = guarded.bearer(&token).await;
            answer.assert(status, reason);
            if reason == WEAK {
                let line = "error=\"insufficient_user_authentication\", scope=\"mcp:read\", \
                            acr_values=\"mfa phr\", max_age=\"300\", resource_metadata=";
                assert!(answer.challenge().contains(line), "{}", answer.challenge());
            }
            if status == 403 && reason == "missing_user" {
                assert!(!answer.headers.contains_key("www-authenticate"));
            }
        }
    }
}

/// The verified token and the answer are remembered; the sign-in is judged each time.
#[tokio::test]
async fn a_remembered_token_grows_too_old() {
    let key = Key::new("a");
    let claims = || json!({ "acr": "mfa", "auth_time": NOW - 60 });
    for is_opaque in [false, true] {
        let (web, token) = match is_opaque {
            true => (web([(OPAQUE, active(claims()))]), OPAQUE.to_owned()),
            false => (Web::with_issuer(&[&key]), key.token(claims())),
        };
        let mut guarded = Guarded::new(&web);
        guarded.layer = layer(&web, &guarded, is_opaque);
        for (passed, reason, status) in [
            (0, "accepted", 200),
            (5, "accepted", 200),
            (235, "accepted", 200),
            (1, WEAK, 401),
            (10, WEAK, 401),
        ] {
            guarded.advance(passed);
            guarded.bearer(&token).await.assert(status, reason);
        }
    }
}

/// Some servers write times as texts in their answers, as they do with `exp`.
#[tokio::test]
async fn an_answer_may_write_the_time_as_text() {
    let said = |auth_time: Value| active(json!({ "acr": "mfa", "auth_time": auth_time }));
    let web = web([(OPAQUE, said(json!((NOW - 60).to_string())))]);
    let mut guarded = Guarded::new(&web);
    guarded.layer = layer(&web, &guarded, true);
    let answer = guarded.bearer(OPAQUE).await;
    answer.assert(200, "accepted");
    let principal = answer.who.unwrap();
    assert_eq!(principal.acr(), Some("mfa"));
    let at = principal
        .auth_time()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    assert_eq!(at.unwrap(), Duration::from_secs(NOW - 60));

    // What is none proves nothing, and is no reason to refuse the token as such.
    say(&web, [("other-opaque-token", said(json!("yesterday")))]);
    guarded.bearer("other-opaque-token").await.assert(401, WEAK);
}

#[tokio::test]
async fn report_only_goes_by_each_of_two_reasons() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    const SCOPE: &str = "insufficient_scope";
    let weak = json!({ "acr": "pwd", "auth_time": NOW });
    let both = json!({ "acr": "pwd", "auth_time": NOW, "scope": "other" });
    for (claims, reports, reason, status) in [
        (&weak, &[WEAK][..], "accepted", 200),
        (&weak, &[SCOPE], WEAK, 401),
        (&both, &[WEAK], SCOPE, 403),
        (&both, &[SCOPE], WEAK, 401),
        (&both, &[WEAK, SCOPE], "accepted", 200),
    ] {
        let mut guarded = Guarded::new(&web);
        let layer = layer(&web, &guarded, false);
        guarded.layer = layer.dangerously_report_only_for(reports).unwrap();
        let answer = guarded.bearer(&key.token(claims.clone())).await;
        answer.assert(status, reason);
        assert!(answer.who.is_none(), "{claims} {reports:?}");
    }
}
