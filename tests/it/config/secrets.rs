//! No error and no `Debug` shows a secret, wherever it was put.

use serde_json::{Value, json};
use tower_mcp_auth::config::Config;

use crate::config::{KEY, RESOURCE, SECRET, all_layers};

/// What must not be read: as a text, as a name, as a number.
const TEXT: &str = "hunter2-Correct-Horse-Battery";
const NUMBER: u64 = 7_316_490_852_731_649;

/// Replaces every leaf of a good configuration by each of these, one at a time.
fn spoiled(value: &Value, spoil: &Value) -> Vec<Value> {
    let mut all = vec![spoil.clone()];
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                for inner in spoiled(member, spoil) {
                    let mut members = members.clone();
                    members.insert(name.clone(), inner);
                    all.push(members.into());
                }
            }
            if let Some(text) = spoil.as_str() {
                let mut members = members.clone();
                members.insert(text.to_owned(), json!(text));
                all.push(members.into());
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for inner in spoiled(item, spoil) {
                    let mut items = items.clone();
                    items[index] = inner;
                    all.push(items.into());
                }
            }
        }
        _ => {}
    }
    all
}

fn whole() -> Value {
    json!({
        "resource": RESOURCE,
        "authorization_servers": [{
            "issuer": "https://auth.example.com",
            "algorithms": ["ES256"],
            "clock_skew": "60s",
            "require_at_jwt": true,
            "scopes_from_claims": [{ "claim": ["roles"], "scopes": { "a": "b" } }],
            "introspection": {
                "client_id": "server",
                "client_secret": SECRET,
                "client_secret_in": "basic",
                "jwts": "introspect",
                "timeout": "5s",
                "max_waiting_requests": 5,
                "max_response_bytes": "64 KiB",
            },
        }, { "preset": { "keycloak": { "base_url": "https://sso.example.com", "realm": "x" } } }],
        "jwt": { "secret": SECRET, "issuer": "https://own.example.com", "require_bearer": true },
        "api_keys": {
            "keys": [{ "key": KEY, "expires_at": "2030-01-01T00:00:00Z", "revoked": false }],
            "pepper": SECRET,
        },
        "auth": { "optional": false, "stream_grace": "10m", "sse_endpoints": { "sse": true } },
        "session": { "key": SECRET, "also_accept": ["Qk3w8ZtV1nBy6HsLr0JmXc9PfUeDa2Gi"] },
        "policy": { "tools": { "x": "a" }, "default_rule": "deny" },
        "lists": { "max_bytes": 5 },
    })
}

#[test]
fn nothing_shows_a_value_that_was_read() {
    all_layers(&whole().to_string()).unwrap();
    let spoils = [
        json!(TEXT),
        json!(NUMBER),
        json!(-7_316_490_852_731_649_i64),
        json!(731.649_085_273),
        json!([TEXT]),
        json!({ "env": TEXT }),
        json!({ (TEXT): TEXT }),
        json!({ "text": TEXT }),
        json!([NUMBER]),
    ];
    let (mut errors, mut read) = (0, 0);
    for spoil in spoils {
        for value in spoiled(&whole(), &spoil) {
            let text = value.to_string();
            // What is read may have it in the place of a digest, of an audience, of a name.
            if let Ok(config) = Config::from_json(&text) {
                let shown = format!("{config:?} {config:#?}");
                assert!(!shown.contains("hunter2"), "{shown}");
                read += 1;
            }
            let formats = [
                Config::from_json(&text).err().map(|e| e.to_string()),
                serde_json::from_str::<Config>(&text)
                    .err()
                    .map(|e| e.to_string()),
                Config::deserialize_from(value.clone())
                    .err()
                    .map(|e| e.to_string()),
            ];
            for error in formats.into_iter().flatten() {
                errors += 1;
                for part in ["hunter2", "73164", "731.6"] {
                    assert!(!error.contains(part), "{error}\n{value}");
                }
            }
        }
    }
    assert!(errors > 500 && read > 30, "{errors} {read}");
}

#[test]
fn no_error_of_a_layer_shows_a_secret_in_its_place() {
    // Long enough for some, and wrong for each: an error quotes it nowhere.
    for secret in [
        "hunter2",
        "hunter2 hunter2 hunter2 hunter2 hunter2",
        "hunter2\u{7}\n hunter2",
    ] {
        let mut errors = 0;
        for place in [
            "/authorization_servers/0/introspection/client_secret",
            "/jwt/secret",
            "/api_keys/keys/0/key",
            "/api_keys/pepper",
            "/session/key",
            "/session/also_accept/0",
        ] {
            let mut value = whole();
            *value.pointer_mut(place).unwrap() = json!(secret);
            if let Err(error) = all_layers(&value.to_string()) {
                errors += 1;
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
        for (name, section) in [("jwk", "jwt"), ("public_key", "jwt")] {
            let value = json!({ section: { name: secret, "audience": RESOURCE } });
            let error = all_layers(&value.to_string()).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(errors > 0, "{secret}");
    }
}

#[test]
fn debug_shows_no_key_in_the_place_of_a_digest() {
    let key = "acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr";
    let value = json!({ "resource": RESOURCE, "api_keys": { "keys": [{ "digest": key }] } });
    let config = crate::config::config(&value);
    assert!(
        !config
            .api_key_layer()
            .unwrap_err()
            .to_string()
            .contains(key)
    );
    let shown = format!("{config:?}");
    assert!(!shown.contains(key), "{shown}");
    assert_eq!(
        shown,
        r#"Config({api_keys: {keys: [{digest: …}]}, resource: "https://mcp.example.com/mcp"})"#
    );
}

#[test]
fn debug_shows_no_secret() {
    let mut value = whole();
    for place in [
        "/authorization_servers/0/introspection/client_secret",
        "/jwt/secret",
    ] {
        *value.pointer_mut(place).unwrap() = json!("Zx81-hunter2-Correct-Horse-Battery-99");
    }
    // The private half, taken for the public one.
    value["authorization_servers"][1]["jwks"] = json!(r#"{"keys":[{"d":"hunter2"}]}"#);
    let shown = format!("{:?}", crate::config::config(&value));
    assert!(!shown.contains("hunter2"), "{shown}");
    let server = value["authorization_servers"][1].as_object_mut().unwrap();
    server.remove("jwks");
    let config = crate::config::config(&value);
    let shown = format!(
        "{config:#?} {:#?} {:#?} {:#?}",
        config.oauth_builder().unwrap(),
        config.jwt_builder().unwrap(),
        config.auth_layer().unwrap()
    );
    for secret in ["hunter2", SECRET, KEY] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn no_error_of_toml_shows_a_line() {
    for toml in [
        "[jwt]\nsecret = hunter2",
        "[jwt]\nsecret = 'hunter2",
        "[jwt]\nhunter2",
        "[jwt]\nsecret = 'hunter2'\nsecret = 'hunter2'",
        "[jwt]\nclock_skew = 'hunter2'",
        "[hunter2-]\n",
        "[jwt]\nhunter2-x = 1",
    ] {
        let error = Config::from_toml(toml).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn numbers_no_format_here_has_are_not_shown_either() {
    use serde::de::value::{Error, MapDeserializer, U128Deserializer};

    let digits = 731_649_085_273_164_908_527_316_490_852_u128;
    let map = [("resource", digits)].into_iter();
    let read = Config::deserialize_from(MapDeserializer::<_, Error>::new(map));
    let error = read.unwrap_err();
    assert_eq!(error.path(), "resource");
    assert!(!error.to_string().contains("73164"), "{error}");
    let whole = <Config as serde::Deserialize>::deserialize(U128Deserializer::<Error>::new(digits));
    assert!(!whole.unwrap_err().to_string().contains("73164"));
}

#[test]
fn a_secret_of_digits_is_a_text() {
    let key = |value: Value| {
        let value = json!({ "api_keys": { "keys": [{ "key": value }] } });
        Config::from_json(&value.to_string())
    };
    assert!(key(json!("7316490852731649")).is_ok());
    let error = key(json!(7_316_490_852_731_649_u64)).unwrap_err();
    assert_eq!(error.path(), "api_keys.keys[0].key");
}

#[test]
fn a_name_that_may_be_a_secret_is_not_shown() {
    // The key taken for its name, in capitals, and in lower case with digits.
    for name in [
        "HUNTER2cmFuZG9tLWtleS0xMjM0",
        "hunter2-0f3a9b1c8d7e6f5a4b3c2d1e0f9a8b7c",
    ] {
        for key in [
            json!({ "owner": "x" }),
            json!({ "ownr": "x" }),
            json!(5),
            json!({ "key": "short" }),
        ] {
            let value = json!({ "api_keys": { "keys": { name: key } } });
            let error = crate::config::refused(&value);
            let shown = error.to_string().to_ascii_lowercase();
            assert!(!shown.contains("hunter2"), "{error}");
            assert!(error.path().starts_with("api_keys.keys.…"), "{error}");
        }
    }
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let server = |server: Value| json!({ "resource": RESOURCE, "authorization_servers": [server] });
    let keys = json!({ "keys": [{ "key": KEY }] });
    for url in [
        "https://u:hunter2@x.example.com",
        "http://u:hunter2@x.example.com",
        "u:hunter2@x",
    ] {
        let at = |name: &str| server(json!({ "issuer": "https://auth.example.com", name: url }));
        let page = |name: &str| {
            let mut value = server(json!({ "issuer": "https://auth.example.com" }));
            value["metadata"] = json!({ name: url });
            value
        };
        let origin = |name: &str| json!({ "resource": RESOURCE, "api_keys": keys, "origin": { name: [url] } });
        let mut other = server(json!({ "issuer": "https://auth.example.com" }));
        other["resource"] = json!(url);
        for value in [
            json!({ "resource": url, "api_keys": keys }),
            other,
            server(json!({ "issuer": url })),
            at("jwks_uri"),
            at("dangerously_allow_http_to"),
            server(json!({ "preset": { "auth0": { "domain": url } } })),
            server(json!({ "preset": { "keycloak": { "base_url": url, "realm": "x" } } })),
            page("resource_documentation"),
            page("resource_policy_uri"),
            page("resource_tos_uri"),
            page("jwks_uri"),
            origin("allow_hosts"),
            origin("allow_origins"),
        ] {
            let error = crate::config::refused(&value);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
