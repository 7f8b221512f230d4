//! The documents about the configuration say what is true.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tower_mcp_auth::config::{Config, json_schema};
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;

use crate::config::{KEY, RESOURCE, SECRET};

const TOML: &str = include_str!("../../../docs/config.toml");

fn schema() -> jsonschema::Validator {
    jsonschema::draft202012::new(&json_schema()).unwrap()
}

fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn the_documented_configuration_makes_all_layers() {
    let secrets = std::env::temp_dir().join(format!("tower-mcp-auth-docs-{}", std::process::id()));
    fs::create_dir_all(&secrets).unwrap();
    for (name, secret) in [
        ("client", SECRET),
        ("jwt", "Qk3w8ZtV1nBy6HsLr0JmXc9PfUeDa2Gi"),
        ("jwt-old", "Rk3w8ZtV1nBy6HsLr0JmXc9PfUeDa2Gj"),
        ("pepper", "Xy7cWm2QvT9zKb4RfLs8HgJd1NpEu6Aa"),
        ("api-key", KEY),
        ("session", "Lm5tRz8XqVb3NcKy7WfJhGd2PsEu9AoB"),
        ("session-old", "Vn4kTy6ZsMx1QwRb8LcHfJg3DpUe7AiC"),
        ("sealer", "Bt6wQy2XsNz9LmRk4JcVfHg7DpUe1AoT"),
        ("sealer-old", "Hc8vMy5ZsQx3TwRb1LnKfJg6DpUe9AiW"),
    ] {
        fs::write(secrets.join(name), format!("{secret}\n")).unwrap();
    }
    let text = TOML.replace("/run/secrets", secrets.to_str().unwrap());
    let config = Config::from_toml(&text).unwrap();
    let _ = config.stack().unwrap();
    let oauth = config.oauth_layer().unwrap().unwrap();
    assert_eq!(oauth.resource().resource(), RESOURCE);
    assert!(config.sealer().unwrap().is_some());
    assert!(
        config
            .failed_attempts(FailedAttemptsLayer::new(|_| None))
            .is_ok()
    );
    assert!(config.cors_layer().is_ok());
    assert!(config.jwt_layer().unwrap().is_some());
    assert!(config.api_key_layer().unwrap().is_some());
    fs::remove_dir_all(secrets).unwrap();
}

#[test]
fn the_page_of_mixed_authentication_makes_all_layers() {
    let page = include_str!("../../../docs/mixed-authentication.md");
    let text = page.split_once("\n## Configuration\n").unwrap().1;
    let text = text.split_once("```toml\n").unwrap().1;
    let text = text.split_once("```").unwrap().0;
    let secret = r#"{ env = "SESSION_KEY" }"#;
    assert!(text.contains(secret));
    let text = text.replace(secret, r#""Lm5tRz8XqVb3NcKy7WfJhGd2PsEu9AoB""#);
    let config = Config::from_toml(&text).unwrap();
    let _ = config.stack().unwrap();
}

#[test]
fn what_the_document_says_of_defaults_is_true() {
    // Sections of it whose every value is called the default.
    for (section, inside) in [
        ("oauth", "token_cache"),
        ("oauth", "jwks_options"),
        ("oauth", "fetch"),
    ] {
        let mut documented = toml(TOML)[section][inside].clone();
        // It contradicts the limits only when it is set.
        documented.as_object_mut().unwrap().remove("disabled");
        let made = |value: Value| {
            let value = json!({
                "resource": RESOURCE,
                "authorization_servers": [{ "issuer": "https://auth.example.com" }],
                section: { inside: value },
            });
            format!(
                "{:?}",
                crate::config::config(&value)
                    .oauth_builder()
                    .unwrap()
                    .unwrap()
            )
        };
        assert_eq!(made(documented), made(json!({})), "{section}.{inside}");
    }
    let numbers = [
        "positive_ttl",
        "negative_ttl",
        "cache_capacity",
        "max_response_bytes",
        "timeout",
        "max_concurrent_requests",
        "max_queued",
        "queue_timeout",
        "unknown_token_rate_limit",
        "max_waiting_requests",
    ];
    let documented = &toml(TOML)["authorization_servers"]["main"]["introspection"];
    let made = |numbers: &[&str]| {
        let mut asks = json!({ "client_id": "x", "client_secret": SECRET });
        for name in numbers {
            asks[*name] = documented[*name].clone();
        }
        let value = json!({ "resource": RESOURCE, "authorization_servers": [
            { "issuer": "https://auth.example.com", "introspection": asks },
        ] });
        format!(
            "{:?}",
            crate::config::config(&value)
                .oauth_builder()
                .unwrap()
                .unwrap()
        )
    };
    assert_eq!(made(&numbers), made(&[]));
    let policy = |section: &str, value: &Value| {
        let value = json!({ "policy": {}, section: value });
        format!(
            "{:?}",
            crate::config::config(&value).policy_layers().unwrap()
        )
    };
    for section in ["operations", "lists"] {
        let documented = policy(section, &toml(TOML)[section]);
        assert_eq!(documented, policy(section, &json!({})), "{section}");
    }
    let attempts = |value: &Value| {
        let config = crate::config::config(&json!({ "failed_attempts": value }));
        let layer = FailedAttemptsLayer::new(|_| None);
        format!("{:?}", config.failed_attempts(layer).unwrap())
    };
    let documented = attempts(&toml(TOML)["failed_attempts"]);
    assert_eq!(documented, attempts(&json!({})));
    let auth = |value: &Value| {
        let value = json!({ "api_keys": { "keys": [{ "key": KEY }] }, "auth": value });
        format!("{:?}", crate::config::config(&value).auth_layer().unwrap())
    };
    let mut documented = toml(TOML)["auth"].clone();
    for other in ["public_paths", "stream_max_life", "sse_endpoints"] {
        documented.as_object_mut().unwrap().remove(other);
    }
    assert_eq!(auth(&documented), auth(&json!({})));
}

#[test]
fn every_setting_is_documented() {
    let schema = json_schema();
    let mut names = BTreeSet::new();
    properties(&schema, &mut names);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        // What each preset needs stands in its documentation; its name is here.
        if name != "Preset" {
            properties(definition, &mut names);
        }
    }
    assert!(names.len() > 120, "{}", names.len());
    let words: BTreeSet<&str> = TOML
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !words.contains(&***name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let presets = schema["$defs"]["Preset"]["oneOf"].as_array().unwrap();
    assert_eq!(presets.len(), 24);
    for preset in presets {
        let name = preset["required"][0].as_str().unwrap();
        assert!(words.contains(name), "{name}");
    }
}

fn properties(definition: &Value, names: &mut BTreeSet<String>) {
    match definition {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            for (name, member) in members {
                if name != "$defs" {
                    properties_of(member, names);
                }
            }
        }
        other => properties_of(other, names),
    }
}

fn properties_of(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(_) => properties(value, names),
        Value::Array(items) => items.iter().for_each(|item| properties_of(item, names)),
        _ => {}
    }
}

#[test]
fn settings_behind_a_comment_are_settings() {
    // Each commented line, put in place of what it stands beside, is read.
    let mut section = String::new();
    let mut seen = 0;
    for line in TOML.lines() {
        if let Some(name) = line.strip_prefix('[').filter(|_| !line.starts_with("##")) {
            section = format!("[{name}");
        }
        let Some(setting) = line.strip_prefix("## ") else {
            continue;
        };
        let text = match setting.starts_with('[') {
            true => {
                section = setting.to_owned();
                continue;
            }
            false => format!("{section}\n{setting}"),
        };
        if text.contains("public_key") || !setting.contains('…') {
            Config::from_toml(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_schema_in_the_package_is_the_one_that_is_made() {
    let file = common::root().join("docs/config.schema.json");
    let made = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("WRITE_CONFIG_SCHEMA").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let packaged = fs::read_to_string(&file).unwrap();
    assert!(
        packaged == made,
        "run this test with WRITE_CONFIG_SCHEMA=1, and look at what changes"
    );
}

#[test]
fn good_configurations_are_valid() {
    let schema = schema();
    let examples = [
        toml(TOML),
        toml(include_str!("../../../examples/config_server.toml")),
        json!({}),
        json!({ "authorization_servers": [{ "issuer": "x" }], "auth": { "stream_grace": 5 } }),
        json!({ "authorization_servers": { "x": { "preset": { "auth0": { "domain": "x" } } } } }),
        json!({ "api_keys": { "keys": [{ "key": { "env": "X" }, "expires_at": 5 }] } }),
        json!({ "session": { "key": "x", "also_accept": { "a": { "file": "x" } } } }),
        json!({ "policy": { "baseline": ["a"], "tools": { "x": { "any": ["a"] }, "y": "b" } } }),
    ];
    for example in examples {
        let errors: Vec<_> = schema
            .iter_errors(&example)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{example} {errors:?}");
        Config::from_json(&example.to_string()).unwrap();
    }
}

/// Replaces every value of a good configuration by another, one at a time.
fn changed(value: &Value, by: &Value) -> Vec<Value> {
    let mut all = vec![by.clone()];
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                for inner in changed(member, by) {
                    let mut members = members.clone();
                    members.insert(name.clone(), inner);
                    all.push(members.into());
                }
            }
            let mut members = members.clone();
            members.insert("unknown".to_owned(), by.clone());
            all.push(members.into());
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for inner in changed(item, by) {
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

#[test]
fn the_schema_and_the_reader_take_the_same() {
    let schema = schema();
    // Each section alone, for the time it takes.
    let whole = toml(TOML);
    let sections = whole.as_object().unwrap().iter();
    let sections: Vec<_> = sections
        .map(|(name, section)| json!({ name: section }))
        .collect();
    let values = [
        json!(null),
        json!(true),
        json!(5),
        json!(-5),
        json!(0.5),
        json!([]),
        json!({}),
        json!(""),
        json!(" "),
        json!("text"),
        json!("1h 30m"),
        json!("1 hour"),
        json!("5M"),
        json!("5 apples"),
        json!("5s apples"),
        json!("1.5h"),
        json!("4 MiB"),
        json!("4 mib"),
        json!("4M"),
        json!("1.5"),
        json!("1.5 kB"),
        json!("5s 5"),
        json!(" 5s "),
        json!(" 5 MiB"),
        json!("2027-01-01T00:00:00Z"),
        json!("2027-01-01"),
        json!("2027-01-01T00:00:00+01:00"),
        json!(["text"]),
        json!([5]),
        json!({ "env": "X" }),
        json!({ "env": "X", "file": "x" }),
        json!({ "text": "text" }),
    ];
    let (mut taken, mut differ) = (0, std::collections::BTreeSet::new());
    for by in &values {
        let changed = |section| changed(section, by);
        for value in sections.iter().flat_map(changed) {
            let valid = schema.is_valid(&value);
            let read = Config::from_json(&value.to_string());
            // No schema says that one value is among others.
            if let Err(error) = &read
                && error
                    .to_string()
                    .contains("which `acr_order` does not have")
            {
                continue;
            }
            taken += usize::from(read.is_ok());
            if valid != read.is_ok() {
                differ.insert(format!("{by}: schema {valid}, reader {:?}", read.err()));
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(taken > 200, "{taken}");
}

#[test]
fn what_cannot_be_read_is_not_valid() {
    let schema = schema();
    for wrong in [
        json!([]),
        json!("x"),
        json!({ "resurces": "x" }),
        json!({ "auth": [] }),
        json!({ "jwt": ["x"] }),
        json!({ "authorization_servers": [["https://x.example.com"]] }),
        json!({ "authorization_servers": [{ "preset": { "auth0": ["x.auth0.com"] } }] }),
        json!({ "policy": [] }),
        json!({ "policy": { "tools": { "x": { "any": "y" } } } }),
        json!({ "resource": 5 }),
        json!({ "auth": { "optional": 5 } }),
        json!({ "auth": { "stream_grace": -1 } }),
        json!({ "auth": { "stream_grace": true } }),
        json!({ "auth": { "stream_grace": "soon" } }),
        json!({ "auth": { "public_paths": [5] } }),
        json!({ "authorization_servers": 5 }),
        json!({ "authorization_servers": [{ "isuer": "x" }] }),
        json!({ "authorization_servers": { "a": 5 } }),
        json!({ "authorization_servers": [{ "preset": { "nobody": {} } }] }),
        json!({ "authorization_servers": [{ "preset": { "keycloak": { "realm": "x" } } }] }),
        json!({ "authorization_servers": [{ "introspection": { "client_secret": 5 } }] }),
        json!({ "authorization_servers": [{ "introspection": { "client_secret": "" } }] }),
        json!({ "authorization_servers": [{ "introspection": { "client_secret_in": "header" } }] }),
        json!({ "authorization_servers": [{ "introspection": { "max_waiting_requests": -1 } }] }),
        json!({ "jwt": { "secret": { "env": "X", "file": "x" } } }),
        json!({ "jwt": { "secret": { "url": "x" } } }),
        json!({ "api_keys": { "keys": [{ "expires_at": "tomorrow" }] } }),
        json!({ "api_keys": { "authorization_scheme": "Basic" } }),
        json!({ "policy": { "default_rule": "allow" } }),
        json!({ "policy": { "tools": { "x": 5 } } }),
        json!({ "lists": { "max_bytes": "many" } }),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
        assert!(Config::from_json(&wrong.to_string()).is_err(), "{wrong}");
    }
}
