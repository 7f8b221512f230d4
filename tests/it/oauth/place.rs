//! Where the keys are, when that changes: a discovered `jwks_uri` is discovered again.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;
use crate::oauth::trace;

const METADATA: &str = "https://auth.example.com/.well-known/oauth-authorization-server";
const MOVED: &str = "https://auth.example.com/moved/keys";

/// Good for three months.
fn long_lived(key: &Key) -> String {
    key.token(json!({"exp": START.as_secs() + 90 * 86_400}))
}

fn move_keys(web: &Web, keys: &[&Key]) {
    let document = json!({"issuer": ISSUER, "jwks_uri": MOVED});
    web.set(METADATA, Page::Json(document));
    web.set(MOVED, Page::Json(key_set(keys)));
}

#[tokio::test]
async fn a_moved_place_is_found_within_the_hour_while_the_old_one_answers() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let before = long_lived(&old);
    guarded.bearer(&before).await.assert(200, "accepted");
    move_keys(&web, &[&new]);
    // Tokens of the new key do not help here: only the old one's holder comes.
    let mut minutes = 0;
    while guarded.bearer(&before).await.status == 200 {
        settle().await;
        guarded.advance(60);
        minutes += 1;
        assert!(minutes <= 61, "a withdrawn key serves on");
    }
    guarded
        .bearer(&long_lived(&new))
        .await
        .assert(200, "accepted");
    // At first, after an hour, and for the key that is unknown now.
    assert_eq!(web.count(METADATA), 3);
}

#[tokio::test]
async fn a_place_that_stays_is_looked_up_about_once_an_hour() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = long_lived(&key);
    for _ in 0..24 * 60 {
        guarded.bearer(&token).await.assert(200, "accepted");
        settle().await;
        guarded.advance(60);
    }
    let lookups = web.count(METADATA);
    assert!((24..=27).contains(&lookups), "{lookups} in a day");
}

#[tokio::test]
async fn a_moved_place_is_found_whatever_the_old_one_publishes() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let left_behind: [Page; 4] = [
        Page::Json(key_set(&[&old])),
        Page::Json(key_set(&[])),
        Page::Json(json!({"keys": [{"kty": "oct", "k": "AA", "kid": "new"}]})),
        Page::Status(404),
    ];
    for page in left_behind {
        let web = Web::with_issuer(&[&old]);
        let guarded = Guarded::new(&web);
        let (before, after) = (long_lived(&old), long_lived(&new));
        guarded.bearer(&before).await.assert(200, "accepted");
        move_keys(&web, &[&new]);
        web.set(JWKS, page);
        // Found out at once, or by the token of the new key.
        guarded.bearer(&after).await.assert(200, "accepted");
        guarded.bearer(&before).await.assert(401, "unknown_key");
        for _ in 0..24 * 14 {
            guarded.advance(3600);
            guarded.bearer(&before).await.assert(401, "unknown_key");
            guarded.bearer(&after).await.assert(200, "accepted");
            settle().await;
        }
    }
}

/// The first request after a long pause brings a token of a new key.
#[tokio::test]
async fn idle_keys_are_looked_for_where_they_are_now() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&long_lived(&old))
        .await
        .assert(200, "accepted");
    move_keys(&web, &[&new]);
    guarded.advance(700);
    guarded
        .bearer(&long_lived(&new))
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn warm_up_looks_for_the_place_anew() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let (before, after) = (old.token(json!({})), new.token(json!({})));
    guarded.bearer(&before).await.assert(200, "accepted");
    move_keys(&web, &[&new]);
    guarded.layer.invalidate_all();
    guarded.layer.warm_up().await.unwrap();
    guarded.bearer(&before).await.assert(401, "unknown_key");
    guarded.bearer(&after).await.assert(200, "accepted");
}

/// An operator who learned that a key is stolen is not served with what was asked before.
#[tokio::test]
async fn warm_up_waits_for_the_fetch_under_way_and_fetches_again() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let token = old.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");
    web.hold(true);
    guarded.advance(480);
    guarded.bearer(&token).await.assert(200, "accepted");
    settle().await;
    assert_eq!(web.count(JWKS), 2, "a refresh is under way");
    let warm_up = common::spawn({
        let layer = guarded.layer.clone();
        async move { layer.warm_up().await }
    });
    settle().await;
    move_keys(&web, &[&new]);
    web.hold(false);
    warm_up.await.unwrap().unwrap();
    assert_eq!(web.count(MOVED), 1);
    guarded.bearer(&token).await.assert(401, "unknown_key");
}

#[tokio::test]
async fn where_discovery_fails_the_known_place_is_used() {
    let failures = [
        Page::Json(json!({"issuer": "https://evil.example", "jwks_uri": MOVED})),
        Page::Json(json!({"issuer": format!("{ISSUER}/"), "jwks_uri": MOVED})),
        Page::Json(json!({"issuer": ISSUER})),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": "http://auth.example.com/keys"})),
        Page::Raw(b"<html>".to_vec()),
        Page::Status(404),
        Page::Status(500),
        Page::NoConnection,
    ];
    for page in failures {
        let (old, new, evil) = (Key::new("old"), Key::new("new"), Key::new("evil"));
        let web = Web::with_issuer(&[&old]);
        let guarded = Guarded::new(&web);
        let token = long_lived(&old);
        guarded.bearer(&token).await.assert(200, "accepted");
        web.set(METADATA, page.clone());
        web.set(MOVED, Page::Json(key_set(&[&evil])));
        web.publish_keys(&[&old, &new]);
        trace::start();
        // For an unknown key, when an hour has passed, and because an operator asks.
        guarded
            .bearer(&long_lived(&new))
            .await
            .assert(200, "accepted");
        let asked = web.count(METADATA);
        for _ in 0..12 {
            guarded.advance(600);
            guarded.bearer(&token).await.assert(200, "accepted");
            settle().await;
        }
        assert!(web.count(METADATA) > asked, "{page:?}");
        guarded.layer.warm_up().await.unwrap();
        guarded
            .bearer(&long_lived(&evil))
            .await
            .assert(401, "unknown_key");
        assert_eq!(web.count(MOVED), 0, "{page:?}");
        let told = trace::take();
        let warned = told.iter().any(|event| {
            event.level == tracing::Level::WARN
                && event.field("message").starts_with("discovery failed")
        });
        assert!(warned, "{told:?}");
    }
}

/// What metadata no longer names is not trusted because the new place is out of order.
#[tokio::test]
async fn a_place_that_was_left_is_not_gone_back_to() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    for page in [Page::Status(500), Page::Json(key_set(&[]))] {
        let web = Web::with_issuer(&[&old]);
        let guarded = Guarded::new(&web);
        let token = long_lived(&old);
        guarded.bearer(&token).await.assert(200, "accepted");
        move_keys(&web, &[]);
        web.set(MOVED, page);
        web.publish_keys(&[&old, &new]);
        guarded
            .bearer(&long_lived(&new))
            .await
            .assert(503, "keys_unavailable");
        let before = web.count(JWKS);
        for _ in 0..6 {
            guarded.advance(60);
            guarded.bearer(&token).await.assert(200, "accepted");
            settle().await;
        }
        // Not even when discovery fails afterwards.
        web.set(METADATA, Page::Status(500));
        for _ in 0..6 {
            guarded.advance(60);
            guarded.bearer(&token).await.assert(200, "accepted");
            settle().await;
        }
        assert_eq!(web.count(JWKS), before);
        assert!(web.count(MOVED) > 2);
        // Past the lifetime and the hour after it the old keys stop as well.
        guarded.advance(600 + 3600);
        guarded.bearer(&token).await.assert(503, "keys_unavailable");
    }
}

#[tokio::test]
async fn a_configured_place_is_never_discovered() {
    let (key, unknown) = (Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .jwks_uri(JWKS)
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    let token = long_lived(&key);
    for page in [
        Page::Json(key_set(&[&key])),
        Page::Json(key_set(&[])),
        Page::Status(500),
        Page::Json(key_set(&[&key])),
    ] {
        web.set(JWKS, page);
        for _ in 0..8 {
            guarded.advance(500);
            guarded.bearer(&token).await;
            guarded.bearer(&long_lived(&unknown)).await;
            settle().await;
            let _ = guarded.layer.warm_up().await;
        }
    }
    assert!(web.log().iter().all(|url| url == JWKS), "{:?}", web.log());
}

#[tokio::test]
async fn how_long_a_place_is_used_can_be_set() {
    let key = Key::new("a");
    for (seconds, least) in [(60, 9), (600, 1), (86_400, 1)] {
        let web = Web::with_issuer(&[&key]);
        let mut guarded = Guarded::new(&web);
        guarded.layer = guarded.with_limits(&web, |limits| {
            limits.rediscovery(Duration::from_secs(seconds))
        });
        let token = long_lived(&key);
        for _ in 0..60 {
            guarded.bearer(&token).await.assert(200, "accepted");
            settle().await;
            guarded.advance(10);
        }
        let lookups = web.count(METADATA);
        assert!(
            (least..=least + 2).contains(&lookups),
            "{seconds}: {lookups}"
        );
    }
}

#[tokio::test]
async fn a_move_is_reported() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&long_lived(&old))
        .await
        .assert(200, "accepted");
    move_keys(&web, &[&new]);
    trace::start();
    guarded.layer.warm_up().await.unwrap();
    let told = trace::take();
    let told: Vec<Value> = told
        .iter()
        .filter(|event| event.field("message").contains("moved"))
        .map(|event| json!([event.field("from"), event.field("to")]))
        .collect();
    assert_eq!(told, [json!([JWKS, MOVED])]);
}
