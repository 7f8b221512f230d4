//! A proof is good for one request: in memory, and in a store that replicas share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{FlakyStore, trace};
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::Clock;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::store::{MemoryReplayStore, ReplayStore};
use tower_mcp_auth::testing::DpopKey;

use super::super::support::{RESOURCE, START, Web};
use super::{Bound, assert_refused};

fn with(options: DpopOptions) -> Bound {
    Bound::with(DpopMode::Allowed, options)
}

/// A store that was there before any proof that could be used now.
fn old_store() -> MemoryReplayStore {
    let clock = Clock::manual(START - Duration::from_secs(301));
    let store = MemoryReplayStore::default().clock(clock.clone());
    assert_eq!(store.complete_since(), clock.now());
    clock.set_wall(START);
    store
}

#[tokio::test]
async fn a_proof_is_accepted_once() {
    for options in [
        DpopOptions::new(),
        DpopOptions::new().replay_store(old_store()).unwrap(),
    ] {
        let bound = with(options);
        let proof = bound.proof().claim("jti", "1").sign();
        bound.ask(&proof).await.assert(200, "accepted");
        for _ in 0..3 {
            let again = bound.ask(&proof).await;
            assert_refused(&again, "invalid_dpop_proof", "replayed_dpop_proof");
        }
        // Another proof with the same id is a repetition too.
        let other = bound.proof().claim("jti", "1").claim("x", 1).sign();
        let again = bound.ask(&other).await;
        assert_refused(&again, "invalid_dpop_proof", "replayed_dpop_proof");
        // For another URL it is not, nor of another client.
        let url = format!("{RESOURCE}/messages");
        let proof = bound.key.proof("POST", &url).access_token(&bound.token);
        let proof = proof.issued_at(START).claim("jti", "1").sign();
        let request = Request::post("/mcp/messages")
            .header("authorization", format!("DPoP {}", bound.token))
            .header("dpop", proof);
        let request = request.body(Full::default()).unwrap();
        bound.guarded.ask(request).await.assert(200, "accepted");
        let key = DpopKey::generate();
        let token = bound
            .issuer
            .token(json!({"cnf": {"jkt": key.thumbprint()}}));
        let proof = key.proof("POST", RESOURCE).access_token(&token);
        let proof = proof.issued_at(START).claim("jti", "1").sign();
        let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
        answer.assert(200, "accepted");
        assert_eq!(bound.guarded.reached(), 3);
    }
}

/// As long as its time would let it in, whatever happens to clocks.
#[tokio::test]
async fn a_proof_is_known_until_it_is_too_old() {
    let bound = Bound::new();
    let early = bound.proof().claim("iat", START.as_secs() - 300).sign();
    let late = bound.proof().claim("iat", START.as_secs() + 300).sign();
    for proof in [&early, &late] {
        bound.ask(proof).await.assert(200, "accepted");
    }
    for (seconds, of_early) in [(0, "replayed_dpop_proof"), (1, "dpop_time_mismatch")] {
        bound.guarded.advance(seconds);
        bound.ask(&early).await.assert(401, of_early);
    }
    for seconds in [60, 200, 38, 1, 200, 99, 1] {
        bound.guarded.advance(seconds);
        bound.ask(&late).await.assert(401, "replayed_dpop_proof");
    }
    // 601 s after the start.
    bound.guarded.advance(1);
    bound.ask(&late).await.assert(401, "dpop_time_mismatch");
}

#[tokio::test]
async fn a_clock_that_is_set_lets_no_proof_in_twice() {
    let bound = Bound::new();
    let proof = bound.proof().sign();
    bound.ask(&proof).await.assert(200, "accepted");
    // Forward, with other requests that make the memory forget, and back.
    bound
        .guarded
        .clock
        .set_wall(START + Duration::from_secs(86_400));
    let token = bound.issuer.token(json!({
        "cnf": {"jkt": bound.key.thumbprint()}, "exp": START.as_secs() + 2 * 86_400,
    }));
    let other = bound.proof_for(&token).sign();
    let answer = bound.ask_with("DPoP", &token, &[&other]).await;
    answer.assert(200, "accepted");
    bound.guarded.clock.set_wall(START);
    // It is not known any more what was used in that minute.
    let answer = bound.ask(&proof).await;
    answer.assert(503, "dpop_replays_unavailable");
    assert_eq!(answer.retry_after(), Some(10));
    // Back, without: it is known.
    let bound = Bound::new();
    let proof = bound.proof().sign();
    bound.ask(&proof).await.assert(200, "accepted");
    bound
        .guarded
        .clock
        .set_wall(START - Duration::from_secs(50));
    bound.ask(&proof).await.assert(401, "replayed_dpop_proof");
}

/// Only what is good takes a place.
#[tokio::test]
async fn a_refused_proof_is_not_used_up() {
    let bound = with(DpopOptions::new().max_used_proofs(1).unwrap());
    let foreign = DpopKey::generate();
    for proof in [
        bound.proof().claim("htm", "GET"),
        bound.proof().claim("ath", "x"),
        bound.proof().claim("iat", 1),
        bound.proof().signed_with(&foreign),
    ] {
        assert_eq!(bound.ask(&proof.claim("jti", "1").sign()).await.status, 401);
    }
    let proof = bound.proof().claim("jti", "1").sign();
    bound.ask(&proof).await.assert(200, "accepted");
}

#[tokio::test]
async fn where_there_is_no_room_requests_are_unavailable() {
    trace::start();
    let bound = with(DpopOptions::new().max_used_proofs(1).unwrap());
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
    let answer = bound.ask(&bound.proof().sign()).await;
    bound.guarded.advance(361);
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
    let events = trace::take();
    answer.assert(503, "dpop_replays_unavailable");
    assert_eq!(answer.retry_after(), Some(10));
    assert!(!answer.headers.contains_key("www-authenticate"));
    let text = format!("{events:?}");
    for said in ["80 % of the memory", "there is no room"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// While more than half is in use, one client has a tenth.
#[tokio::test]
async fn one_client_cannot_take_all_the_room() {
    let bound = with(DpopOptions::new().max_used_proofs(100).unwrap());
    // To the half of it anybody.
    for _ in 0..50 {
        bound
            .ask(&bound.proof().sign())
            .await
            .assert(200, "accepted");
    }
    let answer = bound.ask(&bound.proof().sign()).await;
    answer.assert(503, "dpop_replays_unavailable");
    assert!(answer.detail().contains("a tenth"), "{answer:?}");
    // Others are served, each to a tenth.
    for subject in ["bob", "carol"] {
        let token = bound.issuer.token(json!({
            "sub": subject, "cnf": {"jkt": bound.key.thumbprint()},
        }));
        for count in 0..11 {
            let proof = bound.proof_for(&token).sign();
            let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
            let is_served = count < 10;
            assert_eq!(
                answer.reason() == "accepted",
                is_served,
                "{subject} {count}"
            );
        }
    }
    // So is another client of hers, and she herself in ten minutes.
    let token = bound.issuer.token(json!({
        "client_id": "other", "cnf": {"jkt": bound.key.thumbprint()},
    }));
    let proof = bound.proof_for(&token).sign();
    let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
    answer.assert(200, "accepted");
    bound.guarded.advance(361);
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
}

/// Of requests at once with one proof, one is served. How many each of four tasks sends is 200,
/// unless the variable `REPLAYS` says otherwise: 250,000 make a million, which takes minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_is_served() {
    let each = std::env::var("REPLAYS").map_or(200, |each| each.parse().unwrap());
    let bound = Arc::new(Bound::new());
    let served = Arc::new(AtomicUsize::new(0));
    let proofs: Vec<String> = (0..20).map(|_| bound.proof().sign()).collect();
    let proofs = Arc::new(proofs);
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (bound, proofs) = (Arc::clone(&bound), Arc::clone(&proofs));
        let served = Arc::clone(&served);
        tasks.push(common::spawn(async move {
            for proof in proofs.iter().cycle().take(each) {
                let answer = bound.ask(proof).await;
                if answer.status == 200 {
                    served.fetch_add(1, Ordering::Relaxed);
                } else {
                    answer.assert(401, "replayed_dpop_proof");
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(served.load(Ordering::Relaxed), proofs.len());
}

/// A layer that takes the place of another one, and one of another replica.
#[tokio::test]
async fn what_was_used_is_shared_by_clones_of_options_and_by_a_store() {
    let in_memory = DpopOptions::new();
    let store = old_store();
    let in_store = || DpopOptions::new().replay_store(store.clone()).unwrap();
    for (options, others, reason) in [
        (in_memory.clone(), in_memory, "replayed_dpop_proof"),
        (in_store(), in_store(), "replayed_dpop_proof"),
        (DpopOptions::new(), DpopOptions::new(), "accepted"),
    ] {
        let one = with(options);
        let web = Web::with_issuer(&[&one.issuer]);
        let other = Bound::built(DpopMode::Allowed, |builder| {
            builder.dpop_options(others).fetch(web)
        });
        let proof = one.proof().sign();
        one.ask(&proof).await.assert(200, "accepted");
        let answer = other.ask_with("DPoP", &one.token, &[&proof]).await;
        assert_eq!(answer.reason(), reason);
    }
}

#[tokio::test]
async fn without_an_answer_of_the_store_requests_are_unavailable() {
    let store = FlakyStore::default();
    let bound = with(DpopOptions::new().replay_store(store.clone()).unwrap());
    store.fail(true);
    let proof = bound.proof().sign();
    let answer = bound.ask(&proof).await;
    answer.assert(503, "dpop_replays_unavailable");
    assert_eq!(answer.retry_after(), Some(1));
    assert!(answer.detail().contains("out of?reach"), "{answer:?}");
    store.fail(false);
    bound.ask(&proof).await.assert(200, "accepted");
    bound.ask(&proof).await.assert(401, "replayed_dpop_proof");
    // A full store.
    let full = MemoryReplayStore::new(0);
    let bound = with(DpopOptions::new().replay_store(full).unwrap());
    let answer = bound.ask(&bound.proof().sign()).await;
    answer.assert(503, "dpop_replays_unavailable");
}

#[tokio::test]
async fn without_detection_a_proof_is_good_for_a_minute() {
    let bound = with(DpopOptions::new().dangerously_allow_replays().unwrap());
    let proof = bound.proof().sign();
    for _ in 0..3 {
        bound.ask(&proof).await.assert(200, "accepted");
    }
    let now = START.as_secs();
    for (iat, is_good) in [
        (now - 60, true),
        (now - 61, false),
        (now + 60, true),
        (now + 61, false),
    ] {
        let answer = bound.ask(&bound.proof().claim("iat", iat).sign()).await;
        match is_good {
            true => answer.assert(200, "accepted"),
            false => assert_refused(&answer, "invalid_dpop_proof", "dpop_time_mismatch"),
        }
    }
}
