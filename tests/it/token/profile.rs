//! The profile a token must fit: which header, which claims, which kind of token.

use common::{Answer, NOW, SECRET, SigningKey, ask, clock, hs256_layer, request, sign, token};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::jwt::JwtLayerBuilder;
use tower_mcp_auth::{Actor, JwtLayer, Principal};

fn builder() -> JwtLayerBuilder {
    JwtLayer::builder(Secret::new(SECRET).unwrap()).clock(clock())
}

pub(crate) async fn present(layer: &JwtLayer, token: &str) -> Answer {
    ask(
        layer,
        request(&[("authorization", format!("Bearer {token}"))]),
    )
    .await
}

pub(crate) fn claims(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"sub":"alice","exp":{}{comma}{more}}}"#, NOW + 300)
}

/// Alice's token under a header with these further members.
pub(crate) fn with_header(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    let header = format!(r#"{{"alg":"HS256"{comma}{members}}}"#);
    sign(&SigningKey::hmac(SECRET), "HS256", &header, &claims(""))
}

pub(crate) fn with_claims(members: &str) -> String {
    token(&claims(members))
}

#[tokio::test]
async fn typ_is_at_jwt_or_jwt_or_absent_without_regard_to_ascii_case() {
    let (loose, strict) = (hs256_layer(), builder().require_at_jwt().build().unwrap());
    for (typ, is_loose, is_strict) in [
        (r#""typ":"at+jwt""#, true, true),
        (r#""typ":"AT+JWT""#, true, true),
        (r#""typ":"application/at+jwt""#, true, true),
        (r#""typ":"Application/At+Jwt""#, true, true),
        (r#""typ":"JWT""#, true, false),
        (r#""typ":"jwt""#, true, false),
        (r#""typ":"application/jwt""#, true, false),
        ("", true, false),
        (r#""typ":"""#, false, false),
        (r#""typ":" JWT""#, false, false),
        (r#""typ":"JWT ""#, false, false),
        (r#""typ":"at jwt""#, false, false),
        (r#""typ":"id+jwt""#, false, false),
        (r#""typ":"dpop+jwt""#, false, false),
        (r#""typ":"logout+jwt""#, false, false),
        (r#""typ":"JOSE""#, false, false),
        (r#""typ":"text/at+jwt""#, false, false),
        (r#""typ":"application/application/jwt""#, false, false),
        (r#""typ":"at+j\u0301wt""#, false, false),
        (r#""typ":"\uff2aWT""#, false, false),
    ] {
        println!("{typ}");
        for (layer, passes) in [(&loose, is_loose), (&strict, is_strict)] {
            let answer = present(layer, &with_header(typ)).await;
            match passes {
                true => drop(answer.admitted()),
                false => answer.invalid("wrong_token_type"),
            }
        }
    }
    for typ in ["5", "null", "true", r#"["JWT"]"#, "{}"] {
        let answer = present(&loose, &with_header(&format!(r#""typ":{typ}"#))).await;
        answer.invalid("malformed_token");
    }
}

#[tokio::test]
async fn other_kinds_of_tokens_are_refused_unless_they_say_at_jwt() {
    let layer = hs256_layer();
    for (members, passes) in [
        (r#""token_use":"access""#, true),
        (r#""token_use":"access_token""#, true),
        (r#""token_use":"id""#, false),
        (r#""token_use":"""#, false),
        (r#""token_use":"Access""#, false),
        (r#""typ":"Bearer""#, true),
        (r#""typ":"ID""#, false),
        (r#""typ":"Refresh""#, false),
        (r#""typ":"Offline""#, false),
        (r#""typ":"Logout""#, false),
        (r#""at_hash":"x""#, false),
        (r#""c_hash":"x""#, false),
        (r#""s_hash":"x""#, false),
        (r#""events":{}"#, false),
        (r#""at_hash":null"#, true),
        (r#""nonce":"x""#, false),
        (r#""nonce":null"#, true),
        (r#""nonce":"x","scope":"openid""#, true),
        (r#""nonce":"x","scp":["a"]"#, true),
        (r#""scope":"openid","nonce":"x","at_hash":"y""#, false),
        // These prove nothing.
        (
            r#""azp":"c","sid":"s","auth_time":1,"acr":"1","amr":["pwd"],"email":"a@b""#,
            true,
        ),
    ] {
        println!("{members}");
        let answer = present(&layer, &with_claims(members)).await;
        match passes {
            true => drop(answer.admitted()),
            false => answer.invalid("wrong_token_type"),
        }
        let header = r#"{"alg":"HS256","typ":"at+jwt"}"#;
        let token = sign(&SigningKey::hmac(SECRET), "HS256", header, &claims(members));
        present(&layer, &token).await.admitted();
    }
    for claim in ["token_use", "typ", "client_id", "azp", "username", "sub"] {
        for value in ["5", "true", "[]", "{}"] {
            let members = format!(r#""{claim}":{value}"#);
            let claims = format!(r#"{{"exp":{},{members}}}"#, NOW + 300);
            present(&layer, &token(&claims))
                .await
                .invalid("malformed_token");
        }
    }
}

#[tokio::test]
async fn a_time_of_the_wrong_type_is_never_taken_for_absent() {
    let layer = hs256_layer();
    for value in [
        r#""1900000000""#,
        "true",
        "false",
        "-1",
        "-0.5",
        "1e300",
        "1e400",
        "-1e400",
        "[]",
        "[1900000000]",
        "{}",
        r#"{"$serde_json::private::Number":"1900000000"}"#,
        r#""""#,
    ] {
        for claim in ["exp", "nbf", "iat"] {
            let rest = if claim == "exp" {
                String::new()
            } else {
                format!(r#""exp":{},"#, NOW + 9)
            };
            let token = token(&format!(r#"{{"sub":"a",{rest}"{claim}":{value}}}"#));
            present(&layer, &token).await.invalid("malformed_token");
        }
    }
    for broken in ["NaN", "Infinity", "0x10", "01", "1.", "+1"] {
        let token = token(&format!(r#"{{"sub":"a","exp":{broken}}}"#));
        present(&layer, &token).await.invalid("malformed_token");
    }
    present(&layer, &token(r#"{"sub":"a"}"#))
        .await
        .invalid("missing_exp");
    present(&layer, &token("{}")).await.invalid("missing_exp");
}

#[tokio::test]
async fn critical_and_unencoded_headers_are_refused_and_key_headers_ignored() {
    let layer = hs256_layer();
    for crit in [
        r#"["exp"]"#,
        r#"["b64"]"#,
        "[]",
        "null",
        r#""b64""#,
        r#"["x"],"x":1"#,
    ] {
        let answer = present(&layer, &with_header(&format!(r#""crit":{crit}"#))).await;
        answer.invalid("critical_header");
    }
    present(&layer, &with_header(r#""b64":true"#))
        .await
        .admitted();
    present(&layer, &with_header(r#""b64":false"#))
        .await
        .invalid("unencoded_payload");
    for b64 in ["null", "0", r#""true""#, "[]"] {
        let answer = present(&layer, &with_header(&format!(r#""b64":{b64}"#))).await;
        answer.invalid("malformed_token");
    }
    for members in [
        r#""jku":"http://127.0.0.1:1/keys","x5u":"http://127.0.0.1:1/x""#,
        r#""x5c":["AAAA"],"x5t":"AAAA","cty":"JWT","private":{"a":[1]}"#,
        r#""jwk":{"kty":"oct","k":"AAAA"}"#,
        r#""jwk":5,"jku":5,"x5c":5"#,
    ] {
        present(&layer, &with_header(members)).await.admitted();
    }
    // A key in the header does not verify anything.
    let own = SigningKey::hmac("the-attackers-own-secret-0123-xyzw");
    let header = format!(r#"{{"alg":"HS256","jwk":{{{}}}}}"#, own.jwk_members());
    present(&layer, &sign(&own, "HS256", &header, &claims("")))
        .await
        .invalid("invalid_signature");
}

#[tokio::test]
async fn a_key_serves_the_tokens_that_name_it_or_none_and_a_secret_without_id_all() {
    let named = builder().key_id("k1").build().unwrap();
    let unnamed = hs256_layer();
    let public = JwtLayer::builder(SigningKey::p256().public()).clock(clock());
    let public = public.dangerously_any_audience().build().unwrap();
    let kid = |kid: &str| with_header(&format!(r#""kid":{kid}"#));
    present(&named, &kid(r#""k1""#)).await.admitted();
    present(&named, &with_header("")).await.admitted();
    present(&unnamed, &with_header("")).await.admitted();
    for other in [r#""K1""#, r#""k1 ""#, r#""k""#, r#""""#, r#""../k1""#] {
        present(&named, &kid(other)).await.invalid("unknown_key");
        present(&unnamed, &kid(other)).await.admitted();
        let header = format!(r#"{{"alg":"ES256","kid":{other}}}"#);
        let token = sign(SigningKey::p256(), "ES256", &header, &claims(""));
        present(&public, &token).await.invalid("unknown_key");
    }
    let token = sign(
        SigningKey::p256(),
        "ES256",
        r#"{"alg":"ES256"}"#,
        &claims(""),
    );
    present(&public, &token).await.admitted();
    for wrong in ["5", "null", "[]", r#"["k1"]"#] {
        present(&named, &kid(wrong))
            .await
            .invalid("malformed_token");
    }
}

#[tokio::test]
async fn a_bound_token_is_refused_as_a_plain_bearer_token() {
    let layer = hs256_layer();
    for cnf in [
        r#"{"jkt":"x"}"#,
        r#"{"x5t#S256":"x"}"#,
        r#"{"jkt":"x","x5t#S256":"y","other":1}"#,
        "{}",
        r#"{"jwk":{}}"#,
    ] {
        present(&layer, &with_claims(&format!(r#""cnf":{cnf}"#)))
            .await
            .invalid("bound_token");
    }
    present(&layer, &with_claims(r#""cnf":null"#))
        .await
        .admitted();
    present(&layer, &with_claims(r#""cnf":{"x5t#S256":null}"#))
        .await
        .invalid("bound_token");
    for cnf in ["5", "[]", r#""x""#, r#"{"jkt":5}"#] {
        let answer = present(&layer, &with_claims(&format!(r#""cnf":{cnf}"#))).await;
        answer.invalid("malformed_token");
    }
}

#[tokio::test]
async fn base64url_has_one_spelling() {
    let layer = hs256_layer();
    let good = with_header("");
    let parts: Vec<&str> = good.split('.').collect();
    for (header, payload, signature) in [
        (
            format!("{}=", parts[0]),
            parts[1].to_owned(),
            parts[2].to_owned(),
        ),
        (
            parts[0].to_owned(),
            parts[1].to_owned(),
            format!("{}=", parts[2]),
        ),
        (
            parts[0].to_owned(),
            parts[1].to_owned(),
            format!("{}A", parts[2]),
        ),
        (
            parts[0].to_owned(),
            parts[1].to_owned(),
            parts[2].replace(['-', '_'], "+") + "+/",
        ),
        (String::new(), parts[1].to_owned(), parts[2].to_owned()),
        (parts[0].to_owned(), String::new(), parts[2].to_owned()),
    ] {
        let answer = present(&layer, &format!("{header}.{payload}.{signature}")).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401));
        answer.error();
    }
    // 32 bytes leave two bits in the last character; all but zero are another spelling.
    let last = good.chars().next_back().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| *other != last) {
        let token = format!("{}{other}", &good[..good.len() - 1]);
        assert_eq!(present(&layer, &token).await.status, 401);
    }
}

#[tokio::test]
async fn sizes_and_depth_are_bounded_before_anything_is_believed() {
    let layer = hs256_layer();
    // The bounds themselves are inside.
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        with_claims(&format!(r#""x":{open}{close}"#))
    };
    present(&layer, &nested(32)).await.admitted();
    present(&layer, &nested(33))
        .await
        .invalid("malformed_token");
    let nested = |depth: usize| {
        let (open, close) = (r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1));
        with_claims(&format!(r#""x":{open}1{close}"#))
    };
    present(&layer, &nested(32)).await.admitted();
    present(&layer, &nested(33))
        .await
        .invalid("malformed_token");
    let deep = format!(r#""x":{}{}"#, "[".repeat(1_000), "]".repeat(1_000));
    present(&layer, &with_header(&deep))
        .await
        .invalid("malformed_token");

    // {"alg":"HS256","x":"…"} of 4096 bytes, and of one more.
    let header = |length: usize| with_header(&format!(r#""x":"{}""#, "y".repeat(length - 22)));
    present(&layer, &header(4096)).await.admitted();
    assert_eq!(
        present(&layer, &header(4100)).await.error().reason(),
        "header_too_large"
    );
    for size in [4097, 4098, 4099] {
        present(&layer, &header(size))
            .await
            .invalid("header_too_large");
    }

    // A token of exactly 16 KiB.
    let largest = (11_000..13_000)
        .map(|length| with_claims(&format!(r#""x":"{}""#, "y".repeat(length))))
        .filter(|token| token.len() <= 16 * 1024)
        .max_by_key(String::len)
        .unwrap();
    assert!(largest.len() > 16 * 1024 - 3);
    present(&layer, &largest).await.admitted();
    present(&layer, &format!("{largest}AAAA"))
        .await
        .invalid("token_too_large");
    for token in [
        ".".repeat(1 << 20),
        "a".repeat(1 << 20),
        format!("{}..", "a".repeat(1 << 20)),
    ] {
        present(&layer, &token).await.invalid("token_too_large");
    }
    present(&layer, &".".repeat(16 * 1024))
        .await
        .invalid("not_a_jwt");
}

#[tokio::test]
async fn types_that_are_named_pass_besides_the_usual_ones() {
    let layer = builder().accepted_typ(["JWS", "application/rsa"]);
    let layer = layer.build().unwrap();
    for (typ, passes) in [
        (r#""typ":"JWS""#, true),
        (r#""typ":"application/jws""#, true),
        (r#""typ":"RSA""#, true),
        (r#""typ":"JWT""#, true),
        (r#""typ":"at+jwt""#, true),
        ("", true),
        (r#""typ":"EC""#, false),
        (r#""typ":"dpop+jwt""#, false),
        (r#""typ":"""#, false),
    ] {
        let answer = present(&layer, &with_header(typ)).await;
        match passes {
            true => drop(answer.admitted()),
            false => answer.invalid("wrong_token_type"),
        }
    }
    present(&layer, &with_header(r#""typ":["JWS"]"#))
        .await
        .invalid("malformed_token");
}

#[tokio::test]
async fn a_subject_is_the_digits_of_a_whole_number_however_long() {
    let layer = builder().subject_claim("user_id").build().unwrap();
    let with = |user_id: &str| {
        let claims = format!(r#"{{"exp":{},"user_id":{user_id}}}"#, NOW + 300);
        token(&claims)
    };
    for (user_id, subject) in [
        ("7", "7"),
        ("\"7\"", "7"),
        ("18446744073709551616", "18446744073709551616"),
        ("18446744073709551617", "18446744073709551617"),
        ("-9223372036854775809", "-9223372036854775809"),
        (r#""\u0061""#, "a"),
    ] {
        let answer = present(&layer, &with(user_id)).await;
        let principal = Principal::from_extensions(&answer.admitted().extensions).unwrap();
        assert_eq!(principal.subject(), Some(subject));
        assert_eq!(principal.id().to_string(), format!("jwt|sub={subject}"));
    }
    for user_id in ["-0", "7.0", "7e0", "1E3", "true", "[7]", "{}", "[\"a\"]"] {
        present(&layer, &with(user_id))
            .await
            .invalid("malformed_token");
    }
    for user_id in ["null", "\"\""] {
        present(&layer, &with(user_id))
            .await
            .invalid("missing_subject");
    }
    // Twice is refused before anybody chooses.
    present(&layer, &with("7,\"user_id\":8"))
        .await
        .invalid("duplicate_token_member");
    present(&layer, &with("7,\"user\\u005fid\":8"))
        .await
        .invalid("duplicate_token_member");
}

#[tokio::test]
async fn an_actor_is_named_once_and_is_no_part_of_the_id() {
    let layer = hs256_layer();
    let chain = r#""act":{"sub":"agent","act":{"sub":"\u0062efore","iss":"https://a.example"}}"#;
    let answer = present(&layer, &with_claims(chain)).await;
    let principal = Principal::from_extensions(&answer.admitted().extensions).unwrap();
    let subjects: Vec<_> = principal.actors().iter().map(Actor::subject).collect();
    assert_eq!(subjects, [Some("agent"), Some("before")]);
    assert_eq!(principal.id().to_string(), "jwt|sub=alice");
    for act in [
        r#"{"sub":"agent","sub":"other"}"#,
        r#"{"sub":"agent","s\u0075b":"other"}"#,
        r#"{"sub":"agent","act":{"sub":"a"},"act":{"sub":"b"}}"#,
        r#"{"sub":"agent","act":{"sub":"a","iss":"b","iss":"c"}}"#,
        r#"{"sub":"agent","x":{"y":1,"y":2}}"#,
        r#"{"sub":"agent"},"act":{"sub":"other"}"#,
        r#"{"sub":"agent"},"\u0061ct":{"sub":"other"}"#,
    ] {
        present(&layer, &with_claims(&format!(r#""act":{act}"#)))
            .await
            .invalid("duplicate_token_member");
    }
}
