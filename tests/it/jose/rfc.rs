//! The examples of RFC 7515, 7517, 7520 and 8037, and the algorithm name of RFC 9864.

use serde_json::json;
use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};

use crate::jose::harness::{NOW, PAIRS, ask, at, aws_lc, builder, outcome, unb64};

/// The examples expire on 2011-03-22.
const BEFORE_EXPIRY: u64 = 1_300_819_379;

const RFC7515_HS256_KEY: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CA\
    ow";

const RFC7515_HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODA\
    sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_w\
    W1gFWFOEjXk";

const RFC7515_RS256_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz\
    P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6\
    3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw\
    Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW\
    yuXpoQ";

const RFC7515_RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF\
    tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu\
    3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdi\
    uB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x\
    i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A\
    XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

const RFC7515_ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF\
    tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw\
    5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

const RFC7517_RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\
    oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65\
    YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyr\
    dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK\
    nqDKgw";

const RFC7520_RSA_N: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZ\
    QHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oB\
    HqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVb\
    b9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHd\
    rNP5zw";

const RFC7520_HS256_KEY: &str = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";

const RFC7520_RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGE\
    gZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB\
    0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmc\
    gd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5ME\
    aHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4\
    JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFx\
    nt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZ\
    Dnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";

const RFC7520_PS384: &str = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGE\
    gZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB\
    0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmc\
    gd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0k\
    kOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbX\
    UvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT\
    3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKP\
    bByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";

const RFC7520_HS256: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXT\
    igJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXA\
    gb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGt\
    ub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.s0h6KThzkfBBBkLspW1h84VsJZFTsPP\
    qMDA7g1Md7p0";

const RFC7520_ES512: &str = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGE\
    gZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB\
    0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmc\
    gd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZG\
    YNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-k\
    vAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";

const RFC7520_P521_X: &str = "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5c\
    j0Kt";

const RFC7520_P521_Y: &str = "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-Hq\
    HZR1";

const RFC8037_EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7\
    -09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn rsa(n: &str) -> serde_json::Value {
    json!({"kty": "RSA", "n": n, "e": "AQAB"})
}

fn rfc7515_p256() -> serde_json::Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn rfc8037_ed25519() -> serde_json::Value {
    json!({
        "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })
}

fn jwk(value: &serde_json::Value) -> PublicKey {
    PublicKey::from_jwk(value.to_string()).expect("a key")
}

fn layer(key: PublicKey, time: u64) -> JwtLayer {
    JwtLayer::builder(key)
        .dangerously_any_audience()
        .issuer("joe")
        .clock(at(time))
        .build()
        .expect("a layer")
}

#[test]
fn rfc7515_appendix_a_tokens_pass_until_they_expire() {
    let secret = Secret::new(unb64(RFC7515_HS256_KEY)).expect("64 bytes");
    let hmac = |time| {
        let builder = JwtLayer::builder(secret.clone()).issuer("joe");
        builder.clock(at(time)).build().expect("a layer")
    };
    let a2 = jwk(&rsa(RFC7515_RS256_N));
    let a3 = jwk(&rfc7515_p256());
    type LayerAt<'l> = &'l dyn Fn(u64) -> JwtLayer;
    let examples: [(&str, &str, LayerAt<'_>); 3] = [
        ("A.1 HS256", RFC7515_HS256, &hmac),
        ("A.2 RS256", RFC7515_RS256, &|time| layer(a2.clone(), time)),
        ("A.3 ES256", RFC7515_ES256, &|time| layer(a3.clone(), time)),
    ];
    for (name, token, layer) in examples {
        let principal = ask(&layer(BEFORE_EXPIRY), token).expect(name);
        assert_eq!(principal.issuer(), Some("joe"), "{name}");
        assert_eq!(principal.claims()["http://example.com/is_root"], true);
        assert_eq!(outcome(&layer(BEFORE_EXPIRY + 60), token), "accepted");
        assert_eq!(outcome(&layer(BEFORE_EXPIRY + 61), token), "expired");
        assert_eq!(outcome(&layer(NOW), token), "expired", "{name}");
    }
    // No example verifies with the key of another one.
    let others = layer(a2, BEFORE_EXPIRY);
    assert_eq!(outcome(&others, RFC7515_ES256), "algorithm_not_allowed");
    let other_rsa = layer(jwk(&rsa(RFC7517_RSA_N)), BEFORE_EXPIRY);
    assert_eq!(outcome(&other_rsa, RFC7515_RS256), "invalid_signature");
}

#[test]
fn rfc7515_appendix_a5_the_unsecured_token_is_refused() {
    let token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9\
        leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    let layer = builder(Secret::new(unb64(RFC7515_HS256_KEY)).expect("64 bytes"));
    let layer = layer.clock(at(BEFORE_EXPIRY)).build().expect("a layer");
    assert_eq!(outcome(&layer, token), "algorithm_not_allowed");
}

#[test]
fn rfc7517_appendix_a_keys_are_read_as_their_use_asks() {
    let rsa_key = json!({
        "kty": "RSA", "n": RFC7517_RSA_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
    });
    let key = jwk(&rsa_key);
    assert_eq!(
        format!("{key:?}"),
        r#"PublicKey { family: Rsa, kid: Some("2011-04-29"), alg: Some(RS256), .. }"#
    );

    // A.1: the EC key is for encryption; without that member it is a good P-256 key.
    let mut ec = json!({
        "kty": "EC", "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "enc", "kid": "1",
    });
    assert!(PublicKey::from_jwk(ec.to_string()).is_err());
    ec["use"] = json!("sig");
    jwk(&ec);

    // A.2: private keys. A.3: symmetric ones.
    ec["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    assert!(PublicKey::from_jwk(ec.to_string()).is_err());
    let oct = json!({
        "kty": "oct", "kid": "HMAC key used in JWS spec Appendix A.1 example",
        "k": RFC7515_HS256_KEY,
    });
    assert!(PublicKey::from_jwk(oct.to_string()).is_err());
}

/// What they sign is prose, so they are no tokens; the signatures hold all the same.
#[test]
fn rfc7520_section_4_signatures_hold_and_are_no_tokens() {
    let bilbo = json!({
        "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig",
        "n": RFC7520_RSA_N, "e": "AQAB",
    });
    let bilbo = jwk(&bilbo);
    let secret = Secret::new(unb64(RFC7520_HS256_KEY)).expect("32 bytes");
    type Verify<'v> = &'v dyn Fn(Algorithm, &[u8], &[u8]) -> bool;
    let public: Verify<'_> = &|alg, message, signature| bilbo.verify(alg, message, signature);
    let hmac: Verify<'_> = &|alg, message, signature| secret.verify(alg, message, signature);
    for (name, jws, alg, verify) in [
        ("4.1", RFC7520_RS256, Algorithm::RS256, public),
        ("4.2", RFC7520_PS384, Algorithm::PS384, public),
        ("4.4", RFC7520_HS256, Algorithm::HS256, hmac),
    ] {
        let (message, signature) = jws.rsplit_once('.').expect("a signature");
        let mut signature = unb64(signature);
        assert!(verify(alg, message.as_bytes(), &signature), "{name}");
        assert!(!verify(alg, &message.as_bytes()[1..], &signature), "{name}");
        signature[0] ^= 1;
        assert!(!verify(alg, message.as_bytes(), &signature), "{name}");
    }
    // One key does not serve under the other padding.
    let (message, signature) = RFC7520_RS256.rsplit_once('.').expect("a signature");
    for alg in [
        Algorithm::RS384,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::HS256,
    ] {
        assert!(
            !bilbo.verify(alg, message.as_bytes(), &unb64(signature)),
            "{alg}"
        );
    }

    let layer = builder(secret).key_id("018c0ae5-4d9b-471b-bfd6-eef314bc7037");
    let layer = layer.build().expect("a layer");
    assert_eq!(outcome(&layer, RFC7520_HS256), "malformed_token");
}

#[test]
fn rfc7520_section_4_3_the_signature_on_p521_holds_where_the_backend_knows_the_curve() {
    let key = json!({"kty": "EC", "crv": "P-521", "x": RFC7520_P521_X, "y": RFC7520_P521_Y});
    assert_eq!("ES512".parse(), Ok(Algorithm::ES512));
    let p256 = || layer(jwk(&rfc7515_p256()), NOW);
    assert_eq!(outcome(&p256(), RFC7520_ES512), "algorithm_not_allowed");
    if !aws_lc() {
        let error = PublicKey::from_jwk(key.to_string()).expect_err("a key of no use");
        assert!(error.to_string().contains("aws-lc-rs"), "{error}");
        let layer = builder(jwk(&rfc7515_p256())).algorithms([Algorithm::ES512]);
        let error = layer
            .audience("a")
            .build()
            .expect_err("an algorithm of no use");
        assert_eq!(error.setting(), "algorithms");
        assert!(error.to_string().contains("aws-lc-rs"), "{error}");
        return;
    }
    let key = jwk(&key);
    let (message, signature) = RFC7520_ES512.rsplit_once('.').expect("a signature");
    let signature = unb64(signature);
    assert!(key.verify(Algorithm::ES512, message.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::ES512, &message.as_bytes()[1..], &signature));
    for other in [Algorithm::ES256, Algorithm::ES384, Algorithm::RS512] {
        assert!(
            !key.verify(other, message.as_bytes(), &signature),
            "{other}"
        );
    }
    // It signs prose; as a token it is refused for that.
    let layer = JwtLayer::builder(key).key_id("bilbo.baggins@hobbiton.example");
    let layer = layer.dangerously_any_audience().clock(at(NOW));
    let layer = layer.build().expect("a layer");
    assert_eq!(outcome(&layer, RFC7520_ES512), "malformed_token");
}

#[test]
fn rfc8037_appendix_a4_signature_holds() {
    let key = jwk(&rfc8037_ed25519());
    let (message, signature) = RFC8037_EDDSA.rsplit_once('.').expect("a signature");
    let signature = unb64(signature);
    assert!(key.verify(Algorithm::EdDSA, message.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::EdDSA, &message.as_bytes()[1..], &signature));
    // It signs prose; as a token it is refused for that.
    let layer = JwtLayer::builder(key).dangerously_any_audience();
    let layer = layer.clock(at(NOW)).build().expect("a layer");
    assert_eq!(outcome(&layer, RFC8037_EDDSA), "malformed_token");
}

#[test]
fn rfc9864_gives_ed25519_a_second_name() {
    assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
    assert_eq!("EdDSA".parse(), Ok(Algorithm::EdDSA));
    let layer = builder(PAIRS.public(Algorithm::EdDSA)).dangerously_any_audience();
    let layer = layer.build().expect("a layer");
    for (alg, expected) in [
        ("EdDSA", "accepted"),
        ("Ed25519", "accepted"),
        ("Ed448", "algorithm_not_allowed"),
        ("ed25519", "algorithm_not_allowed"),
        ("EDDSA", "algorithm_not_allowed"),
        ("ESP256", "algorithm_not_allowed"),
    ] {
        let header = json!({ "alg": alg }).to_string();
        let token = PAIRS.token(Algorithm::EdDSA, &header, r#"{"exp":1800003600}"#);
        assert_eq!(outcome(&layer, &token), expected, "{alg}");
    }
    let mut named = rfc8037_ed25519();
    named["alg"] = json!("Ed25519");
    jwk(&named);
}
