//! The claims: what makes a JWT an access token for this server, now.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::Secret;

use crate::jose::harness::{
    AUDIENCE, ISSUER, NOW, SECRET, ask, at, builder, lax, outcome, secret, strict, table, token,
};

const HS256: &str = r#"{"alg":"HS256"}"#;

/// A token that is good but for the members set (or, by `null` in `without`, removed) here.
fn claims(change: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 3600,
    });
    for (name, value) in change {
        claims[*name] = value.clone();
    }
    claims.to_string()
}

fn with(change: &[(&str, Value)]) -> String {
    token(HS256, claims(change))
}

fn without(name: &str) -> String {
    let mut claims: Value = serde_json::from_str(&claims(&[])).expect("JSON");
    claims.as_object_mut().expect("an object").remove(name);
    token(HS256, claims.to_string())
}

/// `claims` with one raw member, for numbers that a JSON library would not write.
fn raw(name: &str, value: &str) -> String {
    let rest = claims(&[]);
    let rest: Value = serde_json::from_str(&rest).expect("JSON");
    let mut rest = rest.as_object().expect("an object").clone();
    rest.remove(name);
    let rest = Value::Object(rest).to_string();
    token(
        HS256,
        format!(r#"{},"{name}":{value}}}"#, &rest[..rest.len() - 1]),
    )
}

#[test]
fn the_base_of_these_tables_is_good() {
    let principal = ask(&strict(), &with(&[])).expect("a good token");
    assert_eq!(principal.subject(), Some("alice"));
    assert_eq!(principal.issuer(), Some(ISSUER));
    let expiry = UNIX_EPOCH + Duration::from_secs(NOW + 3600);
    assert_eq!(principal.expires_at(), Some(expiry));
}

#[test]
fn iss_is_exactly_one_string() {
    let mut rows = vec![
        ("absent", without("iss"), "missing_issuer"),
        ("exact", with(&[("iss", json!(ISSUER))]), "accepted"),
        (
            "by escapes",
            raw("iss", r#""https:\/\/idp.example.co\u006d""#),
            "accepted",
        ),
    ];
    for (name, iss) in [
        ("a trailing slash", "https://idp.example.com/"),
        ("a prefix", "https://idp.example.co"),
        ("a longer host", "https://idp.example.com.evil.example"),
        ("a path", "https://idp.example.com/realms/evil"),
        ("user info", "https://idp.example.com@evil.example"),
        ("a suffix", "idp.example.com"),
        ("http", "http://idp.example.com"),
        ("another host", "https://evil.example"),
        ("upper case", "HTTPS://IDP.EXAMPLE.COM"),
        ("one letter in upper case", "https://idp.example.coM"),
        ("a port", "https://idp.example.com:443"),
        ("a space behind", "https://idp.example.com "),
        ("a space in front", " https://idp.example.com"),
        ("a NUL behind", "https://idp.example.com\u{0}"),
        ("a Cyrillic letter", "https://idp.exаmple.com"),
        ("a fullwidth stop", "https://idp．example.com"),
        ("percent-encoded", "https://idp%2Eexample.com"),
        ("a query", "https://idp.example.com?"),
        ("a fragment", "https://idp.example.com#"),
        ("empty", ""),
    ] {
        rows.push((name, with(&[("iss", json!(iss))]), "issuer_mismatch"));
    }
    for (name, iss) in [
        ("an array of it", json!([ISSUER])),
        ("an array with it", json!(["https://evil.example", ISSUER])),
        ("an empty array", json!([])),
        ("a number", json!(5)),
        ("true", json!(true)),
        ("an object", json!({ ISSUER: true })),
    ] {
        rows.push((name, with(&[("iss", iss)]), "malformed_token"));
    }
    rows.push(("null", with(&[("iss", json!(null))]), "missing_issuer"));
    table(&strict(), rows.clone());
    // A configured slash is not forgiven either.
    let slash = builder(secret()).issuer("https://idp.example.com/").build();
    let slash = slash.expect("a layer");
    assert_eq!(outcome(&slash, &with(&[])), "issuer_mismatch");
    // Where no issuer is configured, its type still counts.
    for (name, token, expected) in rows {
        let expected = match expected {
            "malformed_token" => expected,
            _ => "accepted",
        };
        assert_eq!(outcome(&lax(), &token), expected, "{name}, unchecked");
    }
}

#[test]
fn aud_names_this_server() {
    let joined = format!("{AUDIENCE} https://other.example");
    let mut rows = vec![
        ("absent", without("aud"), "missing_audience"),
        ("a string", with(&[("aud", json!(AUDIENCE))]), "accepted"),
        ("an array", with(&[("aud", json!([AUDIENCE]))]), "accepted"),
        (
            "one of several",
            with(&[("aud", json!(["a", AUDIENCE, "b"]))]),
            "accepted",
        ),
        (
            "twice the same",
            with(&[("aud", json!([AUDIENCE, AUDIENCE]))]),
            "accepted",
        ),
        (
            "an empty array",
            with(&[("aud", json!([]))]),
            "audience_mismatch",
        ),
        (
            "an array of nothing",
            with(&[("aud", json!([""]))]),
            "audience_mismatch",
        ),
    ];
    for (name, aud) in [
        ("empty", ""),
        ("several in one string", joined.as_str()),
        (
            "several with commas",
            "https://mcp.example.com/mcp,https://other.example",
        ),
        ("another server", "https://other.example"),
        ("another path of this host", "https://mcp.example.com/other"),
        ("the origin", "https://mcp.example.com"),
        ("a trailing slash", "https://mcp.example.com/mcp/"),
        ("a longer path", "https://mcp.example.com/mcp-b"),
        ("a prefix", "https://mcp.example.com/mc"),
        ("upper case", "https://MCP.example.com/mcp"),
        ("a query", "https://mcp.example.com/mcp?"),
        ("a star", "*"),
        ("a pattern", "https://mcp.example.com/*"),
        ("a look-alike", "https://mcp.exаmple.com/mcp"),
        ("a space behind", "https://mcp.example.com/mcp "),
    ] {
        rows.push((name, with(&[("aud", json!(aud))]), "audience_mismatch"));
        let array = format!("{name}, in an array");
        rows.push((
            array.leak(),
            with(&[("aud", json!([aud]))]),
            "audience_mismatch",
        ));
    }
    for (name, aud) in [
        ("a number", json!(5)),
        ("true", json!(true)),
        ("an object", json!({ AUDIENCE: true })),
        ("an array of numbers", json!([5])),
        ("an array with a number", json!([AUDIENCE, 5])),
        ("an array with a number first", json!([5, AUDIENCE])),
        ("an array with null", json!([AUDIENCE, null])),
        ("an array in an array", json!([[AUDIENCE]])),
    ] {
        rows.push((name, with(&[("aud", aud)]), "malformed_token"));
    }
    rows.push(("null", with(&[("aud", json!(null))]), "missing_audience"));
    table(&strict(), rows);
    let two = builder(secret()).audience("a").audience(AUDIENCE).build();
    let two = two.expect("a layer");
    for (aud, expected) in [
        (json!("a"), "accepted"),
        (json!(AUDIENCE), "accepted"),
        (json!(["b", "a"]), "accepted"),
        (json!("b"), "audience_mismatch"),
    ] {
        assert_eq!(
            outcome(&two, &with(&[("aud", aud.clone())])),
            expected,
            "{aud}"
        );
    }
}

#[test]
fn the_operator_reads_what_differs() {
    let hint = |change: &[(&str, Value)]| {
        let error = ask(&strict(), &with(change)).expect_err("a refusal");
        error.detail().expect("a detail").to_owned()
    };
    assert_eq!(
        hint(&[("aud", json!("https://mcp.example.com/mcp/"))]),
        "expected \"https://mcp.example.com/mcp\", got \"https://mcp.example.com/mcp/\" \
         (they differ only by a trailing slash)"
    );
    let case = hint(&[("iss", json!("https://IDP.example.com"))]);
    assert!(case.ends_with("(they differ only by case)"), "{case}");
}

/// `exp` past, `nbf` and `iat` ahead, each by one second more than the clocks may differ.
#[test]
fn times_are_judged_to_the_second() {
    let time = |name: &str, at: u64| with(&[(name, json!(at))]);
    let rows = [
        ("exp", NOW + 1, "accepted"),
        ("exp", NOW, "accepted"),
        ("exp", NOW - 59, "accepted"),
        ("exp", NOW - 60, "expired"),
        ("exp", NOW - 61, "expired"),
        ("exp", 0, "expired"),
        ("exp", u64::MAX, "accepted"),
        ("exp", u64::MAX - 59, "accepted"),
        ("nbf", 0, "accepted"),
        ("nbf", NOW, "accepted"),
        ("nbf", NOW + 60, "accepted"),
        ("nbf", NOW + 61, "not_yet_valid"),
        ("nbf", u64::MAX, "not_yet_valid"),
        ("iat", 0, "accepted"),
        ("iat", NOW + 60, "accepted"),
        ("iat", NOW + 61, "issued_in_the_future"),
        ("iat", u64::MAX, "issued_in_the_future"),
    ];
    for (name, at, expected) in rows {
        assert_eq!(outcome(&lax(), &time(name, at)), expected, "{name} {at}");
    }
    assert_eq!(outcome(&lax(), &without("exp")), "missing_exp");

    let exact = builder(secret())
        .clock_skew(Duration::ZERO)
        .build()
        .expect("a layer");
    for (name, at, expected) in [
        ("exp", NOW + 1, "accepted"),
        ("exp", NOW, "expired"),
        ("nbf", NOW, "accepted"),
        ("nbf", NOW + 1, "not_yet_valid"),
        ("iat", NOW, "accepted"),
        ("iat", NOW + 1, "issued_in_the_future"),
    ] {
        assert_eq!(
            outcome(&exact, &time(name, at)),
            expected,
            "{name} {at}, no skew"
        );
    }
    let widest = builder(secret())
        .clock_skew(Duration::from_secs(300))
        .build();
    let widest = widest.expect("a layer");
    assert_eq!(outcome(&widest, &time("exp", NOW - 299)), "accepted");
    assert_eq!(outcome(&widest, &time("exp", NOW - 300)), "expired");
    let wider = builder(secret())
        .clock_skew(Duration::from_millis(300_001))
        .build();
    assert_eq!(wider.expect_err("too wide").setting(), "clock_skew");
}

#[test]
fn a_token_expires_while_the_clock_moves() {
    let clock = at(NOW);
    let layer = JwtLayer::builder(secret()).clock(clock.clone()).build();
    let layer = layer.expect("a layer");
    let token = with(&[("exp", json!(NOW + 10)), ("nbf", json!(NOW + 65))]);
    assert_eq!(outcome(&layer, &token), "not_yet_valid");
    clock.advance(Duration::from_millis(5_000));
    assert_eq!(outcome(&layer, &token), "accepted");
    clock.advance(Duration::from_millis(64_999));
    assert_eq!(outcome(&layer, &token), "accepted");
    clock.advance(Duration::from_millis(1));
    assert_eq!(outcome(&layer, &token), "expired");
}

/// Clocks at both ends of time: nothing overflows.
#[test]
fn no_clock_overflows() {
    for now in [0, 1, NOW, u64::MAX / 1000, u64::MAX] {
        let layer = JwtLayer::builder(secret()).clock(at(now)).build();
        let layer = layer.expect("a layer");
        for exp in [
            "0",
            "1",
            "1800000000",
            "18446744073709551615",
            "1e19",
            "0.5",
        ] {
            let got = outcome(&layer, &raw("exp", exp));
            assert!(
                matches!(got, "accepted" | "expired"),
                "{got} at {now} for {exp}"
            );
            let got = outcome(&layer, &raw("nbf", exp));
            assert!(
                matches!(got, "accepted" | "expired" | "not_yet_valid"),
                "{got}"
            );
        }
    }
}

/// RFC 7519 section 2: NumericDate is a JSON number. Everything else but `null` is refused,
/// never taken for absent.
#[test]
fn dates_are_numbers() {
    for (name, expected) in [
        ("exp", "missing_exp"),
        ("nbf", "accepted"),
        ("iat", "accepted"),
    ] {
        assert_eq!(outcome(&lax(), &raw(name, "null")), expected, "{name}");
    }
    for name in ["exp", "nbf", "iat"] {
        for value in [
            r#""1800003600""#,
            r#""""#,
            "true",
            "false",
            "[]",
            "[1800003600]",
            "{}",
            "-1",
            "-1800003600",
            "-0.5",
            "-1e300",
            "1e400",
            "-1e400",
            "1e300",
            "1e20",
            "18446744073709551616",
            "99999999999999999999999999",
            "NaN",
            "Infinity",
            "nan",
            "0x10",
            "+1800003600",
            "01800003600",
            "1_800_003_600",
            "1800003600.",
            ".5",
            "1800003600s",
            r#"{"$serde_json::private::Number":"1800003600"}"#,
            r#"{"$serde_json::private::Number":1800003600}"#,
            r#"{"$serde_json::private::RawValue":"1800003600"}"#,
        ] {
            let got = outcome(&lax(), &raw(name, value));
            assert_eq!(got, "malformed_token", "{name}: {value}");
        }
    }
    for (value, expected) in [
        ("1800003600.0", "accepted"),
        ("1800003600.75", "accepted"),
        ("1.8000036e9", "accepted"),
        ("18000036E2", "accepted"),
        ("1e19", "accepted"),
        ("18446744073709551615", "accepted"),
        // Not rounded: half a second of validity is left, or is gone.
        ("1799999940.5", "accepted"),
        ("1799999939.5", "expired"),
        ("0", "expired"),
        ("-0", "expired"),
        ("0.0", "expired"),
        ("1e-400", "expired"),
    ] {
        assert_eq!(
            outcome(&lax(), &raw("exp", value)),
            expected,
            "exp: {value}"
        );
    }
    let far = ask(&lax(), &raw("exp", "18446744073709551615")).expect("a good token");
    assert_eq!(
        far.expires_at(),
        None,
        "a time no clock of this system reaches"
    );
}

#[test]
fn names_and_scopes_are_strings() {
    for name in [
        "sub",
        "client_id",
        "azp",
        "username",
        "token_use",
        "typ",
        "type",
        "token_type",
        "tokenType",
    ] {
        let token = with(&[(name, json!(null))]);
        assert_eq!(outcome(&lax(), &token), "accepted", "{name}: null");
        for value in [
            json!(1),
            json!(true),
            json!(["alice"]),
            json!([]),
            json!({}),
        ] {
            let token = with(&[(name, value.clone())]);
            assert_eq!(
                outcome(&lax(), &token),
                "malformed_token",
                "{name}: {value}"
            );
        }
    }
    for (scope, expected) in [
        ("", "accepted"),
        ("read", "accepted"),
        ("  read   write ", "accepted"),
    ] {
        let got = outcome(&lax(), &with(&[("scope", json!(scope))]));
        assert_eq!(got, expected, "scope {scope:?}");
    }
    for value in [
        json!(1),
        json!(true),
        json!({}),
        json!(["read", 1]),
        json!([null]),
    ] {
        let token = with(&[("scope", value.clone())]);
        assert_eq!(outcome(&lax(), &token), "malformed_token", "scope: {value}");
    }
}

/// Only what RFC 6749 section 3.3 allows is a scope; what is none takes no others with it.
#[test]
fn what_is_no_scope_by_its_characters_is_left_out() {
    for (scope, granted) in [
        (json!("re\"ad write"), "write"),
        (json!("write re\\ad"), "write"),
        (json!("read\twrite admin"), "admin"),
        (json!("read\nwrite"), ""),
        (json!("lesen\u{e4} write read"), "write read"),
        (json!("read\u{a0}write"), ""),
        (json!("\u{7f} read read"), "read"),
        (json!(["read", "write"]), "read write"),
        (json!(["read", "a b", "write"]), "read write"),
        (json!(["a b"]), ""),
        (json!(["\"", "", "read"]), "read"),
        (json!(["\u{e4}"]), ""),
        (json!([]), ""),
        (json!(null), ""),
    ] {
        let principal = ask(&lax(), &with(&[("scope", scope.clone())])).expect("a good token");
        assert_eq!(principal.scopes().as_str(), granted, "{scope}");
        let unread = ask(&lax(), &with(&[("scp", scope.clone())])).expect("a good token");
        assert_eq!(unread.scopes().as_str(), "", "{scope}");
        // A list with nothing in it that is a scope says nothing of what the token is.
        let nonce = ("nonce", json!("n"));
        let got = outcome(&lax(), &with(&[("scope", scope.clone()), nonce]));
        let is_named = !granted.is_empty();
        assert_eq!(got == "accepted", is_named, "{scope}: {got}");
    }
}

#[test]
fn scopes_that_stand_where_none_are_read_are_named_to_the_operator() {
    let layer = |claim: Option<&'static str>| {
        let layer = builder(secret()).required_scopes(["read"]);
        let layer = match claim {
            Some(claim) => layer.scope_claim(claim),
            None => layer,
        };
        layer.build().expect("a layer")
    };
    let detail = |claim, change: &[(&str, Value)]| {
        let error = ask(&layer(claim), &with(change)).expect_err("a refusal");
        assert_eq!(error.reason(), "insufficient_scope");
        error.detail().expect("a detail").to_owned()
    };
    for value in [json!("read write"), json!(["write", "read"])] {
        let hint = detail(None, &[("scp", value.clone())]);
        assert!(hint.contains(r#"`scope_claim("scp")`"#), "{value}: {hint}");
        let hint = detail(Some("scp"), &[("scope", value.clone())]);
        assert!(
            hint.contains(r#"`scope_claim("scope")`"#),
            "{value}: {hint}"
        );
    }
    for (claim, change) in [
        (None, ("scope", json!("write"))),
        (None, ("scp", json!([]))),
        (None, ("scp", json!(null))),
        (Some("scp"), ("scp", json!(["write"]))),
        (Some("scp"), ("scope", json!(""))),
    ] {
        let hint = detail(claim, std::slice::from_ref(&change));
        assert!(!hint.contains("scope_claim"), "{change:?}: {hint}");
    }
    let hint = detail(None, &[("scope", json!("write r\u{e9}ad"))]);
    assert!(hint.contains("left out"), "{hint}");
}

#[test]
fn a_scope_claim_of_another_name_may_be_an_array() {
    let layer = builder(secret())
        .scope_claim("permissions")
        .required_scopes(["read"])
        .build()
        .expect("a layer");
    for (value, expected) in [
        (json!(["read"]), "accepted"),
        (json!("write read"), "accepted"),
        (json!(["write"]), "insufficient_scope"),
        (json!([]), "insufficient_scope"),
        // One element is one scope.
        (json!(["write read"]), "insufficient_scope"),
        (json!(["read", 1]), "malformed_token"),
        (json!(null), "insufficient_scope"),
    ] {
        let token = with(&[("permissions", value.clone())]);
        assert_eq!(outcome(&layer, &token), expected, "{value}");
    }
    assert_eq!(
        outcome(&layer, &with(&[("scope", json!("read"))])),
        "insufficient_scope"
    );
}

/// ID tokens, refresh tokens, logout tokens of the same issuer, told apart by their marks;
/// `at+jwt` says what it is and needs no guessing.
#[test]
fn other_kinds_of_tokens_are_told_by_their_claims() {
    const KIND: &str = "wrong_token_type";
    let rows: Vec<(Value, &str)> = vec![
        (json!({"token_use": "access"}), "accepted"),
        (json!({"token_use": "access_token"}), "accepted"),
        (json!({"token_use": "id"}), KIND),
        (json!({"token_use": "refresh"}), KIND),
        (json!({"token_use": "ACCESS"}), KIND),
        (json!({"token_use": "access "}), KIND),
        (json!({"token_use": ""}), KIND),
        (json!({"typ": "Bearer"}), "accepted"),
        (json!({"typ": "ID"}), KIND),
        (json!({"typ": "Refresh"}), KIND),
        (json!({"typ": "Offline"}), KIND),
        (json!({"typ": "Logout"}), KIND),
        (json!({"at_hash": "x"}), KIND),
        (json!({"c_hash": "x"}), KIND),
        (json!({"s_hash": "x"}), KIND),
        (json!({"AT_HASH": ["x"]}), KIND),
        (
            json!({"at_hash": null, "events": null, "ati": null}),
            "accepted",
        ),
        (json!({"events": {}}), KIND),
        (
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
            KIND,
        ),
        (
            json!({"at_hash": "x", "scope": "read", "token_use": "access"}),
            KIND,
        ),
        (json!({"nonce": "n"}), KIND),
        (json!({"nonce": ""}), KIND),
        (json!({"nonce": null}), "accepted"),
        (json!({"nonce": 1}), KIND),
        (json!({"nonce": "n", "scope": "openid"}), "accepted"),
        (json!({"nonce": "n", "scp": "read"}), "accepted"),
        (json!({"nonce": "n", "scp": ["read"]}), "accepted"),
        (json!({"nonce": "n", "Scope": "read"}), KIND),
        (json!({"nonce": "n", "scopes": "read"}), KIND),
        // These prove nothing, either way.
        (json!({"azp": "client"}), "accepted"),
        (
            json!({"sid": "s", "auth_time": 1, "acr": "1", "amr": ["pwd"]}),
            "accepted",
        ),
        (
            json!({"email": "alice@example.com", "email_verified": true}),
            "accepted",
        ),
        (
            json!({"jti": "1", "given_name": "Alice", "roles": {"a": [1, 2, {"b": null}]}}),
            "accepted",
        ),
    ];
    for (extra, expected) in rows {
        let change: Vec<(&str, Value)> = extra
            .as_object()
            .expect("an object")
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let claims = claims(&change);
        for header in [HS256, r#"{"alg":"HS256","typ":"JWT"}"#] {
            let got = outcome(&strict(), &token(header, &claims));
            assert_eq!(got, expected, "{header} {extra}");
        }
        let got = outcome(
            &strict(),
            &token(r#"{"alg":"HS256","typ":"at+jwt"}"#, &claims),
        );
        assert_eq!(got, "accepted", "at+jwt {extra}");
    }
}

/// The names makers have for kinds of tokens, and how they write them.
#[test]
fn kinds_of_tokens_are_told_by_the_marks_of_their_makers() {
    let judge = |claim: &str, value: &Value| {
        let claims = claims(&[("scope", json!("read")), (claim, value.clone())]);
        let at_jwt = token(r#"{"alg":"HS256","typ":"at+jwt"}"#, &claims);
        assert_eq!(
            outcome(&strict(), &at_jwt),
            "accepted",
            "at+jwt {claim}: {value}"
        );
        outcome(&strict(), &token(HS256, &claims))
    };
    let names = [
        "typ",
        "type",
        "token_type",
        "token-type",
        "tokenType",
        "TokenType",
        "TOKEN_TYPE",
        "Typ",
        "tokenName",
        "token_name",
        "tokenUse",
        "Token_Use",
        "token_kind",
        "tokenKind",
        "kind",
        "use",
        "usage",
        "purpose",
        "token_purpose",
        "tokenUsage",
        "tty",
    ];
    for name in names {
        for kind in [
            "refresh",
            "Refresh",
            "REFRESH",
            "refresh_token",
            "RefreshToken",
            "refresh-token",
            "REFRESH_TOKEN",
            "rt+jwt",
            "id",
            "ID",
            "Id_Token",
            "IDToken",
            "id-token",
            "Offline",
            "offline_token",
            "Logout",
            "logout+jwt",
            "application/logout+jwt",
            "logout_token",
            "urn:ietf:params:oauth:token-type:refresh_token",
            "URN:ietf:params:oauth:token-type:id_token",
            "authorization_code",
            "Serialized-ID",
            "password-reset",
            "emailVerification",
        ] {
            let got = judge(name, &json!(kind));
            assert_eq!(got, "wrong_token_type", "{name}: {kind}");
        }
        for kind in [
            "Bearer",
            "bearer",
            "DPoP",
            "access",
            "ACCESS",
            "access_token",
            "access-token",
            "at+jwt",
            "AccessToken",
            "JWT",
            "JWTToken",
            "app",
            "user",
            "N_A",
            "at",
            "",
            "sliding",
            "online",
            "\u{ff32}efresh",
            "refre\u{17f}h",
            "idp",
            "grid",
            "offliner",
            "urn:ietf:params:oauth:token-type:access_token",
        ] {
            assert_eq!(judge(name, &json!(kind)), "accepted", "{name}: {kind}");
        }
    }
    for (claim, value, expected) in [
        // Spring Security OAuth: the id of the access token, in refresh tokens.
        (
            "ati",
            json!("2e7a8f66-0d7c-4f2f-9b8a-4e4b8f7a2f30"),
            "wrong_token_type",
        ),
        ("ati", json!(1), "wrong_token_type"),
        ("ati", json!(null), "accepted"),
        // Descope.
        ("drn", json!("DS"), "accepted"),
        ("drn", json!("DSR"), "wrong_token_type"),
        ("refresh", json!(true), "wrong_token_type"),
        ("refresh", json!(false), "accepted"),
        ("refresh", json!("yes"), "accepted"),
        ("isRefreshToken", json!(true), "wrong_token_type"),
        ("is_refresh", json!(true), "wrong_token_type"),
        ("fresh", json!(false), "accepted"),
        // How it was obtained, and not what it is.
        ("grant_type", json!("refresh_token"), "accepted"),
        ("gty", json!(["refresh_token"]), "accepted"),
        // These tell kinds apart and nothing else: what is no text is refused.
        ("typ", json!(["Refresh"]), "malformed_token"),
        ("TYPE", json!(1), "malformed_token"),
        ("token_type", json!({}), "malformed_token"),
        ("tokenType", json!([]), "malformed_token"),
        ("token_type", json!(null), "accepted"),
        // These say other things as well.
        ("purpose", json!(1), "accepted"),
        ("kind", json!({"a": 1}), "accepted"),
        ("use", json!(["sig", "enc"]), "accepted"),
        ("use", json!(["refresh"]), "wrong_token_type"),
    ] {
        let header_is_at_jwt = json!({claim: value});
        let claims = claims(&[("scope", json!("read")), (claim, value)]);
        let got = outcome(&strict(), &token(HS256, &claims));
        assert_eq!(got, expected, "{header_is_at_jwt}");
    }
    // One that says so is enough.
    let two = [("token_type", json!("access")), ("type", json!("refresh"))];
    assert_eq!(outcome(&strict(), &with(&two)), "wrong_token_type");
    // None of them can be read as scopes, for then it would not be judged.
    for name in names.into_iter().chain(["ati", "at_hash", "events", "drn"]) {
        let layer = builder(secret()).scope_claim(name).build();
        assert_eq!(layer.expect_err(name).setting(), "scope_claim", "{name}");
    }
}

/// A token bound to a key is no bearer token, and no binding is checked here.
#[test]
fn bound_tokens_are_refused() {
    for (cnf, expected) in [
        (json!({"jkt": "x"}), "bound_token"),
        (json!({"x5t#S256": "x"}), "bound_token"),
        (json!({"jkt": "x", "x5t#S256": "y"}), "bound_token"),
        (json!({"jkt": "x", "else": {"deep": [1]}}), "bound_token"),
        (json!({"jwk": {"kty": "EC"}}), "bound_token"),
        (json!({"kid": "x"}), "bound_token"),
        (json!({"JKT": "x"}), "bound_token"),
        (json!({}), "bound_token"),
        (json!({"jkt": null}), "bound_token"),
        (json!({"jkt": null, "x5t#S256": "x"}), "bound_token"),
        (json!(null), "accepted"),
        (json!("x"), "malformed_token"),
        (json!([]), "malformed_token"),
        (json!(["jkt"]), "malformed_token"),
        (json!(false), "malformed_token"),
        (json!({"jkt": ["x"]}), "malformed_token"),
        (json!({"x5t#S256": 1}), "malformed_token"),
    ] {
        for header in [HS256, r#"{"alg":"HS256","typ":"at+jwt"}"#] {
            let token = token(header, claims(&[("cnf", cnf.clone())]));
            assert_eq!(outcome(&strict(), &token), expected, "{header} {cnf}");
        }
    }
    let twice = raw("cnf", r#"{"jkt":"x","jkt":"y"}"#);
    assert_eq!(outcome(&strict(), &twice), "duplicate_token_member");
}

#[test]
fn required_scopes_are_asked_last() {
    let layer = builder(secret())
        .required_scopes(["read", "write"])
        .audience(AUDIENCE)
        .build()
        .expect("a layer");
    let scope = |scope: &str| ("scope", json!(scope));
    for (change, expected) in [
        (vec![scope("write read")], "accepted"),
        (vec![scope("read")], "insufficient_scope"),
        (vec![scope("READ WRITE")], "insufficient_scope"),
        (vec![scope("readwrite")], "insufficient_scope"),
        (vec![], "insufficient_scope"),
        (vec![scope("read"), ("exp", json!(1))], "expired"),
        (
            vec![scope("read"), ("aud", json!("x"))],
            "audience_mismatch",
        ),
    ] {
        assert_eq!(outcome(&layer, &with(&change)), expected, "{change:?}");
    }
    // Only who holds a good token learns what it lacks.
    let longer = Secret::new([SECRET, b"x"].concat()).expect("a secret");
    let other = builder(longer).required_scopes(["read"]).build();
    assert_eq!(
        outcome(&other.expect("a layer"), &with(&[])),
        "invalid_signature"
    );
}

#[test]
fn all_claims_reach_the_handler_as_they_were_signed() {
    let claims = r#"{"exp":1800003600,"tenant":"t\u00fc","n":{"a":[1,2.5,null,true,"x"]},"big":18446744073709551615}"#;
    let principal = ask(&lax(), &token(HS256, claims)).expect("a good token");
    let expected: Value = serde_json::from_str(claims).expect("JSON");
    assert_eq!(Value::Object(principal.claims().clone()), expected);
    let printed = format!("{principal:?}");
    assert!(!printed.contains("tenant"), "{printed}");
}
