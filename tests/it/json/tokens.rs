//! JSON in tokens: what two readers could see differently is refused, in headers and in claims.

use common::jwt::b64;
use common::{SECRET, SigningKey, hs256_layer, sign, token};

use crate::jose::harness::{self, lax, sealed, table};
use crate::token::profile::{claims, present, with_claims, with_header};

const HS256: &str = r#"{"alg":"HS256"}"#;

#[test]
fn claims_are_one_strict_json_object() {
    let raw = |claims: &str| harness::token(HS256, claims);
    let bytes = |claims: &[u8]| sealed(&format!("{}.{}", b64(HS256), b64(claims)));
    let good = |extra: &str| raw(&format!(r#"{{"exp":1800003600{extra}}}"#));
    let arrays = |depth: usize| {
        good(&format!(
            r#","x":{}{}"#,
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        ))
    };
    let objects = |depth: usize| {
        let (open, close) = (r#"{"x":"#.repeat(depth - 2), "}".repeat(depth - 2));
        good(&format!(r#","x":{open}{{}}{close}"#))
    };
    let numbers = |depth: usize| {
        good(&format!(
            r#","x":{}1.5{}"#,
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        ))
    };
    table(
        &lax(),
        [
            ("the least", good(""), "accepted"),
            (
                "white space around",
                raw(" \r\n\t{\"exp\" : 1800003600 } "),
                "accepted",
            ),
            ("empty", raw(""), "malformed_token"),
            ("no members", raw("{}"), "missing_exp"),
            ("null", raw("null"), "malformed_token"),
            (
                "an array",
                raw(r#"[{"exp":1800003600}]"#),
                "malformed_token",
            ),
            ("pairs", raw(r#"["exp",1800003600]"#), "malformed_token"),
            (
                "a string",
                raw(r#""{\"exp\":1800003600}""#),
                "malformed_token",
            ),
            ("a number", raw("1800003600"), "malformed_token"),
            ("cut off", raw(r#"{"exp":1800003600"#), "malformed_token"),
            (
                "two objects",
                raw(r#"{"exp":1800003600}{"exp":1}"#),
                "malformed_token",
            ),
            (
                "a brace behind",
                raw(r#"{"exp":1800003600}}"#),
                "malformed_token",
            ),
            (
                "a NUL behind",
                raw("{\"exp\":1800003600}\0"),
                "malformed_token",
            ),
            (
                "a BOM",
                raw("\u{feff}{\"exp\":1800003600}"),
                "malformed_token",
            ),
            ("UTF-16", bytes(b"{\0\"\0e\0x\0p\0"), "malformed_token"),
            (
                "Latin-1",
                bytes(b"{\"exp\":1800003600,\"name\":\"M\xfcller\"}"),
                "malformed_token",
            ),
            (
                "a surrogate in bytes",
                bytes(b"{\"exp\":1800003600,\"x\":\"\xed\xa0\x80\"}"),
                "malformed_token",
            ),
            ("half a pair", good(r#","x":"\udc00""#), "malformed_token"),
            (
                "half a pair as a name",
                good(r#","\ud800":1"#),
                "malformed_token",
            ),
            (
                "a raw control character",
                good(",\"x\":\"\u{1}\""),
                "malformed_token",
            ),
            ("a bad escape", good(r#","x":"\q""#), "malformed_token"),
            ("a comment", good("/**/"), "malformed_token"),
            ("a trailing comma", good(","), "malformed_token"),
            (
                "a literal of another language",
                good(r#","x":undefined"#),
                "malformed_token",
            ),
            (
                "an unknown claim of 1e400",
                good(r#","x":1e400"#),
                "malformed_token",
            ),
            (
                "an unknown claim of 1e308",
                good(r#","x":1e308"#),
                "malformed_token",
            ),
            (
                "an unknown claim near 1e308",
                good(r#","x":9.99e307"#),
                "accepted",
            ),
            (
                "exp twice",
                good(r#","exp":9999999999"#),
                "duplicate_token_member",
            ),
            (
                "sub twice",
                good(r#","sub":"a","sub":"a""#),
                "duplicate_token_member",
            ),
            (
                "aud twice",
                good(r#","aud":"a","aud":["b"]"#),
                "duplicate_token_member",
            ),
            (
                "unknown twice",
                good(r#","x":1,"y":2,"x":3"#),
                "duplicate_token_member",
            ),
            (
                "twice by escapes",
                good(r#","s\u0075b":"a","sub":"b""#),
                "duplicate_token_member",
            ),
            (
                "an empty name twice",
                good(r#","":1,"":2"#),
                "duplicate_token_member",
            ),
            (
                "names that differ by case",
                good(r#","sub":"a","Sub":"b""#),
                "accepted",
            ),
            (
                "names that normalize alike",
                good(",\"\u{e9}\":1,\"e\u{301}\":2"),
                "accepted",
            ),
            (
                "twice in a claim",
                good(r#","x":{"a":1,"a":1}"#),
                "duplicate_token_member",
            ),
            (
                "twice in an array",
                good(r#","x":[[{"a":1,"b":{"c":1,"c":2}}]]"#),
                "duplicate_token_member",
            ),
            (
                "the same in two objects",
                good(r#","x":[{"a":1},{"a":1}],"a":1"#),
                "accepted",
            ),
            (
                "twice in nonce",
                good(r#","nonce":{"a":1,"a":1}"#),
                "duplicate_token_member",
            ),
            (
                "twice in events",
                good(r#","events":{"a":1,"a":1}"#),
                "duplicate_token_member",
            ),
            (
                "RawValue",
                good(r#","$serde_json::private::RawValue":"{}""#),
                "malformed_token",
            ),
            (
                "RawValue inside",
                good(r#","x":{"$serde_json::private::RawValue":"{\"a\":1}"}"#),
                "malformed_token",
            ),
            (
                "RawValue by escapes",
                good(r#","x":{"\u0024serde_json::private::RawValue":"1"}"#),
                "malformed_token",
            ),
            (
                "Number",
                good(r#","$serde_json::private::Number":"1""#),
                "malformed_token",
            ),
            (
                "Number inside",
                good(r#","x":{"$serde_json::private::Number":"1"}"#),
                "malformed_token",
            ),
            (
                "Number second",
                good(r#","x":{"a":1,"$serde_json::private::Number":"1"}"#),
                "malformed_token",
            ),
            (
                "Number of an object",
                good(r#","x":{"$serde_json::private::Number":{}}"#),
                "malformed_token",
            ),
            (
                "Number by escapes",
                good(r#","x":{"$serde_json::private::Numbe\u0072":"1"}"#),
                "malformed_token",
            ),
            ("arrays to depth 32", arrays(32), "accepted"),
            ("arrays to depth 33", arrays(33), "malformed_token"),
            ("arrays to depth 129", arrays(129), "malformed_token"),
            ("arrays to depth 5,000", arrays(5_000), "malformed_token"),
            ("objects to depth 32", objects(32), "accepted"),
            ("objects to depth 33", objects(33), "malformed_token"),
            ("a number at depth 32", numbers(32), "accepted"),
            (
                "nonce to depth 33",
                good(&format!(r#","nonce":{}{}"#, "[".repeat(32), "]".repeat(32))),
                "malformed_token",
            ),
        ],
    );
}

#[tokio::test]
async fn what_two_parsers_could_read_differently_is_refused() {
    let layer = hs256_layer();
    for members in [
        r#""aud":"a","aud":"b""#,
        r#""sub":"mallory""#,
        r#""exp":1900000000"#,
        r#""x":1,"x":1"#,
        r#""x":1,"\u0078":2"#,
        r#""x":{"a":1,"a":1}"#,
        r#""x":[[{"a":1,"a":1}]]"#,
        r#""cnf":{"jkt":"a","jkt":"a"}"#,
    ] {
        let answer = present(&layer, &with_claims(members)).await;
        assert_eq!(answer.status, 401, "{members}");
        assert!(["duplicate_token_member", "malformed_token"].contains(&answer.error().reason()));
    }
    let many: Vec<String> = (0..300).map(|name| format!(r#""c{name}":1"#)).collect();
    present(&layer, &with_claims(&many.join(",")))
        .await
        .admitted();
    let twice = format!(r#"{},"c0":1"#, many.join(","));
    present(&layer, &with_claims(&twice))
        .await
        .invalid("duplicate_token_member");
    let late = format!(r#"{},"c299":1"#, many.join(","));
    present(&layer, &with_claims(&late))
        .await
        .invalid("duplicate_token_member");

    for members in [
        r#""alg":"HS256""#,
        r#""kid":"a","kid":"a""#,
        r#""x":1,"x":1"#,
    ] {
        present(&layer, &with_header(members))
            .await
            .invalid("duplicate_token_member");
    }
    for json in [
        "",
        "null",
        "[]",
        "5",
        r#""x""#,
        "{",
        "{}{}",
        "{},",
        "\u{feff}{}",
        "{'a':1}",
        "{\"a\":1,}",
    ] {
        present(&layer, &token(json))
            .await
            .invalid("malformed_token");
        let token = sign(&SigningKey::hmac(SECRET), "HS256", json, &claims(""));
        present(&layer, &token).await.invalid("malformed_token");
    }
    // Bytes that are no UTF-8, inside a string.
    let input = format!(
        "{}.{}",
        b64(r#"{"alg":"HS256"}"#),
        b64(b"{\"sub\":\"\xff\",\"exp\":1900000000}")
    );
    let signature = SigningKey::hmac(SECRET).sign("HS256", input.as_bytes());
    let answer = present(&layer, &format!("{input}.{}", b64(signature))).await;
    answer.invalid("malformed_token");
}

#[tokio::test]
async fn numbers_that_not_every_reader_can_hold_are_refused_and_all_others_reach_the_claims() {
    let layer = hs256_layer();
    let digits = format!("{}", f64::MAX);
    for number in [
        "1e308",
        "-1e308",
        "1.7976931348623158e308",
        "17976931348623157e292",
        "1.797693134862315708e308",
        &digits,
    ] {
        for claim in [number.to_owned(), format!("[{{\"y\":{number}}}]")] {
            let answer = present(&layer, &with_claims(&format!(r#""x":{claim}"#))).await;
            answer.invalid("malformed_token");
        }
    }
    for number in ["9.99e307", "-9.99e307", "1e-400", "18446744073709551616"] {
        let answer = present(&layer, &with_claims(&format!(r#""x":{number}"#))).await;
        let principal = answer.principal();
        let (read, written): (_, f64) = (principal.claims()["x"].as_f64(), number.parse().unwrap());
        let error = (read.unwrap() - written).abs();
        assert!(error <= written.abs() * 1e-15, "{number}: {read:?}");
        assert_eq!(principal.claims()["sub"], "alice");
    }
}
