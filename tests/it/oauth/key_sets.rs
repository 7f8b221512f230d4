//! Key sets as they are, and which of their keys a token is tried with.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::support::*;
use crate::oauth::trace;

fn named(key: &Key, kid: Option<&str>) -> Value {
    let mut jwk = key.jwk();
    match kid {
        Some(kid) => jwk["kid"] = json!(kid),
        None => drop(jwk.as_object_mut().unwrap().remove("kid")),
    }
    jwk
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

/// What becomes of the token where these keys are published: from the network, and configured.
async fn judge(jwks: &[Value], token: &str) -> String {
    let web = Web::with_issuer(&[]);
    web.set(JWKS, Page::Json(json!({"keys": jwks})));
    let answer = Guarded::new(&web).bearer(token).await;
    let set = json!({"keys": jwks}).to_string();
    if let Ok(server) = AuthorizationServer::new(ISSUER).unwrap().jwks(set) {
        let configured = Guarded::with_server(&web, server).bearer(token).await;
        assert_eq!(configured.reason(), answer.reason());
    }
    answer.reason().to_owned()
}

#[tokio::test]
async fn each_key_that_fits_is_tried_and_no_other() {
    let keys: Vec<Key> = (0..6).map(|_| Key::new("a")).collect();
    let key = &keys[0];
    let by_id = key.token(json!({}));
    let without = key.token_with_header(json!({"kid": null}), json!({}));
    let jwk = |index: usize, kid: Option<&str>| named(&keys[index], kid);
    let several = |kids: &[Option<&str>]| -> Vec<Value> {
        let jwks = kids.iter().enumerate();
        jwks.map(|(index, kid)| jwk(index, *kid)).rev().collect()
    };
    let a = Some("a");
    let certified = with(jwk(0, a), "x5c", json!(["MIIB"]));
    let rows: Vec<(&str, Vec<Value>, &str, &str)> = vec![
        ("once", vec![jwk(0, a)], "accepted", "accepted"),
        ("twice", vec![jwk(0, a), jwk(0, a)], "accepted", "accepted"),
        (
            "twice by two ids",
            vec![jwk(0, a), jwk(0, Some("b"))],
            "accepted",
            "accepted",
        ),
        (
            "beside its certificate",
            vec![jwk(0, a), certified.clone()],
            "accepted",
            "accepted",
        ),
        (
            "beside its certificate's id",
            vec![with(certified, "kid", json!("x5t")), jwk(0, a)],
            "accepted",
            "accepted",
        ),
        (
            "with and without alg",
            vec![jwk(0, a), with(jwk(0, a), "alg", json!(null))],
            "accepted",
            "accepted",
        ),
        ("ten times", vec![jwk(0, a); 10], "accepted", "accepted"),
        (
            "ten times beside three",
            [vec![jwk(0, a); 10], several(&[a, a, a, a])].concat(),
            "accepted",
            "accepted",
        ),
        ("two of one id", several(&[a, a]), "accepted", "accepted"),
        (
            "four of one id",
            several(&[a, a, a, a]),
            "accepted",
            "accepted",
        ),
        (
            "five of one id",
            several(&[a, a, a, a, a]),
            "ambiguous_key",
            "ambiguous_key",
        ),
        (
            "a rotation",
            several(&[a, Some("b")]),
            "accepted",
            "accepted",
        ),
        (
            "a rotation of four",
            several(&[a, Some("b"), Some("c"), Some("d")]),
            "accepted",
            "accepted",
        ),
        (
            "six ids",
            several(&[a, Some("b"), Some("c"), Some("d"), Some("e"), Some("f")]),
            "accepted",
            "ambiguous_key",
        ),
        (
            "without an id",
            vec![jwk(0, None)],
            "unknown_key",
            "accepted",
        ),
        (
            "two without an id",
            several(&[None, None]),
            "unknown_key",
            "accepted",
        ),
        (
            "five without an id",
            several(&[None, None, None, None, None]),
            "unknown_key",
            "ambiguous_key",
        ),
        (
            "another id",
            vec![jwk(0, Some("b"))],
            "unknown_key",
            "accepted",
        ),
        (
            "another case",
            vec![jwk(0, Some("A"))],
            "unknown_key",
            "accepted",
        ),
        // The material would do; the id is another's.
        (
            "the id of another",
            vec![jwk(0, Some("b")), jwk(1, a)],
            "invalid_signature",
            "accepted",
        ),
        (
            "the id of another and none",
            vec![jwk(0, None), jwk(1, a)],
            "invalid_signature",
            "accepted",
        ),
        (
            "none of them",
            vec![jwk(1, a), jwk(2, a)],
            "invalid_signature",
            "invalid_signature",
        ),
        // What does not fit is not counted.
        (
            "five, one of which fits",
            {
                let mut jwks = several(&[a, a, a, a, a]);
                let last = jwks.len() - 1;
                for jwk in &mut jwks[..last] {
                    jwk["use"] = json!("enc");
                }
                jwks
            },
            "accepted",
            "accepted",
        ),
        (
            "use",
            vec![with(jwk(0, a), "use", json!("enc")), jwk(1, a)],
            "invalid_signature",
            "invalid_signature",
        ),
        (
            "key_ops",
            vec![with(jwk(0, a), "key_ops", json!(["sign"])), jwk(1, a)],
            "invalid_signature",
            "invalid_signature",
        ),
        (
            "alg",
            vec![with(jwk(0, a), "alg", json!("ES384")), jwk(1, a)],
            "invalid_signature",
            "invalid_signature",
        ),
    ];
    for (name, jwks, with_id, without_id) in rows {
        for (token, expected) in [(&by_id, with_id), (&without, without_id)] {
            // A key that is no good among those that were configured is a mistake.
            let got = judge(&jwks, token).await;
            assert_eq!(
                got,
                expected,
                "{name}, {}",
                if token == &by_id { "by id" } else { "without" }
            );
        }
    }
}

/// The key of one issuer is never tried on tokens of another, with an id or without.
#[tokio::test]
async fn no_key_of_another_issuer_is_tried() {
    let (ours, theirs) = (Key::new("a"), Key::new("a"));
    let web = Web::with_issuer(&[&ours]);
    let other = "https://other.example.com";
    web.publish_metadata(other);
    web.set(&format!("{other}/keys"), Page::Json(key_set(&[&theirs])));
    let servers = [ISSUER, other].map(|issuer| AuthorizationServer::new(issuer).unwrap());
    let guarded = Guarded::with_servers(&web, servers);
    for header in [json!({}), json!({"kid": null})] {
        let token =
            |key: &Key, iss: &str| key.token_with_header(header.clone(), json!({"iss": iss}));
        guarded
            .bearer(&token(&ours, ISSUER))
            .await
            .assert(200, "accepted");
        guarded
            .bearer(&token(&theirs, other))
            .await
            .assert(200, "accepted");
        guarded
            .bearer(&token(&theirs, ISSUER))
            .await
            .assert(401, "invalid_signature");
        guarded
            .bearer(&token(&ours, other))
            .await
            .assert(401, "invalid_signature");
    }
}

#[tokio::test]
async fn more_keys_of_one_id_than_are_tried_are_warned_of_when_they_arrive() {
    let keys: Vec<Key> = (0..5).map(|_| Key::new("a")).collect();
    let set = |kids: [Option<&str>; 5]| -> Vec<Value> {
        keys.iter()
            .zip(kids)
            .map(|(key, kid)| named(key, kid))
            .collect()
    };
    let ids = ["a", "b", "c", "d", "e"].map(Some);
    for (jwks, warned) in [
        (set([Some("a"); 5]), true),
        (set([None; 5]), true),
        (set(ids), false),
        (set([Some("a"); 5])[..4].to_vec(), false),
        (vec![named(&keys[0], Some("a")); 5], false),
    ] {
        let web = Web::with_issuer(&[]);
        web.set(JWKS, Page::Json(json!({"keys": jwks})));
        trace::start();
        Guarded::new(&web).layer.warm_up().await.unwrap();
        let told = trace::take();
        let is_warning = |event: &trace::Traced| {
            event.level == tracing::Level::WARN && event.fields.contains_key("kid")
        };
        assert_eq!(told.iter().any(is_warning), warned, "{jwks:?}: {told:?}");
    }
}
