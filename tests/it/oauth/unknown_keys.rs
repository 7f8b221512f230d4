//! Tokens of keys that are not held: anybody can forge them, and good ones follow a rotation.

use std::time::Duration;

use serde_json::json;

use crate::oauth::support::*;

/// A token whose key id is `kid`, issued so long after the start; its signature does not matter.
fn forged(kid: &str, issued: u64) -> String {
    let iat = START.as_secs() + issued;
    Key::new("forger").token_with_header(json!({"kid": kid}), json!({"iat": iat}))
}

fn issued(key: &Key, after: u64) -> String {
    key.token(json!({"iat": START.as_secs() + after}))
}

#[tokio::test]
async fn three_fetches_at_once_and_one_more_a_cooldown_after_the_last() {
    let known = Key::new("known");
    let web = Web::with_issuer(&[&known]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&known.token(json!({})))
        .await
        .assert(200, "accepted");
    // How long to wait before each volley of unknown ids, and how often it makes keys be fetched.
    let volleys = [(0, 3), (29, 0), (1, 1), (29, 0), (1, 1), (90, 3), (30, 1)];
    let mut fetched = 1;
    for (volley, (wait, fetches)) in volleys.into_iter().enumerate() {
        guarded.advance(wait);
        for number in 0..20 {
            let token = forged(&format!("{volley}-{number}"), 0);
            guarded.bearer(&token).await.assert(401, "unknown_key");
        }
        fetched += fetches;
        assert_eq!(web.count(JWKS), fetched, "volley {volley}");
    }
}

#[tokio::test]
async fn an_id_that_a_fetch_did_not_bring_is_asked_for_once_a_cooldown() {
    let known = Key::new("known");
    for cold in [true, false] {
        let web = Web::with_issuer(&[&known]);
        let guarded = Guarded::new(&web);
        let mut fetched = 1;
        if !cold {
            let token = known.token(json!({}));
            guarded.bearer(&token).await.assert(200, "accepted");
            fetched += 1;
        }
        let token = forged("unknown", 0);
        for _ in 0..5 {
            guarded.bearer(&token).await.assert(401, "unknown_key");
        }
        assert_eq!(web.count(JWKS), fetched);
        guarded.advance(29);
        guarded.bearer(&token).await.assert(401, "unknown_key");
        assert_eq!(web.count(JWKS), fetched);
        guarded.advance(1);
        guarded.bearer(&token).await.assert(401, "unknown_key");
        guarded.bearer(&token).await.assert(401, "unknown_key");
        assert_eq!(web.count(JWKS), fetched + 1);
    }
}

#[tokio::test]
async fn one_forged_id_each_cooldown_does_not_keep_a_new_key_out() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    for kid in [Some("forged"), None] {
        let web = Web::with_issuer(&[&old]);
        let guarded = Guarded::new(&web);
        guarded
            .bearer(&old.token(json!({})))
            .await
            .assert(200, "accepted");
        for number in 0..10 {
            let own = format!("forged-{number}");
            let token = forged(kid.unwrap_or(&own), 0);
            guarded.bearer(&token).await.assert(401, "unknown_key");
            guarded.advance(30);
        }
        let token = forged(kid.unwrap_or("the last"), 0);
        guarded.bearer(&token).await.assert(401, "unknown_key");
        web.publish_keys(&[&old, &new]);
        // Whenever it was issued.
        guarded
            .bearer(&new.token(json!({})))
            .await
            .assert(200, "accepted");
    }
}

#[tokio::test]
async fn a_token_that_may_be_of_a_new_key_is_503_until_the_next_fetch() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let known = old.token(json!({}));
    guarded.bearer(&known).await.assert(200, "accepted");
    for number in 0..10 {
        let token = forged(&format!("forged-{number}"), 0);
        guarded.bearer(&token).await.assert(401, "unknown_key");
    }
    let fetched = web.count(JWKS);
    web.publish_keys(&[&old, &new]);
    guarded.advance(10);
    let later = issued(&new, 5);
    for _ in 0..3 {
        let answer = guarded.bearer(&later).await;
        answer.assert(503, "keys_unavailable");
        assert_eq!(answer.retry_after(), Some(20));
        assert!(!answer.headers.contains_key("www-authenticate"));
        let why = "were fetched, and no fetch for an unknown key may start now";
        assert!(answer.detail().ends_with(why), "{}", answer.detail());
    }
    // Not issued after the keys were fetched, or without a word about that.
    for claims in [
        json!({}),
        json!({"iat": null}),
        json!({"iat": START.as_secs() - 60}),
    ] {
        let token = new.token(claims);
        guarded.bearer(&token).await.assert(401, "unknown_key");
    }
    guarded.bearer(&known).await.assert(200, "accepted");
    assert_eq!(web.count(JWKS), fetched);
    guarded.advance(20);
    guarded.bearer(&later).await.assert(200, "accepted");
}

#[tokio::test]
async fn forged_times_of_issue_cause_no_fetch_and_harm_only_who_forges() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let known = old.token(json!({}));
    guarded.bearer(&known).await.assert(200, "accepted");
    let mut most = 1 + 3;
    for second in 0..150 {
        for number in 0..10 {
            let token = forged(&format!("forged-{second}-{number}"), second);
            let answer = guarded.bearer(&token).await;
            assert!([401, 503].contains(&answer.status.as_u16()), "{answer:?}");
            if answer.status == 503 {
                answer.assert(503, "keys_unavailable");
                assert!(answer.retry_after().is_some_and(|wait| wait <= 30));
            }
        }
        guarded.bearer(&known).await.assert(200, "accepted");
        let (_, health) = guarded.layer.health().remove(0);
        assert_eq!(health.last_error, None);
        most += usize::from(second % 30 == 29);
        assert!(web.count(JWKS) <= most, "second {second}");
        guarded.advance(1);
    }
    web.publish_keys(&[&old, &new]);
    let later = issued(&new, 150);
    let answer = guarded.bearer(&later).await;
    if answer.status != 200 {
        answer.assert(503, "keys_unavailable");
        guarded.advance(answer.retry_after().unwrap());
        guarded.bearer(&later).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn the_time_of_issue_is_judged_by_the_clock_as_it_is_set_now() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let day = Duration::from_secs(86_400);
    guarded.clock.set_wall(START + day);
    let known = old.token(json!({"exp": START.as_secs() + 2 * 86_400}));
    guarded.bearer(&known).await.assert(200, "accepted");
    for number in 0..3 {
        let token = format!("forged-{number}");
        let token = Key::new("f").token_with_header(
            json!({"kid": token}),
            json!({"exp": START.as_secs() + 2 * 86_400}),
        );
        guarded.bearer(&token).await.assert(401, "unknown_key");
    }
    // It was a day ahead.
    guarded.clock.set_wall(START);
    guarded.advance(10);
    guarded
        .bearer(&issued(&new, 5))
        .await
        .assert(503, "keys_unavailable");
}

/// The fetch that is joined may have been answered before the key was published.
#[tokio::test]
async fn a_token_that_joined_a_fetch_for_another_has_one_of_its_own() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let known = old.token(json!({}));
    guarded.bearer(&known).await.assert(200, "accepted");
    web.hold(true);
    let forger = common::spawn({
        let (guarded, token) = (guarded.clone(), forged("forged", 0));
        async move { guarded.bearer(&token).await }
    });
    settle().await;
    let waiting = common::spawn({
        let (guarded, token) = (guarded.clone(), new.token(json!({})));
        async move { guarded.bearer(&token).await }
    });
    settle().await;
    let sets = [key_set(&[&old]), key_set(&[&old, &new])];
    let [first, next] = sets.map(|set| Box::new(Page::Json(set)));
    web.set(JWKS, Page::Then(first, next));
    web.hold(false);
    forger.await.unwrap().assert(401, "unknown_key");
    waiting.await.unwrap().assert(200, "accepted");
}

#[tokio::test]
async fn the_budget_and_its_cooldown_can_be_set() {
    let known = Key::new("known");
    let web = Web::with_issuer(&[&known]);
    let mut guarded = Guarded::new(&web);
    guarded.layer = guarded.with_limits(&web, |limits| {
        limits
            .unknown_key_fetches(5)
            .min_refetch_interval(Duration::from_secs(7))
    });
    guarded
        .bearer(&known.token(json!({})))
        .await
        .assert(200, "accepted");
    for (wait, fetched) in [(0, 6), (6, 6), (1, 7)] {
        guarded.advance(wait);
        for number in 0..20 {
            let token = forged(&format!("{wait}-{number}"), 0);
            guarded.bearer(&token).await.assert(401, "unknown_key");
        }
        assert_eq!(web.count(JWKS), fetched);
    }
}
