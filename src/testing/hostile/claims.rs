//! Tokens that are signed as they should be, with a claim that is not good.

use serde_json::{Value, json};

use super::attack::{Attack, Class, Group, Refusal};
use super::forge::{Forge, Row};
use super::kit::Kit;
use super::shot::Shot;

const GROUP: Group = Group {
    class: Class::Claims,
    refusal: Refusal::Challenge,
};

pub(super) const ATTACKS: &[Attack] = &[
    GROUP.attack(
        "audience_missing",
        "a token without an audience",
        "RFC 9068 section 4; Hono CVE-2025-62610",
        |kit| {
            with_claim(kit, "aud", |forge, _| {
                let mut rows = vec![("no aud".to_owned(), forge.draft().without_claim("aud"))];
                rows.extend(values(
                    forge,
                    "aud",
                    [json!(null), json!(""), json!([]), json!([""])],
                ));
                rows
            })
        },
    ),
    GROUP.attack(
        "audience_other",
        "a token for another server",
        "RFC 9700 section 2.3; Argo CD CVE-2023-22482, FastMCP CVE-2025-69196",
        |kit| {
            with_claim(kit, "aud", |forge, own| {
                let (origin, _) = split(own);
                let others = [
                    json!("https://other.example.com/mcp"),
                    json!(["https://other.example.com/mcp", "https://files.example.com"]),
                    json!(format!("{origin}/other-server")),
                    json!("*"),
                ];
                values(forge, "aud", others)
            })
        },
    ),
    GROUP.attack(
        "audience_near",
        "an audience that begins, ends or reads like the right one",
        "RFC 9728 section 6; PyJWT CVE-2024-53861",
        |kit| {
            with_claim(kit, "aud", |forge, own| {
                let mut rows = values(forge, "aud", near(own).into_iter().map(Value::from));
                let (origin, path) = split(own);
                // Without a path the slash is an alias (RFC 8707 section 2).
                if path.trim_matches('/').is_empty() {
                    return rows;
                }
                rows.extend(values(
                    forge,
                    "aud",
                    [json!(origin), json!(format!("{origin}/"))],
                ));
                let slash = format!("{own}/");
                rows.extend(values(forge, "aud", [json!(slash)]));
                rows
            })
        },
    ),
    GROUP.attack(
        "audience_type",
        "an audience that is no string: the right one within something else",
        "RFC 7519 section 4.1.3",
        |kit| {
            with_claim(kit, "aud", |forge, own| {
                let shapes = [
                    json!([[own]]),
                    json!({ own: true }),
                    json!([{ "aud": own }]),
                    json!(true),
                    json!([true]),
                    json!(0),
                    json!([null]),
                ];
                values(forge, "aud", shapes)
            })
        },
    ),
    GROUP.attack(
        "issuer_missing",
        "a token without an issuer",
        "RFC 9068 section 4; agentgateway #2993",
        |kit| {
            with_claim(kit, "iss", |forge, _| {
                let mut rows = vec![("no iss".to_owned(), forge.draft().without_claim("iss"))];
                rows.extend(values(forge, "iss", [json!(null), json!("")]));
                rows
            })
        },
    ),
    GROUP.attack(
        "issuer_near",
        "an issuer that begins, ends or reads like the right one, or another",
        "RFC 8414 section 3.3; PyJWT CVE-2024-53861",
        |kit| {
            with_claim(kit, "iss", |forge, own| {
                let mut texts = near(own);
                texts.push(match own.strip_suffix('/') {
                    Some(bare) => bare.to_owned(),
                    None => format!("{own}/"),
                });
                texts.push("https://other.example.com".to_owned());
                values(forge, "iss", texts.into_iter().map(Value::from))
            })
        },
    ),
    GROUP.attack(
        "issuer_type",
        "an issuer that is no string: the right one within something else",
        "RFC 7519 section 4.1.1; fast-jwt CVE-2025-30144",
        |kit| {
            with_claim(kit, "iss", |forge, own| {
                let shapes = [
                    json!([own]),
                    json!([own, "https://evil.example"]),
                    json!({ own: true }),
                    json!(true),
                    json!(0),
                ];
                values(forge, "iss", shapes)
            })
        },
    ),
    GROUP.attack(
        "expired",
        "a token that was good an hour ago, and one of 1970",
        "RFC 7519 section 4.1.4",
        |kit| {
            kit.forged(|forge| {
                let now = forge.now();
                let at = |exp: u64| {
                    let draft = forge.draft().claim("exp", exp);
                    draft.claim("iat", exp.saturating_sub(3600))
                };
                vec![
                    ("an hour ago".to_owned(), at(now.saturating_sub(3600))),
                    ("in 1970".to_owned(), at(1)),
                    ("at zero".to_owned(), at(0)),
                ]
            })
        },
    ),
    GROUP.attack(
        "expiry_missing",
        "a token that never ends",
        "RFC 9068 section 4",
        |kit| {
            kit.forged(|forge| {
                vec![
                    ("no exp".to_owned(), forge.draft().without_claim("exp")),
                    (
                        "exp null".to_owned(),
                        forge.draft().claim("exp", Value::Null),
                    ),
                ]
            })
        },
    ),
    GROUP.attack(
        "expiry_type",
        "an expiry that is no time",
        "RFC 7519 section 4.1.4; jsonwebtoken CVE-2026-25537",
        |kit| kit.forged(|forge| times(forge, "exp")),
    ),
    GROUP.attack(
        "not_yet_valid",
        "a token that is good tomorrow",
        "RFC 7519 section 4.1.5",
        |kit| {
            kit.forged(|forge| {
                let tomorrow = forge.now() + 86_400;
                let draft = forge.draft().claim("nbf", tomorrow);
                vec![(
                    "nbf tomorrow".to_owned(),
                    draft.claim("exp", tomorrow + 3600),
                )]
            })
        },
    ),
    GROUP.attack(
        "not_before_type",
        "a beginning that is no time",
        "RFC 7519 section 4.1.5; jsonwebtoken CVE-2026-25537",
        |kit| kit.forged(|forge| times(forge, "nbf")),
    ),
    Attack {
        name: "scope_missing",
        class: Class::Claims,
        description: "a token that lacks the scopes, or nearly has them",
        source: "RFC 6750 section 3.1; Spring CVE-2024-38827",
        refusal: Refusal::Scope,
        shots: |kit| match kit.settings.required_scopes {
            true => with_claim(kit, "scope", scopes),
            false => Vec::new(),
        },
    },
];

/// Tokens that differ in one claim, if the good one has it as a string.
fn with_claim<'h>(
    kit: &Kit<'h>,
    name: &str,
    make: impl FnOnce(&'h Forge, &str) -> Vec<Row<'h>>,
) -> Vec<Shot> {
    kit.forged(|forge| match forge.claim(name).and_then(Value::as_str) {
        Some(own) => make(forge, own),
        None => Vec::new(),
    })
}

fn values<'f>(
    forge: &'f Forge,
    name: &str,
    values: impl IntoIterator<Item = Value>,
) -> Vec<Row<'f>> {
    let row = |value: Value| (format!("{name} {value}"), forge.draft().claim(name, value));
    values.into_iter().map(row).collect()
}

/// The origin of a URL, and the rest.
fn split(url: &str) -> (&str, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    url.split_at(end)
}

fn near(own: &str) -> Vec<String> {
    let (origin, path) = split(own);
    let mut all = vec![
        format!("{own}.evil.example"),
        format!("{own}x"),
        format!("https://evil.example/?x={own}"),
        format!("https://evil.example/{own}"),
        format!("{own} https://evil.example"),
        format!("{own},https://evil.example"),
        format!(" {own}"),
        format!("{own}\n"),
        format!("{own}\0"),
        format!("{own}?x"),
        format!("{own}#x"),
        own.chars().skip(1).collect(),
        format!("{origin}.evil.example{path}"),
        format!("{origin}@evil.example{path}"),
        own.to_ascii_uppercase(),
        // Letters that look like those of the right one, or that fold into them.
        own.replacen('e', "\u{435}", 1),
        own.replacen('s', "\u{17f}", 1),
        own.replacen('k', "\u{212a}", 1),
        own.replacen("https:", "http:", 1),
    ];
    // Without a path the slash at the end may be missing.
    if !own.ends_with('/') {
        all.push(shortened(own));
    }
    all.retain(|text| text != own);
    all
}

fn shortened(text: &str) -> String {
    let mut text = text.to_owned();
    text.pop();
    text
}

/// Values of the right size, and none of the right type; and times before 1970, or beyond numbers.
fn times<'f>(forge: &'f Forge, name: &str) -> Vec<Row<'f>> {
    let later = forge.now() + 3600;
    let shapes = [
        json!(later.to_string()),
        json!(true),
        json!([later]),
        json!({ "time": later }),
        json!(""),
        json!("tomorrow"),
        json!(-1),
    ];
    let mut rows = values(forge, name, shapes);
    for number in ["1e400", "-1e400"] {
        let draft = forge.draft().without_claim(name);
        let draft = draft.claims_end(&format!(r#","{name}":{number}"#));
        rows.push((format!("{name} {number}"), draft));
    }
    rows
}

fn scopes<'f>(forge: &'f Forge, own: &str) -> Vec<Row<'f>> {
    let names: Vec<&str> = own.split(' ').filter(|name| !name.is_empty()).collect();
    let mut rows = vec![("no scope".to_owned(), forge.draft().without_claim("scope"))];
    let each = |change: fn(&str) -> String| {
        let all: Vec<String> = names.iter().map(|name| change(name)).collect();
        json!(all.join(" "))
    };
    let texts = [
        json!(""),
        json!("openid"),
        each(|name| format!("{name}x")),
        each(|name| format!("x{name}")),
        each(shortened),
        each(str::to_ascii_uppercase),
        each(|name| format!("{name},other")),
        each(|name| format!("{name}\u{a0}other")),
    ];
    rows.extend(values(
        forge,
        "scope",
        texts.into_iter().filter(|text| *text != own),
    ));
    // Of several, each is needed.
    for left_out in names.iter().filter(|_| names.len() > 1) {
        let others: Vec<&str> = names
            .iter()
            .filter(|name| *name != left_out)
            .copied()
            .collect();
        rows.extend(values(forge, "scope", [json!(others.join(" "))]));
    }
    rows
}
