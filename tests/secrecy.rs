//! What is never told: credentials, to anybody; details, to clients; long or forged values, to
//! the log.

mod common;

use std::time::Duration;

use common::{
    API_KEY, Answering, SigningKey, ask, good_token, guards, request, sign, token, trace,
};
use http::{Method, Version};
use tower_mcp_auth::AuthError;
use tower_mcp_auth::auth::AuthLayer;

#[tokio::test]
async fn what_a_peer_sent_is_escaped_and_cut_in_traces() {
    let [_, jwt] = guards();
    let long = "x".repeat(1_000);
    let forged = format!(r#"{{"alg":"HS256","kid":"\u001b[31m\n{long}"}}"#);
    let token = sign(&SigningKey::hmac(common::SECRET), "HS256", &forged, "{}");
    trace::start();
    ask(
        &jwt.layer,
        request(&[("authorization", format!("Bearer {token}"))]),
    )
    .await
    .error();
    let query = format!("/mcp?a%0a={long}&token%2d%2d{}=x", "%5f".repeat(100));
    ask(&jwt.layer, jwt.bare_request(&query))
        .await
        .malformed("token_in_query");
    let mut request = jwt.bare_request("/mcp");
    *request.method_mut() = long.parse().unwrap();
    ask(&jwt.layer, request).await.missing();
    let events = trace::take();
    assert_eq!(events.len(), 3);
    for event in events {
        for value in event.fields.values() {
            assert!(value.len() < 300, "{value}");
            assert!(!value.contains(['\u{1b}', '\n', '\r']), "{value:?}");
        }
    }
}

#[test]
fn an_error_says_the_same_everywhere_and_shows_its_detail_to_operators_only() {
    let error = AuthError::invalid("revoked")
        .with_description("safe")
        .with_detail("full");
    assert_eq!(error.reason(), "revoked");
    assert_eq!(error.description(), "safe");
    assert_eq!(error.detail(), Some("full"));
    assert_eq!(error.to_string(), "safe (revoked)");
    assert!(format!("{error:?}").contains("full"));
    assert_eq!(
        AuthError::missing().to_string(),
        "Authentication is required (missing_credential)"
    );
    assert_eq!(error.clone(), error);
}

#[tokio::test]
async fn the_detail_for_operators_is_never_in_a_response() {
    let error = AuthError::unavailable("down", Duration::from_secs(1)).with_detail("DETAIL");
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let layer = AuthLayer::new(Answering::refusing(error.clone()));
        let mut request = request(&[
            ("authorization", "Bearer x"),
            ("content-type", "application/grpc"),
        ]);
        *request.method_mut() = Method::POST;
        *request.version_mut() = version;
        let answer = ask(&layer, request).await;
        answer.error();
        assert!(!format!("{:?} {}", answer.headers, answer.text()).contains("DETAIL"));
    }
}

/// Credentials with a mark in every part, good and bad.
fn marked() -> Vec<(&'static str, String)> {
    let other = SigningKey::hmac("an0ther-secret-of-somebody-else-entirely");
    let claims = r#"{"sub":"MARK","iss":5,"exp":"MARK"}"#;
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let forged = sign(
        &other,
        "HS256",
        header,
        r#"{"sub":"MARK","exp":1900000000}"#,
    );
    vec![
        ("x-api-key", "MARK-MARK-MARK-MARK".to_owned()),
        ("x-api-key", "MARK".to_owned()),
        ("x-api-key", "MARK MARK".to_owned()),
        ("authorization", "Bearer MARK".to_owned()),
        ("authorization", "Bearer MARK.MARK.MARK".to_owned()),
        ("authorization", "Bearer MARK MARK".to_owned()),
        ("authorization", "Basic MARK".to_owned()),
        ("authorization", format!("Bearer {}", token(claims))),
        ("authorization", format!("Bearer {forged}")),
        ("authorization", format!("Bearer {}MARK", good_token())),
        (
            "authorization",
            format!("Bearer {}", token(r#"{"MARK":1,"MARK":2}"#)),
        ),
        (
            "authorization",
            format!("Bearer {}", token(r#"{"sub":"MARK","exp":1}"#)),
        ),
    ]
}

#[tokio::test]
async fn no_credential_is_in_a_trace_a_response_or_an_error() {
    for guard in guards() {
        for (header, value) in marked() {
            trace::start();
            let answer = ask(&guard.layer, request(&[(header, &value)])).await;
            let error = answer.error();
            let everything = format!(
                "{:?} {:?} {} {error:?} {error}",
                trace::take_all(),
                answer.headers,
                answer.text()
            );
            let token = value.split(' ').next_back().unwrap();
            let parts = token.split('.').filter(|part| part.len() > 8);
            for needle in parts.chain(["MARK", token]) {
                assert!(!everything.contains(needle), "{needle} in {everything}");
            }
        }
        for query in ["token=MARK", "access_token=MARK&x=MARK", "api_key=MARK"] {
            trace::start();
            let answer = ask(&guard.layer, guard.good_request(&format!("/mcp?{query}"))).await;
            let error = answer.error();
            let all = format!("{:?} {answer:?} {error}", trace::take_all());
            assert!(
                !all.contains("MARK") && !all.contains(&guard.credential),
                "{all}"
            );
        }
    }
    // Nor is the credential that was accepted, in what the handler is given.
    for guard in guards() {
        trace::start();
        let answer = ask(&guard.layer, guard.good_request("/mcp")).await;
        let shown = format!(
            "{answer:?} {:?} {:?}",
            answer.principal(),
            trace::take_all()
        );
        assert!(
            !shown.contains(&guard.credential) && !shown.contains(API_KEY),
            "{shown}"
        );
    }
}
