//! The chapter of limits is made here. What has a setting is read from the documented configuration
//! and compared with what layers have without it. What is set in code is compared with what is made
//! without the setter (`in_code`), and what has no setting is tried (`tried`).

mod in_code;
mod tried;

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::fs;

use serde_json::{Value, json};
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;

const TOML: &str = include_str!("../../../../docs/config.toml");
const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";
const KEY: &str = "b25lLXJhbmRvbS1rZXktMTIzNA";

/// The maker whose layers have the settings of a section.
#[derive(Clone, Copy)]
enum Made {
    Auth,
    Jwt,
    OAuth,
    Policy,
    Quotas,
    FailedAttempts,
    Sealer,
    Revocation,
}

/// Headings, sections of the configuration with the maker of their layers, and of each setting:
/// name, setter, what it is for.
const SETTINGS: &str = include_str!("limits.txt");

/// What layers are like with these settings of a section.
fn made(made: Made, path: &[&str], settings: &Value) -> Result<String, ConfigError> {
    let mut config = json!({ "resource": "https://mcp.example.com/mcp" });
    match made {
        Made::OAuth => {
            config["authorization_servers"] = json!({ "main": {
                "issuer": "https://auth.example.com",
                "introspection": { "client_id": "x", "client_secret": SECRET },
            } });
        }
        Made::Jwt => config["jwt"] = json!({ "secret": SECRET }),
        Made::Auth => config["api_keys"] = json!({ "keys": [{ "key": KEY }] }),
        Made::Policy => config["policy"] = json!({}),
        Made::Quotas => {
            let budget = json!({ "limit": 100, "window": "1m" });
            config["quotas"] = json!({ "budgets": { "calls": budget } });
        }
        Made::Sealer => config["sealer"] = json!({ "key": SECRET }),
        Made::FailedAttempts | Made::Revocation => {}
    }
    let mut section = &mut config;
    for name in path {
        if section.get(name).is_none() {
            section[name] = json!({});
        }
        section = &mut section[name];
    }
    for (name, value) in settings.as_object().unwrap() {
        section[name] = value.clone();
    }
    let config = Config::from_json(&config.to_string())?;
    let text = |value: &dyn Debug| format!("{value:?}");
    Ok(match made {
        Made::Auth => text(&config.auth_layer()?),
        Made::Jwt => text(&config.jwt_builder()?),
        Made::OAuth => text(&config.oauth_builder()?),
        Made::Policy => text(&config.policy_layers()?),
        Made::Quotas => text(&config.quota_layer()?),
        Made::FailedAttempts => text(&config.failed_attempts(FailedAttemptsLayer::new(|_| None))?),
        Made::Sealer => text(&config.sealer()?),
        Made::Revocation => text(&config.revocation()?),
    })
}

/// Another value of the same kind, near to it.
fn another(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
            let number: u64 = digits.parse().unwrap();
            json!(format!("{}{unit}", number + 1))
        }
        number => json!(number.as_u64().unwrap() - 1),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .replace("m", " min")
            .replace("h", " h")
            .replace("s", " s"),
        number => grouped(number.as_u64().unwrap()),
    }
    .replace("  ", " ")
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

struct Section<'a> {
    maker: Made,
    path: Vec<&'a str>,
    /// Name, setter, what it is for.
    settings: Vec<[&'a str; 3]>,
}

impl<'a> Section<'a> {
    fn new(maker: &str, path: &'a str) -> Self {
        let maker = match maker {
            "Auth" => Made::Auth,
            "FailedAttempts" => Made::FailedAttempts,
            "Jwt" => Made::Jwt,
            "OAuth" => Made::OAuth,
            "Policy" => Made::Policy,
            "Quotas" => Made::Quotas,
            "Revocation" => Made::Revocation,
            "Sealer" => Made::Sealer,
            other => panic!("no maker: {other}"),
        };
        Self {
            maker,
            path: path.split('.').collect(),
            settings: Vec::new(),
        }
    }

    /// Compares what is documented with what the layers have, and writes it.
    fn write(&self, page: &mut String, documented: &Value) {
        let documented = self
            .path
            .iter()
            .fold(documented, |value, name| &value[*name]);
        // All at once, since some go together.
        let mut all = json!({});
        for [name, ..] in &self.settings {
            assert!(!documented[*name].is_null(), "{:?} {name}", self.path);
            all[*name] = documented[*name].clone();
        }
        let defaults = made(self.maker, &self.path, &json!({})).unwrap();
        let configured = made(self.maker, &self.path, &all).unwrap();
        assert_eq!(configured, defaults, "{:?}", self.path);
        let place = self.path.join(".").replace(".main", ".NAME");
        for [name, setter, what] in &self.settings {
            let value = &documented[*name];
            // Otherwise the comparison says nothing.
            let mut others = all.clone();
            others[*name] = another(value);
            let other = made(self.maker, &self.path, &others);
            let differs = other.map_or(true, |other| other != defaults);
            assert!(differs, "{place} {name} makes no difference");
            let value = shown(value);
            let _ = writeln!(page, "| {what} | {value} | `{setter}` | `{place}.{name}` |");
        }
    }
}

fn rows_with_settings(page: &mut String, documented: &Value) {
    let mut section: Option<Section<'_>> = None;
    for line in SETTINGS.lines().chain(["## "]) {
        let setting: Vec<_> = line.split(" | ").collect();
        if let Ok(setting) = <[&str; 3]>::try_from(setting) {
            section.as_mut().unwrap().settings.push(setting);
            continue;
        }
        if let Some(section) = section.take_if(|_| !line.is_empty()) {
            section.write(page, documented);
        }
        match line.strip_prefix("## ") {
            Some("") | None => {}
            Some(heading) => {
                let columns = "| what | default | setter | configuration |\n|---|---|---|---|";
                let _ = writeln!(page, "\n## {heading}\n\n{columns}");
            }
        }
        if let Some((maker, path)) = line.split_once(": ") {
            section = Some(Section::new(maker, path));
        }
    }
}

#[test]
fn the_chapter_of_limits_is_the_one_that_is_made() {
    let file = common::root().join("docs/limits.md");
    let documented: HashMap<String, Value> = toml::from_str(TOML).unwrap();
    let mut page = HEAD.to_owned();
    rows_with_settings(&mut page, &json!(documented));
    in_code::rows(&mut page);
    tried::rows(&mut page);
    page.push_str(TAIL);
    if std::env::var_os("WRITE_LIMITS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == page,
        "run this test with WRITE_LIMITS=1, and look at what changes"
    );
}

const HEAD: &str = "\
# Limits

*\"413 Payload Too Large.\" \"How large may a token be?\" \"How long are keys cached?\"
\"How much memory can an attacker use?\"*

Everything that a peer can make larger has a bound: bodies, tokens, key sets, caches, queues, waits.
What a server sends is kept within bounds that you set; what you set is never changed, but refused
where it cannot be. This page is made by a test, which compares each default that has a setter with the
code.
";

const TAIL: &str = "\
| an RSA key | 2048 to 8192 bits; with `rust-crypto` alone 4096 |
| JSON in tokens and in MCP messages | 32 levels |
| messages of a batch | 1000 |
| URIs of a subscription | 1000 |
| the body of a refused request that is read first | 64 KiB, for half a second |
| an anonymous session can be claimed | for 10 minutes |
| the time of a DPoP proof (`iat`), before and after now | 5 min; \
1 min with `dangerously_allow_replays` |
| the id of a DPoP proof (`jti`) | at most 256 bytes |
| a nonce for DPoP proofs | the current one for 150 s, and good as long again |
| how long a logout token is good (`max_age`) | 2 min by default, an hour at most |
| [the doctor][doctor.md]: an answer that it reads | 1 MiB, within 10 s; all of them within 2 min |
| interim responses before an answer to the doctor | 32 |
| authorization servers that the doctor asks | 4 |
| an answer to a hostile request of `testing` | awaited for 5 s by default |
| `max_claims` of a configuration | 100,000, for a day each |

Redis and Valkey have limits of their own: [more than one machine][more-than-one-machine.md].

What quotas do where there is no room: [quotas][quotas.md].

[doctor.md]: doctor.md
[more-than-one-machine.md]: more-than-one-machine.md
[quotas.md]: quotas.md
";
