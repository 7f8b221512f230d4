//! Servers that mean harm to who looks at them.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_mcp_auth::doctor::{Options, Severity, Verdict, examine};
use tower_mcp_auth::testing::{Behaviour, Endpoint};

use super::server::{Fake, Reply};
use super::{assert_codes, look, look_with};

#[tokio::test]
async fn what_is_printed_cannot_act_on_a_terminal() {
    const NASTY: &str = "\u{1b}[2J\u{7}\u{202e}\u{200b}";
    let server = Fake::start(|asked, reply| {
        if asked.is_metadata() {
            reply.edit(|own| {
                own["resource"] = format!("{}/{NASTY}", asked.own).into();
                own["authorization_servers"] = json!([format!("https://h/{NASTY}\r\nFAULT x")]);
                own[NASTY] = json!(null);
            });
        } else if reply.status == 401 {
            let challenge = reply
                .headers
                .iter_mut()
                .find(|(own, _)| *own == "www-authenticate");
            challenge.unwrap().1.push_str(", x=\"\u{e4}\u{2028}\"");
        }
    })
    .await;
    let token = server
        .issuer
        .token()
        .audience(NASTY)
        .claim("iss", NASTY)
        .scope(NASTY)
        .client_id(NASTY)
        .key_id(NASTY)
        .header("typ", NASTY);
    let report = look_with(&server, &token.sign()).await;
    let json = serde_json::to_string(&report).unwrap();
    for text in [report.to_string(), json] {
        let is_nasty = |c: char| c.is_control() && c != '\n' || NASTY.contains(c) && !c.is_ascii();
        assert!(!text.contains(is_nasty), "{text:?}");
        assert!(!text.contains("\nFAULT x"), "{text}");
    }
    assert_eq!(report.verdict, Verdict::Faulty);
}

#[tokio::test]
async fn long_texts_are_cut() {
    let server = Fake::start(|asked, reply| {
        if asked.is_metadata() {
            reply.edit(|own| own["resource"] = format!("https://h/{}", "a".repeat(100_000)).into());
        }
    })
    .await;
    let report = look(&server).await;
    assert_codes(&report, &["resource_scheme"], "long");
    assert!(report.to_string().len() < 4_000, "{report}");
}

#[tokio::test]
async fn large_deep_and_ambiguous_documents_are_refused() {
    let deep = || {
        format!(
            "{{\"resource\":{}1{}}}",
            "[".repeat(5_000),
            "]".repeat(5_000)
        )
    };
    for (name, body) in [
        (
            "2 MiB",
            format!("{{\"resource\":\"{}\"}}", "a".repeat(2 << 20)),
        ),
        ("deep", deep()),
        (
            "twice",
            "{\"resource\":\"a\",\"resource\":\"b\"}".to_owned(),
        ),
        ("not UTF-8", "{\"resource\":\"\\ud800\"}".to_owned()),
        ("a list", "[]".to_owned()),
    ] {
        let server = Fake::start(move |asked, reply| {
            if asked.is_metadata() {
                reply.body.clone_from(&body);
            }
        })
        .await;
        assert_codes(&look(&server).await, &["metadata_not_json"], name);
    }
    let server = Fake::good().await;
    server
        .issuer
        .set_behaviour(Endpoint::Jwks, Behaviour::Oversize(2 << 20));
    assert_codes(&look(&server).await, &["keys_unusable"], "keys of 2 MiB");
}

#[tokio::test]
async fn many_issuers_keys_and_findings_are_bounded() {
    let server = Fake::start(|asked, reply| {
        if asked.is_metadata() {
            let issuers: Vec<_> = (0..1000).map(|n| format!("ftp://{n}")).collect();
            reply.edit(|own| {
                own["authorization_servers"] = json!(issuers);
                for n in 0..1000 {
                    own[format!("x{n}")] = json!(null);
                }
            });
        }
    })
    .await;
    let report = look(&server).await;
    assert_codes(&report, &["metadata_null", "issuer_invalid"], "many");
    assert!(report.findings.iter().all(|own| own.evidence.len() <= 5));
}

#[tokio::test]
async fn a_circle_of_redirects_is_not_followed() {
    let server = Fake::start(|asked, reply| {
        let place = format!("{}{}", asked.own, asked.path);
        *reply = Reply::new(302).with("location", place);
    })
    .await;
    assert_codes(&look(&server).await, &["endpoint_redirects"], "a circle");
    assert_eq!(server.asked().len(), 5, "each probe once");
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_given_up() {
    // The clock of the test runs ahead whenever nothing else can be done.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let started = tokio::time::Instant::now();
    common::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let report = examine(Options::new(url).unwrap()).await;
    assert_eq!(report.verdict, Verdict::Unseen);
    assert_eq!(report.codes(Severity::Fault), ["unreachable"], "{report}");
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up() {
    let server = Fake::good().await;
    server.issuer.set_behaviour(Endpoint::Jwks, Behaviour::Drip);
    assert_codes(&look(&server).await, &["keys_unreachable"], "drip");
}

#[tokio::test(start_paused = true)]
async fn who_takes_long_for_each_answer_is_given_up_after_two_minutes() {
    let server = Fake::start(|asked, reply| {
        let names = |name: &str| format!("{}/{name}", asked.own);
        if asked.is_metadata() {
            let issuers = ["a", "b", "c", "d"].map(names);
            reply.edit(|own| own["authorization_servers"] = json!(issuers));
        } else if asked.path == "/keys" {
            *reply = Reply::json(&json!({ "keys": [] }));
        } else if let Some(name) = asked
            .path
            .strip_prefix("/.well-known/oauth-authorization-server/")
        {
            let all = json!({ "issuer": names(name), "jwks_uri": names("keys") });
            *reply = Reply::json(&all);
        }
        reply.after = Duration::from_secs(9);
    })
    .await;
    let started = tokio::time::Instant::now();
    let report = look_with(&server, &server.token()).await;
    let took = started.elapsed();
    assert!(took <= Duration::from_secs(120), "{took:?}");
    assert!(report.to_string().contains("two minutes"), "{report}");
    assert_eq!(report.verdict, Verdict::Faulty);
}

#[tokio::test]
async fn a_challenge_of_many_parameters_is_not_read_to_its_end() {
    let server = Fake::start(|_, reply| {
        if reply.status == 401 {
            let many: Vec<_> = (0..1000).map(|n| format!("p{n}=1")).collect();
            reply.set("www-authenticate", format!("Bearer {}", many.join(",")));
        }
    })
    .await;
    let report = look(&server).await;
    assert_eq!(
        report.codes(Severity::Warning).first(),
        Some(&"challenge_malformed"),
        "{report}"
    );
    assert!(
        report.to_string().contains("more than 100 parts"),
        "{report}"
    );
}

#[tokio::test]
async fn what_is_no_http_is_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    common::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut start = [0; 64];
            let _ = stream.read(&mut start).await;
            let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
        }
    });
    let report = examine(Options::new(&url).unwrap()).await;
    assert_eq!(report.codes(Severity::Fault), ["unreachable"], "{report}");
    assert_eq!(report.exit_code(), 2);
    let closed = examine(Options::new("http://127.0.0.1:1/mcp").unwrap()).await;
    assert_eq!(closed.codes(Severity::Fault), ["unreachable"], "{closed}");
}
