//! Introspection over loopback: the real client against a development issuer that
//! misbehaves.

use std::time::Duration;

use tokio::task::JoinSet;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};
use tower_mcp_auth::{Clock, OAuthLayer};

use crate::oauth::support::*;

async fn issuer(clock: &Clock) -> Issuer {
    let builder = Issuer::builder().client("mcp@server:1", "s3cret+of ours");
    builder.clock(clock.clone()).start().await.unwrap()
}

fn guarded(issuer: &Issuer, clock: &Clock, timeout: Duration) -> Guarded {
    let introspection = Introspection::at(issuer.endpoint(Endpoint::Introspect))
        .unwrap()
        .client_secret_basic("mcp@server:1", "s3cret+of ours")
        .unwrap()
        .timeout(timeout);
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())
        .unwrap()
        .introspection(introspection)
        .unwrap();
    let mut guarded = Guarded::new(&Web::new());
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(clock.clone())
        .build()
        .unwrap();
    guarded.clock = clock.clone();
    guarded
}

fn token(issuer: &Issuer) -> String {
    issuer.token().audience(RESOURCE).opaque()
}

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_endpoint_that_misbehaves_is_503_and_is_asked_again_when_it_is_well() {
    let elsewhere = issuer(&Clock::manual(START)).await;
    let redirect = elsewhere.endpoint(Endpoint::Introspect);
    for (behaviour, reason) in [
        (Behaviour::Drip, "introspection_failed"),
        (Behaviour::Hang, "introspection_failed"),
        (Behaviour::Disconnect, "introspection_failed"),
        (Behaviour::Oversize(65 * 1024), "introspection_failed"),
        (Behaviour::Redirect(redirect), "introspection_failed"),
        (Behaviour::Status(500), "introspection_failed"),
        (Behaviour::Status(401), "introspection_refused"),
        (Behaviour::Status(400), "introspection_unsupported"),
        (
            Behaviour::status_with_headers(429, [("Retry-After", "7")]),
            "introspection_busy",
        ),
        (
            Behaviour::Headers(vec![("content-type".to_owned(), "text/html".to_owned())]),
            "introspection_failed",
        ),
    ] {
        let clock = Clock::manual(START);
        let issuer = issuer(&clock).await;
        let guarded = guarded(&issuer, &clock, Duration::from_secs(2));
        let (good, new) = (token(&issuer), token(&issuer));
        guarded.bearer(&good).await.assert(200, "accepted");
        issuer.set_behaviour(Endpoint::Introspect, behaviour.clone());

        let failed = guarded.bearer(&new).await;
        failed.assert(503, reason);
        assert!(failed.retry_after().is_some(), "{behaviour:?}");
        guarded.bearer(&good).await.assert(200, "accepted");

        issuer.set_behaviour(Endpoint::Introspect, Behaviour::Normal);
        guarded.advance(15);
        guarded.bearer(&new).await.assert(200, "accepted");
    }
    assert_eq!(elsewhere.requests(Endpoint::Introspect), 0);
}

#[tokio::test]
async fn an_answer_too_large_concerns_its_token_alone() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let guarded = guarded(&issuer, &clock, LONG);
    let large = "x".repeat(70 * 1024);
    let large = issuer.token().audience(RESOURCE).claim("groups", large);
    let large = large.opaque();
    for _ in 0..3 {
        let failed = guarded.bearer(&large).await;
        failed.assert(503, "introspection_failed");
        guarded
            .bearer(&token(&issuer))
            .await
            .assert(200, "accepted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_requests_with_one_token_cause_one_call_on_many_threads() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let guarded = guarded(&issuer, &clock, LONG);
    let delay = Behaviour::Delay(Duration::from_millis(50));
    issuer.set_behaviour(Endpoint::Introspect, delay);
    let token = token(&issuer);
    let mut requests = JoinSet::new();
    for _ in 0..10_000 {
        let (guarded, token) = (guarded.clone(), token.clone());
        requests.spawn(async move { guarded.bearer(&token).await.status });
    }
    let answers = requests.join_all().await;
    assert!(answers.iter().all(|status| *status == 200));
    assert_eq!(issuer.requests(Endpoint::Introspect), 1);
}

#[tokio::test]
async fn a_flood_of_garbage_is_bounded_and_leaves_good_tokens_alone() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let guarded = guarded(&issuer, &clock, LONG);
    let good = token(&issuer);
    guarded.bearer(&good).await.assert(200, "accepted");
    issuer.set_behaviour(Endpoint::Introspect, Behaviour::Hang);
    let mut flood = JoinSet::new();
    for number in 0..2_000 {
        let guarded = guarded.clone();
        let garbage = format!("garbage-that-is-long-enough-{number}");
        flood.spawn(async move { guarded.bearer(&garbage).await.status });
    }
    settle().await;
    for _ in 0..100 {
        guarded.bearer(&good).await.assert(200, "accepted");
    }
    issuer.set_behaviour(Endpoint::Introspect, Behaviour::Normal);
    let answers = flood.join_all().await;
    assert!(
        answers
            .iter()
            .all(|status| matches!(status.as_u16(), 401 | 503))
    );
    assert!(issuer.requests(Endpoint::Introspect) <= 501);
}
