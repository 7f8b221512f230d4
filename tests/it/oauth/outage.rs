//! Keys while the authorization server does not work: never 401, and back without a restart.

use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;
use crate::oauth::trace;

#[tokio::test]
async fn a_server_that_is_down_is_503_with_the_time_to_the_next_attempt() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    web.set(JWKS, Page::NoConnection);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));

    let answer = guarded.bearer(&token).await;
    answer.assert(503, "keys_unavailable");
    assert_eq!(answer.retry_after(), Some(1));
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert!(
        answer.detail().contains("no connection: refused"),
        "{answer:?}"
    );

    guarded.bearer(&token).await.assert(503, "keys_unavailable");
    assert_eq!(web.count(JWKS), 1, "not before the backoff is over");

    web.publish_keys(&[&key]);
    guarded.advance(1);
    guarded.bearer(&token).await.assert(200, "accepted");
}

#[tokio::test]
async fn every_kind_of_failure_is_503() {
    let key = Key::new("a");
    let many: Vec<_> = (0..101).map(|_| key.jwk()).collect();
    let pages = [
        Page::Status(301),
        Page::Status(401),
        Page::Status(404),
        Page::Status(500),
        Page::Status(204),
        Page::NoConnection,
        Page::Raw(b"<html>".to_vec()),
        Page::Raw(Vec::new()),
        Page::Raw(vec![b' '; 256 * 1024 + 1]),
        Page::Json(json!([])),
        Page::Json(json!({"keys": {}})),
        Page::Json(json!({"keys": many})),
    ];
    for page in pages {
        let web = Web::with_issuer(&[&key]);
        web.set(JWKS, page.clone());
        let guarded = Guarded::new(&web);
        let answer = guarded.bearer(&key.token(json!({}))).await;
        assert_eq!(answer.status, 503, "{page:?}");
        assert!(answer.retry_after().is_some());
        assert_eq!(guarded.reached(), 0);
    }
}

#[tokio::test]
async fn the_backoff_doubles_to_fifteen_seconds_while_no_keys_are_held() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    web.set(JWKS, Page::Status(500));
    let guarded = Guarded::new(&web);
    for most in [1, 2, 4, 8, 15, 15, 15] {
        let answer = guarded.bearer(&key.token(json!({}))).await;
        let wait = answer.retry_after().unwrap();
        assert!(
            wait <= most && 2 * wait >= most,
            "{wait} s, expected up to {most} s"
        );
        guarded.advance(wait);
    }
    assert_eq!(web.count(JWKS), 7);
}

#[tokio::test]
async fn warm_keys_serve_for_an_hour_past_their_lifetime_and_no_longer() {
    let (key, new) = (Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let late = json!({"exp": START.as_secs() + 90_000});
    let token = key.token(late.clone());
    guarded.bearer(&token).await.assert(200, "accepted");
    web.set(JWKS, Page::NoConnection);
    web.set(
        &format!("{ISSUER}/.well-known/oauth-authorization-server"),
        Page::NoConnection,
    );

    for _ in 0..418 {
        guarded.advance(10);
        guarded.bearer(&token).await.assert(200, "accepted");
        settle().await;
    }
    // 4180 s: twenty seconds are left of 600 + 3600.
    guarded
        .bearer(&new.token(late))
        .await
        .assert(503, "keys_unavailable");
    guarded.advance(20);
    let answer = guarded.bearer(&token).await;
    answer.assert(503, "keys_unavailable");

    web.publish_metadata(ISSUER);
    web.publish_keys(&[&key]);
    guarded.advance(60);
    guarded.bearer(&token).await.assert(200, "accepted");
}

#[tokio::test]
async fn a_set_over_the_limit_leaves_the_last_good_one() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");

    let many: Vec<_> = (0..101).map(|_| Key::new("x").jwk()).collect();
    web.set(JWKS, Page::Json(json!({"keys": many})));
    guarded.advance(500);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    settle().await;
    guarded.advance(200);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    let (_, health) = guarded.layer.health().remove(0);
    assert!(health.last_error.unwrap().contains("101 keys, at most 100"));
}

#[tokio::test]
async fn an_unknown_key_is_503_when_the_last_attempt_failed() {
    let (known, unknown) = (Key::new("known"), Key::new("unknown"));
    let web = Web::with_issuer(&[&known]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&known.token(json!({})))
        .await
        .assert(200, "accepted");
    web.set(JWKS, Page::Status(500));
    guarded.advance(30);

    let answer = guarded.bearer(&unknown.token(json!({}))).await;
    answer.assert(503, "keys_unavailable");
    guarded
        .bearer(&unknown.token(json!({})))
        .await
        .assert(503, "keys_unavailable");
    guarded
        .bearer(&known.token(json!({})))
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn a_key_set_that_moved_is_found_again() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");

    let moved = format!("{ISSUER}/moved");
    web.set(JWKS, Page::Status(404));
    web.set(&moved, Page::Json(key_set(&[&key])));
    web.set(
        &format!("{ISSUER}/.well-known/oauth-authorization-server"),
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": moved})),
    );
    guarded.advance(600);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    assert_eq!(web.count(&moved), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_503_after_the_deadline() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    web.hold(true);
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .jwks_uri(JWKS)
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    let start = tokio::time::Instant::now();

    let answer = guarded.bearer(&key.token(json!({}))).await;

    answer.assert(503, "keys_unavailable");
    assert!(
        answer.detail().contains("no answer within 5 s"),
        "{answer:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 5);
}

/// A fetch runs where it was started, and nothing may drive that any more.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_does_not_end_is_503_and_no_success() {
    let (known, unknown) = (Key::new("known"), Key::new("unknown"));
    let web = Web::with_issuer(&[&known]);
    let guarded = Guarded::new(&web);
    let token = known.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");

    let idle = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let other = unknown.token_with_header(json!({"kid": "other"}), json!({}));
    let mut first = Box::pin(guarded.bearer(&other));
    {
        let _entered = idle.enter();
        assert!(futures_poll(&mut first).is_none());
    }
    let answer = guarded.bearer(&unknown.token(json!({}))).await;
    answer.assert(503, "keys_unavailable");
    assert!(answer.detail().contains("has not ended"), "{answer:?}");
    let error = guarded.layer.warm_up().await.unwrap_err();
    assert_eq!(error.reason(), "keys_unavailable");
    guarded.bearer(&token).await.assert(200, "accepted");
    drop(first);
    idle.shutdown_background();
    // It is cut off then, and the next one may start.
    guarded.layer.warm_up().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_delays_no_token_of_another() {
    let (fast, slow) = (Key::new("fast"), Key::new("slow"));
    let web = Web::with_issuer(&[&fast]);
    let other = "https://slow.example.com";
    let servers = [ISSUER, other].map(|issuer| AuthorizationServer::new(issuer).unwrap());
    let guarded = Guarded::with_servers(&web, servers);
    guarded
        .bearer(&fast.token(json!({})))
        .await
        .assert(200, "accepted");
    web.hold(true);
    let waiting = common::spawn({
        let (guarded, token) = (guarded.clone(), slow.token(json!({"iss": other})));
        async move { guarded.bearer(&token).await }
    });
    settle().await;

    let token = fast.token(json!({}));
    let known = guarded.bearer(&token);
    let answer = tokio::time::timeout(Duration::from_secs(1), known)
        .await
        .unwrap();
    answer.assert(200, "accepted");

    web.hold(false);
    waiting.await.unwrap().assert(503, "keys_unavailable");
}

#[tokio::test]
async fn more_waiting_requests_than_the_limit_are_503() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    web.hold(true);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    let mut waiting = Vec::with_capacity(16_384);
    for _ in 0..16_384 {
        let mut request = Box::pin(guarded.bearer(&token));
        assert!(futures_poll(&mut request).is_none());
        waiting.push(request);
    }

    // Unsigned tokens suffice to come this far, so a log must not be filled with it.
    trace::start();
    for _ in 0..10 {
        guarded.bearer(&token).await.assert(503, "keys_limited");
    }
    let told = trace::take();
    let warnings = told
        .iter()
        .filter(|event| event.level == tracing::Level::WARN);
    assert_eq!(warnings.count(), 1, "{told:?}");

    drop(waiting.pop());
    let mut next = Box::pin(guarded.bearer(&token));
    assert!(
        futures_poll(&mut next).is_none(),
        "a place that was left is free"
    );
    web.hold(false);
    next.await.assert(200, "accepted");
}

#[tokio::test]
async fn idle_keys_do_not_serve_while_their_first_refresh_is_under_way() {
    let (key, unknown) = (Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");
    // A failure long before the keys were due for a refresh says nothing of that refresh.
    web.set(JWKS, Page::Status(500));
    guarded.advance(400);
    let answer = guarded.bearer(&unknown.token(json!({}))).await;
    answer.assert(503, "keys_unavailable");

    web.publish_keys(&[&unknown]);
    web.hold(true);
    guarded.advance(300);
    let mut first = Box::pin(guarded.bearer(&token));
    let mut second = Box::pin(guarded.bearer(&token));
    assert!(futures_poll(&mut first).is_none());
    assert!(
        futures_poll(&mut second).is_none(),
        "served with keys that were withdrawn"
    );
    web.hold(false);
    first.await.assert(401, "unknown_key");
    second.await.assert(401, "unknown_key");
}

/// Such a server is out of order: it can sign nothing.
#[tokio::test]
async fn a_key_set_without_a_usable_key_is_a_failed_fetch() {
    let (key, unknown) = (Key::new("a"), Key::new("b"));
    let late = json!({"exp": START.as_secs() + 90_000});
    for set in [
        json!({"keys": []}),
        json!({"keys": [{"kty": "oct", "k": "AA"}]}),
        json!({"keys": [5, {}, {"kty": "RSA"}]}),
    ] {
        // There is nothing to go on with.
        let web = Web::with_issuer(&[]);
        web.set(JWKS, Page::Json(set.clone()));
        let cold = Guarded::new(&web);
        cold.bearer(&key.token(json!({})))
            .await
            .assert(503, "keys_unavailable");

        web.publish_keys(&[&key]);
        let guarded = Guarded::new(&web);
        let token = key.token(late.clone());
        guarded.bearer(&token).await.assert(200, "accepted");
        web.set(JWKS, Page::Json(set));
        trace::start();
        assert!(guarded.layer.warm_up().await.is_err());
        let (_, health) = guarded.layer.health().remove(0);
        assert!(health.serving && health.last_error.is_some(), "{health:?}");
        let warned = trace::take().into_iter().any(|event| {
            event.level == tracing::Level::WARN && event.field("why").contains("key set")
        });
        assert!(warned);
        guarded
            .bearer(&unknown.token(late.clone()))
            .await
            .assert(503, "keys_unavailable");
        for _ in 0..69 {
            guarded.bearer(&token).await.assert(200, "accepted");
            settle().await;
            guarded.advance(60);
        }
        guarded.advance(60);
        guarded.bearer(&token).await.assert(503, "keys_unavailable");
        web.publish_keys(&[&key]);
        guarded.advance(60);
        guarded.bearer(&token).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn the_warning_names_each_key_that_cannot_be_used_and_why() {
    let mut forbidden = Key::new("for encryption").jwk();
    forbidden["use"] = json!("enc");
    let keys: Vec<_> = [
        json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA", "kid": "new kind"}),
        forbidden,
        json!(5),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "a\nforged line", "x": "AA", "y": "AA"}),
    ]
    .into_iter()
    .chain((4..100).map(|number| json!({"kty": "?", "kid": format!("k{number}")})))
    .collect();
    let web = Web::with_issuer(&[]);
    web.set(JWKS, Page::Json(json!({"keys": keys})));
    let guarded = Guarded::new(&web);
    trace::start();
    let answer = guarded.bearer(&Key::new("a").token(json!({}))).await;
    answer.assert(503, "keys_unavailable");
    let told = trace::take();
    let warned = told
        .iter()
        .find(|event| event.field("message") == "keys could not be fetched")
        .unwrap();
    assert_eq!(warned.level, tracing::Level::WARN);
    let why = warned.field("why");
    for part in [
        "keys[0] (kid \"new kind\"): ",
        "keys[1] (kid \"for encryption\"): its `use` is not `sig`; ",
        "keys[2]: ",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    for number in 4..100 {
        let part = format!("keys[{number}] (kid \"k{number}\"): ");
        assert!(why.contains(&part), "{part}: {why}");
    }
    assert!(!why.contains('\n'));
    assert!(answer.detail().len() < 2048, "{}", answer.detail().len());
}

#[tokio::test]
async fn a_private_key_in_a_public_set_is_warned_of_and_not_used() {
    let key = Key::new("good");
    let mut leaked = Key::new("leaked").jwk();
    leaked["d"] = json!("c2VjcmV0LXNjYWxhcg");
    let symmetric = json!({"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNjYWxhcg"});
    let mut absent = Key::new("absent").jwk();
    absent["d"] = json!(null);
    let web = Web::with_issuer(&[]);
    let keys = [leaked, symmetric, absent, key.jwk()];
    web.set(JWKS, Page::Json(json!({"keys": keys})));
    let guarded = Guarded::new(&web);
    trace::start();
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded.layer.warm_up().await.unwrap();
    let told = trace::take();
    let warned: Vec<_> = told
        .iter()
        .filter(|event| event.level == tracing::Level::WARN)
        .map(|event| event.field("keys"))
        .collect();
    // Now and then, not with each fetch.
    let named = "keys[0] (kid \"leaked\"), keys[1] (kid \"shared\")";
    assert_eq!(warned, [named]);
    assert!(!format!("{told:?}").contains("c2VjcmV0LXNjYWxhcg"));
}

#[tokio::test]
async fn an_unknown_key_names_when_the_next_fetch_may_be() {
    let (known, unknown) = (Key::new("known"), Key::new("unknown"));
    let web = Web::with_issuer(&[&known]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&known.token(json!({})))
        .await
        .assert(200, "accepted");
    web.set(JWKS, Page::Status(500));
    // While the budget lasts the backoff decides, and then the cooldown.
    for wait in [1..=1, 1..=2, 30..=30] {
        let answer = guarded.bearer(&unknown.token(json!({}))).await;
        answer.assert(503, "keys_unavailable");
        let retry = answer.retry_after().unwrap();
        assert!(wait.contains(&retry), "{retry}, expected {wait:?}");
        guarded.advance(retry);
    }
}

#[tokio::test(start_paused = true)]
async fn places_that_answer_at_once_take_no_time_from_the_others() {
    let issuer = format!("{ISSUER}/realms/a");
    let web = Web::new();
    let third = format!("{issuer}/.well-known/openid-configuration");
    web.set(&third, Page::Hang);
    let server = AuthorizationServer::new(&issuer).unwrap();
    let guarded = Guarded::with_server(&web, server);
    let token = Key::new("a").token(json!({ "iss": issuer }));
    let answer = guarded.bearer(&token).await;
    answer.assert(503, "keys_unavailable");
    // Half of five seconds: those before it were 404.
    let told = format!("{third}: no answer within 2500 ms");
    assert!(answer.detail().contains(&told), "{}", answer.detail());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_never_answers_leaves_time_for_the_next() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let first = format!("{ISSUER}/.well-known/oauth-authorization-server");
    web.set(&first, Page::Hang);
    let second = format!("{ISSUER}/.well-known/openid-configuration");
    web.set(
        &second,
        Page::Json(json!({"issuer": ISSUER, "jwks_uri": JWKS})),
    );
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");

    web.set(&second, Page::Hang);
    let guarded = Guarded::new(&web);
    let answer = guarded.bearer(&key.token(json!({}))).await;
    answer.assert(503, "keys_unavailable");
    for place in [first, second] {
        assert!(
            answer
                .detail()
                .contains(&format!("{place}: no answer within")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn what_a_server_sends_cannot_forge_a_line_of_a_log() {
    let web = Web::new();
    let document = json!({"issuer": ISSUER, "jwks_uri": "https://auth.example.com/a\nforged"});
    web.set(
        &format!("{ISSUER}/.well-known/oauth-authorization-server"),
        Page::Json(document),
    );
    let guarded = Guarded::new(&web);
    let answer = guarded.bearer(&Key::new("a").token(json!({}))).await;
    answer.assert(503, "keys_unavailable");
    assert!(!answer.detail().contains('\n'), "{answer:?}");
}

fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
