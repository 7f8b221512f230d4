//! Certificates: that of a private authority, and those that clients refuse.

use std::time::Duration;

use tower_mcp_auth::Clock;
use tower_mcp_auth::doctor::{Judgement, Options, Report, Severity, Verdict, examine};

use super::assert_codes;
use super::server::Fake;
use crate::oauth::authorities::{AUTHORITY, KEY, acceptor_with, serve_https};

fn trusting(url: &str) -> Options {
    Options::new(url)
        .unwrap()
        .root_certificates(AUTHORITY)
        .unwrap()
}

/// The one thing that was found, and what was seen.
#[track_caller]
fn assert_unseen(report: &Report, code: &str, seen: &str) {
    assert_eq!(report.codes(Severity::Fault), [code], "{report}");
    assert_eq!(report.verdict, Verdict::Unseen, "{report}");
    assert_eq!(report.exit_code(), 2);
    let evidence = &report.findings[0].evidence[0];
    assert!(evidence.contains(seen), "{evidence}");
}

#[tokio::test]
async fn with_its_authority_a_server_is_looked_at_to_the_end() {
    let server = Fake::tls("127.0.0.1").await;
    let options = trusting(&server.url).token(server.token()).unwrap();
    let report = examine(options).await;
    assert_codes(&report, &[], "trusted");
    assert_eq!(report.verdict, Verdict::Good);
    assert!(!report.token.is_empty(), "{report}");
    let mut rows = report.token.iter();
    assert!(rows.all(|row| row.judgement == Judgement::Good), "{report}");
}

#[tokio::test]
async fn without_it_the_option_that_names_it_is_named() {
    let server = Fake::tls("127.0.0.1").await;
    let other = Options::new(&server.url).unwrap();
    let report = examine(other).await;
    assert_unseen(&report, "certificate_authority_unknown", "--ca FILE");
    assert!(report.findings[0].fix.contains("--ca FILE"), "{report}");
    assert!(server.asked().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_named_with_its_hosts() {
    let server = Fake::tls("127.0.0.2").await;
    let report = examine(trusting(&server.url)).await;
    assert_unseen(&report, "certificate_host", "\"localhost\", \"127.0.0.1\"");
    assert!(report.findings[0].fix.contains(&server.url), "{report}");
}

#[tokio::test]
async fn the_certificate_of_an_authority_is_none_for_a_server() {
    // As `openssl req -x509` makes one.
    const OWN: &str = include_str!("fixtures/authority.pem");
    let acceptor = acceptor_with(OWN, include_str!("fixtures/authority.key"));
    let server = Fake::tls_with("127.0.0.1", acceptor).await;
    let options = Options::new(&server.url).unwrap().root_certificates(OWN);
    let report = examine(options.unwrap()).await;
    assert_unseen(&report, "certificate_is_authority", "CA:TRUE");
}

#[tokio::test]
async fn plain_http_to_a_port_of_https_is_named() {
    let server = Fake::tls("127.0.0.1").await;
    let url = server.url.replace("https:", "http:");
    let report = examine(Options::new(url).unwrap()).await;
    assert_unseen(&report, "unreachable", "is it a port of https?");
}

#[tokio::test]
async fn a_certificate_is_judged_by_the_clock_that_tokens_are_judged_by() {
    let server = Fake::tls("127.0.0.1").await;
    for (now, code, seen) in [
        // 2130 and 2024.
        (5_050_000_000, "certificate_expired", "expired on"),
        (
            1_710_000_000,
            "certificate_not_yet_valid",
            "not valid before",
        ),
    ] {
        let clock = Clock::manual(Duration::from_secs(now));
        let report = examine(trusting(&server.url).clock(clock)).await;
        assert_unseen(&report, code, seen);
    }
}

#[tokio::test]
async fn plain_http_at_the_port_of_an_https_url_is_named() {
    let server = Fake::good().await;
    let url = server.url.replace("http:", "https:");
    let report = examine(Options::new(url).unwrap()).await;
    assert_unseen(&report, "tls_failing", "plain http, perhaps");
}

#[tokio::test]
async fn plain_http_that_is_not_on_loopback_is_named_and_gets_no_token() {
    let server = Fake::good().await;
    let url = server.url.replace("127.0.0.1", "0.0.0.0");
    let options = Options::new(url).unwrap().token(server.token());
    let report = examine(options.unwrap()).await;
    assert_eq!(report.findings[0].code.code(), "plain_http", "{report}");
    let codes = report.codes(Severity::Fault);
    assert!(codes.contains(&"token_not_sent"), "{report}");
    assert_eq!(
        report.verdict,
        Verdict::Faulty,
        "it was looked at: {report}"
    );
}

#[tokio::test]
async fn an_authorization_server_of_a_private_authority_is_told_of() {
    let port = serve_https("[]".to_owned()).await;
    let server = Fake::start(move |asked, reply| {
        if asked.is_metadata() {
            let issuer = format!("https://127.0.0.1:{port}");
            reply.edit(|own| own["authorization_servers"] = serde_json::json!([issuer]));
        }
    })
    .await;
    let report = examine(Options::new(&server.url).unwrap()).await;
    assert_codes(&report, &["issuer_unreachable"], "private");
    assert!(report.to_string().contains("--ca FILE"), "{report}");
    let report = examine(trusting(&server.url)).await;
    assert_codes(&report, &["issuer_metadata_not_json"], "trusted");
}

#[test]
fn what_is_no_certificate_is_refused_before_any_connection() {
    let options = Options::new("https://mcp.example.com/mcp").unwrap();
    let der = [0x30, 0x82, 0x01, 0x0a, 0xff];
    let cut = AUTHORITY.replace("MII", "MIA");
    for (pem, why) in [
        (&b""[..], "there is nothing in it"),
        (b" \n", "there is nothing in it"),
        (b"no PEM", "there is no certificate in it"),
        (KEY.as_bytes(), "there is no certificate in it"),
        (&der, "this is DER"),
        (cut.as_bytes(), "certificate 1 in it is not valid"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA", "this is not PEM"),
    ] {
        let error = options.clone().root_certificates(pem).unwrap_err();
        assert_eq!(error.setting(), "root_certificates");
        let error = error.to_string();
        assert!(error.contains(why), "{error}");
        assert!(error.contains("BEGIN CERTIFICATE"), "{error}");
    }
}
