//! Several keys of one layer, and layers told apart by their keys.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use tower_mcp_auth::jose::{Algorithm, Secret};
use tower_mcp_auth::jwt::{JwksFile, JwtLayerBuilder};
use tower_mcp_auth::{Clock, ConfigError, JwtLayer};

use common::jwt::sign;
use common::{NOW, SECRET, SigningKey, ask, request};

const OLD: &str = "jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE";
const NEW: &str = "kR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE";

/// One for all: layers that go by different clocks do not go together.
static CLOCK: LazyLock<Clock> = LazyLock::new(common::clock);

fn secret(secret: &str) -> Secret {
    Secret::new(secret).unwrap()
}

fn builder(key: &str) -> JwtLayerBuilder {
    JwtLayer::builder(secret(key))
        .clock(CLOCK.clone())
        .issuer("https://i")
}

fn claims() -> String {
    format!(
        r#"{{"iss":"https://i","sub":"alice","aud":"a","exp":{}}}"#,
        NOW + 300
    )
}

/// A token signed with this key, which names this one.
fn by(key: &SigningKey, alg: &str, kid: Option<&str>) -> String {
    let header = match kid {
        Some(kid) => format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#),
        None => format!(r#"{{"alg":"{alg}"}}"#),
    };
    sign(key, alg, &header, &claims())
}

macro_rules! outcome {
    ($layer:expr, $token:expr) => {{
        let answer = ask(
            $layer,
            request(&[("authorization", format!("Bearer {}", $token))]),
        )
        .await;
        match answer.status.as_u16() {
            200 => "accepted",
            _ => answer.error().reason(),
        }
    }};
}

fn setting(built: Result<JwtLayer, ConfigError>) -> &'static str {
    built.expect_err("a setting that must be refused").setting()
}

#[tokio::test]
async fn an_old_key_is_accepted_beside_the_new_one_by_its_id() {
    let layer = builder(NEW)
        .key_id("2026-12")
        .also_accept("2026-11", secret(OLD));
    let layer = layer.build().unwrap();
    let alone = builder(NEW).key_id("2026-12").build().unwrap();
    let (old, new) = (SigningKey::hmac(OLD), SigningKey::hmac(NEW));
    let forger = SigningKey::hmac("xR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE");
    for (key, kid, with_both, with_new) in [
        (&new, Some("2026-12"), "accepted", "accepted"),
        (&old, Some("2026-11"), "accepted", "unknown_key"),
        (&new, None, "accepted", "accepted"),
        (&old, None, "accepted", "invalid_signature"),
        // A token that names a key is tried with no other.
        (
            &old,
            Some("2026-12"),
            "invalid_signature",
            "invalid_signature",
        ),
        (&new, Some("2026-11"), "invalid_signature", "unknown_key"),
        (&new, Some("2026-10"), "unknown_key", "unknown_key"),
        (&forger, Some("2026-11"), "invalid_signature", "unknown_key"),
        (&forger, None, "invalid_signature", "invalid_signature"),
    ] {
        let token = by(key, "HS256", kid);
        assert_eq!(outcome!(&layer, token), with_both, "{kid:?}");
        assert_eq!(outcome!(&alone, token), with_new, "{kid:?}, alone");
    }
}

#[tokio::test]
async fn a_secret_without_an_id_serves_the_tokens_that_name_no_other_key() {
    let layer = builder(NEW)
        .also_accept("old", secret(OLD))
        .build()
        .unwrap();
    let (old, new) = (SigningKey::hmac(OLD), SigningKey::hmac(NEW));
    for (key, kid, reason) in [
        (&new, Some("whatever"), "accepted"),
        (&new, None, "accepted"),
        (&old, Some("old"), "accepted"),
        (&old, None, "accepted"),
        (&new, Some("old"), "invalid_signature"),
        (&old, Some("whatever"), "invalid_signature"),
    ] {
        assert_eq!(outcome!(&layer, by(key, "HS256", kid)), reason, "{kid:?}");
    }
}

#[tokio::test]
async fn keys_of_several_kinds_serve_their_own_algorithms() {
    let (p256, rsa) = (SigningKey::p256(), SigningKey::rsa());
    let layer = JwtLayer::builder(secret(NEW))
        .clock(CLOCK.clone())
        .key_id("s")
        .audience("a");
    let layer = layer
        .also_accept("e", p256.public())
        .also_accept("r", rsa.public());
    let both = layer.clone().build().unwrap();
    let listed = layer.algorithms([Algorithm::HS256, Algorithm::ES256, Algorithm::PS256]);
    let listed = listed.build().unwrap();
    let hmac = SigningKey::hmac(NEW);
    for (key, alg, kid, by_default, as_listed) in [
        (&hmac, "HS256", "s", "accepted", "accepted"),
        (p256, "ES256", "e", "accepted", "accepted"),
        (rsa, "RS256", "r", "accepted", "algorithm_not_allowed"),
        (rsa, "PS256", "r", "algorithm_not_allowed", "accepted"),
        // The key of another kind.
        (&hmac, "HS256", "e", "unknown_key", "unknown_key"),
        (p256, "ES256", "s", "unknown_key", "unknown_key"),
    ] {
        for kid in [Some(kid), None] {
            if kid.is_none() && by_default == "unknown_key" {
                continue;
            }
            let token = by(key, alg, kid);
            assert_eq!(outcome!(&both, token), by_default, "{alg} {kid:?}");
            assert_eq!(outcome!(&listed, token), as_listed, "{alg} {kid:?}, listed");
        }
    }
    // A public key is no secret.
    for confused in [p256, rsa] {
        let spki = SigningKey::hmac(confused.spki());
        let token = by(&spki, "HS256", Some("e"));
        assert_eq!(outcome!(&both, token), "unknown_key");
    }
}

#[test]
fn keys_that_cannot_go_together_are_refused() {
    let with = || builder(NEW).key_id("a");
    let public = || SigningKey::p256().public();
    for (row, (expected, built)) in [
        ("also_accept", with().also_accept("a", secret(OLD)).build()),
        (
            "also_accept",
            with()
                .also_accept("b", secret(OLD))
                .also_accept("b", public())
                .build(),
        ),
        ("also_accept", with().also_accept("", secret(OLD)).build()),
        ("key_id", builder(NEW).key_id("").build()),
        (
            "also_accept",
            with().also_accept("b", JwksFile::new("keys.json")).build(),
        ),
        ("audience", with().also_accept("b", public()).build()),
        (
            "algorithms",
            with()
                .also_accept("b", public())
                .algorithms([Algorithm::HS256])
                .audience("a")
                .build(),
        ),
        (
            "algorithms",
            with()
                .also_accept("b", secret(OLD))
                .algorithms([Algorithm::ES256])
                .build(),
        ),
        (
            "secret",
            with()
                .also_accept("b", secret(OLD))
                .algorithms([Algorithm::HS512])
                .build(),
        ),
        (
            "key_id",
            JwtLayer::builder(JwksFile::new("keys.json"))
                .key_id("a")
                .audience("a")
                .build(),
        ),
        (
            "also_accept",
            JwtLayer::builder(JwksFile::new("keys.json"))
                .also_accept("a", secret(OLD))
                .build(),
        ),
        (
            "jwks_file",
            JwtLayer::builder(JwksFile::new("no-such-file.json"))
                .audience("a")
                .build(),
        ),
        (
            "audience",
            JwtLayer::builder(JwksFile::new("no-such-file.json")).build(),
        ),
        (
            "algorithms",
            JwtLayer::builder(JwksFile::new("keys.json"))
                .audience("a")
                .algorithms([Algorithm::HS256])
                .build(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(setting(built), expected, "row {row}");
    }
}

#[tokio::test]
async fn layers_of_one_issuer_are_distinguished_by_key_id() {
    let old = builder(OLD).key_id("2026-11").build().unwrap();
    let new = builder(NEW).key_id("2026-12").build().unwrap();
    let both = old.or(new).unwrap();
    let (old, new) = (SigningKey::hmac(OLD), SigningKey::hmac(NEW));
    for (key, kid, reason) in [
        (&old, Some("2026-11"), "accepted"),
        (&new, Some("2026-12"), "accepted"),
        (&old, Some("2026-12"), "invalid_signature"),
        (&new, Some("2026-11"), "invalid_signature"),
        (&new, Some("2027-01"), "unknown_key"),
        // What names no key goes to the first.
        (&old, None, "accepted"),
        (&new, None, "invalid_signature"),
    ] {
        assert_eq!(outcome!(&both, by(key, "HS256", kid)), reason, "{kid:?}");
    }
}

#[test]
fn layers_that_nothing_tells_apart_do_not_go_together() {
    let build = |builder: JwtLayerBuilder| builder.build().unwrap();
    for (one, other, apart) in [
        (
            build(builder(OLD).key_id("a")),
            build(builder(NEW).key_id("b")),
            true,
        ),
        (
            build(builder(OLD).key_id("a")),
            build(builder(NEW).key_id("a")),
            false,
        ),
        (build(builder(OLD).key_id("a")), build(builder(NEW)), false),
        (build(builder(OLD)), build(builder(NEW)), false),
        (
            build(builder(OLD).key_id("a").also_accept("b", secret(NEW))),
            build(builder(NEW).key_id("b")),
            false,
        ),
        (
            build(builder(OLD).also_accept("b", secret(NEW))),
            build(builder(NEW).key_id("c")),
            false,
        ),
        (
            build(
                JwtLayer::builder(secret(OLD))
                    .clock(CLOCK.clone())
                    .key_id("a"),
            ),
            build(builder(NEW).key_id("b")),
            true,
        ),
        (
            build(builder(OLD)),
            build(builder(NEW).issuer("https://j")),
            true,
        ),
    ] {
        match one.or(other) {
            Ok(_) => assert!(apart),
            Err(error) => {
                assert!(!apart, "{error}");
                assert_eq!(error.setting(), "issuer");
                assert!(error.to_string().contains("`.key_id(..)`"), "{error}");
            }
        }
    }
}

/// A file that is gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let file = format!("tower-mcp-auth-{name}-{}.json", std::process::id());
        Self(std::env::temp_dir().join(file))
    }

    fn write(&self, keys: &[(&SigningKey, &str, &str)]) {
        let jwk = |(key, kid, more): &(&SigningKey, &str, &str)| {
            format!(r#"{{{},"kid":"{kid}"{more}}}"#, key.jwk_members())
        };
        let keys: Vec<String> = keys.iter().map(jwk).collect();
        self.write_text(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")));
    }

    fn write_text(&self, text: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file is looked at in a task, by real time.
macro_rules! until {
    ($layer:expr, $token:expr, $reason:expr) => {{
        let mut last = "";
        for _ in 0..2_000 {
            last = outcome!($layer, $token);
            if last == $reason {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(last, $reason);
    }};
}

#[tokio::test]
async fn a_file_of_keys_is_taken_again_when_it_changes() {
    let file = Scratch::new("rotation");
    let (p256, ed, rsa) = (SigningKey::p256(), SigningKey::ed25519(), SigningKey::rsa());
    file.write(&[(p256, "old", "")]);
    let place = JwksFile::new(&file.0).interval(Duration::from_millis(5));
    let layer = JwtLayer::builder(place)
        .audience("a")
        .clock(CLOCK.clone())
        .build()
        .unwrap();
    let old = by(p256, "ES256", Some("old"));
    let new = by(ed, "EdDSA", Some("new"));
    assert_eq!(outcome!(&layer, old), "accepted");
    assert_eq!(outcome!(&layer, new), "algorithm_not_allowed");
    // Keys that are of no use here stand beside one that is.
    let enc = (rsa, "enc", r#","use":"enc""#);
    file.write(&[enc, (p256, "old", ""), (ed, "new", r#","alg":null"#)]);
    until!(&layer, new, "accepted");
    assert_eq!(outcome!(&layer, old), "accepted");
    file.write(&[(ed, "new", "")]);
    until!(&layer, old, "algorithm_not_allowed");
    // What cannot be used leaves the last good keys.
    for bad in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[5]}"#,
    ] {
        file.write_text(bad);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(outcome!(&layer, new), "accepted", "{bad}");
    }
    file.write(&[enc]);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(outcome!(&layer, new), "accepted");
    file.write(&[(rsa, "third", r#","alg":"PS256""#)]);
    until!(&layer, by(rsa, "PS256", Some("third")), "accepted");
    assert_eq!(outcome!(&layer, new), "algorithm_not_allowed");
}

#[test]
fn a_file_without_a_usable_key_is_an_error_before_serving() {
    let file = Scratch::new("start");
    let build = || {
        JwtLayer::builder(JwksFile::new(&file.0))
            .audience("a")
            .build()
    };
    let secret = SigningKey::hmac(SECRET);
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{}]}"#,
        r#"{"keys":null}"#,
    ] {
        file.write_text(text);
        assert_eq!(setting(build()), "jwks_file", "{text}");
    }
    file.write(&[(&secret, "s", "")]);
    assert_eq!(setting(build()), "jwks_file");
    file.write(&[(SigningKey::p256(), "a", r#","d":"AAAA""#)]);
    assert_eq!(setting(build()), "jwks_file");
    file.write(&[(SigningKey::p256(), "a", "")]);
    let listed = JwtLayer::builder(JwksFile::new(&file.0)).audience("a");
    assert_eq!(
        setting(listed.algorithms([Algorithm::RS256]).build()),
        "jwks_file"
    );
    let small = JwksFile::new(&file.0).max_bytes(10);
    assert_eq!(
        setting(JwtLayer::builder(small).audience("a").build()),
        "jwks_file"
    );
    assert!(build().is_ok());
}
