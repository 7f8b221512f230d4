//! Trouble between us and the authorization server: 503, and never 401.

use std::time::Duration;

use serde_json::json;
use tracing::Level;

use super::*;
use crate::oauth::trace;

fn json_page(status: u16, body: &str) -> Page {
    let json = vec![("content-type", "application/json".to_owned())];
    Page::Answer(status, json, body.as_bytes().to_vec())
}

fn typed(content_type: &str, body: &str) -> Page {
    let headers = vec![("content-type", content_type.to_owned())];
    Page::Answer(200, headers, body.as_bytes().to_vec())
}

async fn ask(page: Page) -> (Answer, Web) {
    let web = Web::with_issuer(&[]);
    web.set(ENDPOINT, page);
    let answer = guarded(&web, introspection()).bearer(OPAQUE).await;
    (answer, web)
}

#[tokio::test]
async fn everything_but_an_answer_is_503_with_retry_after() {
    let good = active(json!({})).to_string();
    let mut pages = vec![
        ("no connection", Page::NoConnection),
        ("empty", json_page(200, "")),
        ("not JSON", json_page(200, "<html>")),
        ("cut", json_page(200, &good[..good.len() - 1])),
        ("trailing data", json_page(200, &format!("{good}{good}"))),
        ("array", json_page(200, &format!("[{good}]"))),
        ("string", json_page(200, "\"active\"")),
        ("null", json_page(200, "null")),
        ("no `active`", json_page(200, "{}")),
        (
            "an error under 200",
            json_page(200, r#"{"error":"invalid_client"}"#),
        ),
        (
            "duplicate member",
            json_page(200, &good.replacen('{', "{\"active\":false,", 1)),
        ),
        (
            "duplicate member inside",
            json_page(200, &good.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1)),
        ),
        (
            "nested too deeply",
            json_page(
                200,
                &good.replacen(
                    '{',
                    &format!("{{\"x\":{}{},", "[".repeat(40), "]".repeat(40)),
                    1,
                ),
            ),
        ),
        ("oversize", json_page(200, &" ".repeat(64 * 1024 + 1))),
        ("HTML that parses", typed("text/html", &good)),
        (
            "text that parses",
            typed("text/plain; charset=utf-8", &good),
        ),
        (
            "a signed answer nobody asked for",
            typed("application/token-introspection+jwt", &good),
        ),
    ];
    for status in [
        201, 202, 204, 301, 302, 307, 404, 405, 410, 418, 429, 500, 502, 503, 504,
    ] {
        pages.push(("status", json_page(status, &good)));
    }
    for status in [400, 401, 403] {
        pages.push(("status", json_page(status, &good)));
        pages.push(("status without a body", Page::Status(status)));
    }
    for (what, page) in pages {
        let (answer, _) = ask(page.clone()).await;
        assert_eq!(answer.status, 503, "{what} {page:?}: {answer:?}");
        assert!(
            answer.retry_after().is_some_and(|seconds| seconds >= 1),
            "{what}"
        );
        assert!(!answer.headers.contains_key("www-authenticate"), "{what}");
    }
}

#[tokio::test]
async fn good_answers_in_other_clothes() {
    let good = active(json!({})).to_string();
    for page in [
        typed("application/json;charset=UTF-8", &good),
        typed("Application/JSON", &good),
        Page::Raw(good.clone().into_bytes()),
        typed("application/json", &format!("\n {good} \n")),
    ] {
        ask(page).await.0.assert(200, "accepted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_costs_five_seconds_and_then_nothing() {
    let web = Web::with_issuer(&[]);
    web.set(ENDPOINT, Page::Hang);
    let guarded = guarded(&web, introspection());
    for token in [OPAQUE, "another-opaque-token"] {
        let started = tokio::time::Instant::now();
        guarded
            .bearer(token)
            .await
            .assert(503, "introspection_failed");
        assert_eq!(started.elapsed().as_secs(), 5);
    }
    // For a while no other request has to wait that long.
    let started = tokio::time::Instant::now();
    let paused = guarded.bearer("a-third-opaque-token").await;
    paused.assert(503, "introspection_failed");
    assert!(paused.detail().contains("pause"), "{}", paused.detail());
    assert_eq!(started.elapsed().as_secs(), 0);
    assert_eq!(web.count(ENDPOINT), 2);
}

#[tokio::test]
async fn one_token_that_reaches_no_server_stops_no_other() {
    let web = web([]);
    let guarded = guarded(&web, introspection());
    for number in 0..20 {
        web.set(ENDPOINT, Page::NoConnection);
        for _ in 0..3 {
            let refused = guarded.bearer(OPAQUE).await;
            refused.assert(503, "introspection_failed");
            assert!(!refused.detail().contains("pause"), "{}", refused.detail());
        }
        say_always(&web, &active(json!({})));
        let token = format!("opaque-token-number-{number}");
        guarded.bearer(&token).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn calls_pause_longer_with_each_failure_and_a_good_token_is_served_meanwhile() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(
        &web,
        introspection().positive_ttl(Duration::from_secs(3000)),
    );
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    web.set(ENDPOINT, Page::NoConnection);
    let mut calls = Vec::new();
    for second in 0..300 {
        let before = web.count(ENDPOINT);
        guarded
            .bearer(&format!("opaque-token-number-{second}"))
            .await
            .assert(503, "introspection_failed");
        if web.count(ENDPOINT) > before {
            calls.push(second);
        }
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        guarded.advance(1);
    }
    assert!((20..=50).contains(&calls.len()), "{calls:?}");
    let longest = calls.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest <= Some(15), "{calls:?}");
    // Recovery needs no restart, and ends the pauses.
    say(&web, [("another-opaque-token", active(json!({})))]);
    guarded.advance(15);
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn a_400_concerns_one_token_only() {
    trace::start();
    let web = web([]);
    web.set(
        ENDPOINT,
        json_page(400, r#"{"error":"unsupported_token_type"}"#),
    );
    let guarded = guarded(&web, introspection());
    let answer = guarded.bearer(OPAQUE).await;
    answer.assert(503, "introspection_unsupported");
    assert!(answer.detail().contains("JWT"), "{}", answer.detail());
    let events = trace::take();
    assert!(
        events.iter().all(|event| event.level != Level::ERROR),
        "{events:?}"
    );
    // Not kept, and no other token is stopped.
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_unsupported");
    assert_eq!(web.count(ENDPOINT), 2);
    say(&web, [("another-opaque-token", active(json!({})))]);
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn an_outage_does_not_lengthen_the_life_of_an_answer() {
    let web = web([(OPAQUE, active(json!({})))]);
    let guarded = guarded(&web, introspection());
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    web.set(ENDPOINT, Page::NoConnection);
    guarded.advance(29);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    guarded.advance(1);
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
}

#[tokio::test]
async fn one_server_that_is_down_delays_no_other() {
    let key = Key::new("k");
    let other = "https://login.example.org/introspect";
    let web = Web::with_issuer(&[&key]);
    web.set(ENDPOINT, Page::NoConnection);
    let org = active(json!({"iss": "https://login.example.org"}));
    web.set(
        other,
        Page::Tokens(HashMap::from([("org_opaque-token-1".to_owned(), org)])),
    );
    let second = Introspection::at(other)
        .unwrap()
        .bearer_token("t")
        .unwrap()
        .token_prefix("org_")
        .unwrap();
    let second = AuthorizationServer::new("https://login.example.org")
        .unwrap()
        .introspection(second)
        .unwrap();
    let guarded = Guarded::with_servers(&web, [server(introspection()), second]);
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
    guarded
        .bearer("org_opaque-token-1")
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn unknown_tokens_cannot_fill_the_log() {
    trace::start();
    let web = Web::with_issuer(&[]);
    web.set(ENDPOINT, Page::Status(500));
    let guarded = guarded(&web, introspection());
    for number in 0..200 {
        let token = format!("opaque-token-number-{number}");
        guarded
            .bearer(&token)
            .await
            .assert(503, "introspection_failed");
    }
    let events = trace::take();
    let loud = events
        .iter()
        .filter(|event| event.level <= Level::WARN)
        .count();
    assert_eq!(loud, 1, "{events:?}");
}

/// A flood must not silence the warning that the server is down.
#[tokio::test]
async fn each_kind_of_trouble_is_reported_by_itself() {
    let unreadable = Page::Answer(
        200,
        vec![("content-type", "text/html".to_owned())],
        b"<html>".to_vec(),
    );
    let troubles = [
        ("requests wait", None),
        ("calls a second", None),
        ("text/html", Some(unreadable)),
        ("status 400", Some(json_page(400, "{}"))),
    ];
    for (told, page) in troubles {
        let web = web([]);
        let limits = introspection()
            .max_waiting_requests(1)
            .unknown_token_rate_limit(1)
            .unwrap();
        let guarded = guarded(&web, limits);
        trace::start();
        if let Some(page) = page {
            web.set(ENDPOINT, page);
        }
        if told == "requests wait" {
            web.hold(true);
        }
        let first = common::spawn({
            let guarded = guarded.clone();
            async move { guarded.bearer("an-opaque-token-of-a-flood").await }
        });
        settle().await;
        for number in 0..10 {
            let flood = format!("opaque-token-of-a-flood-{number}");
            assert_eq!(guarded.bearer(&flood).await.status, 503);
        }
        web.hold(false);
        first.await.unwrap();
        let warned = |events: Vec<trace::Traced>, told: &str| {
            let of_it = |event: &&trace::Traced| {
                event.level == Level::WARN && format!("{event:?}").contains(told)
            };
            events.iter().filter(of_it).count()
        };
        assert_eq!(warned(trace::take(), told), 1, "{told}");

        guarded.advance(1);
        web.set(ENDPOINT, Page::Status(500));
        guarded
            .bearer(OPAQUE)
            .await
            .assert(503, "introspection_failed");
        assert_eq!(warned(trace::take(), "status 500"), 1, "after {told}");
    }
}
