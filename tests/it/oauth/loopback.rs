//! The whole way over loopback: the real client against a development issuer that
//! misbehaves, with a clock that is moved by hand.

use std::time::Duration;

use tokio::task::JoinSet;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};
use tower_mcp_auth::{Clock, OAuthLayer};

use crate::oauth::support::*;

/// A layer that trusts `issuers`, by their own clock.
fn trusting(issuers: &[&Issuer], clock: &Clock) -> Guarded {
    let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
    for issuer in issuers {
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        builder = builder.authorization_server(server).unwrap();
    }
    let mut guarded = Guarded::new(&Web::new());
    guarded.layer = builder.clock(clock.clone()).build().unwrap();
    guarded.clock = clock.clone();
    guarded
}

async fn issuer(clock: &Clock) -> Issuer {
    use tower_mcp_auth::jose::Algorithm;

    let builder = Issuer::builder()
        .algorithms([Algorithm::ES256])
        .clock(clock.clone());
    builder.start().await.unwrap()
}

fn token(issuer: &Issuer) -> String {
    issuer
        .token()
        .audience(RESOURCE)
        .expires_in(Duration::from_secs(90_000))
        .sign()
}

#[tokio::test]
async fn ten_thousand_requests_at_a_cold_start_cause_one_discovery_and_one_fetch() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let guarded = trusting(&[&issuer], &clock);
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Hang);
    let token = token(&issuer);
    let mut requests = JoinSet::new();
    for _ in 0..10_000 {
        let (guarded, token) = (guarded.clone(), token.clone());
        requests.spawn(async move { guarded.bearer(&token).await });
    }
    while issuer.requests(Endpoint::Jwks) == 0 {
        if let Some(answer) = requests.try_join_next() {
            panic!("answered before the keys were asked for: {answer:?}");
        }
        tokio::task::yield_now().await;
    }
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Normal);

    let answers = requests.join_all().await;

    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(issuer.requests(Endpoint::OAuthMetadata), 1);
    assert_eq!(issuer.requests(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn an_outage_is_503_at_a_cold_start_and_nothing_where_keys_are_warm() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let token = token(&issuer);
    let warm = trusting(&[&issuer], &clock);
    warm.bearer(&token).await.assert(200, "accepted");
    for behaviour in [
        Behaviour::Status(500),
        Behaviour::Disconnect,
        Behaviour::Redirect("http://127.0.0.1:1/keys".to_owned()),
        Behaviour::Oversize(300 * 1024),
        Behaviour::Body {
            content_type: "application/json".to_owned(),
            bytes: b"{".to_vec(),
        },
    ] {
        issuer.set_behaviour(Endpoint::Jwks, behaviour.clone());
        let cold = trusting(&[&issuer], &clock);
        let answer = cold.bearer(&token).await;
        answer.assert(503, "keys_unavailable");
        assert!(answer.retry_after().is_some(), "{behaviour:?}");
        warm.bearer(&token).await.assert(200, "accepted");

        issuer.set_behaviour(Endpoint::Jwks, Behaviour::Normal);
        cold.advance(1);
        cold.bearer(&token).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_rotation_is_followed_and_a_withdrawn_key_stops() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let guarded = trusting(&[&issuer], &clock);
    let old = token(&issuer);
    guarded.bearer(&old).await.assert(200, "accepted");

    issuer.rotate();
    let new = token(&issuer);
    guarded.bearer(&new).await.assert(200, "accepted");
    guarded.bearer(&old).await.assert(200, "accepted");

    issuer.withdraw_old_keys();
    guarded.advance(600);
    guarded.bearer(&old).await.assert(401, "unknown_key");
    guarded.bearer(&new).await.assert(200, "accepted");
}

#[tokio::test]
async fn a_slow_issuer_delays_no_token_of_a_fast_one() {
    let clock = Clock::manual(START);
    let (fast, slow) = (issuer(&clock).await, issuer(&clock).await);
    slow.set_behaviour(Endpoint::Jwks, Behaviour::Hang);
    let guarded = trusting(&[&fast, &slow], &clock);
    let late = common::spawn({
        let (guarded, token) = (guarded.clone(), token(&slow));
        async move { guarded.bearer(&token).await }
    });
    while slow.requests(Endpoint::Jwks) == 0 {
        tokio::task::yield_now().await;
    }

    guarded.bearer(&token(&fast)).await.assert(200, "accepted");
    assert!(!late.is_finished());

    slow.set_behaviour(Endpoint::Jwks, Behaviour::Normal);
    late.await.unwrap().assert(200, "accepted");
}

#[tokio::test]
async fn every_lie_the_development_issuer_can_tell_is_refused() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let guarded = trusting(&[&issuer], &clock);
    let good = || issuer.token().audience(RESOURCE);
    good().sign();
    guarded.bearer(&good().sign()).await.assert(200, "accepted");
    for (token, reason) in [
        (issuer.token().sign(), "missing_audience"),
        (good().expired().sign(), "expired"),
        (good().with_wrong_key().sign(), "invalid_signature"),
        (good().unsigned().sign(), "algorithm_not_allowed"),
        (
            good().claim("iss", "https://evil.example").sign(),
            "issuer_mismatch",
        ),
        (good().without_claim("exp").sign(), "missing_exp"),
        (good().header("typ", "dpop+jwt").sign(), "wrong_token_type"),
        (good().header("crit", vec!["x"]).sign(), "critical_header"),
        (good().key_id("other").sign(), "unknown_key"),
        (
            good().raw_payload("{\"a\":1,\"a\":1}").sign(),
            "duplicate_token_member",
        ),
    ] {
        guarded.bearer(&token).await.assert(401, reason);
    }
}
