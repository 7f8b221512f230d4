//! What cannot be configured of a `JwtLayer`.

use std::time::Duration;

use common::jwt::b64;
use common::{SECRET, SigningKey, clock};
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};
use tower_mcp_auth::jwt::JwtLayerBuilder;
use tower_mcp_auth::{ConfigError, JwtLayer};

fn secret(length: usize) -> Secret {
    Secret::new(&SECRET[..length]).unwrap()
}

fn builder() -> JwtLayerBuilder {
    JwtLayer::builder(secret(64)).clock(clock())
}

fn setting<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> &'static str {
    result
        .expect_err("a setting that must be refused")
        .setting()
}

#[test]
fn secrets_that_protect_nothing_are_not_configured() {
    for bytes in [
        &b""[..],
        b"secret",
        &SECRET[..31],
        &[b'a'; 64],
        &[0; 64],
        b"your-secret-key-change-this-in-production",
        b"changeme-changeme-changeme-changeme",
        b"01234567890123456789012345678901",
        b"0123456789abcdef0123456789abcdef",
        b"abcdefghijklmnopqrstuvwxyzabcdef",
        b"abababababababababababababababab",
    ] {
        let error = Secret::new(bytes).unwrap_err();
        assert_eq!(error.setting(), "secret");
        let text = String::from_utf8_lossy(bytes);
        assert!(text.len() < 10 || !error.to_string().contains(&*text));
    }
    drop(Secret::new(&SECRET[..32]).unwrap());
}

#[test]
fn a_longer_hash_needs_a_longer_secret() {
    for (alg, needed) in [
        (Algorithm::HS256, 32),
        (Algorithm::HS384, 48),
        (Algorithm::HS512, 64),
    ] {
        for length in [32, 47, 48, 63, 64] {
            let built = JwtLayer::builder(secret(length)).algorithms([alg]).build();
            if length < needed {
                assert_eq!(setting(built), "secret", "{alg} {length}");
            } else {
                drop(built.unwrap());
            }
        }
    }
    let both = [Algorithm::HS256, Algorithm::HS512];
    assert_eq!(
        setting(JwtLayer::builder(secret(32)).algorithms(both).build()),
        "secret"
    );
}

#[test]
fn settings_that_cannot_hold_are_refused_by_name() {
    let public = || JwtLayer::builder(SigningKey::p256().public());
    let jwk = format!(r#"{{{},"alg":"RS256"}}"#, SigningKey::rsa().jwk_members());
    let jwk = || JwtLayer::builder(PublicKey::from_jwk(&jwk).unwrap()).audience("a");
    let table: Vec<(&str, Result<JwtLayer, ConfigError>)> = vec![
        ("algorithms", builder().algorithms([]).build()),
        (
            "algorithms",
            builder().algorithms([Algorithm::RS256]).build(),
        ),
        (
            "algorithms",
            builder()
                .algorithms([Algorithm::HS256, Algorithm::RS256])
                .build(),
        ),
        (
            "algorithms",
            public()
                .audience("a")
                .algorithms([Algorithm::HS256])
                .build(),
        ),
        (
            "algorithms",
            public()
                .audience("a")
                .algorithms([Algorithm::ES384])
                .build(),
        ),
        ("algorithms", public().audience("a").algorithms([]).build()),
        ("algorithms", jwk().algorithms([Algorithm::PS256]).build()),
        ("audience", public().build()),
        ("audience", JwtLayer::new(SigningKey::rsa().public())),
        ("audience", public().audience("").build()),
        ("audience", builder().audience("a").audience("").build()),
        (
            "audience",
            public().audience("a").dangerously_any_audience().build(),
        ),
        (
            "audience",
            public().dangerously_any_audience().audience("a").build(),
        ),
        (
            "clock_skew",
            builder().clock_skew(Duration::from_secs(301)).build(),
        ),
        (
            "clock_skew",
            builder().clock_skew(Duration::from_millis(300_001)).build(),
        ),
        ("clock_skew", builder().clock_skew(Duration::MAX).build()),
        ("accepted_typ", builder().accepted_typ([""; 0]).build()),
        ("accepted_typ", builder().accepted_typ(["a b"]).build()),
        ("accepted_typ", builder().accepted_typ(["dpop+jwt"]).build()),
        (
            "accepted_typ",
            builder().accepted_typ(["JWS"]).require_at_jwt().build(),
        ),
        (
            "accepted_typ",
            builder().require_at_jwt().accepted_typ(["JWS"]).build(),
        ),
        ("subject_claim", builder().subject_claim("").build()),
        ("subject_claim", builder().subject_claim("email").build()),
        ("subject_claim", builder().subject_claim("jti").build()),
        (
            "dangerously_subject_claim",
            builder().dangerously_subject_claim("jti").build(),
        ),
        (
            "subject_claim",
            builder()
                .subject_claim("uid")
                .dangerously_subject_claim("email")
                .build(),
        ),
        ("issuer", builder().issuer("").build()),
        ("header_name", builder().header_name("").build()),
        ("header_name", builder().header_name("x token").build()),
        ("header_name", builder().header_name("Cookie").build()),
        (
            "required_scopes",
            builder().required_scopes(["two scopes"]).build(),
        ),
        ("required_scopes", builder().required_scopes([""]).build()),
        ("required_scopes", builder().required_scopes([" "]).build()),
        (
            "required_scopes",
            builder().required_scopes(["a,", "b"]).build(),
        ),
        (
            "issuer",
            builder()
                .issuer("https://auth.example.com/.well-known/openid-configuration")
                .build(),
        ),
        ("scope_claim", builder().scope_claim("").build()),
    ];
    for (row, (expected, built)) in table.into_iter().enumerate() {
        assert_eq!(setting(built), expected, "row {row}");
    }
    drop(public().dangerously_any_audience().build().unwrap());
    drop(
        builder()
            .clock_skew(Duration::from_secs(300))
            .build()
            .unwrap(),
    );
}

#[test]
fn contradicting_settings_are_both_named() {
    let public = || JwtLayer::builder(SigningKey::p256().public());
    for built in [
        public().audience("a").dangerously_any_audience().build(),
        public().dangerously_any_audience().audience("a").build(),
        builder().audience("a").dangerously_any_audience().build(),
    ] {
        let text = built.unwrap_err().to_string();
        assert!(
            text.contains("`audience`") && text.contains("`dangerously_any_audience`"),
            "{text}"
        );
    }
}

#[test]
fn a_claim_the_profile_judges_holds_no_scopes() {
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "cnf",
        "nonce",
        "token_use",
        "typ",
        "at_hash",
        "events",
        "client_id",
        " ",
        "scope scp",
        "scope,scp",
        "scope ",
    ] {
        assert_eq!(
            setting(builder().scope_claim(name).build()),
            "scope_claim",
            "{name}"
        );
    }
    drop(builder().scope_claim("scp").build().unwrap());
    drop(builder().scope_claim("scope").build().unwrap());
}

#[test]
fn bytes_that_are_no_public_key_are_refused() {
    let rsa = SigningKey::rsa().jwk_members();
    let point = SigningKey::p256().jwk_members();
    let flipped = point.replacen("\"x\":\"", "\"x\":\"A", 1);
    for jwk in [
        "",
        "[]",
        "{}",
        r#"{"kty":"oct","k":"AAAA"}"#,
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#,
        &format!(r#"{{{rsa},"use":"enc"}}"#),
        &format!(r#"{{{rsa},"alg":"ES256"}}"#),
        &format!(r#"{{{rsa},"alg":"RSA-OAEP"}}"#),
        &format!(r#"{{{rsa},"d":"AQAB"}}"#),
        &format!(r#"{{{rsa},"key_ops":["sign"]}}"#),
        &format!(r#"{{{rsa},"kid":5}}"#),
        &format!("{{{flipped}}}"),
        &format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}"#,
            b64([7; 32])
        ),
    ] {
        assert_eq!(setting(PublicKey::from_jwk(jwk)), "key", "{jwk}");
    }
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for pem in [
        "",
        "x",
        private,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert_eq!(setting(PublicKey::from_pem(pem)), "key", "{pem}");
    }
    assert_eq!(setting(PublicKey::from_der(b"")), "key");
    assert_eq!(setting(PublicKey::from_der([0x30; 300])), "key");
}
