//! What is remembered of answers, and what ends that.

use std::time::Duration;

use serde_json::json;

use super::*;

/// A request after `invalidate_token` has returned learns nothing from before, whatever others do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revoke_is_seen_by_all_that_come_later() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(
        &web,
        introspection()
            .negative_ttl(Duration::ZERO)
            .unknown_token_rate_limit(u32::MAX)
            .unwrap(),
    );
    /// Ends the others when this test ends, however it does.
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let ends = Stop(Arc::clone(&stop));
    let hammers: Vec<_> = (0..3)
        .map(|_| {
            let (guarded, stop) = (guarded.clone(), Arc::clone(&stop));
            common::spawn(async move {
                let mut kept = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = guarded.bearer(OPAQUE).await;
                    assert!(
                        answer.status == 200 || answer.reason() == "inactive_token",
                        "{answer:?}"
                    );
                    // Principals keep what was remembered alive.
                    kept.push(answer.who);
                    kept.truncate(16);
                }
            })
        })
        .collect();
    for round in 0..400 {
        say(&web, [(OPAQUE, active(json!({})))]);
        guarded.layer.invalidate_token(OPAQUE);
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        say(&web, []);
        if round % 2 == 0 {
            guarded.layer.invalidate_token(OPAQUE);
        } else {
            guarded.layer.invalidate_all();
        }
        for _ in 0..3 {
            guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
        }
    }
    drop(ends);
    for hammer in hammers {
        hammer.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_was_under_way_when_its_token_was_revoked_is_not_kept() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tower_mcp_auth::oauth::{
        AuthorizationServer, Fetch, Introspect, IntrospectFuture, Introspection,
        IntrospectionResponse,
    };

    /// Calls the token good once, and takes its time over that.
    #[derive(Clone, Debug, Default)]
    struct GoodOnce(Arc<(AtomicUsize, Notify)>);
    impl Introspect for GoodOnce {
        fn introspect(&self, _: &str, _: Arc<dyn Fetch>) -> IntrospectFuture {
            let state = Arc::clone(&self.0);
            Box::pin(async move {
                if state.0.fetch_add(1, Ordering::SeqCst) > 0 {
                    return Ok(IntrospectionResponse::inactive());
                }
                state.1.notified().await;
                let said = active(json!({})).as_object().unwrap().clone();
                Ok(IntrospectionResponse::active(said))
            })
        }
    }
    for all in [false, true] {
        let (web, asked) = (Web::new(), GoodOnce::default());
        let introspection = Introspection::custom(asked.clone());
        let server = AuthorizationServer::new(ISSUER)
            .unwrap()
            .introspection(introspection);
        let guarded = Guarded::with_server(&web, server.unwrap());
        let asking = common::spawn({
            let guarded = guarded.clone();
            async move { guarded.bearer(OPAQUE).await }
        });
        settle().await;
        if all {
            guarded.layer.invalidate_all();
        } else {
            guarded.layer.invalidate_token(OPAQUE);
        }
        asked.0.1.notify_one();
        asking.await.unwrap().assert(200, "accepted");
        guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    }
}

/// A principal that a stream holds keeps alive what was remembered, which is marked instead.
#[tokio::test]
async fn a_revoked_answer_that_a_stream_still_holds_is_not_found() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection());
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(guarded.bearer(OPAQUE).await.who.unwrap());
    }
    assert_eq!(web.count(ENDPOINT), 1);
    say(&web, []);
    guarded.layer.invalidate_token(OPAQUE);
    guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    drop(held);
}

/// Where no answer is to be kept, each request asks.
#[tokio::test]
async fn no_answers_means_no_answers() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection().cache_capacity(0));
    let mut kept = Vec::new();
    for _ in 0..20 {
        kept.push(guarded.bearer(OPAQUE).await.who);
    }
    say(&web, []);
    guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    assert_eq!(web.count(ENDPOINT), 21);
}

#[tokio::test]
async fn no_answers_means_no_refusals() {
    let web = web([]);
    let guarded = guarded(&web, introspection().cache_capacity(0));
    for _ in 0..20 {
        guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    }
    assert_eq!(web.count(ENDPOINT), 20);
}
