//! Answers of status 401, 403, 429 and 503: whom they are about, and who waits for it.

use serde_json::json;
use tracing::Level;

use super::*;
use crate::oauth::trace;

/// A refusal with this error in its body.
fn names(status: u16, error: &str) -> Page {
    let json = vec![("content-type", "application/json".to_owned())];
    let body = json!({"error": error, "error_description": "no"}).to_string();
    Page::Answer(status, json, body.into_bytes())
}

/// A refusal with this challenge.
fn challenges(status: u16, challenge: &str) -> Page {
    let headers = vec![("www-authenticate", challenge.to_owned())];
    Page::Answer(status, headers, Vec::new())
}

fn busy(status: u16, retry_after: Option<&str>) -> Page {
    let headers = retry_after.map(|value| ("retry-after", value.to_owned()));
    Page::Answer(status, headers.into_iter().collect(), Vec::new())
}

fn token(number: usize) -> String {
    format!("opaque-token-number-{number}")
}

fn is_loud(events: &[trace::Traced]) -> bool {
    events.iter().any(|event| event.level == Level::ERROR)
}

/// `OPAQUE` is known, and its answer is used no more.
async fn with_a_known_token() -> (Web, Guarded) {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection());
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    guarded.advance(31);
    (web, guarded)
}

#[tokio::test]
async fn a_401_or_403_about_one_token_stops_no_call_about_another() {
    for page in [
        Page::Status(401),
        Page::Status(403),
        names(401, "invalid_token"),
        names(403, "access_denied"),
        challenges(401, "Bearer error=\"invalid_token\""),
        challenges(401, "Basic realm=\"invalid_client\""),
        challenges(403, "Bearer error_description=\"error=invalid_client\""),
    ] {
        let (web, guarded) = with_a_known_token().await;
        web.set(ENDPOINT, page.clone());
        trace::start();
        let refused = guarded.bearer("../../../../../../../etc/passwd").await;
        refused.assert(503, "introspection_refused");
        assert_eq!(refused.retry_after(), Some(10), "{page:?}");
        assert!(!is_loud(&trace::take()), "{page:?}");
        say(
            &web,
            [
                (OPAQUE, active(json!({}))),
                ("new-opaque-token", active(json!({}))),
            ],
        );
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        guarded
            .bearer("new-opaque-token")
            .await
            .assert(200, "accepted");
    }
}

#[tokio::test]
async fn such_an_answer_is_remembered_for_ten_seconds() {
    let (web, guarded) = with_a_known_token().await;
    web.set(ENDPOINT, Page::Status(403));
    let before = web.count(ENDPOINT);
    for second in 0..20 {
        let refused = guarded.bearer(&token(1)).await;
        refused.assert(503, "introspection_refused");
        assert_eq!(refused.retry_after(), Some(10 - second % 10));
        let calls = web.count(ENDPOINT) - before;
        assert_eq!(calls as u64, second / 10 + 1, "second {second}");
        guarded.advance(1);
    }
    say_always(&web, &active(json!({})));
    guarded.bearer(&token(1)).await.assert(200, "accepted");
    // Until then `invalidate_token` forgets it.
    web.set(ENDPOINT, Page::Status(403));
    guarded
        .bearer(&token(2))
        .await
        .assert(503, "introspection_refused");
    say_always(&web, &active(json!({})));
    guarded.layer.invalidate_token(&token(2));
    guarded.bearer(&token(2)).await.assert(200, "accepted");
}

#[tokio::test]
async fn many_such_answers_stop_no_call_once_a_token_was_active() {
    let (web, guarded) = with_a_known_token().await;
    let before = web.count(ENDPOINT);
    web.set(ENDPOINT, Page::Status(401));
    for number in 0..50 {
        guarded
            .bearer(&token(number))
            .await
            .assert(503, "introspection_refused");
    }
    assert_eq!(web.count(ENDPOINT) - before, 50);
    say(&web, [(OPAQUE, active(json!({})))]);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
}

#[tokio::test]
async fn an_answer_that_names_our_credentials_pauses_all_calls() {
    for page in [
        names(401, "invalid_client"),
        names(401, "unauthorized_client"),
        names(403, "unauthorized_client"),
        names(400, "invalid_client"),
        challenges(401, "Basic realm=\"x\", Bearer error=\"invalid_client\""),
        challenges(403, "Bearer error=unauthorized_client"),
    ] {
        let (web, guarded) = with_a_known_token().await;
        web.set(ENDPOINT, page.clone());
        trace::start();
        let refused = guarded.bearer(&token(0)).await;
        refused.assert(503, "introspection_refused");
        assert_eq!(refused.retry_after(), Some(1), "{page:?}");
        assert!(is_loud(&trace::take()), "{page:?}");
        say_always(&web, &active(json!({})));
        for token in [OPAQUE, &token(0), &token(1)] {
            let paused = guarded.bearer(token).await;
            paused.assert(503, "introspection_failed");
            assert!(paused.detail().contains("pause"), "{}", paused.detail());
        }
        guarded.advance(1);
        guarded.bearer(&token(0)).await.assert(200, "accepted");
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_refusal_of_a_token_that_was_active_within_ten_minutes_is_one_of_us() {
    for (seconds, is_us) in [(31, true), (599, true), (601, false)] {
        for status in [401, 403] {
            let web = web([(OPAQUE, active(json!({"exp": null})))]);
            let guarded = guarded(&web, introspection());
            guarded.bearer(OPAQUE).await.assert(200, "accepted");
            guarded.advance(seconds);
            web.set(ENDPOINT, Page::Status(status));
            trace::start();
            guarded
                .bearer(OPAQUE)
                .await
                .assert(503, "introspection_refused");
            assert_eq!(is_loud(&trace::take()), is_us, "{seconds}");
            say_always(&web, &active(json!({})));
            let next = guarded.bearer(&token(0)).await;
            match is_us {
                true => next.assert(503, "introspection_failed"),
                false => next.assert(200, "accepted"),
            }
            guarded.advance(1);
            guarded.bearer(&token(1)).await.assert(200, "accepted");
        }
    }
}

/// A server that answers 401 about tokens it does not know does so about one that was revoked.
#[tokio::test]
async fn a_token_that_was_revoked_does_not_stop_the_calls_again_and_again() {
    let (web, guarded) = with_a_known_token().await;
    let refuses = |web: &Web| web.set(ENDPOINT, Page::Status(401));
    refuses(&web);
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_refused");
    guarded.advance(1);
    for number in 0..10 {
        say_always(&web, &active(json!({})));
        guarded.bearer(&token(number)).await.assert(200, "accepted");
        refuses(&web);
        guarded
            .bearer(OPAQUE)
            .await
            .assert(503, "introspection_refused");
        say_always(&web, &active(json!({})));
        guarded
            .bearer(&token(100 + number))
            .await
            .assert(200, "accepted");
        guarded.advance(11);
    }
}

#[tokio::test]
async fn before_any_token_was_active_three_refusals_in_a_row_pause_the_calls() {
    let web = Web::with_issuer(&[]);
    web.set(ENDPOINT, Page::Status(401));
    let guarded = guarded(&web, introspection());
    trace::start();
    for number in 0..100 {
        guarded.bearer(&token(number)).await.assert(
            503,
            match number {
                0..3 => "introspection_refused",
                _ => "introspection_failed",
            },
        );
    }
    assert!(is_loud(&trace::take()));
    assert_eq!(web.count(ENDPOINT), 3);
    // From now on one call a second looks whether it is better.
    for second in 1..10 {
        guarded.advance(1);
        for number in 0..20 {
            let token = token(100 * second + number);
            assert_eq!(guarded.bearer(&token).await.status, 503);
        }
        assert_eq!(web.count(ENDPOINT), 3 + second);
    }
    guarded.advance(1);
    say_always(&web, &active(json!({})));
    for number in 5000..5010 {
        guarded.bearer(&token(number)).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn one_call_a_second_looks_whether_it_is_better_even_if_it_takes_long() {
    let web = Web::with_issuer(&[]);
    web.set(ENDPOINT, names(401, "invalid_client"));
    let guarded = guarded(&web, introspection());
    guarded
        .bearer(&token(0))
        .await
        .assert(503, "introspection_refused");
    guarded.advance(1);
    web.hold(true);
    let ask = |number| {
        let guarded = guarded.clone();
        common::spawn(async move { guarded.bearer(&token(number)).await })
    };
    let waiting: Vec<_> = (1..10).map(ask).collect();
    settle().await;
    assert_eq!(web.count(ENDPOINT), 2);
    web.hold(false);
    for request in waiting {
        assert_eq!(request.await.unwrap().status, 503);
    }
}

#[tokio::test]
async fn an_answer_between_refusals_begins_the_row_anew() {
    let web = Web::with_issuer(&[]);
    let guarded = guarded(&web, introspection());
    for number in 0..20 {
        match number % 3 {
            2 => {
                say(&web, []);
                let answered = guarded.bearer(&token(number)).await;
                answered.assert(401, "inactive_token");
            }
            _ => {
                web.set(ENDPOINT, Page::Status(403));
                let refused = guarded.bearer(&token(number)).await;
                refused.assert(503, "introspection_refused");
            }
        }
    }
    assert_eq!(web.count(ENDPOINT), 20);
}

/// Nothing says yet that the credentials are good, and most often they are not.
#[tokio::test]
async fn the_first_refusal_is_a_loud_fault_and_does_not_fill_the_log() {
    for status in [401, 403] {
        let web = Web::with_issuer(&[]);
        let guarded = guarded(&web, introspection());
        trace::start();
        for number in 0..200 {
            // Never three in a row.
            match number % 2 {
                0 => web.set(ENDPOINT, Page::Status(status)),
                _ => say(&web, []),
            }
            guarded.bearer(&token(number)).await;
        }
        let events = trace::take();
        let loud = events
            .iter()
            .filter(|event| event.level <= Level::WARN)
            .count();
        assert_eq!((loud, is_loud(&events)), (1, true), "{events:?}");
        assert_eq!(web.count(ENDPOINT), 200);
    }
}

#[tokio::test]
async fn a_pause_the_server_asks_for_is_kept_for_tokens_that_are_not_known() {
    for (status, retry_after, pause) in [
        (429, Some("7"), 7),
        (429, None, 1),
        (429, Some("0"), 1),
        (429, Some("60"), 60),
        (429, Some("61"), 60),
        (429, Some("86400"), 60),
        (429, Some("Fri, 15 Jan 2027 08:00:42 GMT"), 42),
        (429, Some("soon"), 1),
        (503, Some("7"), 7),
        (503, None, 1),
        (503, Some("300"), 60),
    ] {
        let web = Web::with_issuer(&[]);
        web.set(ENDPOINT, busy(status, retry_after));
        let guarded = guarded(&web, introspection());
        let answer = guarded.bearer(OPAQUE).await;
        answer.assert(503, "introspection_busy");
        assert_eq!(answer.retry_after(), Some(pause), "{retry_after:?}");
        say_always(&web, &active(json!({})));
        guarded.advance(pause - 1);
        for token in [OPAQUE, "another-opaque-token"] {
            let answer = guarded.bearer(token).await;
            answer.assert(503, "introspection_failed");
            assert_eq!(answer.retry_after(), Some(1));
        }
        guarded.advance(1);
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_pause_that_others_cause_binds_a_known_token_for_a_second() {
    for status in [429, 503] {
        let (web, guarded) = with_a_known_token().await;
        web.set(ENDPOINT, busy(status, Some("300")));
        let other = guarded.bearer(&token(0)).await;
        other.assert(503, "introspection_busy");
        assert_eq!(other.retry_after(), Some(60));
        say_always(&web, &active(json!({})));
        let known = guarded.bearer(OPAQUE).await;
        known.assert(503, "introspection_failed");
        assert_eq!(known.retry_after(), Some(1));
        guarded.advance(1);
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        // It was answered, and the others wait for what was asked for all the same.
        guarded
            .bearer(&token(1))
            .await
            .assert(503, "introspection_failed");
        guarded.advance(59);
        guarded.bearer(&token(1)).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_pause_that_a_known_token_causes_binds_it_for_a_second() {
    let (web, guarded) = with_a_known_token().await;
    web.set(ENDPOINT, busy(429, Some("30")));
    let known = guarded.bearer(OPAQUE).await;
    known.assert(503, "introspection_busy");
    assert_eq!(known.retry_after(), Some(1));
    guarded.advance(1);
    say_always(&web, &active(json!({})));
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    guarded
        .bearer(&token(0))
        .await
        .assert(503, "introspection_failed");
}

/// A token at which the server hangs may be anybody's.
#[tokio::test]
async fn tokens_that_reach_no_server_do_not_stop_known_ones_for_longer_than_a_second() {
    let (web, guarded) = with_a_known_token().await;
    for round in 0..8 {
        web.set(ENDPOINT, Page::NoConnection);
        for number in 0..3 {
            let lost = guarded.bearer(&token(10 * round + number)).await;
            lost.assert(503, "introspection_failed");
        }
        guarded.advance(1);
        say(&web, [(OPAQUE, active(json!({})))]);
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        guarded.advance(31);
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_not_known_take_half_of_the_calls() {
    for (calls, half) in [(8, 4), (5, 2), (2, 1), (1, 1)] {
        let web = web([]);
        say_always(&web, &active(json!({})));
        let guarded = guarded(
            &web,
            introspection().max_concurrent_requests(calls).unwrap(),
        );
        web.hold(true);
        let ask = |number| {
            let guarded = guarded.clone();
            common::spawn(async move { guarded.bearer(&token(number)).await })
        };
        let waiting: Vec<_> = (0..20).map(ask).collect();
        settle().await;
        assert_eq!(web.count(ENDPOINT), half, "{calls}");
        web.hold(false);
        for request in waiting {
            request.await.unwrap().assert(200, "accepted");
        }
    }
}

#[tokio::test]
async fn requests_with_other_tokens_do_not_take_the_places_of_known_ones() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection().max_waiting_requests(2));
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    guarded.advance(31);
    web.hold(true);
    let ask = |token: &'static str| {
        let guarded = guarded.clone();
        common::spawn(async move { guarded.bearer(token).await })
    };
    let others: Vec<_> = (0..5).map(|_| ask("another-opaque-token")).collect();
    settle().await;
    let known = ask(OPAQUE);
    settle().await;
    web.hold(false);
    known.await.unwrap().assert(200, "accepted");
    let mut limited = 0;
    for other in others {
        limited += usize::from(other.await.unwrap().reason() == "introspection_limited");
    }
    assert_eq!(limited, 3);
}
