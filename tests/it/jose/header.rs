//! The JOSE header: `typ`, `crit`, `b64`, `kid`, and members that must mean nothing.

use serde_json::{Value, json};
use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::{Algorithm, PublicKey};

use crate::jose::harness::{
    AUDIENCE, CLAIMS, PAIRS, Pairs, b64, builder, lax, layer_for, outcome, secret, strict, table,
    token,
};

fn with(member: &str, value: &Value) -> String {
    let mut header = json!({"alg": "HS256"});
    header[member] = value.clone();
    token(header.to_string(), CLAIMS)
}

/// What the header may call a token, by default and under `require_at_jwt`.
#[test]
fn typ_names_an_access_token_or_nothing() {
    const KIND: &str = "wrong_token_type";
    let rows: [(&str, &str, &str); 47] = [
        ("at+jwt", "accepted", "accepted"),
        ("AT+JWT", "accepted", "accepted"),
        ("At+Jwt", "accepted", "accepted"),
        ("application/at+jwt", "accepted", "accepted"),
        ("APPLICATION/AT+JWT", "accepted", "accepted"),
        ("JWT", "accepted", KIND),
        ("jwt", "accepted", KIND),
        ("application/jwt", "accepted", KIND),
        ("", KIND, KIND),
        (" ", KIND, KIND),
        ("at+jwt ", KIND, KIND),
        (" at+jwt", KIND, KIND),
        ("at+jwt\u{0}", KIND, KIND),
        ("at+jwt;v=1", KIND, KIND),
        ("at jwt", KIND, KIND),
        ("at%2Bjwt", KIND, KIND),
        ("at+jw", KIND, KIND),
        ("at+jwts", KIND, KIND),
        ("application/", KIND, KIND),
        ("application/application/at+jwt", KIND, KIND),
        ("text/at+jwt", KIND, KIND),
        ("/at+jwt", KIND, KIND),
        ("JOSE", KIND, KIND),
        ("JWE", KIND, KIND),
        ("access_token", KIND, KIND),
        ("Bearer", KIND, KIND),
        // Other tokens of the same issuers, none of them an access token.
        ("dpop+jwt", KIND, KIND),
        ("oauth-id-jag+jwt", KIND, KIND),
        ("token-introspection+jwt", KIND, KIND),
        ("logout+jwt", KIND, KIND),
        ("secevent+jwt", KIND, KIND),
        ("application/secevent+jwt", KIND, KIND),
        ("id+jwt", KIND, KIND),
        ("ID", KIND, KIND),
        ("rt+jwt", KIND, KIND),
        ("oauth-authz-req+jwt", KIND, KIND),
        ("client-authentication+jwt", KIND, KIND),
        ("kb+jwt", KIND, KIND),
        ("dc+sd-jwt", KIND, KIND),
        ("txntoken+jwt", KIND, KIND),
        ("entity-statement+jwt", KIND, KIND),
        // Look-alikes: fullwidth, Cyrillic, Turkish, a soft hyphen, the long s.
        ("ａt+jwt", KIND, KIND),
        ("аt+jwt", KIND, KIND),
        ("JWТ", KIND, KIND),
        ("applıcation/at+jwt", KIND, KIND),
        ("at\u{ad}+jwt", KIND, KIND),
        ("applicationſ/JWT", KIND, KIND),
    ];
    let by_default = strict();
    let required = builder(secret()).require_at_jwt().build().expect("a layer");
    for (typ, loose, strict) in rows {
        let token = with("typ", &json!(typ));
        assert_eq!(outcome(&by_default, &token), loose, "typ {typ:?}");
        assert_eq!(
            outcome(&required, &token),
            strict,
            "typ {typ:?}, at+jwt required"
        );
    }
    let absent = token(r#"{"alg":"HS256"}"#, CLAIMS);
    assert_eq!(outcome(&by_default, &absent), "accepted");
    assert_eq!(outcome(&required, &absent), KIND);
    for typ in [
        json!(null),
        json!(1),
        json!(true),
        json!(["at+jwt"]),
        json!({"at+jwt": 1}),
    ] {
        let token = with("typ", &typ);
        assert_eq!(outcome(&by_default, &token), "malformed_token", "typ {typ}");
        assert_eq!(outcome(&required, &token), "malformed_token", "typ {typ}");
    }
}

#[test]
fn crit_is_refused_whatever_its_value() {
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["urn:example:unknown"]),
        json!([]),
        json!([1]),
        json!(null),
        json!(false),
        json!(""),
        json!({}),
        json!(["alg", "kid"]),
    ] {
        let token = with("crit", &crit);
        assert_eq!(outcome(&lax(), &token), "critical_header", "crit {crit}");
    }
    let header = r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#;
    assert_eq!(outcome(&lax(), &token(header, CLAIMS)), "critical_header");
    let header = r#"{"alg":"HS256","crit":["b64"],"b64":true}"#;
    assert_eq!(outcome(&lax(), &token(header, CLAIMS)), "critical_header");
}

#[test]
fn b64_is_true_or_absent() {
    for (b64, expected) in [
        (json!(true), "accepted"),
        (json!(false), "unencoded_payload"),
        (json!("false"), "malformed_token"),
        (json!("true"), "malformed_token"),
        (json!(0), "malformed_token"),
        (json!(1), "malformed_token"),
        (json!(null), "malformed_token"),
        (json!([true]), "malformed_token"),
    ] {
        assert_eq!(outcome(&lax(), &with("b64", &b64)), expected, "b64 {b64}");
    }
}

/// A secret without an id serves all tokens, a public key without one only those without one;
/// a key with an id serves those that name it, and those that name none.
#[test]
fn kid_rules() {
    let hmac = |kid: Option<&str>| -> JwtLayer {
        let builder = builder(secret());
        let builder = match kid {
            Some(kid) => builder.key_id(kid),
            None => builder,
        };
        builder.build().expect("a layer")
    };
    let absent = || token(r#"{"alg":"HS256"}"#, CLAIMS);
    for (key, kid, expected) in [
        (None, None, "accepted"),
        // Who shares a secret calls it something, and another holder need not.
        (None, Some("k1"), "accepted"),
        (None, Some(""), "accepted"),
        (Some("k1"), None, "accepted"),
        (Some("k1"), Some("k1"), "accepted"),
        (Some("k1"), Some("K1"), "unknown_key"),
        (Some("k1"), Some("k1 "), "unknown_key"),
        (Some("k1"), Some("k"), "unknown_key"),
        (Some("k1"), Some("k2"), "unknown_key"),
        (Some("k1"), Some(""), "unknown_key"),
        (Some("k1"), Some("../../dev/null"), "unknown_key"),
        (Some("k1"), Some("k1' OR '1'='1"), "unknown_key"),
        (
            Some("k1"),
            Some("https://attacker.example/keys"),
            "unknown_key",
        ),
        (Some("k1"), Some("k1\u{0}"), "unknown_key"),
        (Some("K"), Some("\u{212a}"), "unknown_key"),
    ] {
        let token = kid.map_or_else(absent, |kid| with("kid", &json!(kid)));
        let got = outcome(&hmac(key), &token);
        assert_eq!(got, expected, "key {key:?}, token {kid:?}");
    }
    for kid in [
        json!(null),
        json!(1),
        json!(true),
        json!(["k1"]),
        json!({"k1": 1}),
    ] {
        let token = with("kid", &kid);
        assert_eq!(
            outcome(&hmac(Some("k1")), &token),
            "malformed_token",
            "kid {kid}"
        );
        assert_eq!(outcome(&hmac(None), &token), "malformed_token", "kid {kid}");
    }
    // The id inside a JWK counts the same.
    let mut jwk = PAIRS.jwk(Algorithm::ES256);
    jwk["kid"] = json!("e1");
    let layer = builder(PublicKey::from_jwk(jwk.to_string()).expect("a key"));
    let layer = layer.audience(AUDIENCE).build().expect("a layer");
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"e1"}"#, "accepted"),
        (r#"{"alg":"ES256"}"#, "accepted"),
        (r#"{"alg":"ES256","kid":"e2"}"#, "unknown_key"),
    ] {
        let token = PAIRS.token(Algorithm::ES256, header, CLAIMS);
        assert_eq!(outcome(&layer, &token), expected, "{header}");
    }
}

/// RFC 7515 section 4.1 lets a token bring or point to its key; here it does not.
#[test]
fn keys_in_the_header_are_ignored() {
    let foreign = Pairs::generate();
    let theirs = foreign.jwk(Algorithm::ES256);
    let ours = PAIRS.jwk(Algorithm::ES256);
    let members = [
        ("jwk", theirs.clone()),
        ("jwk", ours),
        ("jwk", json!(null)),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("jku", json!("file:///etc/passwd")),
        ("x5u", json!("https://attacker.example/cert.pem")),
        ("x5c", json!([b64(foreign.spki(Algorithm::ES256))])),
        ("x5c", json!("not even an array")),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("epk", theirs),
        ("p2c", json!(2_147_483_647)),
        ("iss", json!("https://attacker.example")),
        ("https://attacker.example/claims", json!({"alg": "none"})),
    ];
    let layer = layer_for(Algorithm::ES256);
    for (member, value) in members {
        let mut header = json!({"alg": "ES256"});
        header[member] = value;
        let header = header.to_string();
        let good = PAIRS.token(Algorithm::ES256, &header, CLAIMS);
        assert_eq!(outcome(&layer, &good), "accepted", "{header}");
        let forged = foreign.token(Algorithm::ES256, &header, CLAIMS);
        assert_eq!(outcome(&layer, &forged), "invalid_signature", "{header}");
    }
}

#[test]
fn the_header_is_one_strict_json_object() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        token(format!(r#"{{"alg":"HS256","x":{open}{close}}}"#), CLAIMS)
    };
    let raw = |header: &str| token(header, CLAIMS);
    let bytes = |header: &[u8]| token(header, CLAIMS);
    table(
        &lax(),
        [
            ("spaces", raw(" {\r\n\t\"alg\" : \"HS256\" } "), "accepted"),
            ("empty", raw(""), "malformed_token"),
            ("null", raw("null"), "malformed_token"),
            ("an array", raw(r#"["alg","HS256"]"#), "malformed_token"),
            ("a string", raw(r#""HS256""#), "malformed_token"),
            ("a number", raw("1"), "malformed_token"),
            ("cut off", raw(r#"{"alg":"HS256""#), "malformed_token"),
            (
                "a trailing comma",
                raw(r#"{"alg":"HS256",}"#),
                "malformed_token",
            ),
            (
                "two objects",
                raw(r#"{"alg":"HS256"}{}"#),
                "malformed_token",
            ),
            (
                "trailing NUL",
                raw("{\"alg\":\"HS256\"}\0"),
                "malformed_token",
            ),
            (
                "a comment",
                raw(r#"{"alg":"HS256"/**/}"#),
                "malformed_token",
            ),
            ("single quotes", raw("{'alg':'HS256'}"), "malformed_token"),
            (
                "a BOM",
                raw("\u{feff}{\"alg\":\"HS256\"}"),
                "malformed_token",
            ),
            ("UTF-16", bytes(b"{\0\"\0a\0l\0g\0"), "malformed_token"),
            (
                "no UTF-8",
                bytes(b"{\"alg\":\"HS256\",\"x\":\"\xff\"}"),
                "malformed_token",
            ),
            (
                "an overlong slash",
                bytes(b"{\"alg\":\"HS256\",\"x\":\"\xc0\xaf\"}"),
                "malformed_token",
            ),
            (
                "half a surrogate pair",
                raw(r#"{"alg":"HS256","x":"\ud800"}"#),
                "malformed_token",
            ),
            (
                "a raw line feed",
                raw("{\"alg\":\"HS256\",\"x\":\"\n\"}"),
                "malformed_token",
            ),
            (
                "1e400",
                raw(r#"{"alg":"HS256","x":1e400}"#),
                "malformed_token",
            ),
            ("NaN", raw(r#"{"alg":"HS256","x":NaN}"#), "malformed_token"),
            (
                "a leading zero",
                raw(r#"{"alg":"HS256","x":01}"#),
                "malformed_token",
            ),
            (
                "kid twice",
                raw(r#"{"alg":"HS256","kid":"a","kid":"b"}"#),
                "duplicate_token_member",
            ),
            (
                "typ twice",
                raw(r#"{"typ":"JWT","alg":"HS256","typ":"at+jwt"}"#),
                "duplicate_token_member",
            ),
            (
                "twice by escapes",
                raw(r#"{"alg":"HS256","x":1,"\u0078":2}"#),
                "duplicate_token_member",
            ),
            (
                "crit twice",
                raw(r#"{"alg":"HS256","crit":[],"crit":[]}"#),
                "duplicate_token_member",
            ),
            (
                "twice inside",
                raw(r#"{"alg":"HS256","jwk":{"x":1,"x":1}}"#),
                "duplicate_token_member",
            ),
            (
                "RawValue",
                raw(r#"{"alg":"HS256","$serde_json::private::RawValue":"1"}"#),
                "malformed_token",
            ),
            (
                "Number",
                raw(r#"{"alg":"HS256","$serde_json::private::Number":"1"}"#),
                "malformed_token",
            ),
            (
                "Number inside",
                raw(r#"{"alg":"HS256","x":{"$serde_json::private::Number":"1"}}"#),
                "malformed_token",
            ),
            (
                "alg as Number",
                raw(r#"{"alg":{"$serde_json::private::Number":"HS256"}}"#),
                "malformed_token",
            ),
            ("depth 32", deep(32), "accepted"),
            ("depth 33", deep(33), "malformed_token"),
            ("depth 1,500", deep(1_500), "malformed_token"),
        ],
    );
}
