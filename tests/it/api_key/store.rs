//! Keys kept elsewhere: what is asked, how often, and what an outage does.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tower_mcp_auth::api_key::{
    ApiKey, ApiKeyStore, ApiKeyStoreError, CachedApiKeyStore, GeneratedKey, KeyDigest, KeyLookup,
    LookupFuture,
};
use tower_mcp_auth::{ApiKeyLayer, AuthErrorKind, Clock, ResourceSet};

use crate::api_key::life::{allocations, at, new_key, pepper, seen, with_key};
use common::{API_KEY, Answer, NOW, ask, clock, request, trace};

/// A store that does as it is told.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Inner>);

#[derive(Debug, Default)]
pub struct Inner {
    keys: Mutex<HashMap<String, ApiKey>>,
    by_id: Mutex<HashMap<String, ApiKey>>,
    asked: AtomicUsize,
    mode: Mutex<Mode>,
    /// What a held question waits for.
    gate: Gate,
}

#[derive(Debug)]
pub struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Answer,
    /// Answers as it was when asked, once the gate opens.
    Hold,
    /// The same, for keys it does not have.
    HoldUnknown,
    Down,
    Broken,
    Panic,
}

impl Script {
    pub fn with(keys: impl IntoIterator<Item = ApiKey>, generated: &[&GeneratedKey]) -> Self {
        let script = Self::default();
        for (key, new) in keys.into_iter().zip(generated) {
            script.set(new.digest(), key);
        }
        script
    }

    pub fn set(&self, digest: KeyDigest, key: ApiKey) {
        self.0.keys.lock().unwrap().insert(digest.to_string(), key);
    }

    pub fn mode(&self, mode: Mode) {
        *self.0.mode.lock().unwrap() = mode;
    }

    pub fn open(&self, questions: usize) {
        self.0.gate.0.add_permits(questions);
    }

    /// How often it was asked since the last call.
    pub fn asked(&self) -> usize {
        self.0.asked.swap(0, Ordering::SeqCst)
    }

    pub fn layer(&self, clock: &Clock) -> ApiKeyLayer {
        self.layer_with(clock, |keys| keys)
    }

    pub fn layer_with(
        &self,
        clock: &Clock,
        settings: impl FnOnce(CachedApiKeyStore) -> CachedApiKeyStore,
    ) -> ApiKeyLayer {
        let keys = CachedApiKeyStore::new(self.clone()).pepper(pepper());
        ApiKeyLayer::from_store(settings(keys)).clock(clock.clone())
    }
}

impl ApiKeyStore for Script {
    fn find(&self, wanted: KeyLookup) -> LookupFuture {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let mode = *self.0.mode.lock().unwrap();
        let digest = wanted.digest().to_string();
        let by_id = wanted.id().and_then(|id| {
            let keys = self.0.by_id.lock().unwrap();
            keys.get(id).cloned()
        });
        let found = by_id.or_else(|| self.0.keys.lock().unwrap().get(&digest).cloned());
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            match mode {
                Mode::HoldUnknown if found.is_some() => Ok(found),
                Mode::Answer => Ok(found),
                Mode::Hold | Mode::HoldUnknown => {
                    inner.gate.0.acquire().await.unwrap().forget();
                    Ok(found)
                }
                Mode::Down => Err(ApiKeyStoreError::unreachable("SECRET-DSN\nis down")),
                Mode::Broken => Err(ApiKeyStoreError::failed("no such column")),
                Mode::Panic => panic!("a bug in the store"),
            }
        })
    }
}

pub async fn present(layer: &ApiKeyLayer, key: &str) -> Answer {
    ask(layer, with_key(key)).await
}

#[track_caller]
pub fn unavailable(answer: &Answer, reason: &str) {
    answer.refused(AuthErrorKind::Unavailable, reason);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(answer.challenges().is_empty());
    assert!(!answer.text().contains("SECRET"), "{}", answer.text());
}

/// Lets tasks run until they all wait.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_is_used_for_its_life_and_not_longer() {
    let new = new_key();
    let store = Script::with([new.to_api_key().owner("alice")], &[&new]);
    let clock = clock();
    let layer = store.layer(&clock);
    let unknown = new_key();
    for _ in 0..3 {
        let answer = present(&layer, new.expose()).await;
        assert_eq!(answer.principal().subject(), Some("alice"));
        present(&layer, unknown.expose())
            .await
            .invalid("unknown_api_key");
    }
    assert_eq!(store.asked(), 2);
    clock.advance(Duration::from_millis(9_999));
    present(&layer, unknown.expose())
        .await
        .invalid("unknown_api_key");
    assert_eq!(store.asked(), 0);
    clock.advance(Duration::from_millis(1));
    present(&layer, unknown.expose())
        .await
        .invalid("unknown_api_key");
    assert_eq!(store.asked(), 1);
    clock.advance(Duration::from_millis(19_999));
    present(&layer, new.expose()).await.admitted();
    assert_eq!(store.asked(), 0);
    clock.advance(Duration::from_millis(1));
    present(&layer, new.expose()).await.admitted();
    assert_eq!(store.asked(), 1);
    // It is good as soon as the store has it and the refusal is forgotten.
    store.set(unknown.digest(), unknown.to_api_key());
    clock.advance(Duration::from_secs(10));
    present(&layer, unknown.expose()).await.admitted();
}

#[tokio::test]
async fn without_a_life_every_request_asks() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    let layer = store.layer_with(&clock(), |keys| {
        keys.positive_ttl(Duration::ZERO)
            .negative_ttl(Duration::ZERO)
    });
    for _ in 0..3 {
        present(&layer, new.expose()).await.admitted();
        present(&layer, API_KEY).await.invalid("unknown_api_key");
    }
    assert_eq!(store.asked(), 6);
    store.set(new.digest(), new.to_api_key().revoked(true));
    present(&layer, new.expose())
        .await
        .invalid("revoked_api_key");
}

#[tokio::test]
async fn expired_revoked_and_unknown_keys_are_asked_about_as_often_and_answered_alike() {
    let keys: Vec<GeneratedKey> = (0..4).map(|_| new_key()).collect();
    let store = Script::with(
        [
            keys[0].to_api_key().revoked(true),
            keys[1].to_api_key().expires_at(at(NOW)).unwrap(),
            keys[2].to_api_key().not_before(at(NOW + 100)).unwrap(),
        ],
        &[&keys[0], &keys[1], &keys[2]],
    );
    let clock = clock();
    let layer = store.layer(&clock);
    let reasons = [
        "revoked_api_key",
        "expired_api_key",
        "not_yet_valid_api_key",
        "unknown_api_key",
    ];
    for seconds in [0, 0, 9, 1, 5, 5] {
        clock.advance(Duration::from_secs(seconds));
        let mut asked = Vec::new();
        let mut answers = Vec::new();
        for (key, reason) in keys.iter().zip(reasons) {
            let answer = present(&layer, key.expose()).await;
            answer.invalid(reason);
            asked.push(store.asked());
            answers.push(seen(&answer));
        }
        assert!(asked.iter().all(|count| *count == asked[0]), "{asked:?}");
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
}

#[tokio::test]
async fn a_key_is_not_used_past_its_end_nor_before_its_beginning() {
    let (ends, begins) = (new_key(), new_key());
    let store = Script::with(
        [
            ends.to_api_key().expires_at(at(NOW + 5)).unwrap(),
            begins.to_api_key().not_before(at(NOW + 5)).unwrap(),
        ],
        &[&ends, &begins],
    );
    let clock = clock();
    let layer = store.layer(&clock);
    present(&layer, ends.expose()).await.admitted();
    present(&layer, begins.expose())
        .await
        .invalid("not_yet_valid_api_key");
    clock.advance(Duration::from_secs(5));
    present(&layer, ends.expose())
        .await
        .invalid("expired_api_key");
    present(&layer, begins.expose()).await.admitted();
    assert_eq!(store.asked(), 2, "both from memory");
}

#[tokio::test]
async fn what_cannot_be_a_key_never_reaches_the_store() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    let layer = store.layer(&clock());
    let key = new.expose();
    let typo = key.replace(&key[20..24], "typo");
    present(&layer, &typo).await.invalid("mistyped_api_key");
    present(&layer, "short").await.invalid("unknown_api_key");
    present(&layer, &"x".repeat(513))
        .await
        .invalid("unknown_api_key");
    assert_eq!(store.asked(), 0);
    present(&layer, API_KEY).await.invalid("unknown_api_key");
    assert_eq!(store.asked(), 1, "a foreign key may be there");

    let layer = ApiKeyLayer::from_store(CachedApiKeyStore::new(store.clone()));
    present(&layer, API_KEY).await.invalid("unknown_api_key");
    assert_eq!(store.asked(), 0, "without a pepper it cannot");
    present(&layer, key).await.admitted();
}

#[tokio::test]
async fn a_foreign_key_is_found_by_the_digest_of_its_pepper() {
    let store = Script::default();
    let digest = KeyDigest::from_external(API_KEY, &pepper()).unwrap();
    store.set(digest, ApiKey::from_digest(digest).owner("alice"));
    let answer = present(&store.layer(&clock()), API_KEY).await;
    assert_eq!(answer.principal().subject(), Some("alice"));
}

#[tokio::test]
async fn a_store_that_finds_another_key_finds_none() {
    let (wanted, other) = (new_key(), new_key());
    let store = Script::default();
    let by_id = |key: ApiKey| {
        store
            .0
            .by_id
            .lock()
            .unwrap()
            .insert(wanted.id().to_owned(), key);
    };
    by_id(other.to_api_key().owner("admin"));
    let foreign = wanted.digest().to_string().replace("sha256", "hmac-sha256");
    let clock = clock();
    let layer = store.layer(&clock);
    present(&layer, wanted.expose())
        .await
        .invalid("unknown_api_key");
    clock.advance(Duration::from_secs(10));
    by_id(ApiKey::from_digest(foreign.parse().unwrap()).owner("admin"));
    present(&layer, wanted.expose())
        .await
        .invalid("unknown_api_key");
    clock.advance(Duration::from_secs(10));
    by_id(wanted.to_api_key());
    present(&layer, wanted.expose()).await.admitted();
}

#[tokio::test]
async fn requests_with_one_key_share_one_question_that_outlives_them() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    store.mode(Mode::Hold);
    let layer = store.layer(&clock());
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let (layer, key) = (layer.clone(), new.expose().to_owned());
            common::spawn(async move { present(&layer, &key).await.admitted().uri.clone() })
        })
        .collect();
    settle().await;
    assert_eq!(store.asked(), 1);
    requests.iter().skip(1).for_each(|request| request.abort());
    settle().await;
    store.open(1);
    let mut requests = requests.into_iter();
    requests.next().unwrap().await.unwrap();

    // No request waits any more, and the answer is kept all the same.
    let unknown = new_key();
    let alone = {
        let (layer, key) = (layer.clone(), unknown.expose().to_owned());
        common::spawn(async move { present(&layer, &key).await })
    };
    settle().await;
    alone.abort();
    store.open(1);
    settle().await;
    assert_eq!(store.asked(), 1);
    present(&layer, unknown.expose())
        .await
        .invalid("unknown_api_key");
    assert_eq!(store.asked(), 0);
}

#[tokio::test]
async fn an_outage_is_503_and_ends_by_itself() {
    let (known, new) = (new_key(), new_key());
    let store = Script::with([known.to_api_key(), new.to_api_key()], &[&known, &new]);
    let clock = clock();
    let layer = store.layer(&clock);
    present(&layer, known.expose()).await.admitted();
    store.asked();
    store.mode(Mode::Down);
    trace::start();
    for _ in 0..3 {
        unavailable(&present(&layer, new.expose()).await, "api_key_store_failed");
        unavailable(&present(&layer, API_KEY).await, "api_key_store_failed");
        present(&layer, known.expose()).await.admitted();
    }
    assert_eq!(store.asked(), 1, "it is left alone for a second");
    let warnings: Vec<_> = trace::take()
        .into_iter()
        .filter(|event| event.level == tracing::Level::WARN)
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].field("why"), "SECRET-DSN?is down");

    clock.advance(Duration::from_secs(1));
    unavailable(&present(&layer, new.expose()).await, "api_key_store_failed");
    assert_eq!(store.asked(), 1);
    // What was known is not believed for ever.
    clock.advance(Duration::from_secs(59));
    unavailable(
        &present(&layer, known.expose()).await,
        "api_key_store_failed",
    );
    store.mode(Mode::Answer);
    clock.advance(Duration::from_secs(1));
    present(&layer, new.expose()).await.admitted();
    present(&layer, known.expose()).await.admitted();
}

#[tokio::test]
async fn trouble_with_one_key_is_no_trouble_of_the_others() {
    let (bad, good) = (new_key(), new_key());
    let store = Script::with([bad.to_api_key(), good.to_api_key()], &[&bad, &good]);
    let layer = store.layer(&clock());
    for mode in [Mode::Broken, Mode::Panic] {
        store.mode(mode);
        unavailable(&present(&layer, bad.expose()).await, "api_key_store_failed");
        store.mode(Mode::Answer);
        present(&layer, good.expose()).await.admitted();
        present(&layer, bad.expose()).await.admitted();
        layer.keys().invalidate_all();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_given_up() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    store.mode(Mode::Hold);
    let clock = clock();
    let layer = store.layer(&clock);
    let start = tokio::time::Instant::now();
    unavailable(&present(&layer, new.expose()).await, "api_key_store_failed");
    assert_eq!(start.elapsed().as_secs(), 2);
    store.mode(Mode::Answer);
    clock.advance(Duration::from_secs(1));
    present(&layer, new.expose()).await.admitted();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_does_not_lock_out_those_in_use() {
    let known = new_key();
    let store = Script::with([known.to_api_key()], &[&known]);
    let clock = clock();
    let layer = store.layer_with(&clock, |keys| {
        let keys = keys.max_concurrent_lookups(4).unwrap();
        keys.max_queued(2)
            .queue_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(60))
            .unwrap()
    });
    present(&layer, known.expose()).await.admitted();
    clock.advance(Duration::from_secs(31));
    store.asked();
    store.mode(Mode::HoldUnknown);
    let flood: Vec<_> = (0..10)
        .map(|_| {
            let layer = layer.clone();
            common::spawn(async move { present(&layer, new_key().expose()).await })
        })
        .collect();
    settle().await;
    assert_eq!(store.asked(), 3, "of four, one is kept free");
    present(&layer, known.expose()).await.admitted();

    // Three hold the store; three more queue, and give up after a second; four were too many.
    tokio::time::sleep(Duration::from_secs(2)).await;
    store.open(3);
    let mut reasons = Vec::new();
    for request in flood {
        reasons.push(request.await.unwrap().error().reason());
    }
    let count = |reason| reasons.iter().filter(|other| **other == reason).count();
    assert_eq!(count("api_key_store_limited"), 7, "{reasons:?}");
    assert_eq!(count("unknown_api_key"), 3, "{reasons:?}");
}

#[test]
fn what_no_question_could_keep_to_is_refused() {
    let keys = || CachedApiKeyStore::new(Script::default());
    for (setting, made) in [
        ("timeout", keys().timeout(Duration::ZERO)),
        ("max_concurrent_lookups", keys().max_concurrent_lookups(0)),
        ("max_waiting_requests", keys().max_waiting_requests(0)),
    ] {
        assert_eq!(made.unwrap_err().setting(), setting);
    }
}

#[tokio::test]
async fn a_subscriber_may_call_the_layer_from_within_an_event() {
    let store = Script::default();
    let clock = clock();
    let layer = store.layer_with(&clock, |keys| {
        keys.max_concurrent_lookups(1).unwrap().max_queued(0)
    });
    let (events, of_events) = (Rc::new(Cell::new(0)), layer.clone());
    trace::react({
        let events = Rc::clone(&events);
        move || {
            of_events.keys().invalidate_all();
            events.set(events.get() + 1);
        }
    });

    store.mode(Mode::Broken);
    let answer = present(&layer, new_key().expose()).await;
    unavailable(&answer, "api_key_store_failed");
    let failed = events.replace(0);
    assert!(failed > 0);

    store.mode(Mode::Hold);
    let held = common::spawn({
        let layer = layer.clone();
        async move { present(&layer, new_key().expose()).await }
    });
    settle().await;
    let answer = present(&layer, new_key().expose()).await;
    unavailable(&answer, "api_key_store_limited");
    assert!(events.get() > 0);
    store.open(1);
    assert_eq!(held.await.unwrap().error().reason(), "unknown_api_key");
}

#[tokio::test]
async fn requests_that_wait_are_bounded() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    store.mode(Mode::Hold);
    let layer = store.layer_with(&clock(), |keys| keys.max_waiting_requests(2).unwrap());
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let (layer, key) = (layer.clone(), new.expose().to_owned());
            common::spawn(async move { present(&layer, &key).await })
        })
        .collect();
    settle().await;
    unavailable(
        &present(&layer, new.expose()).await,
        "api_key_store_limited",
    );
    store.open(1);
    for request in waiting {
        request.await.unwrap().admitted();
    }
    present(&layer, new.expose()).await.admitted();
}

/// A flood must not silence the warning that the store is down.
#[tokio::test]
async fn each_kind_of_trouble_with_a_store_is_reported_by_itself() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    store.mode(Mode::Hold);
    let clock = clock();
    let layer = store.layer_with(&clock, |keys| keys.max_waiting_requests(1).unwrap());
    let waiting = common::spawn({
        let (layer, key) = (layer.clone(), new.expose().to_owned());
        async move { present(&layer, &key).await }
    });
    settle().await;
    trace::start();
    let warnings = || {
        let events = trace::take().into_iter();
        let warnings = events.filter(|event| event.level == tracing::Level::WARN);
        warnings
            .map(|event| event.field("why").to_owned())
            .collect::<Vec<_>>()
    };
    for _ in 0..10 {
        let answer = present(&layer, new.expose()).await;
        unavailable(&answer, "api_key_store_limited");
    }
    assert_eq!(warnings(), ["too many requests wait for the key store"]);
    store.open(1);
    waiting.await.unwrap().admitted();

    store.mode(Mode::Down);
    let answer = present(&layer, new_key().expose()).await;
    unavailable(&answer, "api_key_store_failed");
    assert_eq!(warnings(), ["SECRET-DSN?is down"]);
}

/// By both hands of the clock: see `Clock`.
#[tokio::test]
async fn an_answer_is_too_old_after_a_sleep_and_when_the_clock_was_set_back() {
    let ways: [fn(&Clock, Duration); 2] = [
        |clock, life| clock.set_wall(clock.now() + life),
        |clock, life| {
            clock.set_wall(clock.now() - life);
            clock.advance(life);
        },
    ];
    for pass in ways {
        let (known, unknown) = (new_key(), new_key());
        let store = Script::with([known.to_api_key()], &[&known]);
        let clock = clock();
        let layer = store.layer(&clock);
        for (key, life) in [(&known, 30), (&unknown, 10)] {
            present(&layer, key.expose()).await;
            assert_eq!(store.asked(), 1);
            present(&layer, key.expose()).await;
            assert_eq!(store.asked(), 0);
            pass(&clock, Duration::from_secs(life));
            present(&layer, key.expose()).await;
            assert_eq!(store.asked(), 1);
        }
    }
}

#[tokio::test]
async fn what_is_forgotten_is_asked_again_also_of_a_question_under_way() {
    let (new, other) = (new_key(), new_key());
    let store = Script::with([new.to_api_key(), other.to_api_key()], &[&new, &other]);
    let layer = store.layer(&clock());
    present(&layer, new.expose()).await.admitted();
    present(&layer, other.expose()).await.admitted();
    store.set(new.digest(), new.to_api_key().revoked(true));
    layer.keys().invalidate(&new.digest());
    store.asked();
    present(&layer, new.expose())
        .await
        .invalid("revoked_api_key");
    present(&layer, other.expose()).await.admitted();
    assert_eq!(store.asked(), 1);

    // The store says "good", the key is revoked and forgotten, and then the answer arrives.
    store.mode(Mode::Hold);
    layer.keys().invalidate_all();
    let under_way = {
        let (layer, key) = (layer.clone(), other.expose().to_owned());
        common::spawn(async move { present(&layer, &key).await })
    };
    settle().await;
    store.set(other.digest(), other.to_api_key().revoked(true));
    layer.keys().invalidate(&other.digest());
    store.mode(Mode::Answer);
    present(&layer, other.expose())
        .await
        .invalid("revoked_api_key");
    store.open(1);
    under_way.await.unwrap().admitted();
    settle().await;
    present(&layer, other.expose())
        .await
        .invalid("revoked_api_key");
}

const A: &str = "https://a.example.com/mcp";
const B: &str = "https://b.example.com/mcp";

async fn present_at(layer: &ApiKeyLayer, host: &str, key: &str) -> Answer {
    ask(layer, request(&[("host", host), ("x-api-key", key)])).await
}

fn for_two(store: &Script, clock: &Clock) -> ApiKeyLayer {
    let both = ResourceSet::new().resource(A).unwrap();
    let both = both.resource(B).unwrap();
    store.layer(clock).resources(both).unwrap()
}

#[tokio::test]
async fn an_answer_that_is_kept_is_judged_for_the_resource_of_each_request() {
    let cases: [(&[&str], [u16; 2]); 4] = [
        (&[A], [200, 401]),
        (&[B], [401, 200]),
        (&[A, B], [200, 200]),
        (&["https://c.example.com"], [401, 401]),
    ];
    let hosts = ["a.example.com", "b.example.com"];
    for (names, expected) in cases {
        for first in [0, 1] {
            let new = new_key();
            let key = new.to_api_key().resources(names).unwrap();
            let store = Script::with([key], &[&new]);
            let (clock, key) = (clock(), new.expose());
            let layer = for_two(&store, &clock);
            for turn in 0..4 {
                let at = (first + turn) % 2;
                let answer = present_at(&layer, hosts[at], key).await;
                assert_eq!(answer.status, expected[at], "{names:?} at {}", hosts[at]);
                if expected[at] == 401 {
                    answer.invalid("api_key_resource_mismatch");
                }
            }
            assert_eq!(store.asked(), 1, "{names:?}");

            // Both wait for one answer, and each is told what it means for its own resource.
            layer.keys().invalidate_all();
            store.mode(Mode::Hold);
            store.open(1);
            let (one, two) = tokio::join!(
                present_at(&layer, hosts[first], key),
                present_at(&layer, hosts[1 - first], key),
            );
            assert_eq!(one.status, expected[first], "{names:?}");
            assert_eq!(two.status, expected[1 - first], "{names:?}");
            assert_eq!(store.asked(), 1, "{names:?}");
        }
    }
}

#[tokio::test]
async fn resources_that_a_store_takes_away_are_gone_with_its_next_answer() {
    let new = new_key();
    let at = |names: &[&str]| new.to_api_key().resources(names).unwrap();
    let store = Script::with([at(&[A, B])], &[&new]);
    let clock = clock();
    let layer = for_two(&store, &clock);
    present_at(&layer, "b.example.com", new.expose())
        .await
        .admitted();
    store.set(new.digest(), at(&[A]));
    clock.advance(Duration::from_secs(30));
    present_at(&layer, "b.example.com", new.expose())
        .await
        .invalid("api_key_resource_mismatch");
    store.set(new.digest(), new.to_api_key());
    layer.keys().invalidate(&new.digest());
    present_at(&layer, "a.example.com", new.expose())
        .await
        .invalid("api_key_without_resources");
}

#[test]
fn without_a_runtime_it_is_our_own_trouble() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    let layer = store.layer(&clock());
    let answer = tokio_test::task::spawn(present(&layer, new.expose())).poll();
    let std::task::Poll::Ready(answer) = answer else {
        panic!("waits for ever")
    };
    unavailable(&answer, "api_key_store_failed");
}

#[tokio::test]
async fn a_remembered_key_costs_no_allocation() {
    let new = new_key();
    let key = new
        .to_api_key()
        .owner("alice")
        .expires_at(at(NOW + 60))
        .unwrap();
    let layer = Script::with([key], &[&new]).layer(&clock());
    present(&layer, new.expose()).await.admitted();
    let plain = ApiKeyLayer::new([API_KEY]).unwrap();
    // What moka puts off is done now and then; the fewest of several are the request's own.
    let fewest = (0..20).map(|_| allocations(&layer, new.expose())).min();
    assert_eq!(fewest, Some(allocations(&plain, API_KEY)));
}

#[tokio::test]
async fn a_use_is_told_once_in_an_interval_whatever_was_asked_in_between() {
    let new = new_key();
    let store = Script::with([new.to_api_key()], &[&new]);
    let (clock, told) = (clock(), Arc::new(AtomicUsize::new(0)));
    let sink = Arc::clone(&told);
    let layer = store
        .layer(&clock)
        .on_use(Duration::from_secs(100), move |_| {
            sink.fetch_add(1, Ordering::SeqCst);
        });
    for (after, expected) in [(0, 1), (31, 1), (31, 1), (31, 1), (31, 2)] {
        clock.advance(Duration::from_secs(after));
        present(&layer, new.expose()).await.admitted();
        assert_eq!(told.load(Ordering::SeqCst), expected, "{after}");
    }
    assert_eq!(store.asked(), 5);
}

#[test]
fn settings_that_cannot_work_are_refused_and_keys_are_changed_in_the_store() {
    let store = Script::default();
    let error = CachedApiKeyStore::new(store.clone()).max_concurrent_lookups(0);
    assert_eq!(error.unwrap_err().setting(), "max_concurrent_lookups");
    let layer = store.layer(&clock());
    assert_eq!(
        layer.keys().replace([API_KEY]).unwrap_err().setting(),
        "keys"
    );
    // Lives of any length, and no memory at all.
    let _ = store.layer_with(&clock(), |keys| {
        keys.positive_ttl(Duration::MAX)
            .negative_ttl(Duration::MAX)
            .max_keys(0)
    });
}
