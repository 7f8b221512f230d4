//! API keys that are nearly good.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::attack::{Attack, Class, Refusal};
use super::kit::{Credential, Kit};
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "api_key_prefix",
        class: Class::ApiKey,
        description: "the beginning of a good key",
        source: "LiteLLM CVE-2026-35030",
        refusal: Refusal::Challenge,
        shots: |kit| {
            near(kit, |key| {
                let half = key.len() / 2;
                vec![
                    ("without its last character", key[..key.len() - 1].into()),
                    ("its first half", key[..half].into()),
                    ("its first character", key[..1].into()),
                ]
            })
        },
    },
    Attack {
        name: "api_key_suffix",
        class: Class::ApiKey,
        description: "a good key, and more",
        source: "LiteLLM CVE-2026-35030",
        refusal: Refusal::Malformed,
        shots: |kit| {
            near(kit, |key| {
                vec![
                    ("and a letter", format!("{key}x")),
                    ("twice", format!("{key}{key}")),
                    ("without its first character", key[1..].into()),
                    ("and a word", format!("{key} x")),
                    ("and an encoded NUL", format!("{key}%00")),
                ]
            })
        },
    },
    Attack {
        name: "api_key_changed",
        class: Class::ApiKey,
        description: "a good key with one character changed: the last, the first",
        source: "LiteLLM CVE-2026-35030",
        refusal: Refusal::Challenge,
        shots: |kit| {
            near(kit, |key| {
                let other = |was: &str| if was == "a" { "b" } else { "a" };
                let (start, last) = key.split_at(key.len() - 1);
                let (first, rest) = key.split_at(1);
                vec![
                    ("the last", format!("{start}{}", other(last))),
                    ("the first", format!("{}{rest}", other(first))),
                ]
            })
        },
    },
    Attack {
        name: "api_key_case",
        class: Class::ApiKey,
        description: "a good key in another case",
        source: "Spring CVE-2024-38827",
        refusal: Refusal::Challenge,
        shots: |kit| {
            near(kit, |key| {
                let all = [
                    ("in capitals", key.to_ascii_uppercase()),
                    ("in small letters", key.to_ascii_lowercase()),
                ];
                all.into_iter().filter(|(_, text)| text != key).collect()
            })
        },
    },
    Attack {
        name: "api_key_encoding",
        class: Class::ApiKey,
        description: "a good key, encoded or dressed up",
        source: "RFC 9110 section 11.4",
        refusal: Refusal::Malformed,
        shots: |kit| {
            near(kit, |key| {
                let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
                vec![
                    ("in base64", STANDARD.encode(key)),
                    ("with percent signs", encoded),
                    ("in quotes", format!("\"{key}\"")),
                    ("with a scheme", format!("Bearer {key}")),
                ]
            })
        },
    },
];

fn near(kit: &Kit<'_>, make: fn(&str) -> Vec<(&'static str, String)>) -> Vec<Shot> {
    let mut shots = Vec::new();
    for key in kit.keys() {
        for (label, text) in make(&key.secret) {
            let credential = Credential {
                value: text,
                ..key.clone()
            };
            shots.push(kit.admitted(label, &credential));
        }
    }
    shots
}
