//! Hostile tokens that cost their sender nothing: what they may cost this side.
//!
//! Time is CPU time of the thread, which other work on the machine does not change. Each bound is
//! an order of magnitude over what it takes unoptimized, and far under quadratic work.

use std::fmt::Write as _;
use std::time::Duration;

use cpu_time::ThreadTime;
use tower_mcp_auth::JwtLayer;

use crate::jose::harness::{
    AUDIENCE, HEADER, ISSUER, ask, b64, builder, lax, outcome, sealed, secret, strict, token,
};

const HS256: &str = r#"{"alg":"HS256"}"#;

/// What 20 such tokens cost, the fastest of three runs.
fn cost(layer: &JwtLayer, token: &str, expected: &str) -> Duration {
    assert_eq!(outcome(layer, token), expected);
    (0..3)
        .map(|_| {
            let start = ThreadTime::now();
            for _ in 0..20 {
                let _ = ask(layer, token);
            }
            start.elapsed()
        })
        .min()
        .expect("three runs")
}

fn assert_cheap(name: &str, layer: &JwtLayer, token: &str, expected: &str) {
    let cost = cost(layer, token, expected);
    println!("{name}: {:?} a token of {} bytes", cost / 20, token.len());
    assert!(
        cost < Duration::from_millis(1_500),
        "{name}: 20 tokens took {cost:?}"
    );
}

/// As many different short names as there are.
fn names() -> impl Iterator<Item = String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..LETTERS.len()).flat_map(|first| {
        LETTERS
            .iter()
            .map(move |second| format!("{}{}", LETTERS[first] as char, *second as char))
    })
}

/// `items` joined while the claims stay within what fits a token.
fn filled(open: &str, items: impl Iterator<Item = String>, close: &str) -> (String, usize) {
    let mut claims = format!(r#"{{"exp":1800003600,{open}"#);
    let mut count = 0;
    for item in items {
        if claims.len() + item.len() + close.len() > 12_180 {
            break;
        }
        if count > 0 {
            claims.push(',');
        }
        claims.push_str(&item);
        count += 1;
    }
    let _ = write!(claims, "{close}}}");
    (claims, count)
}

/// Every byte of a token is paid for before its signature is known to be bad.
#[test]
fn crowded_claims_are_cheap() {
    let forever = || std::iter::repeat_with(|| ());
    let member = |value: &'static str| names().map(move |name| format!("\"{name}\":{value}"));
    let shapes = [
        ("distinct members", filled("", member("1"), ""), 1_700),
        (
            "distinct members of an object",
            filled("\"x\":{", member("1"), "}"),
            1_700,
        ),
        (
            "members whose names need unescaping",
            filled("", names().map(|name| format!(r#""\u0078{name}":1"#)), ""),
            800,
        ),
        (
            "empty objects",
            filled("\"x\":[", forever().map(|()| "{}".into()), "]"),
            4_000,
        ),
        (
            "objects of one member",
            filled("\"x\":[", forever().map(|()| r#"{"":0}"#.into()), "]"),
            1_500,
        ),
        (
            "empty arrays",
            filled("\"x\":[", forever().map(|()| "[]".into()), "]"),
            4_000,
        ),
        (
            "arrays to the limit of depth",
            filled(
                "\"x\":[",
                forever().map(|()| format!("{}{}", "[".repeat(29), "]".repeat(29))),
                "]",
            ),
            200,
        ),
        (
            "objects to the limit of depth",
            filled(
                "\"x\":[",
                forever().map(|()| format!("{}1{}", "{\"\":".repeat(29), "}".repeat(29))),
                "]",
            ),
            60,
        ),
        (
            "audiences",
            filled("\"aud\":[", names().map(|name| format!("{name:?}")), "]"),
            2_300,
        ),
        (
            "empty audiences",
            filled("\"aud\":[", forever().map(|()| "\"\"".into()), "]"),
            4_000,
        ),
        (
            "numbers",
            filled("\"x\":[", forever().map(|()| "0".into()), "]"),
            6_000,
        ),
        (
            "numbers with long fractions",
            filled(
                "\"x\":[",
                forever().map(|()| format!("0.{}", "1".repeat(300))),
                "]",
            ),
            30,
        ),
        (
            "numbers with long exponents",
            filled("\"x\":[", forever().map(|()| "1e-999999999".into()), "]"),
            900,
        ),
    ];
    for (name, (claims, count), least) in shapes {
        assert!(count >= least, "{name}: {count}");
        let good = token(HS256, &claims);
        assert!(good.len() <= 16_384);
        assert_cheap(name, &lax(), &good, "accepted");
        let forged = format!("{}A", &good[..good.len() - 1]);
        let forged = if forged == good {
            format!("{}E", &good[..good.len() - 1])
        } else {
            forged
        };
        assert_cheap(
            &format!("{name}, forged"),
            &lax(),
            &forged,
            "invalid_signature",
        );
    }
    let name = "n".repeat(11_000);
    let long = format!(r#"{{"exp":1800003600,"{name}":"{name:.100}"}}"#);
    assert_cheap("a long name", &lax(), &token(HS256, long), "accepted");
    let digits = "9".repeat(12_000);
    let long = format!(r#"{{"exp":1800003600,"x":{digits}e-12000}}"#);
    assert_cheap("a long number", &lax(), &token(HS256, long), "accepted");
    let long = format!(r#"{{"exp":0.{}}}"#, "0".repeat(12_000));
    assert_cheap("a long date", &lax(), &token(HS256, long), "expired");
}

#[test]
fn a_crowded_header_is_cheap() {
    let members: Vec<String> = names()
        .take(560)
        .map(|name| format!("\"{name}\":1"))
        .collect();
    let header = format!(r#"{{"alg":"HS256",{}}}"#, members.join(","));
    assert!(header.len() <= 4_096);
    let good = token(header, r#"{"exp":1800003600}"#);
    assert_cheap("members of a header", &lax(), &good, "accepted");
    for (name, header) in [
        (
            "crit",
            format!(
                r#"{{"alg":"HS256","crit":[{}]}}"#,
                vec!["\"a\""; 900].join(",")
            ),
        ),
        (
            "a long alg",
            format!(r#"{{"alg":"{}"}}"#, "A".repeat(4_000)),
        ),
        (
            "a long typ",
            format!(r#"{{"alg":"HS256","typ":"{}"}}"#, "\\u0000".repeat(600)),
        ),
        (
            "a long kid",
            format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "\u{1f600}".repeat(900)),
        ),
    ] {
        let named = builder(secret()).key_id("k1").build().expect("a layer");
        let refused = token(&header, r#"{"exp":1800003600}"#);
        let reason = outcome(&named, &refused);
        assert_ne!(reason, "accepted");
        assert_cheap(name, &named, &refused, reason);
    }
}

#[test]
fn depth_costs_nothing() {
    for (open, depth) in [("[", 12_000), ("{\"\":", 3_000), ("[{\"\":", 2_000)] {
        let claims = format!(r#"{{"exp":1800003600,"x":{}"#, open.repeat(depth));
        let token = token(HS256, claims);
        assert!(token.len() <= 16_384, "{}", token.len());
        assert_cheap(open, &lax(), &token, "malformed_token");
    }
}

#[test]
fn long_values_around_a_token_are_cheap() {
    // Parts that could be decoded, and a header that could be read.
    let long = b64(r#"{"alg":"HS256","x":"@"}"#.replace('@', &"h".repeat(500_000)));
    let padding = format!("a{}", "=".repeat(1 << 20));
    let foreign = format!("{}\u{e9}", "a".repeat(1 << 20));
    for (name, value, expected) in [
        ("dots", ".".repeat(1 << 20), "token_too_large"),
        ("letters", "a".repeat(1 << 20), "token_too_large"),
        ("padding", padding, "token_too_large"),
        ("a header", format!("{long}.e30.AA"), "token_too_large"),
        ("claims", format!("e30.{long}.AA"), "token_too_large"),
        ("a signature", format!("e30.e30.{long}"), "token_too_large"),
        ("nothing but =", "=".repeat(1 << 20), "malformed_credential"),
        ("no ASCII", foreign, "malformed_credential"),
        ("spaces", " ".repeat(1 << 20), "missing_credential"),
    ] {
        let layer = lax();
        let _ = outcome(&layer, "x");
        let mut got = "";
        let measured = allocation_counter::measure(|| got = outcome(&layer, &value));
        assert_eq!(got, expected, "{name}");
        // The request holds the value, and is made of a text that holds it: nothing else of
        // its size is made.
        let own = 2 * value.len() as u64 + 64 * 1024;
        assert!(measured.bytes_total < own, "{name}: {measured:?}");
    }
}

/// A token that passes may hold as many scopes as fit; the issuer's word is bounded too.
#[test]
fn many_scopes_are_cheap() {
    let scopes: Vec<String> = names().map(|name| format!("{name}x")).take(2_900).collect();
    let claims = format!(r#"{{"exp":1800003600,"scope":"{}"}}"#, scopes.join(" "));
    let good = token(HS256, &claims);
    assert!(good.len() <= 16_384, "{}", good.len());
    let principal = ask(&lax(), &good).expect("a good token");
    assert_eq!(principal.scopes().iter().count(), 2_900);
    assert_eq!(principal.scopes().as_str(), scopes.join(" "));
}

/// Who could make a verifier answer differently for a good and a bad signature by the claims?
#[test]
fn an_unsigned_token_learns_nothing_of_the_claims_wanted() {
    let wrong = |claims: &str| {
        let good = token(HEADER, claims);
        let (input, _) = good.rsplit_once('.').expect("parts");
        format!("{input}.{}", b64([7; 32]))
    };
    for claims in [
        r#"{}"#.to_owned(),
        r#"{"exp":1}"#.to_owned(),
        format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":1800003600}}"#),
        r#"{"iss":"https://evil.example","exp":1800003600}"#.to_owned(),
        r#"{"cnf":{"jkt":"x"},"exp":1800003600}"#.to_owned(),
        r#"{"token_use":"id","exp":1800003600}"#.to_owned(),
    ] {
        assert_eq!(
            outcome(&strict(), &wrong(&claims)),
            "invalid_signature",
            "{claims}"
        );
    }
}

/// A claim name that is not checked for must not be able to stand in for one that is checked.
#[test]
fn the_scope_claim_does_not_hide_other_claims() {
    let layer = builder(secret())
        .scope_claim("roles")
        .audience(AUDIENCE)
        .build();
    let layer = layer.expect("a layer");
    let claims = |extra: &str| format!(r#"{{"aud":"{AUDIENCE}","exp":1800003600{extra}}}"#);
    for (extra, expected) in [
        (r#","roles":["a"]"#, "accepted"),
        (r#","roles":["a"],"nonce":"n""#, "wrong_token_type"),
        (r#","roles":["a"],"roles":["b"]"#, "duplicate_token_member"),
        (r#","roles":["a"],"token_use":"id""#, "wrong_token_type"),
    ] {
        assert_eq!(
            outcome(&layer, &token(HS256, claims(extra))),
            expected,
            "{extra}"
        );
    }
}

/// Unicode in places where it could fold, normalize, cut or reverse something.
#[test]
fn unicode_neither_panics_nor_matches() {
    let odd = [
        "\u{0}",
        "\u{feff}",
        "\u{202e}",
        "\u{200b}",
        "\u{fffd}",
        "\u{10ffff}",
        "\u{1f600}",
        "e\u{301}",
        "\u{130}",
        "\u{131}",
        "\u{212a}",
        "\u{17f}",
        "ß",
        "ﬁ",
        "\u{2028}",
        "\u{7f}",
        "\u{85}",
    ];
    let named = builder(secret())
        .key_id("k1")
        .issuer(ISSUER)
        .audience(AUDIENCE);
    let named = named.build().expect("a layer");
    for text in odd {
        let long = text.repeat(40);
        for text in [text, &long] {
            let json = serde_json::Value::from(text).to_string();
            for header in [
                format!(r#"{{"alg":"HS256","typ":{json}}}"#),
                format!(r#"{{"alg":{json}}}"#),
                format!(r#"{{"alg":"HS256","kid":{json}}}"#),
            ] {
                let claims = format!(r#"{{"exp":1800003600,"aud":"{AUDIENCE}","iss":"{ISSUER}"}}"#);
                assert_ne!(outcome(&named, &token(header, claims)), "accepted");
            }
            for name in ["iss", "aud", "token_use", "typ", "scope"] {
                let rest = match name {
                    "iss" => format!(r#""aud":"{AUDIENCE}""#),
                    "aud" => format!(r#""iss":"{ISSUER}""#),
                    _ => format!(r#""aud":"{AUDIENCE}","iss":"{ISSUER}""#),
                };
                let claims = format!(r#"{{"exp":1800003600,{rest},{name:?}:{json}}}"#);
                let got = outcome(&strict(), &token(HS256, &claims));
                // A kind that is not known says nothing, and what is no scope is left out.
                let is_left_out = matches!(name, "typ" | "scope");
                assert_eq!(got == "accepted", is_left_out, "{name} {text:?}: {got}");
            }
        }
    }
    // Text that is no UTF-8 in the parts of a token, and beside them.
    for bytes in [
        &b"\xff\xfe"[..],
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
    ] {
        let claims = [b"{\"exp\":1800003600,\"sub\":\"", bytes, b"\"}"].concat();
        let token = sealed(&format!("{}.{}", b64(HS256), b64(claims)));
        assert_eq!(outcome(&lax(), &token), "malformed_token");
    }
}
