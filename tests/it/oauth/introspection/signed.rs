//! Signed answers (RFC 9701).

use serde_json::json;

use super::*;

const NOW: u64 = START.as_secs();

// By value, because every caller writes the changes in place.
#[allow(clippy::needless_pass_by_value)]
fn answer(key: &Key, header: Value, claims: Value) -> Vec<u8> {
    let base = json!({
        "aud": RESOURCE, "iat": NOW, "sub": null, "client_id": null, "jti": null, "exp": null,
        "scope": null, "token_introspection": active(json!({})),
    });
    let typed = changed(json!({"typ": "token-introspection+jwt"}), &header);
    key.token_with_header(typed, merged(base, &claims))
        .into_bytes()
}

/// As [`changed`], but null stays: it takes a claim out of the token's usual ones.
fn merged(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn page(body: Vec<u8>) -> Page {
    let headers = vec![(
        "content-type",
        "application/token-introspection+jwt".to_owned(),
    )];
    Page::Answer(200, headers, body)
}

fn asked(web: &Web) -> Guarded {
    guarded(web, introspection().require_signed_responses())
}

#[tokio::test]
async fn a_signed_answer_is_asked_for_and_read() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    web.set(ENDPOINT, page(answer(&key, json!({}), json!({}))));
    let who = asked(&web).bearer(OPAQUE).await.who.expect("accepted");
    assert_eq!(who.subject(), Some("alice"));
    assert!(!who.claims().contains_key("token_introspection"));
    let sent = web.last(ENDPOINT);
    assert_eq!(
        sent.headers["accept"],
        "application/token-introspection+jwt"
    );

    let inactive = json!({"token_introspection": {"active": false}});
    web.set(ENDPOINT, page(answer(&key, json!({}), inactive)));
    asked(&web)
        .bearer(OPAQUE)
        .await
        .assert(401, "inactive_token");
}

#[tokio::test]
async fn what_a_signed_answer_must_be() {
    let (key, foreign) = (Key::new("k"), Key::new("k"));
    for (header, claims, status) in [
        (json!({}), json!({}), 200),
        (
            json!({"typ": "application/Token-Introspection+JWT"}),
            json!({}),
            200,
        ),
        (json!({}), json!({"aud": "mcp-server"}), 200),
        (json!({}), json!({"aud": ["x", "mcp-server"]}), 200),
        (json!({}), json!({"iat": NOW - 300}), 200),
        (json!({"typ": "at+jwt"}), json!({}), 503),
        (json!({"typ": "JWT"}), json!({}), 503),
        (json!({"typ": null}), json!({}), 503),
        (json!({"alg": "none"}), json!({}), 503),
        (json!({"alg": "HS256"}), json!({}), 503),
        (json!({"kid": "other"}), json!({}), 503),
        (json!({"crit": ["x"]}), json!({}), 503),
        (json!({}), json!({"iss": null}), 503),
        (json!({}), json!({"iss": "https://auth.example.org"}), 503),
        (json!({}), json!({"aud": null}), 503),
        (json!({}), json!({"aud": "https://other.example.com"}), 503),
        (json!({}), json!({"iat": null}), 503),
        (json!({}), json!({"iat": NOW - 361}), 503),
        (json!({}), json!({"iat": NOW + 61}), 503),
        (json!({}), json!({"exp": NOW - 61}), 503),
        (json!({}), json!({"token_introspection": null}), 503),
        (json!({}), json!({"token_introspection": "active"}), 503),
        (json!({}), json!({"token_introspection": {}}), 503),
        (
            json!({}),
            json!({"active": true, "token_introspection": null}),
            503,
        ),
    ] {
        let web = Web::with_issuer(&[&key]);
        web.set(ENDPOINT, page(answer(&key, header.clone(), claims.clone())));
        let got = asked(&web).bearer(OPAQUE).await;
        assert_eq!(got.status, status, "{header} {claims}: {}", got.detail());
    }
    let web = Web::with_issuer(&[&key]);
    web.set(ENDPOINT, page(answer(&foreign, json!({}), json!({}))));
    asked(&web)
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
}

#[tokio::test]
async fn there_is_no_way_back_to_an_unsigned_answer() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    let guarded = asked(&web);
    say_always(&web, &active(json!({})));
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
    web.set(ENDPOINT, Page::Raw(answer(&key, json!({}), json!({}))));
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
    web.set(ENDPOINT, page(active(json!({})).to_string().into_bytes()));
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
}

#[tokio::test]
async fn an_answer_is_never_an_access_token() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    let as_token =
        json!({"sub": "alice", "client_id": "app", "exp": NOW + 60, "scope": "mcp:read"});
    let token = String::from_utf8(answer(&key, json!({}), as_token)).unwrap();
    asked(&web)
        .bearer(&token)
        .await
        .assert(401, "wrong_token_type");
    Guarded::new(&web)
        .bearer(&token)
        .await
        .assert(401, "wrong_token_type");
    assert_eq!(web.count(ENDPOINT), 0);
}
