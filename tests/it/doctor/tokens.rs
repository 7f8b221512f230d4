//! The token, row by row, and what comes of presenting it.

use serde_json::json;
use tower_mcp_auth::doctor::Judgement;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::{Behaviour, DpopKey, Endpoint, TokenBuilder};

use super::server::{Asked, Fake, Reply};
use super::{assert_codes, look_with};

type Edit = fn(TokenBuilder) -> TokenBuilder;

/// What is wrong with a token, and what is said where the server refuses it.
const BAD: &[(&str, &str, &str, Edit)] = &[
    ("expired", "exp", "token_expired", TokenBuilder::expired),
    ("no end", "exp", "token_times_missing", |token| {
        token.without_claim("exp")
    }),
    ("not yet valid", "nbf", "token_not_yet_valid", |token| {
        token.claim("nbf", 4_000_000_000_u64)
    }),
    ("for somebody else", "aud", "token_audience", |token| {
        token.claim("aud", "https://files.example.com")
    }),
    ("for nobody", "aud", "token_audience_missing", |token| {
        token.without_claim("aud")
    }),
    ("of somebody else", "iss", "token_issuer", |token| {
        token.claim("iss", "https://other.example.com")
    }),
    ("an ID token", "kind", "token_wrong_kind", |token| {
        token.header("typ", "JWT").claim("at_hash", "x")
    }),
    ("a logout token", "typ", "token_wrong_kind", |token| {
        token.header("typ", "logout+jwt")
    }),
    ("of an unknown key", "kid", "token_key_unknown", |token| {
        token.key_id("gone")
    }),
    (
        "forged",
        "signature",
        "token_signature",
        TokenBuilder::with_wrong_key,
    ),
    (
        "signed with a public key",
        "alg",
        "token_algorithm",
        |token| token.algorithm(Algorithm::HS256),
    ),
    ("a claim twice", "form", "token_malformed", |token| {
        token.raw_payload(r#"{"iss":"a","iss":"b"}"#)
    }),
];

/// Refuses every token.
fn refuse(asked: &Asked, reply: &mut Reply) {
    if asked.is_mcp() && asked.header("authorization").starts_with("Bearer ey") {
        *reply = Reply::new(401)
            .with("access-control-allow-origin", "*")
            .with("access-control-expose-headers", "WWW-Authenticate")
            .with(
                "www-authenticate",
                "Bearer error=\"invalid_token\", error_description=\"No\"",
            );
    }
}

#[tokio::test]
async fn a_token_that_is_refused_says_why() {
    let server = Fake::start(refuse).await;
    for (name, row, code, edit) in BAD {
        let token = server
            .issuer
            .token()
            .audience(&server.url)
            .scope("mcp:read");
        let report = look_with(&server, &edit(token).sign()).await;
        assert_codes(&report, &[code], name);
        let bad: Vec<_> = report
            .token
            .iter()
            .filter(|own| own.judgement == Judgement::Bad)
            .map(|own| own.name)
            .collect();
        assert_eq!(bad, [*row], "{name}: {report}");
    }
}

#[tokio::test]
async fn several_reasons_are_all_told() {
    let server = Fake::start(refuse).await;
    let token = server
        .issuer
        .token()
        .audience("https://files.example.com")
        .expired()
        .sign();
    let report = look_with(&server, &token).await;
    assert_codes(&report, &["token_audience", "token_expired"], "both");
}

#[tokio::test]
async fn a_server_that_accepts_a_bad_token_is_told_of() {
    let accepted = |code: &str| match code {
        "token_audience" | "token_audience_missing" => Some("foreign_audience_accepted"),
        // Another trusted issuer, perhaps, whose keys are not known here.
        "token_issuer" | "token_key_unknown" | "token_times_missing" => None,
        _ => Some("bad_token_accepted"),
    };
    let server = Fake::good().await;
    for (name, _, code, edit) in BAD {
        let token = server
            .issuer
            .token()
            .audience(&server.url)
            .scope("mcp:read");
        let report = look_with(&server, &edit(token).sign()).await;
        assert_codes(&report, &Vec::from_iter(accepted(code)), name);
    }
}

#[tokio::test]
async fn a_good_token_is_good_in_every_row() {
    let server = Fake::good().await;
    let report = look_with(&server, &server.token()).await;
    assert_codes(&report, &[], "good");
    let rows: Vec<_> = report.token.iter().map(|own| own.name).collect();
    let expected = [
        "form",
        "typ",
        "iss",
        "aud",
        "exp",
        "iat",
        "alg",
        "kid",
        "signature",
        "scope",
    ];
    assert_eq!(rows, expected);
    let all = report
        .token
        .iter()
        .all(|own| own.judgement == Judgement::Good);
    assert!(all, "{report}");
    assert_eq!(report.claims["aud"], server.url);
    // The subject does not matter.
    assert!(!report.claims.contains_key("sub"));
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    let server = Fake::start(refuse).await;
    let token = server
        .issuer
        .token()
        .audience(&server.url)
        .bound_to(&DpopKey::generate());
    let report = look_with(&server, &token.sign()).await;
    assert_codes(&report, &["token_bound"], "bound");
}

#[tokio::test]
async fn what_cannot_be_seen_from_outside_is_said_to_be_so() {
    let server = Fake::start(refuse).await;
    let report = look_with(&server, &server.token()).await;
    assert_codes(&report, &["token_refused"], "for no visible reason");
    assert_eq!(report.findings[0].evidence, ["401, \"No\""]);

    let server = Fake::good().await;
    let report = look_with(&server, "opaque-and-of-no-use").await;
    assert_codes(&report, &["token_refused"], "an opaque one");
    let codes: Vec<_> = report.findings.iter().map(|own| own.code.code()).collect();
    assert!(codes.contains(&"token_opaque"), "{report}");

    server
        .issuer
        .set_behaviour(Endpoint::Jwks, Behaviour::Status(404));
    let report = look_with(&server, &server.token()).await;
    assert_codes(&report, &["keys_unreachable"], "no keys");
    let row = report
        .token
        .iter()
        .find(|own| own.name == "signature")
        .unwrap();
    assert_eq!(row.judgement, Judgement::Unknown);
}

#[tokio::test]
async fn trouble_with_the_token_is_the_servers() {
    for status in [500, 503] {
        let server = Fake::start(move |asked, reply| {
            // The made-up one has no signature.
            let token = asked.header("authorization");
            if token.starts_with("Bearer ey") && !token.ends_with('.') {
                *reply = Reply::new(status);
            }
        })
        .await;
        let report = look_with(&server, &server.token()).await;
        assert_codes(&report, &["token_check_failing"], "5xx");
    }
}

#[tokio::test]
async fn a_server_that_stopped_listening_says_nothing_of_the_token() {
    let server = Fake::start(|asked, reply| {
        let token = asked.header("authorization");
        if token.starts_with("Bearer ey") && !token.ends_with('.') {
            *reply = Reply::new(429);
        }
    })
    .await;
    let token = server.issuer.token().audience(&server.url).expired();
    let report = look_with(&server, &token.sign()).await;
    assert_codes(&report, &["rate_limited"], "429");
}

#[tokio::test]
async fn a_server_of_the_newest_revision_alone_is_asked_in_it() {
    let server = Fake::start(|asked, reply| {
        if asked.body.contains("\"initialize\"") && reply.status == 200 {
            *reply = Reply::new(400);
        }
    })
    .await;
    assert_codes(&look_with(&server, &server.token()).await, &[], "modern");
    let asked = server.asked();
    let list = asked
        .iter()
        .find(|own| own.body.contains("tools/list"))
        .unwrap();
    assert_eq!(list.header("mcp-protocol-version"), "2026-07-28");
    assert_eq!(list.header("mcp-method"), "tools/list");
}

#[tokio::test]
async fn want_of_scope_is_seen_at_the_door_and_at_the_list() {
    const ASKS: &str = "Bearer error=\"insufficient_scope\", scope=\"mcp:admin\"";
    for method in ["initialize", "tools/list"] {
        let server = Fake::start(move |asked, reply| {
            let is_signed = reply.status == 200 && asked.is_mcp();
            if is_signed && asked.body.contains(method) {
                *reply = Reply::new(403).with("www-authenticate", ASKS);
            }
        })
        .await;
        let report = look_with(&server, &server.token()).await;
        assert_codes(&report, &["token_scope"], method);
        let evidence = &report.findings[0].evidence[0];
        assert!(
            evidence.contains("mcp:admin") && evidence.contains("mcp:read"),
            "{evidence}"
        );
    }
}

#[tokio::test]
async fn an_empty_list_is_for_want_of_scope_or_not() {
    let empty = |asked: &Asked, reply: &mut Reply| {
        if reply.body.contains("\"tools\"") && asked.is_mcp() {
            reply.edit(|own| own["result"]["tools"] = json!([]));
        }
    };
    let server = Fake::start(empty).await;
    let report = look_with(&server, &server.token()).await;
    assert_codes(
        &report,
        &["list_empty_for_want_of_scope"],
        "a scope is missing",
    );
    assert_eq!(
        report.findings[0].evidence,
        ["the token lacks \"mcp:write\""]
    );

    let all = server
        .issuer
        .token()
        .audience(&server.url)
        .scope("mcp:read mcp:write");
    let report = look_with(&server, &all.sign()).await;
    assert_codes(&report, &[], "it has all");
    assert!(
        report
            .findings
            .iter()
            .any(|own| own.code.code() == "list_empty"),
        "{report}"
    );
}

#[tokio::test]
async fn a_session_is_opened_used_and_ended() {
    let server = Fake::good().await;
    look_with(&server, &server.token()).await;
    let asked = server.asked();
    let with_session = asked
        .iter()
        .filter(|own| own.header("mcp-session-id") == "one");
    let methods: Vec<_> = with_session.map(|own| own.method.as_str()).collect();
    assert_eq!(methods, ["POST", "POST", "DELETE"]);

    let server = Fake::start(|asked, reply| {
        if asked.body.contains("tools/list") && reply.status == 200 {
            *reply = Reply::new(400);
        }
    })
    .await;
    let report = look_with(&server, &server.token()).await;
    assert_codes(&report, &["session_failing"], "no list");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told_of() {
    let server = Fake::start(|asked, reply| {
        if asked.body.contains("tools/list") && reply.status == 200 {
            *reply = Reply::new(429).with("retry-after", "12");
        }
    })
    .await;
    let report = look_with(&server, &server.token()).await;
    assert_codes(&report, &["rate_limited"], "no room for a list");
    let text = report.to_string();
    assert!(
        text.contains("tools/list: 429 with `Retry-After` \"12\""),
        "{text}"
    );
}
