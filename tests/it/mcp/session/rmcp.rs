//! rmcp's own sessions through the layer, over sockets of the loopback: rmcp's client, and
//! requests written by hand.

use std::time::Duration;

use axum::Router;
use http::request::Parts;
use reqwest::{Method, StatusCode};
use rmcp::model::CallToolRequestParams;
use serde_json::json;
use tokio::time::timeout;
use tower_mcp_auth::mcp::{OriginLayer, SessionBindingLayer};
use tower_mcp_auth::{Clock, JwtLayer};

use crate::mcp::session::client::{Client, WITH_SESSIONS, token_of};
use crate::mcp::session::support::key;
use common::mcp_server::{mcp_server, subject, with_sessions};
use common::rmcp_dance::connect_with;
use common::{SECRET, clock, loopback};

/// The caller, and the session.
fn whoami(parts: &Parts) -> String {
    let session = parts.headers.get("mcp-session-id");
    let session = session.map_or("none", |id| id.to_str().unwrap());
    format!("{} {session}", subject(parts))
}

/// Host and origin, then the token, then the session: an rmcp server with sessions.
async fn serve(clock: &Clock) -> String {
    let config = with_sessions(true).with_sse_keep_alive(Some(Duration::from_millis(20)));
    let service = mcp_server(&[("whoami", whoami)], config);
    let secret = tower_mcp_auth::jose::Secret::new(SECRET).unwrap();
    let auth = JwtLayer::builder(secret).clock(clock.clone()).build();
    let (listener, uri) = loopback::bind_mcp().await;
    let app = Router::new()
        .nest_service("/mcp", service)
        .layer(SessionBindingLayer::new(key(0)))
        .layer(auth.unwrap())
        .layer(OriginLayer::new(&uri).unwrap());
    loopback::serve(listener, app);
    uri
}

#[tokio::test]
async fn the_client_of_rmcp_notices_nothing() {
    let uri = serve(&clock()).await;
    for subject in ["alice", "mallory"] {
        let token = token_of(subject, "");
        let client = connect_with(&uri, Some(&token)).await.unwrap();
        assert_eq!(client.list_all_tools().await.unwrap().len(), 1);
        let call = CallToolRequestParams::new("whoami");
        let result = client.call_tool(call).await.unwrap();
        let text = &result.content[0].as_text().unwrap().text;
        assert!(text.starts_with(subject), "{text}");
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn the_server_sees_the_ids_it_made() {
    let uri = serve(&clock()).await;
    for version in WITH_SESSIONS {
        let mut alice = Client::new(&uri, "alice", "");
        alice.initialize(version).await;
        let bound = alice.session.clone().unwrap();
        let seen = alice.whoami().await;
        let inner = seen.strip_prefix("alice ").expect("alice's session");
        assert!(bound.starts_with(&format!("{inner}.")), "{bound} {inner}");
    }
}

#[tokio::test]
async fn a_stolen_session_is_an_unknown_one() {
    let uri = serve(&clock()).await;
    for version in WITH_SESSIONS {
        let mut alice = Client::new(&uri, "alice", "");
        alice.initialize(version).await;
        let bound = alice.session.clone().unwrap();
        let inner = bound.rsplit_once('.').unwrap().0.to_owned();

        let mut mallory = Client::new(&uri, "mallory", "");
        mallory.version = Some(version);
        let mut refusals = Vec::new();
        for stolen in [&bound, &inner, &"never-there".to_owned()] {
            for client in [&mut mallory, &mut alice.clone()] {
                if *stolen == bound && client.token == alice.token {
                    continue;
                }
                client.session = Some(stolen.clone());
                for (method, last) in [
                    (Method::POST, None),
                    (Method::GET, None),
                    (Method::GET, Some("0/1")),
                    (Method::DELETE, None),
                ] {
                    let mut request = client.request(method);
                    if let Some(last) = last {
                        request = request.header("last-event-id", last);
                    }
                    let list = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" });
                    let response = request.json(&list).send().await.unwrap();
                    assert_eq!(response.status(), StatusCode::NOT_FOUND, "{stolen}");
                    refusals.push(response.text().await.unwrap());
                }
            }
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        // And nothing of it touched the session.
        assert!(alice.whoami().await.starts_with("alice "));
    }
}

#[tokio::test]
async fn a_session_that_was_ended_is_over_for_its_owner_too() {
    let uri = serve(&clock()).await;
    let mut alice = Client::new(&uri, "alice", "");
    alice.initialize("2025-11-25").await;
    let ended = alice.request(Method::DELETE).send().await.unwrap();
    assert!(ended.status().is_success(), "{ended:?}");
    assert_eq!(
        alice.call("whoami", &json!({})).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn without_sessions_a_stolen_one_is_nothing() {
    let uri = serve(&clock()).await;
    let mut alice = Client::new(&uri, "alice", "");
    alice.initialize("2025-11-25").await;

    let mut mallory = Client::new(&uri, "mallory", "");
    mallory.session = alice.session.clone();
    mallory.version = Some("2026-07-28");
    assert_eq!(mallory.whoami().await, "mallory none");

    let stream = mallory
        .request(Method::GET)
        .header("last-event-id", "0/1")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_open_stream_ends_with_its_token() {
    let clock = clock();
    let uri = serve(&clock).await;
    let mut alice = Client::new(&uri, "alice", "");
    alice.initialize("2025-11-25").await;
    let mut stream = alice.request(Method::GET).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    // It lives, as its keep-alive says.
    for _ in 0..3 {
        stream.chunk().await.unwrap().expect("a ping");
    }
    clock.advance(Duration::from_secs(360));
    let rest = timeout(Duration::from_secs(10), stream.text()).await;
    rest.expect("an end").expect("a clean one");
    assert_eq!(
        alice.call("whoami", &json!({})).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_rebound_name_and_a_foreign_page_are_refused_before_all_else() {
    let uri = serve(&clock()).await;
    let alice = Client::new(&uri, "alice", "");
    for (header, value) in [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        // Without a credential as well: what is wrong is not who asks.
        for request in [alice.request(Method::GET), alice.http.get(&uri)] {
            let response = request.header(header, value).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{header} {value}");
            assert!(!response.headers().contains_key("www-authenticate"));
        }
    }
}
