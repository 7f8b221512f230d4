//! How often the authorization server is asked, and how long its answers are used.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::Clock;
use tower_mcp_auth::oauth::{IntrospectionResponse, JwksOptions};

use super::*;

const NOW: u64 = START.as_secs();

fn token(number: usize) -> String {
    format!("opaque-token-number-{number:08}")
}

/// A server that calls every token of [`token`] good.
fn knows_all(web: &Web) {
    say_always(web, &active(json!({"exp": null})));
}

#[tokio::test]
async fn an_answer_is_used_for_thirty_seconds() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection());
    for second in 0..90 {
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        assert_eq!(web.count(ENDPOINT), second / 30 + 1, "second {second}");
        guarded.advance(1);
    }
}

#[tokio::test]
async fn an_answer_is_never_used_past_the_expiry_of_its_token() {
    let web = web([(OPAQUE, active(json!({"exp": NOW + 7})))]);
    let guarded = guarded(&web, introspection());
    for second in 0..7 {
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        assert_eq!(web.count(ENDPOINT), 1, "second {second}");
        guarded.advance(1);
    }
    // Within the clock skew the server has the last word.
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!(web.count(ENDPOINT), 3);
    guarded.advance(60);
    guarded.bearer(OPAQUE).await.assert(401, "expired");
}

#[tokio::test]
async fn without_an_expiry_the_life_of_the_answer_is_the_bound() {
    let web = web([(OPAQUE, active(json!({"exp": null})))]);
    let short = introspection().positive_ttl(Duration::from_secs(5));
    let guarded = guarded(&web, short);
    for second in 0..20 {
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        assert_eq!(web.count(ENDPOINT), second / 5 + 1, "second {second}");
        guarded.advance(1);
    }
}

#[tokio::test]
async fn with_a_life_of_zero_a_revoked_token_is_refused_at_once() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection().positive_ttl(Duration::ZERO));
    for count in 1..4 {
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        assert_eq!(web.count(ENDPOINT), count);
    }
    say(&web, []);
    guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
}

#[tokio::test]
async fn a_refusal_is_used_for_ten_seconds() {
    let web = web([(
        "for-another-audience",
        active(json!({"aud": "https://other.example"})),
    )]);
    let guarded = guarded(&web, introspection());
    for (token, reason) in [
        (OPAQUE, "inactive_token"),
        ("for-another-audience", "audience_mismatch"),
    ] {
        let before = web.count(ENDPOINT);
        for second in 0..20 {
            guarded.bearer(token).await.assert(401, reason);
            assert_eq!(
                web.count(ENDPOINT) - before,
                second / 10 + 1,
                "second {second}"
            );
            guarded.advance(1);
        }
    }
    // Good again, once the refusal has ended.
    say(&web, [(OPAQUE, active(json!({})))]);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
}

#[tokio::test]
async fn what_time_mends_is_not_kept() {
    let web = web([(OPAQUE, active(json!({"nbf": NOW + 62})))]);
    let guarded = guarded(&web, introspection());
    guarded.bearer(OPAQUE).await.assert(401, "not_yet_valid");
    guarded.advance(2);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
}

#[tokio::test]
async fn negative_life_zero_keeps_no_refusal() {
    let web = web([]);
    let guarded = guarded(&web, introspection().negative_ttl(Duration::ZERO));
    guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    say(&web, [(OPAQUE, active(json!({})))]);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
}

#[tokio::test]
async fn tokens_equal_in_all_but_the_last_character_are_two() {
    let web = web([("a-token-that-ends-in-1", active(json!({})))]);
    let guarded = guarded(&web, introspection());
    guarded
        .bearer("a-token-that-ends-in-1")
        .await
        .assert(200, "accepted");
    guarded
        .bearer("a-token-that-ends-in-2")
        .await
        .assert(401, "inactive_token");
    guarded
        .bearer("A-token-that-ends-in-1")
        .await
        .assert(401, "inactive_token");
}

#[tokio::test]
async fn invalidate_token_and_forget_all_drop_answers_at_once() {
    let web = web([
        (OPAQUE, active(json!({}))),
        ("another-opaque-token", active(json!({}))),
    ]);
    let guarded = guarded(&web, introspection());
    for token in [OPAQUE, "another-opaque-token"] {
        guarded.bearer(token).await.assert(200, "accepted");
    }
    say(&web, []);
    guarded.layer.invalidate_token(OPAQUE);
    guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(200, "accepted");
    guarded.layer.invalidate_all();
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(401, "inactive_token");
    // Refusals are answers as well.
    say(&web, [("another-opaque-token", active(json!({})))]);
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(401, "inactive_token");
    guarded.layer.invalidate_token("another-opaque-token");
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(200, "accepted");
}

/// More tokens than the first sizes of what finds them hold, so that it grows, and entries
/// make way for others meanwhile.
#[tokio::test]
async fn thousands_of_tokens_are_each_known_and_each_forgotten() {
    const TOKENS: usize = 3_000;
    let web = web([]);
    knows_all(&web);
    let any_rate = introspection().unknown_token_rate_limit(u32::MAX);
    let guarded = guarded(&web, any_rate.unwrap());
    let tokens: Vec<String> = (0..TOKENS).map(token).collect();
    for turn in ["new", "known", "known again"] {
        for token in &tokens {
            guarded.bearer(token).await.assert(200, "accepted");
        }
        assert_eq!(web.count(ENDPOINT), TOKENS, "{turn}");
    }
    for token in tokens.iter().step_by(3) {
        guarded.layer.invalidate_token(token);
    }
    let (revoked, others): (Vec<_>, Vec<_>) =
        (tokens.iter().enumerate()).partition(|(number, _)| number % 3 == 0);
    for (tokens, calls) in [(others, 0), (revoked, TOKENS / 3)] {
        let before = web.count(ENDPOINT);
        for (_, token) in tokens {
            guarded.bearer(token).await.assert(200, "accepted");
        }
        assert_eq!(web.count(ENDPOINT) - before, calls);
    }
    guarded.layer.invalidate_all();
    let before = web.count(ENDPOINT);
    for token in &tokens {
        guarded.bearer(token).await.assert(200, "accepted");
    }
    assert_eq!(web.count(ENDPOINT) - before, TOKENS);
}

#[tokio::test]
async fn a_request_after_a_revocation_does_not_share_the_answer_of_one_before_it() {
    for all in [false, true] {
        let web = web([(OPAQUE, active(json!({})))]);
        let guarded = guarded(&web, introspection());
        web.hold(true);
        let asking = common::spawn({
            let guarded = guarded.clone();
            async move { guarded.bearer(OPAQUE).await }
        });
        settle().await;
        assert_eq!(web.count(ENDPOINT), 1);
        if all {
            guarded.layer.invalidate_all();
        } else {
            guarded.layer.invalidate_token(OPAQUE);
        }
        let later = common::spawn({
            let guarded = guarded.clone();
            async move { guarded.bearer(OPAQUE).await }
        });
        settle().await;
        assert_eq!(web.count(ENDPOINT), 2);
        web.hold(false);
        asking.await.unwrap().assert(200, "accepted");
        later.await.unwrap().assert(200, "accepted");
        say(&web, []);
        guarded.layer.invalidate_token(OPAQUE);
        guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
    }
}

#[tokio::test]
async fn ten_thousand_requests_with_one_token_cause_one_call() {
    for said in [active(json!({})), json!({"active": false})] {
        let web = web([(OPAQUE, said.clone())]);
        let guarded = guarded(&web, introspection());
        web.hold(true);
        let requests: Vec<_> = (0..10_000)
            .map(|_| {
                let guarded = guarded.clone();
                common::spawn(async move { guarded.bearer(OPAQUE).await.status })
            })
            .collect();
        settle().await;
        web.hold(false);
        let expected = if said["active"] == true { 200 } else { 401 };
        for request in requests {
            assert_eq!(request.await.unwrap(), expected);
        }
        assert_eq!(web.count(ENDPOINT), 1);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection());
    web.hold(true);
    let first = common::spawn({
        let guarded = guarded.clone();
        async move { guarded.bearer(OPAQUE).await }
    });
    settle().await;
    let second = common::spawn({
        let guarded = guarded.clone();
        async move { guarded.bearer(OPAQUE).await }
    });
    settle().await;
    first.abort();
    settle().await;
    web.hold(false);
    second.await.unwrap().assert(200, "accepted");
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!(web.count(ENDPOINT), 1);
}

#[tokio::test]
async fn the_same_token_asked_about_elsewhere_or_by_another_client_is_another_entry() {
    // Two layers share nothing; one layer with two servers shares no entry.
    let web = web([("org_opaque-token-1", active(json!({})))]);
    let other = "https://login.example.org/introspect";
    web.set(other, Page::Tokens(HashMap::new()));
    let first = server(introspection().token_prefix("org_").unwrap());
    let second = AuthorizationServer::new("https://login.example.org")
        .unwrap()
        .introspection(Introspection::at(other).unwrap().bearer_token("t").unwrap())
        .unwrap();
    let guarded = Guarded::with_servers(&web, [first, second]);
    guarded
        .bearer("org_opaque-token-1")
        .await
        .assert(200, "accepted");
    guarded
        .bearer("orh_opaque-token-1")
        .await
        .assert(401, "inactive_token");
    assert_eq!((web.count(ENDPOINT), web.count(other)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_and_queued_are_bounded() {
    let web = Web::with_issuer(&[]);
    knows_all(&web);
    let bounded = introspection()
        .max_concurrent_requests(4)
        .unwrap()
        .max_queued(3)
        .queue_timeout(Duration::from_secs(2));
    let guarded = guarded(&web, bounded);
    web.hold(true);
    let ask = |number| {
        let guarded = guarded.clone();
        common::spawn(async move { guarded.bearer(&token(number)).await })
    };
    let requests: Vec<_> = (0..7).map(ask).collect();
    settle().await;
    // Of four at once, two are for tokens that were good before.
    assert_eq!(web.count(ENDPOINT), 2);
    let before = tokio::time::Instant::now();
    let refused = guarded.bearer(&token(7)).await;
    refused.assert(503, "introspection_limited");
    assert_eq!(refused.retry_after(), Some(1));
    // A wait that is too long ends with the same reason; this one did not wait.
    assert_eq!(before.elapsed(), Duration::ZERO, "{}", refused.detail());
    // Those in the queue do not wait for ever.
    tokio::time::advance(Duration::from_millis(2001)).await;
    settle().await;
    web.hold(false);
    let mut accepted = 0;
    for request in requests {
        let answer = request.await.unwrap();
        match answer.reason() {
            "accepted" => accepted += 1,
            _ => answer.assert(503, "introspection_limited"),
        }
    }
    assert_eq!(accepted, 2);
    guarded.bearer(&token(9)).await.assert(200, "accepted");
}

#[tokio::test]
async fn a_subscriber_may_call_the_layer_from_within_an_event() {
    let web = Web::with_issuer(&[]);
    knows_all(&web);
    let bounded = introspection()
        .max_concurrent_requests(2)
        .unwrap()
        .max_queued(0);
    let guarded = guarded(&web, bounded);
    let (events, of_events) = (Rc::new(Cell::new(0)), guarded.layer.clone());
    common::trace::react({
        let events = Rc::clone(&events);
        move || {
            of_events.invalidate_all();
            events.set(events.get() + 1);
        }
    });
    web.hold(true);
    let ask = |number| {
        let guarded = guarded.clone();
        common::spawn(async move { guarded.bearer(&token(number)).await })
    };
    let held: Vec<_> = (0..2).map(ask).collect();
    settle().await;
    let refused = guarded.bearer(&token(2)).await;
    refused.assert(503, "introspection_limited");
    assert!(refused.detail().contains("queued already"), "{refused:?}");
    assert!(events.get() > 0);
    web.hold(false);
    for request in held {
        request.await.unwrap().assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_flood_of_garbage_is_bounded_in_calls_and_locks_out_no_token_that_was_good() {
    let web = web([(OPAQUE, active(json!({"exp": null})))]);
    let bounded = introspection().unknown_token_rate_limit(50).unwrap();
    let guarded = guarded(&web, bounded);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    for second in 0..40 {
        let before = web.count(ENDPOINT);
        for number in 0..250 {
            let garbage = guarded.bearer(&token(second * 1000 + number)).await;
            assert!(
                matches!(garbage.reason(), "inactive_token" | "introspection_limited"),
                "{garbage:?}"
            );
        }
        assert!(web.count(ENDPOINT) - before <= 50);
        // From memory or, past its life, by a call that is not counted among those.
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        guarded.advance(1);
    }
    let about_it = web.count(ENDPOINT);
    assert!(about_it <= 50 * 40 + 2, "{about_it}");
}

#[tokio::test(start_paused = true)]
async fn good_tokens_have_their_turn_while_unknown_ones_fill_the_queue() {
    let web = web([(OPAQUE, active(json!({"exp": null})))]);
    let bounded = introspection().max_concurrent_requests(8).unwrap();
    let guarded = guarded(
        &web,
        bounded
            .max_queued(100)
            .queue_timeout(Duration::from_secs(60)),
    );
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    guarded.advance(31);
    web.hold(true);
    let garbage: Vec<_> = (0..50)
        .map(|number| {
            let guarded = guarded.clone();
            common::spawn(async move { guarded.bearer(&token(number)).await })
        })
        .collect();
    settle().await;
    assert_eq!(web.count(ENDPOINT), 1 + 4);
    let good = common::spawn({
        let guarded = guarded.clone();
        async move { guarded.bearer(OPAQUE).await }
    });
    settle().await;
    assert_eq!(web.count(ENDPOINT), 1 + 4 + 1, "its call did not queue");
    web.hold(false);
    good.await.unwrap().assert(200, "accepted");
    for request in garbage {
        request.await.unwrap().assert(401, "inactive_token");
    }
}

#[tokio::test]
async fn waiting_requests_are_bounded() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection().max_waiting_requests(2));
    web.hold(true);
    let requests: Vec<_> = (0..2)
        .map(|_| {
            let guarded = guarded.clone();
            common::spawn(async move { guarded.bearer(OPAQUE).await })
        })
        .collect();
    settle().await;
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_limited");
    web.hold(false);
    for request in requests {
        request.await.unwrap().assert(200, "accepted");
    }
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!(web.count(ENDPOINT), 1);
}

#[tokio::test]
async fn waiting_requests_are_bounded_for_all_servers_together() {
    let issuers = ["a", "b", "c"].map(|name| format!("https://{name}.example.org"));
    let own = |name: &str| format!("{name}_Zx81-opaque_token.of~some+length");
    let web = Web::new();
    let clock = Clock::manual(START);
    let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
    for (issuer, name) in issuers.iter().zip(["a", "b", "c"]) {
        let endpoint = format!("{issuer}/introspect");
        let said = active(json!({ "iss": issuer }));
        web.set(&endpoint, Page::Tokens([(own(name), said)].into()));
        let introspection = Introspection::at(&endpoint)
            .unwrap()
            .client_secret_basic("mcp-server", "s3cret-of-ours")
            .unwrap()
            .token_prefix(format!("{name}_"))
            .unwrap()
            .max_waiting_requests(2);
        let server = AuthorizationServer::new(issuer).unwrap();
        builder = builder
            .authorization_server(server.introspection(introspection).unwrap())
            .unwrap();
    }
    let mut guarded = Guarded::new(&web);
    guarded.layer = builder
        .jwks_options(JwksOptions::new().total_waiting(3))
        .clock(clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    web.hold(true);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let (mut waiting, mut refused) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c"] {
        for _ in 0..3 {
            let (guarded, token) = (guarded.clone(), own(name));
            let mut request = Box::pin(async move { guarded.bearer(&token).await });
            match request.as_mut().poll(&mut context) {
                std::task::Poll::Pending => waiting.push(request),
                std::task::Poll::Ready(answer) => {
                    answer.assert(503, "introspection_limited");
                    refused.push((name, answer.detail().contains("total_waiting")));
                }
            }
        }
    }
    assert_eq!(waiting.len(), 3);
    let by_all = [
        ("b", true),
        ("b", true),
        ("c", true),
        ("c", true),
        ("c", true),
    ];
    assert_eq!(refused[0], ("a", false));
    assert_eq!(refused[1..], by_all);
    // A place that is left is free again.
    drop(waiting.pop());
    let token = own("c");
    let mut next = Box::pin(guarded.bearer(&token));
    assert!(next.as_mut().poll(&mut context).is_pending());
    web.hold(false);
    next.await.assert(200, "accepted");
    for request in waiting {
        request.await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn good_answers_survive_a_flood_of_refused_ones() {
    let web = web([(OPAQUE, active(json!({"exp": null})))]);
    let introspection = introspection()
        .cache_capacity(100)
        .unknown_token_rate_limit(1_000_000)
        .unwrap();
    let guarded = guarded(&web, introspection);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    for number in 0..2000 {
        guarded
            .bearer(&token(number))
            .await
            .assert(401, "inactive_token");
    }
    let before = web.count(ENDPOINT);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!(web.count(ENDPOINT), before);
}

#[test]
fn outside_a_runtime_nothing_is_asked_and_nothing_waits() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection());
    let answer = futures_block_on(guarded.bearer(OPAQUE));
    answer.assert(503, "introspection_failed");
    assert_eq!(web.count(ENDPOINT), 0);
}

/// Drives a future without a Tokio runtime.
fn futures_block_on<F: Future>(future: F) -> F::Output {
    let mut task = tokio_test::task::spawn(future);
    for _ in 0..100 {
        if let std::task::Poll::Ready(output) = task.poll() {
            return output;
        }
    }
    panic!("it waits");
}

#[test]
fn answers_of_code_of_your_own_print_no_claims() {
    let claims = json!({"sub": "alice"}).as_object().unwrap().clone();
    assert_eq!(
        format!("{:?}", IntrospectionResponse::active(claims)),
        "IntrospectionResponse { active: true, .. }"
    );
}
