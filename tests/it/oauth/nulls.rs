//! What servers write for what they have not.

use serde_json::{Value, json};

use crate::oauth::support::*;

#[tokio::test]
async fn claims_that_are_null_are_absent() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    for (claim, reason) in [
        ("nbf", "accepted"),
        ("iat", "accepted"),
        ("azp", "accepted"),
        ("sub", "accepted"),
        ("client_id", "accepted"),
        ("username", "accepted"),
        ("scope", "accepted"),
        ("scp", "accepted"),
        ("cnf", "accepted"),
        ("token_use", "accepted"),
        ("typ", "accepted"),
        ("type", "accepted"),
        ("token_type", "accepted"),
        ("nonce", "accepted"),
        ("at_hash", "accepted"),
        ("events", "accepted"),
        ("act", "accepted"),
        // What a token must have is missing.
        ("exp", "missing_exp"),
        ("iss", "missing_issuer"),
        ("aud", "missing_audience"),
    ] {
        let token = key.token_with_nulls(json!({claim: null}));
        let answer = guarded.bearer(&token).await;
        assert_eq!(answer.reason(), reason, "{claim}: {}", answer.detail());
    }
}

#[tokio::test]
async fn empty_lists_say_nothing_and_an_empty_audience_is_refused() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    for (claim, reason) in [
        ("scope", "accepted"),
        ("scp", "accepted"),
        ("roles", "accepted"),
        ("amr", "accepted"),
        ("aud", "audience_mismatch"),
        ("azp", "malformed_token"),
        ("exp", "malformed_token"),
        ("iss", "malformed_token"),
    ] {
        let token = key.token(json!({claim: []}));
        let answer = guarded.bearer(&token).await;
        assert_eq!(answer.reason(), reason, "{claim}: {}", answer.detail());
    }
}

#[tokio::test]
async fn members_of_keys_that_are_null_or_empty_are_absent() {
    let key = Key::new("a");
    let all = json!({
        "key_ops": null, "use": null, "alg": null, "x5c": null, "x5t": null, "x5u": null, "exp": null,
        "d": null, "k": null, "issuer": null, "n": null, "e": null,
    });
    for (name, value, reason) in [
        ("key_ops", json!(null), "accepted"),
        ("key_ops", json!([]), "accepted"),
        ("use", json!(null), "accepted"),
        ("alg", json!(null), "accepted"),
        ("x5c", json!([]), "accepted"),
        ("x5c", json!(null), "accepted"),
        ("issuer", json!(null), "accepted"),
        ("d", json!(null), "accepted"),
        // A key without a name: the token names one.
        ("kid", json!(null), "unknown_key"),
        ("kty", json!(null), "keys_unavailable"),
        ("crv", json!(null), "keys_unavailable"),
        ("x", json!(null), "keys_unavailable"),
        ("use", json!(""), "keys_unavailable"),
        ("use", json!([]), "keys_unavailable"),
        ("key_ops", json!({}), "keys_unavailable"),
        ("key_ops", json!([null]), "keys_unavailable"),
        ("alg", json!([]), "keys_unavailable"),
        ("d", json!("AAAA"), "keys_unavailable"),
    ] {
        let web = Web::with_issuer(&[]);
        let mut jwk = key.jwk();
        jwk[name] = value.clone();
        web.set(JWKS, Page::Json(json!({"keys": [jwk]})));
        let answer = Guarded::new(&web).bearer(&key.token(json!({}))).await;
        assert_eq!(
            answer.reason(),
            reason,
            "{name}: {value}: {}",
            answer.detail()
        );
    }
    let web = Web::with_issuer(&[]);
    let mut jwk: Value = key.jwk();
    for (name, value) in all.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    web.set(JWKS, Page::Json(json!({"keys": [jwk]})));
    let answer = Guarded::new(&web).bearer(&key.token(json!({}))).await;
    answer.assert(200, "accepted");
}
