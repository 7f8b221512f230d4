//! `PrincipalSealer`: a sealed value is opened for its principal and its request alone.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tower_mcp_auth::mcp::{MacKey, PrincipalSealer, RequestDigest};
use tower_mcp_auth::{Clock, Principal};

use crate::mcp::session::support::{KEYS, key};
use common::{NOW, clock};

fn sealer() -> PrincipalSealer {
    PrincipalSealer::new(key(0)).clock(clock())
}

fn alice() -> Principal {
    Principal::builder("oauth").subject("alice").build()
}

fn deploy(arguments: &Value) -> RequestDigest {
    RequestDigest::new("tools/call", "deploy", arguments.as_object())
}

fn opened(
    sealer: &PrincipalSealer,
    principal: &Principal,
    request: &RequestDigest,
    sealed: &str,
) -> Result<Vec<u8>, &'static str> {
    sealer
        .open(principal, request, sealed)
        .map_err(|error| error.reason())
}

#[test]
fn what_is_sealed_comes_back() {
    let request = RequestDigest::unbound();
    for length in [0, 1, 2, 3, 100, 32 << 10] {
        let value: Vec<u8> = (0..=255).cycle().take(length).collect();
        let sealed = sealer().seal(&alice(), &request, &value).unwrap();
        assert_eq!(opened(&sealer(), &alice(), &request, &sealed), Ok(value));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!(sealed.bytes().all(plain), "{sealed}");
    }
}

#[test]
fn it_is_the_principals_alone() {
    let people = [
        alice(),
        Principal::builder("oauth").subject("mallory").build(),
        Principal::builder("jwt").subject("alice").build(),
        Principal::builder("oauth").client_id("alice").build(),
        Principal::builder("oauth")
            .subject("alice")
            .client_id("x")
            .build(),
        Principal::builder("anonymous").build(),
    ];
    let request = RequestDigest::unbound();
    for (i, owner) in people.iter().enumerate() {
        let sealed = sealer().seal(owner, &request, b"state").unwrap();
        for (j, other) in people.iter().enumerate() {
            let seen = opened(&sealer(), other, &request, &sealed);
            if i == j {
                assert_eq!(seen, Ok(b"state".to_vec()));
            } else {
                assert_eq!(seen, Err("not_genuine"), "{owner:?} {other:?}");
            }
        }
    }
}

#[test]
fn it_goes_with_one_request() {
    let arguments = json!({ "a": 1, "b": [true, null, "x"] });
    let different = [
        deploy(&arguments),
        deploy(&json!({ "a": 2, "b": [true, null, "x"] })),
        deploy(&json!({ "a": 1, "b": [true, null] })),
        deploy(&json!({ "a": 1, "b": [true, [null, "x"]] })),
        deploy(&json!({ "a": "1", "b": [true, null, "x"] })),
        deploy(&json!({ "a": 1.0, "b": [true, null, "x"] })),
        deploy(&json!({ "a": 1, "b": [false, null, "x"] })),
        deploy(&json!({ "a": 1 })),
        deploy(&json!({ "a": 1, "b": [true, null, "x"], "c": null })),
        deploy(&json!({ "a": 1, "b": { "true": null, "x": null } })),
        deploy(&json!({})),
        RequestDigest::new("tools/call", "deploy", None),
        RequestDigest::new("tools/call", "destroy", arguments.as_object()),
        RequestDigest::new("prompts/get", "deploy", arguments.as_object()),
        RequestDigest::new("tools/calld", "eploy", arguments.as_object()),
        RequestDigest::unbound(),
    ];
    for (i, request) in different.iter().enumerate() {
        let sealed = sealer().seal(&alice(), request, b"state").unwrap();
        for (j, other) in different.iter().enumerate() {
            let seen = opened(&sealer(), &alice(), other, &sealed);
            assert_eq!(seen.is_ok(), i == j, "{i} {j}");
        }
    }
    // However it is written.
    let again: Value = serde_json::from_str(r#"{"b":[true, null,"\u0078"], "a":1}"#).unwrap();
    assert_eq!(deploy(&again), deploy(&arguments));
}

#[test]
fn it_ends_with_its_lifetime() {
    let clock = Clock::manual(Duration::from_secs(NOW));
    let second = Duration::from_secs(1);
    let request = RequestDigest::unbound();
    for (lifetime, seconds) in [(None, 300), (Some(second * 5), 5)] {
        let mut sealer = sealer().clock(clock.clone());
        if let Some(lifetime) = lifetime {
            sealer = sealer.lifetime(lifetime).unwrap();
        }
        let sealed = sealer.seal(&alice(), &request, b"state").unwrap();
        clock.advance(second * (seconds - 1));
        assert!(opened(&sealer, &alice(), &request, &sealed).is_ok());
        clock.advance(second);
        let seen = opened(&sealer, &alice(), &request, &sealed);
        assert_eq!(seen, Err("expired"));
        // Nor can a client put it off.
        let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        bytes[4..12].copy_from_slice(&u64::MAX.to_be_bytes());
        let put_off = URL_SAFE_NO_PAD.encode(bytes);
        let seen = opened(&sealer, &alice(), &request, &put_off);
        assert_eq!(seen, Err("not_genuine"));
    }
    let error = sealer().lifetime(second / 2).unwrap_err();
    assert_eq!(error.setting(), "lifetime");
}

#[test]
fn anything_else_is_refused() {
    let request = RequestDigest::unbound();
    let sealed = sealer().seal(&alice(), &request, b"state").unwrap();
    let mut hostile = vec![
        String::new(),
        "state".to_owned(),
        format!("{sealed}="),
        format!(" {sealed}"),
        format!("{sealed}A"),
        format!("{sealed}AAAA"),
        sealed.to_lowercase(),
        "A".repeat(60),
        "A".repeat(100_000),
        "\u{e9}".repeat(40),
    ];
    hostile.extend((0..sealed.len()).map(|at| sealed[..at].to_owned()));
    let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            hostile.push(URL_SAFE_NO_PAD.encode(bytes));
        }
    }
    for text in hostile {
        let error = sealer().open(&alice(), &request, &text).unwrap_err();
        assert_eq!(error.to_string(), "the state is not valid");
        let known = ["malformed", "not_genuine", "too_large"];
        assert!(known.contains(&error.reason()), "{text} {error:?}");
    }
}

#[test]
fn sizes_are_bounded() {
    let request = RequestDigest::unbound();
    let large = vec![0; (32 << 10) + 1];
    let error = sealer().seal(&alice(), &request, &large).unwrap_err();
    assert_eq!(error.reason(), "too_large");
    let roomy = sealer().max_bytes(1 << 20);
    let sealed = roomy.seal(&alice(), &request, &large).unwrap();
    assert_eq!(opened(&roomy, &alice(), &request, &sealed), Ok(large));
    let seen = opened(&sealer(), &alice(), &request, &sealed);
    assert_eq!(seen, Err("too_large"));
    let boundless = sealer().max_bytes(usize::MAX);
    assert!(opened(&boundless, &alice(), &request, &sealed).is_ok());
}

#[test]
fn keys_and_purposes_are_told_apart() {
    let request = RequestDigest::unbound();
    let sealed = sealer().seal(&alice(), &request, b"state").unwrap();
    let rotated = |first, second| {
        let sealer = PrincipalSealer::new(key(first)).clock(clock());
        sealer.also_accept(key(second)).unwrap()
    };
    for (sealer, opens) in [
        (sealer(), true),
        (rotated(0, 1), true),
        (rotated(1, 0), true),
        (rotated(1, 2), false),
        (PrincipalSealer::new(key(1)).clock(clock()), false),
        (
            PrincipalSealer::new(MacKey::ephemeral().unwrap()).clock(clock()),
            false,
        ),
        (sealer().purpose("other"), false),
    ] {
        let seen = opened(&sealer, &alice(), &request, &sealed);
        assert_eq!(seen.is_ok(), opens, "{sealer:?}");
        assert!(!KEYS.iter().any(|key| format!("{sealer:?}").contains(key)));
    }
    assert!(sealer().also_accept(key(0)).is_err());
}
