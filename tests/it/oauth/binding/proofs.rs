//! The checks of RFC 9449 section 4.3, and what FAPI 2.0 asks of resource servers: one test each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::{DpopKey, DpopProofBuilder};

use super::super::support::{RESOURCE, START};
use super::{Bound, assert_refused};

type Change = fn(DpopProofBuilder) -> DpopProofBuilder;

/// Every change is made to a good proof, and refused for this reason.
async fn refused<const N: usize>(reason: &str, changes: [(&str, Change); N]) {
    let bound = Bound::new();
    for (what, change) in changes {
        let answer = bound.ask(&change(bound.proof()).sign()).await;
        assert_eq!(answer.reason(), reason, "{what}: {answer:?}");
        assert_refused(&answer, "invalid_dpop_proof", reason);
    }
    // What they were made from is good.
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
    assert_eq!(bound.guarded.reached(), 1);
}

#[tokio::test]
async fn a_good_proof_is_accepted_and_taken_out_of_the_request() {
    let bound = Bound::new();
    let request = Request::post("/mcp")
        .header("authorization", format!("DPoP {}", bound.token))
        .header("dpop", bound.proof().sign())
        .body(Full::default())
        .unwrap();
    let answer = common::ask(&bound.guarded.layer, request).await;
    let inside = answer.admitted();
    for name in ["dpop", "authorization"] {
        assert!(!inside.headers.contains_key(name), "{name}");
    }
    assert_eq!(answer.principal().subject(), Some("alice"));
    // A second token of the same client, and the scheme in any case.
    let token = bound.issuer.token(json!({
        "cnf": {"jkt": bound.key.thumbprint()}, "jti": "2",
    }));
    for scheme in ["dpop", "DPOP"] {
        let proof = bound.proof_for(&token).sign();
        bound
            .ask_with(scheme, &token, &[&proof])
            .await
            .assert(200, "accepted");
    }
}

#[tokio::test]
async fn every_asymmetric_algorithm_is_accepted() {
    let bound = Bound::new();
    for algorithm in [
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        // RustCrypto's side has no P-521.
        if algorithm == Algorithm::ES512 && !cfg!(feature = "aws-lc-rs") {
            continue;
        }
        let key = DpopKey::for_algorithm(algorithm);
        let token = bound
            .issuer
            .token(json!({"cnf": {"jkt": key.thumbprint()}}));
        for _ in 0..2 {
            let proof = key.proof("POST", RESOURCE).access_token(&token);
            let proof = proof.issued_at(START).sign();
            let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
            assert_eq!(answer.reason(), "accepted", "{algorithm}: {answer:?}");
        }
        if algorithm == Algorithm::EdDSA {
            // RFC 9864.
            let proof = key.proof("POST", RESOURCE).access_token(&token);
            let proof = proof.issued_at(START).header("alg", "Ed25519").sign();
            let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
            answer.assert(200, "accepted");
        }
    }
}

/// Section 4.3, check 1.
#[tokio::test]
async fn there_is_exactly_one_proof() {
    let bound = Bound::new();
    let none = bound.ask_with("DPoP", &bound.token, &[]).await;
    assert_refused(&none, "invalid_dpop_proof", "missing_dpop_proof");
    let (one, other) = (bound.proof().sign(), bound.proof().sign());
    for proofs in [[&*one, &*other], [&*one, &*one], [&*one, ""]] {
        let two = bound.ask_with("DPoP", &bound.token, &proofs).await;
        assert_refused(&two, "invalid_dpop_proof", "duplicate_dpop_proof");
    }
    let listed = format!("{one}, {other}");
    let listed = bound.ask(&listed).await;
    assert_refused(&listed, "invalid_dpop_proof", "malformed_dpop_proof");
}

/// Check 2.
#[tokio::test]
async fn a_proof_is_one_well_formed_jwt() {
    let bound = Bound::new();
    let good = bound.proof().sign();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("{good}");
    };
    for text in [
        "",
        "null",
        "a.b",
        &format!("{header}.{payload}"),
        &format!("{good}.x"),
        &format!("{header}.{payload}.{signature}="),
        &format!("{header}=.{payload}.{signature}"),
        &format!(" {header} .{payload}.{signature}"),
        &format!("{header}.{payload}.{}", "A".repeat(8 * 1024)),
        &format!("{}.{payload}.{signature}", "e".repeat(6 * 1024)),
    ] {
        let answer = bound.ask(text).await;
        assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof");
    }
    let request = Request::post("/mcp")
        .header("authorization", format!("DPoP {}", bound.token))
        .header("dpop", HeaderValue::from_bytes(b"\xff.\xff.\xff").unwrap());
    let request = request.body(Full::default()).unwrap();
    let answer = bound.guarded.ask(request).await;
    assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof");
}

/// Check 2, of what two readers could take for two things.
#[tokio::test]
async fn ambiguous_json_is_refused() {
    refused(
        "malformed_dpop_proof",
        [
            ("header twice", |proof| {
                proof.raw_header(r#"{"typ":"dpop+jwt","typ":"JWT","alg":"ES256","jwk":{}}"#)
            }),
            ("no header", |proof| proof.raw_header("[]")),
            ("broken header", |proof| proof.raw_header(r#"{"typ":"#)),
            ("deep header", |proof| {
                let (open, close) = ("[".repeat(40), "]".repeat(40));
                proof.raw_header(&format!(r#"{{"x":{open}{close}}}"#))
            }),
            ("claims twice", |proof| {
                proof.raw_payload(r#"{"jti":"1","jti":"2"}"#)
            }),
            ("no claims", |proof| proof.raw_payload("7")),
            ("crit", |proof| proof.header("crit", json!(["b64"]))),
            ("b64", |proof| proof.header("b64", false)),
        ],
    )
    .await;
}

/// Check 3.
#[tokio::test]
async fn every_claim_is_there_and_of_its_type() {
    let bound = Bound::new();
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        for value in [None, Some(Value::Null), Some(json!({})), Some(json!(true))] {
            let proof = match &value {
                None => bound.proof().without_claim(name),
                Some(value) => bound.proof().claim(name, value.clone()),
            };
            let answer = bound.ask(&proof.sign()).await;
            assert_eq!(answer.reason(), "malformed_dpop_proof", "{name} {value:?}");
            assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof");
        }
    }
    for (name, value) in [("nonce", json!(1)), ("exp", json!("x")), ("nbf", json!(-1))] {
        let answer = bound.ask(&bound.proof().claim(name, value).sign()).await;
        assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof");
    }
}

/// Check 3: `jti` is kept, and must not cost much.
#[tokio::test]
async fn jti_has_1_to_256_bytes() {
    let bound = Bound::new();
    for (jti, is_good) in [
        (String::new(), false),
        ("x".to_owned(), true),
        ("x".repeat(256), true),
        ("x".repeat(257), false),
        ("ä".repeat(128), true),
        ("ä".repeat(129), false),
    ] {
        let answer = bound.ask(&bound.proof().claim("jti", &*jti).sign()).await;
        match is_good {
            true => answer.assert(200, "accepted"),
            false => assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof"),
        }
    }
}

/// Check 4.
#[tokio::test]
async fn typ_is_dpop_jwt() {
    refused(
        "malformed_dpop_proof",
        [
            ("none", |proof| proof.without_header("typ")),
            ("JWT", |proof| proof.header("typ", "JWT")),
            ("at+jwt", |proof| proof.header("typ", "at+jwt")),
            ("longer", |proof| proof.header("typ", "dpop+jwt2")),
            ("a list", |proof| proof.header("typ", json!(["dpop+jwt"]))),
        ],
    )
    .await;
    let bound = Bound::new();
    // RFC 7515 section 4.1.9.
    for typ in ["application/dpop+jwt", "DPoP+JWT"] {
        let proof = bound.proof().header("typ", typ).sign();
        bound.ask(&proof).await.assert(200, "accepted");
    }
}

/// Check 5.
#[tokio::test]
async fn the_algorithm_is_asymmetric_and_known() {
    refused(
        "malformed_dpop_proof",
        [
            ("none", |proof| proof.header("alg", "none")),
            ("missing", |proof| proof.without_header("alg")),
            ("HMAC", |proof| proof.header("alg", "HS256")),
            ("unknown", |proof| proof.header("alg", "ES256K")),
            ("case", |proof| proof.header("alg", "es256")),
            ("of another kind of key", |proof| {
                proof.header("alg", "RS256")
            }),
            ("of another curve", |proof| proof.header("alg", "ES384")),
        ],
    )
    .await;
}

/// Check 6.
#[tokio::test]
async fn the_signature_holds() {
    let bound = Bound::new();
    let foreign = DpopKey::generate();
    let forged = bound.proof().signed_with(&foreign).sign();
    let answer = bound.ask(&forged).await;
    assert_refused(&answer, "invalid_dpop_proof", "invalid_dpop_signature");
    // Also once the key is known.
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
    let good = bound.proof().sign();
    let (input, _) = good.rsplit_once('.').unwrap();
    for signature in ["", "AAAA", &"A".repeat(86)] {
        let answer = bound.ask(&format!("{input}.{signature}")).await;
        assert_refused(&answer, "invalid_dpop_proof", "invalid_dpop_signature");
    }
    let answer = bound.ask(&bound.proof().signed_with(&foreign).sign()).await;
    assert_refused(&answer, "invalid_dpop_proof", "invalid_dpop_signature");
    bound.ask(&good).await.assert(200, "accepted");
}

/// Check 7.
#[tokio::test]
async fn the_key_has_no_private_part() {
    let bound = Bound::new();
    for (name, value) in [("d", json!("AQAB")), ("k", json!("AQAB")), ("p", json!(1))] {
        let mut jwk = bound.key.jwk();
        jwk[name] = value;
        let answer = bound.ask(&bound.proof().header("jwk", jwk).sign()).await;
        assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof");
        assert!(answer.detail().contains("private"), "{answer:?}");
    }
    refused(
        "malformed_dpop_proof",
        [
            ("missing", |proof| proof.without_header("jwk")),
            ("null", |proof| proof.header("jwk", Value::Null)),
            ("a text", |proof| proof.header("jwk", "{}")),
            ("empty", |proof| proof.header("jwk", json!({}))),
            ("symmetric", |proof| {
                proof.header("jwk", json!({"kty": "oct", "k": "AQAB"}))
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_not_for_this_is_refused() {
    let bound = Bound::new();
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES384")),
        ("crv", json!("P-521")),
        ("x", json!("AAAA")),
        ("x", json!("*")),
    ] {
        let mut jwk = bound.key.jwk();
        jwk[name] = value;
        let answer = bound.ask(&bound.proof().header("jwk", jwk).sign()).await;
        assert_refused(&answer, "invalid_dpop_proof", "malformed_dpop_proof");
    }
    // What says nothing against it.
    let mut jwk = bound.key.jwk();
    jwk["alg"] = json!("ES256");
    jwk["use"] = json!("sig");
    jwk["kid"] = json!("1");
    jwk["x5u"] = json!("https://evil.example/");
    let proof = bound.proof().header("jwk", jwk).sign();
    bound.ask(&proof).await.assert(200, "accepted");
}

/// Check 8.
#[tokio::test]
async fn htm_is_the_method() {
    refused(
        "dpop_method_mismatch",
        [
            ("GET", |proof| proof.claim("htm", "GET")),
            ("case", |proof| proof.claim("htm", "post")),
            ("empty", |proof| proof.claim("htm", "")),
        ],
    )
    .await;
}

/// Check 9; the spellings of it are in `targets`.
#[tokio::test]
async fn htu_is_the_url() {
    refused(
        "dpop_uri_mismatch",
        [
            ("path", |proof| {
                proof.claim("htu", "https://mcp.example.com/other")
            }),
            ("host", |proof| {
                proof.claim("htu", "https://evil.example/mcp")
            }),
            ("scheme", |proof| {
                proof.claim("htu", "http://mcp.example.com/mcp")
            }),
            ("port", |proof| {
                proof.claim("htu", "https://mcp.example.com:8443/mcp")
            }),
            ("relative", |proof| proof.claim("htu", "/mcp")),
        ],
    )
    .await;
}

/// Check 11, and FAPI 2.0: at least 10 s both ways.
#[tokio::test]
async fn iat_is_within_300_seconds_both_ways() {
    let bound = Bound::new();
    let now = START.as_secs();
    for (iat, is_good) in [
        (now - 300, true),
        (now - 301, false),
        (now - 10, true),
        (now + 10, true),
        (now + 300, true),
        (now + 301, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let answer = bound.ask(&bound.proof().claim("iat", iat).sign()).await;
        match is_good {
            true => answer.assert(200, "accepted"),
            false => assert_refused(&answer, "invalid_dpop_proof", "dpop_time_mismatch"),
        }
    }
}

#[tokio::test]
async fn iat_is_a_whole_number() {
    let bound = Bound::new();
    let whole = START.as_secs();
    let good = bound.proof().sign();
    let payload = good.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&B64.decode(payload).unwrap()).unwrap();
    for iat in [
        format!("{whole}.0"),
        format!("{whole}.5"),
        format!("-{whole}"),
        "1.8e9".to_owned(),
        format!("\"{whole}\""),
        "99999999999999999999999".to_owned(),
    ] {
        let mut claims = claims.clone();
        claims["iat"] = json!("HERE");
        let text = claims.to_string().replace("\"HERE\"", &iat);
        let answer = bound.ask(&bound.proof().raw_payload(&text).sign()).await;
        assert_eq!(answer.reason(), "malformed_dpop_proof", "{iat}");
    }
}

/// FAPI 2.0: they may be there. What they say counts.
#[tokio::test]
async fn exp_and_nbf_are_judged_where_they_are_there() {
    let bound = Bound::new();
    let now = START.as_secs();
    for (name, value, is_good) in [
        ("exp", now + 30, true),
        ("exp", now - 59, true),
        ("exp", now - 60, false),
        ("nbf", now - 30, true),
        ("nbf", now + 60, true),
        ("nbf", now + 61, false),
    ] {
        let answer = bound.ask(&bound.proof().claim(name, value).sign()).await;
        match is_good {
            true => answer.assert(200, "accepted"),
            false => assert_refused(&answer, "invalid_dpop_proof", "dpop_time_mismatch"),
        }
    }
}

/// Check 12a.
#[tokio::test]
async fn ath_is_the_hash_of_the_token() {
    refused(
        "dpop_token_mismatch",
        [
            ("of another token", |proof| proof.access_token("another")),
            ("empty", |proof| proof.claim("ath", "")),
            ("padded", |proof| {
                proof.claim("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo=")
            }),
        ],
    )
    .await;
    // A proof for one token of a client is none for another.
    let bound = Bound::new();
    let other = bound.issuer.token(json!({
        "cnf": {"jkt": bound.key.thumbprint()}, "jti": "2",
    }));
    let answer = bound
        .ask_with("DPoP", &other, &[&bound.proof().sign()])
        .await;
    assert_refused(&answer, "invalid_dpop_proof", "dpop_token_mismatch");
}

/// Check 12b; section 7.1 has this code for it.
#[tokio::test]
async fn the_proof_is_of_the_key_of_the_token() {
    let bound = Bound::new();
    let thief = DpopKey::generate();
    let proof = thief.proof("POST", RESOURCE).access_token(&bound.token);
    let answer = bound.ask(&proof.issued_at(START).sign()).await;
    assert_refused(&answer, "invalid_token", "dpop_key_mismatch");
    // Before the signature: what the thief signs with is not looked at.
    let proof = thief.proof("POST", RESOURCE).access_token(&bound.token);
    let proof = proof.issued_at(START).signed_with(&bound.key).sign();
    let answer = bound.ask(&proof).await;
    assert_refused(&answer, "invalid_token", "dpop_key_mismatch");
}

#[tokio::test]
async fn no_refusal_repeats_what_was_sent() {
    let bound = Bound::new();
    for proof in [
        bound.proof().claim("htm", "s3cr3t"),
        bound.proof().claim("htu", "https://s3cr3t.example/"),
        bound.proof().claim("jti", "s3cr3t").claim("ath", "s3cr3t"),
        bound.proof().header("typ", "s3cr3t"),
        bound.proof().header("alg", "s3cr3t"),
    ] {
        let answer = bound.ask(&proof.sign()).await;
        assert_eq!(answer.status, 401);
        let headers = format!("{:?}", answer.headers);
        assert!(!headers.contains("s3cr3t"), "{headers}");
    }
}

/// What is kept ready of keys is bounded, and serves the algorithm of each proof.
#[tokio::test]
async fn one_key_signs_with_several_algorithms() {
    let bound = Bound::new();
    let key = DpopKey::for_algorithm(Algorithm::PS256);
    let token = bound
        .issuer
        .token(json!({"cnf": {"jkt": key.thumbprint()}}));
    let proof = || key.proof("POST", RESOURCE).access_token(&token);
    let good = proof().issued_at(START).sign();
    let answer = bound.ask_with("DPoP", &token, &[&good]).await;
    answer.assert(200, "accepted");
    // It says RS256, and was signed as PS256 is.
    let lie = proof().issued_at(START).header("alg", "RS256").sign();
    let answer = bound.ask_with("DPoP", &token, &[&lie]).await;
    assert_refused(&answer, "invalid_dpop_proof", "invalid_dpop_signature");
}
