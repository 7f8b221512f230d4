//! The owner of a token, by its shape: it is shown to no server it does not belong to.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use tower_mcp_auth::ConfigError;

use super::*;

const OTHER: &str = "https://login.example.org";
const OTHER_ENDPOINT: &str = "https://login.example.org/introspect";

fn other(prefix: Option<&str>) -> AuthorizationServer {
    let mut introspection = Introspection::at(OTHER_ENDPOINT)
        .unwrap()
        .client_secret_post("mcp-server", "another-secret")
        .unwrap();
    if let Some(prefix) = prefix {
        introspection = introspection.token_prefix(prefix).unwrap();
    }
    AuthorizationServer::new(OTHER)
        .unwrap()
        .introspection(introspection)
        .unwrap()
}

fn build(
    servers: impl IntoIterator<Item = AuthorizationServer>,
) -> Result<OAuthLayer, ConfigError> {
    let mut builder = OAuthLayer::builder(RESOURCE)?;
    for server in servers {
        builder = builder.authorization_server(server)?;
    }
    builder.build()
}

fn asked(web: &Web) -> usize {
    web.count(ENDPOINT) + web.count(OTHER_ENDPOINT)
}

#[tokio::test]
async fn a_jwt_of_an_issuer_with_keys_is_checked_here() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    say(&web, []);
    let guarded = guarded(&web, introspection());
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&key.token(json!({"exp": 1})))
        .await
        .assert(401, "expired");
    let forged = Key::new("k").token(json!({"jti": "forged"}));
    guarded
        .bearer(&forged)
        .await
        .assert(401, "invalid_signature");
    assert_eq!(asked(&web), 0);
}

#[tokio::test]
async fn what_looks_like_a_jwt_is_never_shown_to_anybody() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    say(&web, []);
    let guarded = guarded(&web, introspection());
    let jws = |header: &str, payload: &str| {
        format!("{}.{}.c2ln", B64.encode(header), B64.encode(payload))
    };
    let signed = key.token(json!({}));
    let (_, signed) = signed.split_once('.').unwrap();
    let under = |header: &[u8]| format!("{}.{signed}", B64.encode(header));
    let nested = |depth| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    for (token, reason) in [
        (key.token(json!({"iss": OTHER})), "issuer_mismatch"),
        (key.token(json!({"iss": null})), "missing_issuer"),
        (jws(r#"{"alg":"none"}"#, "{}"), "missing_issuer"),
        (
            jws("{}", r#"{"iss":"https://evil.example.com"}"#),
            "issuer_mismatch",
        ),
        (jws("{}", "not json"), "malformed_token"),
        (jws(" {\"typ\":\"x\"}", "[]"), "malformed_token"),
        (jws("\t{}", "[]"), "malformed_token"),
        (jws("\n{}", "[]"), "malformed_token"),
        (jws("\r{}", "[]"), "malformed_token"),
        (
            jws(r#"{"alg":"ES256","alg":"none"}"#, "{}"),
            "duplicate_token_member",
        ),
        (
            key.token_with_header(json!({"typ": "token-introspection+jwt"}), json!({})),
            "wrong_token_type",
        ),
        (under(nested(40).as_bytes()), "malformed_token"),
        (under(nested(126).as_bytes()), "malformed_token"),
        (under(nested(127).as_bytes()), "malformed_token"),
        (under(nested(128).as_bytes()), "malformed_token"),
        (under(nested(1000).as_bytes()), "malformed_token"),
        (
            under(b"{\"alg\":\"ES256\",\"x\":\"\xff\"}"),
            "malformed_token",
        ),
        (under(b"{\"\xc3\":\"\xed\xa0\x80\"}"), "malformed_token"),
        // `{}` with bits left over, and an object in the alphabet with `+` and `/`.
        (format!("e31.{signed}"), "malformed_token"),
        (format!("eyJ4Ijoi+++/viJ9.{signed}"), "malformed_token"),
        // What some readers pass over: no letter of either alphabet, a letter too many.
        (format!("~e3~0~.{signed}"), "malformed_token"),
        (format!("eyJ4IjoxMTF9A.{signed}"), "malformed_token"),
    ] {
        guarded.bearer(&token).await.assert(401, reason);
    }
    assert_eq!(asked(&web), 0);
}

#[tokio::test]
async fn what_does_not_is_opaque() {
    let web = Web::with_issuer(&[]);
    let tokens = [
        "plain-opaque-token-1",
        "two.parts-of-a-token",
        "three.parts.but-no-header",
        "bm90IGpzb24.e30.c2lnbmF0dXJl",
        "WyJhbiBhcnJheSJd.e30.c2lnbmF0dXJl",
        // Bytes that are no UTF-8, where an object has no strings: `{\xff}`, `\xff{}`, `{}\xff`.
        "e_99.e30.c2lnbmF0dXJl",
        "_3t9.e30.c2lnbmF0dXJl",
        "e33_.e30.c2lnbmF0dXJl",
        "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn",
    ];
    say(
        &web,
        tokens.map(|token| (token, active(json!({"jti": token})))),
    );
    let guarded = guarded(&web, introspection());
    for (count, token) in tokens.into_iter().enumerate() {
        guarded.bearer(token).await.assert(200, "accepted");
        assert_eq!(asked(&web), count + 1, "{token}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_token_of_the_server_is_refused_without_a_call() {
    let web = web([]);
    let guarded_by = |introspection| guarded(&web, introspection);
    let any = guarded_by(introspection());
    any.bearer("too-short").await.assert(401, "unknown_token");
    any.bearer("fifteen-letters")
        .await
        .assert(401, "unknown_token");
    any.bearer(&"x".repeat(16 * 1024 + 1))
        .await
        .assert(401, "unknown_token");
    let mut short = guarded_by(introspection());
    short.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server(introspection()))
        .unwrap()
        .max_token_bytes(2048)
        .max_header_bytes(1024)
        .fetch(web.clone())
        .build()
        .unwrap();
    short
        .bearer(&"x".repeat(2049))
        .await
        .assert(401, "token_too_large");
    // Not decoded to see whether it is one.
    short
        .bearer(&format!("{}.e30.AA", "e".repeat(1400)))
        .await
        .assert(401, "header_too_large");
    let lengths = guarded_by(introspection().token_lengths(20..=24));
    lengths
        .bearer(&"x".repeat(19))
        .await
        .assert(401, "unknown_token");
    lengths
        .bearer(&"x".repeat(25))
        .await
        .assert(401, "unknown_token");
    let prefixed = guarded_by(introspection().token_prefix("ops_").unwrap());
    for token in [
        "opaque-token-of-others",
        "OPS_opaque-token-of-o",
        "ops-opaque-token-of-o",
    ] {
        prefixed.bearer(token).await.assert(401, "unknown_token");
    }
    // Characters outside `b64token` do not get that far.
    prefixed
        .bearer("ops_with a space inside")
        .await
        .assert(400, "malformed_credential");
    assert_eq!(asked(&web), 0);
    prefixed
        .bearer("ops_opaque-token-of-it")
        .await
        .assert(401, "inactive_token");
    assert_eq!(asked(&web), 1);
}

#[tokio::test]
async fn a_prefix_leads_to_its_server_and_the_rest_to_the_one_without() {
    let web = web([(OPAQUE, active(json!({})))]);
    web.set(
        OTHER_ENDPOINT,
        Page::Tokens(HashMap::from([(
            "org_of-the-other-server".to_owned(),
            active(json!({"iss": OTHER, "sub": "bob"})),
        )])),
    );
    let servers = [server(introspection()), other(Some("org_"))];
    let guarded = Guarded::with_servers(&web, servers);
    assert_eq!(
        guarded.bearer(OPAQUE).await.who.unwrap().issuer(),
        Some(ISSUER)
    );
    assert_eq!((web.count(ENDPOINT), web.count(OTHER_ENDPOINT)), (1, 0));
    let bob = guarded.bearer("org_of-the-other-server").await.who.unwrap();
    assert_eq!(bob.issuer(), Some(OTHER));
    assert_eq!((web.count(ENDPOINT), web.count(OTHER_ENDPOINT)), (1, 1));
    guarded
        .bearer("org_nobody-knows-this")
        .await
        .assert(401, "inactive_token");
    assert_eq!((web.count(ENDPOINT), web.count(OTHER_ENDPOINT)), (1, 2));
}

#[test]
fn servers_with_opaque_tokens_that_look_alike_are_refused() {
    let prefixed = |prefix: &str| server(introspection().token_prefix(prefix).unwrap());
    for servers in [
        vec![server(introspection()), other(None)],
        vec![prefixed("a_"), other(Some("a_"))],
        vec![prefixed("a_"), other(Some("a_b_"))],
        vec![prefixed("a_b_"), other(Some("a_"))],
    ] {
        let error = build(servers).expect_err("accepted");
        assert_eq!(error.setting(), "token_prefix", "{error}");
    }
    let jwts_only = introspection()
        .introspect_jwts()
        .unwrap()
        .no_opaque_tokens();
    for servers in [
        vec![prefixed("a_"), other(Some("b_"))],
        vec![prefixed("a_"), other(None)],
        vec![server(jwts_only), other(None)],
    ] {
        assert!(build(servers).is_ok());
    }
}

#[tokio::test]
async fn a_good_jwt_is_introspected_as_well_where_that_is_set() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    let token = key.token(json!({}));
    let known = |said| Page::Tokens(HashMap::from([(token.clone(), said)]));
    // What the endpoint says of whom it is for is not needed: the signature said it.
    web.set(ENDPOINT, known(json!({"active": true})));
    let introspection = introspection()
        .introspect_jwts()
        .unwrap()
        .positive_ttl(Duration::ZERO);
    let guarded = guarded(&web, introspection);
    let who = guarded.bearer(&token).await.who.expect("accepted");
    assert_eq!(who.claims()["jti"], "1", "the claims are those of the JWT");
    guarded.bearer(&token).await.assert(200, "accepted");
    assert_eq!(asked(&web), 2);
    // Revoked at once, from the cache of verified tokens as well.
    web.set(ENDPOINT, known(json!({"active": false})));
    guarded.bearer(&token).await.assert(401, "inactive_token");
    guarded.advance(10);
    web.set(ENDPOINT, known(json!({"active": true, "iss": OTHER})));
    guarded.bearer(&token).await.assert(401, "issuer_mismatch");
    guarded.advance(10);
    web.set(ENDPOINT, known(json!({"active": true, "exp": 1})));
    guarded.bearer(&token).await.assert(401, "expired");
    guarded.advance(10);
    web.set(ENDPOINT, Page::Status(500));
    guarded
        .bearer(&token)
        .await
        .assert(503, "introspection_failed");

    // Only one that was found good is shown to anybody.
    let before = asked(&web);
    guarded
        .bearer(&key.token(json!({"exp": 1})))
        .await
        .assert(401, "expired");
    let forged = Key::new("k").token(json!({}));
    guarded
        .bearer(&forged)
        .await
        .assert(401, "invalid_signature");
    assert_eq!(asked(&web), before);
}

#[tokio::test]
async fn or_only_those_with_a_chosen_scope() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    say(&web, []);
    let introspection = introspection()
        .introspect_jwts_with_scope("admin")
        .unwrap()
        .introspect_jwts_with_scope("mcp:write")
        .unwrap();
    let guarded = guarded(&web, introspection);
    for (scope, status, calls) in [
        ("mcp:read", 200, 0),
        ("mcp:read administrator", 200, 0),
        ("mcp:read mcp:write", 401, 1),
        ("admin", 401, 2),
    ] {
        let token = key.token(json!({"scope": scope}));
        assert_eq!(guarded.bearer(&token).await.status, status, "{scope}");
        assert_eq!(asked(&web), calls, "{scope}");
    }
}

#[tokio::test]
async fn a_server_without_keys_is_asked_about_its_own_jwts_and_no_others() {
    let key = Key::new("k");
    let web = Web::new();
    let good = key.token(json!({}));
    let known = HashMap::from([(good.clone(), active(json!({})))]);
    web.set(ENDPOINT, Page::Tokens(known));
    let guarded = guarded(&web, introspection().introspect_jwts_only().unwrap());
    guarded.layer.warm_up().await.unwrap();
    assert!(guarded.layer.health().is_empty());
    guarded.bearer(&good).await.assert(200, "accepted");
    guarded
        .bearer(&key.token(json!({"jti": "2"})))
        .await
        .assert(401, "inactive_token");
    assert_eq!(web.log().len(), 2, "{:?}", web.log());
    guarded
        .bearer(&key.token(json!({"iss": OTHER})))
        .await
        .assert(401, "issuer_mismatch");
    let answer = key.token_with_header(json!({"typ": "token-introspection+jwt"}), json!({}));
    guarded
        .bearer(&answer)
        .await
        .assert(401, "wrong_token_type");
    assert_eq!(web.log().len(), 2);
}

#[tokio::test]
async fn without_introspection_opaque_tokens_are_refused_as_before() {
    let web = Web::with_issuer(&[]);
    Guarded::new(&web)
        .bearer(OPAQUE)
        .await
        .assert(401, "not_a_jwt");
    let jwts_only = introspection()
        .introspect_jwts()
        .unwrap()
        .no_opaque_tokens();
    guarded(&web, jwts_only)
        .bearer(OPAQUE)
        .await
        .assert(401, "not_a_jwt");
    assert!(web.log().is_empty());
}

#[tokio::test]
async fn what_is_no_b64token_is_400_whatever_its_shape_and_no_server_is_asked() {
    let key = Key::new("k");
    let web = Web::with_issuer(&[&key]);
    say_always(&web, &active(json!({})));
    let good = key.token(json!({}));
    let guarded = guarded(&web, introspection().token_prefix("opq_").unwrap());
    guarded.bearer(&good).await.assert(200, "accepted");
    guarded
        .bearer("opq_a-token-of-this-server")
        .await
        .assert(200, "accepted");
    let calls = asked(&web);
    for bad in [
        // Remembered, and something more.
        format!("{good},"),
        format!("{good} x"),
        good.replace('.', ",."),
        "opq_a-token-of-this-server,".to_owned(),
        "opq_a token of this server".to_owned(),
        "opq_a-new-token-with-a-\u{e9}".to_owned(),
        "of-no-server-at-all,".to_owned(),
        "=".to_owned(),
    ] {
        guarded
            .bearer(&bad)
            .await
            .assert(400, "malformed_credential");
    }
    assert_eq!(asked(&web), calls);
}
