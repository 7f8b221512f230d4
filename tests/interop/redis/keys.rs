//! API keys on a real engine, and records that no holder of the secret has written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response, StatusCode};
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_mcp_auth::api_key::{ApiKey, CachedApiKeyStore, GeneratedKey};
use tower_mcp_auth::redis::RedisApiKeys;
use tower_mcp_auth::{ApiKeyLayer, Principal};

use super::engine::{PREFIX, Server};
use super::until_down;

const SECRETS: [&str; 2] = [
    "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5",
    "tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E",
];
const DAY: Duration = Duration::from_secs(86_400);

/// What becomes of a request with this key, and who it is.
async fn ask(layer: &ApiKeyLayer, key: &GeneratedKey) -> (StatusCode, String) {
    let service =
        ServiceBuilder::new()
            .layer(layer.clone())
            .service_fn(async |request: Request<String>| {
                let principal = Principal::from_extensions(request.extensions());
                let principal = principal.expect("a principal");
                let scopes = principal.scopes().to_string();
                let subject = principal.subject().unwrap_or_default();
                Ok::<_, BoxError>(Response::new(format!("{subject}: {scopes}")))
            });
    let request = Request::builder().header("X-API-Key", key.expose());
    let answer = service.oneshot(request.body(String::new()).unwrap()).await;
    let answer = answer.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 4096).await;
    (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
}

async fn status(keys: &RedisApiKeys, key: &GeneratedKey) -> u16 {
    // A layer that remembers nothing.
    let layer = ApiKeyLayer::from_store(CachedApiKeyStore::new(keys.clone()));
    ask(&layer, key).await.0.as_u16()
}

fn new() -> GeneratedKey {
    ApiKey::generate("acme").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn keys_are_put_rotated_used_and_revoked() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let keys = RedisApiKeys::new(&redis, SECRETS[0]).unwrap();
    let other = RedisApiKeys::new(&engine.replica().await, SECRETS[0]).unwrap();
    let (first, second) = (new(), new());
    // What an engine without any keys has lost is unknown.
    assert_eq!(status(&keys, &first).await, 503);
    let key = first.to_api_key().owner("alice").name("laptop");
    let key = key.scopes(["mcp:read", "mcp:write"]).unwrap();
    keys.put(&key).await.unwrap();
    let layer = ApiKeyLayer::from_store(CachedApiKeyStore::new(other.clone()));
    let said = ask(&layer, &first).await;
    assert_eq!(
        said,
        (StatusCode::OK, "alice: mcp:read mcp:write".to_owned())
    );
    assert_eq!(status(&keys, &second).await, 401);

    let digest = first.digest();
    assert_eq!(keys.last_used(&digest).await.unwrap(), None);
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    for (used, last) in [(1000, 1000), (900, 1000), (2000, 2000)] {
        assert!(keys.used(&digest, at(used)).await.unwrap());
        assert_eq!(other.last_used(&digest).await.unwrap(), Some(at(last)));
    }
    assert!(!keys.used(&second.digest(), at(1)).await.unwrap());

    // Both are good for a while, and then one is.
    let replacement = second.to_api_key().owner("alice");
    assert!(
        !keys
            .rotate(&new().digest(), &replacement, DAY)
            .await
            .unwrap()
    );
    assert_eq!(status(&keys, &second).await, 401);
    assert!(keys.rotate(&digest, &replacement, DAY).await.unwrap());
    assert_eq!(
        [status(&keys, &first).await, status(&keys, &second).await],
        [200, 200]
    );
    let third = new();
    let soon = Duration::from_secs(1);
    let end = SystemTime::now() + soon * 2;
    assert!(
        keys.rotate(&digest, &third.to_api_key(), soon)
            .await
            .unwrap()
    );
    // It does not become longer.
    assert!(
        keys.rotate(&digest, &third.to_api_key(), DAY)
            .await
            .unwrap()
    );
    tokio::time::sleep(end.duration_since(SystemTime::now()).unwrap()).await;
    assert_eq!(
        [status(&other, &first).await, status(&other, &second).await],
        [401, 200]
    );

    assert!(other.revoke(&second.digest()).await.unwrap());
    assert!(!other.revoke(&new().digest()).await.unwrap());
    assert_eq!(status(&keys, &second).await, 401);
    assert_eq!(status(&keys, &third).await, 200);
    // Nothing of a key is lost.
    let whole = ApiKey::from_digest(new().digest())
        .id("id")
        .created_at(at(1_800_000_000));
    let whole = whole.resources(["https://mcp.example.com/mcp"]).unwrap();
    let whole = whole.not_before(at(1_700_000_000)).unwrap();
    let whole = whole.expires_at(at(1_900_000_000)).unwrap();
    keys.put(&whole).await.unwrap();
    let place = engine.cli(&["KEYS", "*:k:*"]).await;
    let mut records = String::new();
    for place in place.lines() {
        records += &engine.cli(&["HGET", place, "key"]).await;
    }
    for number in ["1800000000", "1700000000", "1900000000", "mcp.example.com"] {
        assert!(records.contains(number), "{records}");
    }
    // Digests alone.
    let dump = engine
        .cli(&["HGETALL", &format!("{{{PREFIX}}}:k:{}", third.digest())])
        .await;
    assert!(
        dump.contains("sha256:") && !dump.contains(third.expose()),
        "{dump}"
    );
    let plain = ApiKey::new("c29tZXRoaW5nLWVsc2UtZW50aXJlbHk").unwrap();
    assert!(keys.put(&plain).await.is_err());
    // Nothing is written that cannot be read.
    let (digest, next) = (third.digest(), new().to_api_key());
    assert!(keys.rotate(&digest, &next, Duration::MAX).await.is_err());
    assert_eq!(status(&keys, &third).await, 200);
    let moment = at(1_900_000_000) + Duration::from_millis(100);
    let brief = ApiKey::from_digest(new().digest());
    let brief = brief.not_before(moment).unwrap();
    let brief = brief.expires_at(moment + Duration::from_millis(100));
    assert!(keys.put(&brief.unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn keys_that_end_soon_are_listed() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let keys = RedisApiKeys::new(&redis, SECRETS[0]).unwrap();
    let names = async |time: Duration| {
        let found = keys.expiring_within(time).await.unwrap();
        let names = found.iter().map(|key| key.name().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert!(names(DAY).await.is_empty());
    let now = SystemTime::now();
    let put = async |name: &str, end: Option<Duration>, revoked: bool| {
        let new = new();
        let mut key = new.to_api_key().name(name).owner("alice").revoked(revoked);
        if let Some(end) = end {
            key = key.expires_at(now + end).unwrap();
        }
        keys.put(&key).await.unwrap();
        (new, key)
    };
    let hour = DAY / 24;
    put("never", None, false).await;
    put("in two days", Some(DAY * 2), false).await;
    let (first, _) = put("in an hour", Some(hour), false).await;
    put("revoked", Some(hour), true).await;
    let (second, key) = put("in ten hours", Some(hour * 10), false).await;
    let over = new();
    let over = over
        .to_api_key()
        .name("over")
        .expires_at(now - hour)
        .unwrap();
    keys.put(&over).await.unwrap();
    assert_eq!(names(hour * 2).await, ["in an hour"]);
    assert_eq!(names(DAY).await, ["in an hour", "in ten hours"]);
    assert_eq!(
        names(Duration::MAX).await,
        ["in an hour", "in ten hours", "in two days"]
    );
    let found = keys.expiring_within(hour * 2).await.unwrap();
    assert_eq!(found[0].id(), Some(first.id()));
    assert_eq!(found[0].owner(), Some("alice"));
    assert_eq!(found[0].digest(), first.digest());
    let told = format!("{found:?}");
    assert!(!told.contains(&first.digest().to_string()), "{told}");
    // What becomes of a key becomes of its place.
    assert!(keys.revoke(&first.digest()).await.unwrap());
    keys.put(&key.expires_at(now + DAY * 3).unwrap())
        .await
        .unwrap();
    assert_eq!(names(DAY).await, Vec::<String>::new());
    let new = new();
    let later = new.to_api_key().name("new");
    assert!(keys.rotate(&second.digest(), &later, hour).await.unwrap());
    assert_eq!(names(DAY).await, ["in ten hours"]);
    let unlimited = second.to_api_key().name("in ten hours");
    keys.put(&unlimited).await.unwrap();
    assert!(names(DAY).await.is_empty());
    // What ended long ago leaves the index.
    let index = format!("{{{PREFIX}}}:k-ends");
    engine.cli(&["ZADD", &index, "5", "old"]).await;
    put("many 0", Some(hour), false).await;
    assert_eq!(engine.cli(&["ZSCORE", &index, "old"]).await, "");

    // More than are asked for at once, most of them in one second.
    for number in 1..2_100 {
        put(&format!("many {number}"), Some(hour), false).await;
    }
    put("many 2100", Some(hour + Duration::from_secs(5)), false).await;
    let found = names(hour * 2).await;
    let distinct: std::collections::HashSet<_> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (2_101, 2_101));
    assert_eq!(found.last().unwrap(), "many 2100");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn who_writes_to_the_engine_mints_no_keys() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let keys = RedisApiKeys::new(&redis, SECRETS[0]).unwrap();
    let (own, forged) = (new(), new());
    keys.put(&own.to_api_key().owner("alice")).await.unwrap();
    assert_eq!(status(&keys, &own).await, 200);
    // With another secret, with none, and with the record of another key.
    let others = RedisApiKeys::new(&redis, SECRETS[1]).unwrap();
    others
        .put(&forged.to_api_key().owner("root"))
        .await
        .unwrap();
    assert_eq!(status(&keys, &forged).await, 503);
    assert!(keys.revoke(&forged.digest()).await.is_err());
    let place = |key: &GeneratedKey| format!("{{{PREFIX}}}:k:{}", key.digest());
    engine.cli(&["HSET", &place(&forged), "mac", ""]).await;
    assert_eq!(status(&keys, &forged).await, 503);
    engine.cli(&["DEL", &place(&forged)]).await;
    engine.cli(&["COPY", &place(&own), &place(&forged)]).await;
    assert_eq!(status(&keys, &forged).await, 503);
    let record = engine.cli(&["HGET", &place(&own), "key"]).await;
    let changed = record.replace("alice", "root");
    engine.cli(&["HSET", &place(&own), "key", &changed]).await;
    assert_eq!(status(&keys, &own).await, 503);
    engine.cli(&["SET", &place(&own), "text"]).await;
    assert_eq!(status(&keys, &own).await, 503);
    // Under another prefix it is another record.
    keys.put(&own.to_api_key()).await.unwrap_err();
    engine.cli(&["DEL", &place(&own)]).await;
    keys.put(&own.to_api_key()).await.unwrap();
    assert_eq!(status(&keys, &own).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn while_the_engine_is_gone_known_keys_go_on() {
    let mut engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let keys = RedisApiKeys::new(&redis, SECRETS[0]).unwrap();
    let (known, unknown) = (new(), new());
    for key in [&known, &unknown] {
        keys.put(&key.to_api_key().owner("alice")).await.unwrap();
    }
    let layer = ApiKeyLayer::from_store(CachedApiKeyStore::new(keys.clone()));
    assert_eq!(ask(&layer, &known).await.0, StatusCode::OK);
    engine.kill().await;
    until_down(&redis).await;
    let brief = CachedApiKeyStore::new(keys.clone()).max_staleness(Duration::ZERO);
    let brief = ApiKeyLayer::from_store(brief.positive_ttl(Duration::ZERO));
    assert_eq!(ask(&layer, &known).await.0, StatusCode::OK);
    for (layer, key) in [(&layer, &unknown), (&brief, &known)] {
        assert_eq!(ask(layer, key).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    // It comes back empty: nothing is known of any key.
    engine.restart().await;
    super::until_ready(&redis).await;
    assert_eq!(status(&keys, &unknown).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_record_that_is_none_stops_no_other_key_and_keeps_none_alive() {
    let engine = Server::start(&[]).await;
    let redis = engine.first_replica().await;
    let keys = RedisApiKeys::new(&redis, SECRETS[0]).unwrap();
    let (own, other) = (new(), new());
    for key in [&own, &other] {
        keys.put(&key.to_api_key().owner("alice")).await.unwrap();
    }
    // One that lets in what was good while the engine cannot be asked, which it can be.
    let cached = CachedApiKeyStore::new(keys.clone()).dangerously_allow_on_outage();
    let brief = cached.positive_ttl(Duration::ZERO);
    let layer = ApiKeyLayer::from_store(brief.max_staleness(Duration::ZERO));
    assert_eq!(ask(&layer, &own).await.0, StatusCode::OK);
    let place = format!("{{{PREFIX}}}:k:{}", own.digest());
    engine.cli(&["SET", &place, "text"]).await;
    for _ in 0..3 {
        let unusable = ask(&layer, &own).await.0;
        assert_eq!(unusable, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&layer, &other).await.0, StatusCode::OK);
    }
}
