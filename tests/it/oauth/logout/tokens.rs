//! What a logout token must be.

use common::trace;
use tower_mcp_auth::testing::Endpoint;

use super::*;

const TYPE: &str = "The typ of the token is not logout+jwt";
const ISSUER: &str = "The logout token is from an issuer that is not accepted here";
const CLIENT_ID: &str = "The logout token is for another client";
const NO_EVENT: &str = "The events of the token have no logout event";
const NONCE: &str = "The logout token has a nonce";
const UNREAD: &str = "The logout token cannot be read";
const TWICE: &str = "The logout token has a member twice";
const EMPTY: &str = "The sub or the sid of the logout token is empty";
const NO_SUBJECT: &str = "The logout token has neither sub nor sid";
const NO_IAT: &str = "The logout token has no iat";
const NO_EXP: &str = "The logout token has no exp";
const NO_JTI: &str = "The logout token has no jti";
const OLD: &str = "The logout token was issued too long ago";
const AHEAD: &str = "The logout token was issued in the future";
const EXPIRED: &str = "The logout token expired";
const EARLY: &str = "The logout token is not valid yet";
const ALGORITHM: &str = "The algorithm of the logout token is not accepted";
const KEY: &str = "No key of the issuer fits the logout token";
const SIGNATURE: &str = "The signature of the logout token does not hold";
const EXTENSION: &str = "The logout token has an extension that is not understood";
const ENCRYPTED: &str = "The logout token is encrypted, which is not accepted";
const NO_JWT: &str = "The logout token is no JWT";
const LARGE: &str = "The logout token is larger than is read";

/// Tokens that are refused, by what is wrong with them.
fn faulty(setup: &Setup) -> Vec<(String, &'static str)> {
    let now = START.as_secs();
    let good = || setup.logout();
    let with = |name: &str, value: Value| setup.logout().claim(name, value);
    let url = setup.issuer.url();
    // The claims of a good one, and more.
    let raw = |more: &str| {
        let claims = format!(
            r#"{{"iss":"{url}","aud":"{CLIENT}","sub":"a","jti":"j","iat":{now},"exp":{}{more}"#,
            now + 120
        );
        setup.logout().raw_payload(&format!("{claims}}}"))
    };
    let event = format!(r#""{EVENT}":{{}}"#);
    let tokens = [
        (good().header("typ", "at+jwt"), TYPE),
        (good().header("typ", "JWT"), TYPE),
        (good().header("typ", "secevent+jwt"), TYPE),
        (good().header("typ", "logout+jwt2"), TYPE),
        (good().header("typ", "x/logout+jwt"), TYPE),
        (good().without_header("typ"), TYPE),
        (setup.access(), TYPE),
        (
            setup.access().claim("sid", "s-1").header("typ", "JWT"),
            TYPE,
        ),
        (good().header("typ", 1), UNREAD),
        // Whose it is.
        (good().without_claim("iss"), "The logout token has no iss"),
        (with("iss", "https://other.example".into()), ISSUER),
        (with("iss", format!("{url}/").into()), ISSUER),
        (with("iss", json!([url])), UNREAD),
        // For whom.
        (good().without_claim("aud"), CLIENT_ID),
        (with("aud", RESOURCE.into()), CLIENT_ID),
        (with("aud", "MCP-SERVER".into()), CLIENT_ID),
        (with("aud", json!([])), CLIENT_ID),
        (with("aud", json!(["a", "b"])), CLIENT_ID),
        (with("aud", json!(["a", 1])), UNREAD),
        (with("aud", 1.into()), UNREAD),
        // What tells it from all others.
        (good().without_claim("events"), NO_EVENT),
        (with("events", Value::Null), NO_EVENT),
        (with("events", json!({})), NO_EVENT),
        (
            with("events", json!({"https://other.example/event": {}})),
            NO_EVENT,
        ),
        (with("events", json!({"other": {EVENT: {}}})), NO_EVENT),
        (with("events", EVENT.into()), UNREAD),
        (with("events", json!([EVENT])), UNREAD),
        (with("events", events(Value::Null)), UNREAD),
        (with("events", events(true)), UNREAD),
        (with("events", events(json!([]))), UNREAD),
        (with("events", events("{}")), UNREAD),
        (
            setup.access().audience(CLIENT).header("typ", "logout+jwt"),
            NO_EVENT,
        ),
        (with("nonce", "n".into()), NONCE),
        (with("nonce", Value::Null), NONCE),
        // Who is signed out.
        (good().without_claim("sub"), NO_SUBJECT),
        (with("sub", Value::Null), NO_SUBJECT),
        (with("sub", "".into()), EMPTY),
        (with("sid", "".into()), EMPTY),
        (with("sid", 17.into()), UNREAD),
        (with("sub", 17.into()), UNREAD),
        // When.
        (good().without_claim("iat"), NO_IAT),
        (with("iat", "now".into()), UNREAD),
        (with("iat", (now - 181).into()), OLD),
        (with("iat", (now + 61).into()), AHEAD),
        (good().without_claim("exp"), NO_EXP),
        (with("exp", (now - 60).into()), EXPIRED),
        (with("exp", "later".into()), UNREAD),
        (with("nbf", (now + 61).into()), EARLY),
        // Which one.
        (good().without_claim("jti"), NO_JTI),
        (with("jti", "".into()), NO_JTI),
        (with("jti", Value::Null), NO_JTI),
        (with("jti", 1.into()), UNREAD),
        // Read in one way only.
        (
            raw(&format!(r#","events":{{{event}}},"sid":"a","sid":"a""#)),
            TWICE,
        ),
        (raw(&format!(r#","events":{{{event},{event}}}"#)), TWICE),
        (
            raw(&format!(r#","events":{{}},"events":{{{event}}}"#)),
            TWICE,
        ),
        (raw(",\"events\":"), UNREAD),
        (good().raw_payload("[]"), UNREAD),
        (
            good().raw_header(r#"{"alg":"ES256","typ":"JWT","typ":"logout+jwt"}"#),
            TWICE,
        ),
        // Who vouches for it.
        (good().with_wrong_key(), SIGNATURE),
        (good().key_id("another"), KEY),
        (good().unsigned(), ALGORITHM),
        (good().algorithm(Algorithm::HS256), ALGORITHM),
        (good().algorithm(Algorithm::HS512), ALGORITHM),
        (good().algorithm(Algorithm::ES384), ALGORITHM),
        (good().header("alg", "ES256K"), ALGORITHM),
        (good().without_header("alg"), ALGORITHM),
        (good().header("crit", json!(["exp"])), EXTENSION),
        (good().header("b64", false), EXTENSION),
        (good().claim("more", "x".repeat(16 * 1024)), LARGE),
        (good().header("more", "x".repeat(5 * 1024)), LARGE),
    ];
    let tokens = tokens.into_iter().map(|(token, text)| (token.sign(), text));
    let mut tokens: Vec<_> = tokens.collect();
    let sound = good().sign();
    let (input, _) = sound.rsplit_once('.').unwrap();
    let another = good().subject("bob").sign();
    let (_, others) = another.rsplit_once('.').unwrap();
    let changed = format!("{input}.{others}");
    tokens.extend([
        (format!("{sound}.a.b"), ENCRYPTED),
        (format!("{input}."), SIGNATURE),
        (changed, SIGNATURE),
        (format!("{sound}="), UNREAD),
        (format!("%20{sound}"), UNREAD),
        (input.to_owned(), NO_JWT),
        ("opaque".to_owned(), NO_JWT),
        ("undefined".to_owned(), NO_JWT),
    ]);
    tokens
}

#[tokio::test]
async fn each_check_refuses_in_its_own_words_and_revokes_nothing() {
    let setup = Setup::with(|server| server.algorithms([Algorithm::ES256])).await;
    let mut seen = std::collections::BTreeSet::new();
    for (token, text) in faulty(&setup) {
        // The body is bounded by as much as the token.
        if token.len() > 16 * 1024 - 13 {
            let told = setup.post(&token).await;
            assert_eq!(told.status, 413);
            continue;
        }
        trace::start();
        let told = setup.post(&token).await;
        assert_eq!(told.status, 400, "{text}: {token}");
        let payload = token.split('.').nth(1).unwrap_or_default();
        let said = refused(&told, 400, "invalid_logout_token");
        assert_eq!(said, text, "{payload}: {:?}", trace::take());
        seen.insert(text);
        // Neither an answer nor an event has it.
        let events = format!("{:?}", trace::take_everything());
        for told in [&told.body, &events] {
            assert!(payload.is_empty() || !told.contains(payload), "{told}");
        }
    }
    assert_eq!(seen.len(), 24);
    assert_eq!(setup.revocation.entries(), 0);
    assert_eq!(setup.reason(&setup.access().sign()).await, None);
}

#[tokio::test]
async fn what_differs_and_is_allowed_is_taken() {
    let now = START.as_secs();
    type Change = fn(TokenBuilder, u64) -> TokenBuilder;
    let changes: [Change; 18] = [
        |token, _| token,
        |token, _| token.header("typ", "application/LOGOUT+JWT"),
        |token, _| token.audience("another"),
        |token, _| token.claim("sid", "s-1"),
        |token, _| token.claim("sid", "s-1").without_claim("sub"),
        |token, _| token.claim("sid", Value::Null),
        |token, _| token.claim("events", events(json!({"more": [1]}))),
        |token, _| {
            let both = json!({EVENT: {}, "revoke_offline_access": true});
            token.claim("events", both)
        },
        |token, _| token.claim("typ", "Logout").claim("trace_id", "t"),
        |token, _| token.claim("azp", "another").claim("acr", "1"),
        |token, now| token.claim("iat", now - 180).claim("exp", now - 59),
        |token, now| token.claim("iat", now + 60),
        |token, now| token.claim("iat", now as f64 + 0.5),
        |token, now| token.claim("exp", now + 90_000),
        |token, now| token.claim("nbf", now + 60),
        // One key fits.
        |token, _| token.without_header("kid"),
        |token, _| token.header("jku", "https://evil.example/keys"),
        |token, _| token.claim("jti", "x".repeat(1000)),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let setup = Setup::new().await;
        let told = setup.post(&change(setup.logout(), now).sign()).await;
        assert_eq!(told.status, 200, "{index}: {}", told.body);
        assert_eq!(told.body, "", "{index}");
        assert_eq!(told.headers["cache-control"], "no-store");
        assert_eq!(setup.revocation.entries(), 1, "{index}");
    }
}

#[tokio::test]
async fn older_servers_are_let_in_where_that_is_set_and_access_tokens_never_are() {
    let setup = Setup::new().await;
    let untyped = setup.service.clone().accept_untyped();
    let endless = setup.service.clone().accept_missing_exp();
    let both = untyped.clone().accept_missing_exp();
    let token = |typ: Option<&str>, has_exp: bool| {
        let mut token = setup.logout();
        token = match typ {
            Some(typ) => token.header("typ", typ),
            None => token.without_header("typ"),
        };
        match has_exp {
            true => token.sign(),
            false => token.without_claim("exp").sign(),
        }
    };
    for (typ, has_exp, taken) in [
        (Some("logout+jwt"), true, [true, true, true, true]),
        (Some("logout+jwt"), false, [false, false, true, true]),
        (Some("JWT"), true, [false, true, false, true]),
        (None, true, [false, true, false, true]),
        (None, false, [false, false, false, true]),
        (Some("at+jwt"), true, [false; 4]),
        (Some("secevent+jwt"), true, [false; 4]),
    ] {
        let services = [&setup.service, &untyped, &endless, &both];
        for (service, taken) in services.into_iter().zip(taken) {
            let told = send(service.clone(), post(&token(typ, has_exp))).await;
            let status = if taken { 200 } else { 400 };
            assert_eq!(told.status, status, "{typ:?} {has_exp}: {}", told.body);
        }
    }
    // ID tokens, and access tokens of servers that write no type.
    for token in [
        setup.access().header("typ", "JWT").audience(CLIENT),
        setup.access().without_header("typ").audience(CLIENT),
        setup.logout().without_header("typ").without_claim("events"),
        setup.logout().without_header("typ").claim("nonce", "n"),
    ] {
        let told = send(both.clone(), post(&token.sign())).await;
        refused(&told, 400, "invalid_logout_token");
    }
    // Without `exp` the age bounds it.
    let old = setup.logout().without_claim("exp");
    let old = old.claim("iat", START.as_secs() - 181).sign();
    let told = send(both, post(&old)).await;
    assert_eq!(refused(&told, 400, "invalid_logout_token"), OLD);
}

#[tokio::test]
async fn the_age_can_be_set_and_adds_to_the_clock_skew_of_the_server() {
    let setup = Setup::with(|server| server.clock_skew(seconds(10))).await;
    let service = setup.service.clone().max_token_age(seconds(30)).unwrap();
    for (ahead, status) in [(-41, 400), (-40, 200), (10, 200), (11, 400)] {
        let iat = START.as_secs().checked_add_signed(ahead).unwrap();
        let token = setup.logout().claim("iat", iat).sign();
        let told = send(service.clone(), post(&token)).await;
        assert_eq!(told.status, status, "{ahead}: {}", told.body);
    }
    for age in [Duration::ZERO, seconds(3601)] {
        let error = setup.service.clone().max_token_age(age).unwrap_err();
        assert_eq!(error.setting(), "max_token_age");
    }
}

#[tokio::test]
async fn a_logout_token_is_no_access_token() {
    let setup = Setup::new().await;
    let with_scope = || setup.logout().audience(RESOURCE).scope("mcp:read");
    for token in [
        with_scope(),
        with_scope().header("typ", "JWT"),
        with_scope().without_header("typ"),
    ] {
        let reason = setup.reason(&token.sign()).await;
        assert_eq!(reason, Some("wrong_token_type"));
    }
}

#[tokio::test]
async fn keys_are_those_of_the_layer_and_a_flood_of_unknown_ones_fetches_no_more() {
    let setup = Setup::new().await;
    assert_eq!(setup.reason(&setup.access().sign()).await, None);
    assert_eq!(setup.issuer.requests(Endpoint::Jwks), 1);
    setup.log_out(setup.logout()).await;
    assert_eq!(setup.issuer.requests(Endpoint::Jwks), 1);

    // What is refused anyway looks for no key.
    for token in [
        setup.logout().key_id("k").audience("x").claim("aud", "x"),
        setup.logout().key_id("k").without_claim("events"),
        setup.logout().key_id("k").claim("nonce", "n"),
    ] {
        refused(
            &setup.post(&token.sign()).await,
            400,
            "invalid_logout_token",
        );
    }
    assert_eq!(setup.issuer.requests(Endpoint::Jwks), 1);

    // A new key is fetched, for both.
    setup.issuer.rotate();
    setup.log_out(setup.logout()).await;
    assert_eq!(setup.issuer.requests(Endpoint::Jwks), 2);
    let later = setup.access().subject("bob").sign();
    assert_eq!(setup.reason(&later).await, None);
    assert_eq!(setup.issuer.requests(Endpoint::Jwks), 2);

    // Unknown ones share a budget, whichever door they come by.
    for number in 0..100 {
        let kid = format!("unknown-{number}");
        let told = setup.post(&setup.logout().key_id(&kid).sign()).await;
        assert!([400, 503].contains(&told.status.as_u16()), "{}", told.body);
        let bearer = setup.access().key_id(&format!("other-{number}")).sign();
        assert!(setup.reason(&bearer).await.is_some());
    }
    assert!(setup.issuer.requests(Endpoint::Jwks) <= 5);
}
