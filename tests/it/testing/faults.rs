use std::time::{Duration, Instant};

use tower_mcp_auth::testing::{Behaviour, Endpoint};

use super::{http, quick};

#[tokio::test]
async fn statuses_a_few_times_and_then_no_more() {
    let issuer = quick().start().await.unwrap();
    let url = issuer.endpoint(Endpoint::Jwks);
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Status(503).times(2));
    for expected in [503, 503, 200, 200] {
        assert_eq!(http().get(&url).send().await.unwrap().status(), expected);
    }
    assert_eq!(issuer.requests(Endpoint::Jwks), 4);
    assert_eq!(issuer.requests(Endpoint::OAuthMetadata), 0);
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Status(9999));
    assert_eq!(http().get(&url).send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn bodies_redirects_and_headers() {
    let issuer = quick().start().await.unwrap();
    let url = issuer.endpoint(Endpoint::Jwks);
    let html = Behaviour::Body {
        content_type: "text/html".to_owned(),
        bytes: b"<html>".to_vec(),
    };
    issuer.set_behaviour(Endpoint::Jwks, html);
    let response = http().get(&url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html");
    assert_eq!(response.text().await.unwrap(), "<html>");

    let elsewhere = "http://169.254.169.254/latest/";
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Redirect(elsewhere.to_owned()));
    let response = http().get(&url).send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], elsewhere);

    let headers = [
        ("Cache-Control", "max-age=1"),
        ("content-type", "text/plain"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Headers(headers.to_vec()));
    let response = http().get(&url).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "max-age=1");
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert!(response.text().await.unwrap().contains("keys"));
}

#[tokio::test]
async fn an_oversized_answer_is_still_json() {
    let issuer = quick().start().await.unwrap();
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Oversize(300_000));
    let response = http()
        .get(issuer.endpoint(Endpoint::Jwks))
        .send()
        .await
        .unwrap();
    assert_eq!(response.content_length(), None);
    let body = response.bytes().await.unwrap();
    assert_eq!(body.len(), 300_000);
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document, issuer.jwks());
}

#[tokio::test]
async fn slow_answers() {
    let issuer = quick().start().await.unwrap();
    let url = issuer.endpoint(Endpoint::Jwks);
    let started = Instant::now();
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Delay(Duration::from_millis(200)));
    assert_eq!(http().get(&url).send().await.unwrap().status(), 200);
    assert!(started.elapsed() >= Duration::from_millis(200));

    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Drip);
    let mut response = http().get(&url).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(&*first, b"{");
    let started = Instant::now();
    assert_eq!(response.chunk().await.unwrap().unwrap().len(), 1);
    assert!(started.elapsed() >= Duration::from_millis(500));
}

/// A gate for tests: any number of requests wait, none of them by a clock.
#[tokio::test]
async fn hanging_requests_go_on_when_the_behaviour_changes() {
    let issuer = quick().start().await.unwrap();
    let url = issuer.endpoint(Endpoint::Jwks);
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Hang);
    let waiting: Vec<_> = (0..20)
        .map(|_| common::spawn(http().get(&url).send()))
        .collect();
    while issuer.requests(Endpoint::Jwks) < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(waiting.iter().all(|request| !request.is_finished()));
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Normal);
    for request in waiting {
        assert_eq!(request.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(issuer.requests(Endpoint::Jwks), 20);

    // Only the first hangs; it, too, is let go.
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Hang.times(1));
    let first = common::spawn(http().get(&url).send());
    while issuer.requests(Endpoint::Jwks) < 21 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(http().get(&url).send().await.unwrap().status(), 200);
    assert!(!first.is_finished());
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Status(418));
    assert_eq!(first.await.unwrap().unwrap().status(), 418);
}

#[tokio::test]
async fn a_disconnect_is_no_answer() {
    let issuer = quick().start().await.unwrap();
    issuer.set_behaviour(Endpoint::Jwks, Behaviour::Disconnect);
    let error = http()
        .get(issuer.endpoint(Endpoint::Jwks))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_request(), "{error:?}");
}

#[tokio::test]
async fn a_request_body_is_at_most_64_kib() {
    let issuer = quick().start().await.unwrap();
    let response = http()
        .post(issuer.endpoint(Endpoint::Register))
        .body(vec![b' '; 64 * 1024 + 1])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
}

/// Every endpoint can fail, those that write included.
#[tokio::test]
async fn the_token_endpoint_fails_too() {
    let issuer = quick().start().await.unwrap();
    issuer.set_behaviour(Endpoint::Token, Behaviour::Status(500).times(1));
    let form = [("grant_type", "client_credentials"), ("client_id", "me")];
    let ask = || {
        http()
            .post(issuer.endpoint(Endpoint::Token))
            .form(&form)
            .send()
    };
    assert_eq!(ask().await.unwrap().status(), 500);
    assert_eq!(ask().await.unwrap().status(), 200);
}
