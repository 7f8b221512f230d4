//! Which answers let a token in, and what handlers see of them.

use std::net::IpAddr;
use std::time::Duration;

use common::{ask, request};
use serde_json::{Value, json};
use tower::layer::util::Stack;
use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::oauth::AuthorizationServer;

use super::*;

const NOW: u64 = START.as_secs();

async fn answer(said: &Value) -> Answer {
    let web = web([]);
    say_always(&web, said);
    guarded(&web, introspection()).bearer(OPAQUE).await
}

#[tokio::test]
async fn an_active_token_makes_the_same_principal_as_a_jwt() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    say(
        &web,
        [(OPAQUE, active(json!({"jti": "1", "token_type": null})))],
    );
    let guarded = guarded(&web, introspection());
    let opaque = guarded.bearer(OPAQUE).await.who.expect("accepted");
    let jwt = guarded
        .bearer(&key.token(json!({})))
        .await
        .who
        .expect("accepted");

    assert_eq!(opaque.id(), jwt.id());
    assert_eq!(opaque.provider(), jwt.provider());
    assert_eq!(opaque.issuer(), Some(ISSUER));
    assert_eq!(opaque.subject(), jwt.subject());
    assert_eq!(opaque.client_id(), jwt.client_id());
    assert_eq!(opaque.scopes(), jwt.scopes());
    assert_eq!(opaque.expires_at(), jwt.expires_at());
    assert_eq!(opaque.claims(), jwt.claims());
}

#[tokio::test]
async fn only_the_boolean_true_is_active() {
    for said in [
        json!(false),
        json!("true"),
        json!(1),
        json!(null),
        json!([true]),
        json!({}),
    ] {
        let said = active(json!({"active": said}));
        // `changed` takes null for "leave out", which is another case.
        let said = match said.get("active") {
            Some(_) => said,
            None => {
                let mut said = said;
                said["active"] = Value::Null;
                said
            }
        };
        let got = answer(&said).await;
        got.assert(401, "inactive_token");
        let is_named = got.detail().contains("not the boolean true");
        assert_eq!(is_named, said["active"] != json!(false), "{}", got.detail());
    }
    let got = answer(&active(json!({"active": "true"}))).await;
    assert!(
        got.detail().contains("\"active\": \"true\""),
        "{}",
        got.detail()
    );
    answer(&active(json!({"active": null})))
        .await
        .assert(503, "introspection_failed");
}

#[tokio::test]
async fn an_inactive_token_is_a_bearer_challenge() {
    let refused = answer(&json!({"active": false})).await;
    refused.assert(401, "inactive_token");
    assert!(
        refused
            .challenge()
            .starts_with("Bearer error=\"invalid_token\""),
        "{}",
        refused.challenge()
    );
    assert_eq!(refused.retry_after(), None);
}

#[tokio::test]
async fn what_answers_must_say() {
    let resource = RESOURCE;
    for (changes, status, reason) in [
        (json!({}), 200, "accepted"),
        (json!({"iss": null}), 200, "accepted"),
        (
            json!({"iss": "https://auth.example.com/"}),
            401,
            "issuer_mismatch",
        ),
        (
            json!({"iss": "https://auth.example.com.evil"}),
            401,
            "issuer_mismatch",
        ),
        (json!({"iss": ""}), 401, "issuer_mismatch"),
        (json!({"aud": null}), 401, "missing_audience"),
        (json!({"aud": []}), 401, "audience_mismatch"),
        (
            json!({"aud": ["https://other.example.com", resource]}),
            200,
            "accepted",
        ),
        (
            json!({"aud": "https://other.example.com"}),
            401,
            "audience_mismatch",
        ),
        (
            json!({"aud": format!("{resource} other")}),
            401,
            "audience_mismatch",
        ),
        (json!({"exp": NOW + 1}), 200, "accepted"),
        (json!({"exp": NOW - 61}), 401, "expired"),
        (json!({"exp": (NOW as f64) + 0.5}), 200, "accepted"),
        (json!({"exp": (NOW as f64) - 60.5}), 401, "expired"),
        (json!({"exp": null, "iat": null}), 200, "accepted"),
        (json!({"nbf": NOW + 30}), 200, "accepted"),
        (json!({"nbf": NOW + 61}), 401, "not_yet_valid"),
        (json!({"iat": NOW + 61}), 401, "issued_in_the_future"),
        (json!({"iat": (NOW as f64) - 3.254}), 200, "accepted"),
        (json!({"token_type": "bearer"}), 200, "accepted"),
        (
            json!({"token_type": "something of theirs"}),
            200,
            "accepted",
        ),
        (json!({"token_type": null}), 200, "accepted"),
        (
            json!({"token_type": "refresh_token"}),
            401,
            "wrong_token_type",
        ),
        (json!({"token_type": "Refresh"}), 401, "wrong_token_type"),
        (json!({"token_type": "id_token"}), 401, "wrong_token_type"),
        (json!({"token_type": "ID"}), 401, "wrong_token_type"),
        (json!({"token_type": "DPoP"}), 401, "bound_token"),
        (json!({"typ": "Bearer"}), 200, "accepted"),
        (json!({"typ": "Refresh"}), 401, "wrong_token_type"),
        (json!({"typ": "refresh"}), 401, "wrong_token_type"),
        (json!({"typ": "Offline"}), 401, "wrong_token_type"),
        (json!({"typ": "ID"}), 401, "wrong_token_type"),
        (json!({"typ": "Logout"}), 401, "wrong_token_type"),
        (json!({"typ": "refresh_token"}), 401, "wrong_token_type"),
        (json!({"token_use": "access_token"}), 200, "accepted"),
        (
            json!({"token_use": "refresh_token"}),
            401,
            "wrong_token_type",
        ),
        (json!({"token_use": "id"}), 401, "wrong_token_type"),
        (json!({"at_hash": "x"}), 401, "wrong_token_type"),
        (json!({"cnf": {"jkt": "x"}}), 401, "bound_token"),
        (json!({"cnf": {"x5t#S256": "x"}}), 401, "bound_token"),
        (json!({"cnf": {"other": "x"}}), 401, "bound_token"),
        (json!({"scope": ""}), 200, "accepted"),
        (json!({"scope": null}), 200, "accepted"),
    ] {
        let got = answer(&active(changes.clone())).await;
        assert_eq!(
            (got.status.as_u16(), got.reason()),
            (status, reason),
            "{changes}: {}",
            got.detail()
        );
    }
}

/// What is odd about the answer concerns its token, which is refused, and not the server.
#[tokio::test]
async fn members_of_another_type_are_read_where_only_one_thing_can_be_meant() {
    let read = |json: Value| (json, 200, "accepted");
    let odd = |json: Value| (json, 401, "malformed_token");
    for (changes, status, reason) in [
        read(json!({"exp": (NOW + 300).to_string()})),
        read(json!({"iat": NOW.to_string(), "nbf": NOW.to_string()})),
        read(json!({"exp": "999999999999"})),
        read(json!({"exp": format!("00{}", NOW + 300)})),
        (json!({"exp": (NOW - 61).to_string()}), 401, "expired"),
        (json!({"exp": "0"}), 401, "expired"),
        (json!({"nbf": (NOW + 61).to_string()}), 401, "not_yet_valid"),
        (
            json!({"iat": (NOW + 61).to_string()}),
            401,
            "issued_in_the_future",
        ),
        odd(json!({"exp": ""})),
        odd(json!({"exp": "soon"})),
        odd(json!({"exp": format!("{NOW}.5")})),
        odd(json!({"exp": format!(" {}", NOW + 300)})),
        odd(json!({"exp": format!("+{}", NOW + 300)})),
        odd(json!({"exp": format!("-{}", NOW + 300)})),
        odd(json!({"exp": "1e12"})),
        odd(json!({"exp": "0x7fffffff"})),
        odd(json!({"exp": "1000000000000"})),
        odd(json!({"exp": "١٨٠٠٠٠٠٠٦٠"})),
        odd(json!({"exp": "2027-01-15T08:00:00Z"})),
        odd(json!({"nbf": "soon"})),
        odd(json!({"iat": "1e3"})),
        odd(json!({"exp": -1})),
        odd(json!({"exp": true})),
        odd(json!({"exp": [NOW + 300]})),
        odd(json!({"exp": {"seconds": NOW + 300}})),
        read(json!({"scope": ["mcp:read"]})),
        read(json!({"scope": []})),
        odd(json!({"scope": 7})),
        odd(json!({"scope": ["mcp:read", 7]})),
        read(json!({"scope": ["mcp:read", "a b", "\""]})),
        odd(json!({"scope": {"mcp:read": true}})),
        read(json!({"sub": 7})),
        read(json!({"sub": -7})),
        read(json!({"sub": u64::MAX})),
        odd(json!({"sub": 7.5})),
        odd(json!({"sub": 7.0})),
        odd(json!({"sub": 1e30})),
        odd(json!({"sub": true})),
        odd(json!({"sub": ["alice"]})),
        read(json!({"client_id": 7})),
        odd(json!({"client_id": 7.5})),
        odd(json!({"client_id": ["app"]})),
        read(json!({"username": 7})),
        odd(json!({"username": {}})),
        odd(json!({"aud": 7})),
        odd(json!({"iss": [ISSUER]})),
        odd(json!({"cnf": "x"})),
        odd(json!({"token_type": 7})),
        odd(json!({"typ": ["Bearer"]})),
    ] {
        let got = answer(&active(changes.clone())).await;
        assert_eq!(
            (got.status.as_u16(), got.reason()),
            (status, reason),
            "{changes}: {}",
            got.detail()
        );
    }
}

/// `json!` rounds what does not fit 64 bits, so the text is put together by hand.
#[tokio::test]
async fn a_name_that_is_a_number_is_its_own_text_however_long() {
    let json = vec![("content-type", "application/json".to_owned())];
    for (number, subject) in [
        ("7", Some("7")),
        ("-7", Some("-7")),
        ("-0", Some("-0")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("18446744073709551616", Some("18446744073709551616")),
        ("18446744073709551617", Some("18446744073709551617")),
        ("-9223372036854775809", Some("-9223372036854775809")),
        (
            "123456789012345678901234567890",
            Some("123456789012345678901234567890"),
        ),
        ("18446744073709551616.0", None),
        ("1e30", None),
        ("1E+3", None),
        ("7.5", None),
    ] {
        for member in ["sub", "client_id", "username"] {
            let without = active(json!({ member: null })).to_string();
            let body = without.replacen('{', &format!("{{\"{member}\":{number},"), 1);
            let web = web([]);
            web.set(ENDPOINT, Page::Answer(200, json.clone(), body.into_bytes()));
            let got = guarded(&web, introspection()).bearer(OPAQUE).await;
            let Some(text) = subject else {
                got.assert(401, "malformed_token");
                continue;
            };
            got.assert(200, "accepted");
            let who = got.who.expect("accepted");
            assert_eq!(who.claims()[member], *text, "{member}");
            match member {
                "sub" => assert_eq!(who.subject(), Some(text)),
                "client_id" => assert_eq!(who.client_id(), Some(text)),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn what_is_read_is_what_handlers_see() {
    let said = active(json!({
        "sub": 42, "client_id": 7, "exp": (NOW + 300).to_string(), "scope": ["a", "b"],
    }));
    let who = answer(&said).await.who.expect("accepted");
    assert_eq!(who.subject(), Some("42"));
    assert_eq!(who.client_id(), Some("7"));
    assert_eq!(
        who.expires_at(),
        Some(std::time::UNIX_EPOCH + Duration::from_secs(NOW + 300))
    );
    assert_eq!(who.scopes().as_str(), "a b");
    assert_eq!(who.claims()["sub"], "42");
    assert_eq!(who.claims()["exp"], NOW + 300);
    // The same as the principal with this text.
    let text = answer(&active(json!({"sub": "42", "client_id": "7"}))).await;
    assert_eq!(text.who.expect("accepted").id(), who.id());
}

/// Or clients of one address would be blocked for what their authorization server writes.
#[tokio::test]
async fn an_odd_answer_about_an_active_token_is_no_guess() {
    let odd = active(json!({"iat": "2026-01-01T00:00:00Z"}));
    for (said, reason, counts) in [
        (odd, "malformed_token", false),
        (json!({"active": false}), "inactive_token", true),
    ] {
        let web = web([(OPAQUE, said)]);
        let guarded = guarded(&web, introspection());
        let limit = FailedAttemptsLayer::new(|_| Some(IpAddr::from([192, 0, 2, 1])));
        let limit = limit.max_failures(2).unwrap();
        let stack = Stack::new(guarded.layer.clone(), limit);
        let value = format!("Bearer {OPAQUE}");
        // The answer is remembered, and counts each time or not at all.
        for turn in 0..4 {
            let answer = ask(&stack, request(&[("authorization", &value)])).await;
            let (kind, reason) = match counts && turn >= 2 {
                true => (AuthErrorKind::TooManyRequests, "too_many_failed_attempts"),
                false => (AuthErrorKind::Invalid, reason),
            };
            answer.refused(kind, reason);
        }
    }
}

#[tokio::test]
async fn an_odd_answer_is_reported_and_stops_no_other_token() {
    crate::oauth::trace::start();
    let web = web([
        (OPAQUE, active(json!({"exp": "soon"}))),
        ("another-opaque-token", active(json!({}))),
    ]);
    let guarded = guarded(&web, introspection());
    let got = guarded.bearer(OPAQUE).await;
    got.assert(401, "malformed_token");
    assert_eq!(got.retry_after(), None);
    assert!(got.detail().contains("\"soon\""), "{}", got.detail());
    let events = crate::oauth::trace::take();
    let warned = |event: &crate::oauth::trace::Traced| {
        event.level == tracing::Level::WARN && event.field("what").contains("exp")
    };
    assert!(events.iter().any(warned), "{events:?}");
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn a_missing_audience_names_the_settings_that_help() {
    let got = answer(&active(json!({"aud": null}))).await;
    got.assert(401, "missing_audience");
    for setting in ["client_ids", "introspection_without_audience"] {
        assert!(got.detail().contains(setting), "{}", got.detail());
    }
    // They do.
    let web = web([]);
    say_always(&web, &active(json!({"aud": null})));
    for server in [
        server(introspection()).client_ids(["app"]).unwrap(),
        server(introspection()).introspection_without_audience(),
    ] {
        let guarded = Guarded::with_server(&web, server);
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn null_members_count_as_absent() {
    let mut said = active(json!({}));
    for name in [
        "iss",
        "sub",
        "exp",
        "nbf",
        "iat",
        "scope",
        "username",
        "cnf",
        "token_use",
    ] {
        said[name] = Value::Null;
    }
    let who = answer(&said).await.who.expect("accepted");
    assert_eq!(who.subject(), None);
    assert_eq!(who.expires_at(), None);
    assert!(who.scopes().is_empty());
    assert!(!who.claims().contains_key("sub"));
    said["aud"] = Value::Null;
    answer(&said).await.assert(401, "missing_audience");
}

#[tokio::test]
async fn unknown_members_reach_the_claims_and_active_does_not() {
    let said = active(json!({"tenant": {"id": 7}, "username": "alice@example.com"}));
    let who = answer(&said).await.who.expect("accepted");
    assert_eq!(who.claims()["tenant"], json!({"id": 7}));
    assert_eq!(who.claims()["username"], "alice@example.com");
    assert!(!who.claims().contains_key("active"));
}

#[tokio::test]
async fn unnamed_callers_of_one_client_are_two_principals() {
    let said = active(json!({"sub": null, "username": null}));
    let web = web([
        ("opaque-token-number-1", said.clone()),
        ("opaque-token-number-2", said),
    ]);
    let guarded = guarded(&web, introspection());
    let one = guarded
        .bearer("opaque-token-number-1")
        .await
        .principal
        .unwrap();
    let two = guarded
        .bearer("opaque-token-number-2")
        .await
        .principal
        .unwrap();
    assert_ne!(one, two);
    assert!(!one.contains("opaque-token"), "{one}");
}

#[tokio::test]
async fn an_audience_of_the_endpoint_replaces_that_of_jwts() {
    let web = web([]);
    let guarded = guarded(&web, introspection().audience("mcp-client").unwrap());
    say_always(&web, &active(json!({"aud": ["mcp-client"]})));
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    // Also meant for the resource, and not for the audience that was configured.
    guarded.layer.invalidate_all();
    say_always(&web, &active(json!({"aud": RESOURCE})));
    guarded
        .bearer(OPAQUE)
        .await
        .assert(401, "audience_mismatch");
}

#[tokio::test]
async fn a_client_id_as_audience_needs_a_sign_of_an_access_token() {
    let bare = json!({"aud": "mcp-client", "scope": null, "token_type": null});
    for (more, status) in [
        (json!({}), 401),
        (json!({"scope": "mcp:read"}), 200),
        (json!({"token_use": "access_token"}), 200),
        (json!({"token_type": "Bearer"}), 200),
        (json!({"token_type": "N_A"}), 401),
    ] {
        let web = web([]);
        say_always(&web, &changed(active(bare.clone()), &more));
        let guarded = guarded(&web, introspection().audience("mcp-client").unwrap());
        assert_eq!(guarded.bearer(OPAQUE).await.status, status, "{more}");
    }
}

#[tokio::test]
async fn without_audience_is_an_explicit_setting() {
    let web = web([]);
    say_always(
        &web,
        &active(json!({"aud": null, "iss": null, "sub": null})),
    );
    let server = server(introspection()).introspection_without_audience();
    let guarded = Guarded::with_server(&web, server);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    // One that is there must match.
    for (aud, status, reason) in [
        (json!(RESOURCE), 200, "accepted"),
        (json!(["https://other.example", RESOURCE]), 200, "accepted"),
        (json!("https://other.example"), 401, "audience_mismatch"),
        (json!(["https://other.example"]), 401, "audience_mismatch"),
        (json!(format!("{RESOURCE}/")), 401, "audience_mismatch"),
        (json!(""), 401, "audience_mismatch"),
        (json!([]), 401, "audience_mismatch"),
        (json!({}), 401, "malformed_token"),
        (json!(7), 401, "malformed_token"),
    ] {
        guarded.layer.invalidate_all();
        say_always(&web, &active(json!({"aud": aud})));
        guarded.bearer(OPAQUE).await.assert(status, reason);
    }
    // For JWTs nothing changes.
    let key = Key::new("k");
    web.publish_keys(&[&key]);
    guarded
        .bearer(&key.token(json!({"aud": null})))
        .await
        .assert(401, "missing_audience");
}

#[tokio::test]
async fn scopes_are_judged_per_request_and_an_array_only_where_it_is_configured() {
    let web = web([]);
    say_always(&web, &active(json!({"scope": "mcp:read"})));
    let needs_more = scoped(&web, introspection(), &["mcp:read", "mcp:write"]);
    for _ in 0..2 {
        let refused = needs_more.bearer(OPAQUE).await;
        refused.assert(403, "insufficient_scope");
        assert!(refused.challenge().contains("scope=\"mcp:read mcp:write\""));
    }
    assert_eq!(
        web.count(ENDPOINT),
        1,
        "a refusal for scopes is no refusal of the token"
    );

    say_always(&web, &active(json!({"scope": null})));
    scoped(&web, introspection(), &["mcp:read"])
        .bearer(OPAQUE)
        .await
        .assert(403, "insufficient_scope");

    say_always(
        &web,
        &active(json!({"scope": null, "permissions": ["mcp:read", "mcp:write"]})),
    );
    let server = server(introspection()).scope_claim("permissions").unwrap();
    let who = Guarded::with_server(&web, server)
        .bearer(OPAQUE)
        .await
        .who
        .unwrap();
    assert_eq!(who.scopes().as_str(), "mcp:read mcp:write");
}

#[tokio::test]
async fn clock_skew_and_machines_are_settings_of_the_server() {
    let web = web([]);
    say_always(&web, &active(json!({"exp": NOW - 100, "sub": null})));
    let server: AuthorizationServer = server(introspection())
        .clock_skew(Duration::from_secs(200))
        .unwrap()
        .clients_are_principals(true);
    let got = Guarded::with_server(&web, server).bearer(OPAQUE).await;
    got.assert(200, "accepted");
    assert!(got.principal.unwrap().ends_with("client=app"));
}
