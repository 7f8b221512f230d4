//! `revocation`: each setting does what its setter does, and reloads lose nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tower_mcp_auth::config::Config;
use tower_mcp_auth::revocation::{Entry, Revocation};
use tracing::Level;

use crate::config::{KEY, SECRET, config, refused};
use common::{SigningKey, ask, request, sign, trace};

/// A server of its own for each test: those with the same resource have one `Revocation`.
fn server(name: &str, revocation: &Value) -> Value {
    json!({
        "resource": format!("https://{name}.example.com/mcp"),
        "api_keys": { "keys": [{ "key": KEY, "id": "one", "name": "alice" }] },
        "revocation": revocation,
    })
}

fn revocation(config: &Config) -> Revocation {
    config.revocation().unwrap().unwrap()
}

#[test]
fn each_setting_does_what_its_setter_does() {
    type Set = fn(Revocation) -> Revocation;
    let cases: [(&str, Value, Set); 8] = [
        ("max_entries", json!(7), |r| r.max_entries(7)),
        ("max_token_lifetime", json!("2h"), |r| {
            r.max_token_lifetime(Duration::from_secs(7200)).unwrap()
        }),
        ("max_token_lifetime", json!(7200), |r| {
            r.max_token_lifetime(Duration::from_secs(7200)).unwrap()
        }),
        ("max_token_lifetime", json!("unlimited"), |r| {
            r.unlimited_token_lifetime()
        }),
        ("skew", json!("9s"), |r| {
            r.revocation_skew(Duration::from_secs(9)).unwrap()
        }),
        ("trust_fresh_introspection", json!(true), |r| {
            r.trust_fresh_introspection(true)
        }),
        ("grant_claim", json!("grant"), |r| {
            r.grant_claim("grant").unwrap()
        }),
        ("session_claim", json!("session"), |r| {
            r.session_claim("session").unwrap()
        }),
    ];
    let default = format!("{:?}", Revocation::in_memory());
    let made = revocation(&config(&server("settings", &json!({}))));
    assert_eq!(format!("{made:?}"), default);
    drop(made);
    for (setting, value, set) in cases {
        let made = revocation(&config(&server("settings", &json!({ setting: value }))));
        let by_hand = format!("{:?}", set(Revocation::in_memory()));
        assert_eq!(format!("{made:?}"), by_hand, "{setting}");
        assert_ne!(by_hand, default, "{setting} is not seen");
    }
    assert!(config(&json!({})).revocation().unwrap().is_none());
}

#[tokio::test]
async fn settings_of_replicas_do_what_their_setters_do() {
    type Set = fn(Revocation) -> Revocation;
    let cases: [(&str, Value, Set); 2] = [
        ("max_staleness", json!("5s"), |r| {
            r.max_staleness(Duration::from_secs(5))
        }),
        ("dangerously_allow_on_outage", json!(true), |r| {
            r.dangerously_allow_on_outage()
        }),
    ];
    for (setting, value, set) in cases {
        let mut of = server("replicas", &json!({ "secret": SECRET, setting: value }));
        // Nothing listens there.
        of["shared"] = json!({ "redis": { "url": "redis://127.0.0.1:1" } });
        let connected = config(&of).connect().await.unwrap();
        let by_hand = format!("{:?}", set(Revocation::in_memory()));
        assert_eq!(
            format!("{:?}", revocation(&connected)),
            by_hand,
            "{setting}"
        );
        assert_ne!(by_hand, format!("{:?}", Revocation::in_memory()));
    }
    for section in [json!({}), json!({ "secret": "short" })] {
        let mut of = server("replicas", &section);
        of["shared"] = json!({ "redis": { "url": "redis://127.0.0.1:1" } });
        let connected = config(&of).connect().await.unwrap();
        let error = connected.auth_layer().unwrap_err();
        assert_eq!(error.path(), "revocation.secret", "{error}");
    }
}

#[test]
fn what_is_refused_has_its_place() {
    for (setting, value) in [
        ("max_entries", json!(0)),
        ("max_token_lifetime", json!(0)),
        ("max_token_lifetime", json!("for ever")),
        ("skew", json!("301s")),
        ("grant_claim", json!("")),
        ("secret", json!(SECRET)),
        ("max_staleness", json!("5s")),
        ("dangerously_allow_on_outage", json!(true)),
    ] {
        let error = refused(&server("mistakes", &json!({ setting: value })));
        assert_eq!(error.path(), format!("revocation.{setting}"), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

#[tokio::test]
async fn what_is_revoked_is_refused_by_each_layer_and_after_a_reload() {
    let mut value = server("reloads", &json!({ "max_entries": 3 }));
    value["jwt"] = json!({ "secret": SECRET, "issuer": "https://issuer.example.com" });
    let key = SigningKey::hmac(SECRET);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (iat, exp) = (now.as_secs() - 60, now.as_secs() + 600);
    let claims = json!({
        "iss": "https://issuer.example.com", "sub": "bob", "iat": iat, "exp": exp, "jti": "j",
    });
    let token = sign(
        &key,
        "HS256",
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        &claims.to_string(),
    );
    let bearer = format!("Bearer {token}");
    let (first, twin) = (config(&value), config(&value));
    let old = first.auth_layer().unwrap();
    ask(&old, request(&[("x-api-key", KEY)])).await.admitted();
    ask(&old, request(&[("authorization", &*bearer)]))
        .await
        .admitted();
    // Asked again, it is the same.
    let entry = Entry::api_key("one");
    revocation(&twin).revoke(entry).await.unwrap();
    let entry = Entry::subject("https://issuer.example.com", "bob");
    revocation(&first).revoke(entry).await.unwrap();
    let refuses = async |layer: &tower_mcp_auth::config::ConfiguredAuth| {
        ask(layer, request(&[("x-api-key", KEY)]))
            .await
            .invalid("revoked_api_key");
        ask(layer, request(&[("authorization", &*bearer)]))
            .await
            .invalid("revoked_token");
    };
    refuses(&old).await;
    // Another name of the server, another resource beside the first: it is the same server.
    value["session"] = json!({ "key": SECRET, "server": "reloaded" });
    refuses(&config(&value).auth_layer().unwrap()).await;
    drop((old, first, twin));
    // No layer has it any more, and it is there all the same.
    value["resource"] = json!("https://moved.example.com/mcp");
    refuses(&config(&value).auth_layer().unwrap()).await;
    assert_eq!(revocation(&config(&value)).entries(), 2);
    // Another server has entries of its own.
    let other = config(&server("others", &json!({ "max_entries": 3 })));
    ask(&other.auth_layer().unwrap(), request(&[("x-api-key", KEY)]))
        .await
        .admitted();
}

#[tokio::test]
async fn a_reload_that_would_forget_entries_is_refused() {
    let with = |settings: Value| server("changes", &settings);
    let old = config(&with(json!({ "max_entries": 3 })));
    let held = revocation(&old);
    let other = with(json!({ "max_entries": 4 }));
    // It is still held, and may revoke something yet.
    let error = config(&other).auth_layer().unwrap_err();
    assert_eq!(error.path(), "revocation");
    assert!(error.to_string().contains("restart"), "{error}");
    held.revoke(Entry::api_key("one")).await.unwrap();
    drop((held, old));
    let error = config(&other).auth_layer().unwrap_err();
    assert_eq!(error.path(), "revocation");
    // The old settings are good.
    let again = config(&with(json!({ "max_entries": 3 })));
    let layer = again.auth_layer().unwrap();
    ask(&layer, request(&[("x-api-key", KEY)]))
        .await
        .invalid("revoked_api_key");

    // Without entries, and without a holder, nothing is forgotten.
    let with = |settings: Value| config(&server("changes-nothing", &settings));
    drop(revocation(&with(json!({ "max_entries": 3 }))));
    drop(revocation(&with(json!({ "max_entries": 4 }))));
}

#[tokio::test]
async fn a_reload_that_fails_leaves_the_one_in_force_where_it_is_found() {
    const OTHER: &str = "another-secret-of-at-least-32-bytes-0";
    let connected = async |secret: &str, staleness: &str, session: &str| {
        let section = json!({ "secret": secret, "max_staleness": staleness });
        let mut of = server("failed-reloads", &section);
        // Nothing listens there.
        of["shared"] = json!({ "redis": { "url": "redis://127.0.0.1:1" } });
        of["session"] = json!({ "key": session });
        config(&of).connect().await.unwrap()
    };
    let old = connected(SECRET, "9s", SECRET).await;
    let in_force = old.auth_layer().unwrap();
    let failing = connected(SECRET, "5s", "short").await;
    for _ in 0..2 {
        assert_eq!(failing.stack().unwrap_err().path(), "session.key");
    }
    // The engine has not taken this, so it is known here alone.
    let held = revocation(&old);
    let unsent = held.revoke(Entry::api_key("one")).await;
    assert!(unsent.is_err());
    assert_eq!(revocation(&old).entries(), 1);
    assert_eq!(
        revocation(&connected(SECRET, "9s", SECRET).await).entries(),
        1
    );
    for (secret, staleness) in [(OTHER, "9s"), (SECRET, "5s")] {
        let other = connected(secret, staleness, SECRET).await;
        let error = other.revocation().unwrap_err();
        assert_eq!(error.path(), "revocation", "{error}");
    }
    drop((in_force, old, held));
}

#[tokio::test]
async fn a_reload_with_other_settings_can_come_into_force_and_be_taken_back() {
    let connected = async |staleness: &str| {
        let section = json!({ "secret": SECRET, "max_staleness": staleness });
        let mut of = server("taken-back", &section);
        of["shared"] = json!({ "redis": { "url": "redis://127.0.0.1:1" } });
        config(&of).connect().await.unwrap()
    };
    let (first, second) = (connected("9s").await, connected("5s").await);
    // Both are in force for a while.
    let (of_first, of_second) = (revocation(&first), revocation(&second));
    assert_ne!(format!("{of_first:?}"), format!("{of_second:?}"));
    for (config, held) in [(&first, &of_first), (&second, &of_second)] {
        assert_eq!(format!("{:?}", revocation(config)), format!("{held:?}"));
    }
    // What the second has is not lost where it stays.
    of_second.revoke(Entry::api_key("one")).await.unwrap_err();
    assert_eq!(revocation(&second).entries(), 1);
    first.revocation().map(drop).unwrap();
}

#[tokio::test]
async fn a_reload_that_makes_one_server_of_two_forgets_nothing() {
    let [one, other] = ["joined-one", "joined-other"].map(|name| server(name, &json!({})));
    let both = json!({
        "resources": [{ "url": one["resource"] }, { "url": other["resource"] }],
        "revocation": {},
    });
    // The second has entries, and the first has none yet.
    let (first, second) = (revocation(&config(&one)), revocation(&config(&other)));
    second.revoke(Entry::api_key("one")).await.unwrap();
    let error = config(&both).revocation().unwrap_err();
    assert_eq!(error.path(), "revocation");
    assert!(error.to_string().contains("restart"), "{error}");
    // The first can revoke nothing any more.
    drop(first);
    assert_eq!(revocation(&config(&both)).entries(), 1);
}

#[tokio::test]
async fn a_section_that_is_taken_away_is_warned_of() {
    let mut value = server("taken-away", &json!({}));
    let warned = |config: &Config| {
        trace::start();
        drop(config.auth_layer().unwrap());
        let events = trace::take().into_iter();
        let warned = events.filter(|event| event.level == Level::WARN);
        warned
            .map(|event| event.field("setting").to_owned())
            .collect::<Vec<_>>()
    };
    let with = config(&value);
    assert!(warned(&with).is_empty());
    let held = revocation(&with);
    value.as_object_mut().unwrap().remove("revocation");
    assert!(warned(&config(&value)).is_empty());
    held.revoke(Entry::api_key("one")).await.unwrap();
    assert_eq!(warned(&config(&value)), ["revocation"]);
    assert!(warned(&with).is_empty());
}
