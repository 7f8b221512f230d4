//! How old a thing is, by both hands of the clock: a machine may sleep, while its monotonic clock
//! stands still, and its wall clock may be set.

use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::Clock;

use crate::oauth::introspection::{ENDPOINT, OPAQUE, active, introspection, say, web};
use crate::oauth::support::*;

type Way = (&'static str, fn(&Clock, Duration));

/// Ways a time can pass, each of which ends what was to be kept for that time.
const WAYS: [Way; 5] = [
    ("it passes", |clock, time| clock.advance(time)),
    ("the machine sleeps", |clock, time| {
        clock.set_wall(clock.now() + time);
    }),
    ("the wall clock is set back", |clock, time| {
        clock.set_wall(clock.now() - Duration::from_secs(1800));
        clock.advance(time);
    }),
    ("it is set back, and the machine sleeps", |clock, time| {
        clock.set_wall(clock.now() - time);
        clock.set_wall(clock.now() + time);
    }),
    (
        "it passes in part, and the machine sleeps",
        |clock, time| {
            clock.advance(time / 2);
            clock.set_wall(clock.now() + time / 2);
        },
    ),
];

/// Good whatever the clock is set to.
fn always() -> serde_json::Value {
    let now = START.as_secs();
    json!({"exp": now + 90_000, "iat": now - 90_000})
}

#[tokio::test]
async fn keys_that_are_too_old_are_refreshed_before_they_serve() {
    for (way, pass) in WAYS {
        let (old, new) = (Key::new("old"), Key::new("new"));
        let web = Web::with_issuer(&[&old]);
        let guarded = Guarded::new(&web);
        // One that is remembered, and one that is not.
        let (known, other) = (old.token(always()), old.token(always()));
        guarded.bearer(&known).await.assert(200, "accepted");
        web.publish_keys(&[&new]);
        pass(&guarded.clock, Duration::from_secs(600));
        for token in [known, other] {
            let answer = guarded.bearer(&token).await;
            assert_eq!(answer.reason(), "unknown_key", "{way}");
        }
    }
}

#[tokio::test]
async fn stale_keys_serve_no_longer_than_their_time() {
    for (way, pass) in WAYS {
        let key = Key::new("a");
        let web = Web::with_issuer(&[&key]);
        let guarded = Guarded::new(&web);
        let token = key.token(always());
        guarded.bearer(&token).await.assert(200, "accepted");
        web.set(JWKS, Page::Status(500));
        guarded.advance(600);
        guarded.bearer(&token).await.assert(200, "accepted");
        pass(&guarded.clock, Duration::from_secs(3600));
        let answer = guarded.bearer(&token).await;
        assert_eq!(answer.reason(), "keys_unavailable", "{way}");
    }
}

#[tokio::test]
async fn answers_and_refusals_are_not_used_past_their_lives() {
    for (way, pass) in WAYS {
        for (known, life) in [(true, 30), (false, 10)] {
            let said = active(always());
            let tokens = known.then_some((OPAQUE, said.clone()));
            let web = web(tokens);
            let guarded = crate::oauth::introspection::guarded(&web, introspection());
            let before = guarded.bearer(OPAQUE).await;
            assert_eq!(before.status == 200, known);
            say(&web, (!known).then_some((OPAQUE, said)));
            pass(&guarded.clock, Duration::from_secs(life));
            let after = guarded.bearer(OPAQUE).await;
            assert_ne!(after.status, before.status, "{way}, {known}");
            assert_eq!(web.count(ENDPOINT), 2);
        }
    }
}

#[tokio::test]
async fn what_is_young_by_both_hands_is_kept() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(always());
    guarded.bearer(&token).await.assert(200, "accepted");
    // Time servers do this: it never adds up to more than it is.
    for _ in 0..100 {
        guarded
            .clock
            .set_wall(guarded.clock.now() + Duration::from_millis(200));
        guarded
            .clock
            .set_wall(guarded.clock.now() - Duration::from_millis(200));
    }
    guarded.clock.set_wall(START - Duration::from_secs(86_400));
    guarded.advance(470);
    guarded.bearer(&token).await.assert(200, "accepted");
    settle().await;
    assert_eq!(web.count(JWKS), 1);
}
