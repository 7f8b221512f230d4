//! What keys are good for while their store gives no answer.

use std::time::Duration;

use tower_mcp_auth::ResourceSet;
use tower_mcp_auth::api_key::CachedApiKeyStore;

use crate::api_key::life::{at, new_key};
use crate::api_key::store::{Mode, Script, present, settle, unavailable};
use common::{NOW, clock};

const FAILED: &str = "api_key_store_failed";
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Set = fn(CachedApiKeyStore) -> CachedApiKeyStore;

#[tokio::test]
async fn a_good_key_goes_on_for_a_while_after_the_last_answer() {
    let cases: [(&str, Set, Duration); 4] = [
        ("the default", |keys| keys, SECOND * 60),
        (
            "longer",
            |keys| keys.max_staleness(SECOND * 600),
            SECOND * 600,
        ),
        (
            "no longer than it is remembered anyway",
            |keys| keys.max_staleness(Duration::ZERO),
            SECOND * 30,
        ),
        (
            "an answer that is used for longer",
            |keys| keys.positive_ttl(SECOND * 90),
            SECOND * 90,
        ),
    ];
    for mode in [Mode::Down, Mode::Broken, Mode::Panic] {
        for (case, set, life) in cases {
            let (known, unknown) = (new_key(), new_key());
            let keys = [known.to_api_key().owner("alice"), unknown.to_api_key()];
            let store = Script::with(keys, &[&known, &unknown]);
            let clock = clock();
            let layer = store.layer_with(&clock, set);
            present(&layer, known.expose()).await.admitted();
            // It counts from the last answer.
            clock.advance(SECOND * 100);
            present(&layer, known.expose()).await.admitted();
            store.mode(mode);
            unavailable(&present(&layer, unknown.expose()).await, FAILED);
            for time in [Duration::ZERO, life / 2, life - life / 2 - MS] {
                clock.advance(time);
                let answer = present(&layer, known.expose()).await;
                assert_eq!(answer.principal().subject(), Some("alice"), "{case}");
                unavailable(&present(&layer, unknown.expose()).await, FAILED);
            }
            clock.advance(MS);
            for _ in 0..2 {
                unavailable(&present(&layer, known.expose()).await, FAILED);
            }
            // It ends with the outage.
            store.mode(Mode::Answer);
            clock.advance(SECOND);
            present(&layer, known.expose()).await.admitted();
            present(&layer, unknown.expose()).await.admitted();
        }
    }
}

#[tokio::test]
async fn what_was_good_is_judged_as_ever() {
    let resource = |host| format!("https://{host}.example.com/mcp");
    let (ends, elsewhere, revoked) = (new_key(), new_key(), new_key());
    let here = |key: &tower_mcp_auth::api_key::GeneratedKey| {
        key.to_api_key().resources([resource("a")]).unwrap()
    };
    let keys = [
        here(&ends).expires_at(at(NOW + 50)).unwrap(),
        here(&elsewhere),
        here(&revoked),
    ];
    let store = Script::with(keys, &[&ends, &elsewhere, &revoked]);
    let clock = clock();
    let set = ResourceSet::new().resource(resource("a")).unwrap();
    let set = set.resource(resource("b")).unwrap();
    let layer = store.layer(&clock).resources(set).unwrap();
    let ask = async |host: &str, key: &str| {
        let headers = [("x-api-key", key), ("host", host)];
        let request = common::request_to("/mcp", &headers);
        common::ask(&layer, request).await
    };
    for key in [&ends, &elsewhere, &revoked] {
        ask("a.example.com", key.expose()).await.admitted();
    }
    // The store says so while it answers, and is believed when it does not.
    clock.advance(SECOND * 31);
    store.set(revoked.digest(), here(&revoked).revoked(true));
    ask("a.example.com", revoked.expose())
        .await
        .invalid("revoked_api_key");
    store.mode(Mode::Down);
    clock.advance(SECOND * 11);
    unavailable(&ask("a.example.com", revoked.expose()).await, FAILED);
    ask("a.example.com", elsewhere.expose()).await.admitted();
    ask("b.example.com", elsewhere.expose())
        .await
        .invalid("api_key_resource_mismatch");
    ask("a.example.com", ends.expose()).await.admitted();
    clock.advance(SECOND * 8);
    unavailable(&ask("a.example.com", ends.expose()).await, FAILED);
    ask("a.example.com", elsewhere.expose()).await.admitted();
    // What is forgotten is not known any more.
    layer.keys().invalidate(&elsewhere.digest());
    unavailable(&ask("a.example.com", elsewhere.expose()).await, FAILED);
}

#[tokio::test]
async fn a_store_that_hangs_and_a_queue_that_is_full_are_no_end_of_a_good_key() {
    let (known, other) = (new_key(), new_key());
    let store = Script::with([known.to_api_key(), other.to_api_key()], &[&known, &other]);
    let clock = clock();
    let layer = store.layer_with(&clock, |keys| {
        let keys = keys.max_concurrent_lookups(1).unwrap();
        keys.timeout(MS * 20).unwrap().queue_timeout(MS * 20)
    });
    present(&layer, known.expose()).await.admitted();
    present(&layer, other.expose()).await.admitted();
    clock.advance(SECOND * 31);
    store.mode(Mode::Hold);
    let (first, second) = tokio::join!(
        present(&layer, known.expose()),
        present(&layer, other.expose())
    );
    first.admitted();
    second.admitted();
    clock.advance(SECOND * 29);
    unavailable(&present(&layer, known.expose()).await, FAILED);

    // Requests that wait are bounded, and there is one.
    let store = Script::with([known.to_api_key()], &[&known]);
    let layer = store.layer_with(&clock, |keys| keys.max_waiting_requests(1).unwrap());
    present(&layer, known.expose()).await.admitted();
    clock.advance(SECOND * 31);
    store.mode(Mode::Hold);
    let waiting = common::spawn({
        let (layer, unknown) = (layer.clone(), new_key());
        async move { present(&layer, unknown.expose()).await }
    });
    settle().await;
    present(&layer, known.expose()).await.admitted();
    // Too much that is asked is no outage.
    clock.advance(SECOND * 29);
    unavailable(
        &present(&layer, known.expose()).await,
        "api_key_store_limited",
    );
    store.open(1);
    waiting.await.unwrap().invalid("unknown_api_key");
}

#[tokio::test]
async fn an_outage_that_is_allowed_has_no_end_for_good_keys() {
    let (known, ends, unknown) = (new_key(), new_key(), new_key());
    let keys = [
        known.to_api_key(),
        ends.to_api_key().expires_at(at(NOW + 86_400)).unwrap(),
    ];
    let store = Script::with(keys, &[&known, &ends]);
    let clock = clock();
    let layer = store.layer_with(&clock, |keys| keys.dangerously_allow_on_outage());
    present(&layer, known.expose()).await.admitted();
    present(&layer, ends.expose()).await.admitted();
    store.mode(Mode::Down);
    for hours in [1, 22] {
        clock.advance(SECOND * 3600 * hours);
        for _ in 0..2 {
            present(&layer, known.expose()).await.admitted();
            present(&layer, ends.expose()).await.admitted();
            unavailable(&present(&layer, unknown.expose()).await, FAILED);
        }
    }
    clock.advance(SECOND * 3600);
    present(&layer, known.expose()).await.admitted();
    unavailable(&present(&layer, ends.expose()).await, FAILED);
    // What the store says of a key and cannot be used is no outage.
    clock.advance(SECOND);
    store.mode(Mode::Broken);
    unavailable(&present(&layer, known.expose()).await, FAILED);
    store.mode(Mode::Answer);
    store.set(known.digest(), known.to_api_key().revoked(true));
    present(&layer, known.expose())
        .await
        .invalid("revoked_api_key");
}
