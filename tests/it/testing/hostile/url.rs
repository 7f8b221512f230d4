//! Attacks on a server over sockets.

use axum::Router;
use axum::routing::any;
use http::Method;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::mcp::{McpStack, OriginLayer};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::testing::hostile::Hostile;

use super::handmade::{Fault, Handmade};
use super::{RESOURCE, hostile, issuer, server};
use common::loopback::{bind_mcp, serve};

async fn guarded(issuer: &Issuer) -> String {
    let (listener, url) = bind_mcp().await;
    let auth = OAuthLayer::new(&url, server(issuer)).unwrap();
    let stack = McpStack::new(OriginLayer::new(&url).unwrap(), auth);
    let answer = any(async || "done");
    serve(listener, Router::new().route("/mcp", answer).layer(stack));
    url
}

#[tokio::test]
async fn nothing_gets_through_a_server_on_loopback() {
    let issuer = issuer().await;
    let url = guarded(&issuer).await;
    let hostile = Hostile::new(&url).unwrap().issuer(&issuer);
    hostile.attack_url(&url).await.unwrap().assert_held();
}

#[tokio::test]
async fn requests_arrive_as_they_were_written() {
    let issuer = issuer().await;
    let (listener, url) = bind_mcp().await;
    let hostile = hostile(&issuer).public(["/health"]).unwrap();
    let wrong = Handmade::new(Fault::MatchesOpenPathAnywhere, &issuer, hostile.probe());
    serve(listener, Router::new().fallback_service(wrong));
    let report = hostile.attack_url(&url).await.unwrap();
    assert_eq!(report.holes(), ["public_path_disguise"], "{report}");
    let mut sent = report.failures().map(|finding| finding.sent());
    // No URL type tidied it up.
    assert!(sent.any(|sent| sent == "POST /health/../mcp"), "{report}");
}

#[tokio::test]
async fn the_path_is_that_of_the_url() {
    let issuer = issuer().await;
    let (listener, url) = bind_mcp().await;
    let auth = OAuthLayer::new(RESOURCE, server(&issuer)).unwrap();
    let answer = any(async |method: Method| method.to_string());
    serve(
        listener,
        Router::new().route("/inner/mcp", answer).layer(auth),
    );
    let url = url.replace("/mcp", "/inner/mcp");
    let report = hostile(&issuer).attack_url(&url).await.unwrap();
    report.assert_held();
    let mut sent = report.into_iter().map(|finding| finding.sent());
    assert!(sent.any(|sent| sent == "POST /inner/mcp"), "{report}");
}

#[tokio::test]
async fn only_servers_of_this_machine_are_attacked_unasked() {
    let hostile = Hostile::new(RESOURCE).unwrap();
    for (url, said) in [
        ("https://mcp.example.com/mcp", "i_run_this_server"),
        ("http://192.0.2.1/mcp", "i_run_this_server"),
        ("http://127.0.0.1.example.com/mcp", "i_run_this_server"),
        ("http://localhost.example.com/mcp", "i_run_this_server"),
        ("http://[2001:db8::1]/mcp", "i_run_this_server"),
        ("http://0.0.0.0:1/mcp", "i_run_this_server"),
        ("ftp://127.0.0.1/mcp", "neither http nor https"),
        ("mcp", "no URL"),
    ] {
        let error = hostile.attack_url(url).await.unwrap_err();
        assert!(
            error.setting() == "url" && error.to_string().contains(said),
            "{url}: {error}"
        );
    }
    // Credentials do not go abroad in the clear, whichever server it is.
    let hostile = hostile.i_run_this_server();
    let error = hostile
        .attack_url("http://192.0.2.1/mcp")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("https"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_proves_nothing() {
    let (listener, url) = bind_mcp().await;
    drop(listener);
    let report = Hostile::new(&url).unwrap().attack_url(&url).await.unwrap();
    assert!(!report.is_held());
    assert!(report.to_string().contains("no connection"), "{report}");
}
