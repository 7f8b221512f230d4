//! When a key is good, who owns it, and that it was used.

use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_mcp_auth::api_key::{ApiKey, GeneratedKey, KeyDigest, Pepper};
use tower_mcp_auth::{ApiKeyLayer, AuthErrorKind};

use common::{API_KEY, Answer, NOW, ask, clock, request};

const PEPPER: &str = "5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT";

pub fn with_key(key: &str) -> Request<Full<bytes::Bytes>> {
    request(&[("x-api-key", key)])
}

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub fn new_key() -> GeneratedKey {
    ApiKey::generate("acme").unwrap()
}

pub fn pepper() -> Pepper {
    Pepper::new(PEPPER).unwrap()
}

/// All that a client sees of a refusal.
pub fn seen(answer: &Answer) -> String {
    format!("{} {:?} {:?}", answer.status, answer.headers, answer.body)
}

#[tokio::test]
async fn every_bad_key_gets_one_answer_and_a_reason_of_its_own() {
    let keys: Vec<GeneratedKey> = (0..4).map(|_| new_key()).collect();
    let [good, expired, early, revoked] = &keys[..] else {
        unreachable!()
    };
    let layer = ApiKeyLayer::new([
        good.to_api_key(),
        expired.to_api_key().expires_at(at(NOW)).unwrap(),
        early.to_api_key().not_before(at(NOW + 1)).unwrap(),
        revoked.to_api_key().revoked(true),
    ])
    .unwrap()
    .clock(clock());
    ask(&layer, with_key(good.expose())).await.admitted();

    let mut mistyped = good.expose().to_owned();
    let last = if mistyped.ends_with('0') { '1' } else { '0' };
    mistyped.pop();
    mistyped.push(last);
    let unknown = new_key();
    let mut answers = Vec::new();
    for (key, reason) in [
        (expired.expose(), "expired_api_key"),
        (early.expose(), "not_yet_valid_api_key"),
        (revoked.expose(), "revoked_api_key"),
        (unknown.expose(), "unknown_api_key"),
        (API_KEY, "unknown_api_key"),
        ("x", "unknown_api_key"),
        (&*mistyped, "mistyped_api_key"),
    ] {
        for grpc in [false, true] {
            let mut request = with_key(key);
            if grpc {
                *request.method_mut() = http::Method::POST;
                *request.version_mut() = http::Version::HTTP_2;
                let value = "application/grpc".parse().unwrap();
                request.headers_mut().insert("content-type", value);
            }
            let answer = ask(&layer, request).await;
            let error = answer.error();
            assert_eq!(
                (error.kind(), error.reason()),
                (AuthErrorKind::Invalid, reason)
            );
            // The operator learns which key it was, and not the key.
            let detail = error.detail().unwrap();
            assert!(!detail.contains(key.get(18..).unwrap_or("\n")), "{detail}");
            if let Some(key) = keys.iter().find(|own| own.expose() == key) {
                assert!(detail.contains(key.id()), "{detail}");
            }
            answers.push((grpc, seen(&answer)));
        }
    }
    for (grpc, answer) in &answers {
        let other = answers.iter().find(|other| other.0 == *grpc).unwrap();
        assert_eq!(*answer, other.1);
    }
}

#[tokio::test]
async fn a_key_is_good_from_its_beginning_up_to_its_end() {
    let new = new_key();
    let key = new.to_api_key().owner("alice");
    let key = key.not_before(at(NOW + 10)).unwrap();
    let key = key.expires_at(at(NOW + 20)).unwrap();
    let clock = clock();
    let layer = ApiKeyLayer::new([key]).unwrap().clock(clock.clone());
    for (after, reason) in [
        (0, Some("not_yet_valid_api_key")),
        (9_999, Some("not_yet_valid_api_key")),
        (10_000, None),
        (19_999, None),
        (20_000, Some("expired_api_key")),
        (40_000, Some("expired_api_key")),
    ] {
        let now = clock.now().as_millis() as u64 - NOW * 1000;
        clock.advance(Duration::from_millis(after - now));
        let answer = ask(&layer, with_key(new.expose())).await;
        match reason {
            Some(reason) => answer.invalid(reason),
            None => assert_eq!(answer.principal().expires_at(), Some(at(NOW + 20))),
        }
    }
}

#[test]
fn a_key_that_is_never_good_is_not_configured() {
    let key = || new_key().to_api_key();
    for (not_before, expires_at) in [(NOW, NOW), (NOW + 1, NOW)] {
        let error = key().not_before(at(not_before)).unwrap();
        let error = error.expires_at(at(expires_at)).unwrap_err();
        assert_eq!(error.setting(), "expires_at");
        assert!(error.to_string().contains("not_before"), "{error}");
        let error = key().expires_at(at(expires_at)).unwrap();
        error.not_before(at(not_before)).unwrap_err();
    }
}

#[tokio::test]
async fn the_keys_of_an_owner_are_one_principal_and_each_can_be_told() {
    let (old, new, other) = (new_key(), new_key(), new_key());
    let layer = ApiKeyLayer::new([
        old.to_api_key()
            .owner("alice")
            .name("laptop")
            .scopes(["a"])
            .unwrap(),
        new.to_api_key()
            .owner("alice")
            .name("phone")
            .scopes(["b"])
            .unwrap(),
        other.to_api_key().name("ci"),
    ])
    .unwrap();
    let mut ids = Vec::new();
    for (key, subject, name, scope) in [
        (&old, "alice", Some("laptop"), "a"),
        (&new, "alice", Some("phone"), "b"),
        (&other, "ci", None, ""),
    ] {
        let answer = ask(&layer, with_key(key.expose())).await;
        let principal = answer.principal();
        assert_eq!(principal.subject(), Some(subject));
        assert_eq!(principal.scopes().as_str(), scope);
        assert_eq!(principal.claims()["key_id"], key.id());
        assert_eq!(
            principal.claims().get("key_name").and_then(|n| n.as_str()),
            name
        );
        ids.push(principal.id().to_string());
    }
    assert_eq!(
        ids,
        ["api_key|sub=alice", "api_key|sub=alice", "api_key|sub=ci"]
    );
}

#[tokio::test]
async fn a_key_without_an_owner_is_one_principal_however_it_was_configured() {
    let (one, other) = (new_key(), new_key());
    let layers = [
        ApiKeyLayer::new([one.to_api_key(), other.to_api_key()]).unwrap(),
        ApiKeyLayer::new([one.expose(), other.expose()]).unwrap(),
        ApiKeyLayer::new([
            ApiKey::from_digest(one.digest().to_string().parse().unwrap())
                .owner("")
                .name("")
                .id(""),
            ApiKey::from_digest(other.digest()),
        ])
        .unwrap(),
    ];
    let mut ids = Vec::new();
    for layer in &layers {
        for key in [&one, &other] {
            let answer = ask(layer, with_key(key.expose())).await;
            assert_eq!(answer.principal().subject(), None);
            ids.push(answer.principal().id().to_string());
        }
    }
    assert_eq!((&ids[0], &ids[1]), (&ids[2], &ids[3]));
    assert_eq!((&ids[0], &ids[1]), (&ids[4], &ids[5]));
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_foreign_key_is_known_by_its_digest_and_the_pepper() {
    let digest = KeyDigest::from_external(API_KEY, &pepper()).unwrap();
    let key = ApiKey::from_digest(digest).owner("alice");
    let generated = new_key();
    let keys = [key.clone(), generated.to_api_key()];
    let layer = ApiKeyLayer::from_peppered(keys.clone(), pepper()).unwrap();
    let answer = ask(&layer, with_key(API_KEY)).await;
    assert_eq!(answer.principal().subject(), Some("alice"));
    ask(&layer, with_key(generated.expose())).await.admitted();

    let other = Pepper::new("other-5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9").unwrap();
    let layer = ApiKeyLayer::from_peppered(keys.clone(), other).unwrap();
    ask(&layer, with_key(API_KEY))
        .await
        .invalid("unknown_api_key");
    ask(&layer, with_key(generated.expose())).await.admitted();

    assert_eq!(
        ApiKeyLayer::new([key.clone()]).unwrap_err().setting(),
        "keys"
    );
    let layer = ApiKeyLayer::new([generated.to_api_key()]).unwrap();
    assert_eq!(
        layer.keys().replace([key.clone()]).unwrap_err().setting(),
        "keys"
    );

    // Ends and revocations hold for them as well.
    let layer = ApiKeyLayer::from_peppered([key.revoked(true)], pepper()).unwrap();
    ask(&layer, with_key(API_KEY))
        .await
        .invalid("revoked_api_key");
}

/// Or a store of plain digests of weak keys would be accepted for years.
#[tokio::test]
async fn a_plain_digest_of_a_foreign_key_opens_nothing() {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, API_KEY.as_bytes());
    let digits: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for kind in ["sha256", "hmac-sha256"] {
        let digest: KeyDigest = format!("{kind}:{digits}").parse().unwrap();
        let layer = ApiKeyLayer::from_peppered([ApiKey::from_digest(digest)], pepper()).unwrap();
        ask(&layer, with_key(API_KEY))
            .await
            .invalid("unknown_api_key");
    }
    // Given itself, it is good: it is in this process's memory alone.
    let layer = ApiKeyLayer::from_peppered([API_KEY], pepper()).unwrap();
    ask(&layer, with_key(API_KEY)).await.admitted();
}

type WarnOnce = Arc<Mutex<Vec<String>>>;

#[tokio::test]
async fn a_use_is_told_once_in_an_interval_and_only_of_accepted_keys() {
    let (one, other, revoked) = (new_key(), new_key(), new_key());
    let keys = [
        one.to_api_key().owner("alice").name("laptop"),
        other.to_api_key(),
        revoked.to_api_key().revoked(true),
    ];
    let told = WarnOnce::default();
    let sink = Arc::clone(&told);
    let clock = clock();
    let layer = ApiKeyLayer::new(keys.clone())
        .unwrap()
        .clock(clock.clone())
        .on_use(Duration::from_secs(60), move |used| {
            let at = used.at().duration_since(UNIX_EPOCH).unwrap().as_secs() - NOW;
            let owner = used.owner().unwrap_or("-");
            let name = used.name().unwrap_or("-");
            sink.lock().unwrap().push(format!("{owner} {name} {at}"));
            assert!(used.digest().is_some() && used.id().is_some());
        });
    let take = || std::mem::take(&mut *told.lock().unwrap());
    for _ in 0..3 {
        ask(&layer, with_key(one.expose())).await.admitted();
        ask(&layer, with_key(revoked.expose())).await.error();
        ask(&layer, with_key(API_KEY)).await.error();
    }
    assert_eq!(take(), ["alice laptop 0"]);
    let uses = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&uses);
    let often = ApiKeyLayer::new(keys.clone())
        .unwrap()
        .clock(clock.clone())
        .on_use(Duration::from_millis(500), move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
    for (millis, told) in [(0, 1), (499, 1), (1, 2), (499, 2), (1, 3)] {
        clock.advance(Duration::from_millis(millis));
        ask(&often, with_key(one.expose())).await.admitted();
        assert_eq!(uses.load(Ordering::SeqCst), told, "{millis}");
    }
    clock.advance(Duration::from_secs(58));
    ask(&layer, with_key(one.expose())).await.admitted();
    ask(&layer, with_key(other.expose())).await.admitted();
    assert_eq!(take(), ["- - 59"]);
    // Replacing the keys does not begin anew.
    layer.keys().replace(keys).unwrap();
    ask(&layer, with_key(one.expose())).await.admitted();
    assert!(take().is_empty());
    clock.advance(Duration::from_secs(1));
    ask(&layer, with_key(one.expose())).await.admitted();
    assert_eq!(take(), ["alice laptop 60"]);
    // A clock that was far ahead and was set right delays the next one by no more than that.
    clock.set_wall(Duration::from_secs(NOW + 1_000_000));
    ask(&layer, with_key(one.expose())).await.admitted();
    assert_eq!(take(), ["alice laptop 1000000"]);
    clock.set_wall(Duration::from_secs(NOW + 100));
    ask(&layer, with_key(one.expose())).await.admitted();
    assert!(take().is_empty());
    clock.advance(Duration::from_secs(60));
    ask(&layer, with_key(one.expose())).await.admitted();
    assert_eq!(take(), ["alice laptop 160"]);
}

/// Allocations of one accepted request, the second of its kind.
pub fn allocations(layer: &ApiKeyLayer, key: &str) -> u64 {
    let mut service = layer.layer(tower::service_fn(|_: Request<Full<bytes::Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(
            Full::<bytes::Bytes>::default(),
        )))
    }));
    let requests = [with_key(key), with_key(key)];
    let counts = requests.map(|request| {
        allocation_counter::measure(|| {
            let mut response = pin!(service.call(request));
            let mut context = Context::from_waker(Waker::noop());
            let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut context) else {
                panic!("an answer from memory")
            };
            assert_eq!(response.status(), 200);
        })
        .count_total
    });
    counts[1]
}

#[test]
fn owners_ends_hooks_and_peppers_cost_no_allocation() {
    let new = new_key();
    let key = new
        .to_api_key()
        .owner("alice")
        // Not so soon that it is warned of.
        .expires_at(at(NOW + 365 * 86_400))
        .unwrap();
    let foreign = KeyDigest::from_external("Zm9yZWlnbi1rZXktMTI5ODM0NzY", &pepper()).unwrap();
    let keys = [key, ApiKey::from_digest(foreign)];
    let layer = ApiKeyLayer::from_peppered(keys, pepper()).unwrap();
    let layer = layer.clock(clock()).on_use(Duration::from_secs(60), |_| {});
    let plain = ApiKeyLayer::new([API_KEY]).unwrap();
    assert_eq!(
        allocations(&layer, new.expose()),
        allocations(&plain, API_KEY)
    );
}
