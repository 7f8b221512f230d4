//! A readiness probe has keys fetched: a replica that is not ready gets no other requests.

use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::presets::entra;

use crate::oauth::support::*;

const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";

/// What a probe says, and the fetch that it began.
async fn is_ready(guarded: &Guarded) -> bool {
    let health = guarded.layer.health();
    settle().await;
    health.iter().all(|(_issuer, health)| health.serving)
}

#[tokio::test]
async fn a_replica_that_is_only_probed_becomes_ready_and_stays_so() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    assert!(!is_ready(&guarded).await);
    for _ in 0..360 {
        assert!(is_ready(&guarded).await);
        guarded.advance(10);
    }
    // At 80 % of ten minutes each.
    assert_eq!(web.count(JWKS), 8);

    web.hold(true);
    let token = key.token(json!({"exp": START.as_secs() + 90_000}));
    guarded.bearer(&token).await.assert(200, "accepted");
}

#[tokio::test]
async fn keys_that_lapsed_without_a_probe_are_back_at_the_second() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded.layer.warm_up().await.unwrap();
    assert!(is_ready(&guarded).await);
    guarded.advance(3600);
    assert!(!is_ready(&guarded).await);
    assert!(is_ready(&guarded).await);
    assert_eq!(web.count(JWKS), 2);
}

#[tokio::test]
async fn a_replica_is_ready_again_when_its_issuer_is_back() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded.layer.warm_up().await.unwrap();
    web.set(JWKS, Page::NoConnection);
    // Its lifetime, and an hour.
    let mut ready = 0;
    while is_ready(&guarded).await {
        guarded.advance(10);
        ready += 1;
    }
    assert_eq!(ready, 420);
    assert!(web.count(JWKS) < 100, "no sooner than after the backoff");

    web.publish_keys(&[&key]);
    for _ in 0..6 {
        guarded.advance(10);
        is_ready(&guarded).await;
    }
    assert!(is_ready(&guarded).await);
}

#[tokio::test]
async fn an_issuer_that_was_down_at_the_start_is_asked_again() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    web.set(JWKS, Page::Status(500));
    let guarded = Guarded::new(&web);
    assert!(guarded.layer.warm_up().await.is_err());
    assert!(!is_ready(&guarded).await);
    web.publish_keys(&[&key]);
    guarded.advance(1);
    assert!(!is_ready(&guarded).await);
    assert!(is_ready(&guarded).await);
}

#[tokio::test]
async fn the_issuers_of_tenants_are_not_asked() {
    let web = Web::new();
    let mut guarded = Guarded::new(&web);
    let tenants = (0..1_000).map(|tenant| format!("t{tenant}"));
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .issuer_template("https://login.example/{tenant}/v2.0", tenants, Ok)
        .unwrap()
        .fetch(web.clone())
        .build()
        .unwrap();
    assert!(!is_ready(&guarded).await);
    let listed = entra::tenants([TENANT], "00001111-aaaa-2222-bbbb-3333cccc4444");
    let listed = Guarded::with_server(&web, listed.unwrap());
    assert!(!is_ready(&listed).await);
    assert_eq!(web.log(), Vec::<String>::new());
}

/// There is nothing that could fetch.
#[test]
fn outside_a_runtime_the_state_is_told_alone() {
    let web = Web::with_issuer(&[&Key::new("a")]);
    let guarded = Guarded::new(&web);
    let (_, health) = guarded.layer.health().remove(0);
    assert!(!health.serving && health.last_error.is_none());
    assert_eq!(health.age, None::<Duration>);
    assert_eq!(web.log(), Vec::<String>::new());
}
