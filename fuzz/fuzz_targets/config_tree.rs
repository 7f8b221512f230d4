//! Configurations: reading one never panics, an error names a place, and no text of ours shows
//! what may be a secret.
//!
//! The input is read as JSON, as TOML, and as lines `NAME=value` of the environment.
#![no_main]

use std::fmt::{Debug, Display};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::{Config, Environment};

/// In a text of the input, it is a secret in the wrong place.
const MISPLACED: &str = "#S3CR3T#";
/// What all secrets begin with that layers are made from.
const SECRET: &str = "S3CR3T-jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZa";
/// Their places.
const SECRETS: [&str; 7] = [
    "key",
    "pepper",
    "secret",
    "client_secret",
    "private_key",
    "bearer_token",
    "proxy",
];
/// Places of files, which are none here.
const FILES: [&str; 6] = [
    "file",
    "path",
    "jwks_file",
    "jwks_bearer_token_file",
    "jwks_root_certificates_file",
    "root_certificates_file",
];

fuzz_target!(|input: &str| {
    json(input);
    toml(input);
    environment(input);
});

fn hides(text: &str, secret: &str) {
    assert!(!text.contains(secret), "{text}");
}

/// What was read, or why not, without a secret.
fn shown<T: Debug>(read: &Result<T, ConfigError>, secret: &str) {
    match read {
        Ok(read) => hides(&format!("{read:?}"), secret),
        Err(error) => {
            assert!(!error.path().is_empty() && !error.setting().is_empty());
            let error: [&dyn Display; 2] = [error, &error.path()];
            error
                .iter()
                .for_each(|text| hides(&text.to_string(), secret));
        }
    }
}

fn json(input: &str) {
    let read = Config::from_json(input);
    let tree = serde_json::from_str::<Value>(input);
    let Ok(mut tree) = tree else {
        shown(&read, MISPLACED);
        return;
    };
    // The names of what rules are for are shown.
    if !tree["policy"].to_string().contains(MISPLACED) {
        shown(&read, MISPLACED);
    }
    // The same without a text. Of a member that is there twice it has one.
    let of_tree = Config::deserialize_from(&tree);
    assert!(of_tree.is_ok() || read.is_err(), "{of_tree:?}");
    if read.is_err() || input.contains("S3CR3T") {
        return;
    }
    fill_in(&mut tree);
    let Ok(config) = Config::deserialize_from(&tree) else {
        return;
    };
    layers(&config);
}

/// Puts secrets where they belong, and takes files away.
fn fill_in(tree: &mut Value) {
    match tree {
        Value::Array(items) => items.iter_mut().for_each(fill_in),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if SECRETS.contains(&&**name) => {
                        text.insert_str(0, SECRET);
                    }
                    Value::String(text) if FILES.contains(&&**name) => {
                        "/nonexistent".clone_into(text);
                    }
                    // Older keys are texts as well.
                    Value::Array(_) | Value::Object(_) if name == "also_accept" => {
                        older_keys(value);
                    }
                    value => fill_in(value),
                }
            }
        }
        _ => {}
    }
}

fn older_keys(keys: &mut Value) {
    let keys: Vec<&mut Value> = match keys {
        Value::Array(keys) => keys.iter_mut().collect(),
        Value::Object(keys) => keys.values_mut().collect(),
        _ => Vec::new(),
    };
    for key in keys {
        match key {
            Value::String(text) => text.insert_str(0, SECRET),
            key => fill_in(key),
        }
    }
}

fn layers(config: &Config) {
    shown(&config.session_layer(), SECRET);
    shown(&config.sealer(), SECRET);
    shown(&config.api_key_layer(), SECRET);
    shown(&config.jwt_layer(), SECRET);
    shown(&config.oauth_builder(), SECRET);
    shown(&config.origin_layer(), SECRET);
    shown(&config.policy_layers(), SECRET);
}

fn toml(input: &str) {
    let read = Config::from_toml(input);
    if !input.contains("policy") {
        shown(&read, MISPLACED);
    }
}

fn environment(input: &str) {
    let lines = input.lines().filter_map(|line| line.split_once('='));
    let variables: Vec<_> = lines
        .filter(|(name, _)| !name.contains(MISPLACED) && !name.contains("POLICY"))
        .collect();
    let Ok(variables) = Environment::of("FUZZ_", variables) else {
        return;
    };
    hides(&format!("{variables:?}"), MISPLACED);
    let tree = serde_json::to_value(&variables).expect("texts and maps");
    shown(&Config::deserialize_from(tree), MISPLACED);
}
