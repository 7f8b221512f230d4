//! The server of the example `mcp_server`, with a clock that is moved by hand: the whole stack
//! around rmcp, asked in every revision.

use std::time::Duration;

use axum::Router;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{McpStack, OriginLayer, PrincipalSealer, SessionBindingLayer};
use tower_mcp_auth::{Clock, JwtLayer};

use crate::mcp::session::client::{
    Client, STATELESS, WITH_SESSIONS, answer_of, message_of, token_of,
};
use crate::mcp::session::notes;
use crate::mcp::session::support::key;
use common::{SECRET, clock, loopback};

async fn serve(clock: &Clock) -> String {
    let auth = JwtLayer::builder(Secret::new(SECRET).unwrap()).clock(clock.clone());
    let (listener, uri) = loopback::bind_mcp().await;
    let stack = McpStack::new(OriginLayer::new(&uri).unwrap(), auth.build().unwrap())
        .sessions(SessionBindingLayer::new(key(0)))
        .policy(notes::policy().unwrap())
        .unwrap();
    let sealer = PrincipalSealer::new(key(0)).clock(clock.clone());
    let service = notes::service(sealer, Duration::from_millis(20));
    let app = Router::new().route_service("/mcp", service).layer(stack);
    loopback::serve(listener, app);
    uri
}

fn revisions() -> impl Iterator<Item = &'static str> {
    WITH_SESSIONS.into_iter().chain([STATELESS])
}

/// The scopes a 403 asks for.
fn asked_for(response: &Response) -> &str {
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#),
        "{challenge}"
    );
    let (_, rest) = challenge.split_once(r#"scope=""#).expect("scopes");
    rest.split_once('"').expect("an end").0
}

#[tokio::test]
async fn each_tool_needs_its_scopes_and_a_second_token_has_them() {
    let uri = serve(&clock()).await;
    for version in revisions() {
        let subject = format!("alice-{version}");
        let mut client = Client::new(&uri, &subject, "");
        client.initialize(version).await;
        assert_eq!(tools_of(&client).await, ["whoami"]);
        let note = json!({ "text": "buy milk" });
        let deletion = json!({ "containing": "milk" });

        assert_eq!(client.whoami().await, subject);
        let refused = client.call("list_notes", &json!({})).await;
        assert_eq!(asked_for(&refused), "notes:read", "{version}");

        // More scope, and the same session: it is the same principal.
        client.token = token_of(&subject, "notes:read");
        assert_eq!(tools_of(&client).await, ["list_notes", "whoami"]);
        assert_eq!(client.text("list_notes", &json!({})).await, "");
        let refused = client.call("add_note", &note).await;
        assert_eq!(asked_for(&refused), "notes:write", "{version}");

        client.token = token_of(&subject, "notes:write");
        assert_eq!(client.text("add_note", &note).await, "1");
        assert_eq!(client.text("list_notes", &json!({})).await, "buy milk");
        let refused = client.call("delete_notes", &deletion).await;
        assert_eq!(asked_for(&refused), "notes:admin", "{version}");
    }
}

/// The tools a client is shown.
async fn tools_of(client: &Client) -> Vec<String> {
    let answer = answer_of(client.ask("tools/list", None, json!({})).await, 2).await;
    let tools = answer["result"]["tools"].as_array().expect("tools");
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Asks to delete notes, and returns what confirms it.
async fn confirmation_of(client: &Client, containing: &str) -> String {
    let arguments = json!({ "containing": containing });
    let answer = answer_of(client.call("delete_notes", &arguments).await, 2).await;
    let result = &answer["result"];
    let confirmation = if client.version == Some(STATELESS) {
        assert_eq!(result["resultType"], "input_required");
        &result["requestState"]
    } else {
        &result["content"][0]["text"]
    };
    confirmation.as_str().expect("a confirmation").to_owned()
}

async fn confirm(client: &Client, containing: &str, confirmation: &str) -> Value {
    let response = if client.version == Some(STATELESS) {
        let arguments = json!({ "containing": containing });
        let params = json!({
            "name": "delete_notes", "arguments": arguments, "requestState": confirmation,
        });
        client.ask("tools/call", Some("delete_notes"), params).await
    } else {
        let arguments = json!({ "containing": containing, "confirmation": confirmation });
        client.call("delete_notes", &arguments).await
    };
    // The newest revision makes an error of its parameters HTTP 400.
    message_of(response, 2).await
}

#[tokio::test]
async fn state_that_clients_keep_is_good_for_its_owner_and_its_request_alone() {
    let clock = clock();
    let uri = serve(&clock).await;
    for version in revisions() {
        let mut alice = Client::new(&uri, &format!("alice-{version}"), "notes:admin");
        let mut mallory = Client::new(&uri, "mallory", "notes:admin");
        alice.initialize(version).await;
        mallory.initialize(version).await;
        alice.text("add_note", &json!({ "text": "buy milk" })).await;

        let confirmation = confirmation_of(&alice, "milk").await;
        let mut hostile = confirmation.clone();
        hostile.pop();
        for (client, containing, state) in [
            (&mallory, "milk", &confirmation),
            (&alice, "", &confirmation),
            (&alice, "milk", &hostile),
        ] {
            let answer = confirm(client, containing, state).await;
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
        }
        let answer = confirm(&alice, "milk", &confirmation).await;
        assert_eq!(answer["result"]["content"][0]["text"], "1 deleted");
    }
    let mut late = Client::new(&uri, "late", "notes:admin");
    late.initialize(STATELESS).await;
    let confirmation = confirmation_of(&late, "milk").await;
    clock.advance(Duration::from_secs(301));
    let answer = confirm(&late, "milk", &confirmation).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn headers_that_lie_and_bodies_that_confuse_are_refused() {
    let uri = serve(&clock()).await;
    for version in revisions() {
        let mut client = Client::new(&uri, "alice", "notes:read");
        client.initialize(version).await;
        let list =
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_notes"}}"#;
        let add = list.replace("list_notes", "add_note");
        for (name, body) in [
            ("duplicate", list.replace("}}", r#","name":"add_note"}}"#)),
            ("case", list.replace("}}", r#","Name":"add_note"}}"#)),
            ("bom", format!("\u{feff}{list}")),
            ("trailing", format!("{list}{add}")),
        ] {
            let request = client
                .request(Method::POST)
                .header("content-type", "application/json")
                .header("mcp-method", "tools/call")
                .header("mcp-name", "list_notes")
                .body(body);
            let response = request.send().await.unwrap();
            assert_eq!(
                response.status(),
                StatusCode::BAD_REQUEST,
                "{version} {name}"
            );
        }
        // Below 2026-07-28 the headers mean nothing, so they do not help either.
        let request = client
            .request(Method::POST)
            .header("content-type", "application/json")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "list_notes")
            .body(add);
        let response = request.send().await.unwrap();
        if version == STATELESS {
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            let answer: Value = response.json().await.unwrap();
            assert_eq!(answer["error"]["code"], -32020);
        } else {
            assert_eq!(asked_for(&response), "notes:write");
        }
    }
}

#[tokio::test]
async fn a_stolen_session_is_a_404_whatever_scopes_the_thief_has() {
    let uri = serve(&clock()).await;
    for version in WITH_SESSIONS {
        let mut alice = Client::new(&uri, "alice", "");
        alice.initialize(version).await;
        let mut mallory = Client::new(&uri, "mallory", "notes:admin");
        mallory.version = alice.version;
        mallory.session = alice.session.clone();
        let response = mallory.call("whoami", &json!({})).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        for method in [Method::GET, Method::DELETE] {
            let response = mallory.request(method).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
        }
        assert_eq!(alice.whoami().await, "alice");
    }
}

#[tokio::test]
async fn open_streams_end_with_their_token() {
    for version in revisions() {
        let clock = clock();
        let uri = serve(&clock).await;
        let mut alice = Client::new(&uri, "alice", "");
        alice.initialize(version).await;
        let mut stream = if version == STATELESS {
            let filter = json!({ "notifications": { "toolsListChanged": true } });
            alice.ask("subscriptions/listen", None, filter).await
        } else {
            alice.request(Method::GET).send().await.unwrap()
        };
        assert_eq!(stream.status(), StatusCode::OK, "{version}");
        for _ in 0..3 {
            stream.chunk().await.unwrap().expect("a ping");
        }
        clock.advance(Duration::from_secs(359));
        for _ in 0..3 {
            stream.chunk().await.unwrap().expect("a ping");
        }
        clock.advance(Duration::from_secs(1));
        let rest = timeout(Duration::from_secs(10), stream.text()).await;
        rest.expect("an end").expect("a clean one");
    }
}
