//! `shared`: settings of the engine, and what is shared there. With engines that answer it is in
//! `tests/interop/redis`.

use serde_json::{Value, json};
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::CachedApiKeyStore;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::redis::{Redis, RedisApiKeys};

use crate::config::{KEY, RESOURCE, SECRET, config};
use common::{ask, request};

/// Nothing listens there.
const UNREACHABLE: &str = "redis://127.0.0.1:1";
const PASSWORD: &str = "8sPq2v9xWz";
/// The certificate of an authority.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/oauth/fixtures/ca.pem");

/// Some providers, and this section; members of `more` come in addition.
fn with(shared: &Value, more: &Value) -> Value {
    let mut value = json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": KEY }] },
        "shared": shared,
    });
    let members = more.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(members);
    value
}

fn claimed() -> Value {
    json!({ "key": SECRET, "anonymous_sessions_can_be_claimed": true })
}

#[tokio::test]
async fn what_is_refused_has_its_place_and_no_secret() {
    let url = format!("redis://:{PASSWORD}@127.0.0.1:1");
    let redis = |more: Value| {
        let mut value = json!({ "url": url });
        let members = more.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(members);
        value
    };
    let cases = [
        ("shared.redis", Value::Null),
        ("shared.redis.url", json!({})),
        ("shared.redis.url", json!({ "url": "127.0.0.1" })),
        (
            "shared.redis.url",
            json!({ "url": format!("http://:{PASSWORD}@127.0.0.1") }),
        ),
        (
            "shared.redis.url",
            json!({ "url": { "env": "NO_SUCH_VARIABLE_HERE" } }),
        ),
        (
            "shared.redis.nodes[1]",
            redis(json!({ "nodes": [UNREACHABLE, "rediss://127.0.0.1:2"] })),
        ),
        (
            "shared.redis.nodes[0]",
            redis(json!({ "nodes": format!("{url}1") })),
        ),
        (
            "shared.redis.password",
            redis(json!({ "password": { "file": "/no/such/file" } })),
        ),
        (
            "shared.redis.password",
            json!({ "url": UNREACHABLE, "username": "mcp" }),
        ),
        ("shared.redis.ca", redis(json!({ "ca": "/no/such/file" }))),
        (
            "shared.redis.ca",
            redis(json!({ "ca": concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml") })),
        ),
        // It has no TLS.
        ("shared.redis.url", redis(json!({ "ca": AUTHORITY }))),
        (
            "shared.redis.client_key",
            redis(json!({ "client_certificate": AUTHORITY })),
        ),
        (
            "shared.redis.client_certificate",
            redis(json!({ "client_key": PASSWORD })),
        ),
        (
            "shared.redis.client_certificate",
            redis(json!({ "client_certificate": AUTHORITY, "client_key": PASSWORD })),
        ),
        ("shared.redis.prefix", redis(json!({ "prefix": "{a}" }))),
        ("shared.redis.timeout", redis(json!({ "timeout": 3 }))),
        (
            "shared.redis.max_revocations",
            redis(json!({ "max_revocations": 0 })),
        ),
    ];
    for (path, redis) in cases {
        let value = match redis {
            Value::Null => with(&json!({}), &json!({})),
            redis => with(&json!({ "redis": redis }), &json!({})),
        };
        let config = config(&value);
        let shown = format!("{config:?}");
        let error = config.connect().await.unwrap_err();
        assert_eq!(error.path(), path, "{error}");
        for text in [shown, error.to_string()] {
            assert!(!text.contains(PASSWORD), "{text}");
        }
    }
}

#[tokio::test]
async fn layers_are_made_of_what_is_connected() {
    let shared = json!({ "redis": { "url": UNREACHABLE } });
    let all = with(
        &shared,
        &json!({ "session": claimed(), "revocation": { "secret": SECRET } }),
    );
    let mut keys = with(&shared, &json!({}));
    keys["api_keys"] = json!({ "shared": { "secret": SECRET } });
    type Make = fn(&Config) -> Result<(), tower_mcp_auth::ConfigError>;
    let cases: [(&Value, Make); 6] = [
        (&all, |c| c.stack().map(drop)),
        (&all, |c| c.session_layer().map(drop)),
        (&all, |c| c.revocation().map(drop)),
        (&all, |c| c.auth_layer().map(drop)),
        (&keys, |c| c.auth_layer().map(drop)),
        (&keys, |c| c.redis_api_keys().map(drop)),
    ];
    for (value, make) in cases {
        let unconnected = config(value);
        assert!(unconnected.redis().is_none());
        let error = make(&unconnected).unwrap_err();
        assert_eq!(error.path(), "shared");
        assert!(error.to_string().contains("config.connect()"), "{error}");
        let connected = unconnected.connect().await.unwrap();
        make(&connected).unwrap();
        make(&connected.clone()).unwrap();
        // That it is not there is no error, and is told.
        let health = connected.redis().unwrap().health();
        assert!(!health.is_ready());
        assert!(health.error().unwrap().contains("127.0.0.1:1"));
    }
    // Nothing is shared, also not by mistake.
    let stack = config(&with(&shared, &json!({}))).stack();
    assert_eq!(stack.unwrap_err().path(), "shared");
    let alone = json!({ "resource": RESOURCE, "api_keys": { "keys": [{ "key": KEY }] } });
    let alone = config(&alone).connect().await.unwrap();
    assert!(alone.redis().is_none() && alone.redis_api_keys().unwrap().is_none());
    let _ = alone.stack().unwrap();
}

#[tokio::test]
async fn the_prefix_is_made_of_one_resource_and_has_to_be_said_with_several() {
    let of = async |value: Value| -> Result<String, String> {
        let made = config(&value).connect().await;
        let made = made.map_err(|error| error.path().to_owned())?;
        let shown = format!("{:?}", made.redis().unwrap());
        let prefix = shown.split_once("prefix: \"").unwrap().1;
        Ok(prefix.split_once('"').unwrap().0.to_owned())
    };
    let shown = format!("{:?}", Redis::connect(UNREACHABLE, RESOURCE).await.unwrap());
    let shared = |prefix: Option<&str>| match prefix {
        Some(prefix) => json!({ "redis": { "url": UNREACHABLE, "prefix": prefix } }),
        None => json!({ "redis": { "url": UNREACHABLE } }),
    };
    let made = of(json!({ "resource": RESOURCE, "shared": shared(None) })).await;
    assert!(shown.contains(&format!("{:?}", made.clone().unwrap())));
    let listed = json!({ "resources": [{ "url": RESOURCE }], "shared": shared(None) });
    assert_eq!(of(listed).await, made);
    let several = |prefix| {
        json!({
            "resources": [{ "url": RESOURCE }, { "url": "https://b.example.com/mcp" }],
            "shared": shared(prefix),
        })
    };
    let nowhere = Err("shared.redis.prefix".to_owned());
    assert_eq!(of(several(None)).await, nowhere);
    assert_eq!(of(json!({ "shared": shared(None) })).await, nowhere);
    assert_eq!(of(several(Some("own"))).await, Ok("{own}".to_owned()));
    let own = json!({ "resource": RESOURCE, "shared": shared(Some("own")) });
    assert_eq!(of(own).await, Ok("{own}".to_owned()));
}

#[tokio::test]
async fn keys_in_the_engine_are_asked_for_as_their_settings_say() {
    let value = |settings: Value| {
        let mut value = with(&json!({ "redis": { "url": UNREACHABLE } }), &json!({}));
        value["api_keys"] = json!({ "shared": settings });
        value
    };
    let made = async |settings: Value| {
        let config = config(&value(settings)).connect().await.unwrap();
        let redis = config.redis().unwrap().clone();
        let layer = format!("{:?}", config.api_key_layer().unwrap().unwrap());
        (layer, redis)
    };
    type Set = fn(CachedApiKeyStore) -> CachedApiKeyStore;
    let cases: [(Value, Set); 6] = [
        (json!({}), |keys| keys),
        (json!({ "positive_ttl": 7 }), |keys| {
            keys.positive_ttl(std::time::Duration::from_secs(7))
        }),
        (json!({ "negative_ttl": 7 }), |keys| {
            keys.negative_ttl(std::time::Duration::from_secs(7))
        }),
        (json!({ "max_keys": 7 }), |keys| keys.max_keys(7)),
        (json!({ "max_staleness": 0 }), |keys| {
            keys.max_staleness(std::time::Duration::ZERO)
        }),
        (json!({ "dangerously_allow_on_outage": true }), |keys| {
            keys.dangerously_allow_on_outage()
        }),
    ];
    let (default, _) = made(json!({ "secret": SECRET })).await;
    for (settings, set) in cases {
        let mut all = settings.clone();
        all["secret"] = json!(SECRET);
        let (configured, redis) = made(all).await;
        let store = CachedApiKeyStore::new(RedisApiKeys::new(&redis, SECRET).unwrap());
        let by_hand = ApiKeyLayer::from_store(set(store)).resource(RESOURCE);
        assert_eq!(configured, format!("{:?}", by_hand.unwrap()), "{settings}");
        let is_default = settings.as_object().unwrap().is_empty();
        assert_eq!(configured == default, is_default, "{settings} is not seen");
    }
    for (path, settings) in [
        ("api_keys.shared.secret", json!({})),
        ("api_keys.shared.secret", json!({ "secret": "short" })),
    ] {
        let config = config(&value(settings)).connect().await.unwrap();
        assert_eq!(config.api_key_layer().unwrap_err().path(), path);
        assert_eq!(config.redis_api_keys().unwrap_err().path(), path);
    }
    let mut both = value(json!({ "secret": SECRET }));
    both["api_keys"]["keys"] = json!([{ "key": KEY }]);
    let error = config(&both).connect().await.unwrap().auth_layer();
    assert_eq!(error.unwrap_err().path(), "api_keys.shared");
    both["api_keys"]["keys"] = json!([]);
    both["api_keys"]["file"] = json!({ "path": "keys.json" });
    let error = config(&both).connect().await.unwrap().auth_layer();
    assert_eq!(error.unwrap_err().path(), "api_keys.shared");
    let nowhere = json!({ "api_keys": { "shared": { "secret": SECRET } } });
    let error = config(&nowhere).auth_layer().unwrap_err();
    assert_eq!(error.path(), "api_keys.shared");
    assert!(error.to_string().contains("configure `shared`"), "{error}");
}

#[tokio::test]
async fn settings_of_claims_stand_beside_the_engine_or_in_its_place() {
    let session = |more: Value| {
        let mut session = claimed();
        let members = more.as_object().unwrap().clone();
        session.as_object_mut().unwrap().extend(members);
        session
    };
    let redis = json!({ "redis": { "url": UNREACHABLE } });
    let cases = [
        (&redis, json!({ "max_claims": 5 }), Some("max_claims")),
        (&redis, json!({}), None),
        (&redis, json!({ "dangerously_allow_on_outage": true }), None),
        (
            &redis,
            json!({
                "dangerously_allow_on_outage": true, "anonymous_sessions_can_be_claimed": false,
            }),
            Some("dangerously_allow_on_outage"),
        ),
        (
            &Value::Null,
            json!({ "dangerously_allow_on_outage": true }),
            Some("dangerously_allow_on_outage"),
        ),
    ];
    for (shared, more, refused) in cases {
        let mut value = json!({ "resource": RESOURCE, "session": session(more.clone()) });
        if !shared.is_null() {
            value["shared"] = shared.clone();
        }
        let config = config(&value).connect().await.unwrap();
        let error = config.session_layer().err();
        let path = refused.map(|setting| format!("session.{setting}"));
        let told = error.as_ref().map(|error| error.path().to_owned());
        assert_eq!(told, path, "{more}");
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_503() {
    let mut value = with(&json!({ "redis": { "url": UNREACHABLE } }), &json!({}));
    value["api_keys"] = json!({ "shared": { "secret": SECRET } });
    let config = config(&value).connect().await.unwrap();
    let layer = config.auth_layer().unwrap();
    let key = tower_mcp_auth::api_key::ApiKey::generate("acme").unwrap();
    let answer = ask(&layer, request(&[("x-api-key", key.expose())])).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.error().reason(), "api_key_store_failed");
}
