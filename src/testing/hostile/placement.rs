//! Good credentials in places where none may stand, and more than one.

use http::header;

use super::attack::{Attack, Class, Refusal};
use super::kit::{Credential, Kit};
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "credential_passed_on",
        class: Class::Placement,
        description: "the good request: its credential must not reach the handler, nor come back",
        source: "MCP 2025-11-25 Authorization, Access Token Privilege Restriction",
        refusal: Refusal::Nothing,
        shots: |kit| {
            let good = kit.credentials.iter();
            good.map(|good| kit.admitted(good.kind, good)).collect()
        },
    },
    Attack {
        name: "query_credential",
        class: Class::Placement,
        description: "the credential in the query",
        source: "RFC 6750 section 2.3, RFC 9700 section 4.3.2; MCP Token Requirements",
        refusal: Refusal::Malformed,
        shots: in_query,
    },
    Attack {
        name: "form_credential",
        class: Class::Placement,
        description: "the credential in the body",
        source: "RFC 6750 section 2.2; MCP Token Requirements",
        refusal: Refusal::Malformed,
        shots: |kit| {
            let good = kit.credentials.iter();
            let form = |good: &Credential| {
                let body = format!("access_token={0}&api_key={0}", good.secret);
                let shot = kit.plain(format!("the {} in a form", good.kind));
                shot.body("application/x-www-form-urlencoded", body)
            };
            good.map(form).collect()
        },
    },
    Attack {
        name: "cookie_credential",
        class: Class::Placement,
        description: "the credential in a cookie, which a browser sends for any page",
        source: "RFC 6750 section 5.3",
        refusal: Refusal::Malformed,
        shots: in_cookies,
    },
    Attack {
        name: "other_header_credential",
        class: Class::Placement,
        description: "the credential in a header that others read",
        source: "RFC 6750 section 2.1",
        refusal: Refusal::Malformed,
        shots: in_headers,
    },
    Attack {
        name: "scheme_spelling",
        class: Class::Placement,
        description: "a good token behind something that is not quite its scheme",
        source: "RFC 6750 section 2.1, RFC 9110 section 11.4",
        refusal: Refusal::Malformed,
        shots: schemes,
    },
    Attack {
        name: "two_credentials",
        class: Class::Placement,
        description: "a good credential and another one: two readers may take different ones",
        source: "RFC 6750 section 2; Envoy CVE-2025-64527, CVE-2024-45809",
        refusal: Refusal::Malformed,
        shots: twice,
    },
];

fn in_query(kit: &Kit<'_>) -> Vec<Shot> {
    const NAMES: [&str; 9] = [
        "access_token",
        "token",
        "bearer",
        "authorization",
        "Authorization",
        "api_key",
        "apikey",
        "key",
        "x-api-key",
    ];
    let mut shots = Vec::new();
    for (kind, secret) in secrets(kit) {
        for name in NAMES {
            let target = format!("{}?{name}={secret}", kit.path);
            let request = kit.request_to(&target);
            let shot = request.map(|request| Shot::new(format!("{kind} as {name}"), request));
            shots.extend(shot.map(|shot| shot.secret(&*secret)));
        }
    }
    shots
}

/// Good ones, or an unknown one, which may not be read either.
fn secrets(kit: &Kit<'_>) -> Vec<(&'static str, String)> {
    let good = kit.credentials.iter();
    let mut all: Vec<_> = good.map(|good| (good.kind, good.secret.clone())).collect();
    if all.is_empty() {
        all.push(("a random text", Kit::marker()));
    }
    all
}

fn in_cookies(kit: &Kit<'_>) -> Vec<Shot> {
    const NAMES: [&str; 5] = [
        "access_token",
        "token",
        "session",
        "Authorization",
        "api_key",
    ];
    let mut shots = Vec::new();
    for good in &kit.credentials {
        let cookies = NAMES
            .map(|name| format!("{name}={}", good.secret))
            .join("; ");
        let shot = kit.plain(format!("the {} in cookies", good.kind));
        shots.push(shot.header("cookie", cookies));
    }
    shots
}

fn in_headers(kit: &Kit<'_>) -> Vec<Shot> {
    const NAMES: [&str; 9] = [
        "x-authorization",
        "x-access-token",
        "x-auth-token",
        "x-forwarded-access-token",
        "authentication",
        "proxy-authorization",
        "x-api-token",
        "api-key",
        "x-token",
    ];
    let mut shots = Vec::new();
    for good in &kit.credentials {
        for name in NAMES.into_iter().filter(|name| *name != good.header) {
            let shot = kit.plain(format!("the {} in {name}", good.kind));
            shots.push(shot.header(name, &good.value));
        }
    }
    let own: Vec<_> = kit.keys().map(|key| key.header.clone()).collect();
    if let Some(token) = kit
        .token()
        .filter(|_| !own.iter().any(|own| own == "x-api-key"))
    {
        let shot = kit.plain("the access token in x-api-key");
        shots.push(shot.header("x-api-key", &token.secret));
    }
    shots
}

fn schemes(kit: &Kit<'_>) -> Vec<Shot> {
    let Some(token) = kit.token() else {
        return Vec::new();
    };
    let secret = &token.secret;
    let rows = [
        ("no scheme", secret.clone()),
        ("no space", format!("Bearer{secret}")),
        ("a colon", format!("Bearer: {secret}")),
        ("an equals sign", format!("Bearer={secret}")),
        ("a comma", format!("Bearer,{secret}")),
        ("a tab", format!("Bearer\t{secret}")),
        ("a longer scheme", format!("Bearers {secret}")),
        ("another scheme", format!("Token {secret}")),
        ("Basic", format!("Basic {secret}")),
        ("the scheme twice", format!("Bearer Bearer {secret}")),
        ("quotes", format!("Bearer \"{secret}\"")),
        ("a parameter", format!("Bearer token={secret}")),
        (
            "another scheme first",
            format!("Basic Og==, Bearer {secret}"),
        ),
        ("a second word", format!("Bearer {secret} x")),
    ];
    let shot =
        |(label, value): (&'static str, String)| kit.plain(label).header("authorization", value);
    rows.into_iter().map(shot).collect()
}

fn twice(kit: &Kit<'_>) -> Vec<Shot> {
    let mut shots = Vec::new();
    for good in &kit.credentials {
        let other = if good.kind == "API key" {
            "other"
        } else {
            "Bearer other"
        };
        let with = |label: &str, values: [&str; 2]| {
            let mut shot = kit.plain(format!("{}: {label}", good.kind));
            for value in values {
                let value = Credential {
                    value: value.to_owned(),
                    ..good.clone()
                };
                kit.put(&mut shot.request, &value);
            }
            shot
        };
        shots.push(with("bad after good", [&good.value, other]));
        shots.push(with("bad before good", [other, &good.value]));
        shots.push(with("good twice", [&good.value, &good.value]));
        shots.push(with("empty before good", ["", &good.value]));
        let joined = Credential {
            value: format!("{}, {other}", good.value),
            ..good.clone()
        };
        shots.push(kit.admitted(format!("{}: joined by a comma", good.kind), &joined));
    }
    if let Some(token) = kit.token() {
        let target = format!("{}?access_token={}", kit.path, token.secret);
        if let Some(mut request) = kit.request_to(&target) {
            kit.put(&mut request, token);
            shots.push(Shot::new("access token: header and query", request));
        }
        for key in kit.keys().filter(|key| key.header != header::AUTHORIZATION) {
            let mut shot = kit.admitted("an access token and an API key", token);
            kit.put(&mut shot.request, key);
            shots.push(shot);
        }
    }
    shots
}
