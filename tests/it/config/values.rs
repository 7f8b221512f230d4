//! How values are written.

use serde_json::{Value, json};
use tower_mcp_auth::config::Config;

use crate::config::config;

fn auth(value: &Value) -> String {
    let value = json!({ "api_keys": { "keys": [{ "key": crate::config::KEY }] }, "auth": value });
    format!("{:?}", config(&value).auth_layer().unwrap())
}

#[test]
fn durations_are_texts_with_units_or_whole_seconds() {
    for (one, other) in [
        (json!("90s"), json!(90)),
        (json!("1m 30s"), json!("90s")),
        (json!("90"), json!(90)),
        (json!("1h"), json!(3600)),
        (json!("500ms"), json!("500 ms")),
    ] {
        let grace = |value| auth(&json!({ "stream_grace": value }));
        assert_eq!(grace(&one), grace(&other), "{one} {other}");
    }
    assert_ne!(
        auth(&json!({ "stream_grace": "90s" })),
        auth(&json!({ "stream_grace": "91s" }))
    );
    for wrong in [
        json!(-1),
        json!(1.5),
        json!("soon"),
        json!("5"),
        json!(""),
        json!(true),
        json!([5]),
        json!("-5s"),
        json!(null),
    ] {
        let value = json!({ "auth": { "stream_max_life": wrong } });
        let read = Config::from_json(&value.to_string());
        match &wrong {
            // Digits alone are seconds.
            Value::String(text) if text == "5" => assert!(read.is_ok()),
            _ => assert_eq!(read.unwrap_err().path(), "auth.stream_max_life", "{wrong}"),
        }
    }
}

#[test]
fn sizes_are_texts_with_units_or_bytes() {
    let lists = |size: &Value| {
        let value = json!({ "policy": {}, "lists": { "max_bytes": size } });
        format!("{:?}", config(&value).policy_layers().unwrap())
    };
    for (one, other) in [
        (json!("4 MiB"), json!(4 << 20)),
        (json!("4MiB"), json!("4 MiB")),
        (json!("64 kB"), json!(64_000)),
        (json!("64 KiB"), json!("65536")),
    ] {
        assert_eq!(lists(&one), lists(&other), "{one} {other}");
    }
    assert_ne!(lists(&json!("64 kB")), lists(&json!("64 KiB")));
    for wrong in [
        json!(-1),
        json!("4 apples"),
        json!(0.5),
        json!({}),
        json!(""),
    ] {
        let value = json!({ "lists": { "max_bytes": wrong } });
        let error = Config::from_json(&value.to_string()).unwrap_err();
        assert_eq!(error.path(), "lists.max_bytes", "{wrong}");
    }
}

#[test]
fn a_list_of_texts_may_be_one_text() {
    for (one, other) in [
        (json!("/a"), json!(["/a"])),
        (json!("/a /b"), json!(["/a", "/b"])),
    ] {
        let paths = |value: &Value| auth(&json!({ "public_paths": value }));
        assert_eq!(paths(&one), paths(&other), "{one} {other}");
    }
}

#[test]
fn an_empty_text_is_no_list() {
    for (section, name) in [
        ("jwt", "audience"),
        ("jwt", "required_scopes"),
        ("auth", "public_paths"),
    ] {
        for empty in ["", "  ", "\n"] {
            let value = json!({ section: { name: empty } });
            let error = Config::from_json(&value.to_string()).unwrap_err();
            assert_eq!(error.path(), format!("{section}.{name}"));
        }
    }
}

#[test]
fn flags_and_numbers_may_stand_in_texts() {
    assert_eq!(
        auth(&json!({ "optional": "true" })),
        auth(&json!({ "optional": true }))
    );
    assert_ne!(
        auth(&json!({ "optional": "false" })),
        auth(&json!({ "optional": true }))
    );
    for wrong in ["yes", "1", "TRUE", " true", ""] {
        let value = json!({ "auth": { "optional": wrong } });
        let error = Config::from_json(&value.to_string()).unwrap_err();
        assert_eq!(error.path(), "auth.optional", "{wrong}");
    }
    let waiting = |value: &Value| {
        let value = json!({
            "resource": crate::config::RESOURCE,
            "authorization_servers": [],
            "oauth": { "jwks_options": { "max_waiting_requests": value } },
        });
        Config::from_json(&value.to_string())
    };
    assert!(waiting(&json!("12")).is_ok());
    assert!(waiting(&json!("twelve")).is_err());
    assert!(waiting(&json!(-3)).is_err());
}

#[test]
fn lists_may_be_maps_by_name() {
    let listed = config(
        &json!({ "resource": crate::config::RESOURCE, "authorization_servers": [
        { "issuer": "https://one.example.com" }, { "issuer": "https://two.example.com" },
    ] }),
    );
    let mapped = config(
        &json!({ "resource": crate::config::RESOURCE, "authorization_servers": {
        "a": { "issuer": "https://one.example.com" }, "b": { "issuer": "https://two.example.com" },
    } }),
    );
    let shown = |config: &Config| format!("{:?}", config.oauth_builder().unwrap().unwrap());
    assert_eq!(shown(&listed), shown(&mapped));
}

#[test]
fn times_of_keys_are_texts_or_seconds() {
    let key = |value: Value| {
        let keys = json!({ "api_keys": { "keys": [
            { "key": crate::config::KEY, "created_at": value, "not_before": value,
              "expires_at": "2030-01-01T00:00:00Z" },
        ] } });
        config(&keys).api_key_layer().map(|_| ())
    };
    assert!(key(json!("2029-12-31T23:59:59Z")).is_ok());
    assert!(key(json!("2030-01-01T01:59:59.5+02:00")).is_ok());
    assert!(key(json!(1_893_455_999)).is_ok());
    // The end is not after the beginning.
    assert!(key(json!("2030-01-01T00:00:00Z")).is_err());
    assert!(key(json!("2029-12-31T22:00:00-02:00")).is_err());
    assert!(key(json!(1_893_456_000)).is_err());
}

#[test]
fn a_time_of_toml_is_a_time() {
    for time in ["2030-01-01T00:00:00Z", "2030-01-01 02:00:00+02:00"] {
        let key = crate::config::KEY;
        let toml = format!("[[api_keys.keys]]\nkey = '{key}'\nexpires_at = {time}");
        let config = Config::from_toml(&toml).unwrap();
        assert!(config.api_key_layer().unwrap().is_some(), "{time}");
    }
}
