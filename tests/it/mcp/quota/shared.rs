//! Budgets in a store that replicas share: one question, and what happens without an answer.

use std::time::Duration;

use common::{Answer, trace};
use tower::{Service, ServiceExt, service_fn};
use tower_mcp_auth::mcp::QuotaLayer;
use tower_mcp_auth::{AuthErrorKind, Clock};
use tracing::Level;

use super::support::{FlakyQuotas, MINUTE, behind, budget, clock, left, send, tool};
use crate::mcp::support::{call, post};

const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";

/// A replica with a budget of eight a minute.
fn replica(store: &FlakyQuotas, clock: &Clock) -> QuotaLayer {
    let layer = QuotaLayer::shared(store.clone(), SECRET).unwrap();
    layer
        .clock(clock.clone())
        .budget(budget("calls", 8))
        .unwrap()
}

async fn refused(quotas: &QuotaLayer, token: &str) -> Answer {
    send(quotas, token, &call("search")).await
}

#[tokio::test]
async fn replicas_count_together_with_one_question_for_each_request() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let several = || {
        let reports = budget("reports", 5).tool("*").unwrap();
        replica(&store, &clock).budget(reports).unwrap()
    };
    let (here, there) = (several(), several());
    assert_eq!(left(&here, "sub~alice").await, 5);
    assert_eq!(store.asked(), 6);
    let answer = refused(&there, "sub~alice").await;
    answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
    let limits = "\"calls\";r=3;t=38, \"reports\";r=0;t=12";
    assert_eq!(answer.headers["ratelimit"], limits);
    assert_eq!(answer.json()["id"], 1);
    assert_eq!(tool(&there, "sub~bob", "search").await, 200);
    assert_eq!(here.health().mode(), "shared");
}

#[tokio::test]
async fn a_local_budget_asks_no_store_and_refuses_before_one_is_asked() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let layer = QuotaLayer::shared(store.clone(), SECRET).unwrap();
    let machine = budget("machine", 3).local();
    let alone = layer
        .clone()
        .clock(clock.clone())
        .budget(machine.clone())
        .unwrap();
    assert_eq!(left(&alone, "sub~alice").await, 3);
    assert_eq!(store.asked(), 0);

    let both = replica(&store, &clock).budget(machine).unwrap();
    assert_eq!(left(&both, "sub~alice").await, 3);
    assert_eq!(store.asked(), 3);
    // What was refused here is not charged there.
    assert_eq!(left(&replica(&store, &clock), "sub~alice").await, 5);
    // And what is refused there is not charged here.
    clock.advance(MINUTE);
    assert_eq!(left(&replica(&store, &clock), "sub~alice").await, 8);
    assert_eq!(tool(&both, "sub~alice", "search").await, 429);
    clock.advance(Duration::from_millis(7500 * 3));
    assert_eq!(left(&both, "sub~alice").await, 3);
}

#[tokio::test]
async fn without_an_answer_requests_are_503_and_it_is_told_once() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let quotas = replica(&store, &clock);
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 200);
    store.fail(true);
    trace::start();
    for _ in 0..3 {
        let answer = refused(&quotas, "sub~alice").await;
        answer.refused(AuthErrorKind::Unavailable, "quotas_unavailable");
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!answer.text().contains("reach"));
    }
    let health = quotas.health();
    assert!(!health.is_ready() && !health.is_exact());
    assert_eq!(
        (health.mode(), health.error()),
        ("reject", Some("out of?reach"))
    );
    // A replica that gets no requests while it is not ready has to get one to find out.
    clock.advance(Duration::from_secs(10));
    assert!(!quotas.health().is_ready());
    clock.advance(Duration::from_millis(1));
    assert!(quotas.health().is_ready() && !quotas.health().is_exact());
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 503);
    assert!(!quotas.health().is_ready());
    store.fail(false);
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 200);
    let told = trace::take();
    let told = told.iter().filter(|event| event.level <= Level::INFO);
    let levels: Vec<_> = told
        .map(|event| (event.level, event.field("mode")))
        .collect();
    assert_eq!(levels, [(Level::WARN, "reject"), (Level::INFO, "")]);
    let health = quotas.health();
    assert!(health.is_ready() && health.is_exact() && health.error().is_none());
}

#[tokio::test]
async fn without_an_answer_each_replica_serves_its_part() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let own = || replica(&store, &clock).local_share(4).unwrap();
    let replicas = [own(), own(), own(), own()];
    store.fail(true);
    let mut admitted = 0;
    for quotas in &replicas {
        let here = left(quotas, "sub~alice").await;
        assert_eq!(here, 2);
        admitted += here;
        let answer = refused(quotas, "sub~alice").await;
        let error = answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
        assert!(error.detail().unwrap().contains("part of this replica"));
        // One in 7.5 seconds for all is one in 30 for each.
        assert_eq!(answer.headers["ratelimit"], "\"calls\";r=0;t=30");
        let health = quotas.health();
        assert!(health.is_ready() && !health.is_exact());
        assert_eq!(health.mode(), "local_share");
    }
    assert_eq!(admitted, 8);
    clock.advance(Duration::from_secs(30));
    for quotas in &replicas {
        assert_eq!(left(quotas, "sub~alice").await, 1);
    }
    store.fail(false);
    assert_eq!(left(&replicas[0], "sub~alice").await, 8);
    assert_eq!(left(&replicas[1], "sub~alice").await, 0);
}

/// It waits for the store to be back: no part of a replica ever holds it.
#[tokio::test]
async fn what_is_larger_than_the_part_of_a_replica_is_503_meanwhile() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let quotas = replica(&store, &clock).local_share(4).unwrap();
    let three = format!("[{}]", vec![call("a"); 3].join(","));
    store.fail(true);
    let answer = send(&quotas, "sub~alice", &three).await;
    answer.refused(AuthErrorKind::Unavailable, "quotas_unavailable");
    store.fail(false);
    send(&quotas, "sub~alice", &three).await.admitted();
}

#[tokio::test]
async fn without_an_answer_everything_can_be_let_in() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let quotas = replica(&store, &clock);
    let quotas = quotas.dangerously_allow_on_outage().unwrap();
    assert_eq!(left(&quotas, "sub~alice").await, 8);
    store.fail(true);
    assert_eq!(left(&quotas, "sub~alice").await, 10);
    let health = quotas.health();
    assert!(health.is_ready() && !health.is_exact());
    store.fail(false);
    assert_eq!(left(&quotas, "sub~alice").await, 0);
}

/// Replicas with another secret, and budgets of other names, have other buckets.
#[tokio::test]
async fn the_secret_and_the_name_are_parts_of_a_bucket() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    assert_eq!(left(&replica(&store, &clock), "sub~alice").await, 8);
    let secret = "another-one-Zm9yIHRoZSBleGFtcGxl";
    let other = QuotaLayer::shared(store.clone(), secret).unwrap();
    let other = other.budget(budget("calls", 8)).unwrap();
    assert_eq!(left(&other, "sub~alice").await, 8);
    let other = QuotaLayer::shared(store.clone(), SECRET).unwrap();
    let other = other.budget(budget("others", 8)).unwrap();
    assert_eq!(left(&other, "sub~alice").await, 8);
}

/// A caller that hangs up while the store is asked may have been charged, and was not served.
#[tokio::test]
async fn a_request_that_is_dropped_while_the_store_is_asked_is_not_served() {
    let clock = clock();
    let store = FlakyQuotas::new(&clock);
    let quotas = replica(&store, &clock);
    let inner = service_fn(async |_: http::Request<_>| {
        let response: Result<_, std::convert::Infallible> = Ok(http::Response::new(String::new()));
        panic!("served: {response:?}");
        #[allow(unreachable_code)]
        response
    });
    let mut service = behind(&quotas).service(inner);
    let request = post("sub~alice", call("search"));
    let mut response = tokio_test::task::spawn(service.ready().await.unwrap().call(request));
    assert!(response.poll().is_pending());
    drop(response);
    assert_eq!(store.asked(), 1);
    assert!(left(&quotas, "sub~alice").await >= 7);
}
