//! The token goes to the origin that was given, and is printed nowhere.

use std::sync::Arc;

use tower_mcp_auth::doctor::{Options, Report, examine};
use tower_mcp_auth::testing::{Endpoint, Issuer};

use super::server::{Fake, Reply};
use super::{look, look_with};

/// Whether a text has a piece of the token.
fn repeats(text: &str, token: &str) -> bool {
    let mut pieces = token.as_bytes().windows(12);
    pieces.any(|piece| text.contains(std::str::from_utf8(piece).unwrap()))
}

fn texts(report: &Report) -> [String; 3] {
    [
        report.to_string(),
        serde_json::to_string(report).unwrap(),
        format!("{report:?}"),
    ]
}

fn signature(token: &str) -> &str {
    token.rsplit('.').next().unwrap()
}

#[tokio::test]
async fn the_token_is_sent_to_the_endpoint_and_nowhere_else() {
    // One that leads everywhere: its metadata, its authorization server, its redirects.
    let other = Fake::good().await;
    let there = other.url.clone();
    let server = Fake::start(move |asked, reply| {
        if asked.is_mcp() && !asked.is_anonymous() && !asked.header("authorization").ends_with('.')
        {
            *reply = Reply::new(307).with("location", there.clone());
        } else if asked.is_mcp() {
            let pointer = there.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
            let challenge = format!("Bearer resource_metadata=\"{pointer}\"");
            reply.set("www-authenticate", challenge);
        }
    })
    .await;
    let token = server.token();
    look_with(&server, &token).await;
    let has_it = |asked: &super::server::Asked| {
        let all = format!("{asked:?}");
        repeats(&all, signature(&token))
    };
    assert!(!other.asked().is_empty(), "the documents were asked for");
    assert!(!other.asked().iter().any(has_it));
    for asked in server.asked().iter().filter(|own| has_it(own)) {
        assert!(asked.is_mcp() && asked.query.is_empty(), "{asked:?}");
        assert!(repeats(asked.header("authorization"), signature(&token)));
    }
    assert!(server.asked().iter().any(has_it), "it was presented");
    for endpoint in [Endpoint::OAuthMetadata, Endpoint::Jwks, Endpoint::Token] {
        for issuer in [&server.issuer, &other.issuer] {
            let asked = issuer.last_request(endpoint);
            assert!(!repeats(&format!("{asked:?}"), signature(&token)));
        }
    }
}

#[tokio::test]
async fn what_repeats_the_token_is_not_shown() {
    let server = Fake::start(|asked, reply| {
        let token = asked.header("authorization").trim_start_matches("Bearer ");
        if asked.is_mcp() && !token.is_empty() {
            // The end of it: the middle of a challenge, the body, and a URL.
            let end = &token[token.len().saturating_sub(40)..];
            let challenge = format!(
                "Bearer error=\"invalid_token\", error_description=\"bad token {end}\", \
                 scope=\"{token}\""
            );
            *reply = Reply::new(401).with("www-authenticate", challenge);
            reply.body = token.to_owned();
        }
    })
    .await;
    let token = server.token();
    let report = look_with(&server, &token).await;
    for text in texts(&report) {
        assert!(!repeats(&text, &token), "{text}");
    }
    assert!(
        report.to_string().contains("it repeats the token"),
        "{report}"
    );
    let options = Options::new(&server.url).unwrap().token(&token).unwrap();
    assert!(!repeats(&format!("{options:?}"), &token));
}

#[tokio::test]
async fn the_token_in_the_query_is_a_made_up_one() {
    let server = Fake::good().await;
    let token = server.token();
    look_with(&server, &token).await;
    let asked = server.asked();
    let queries: Vec<_> = asked.iter().filter(|own| !own.query.is_empty()).collect();
    assert_eq!(queries.len(), 1);
    assert!(
        queries[0]
            .query
            .starts_with("access_token=made-up-by-mcp-auth-doctor-")
    );
    assert!(queries[0].is_anonymous());
}

#[tokio::test]
async fn over_plain_http_the_token_is_not_sent() {
    // A name that leads nowhere: what matters is that nothing is tried with the token. The
    // reserved name of RFC 6761 is never resolved.
    let options = Options::new("http://mcp.invalid/mcp").unwrap();
    let report = examine(options.token("a-secret-token").unwrap()).await;
    let codes: Vec<_> = report.findings.iter().map(|own| own.code.code()).collect();
    assert_eq!(codes, ["unreachable", "plain_http"], "{report}");
    assert_eq!(report.exit_code(), 2);
}

#[test]
fn a_token_that_cannot_be_one_is_refused_and_not_repeated() {
    let options = Options::new("https://mcp.example.com/mcp").unwrap();
    for (token, why) in [
        ("", "empty"),
        ("  \n", "empty"),
        ("Bearer s3cret-token", "a space"),
        ("s3cret\u{e4}", "a character"),
        (&*"s3cret".repeat(20_000), "longer than 64 KiB"),
    ] {
        let error = options.clone().token(token).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    for url in [
        "https://a:s3cret@h/mcp",
        "https://h/mcp#x",
        "s3cret",
        "eyJ.s3cret.x",
        "s3cret:x",
    ] {
        // A token may have been written in the place of the URL.
        let error = Options::new(url).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
    assert!(options.origin("https://app.example.com/").is_err());
}

#[tokio::test]
async fn nothing_is_registered_and_no_tool_is_called() {
    let issuer = Issuer::start().await.unwrap();
    let server = Fake::with(issuer, Arc::new(|_, _| {})).await;
    look(&server).await;
    look_with(&server, &server.token()).await;
    for endpoint in [Endpoint::Register, Endpoint::Token, Endpoint::Authorize] {
        assert_eq!(server.issuer.requests(endpoint), 0);
    }
    assert!(
        !server
            .asked()
            .iter()
            .any(|own| own.body.contains("tools/call"))
    );
}
