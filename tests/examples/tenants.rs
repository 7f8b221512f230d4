//! The `tenants` example: what it prints, its sessions, and the client of rmcp at both tenants.

use reqwest::StatusCode;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::InMemoryCredentialStore;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use super::*;

const TENANTS: [&str; 2] = ["acme", "globex"];

/// The URLs of both tenants.
fn urls(example: &Example) -> [String; 2] {
    TENANTS.map(|tenant| format!("{}/{tenant}/mcp", example.url))
}

#[tokio::test]
async fn each_tenant_answers_as_the_example_says() {
    let example = Example::start("tenants").await;
    let answers = example.ask_all().await;
    for (tenant, url) in TENANTS.into_iter().zip(urls(&example)) {
        let metadata = format!(
            "{}/.well-known/oauth-protected-resource/{tenant}/mcp",
            example.url
        );
        let missing = answers.to(&format!("{tenant}, without a token"));
        let challenge = format!(r#"Bearer resource_metadata="{metadata}""#);
        assert_eq!(missing.challenge(), challenge);
        let document = answers.to(&format!(
            "the metadata that the challenge of {tenant} names"
        ));
        let document: serde_json::Value = serde_json::from_str(&document.body).expect("JSON");
        assert_eq!(document["resource"], *url);

        let called = answers.to(&format!("{tenant}, with a token for it"));
        assert!(
            called.body.contains(&format!("alice at {url}")),
            "{}",
            called.body
        );
        let other = answers.to(&format!("{tenant}, with a token for the other tenant"));
        let challenge = other.challenge();
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{challenge}"
        );
        assert!(challenge.contains(&metadata), "{challenge}");
        // To be copied.
        assert!(example.printed.contains(&url));
    }
    for title in ["a tenant that there is not", "a host that there is not"] {
        let anonymous = answers.to(title);
        assert!(
            !anonymous.headers.contains_key("www-authenticate"),
            "{title}"
        );
    }
}

/// The principal is the same at both, and so would be the id that the server behind gave out.
#[tokio::test]
async fn a_session_of_one_tenant_is_unknown_at_the_other() {
    let example = Example::start("tenants").await;
    let answers = example.ask_all().await;
    let sessions = TENANTS.map(|tenant| {
        let opened = answers.to(&format!("a session of {tenant}, for clients of 2025-11-25"));
        opened.headers["mcp-session-id"].clone()
    });
    let beginnings = TENANTS.map(|tenant| {
        let title = format!("# a session of {tenant}, ");
        let at = example
            .printed
            .iter()
            .position(|line| line.starts_with(&title));
        &example.printed[at.expect("it is printed") + 1]
    });
    for (at, beginning) in beginnings.into_iter().enumerate() {
        for (of, session) in sessions.iter().enumerate() {
            let mut initialized = Curl::parse(beginning);
            initialized
                .headers
                .insert("mcp-session-id", session.clone());
            let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
            initialized.body = Some(notification.to_owned());
            let answer = initialized.send("a session").await;
            let expected = if at == of { 202 } else { 404 };
            assert_eq!(answer.status, expected, "{}: {}", TENANTS[at], answer.body);
        }
    }
}

/// The status of a request with the token that a client has.
async fn status_at(url: &str, client: &rmcp_dance::Authorized) -> StatusCode {
    let token = client.get_access_token().await.expect("a token");
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(token)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    let answer = request.body(initialize).send().await.expect("an answer");
    answer.status()
}

/// A host keeps a store for each server, as rmcp has it by default.
#[tokio::test]
async fn rmcp_keeps_the_tenants_apart_with_a_store_for_each() {
    let example = Example::start("tenants").await;
    let [acme, globex] = urls(&example);
    let stores = [(); 2].map(|()| InMemoryCredentialStore::new());
    let mut connected = Vec::new();
    for (url, store) in [&acme, &globex].into_iter().zip(&stores) {
        assert!(rmcp_dance::restore(url, store.clone()).await.is_none());
        let authorized = rmcp_dance::authorize_with(url, None, store.clone()).await;
        let client = rmcp_dance::connect(url, authorized.clone()).await;
        let (tools, whoami) = rmcp_dance::ask(&client).await;
        assert_eq!(tools, ["whoami"]);
        assert_eq!(whoami, format!("alice at {url}"));
        connected.push((url, authorized, client));
    }
    for (url, authorized, client) in &connected {
        let (_, whoami) = rmcp_dance::ask(client).await;
        assert_eq!(whoami, format!("alice at {url}"));
        for other in [&acme, &globex] {
            let expected = if other == *url { 200 } else { 401 };
            assert_eq!(status_at(other, authorized).await, expected, "{other}");
        }
    }
    // As after a restart.
    let restored = rmcp_dance::restore(&acme, stores[0].clone()).await;
    let client = rmcp_dance::connect(&acme, restored.expect("credentials")).await;
    let (_, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(whoami, format!("alice at {acme}"));
    client.cancel().await.expect("the end");
    for (_, _, client) in connected {
        client.cancel().await.expect("the end");
    }
}

/// Its store has one place, and does not say for which server: a host that has one for both tenants
/// presents each the token of the other. That is refused, the authorization server refuses to
/// refresh it for another resource (RFC 8707 section 2.2), and a new authorization leads on.
#[tokio::test]
async fn rmcp_with_one_store_for_both_tenants_is_refused_and_starts_again() {
    let example = Example::start("tenants").await;
    let [acme, globex] = urls(&example);
    let store = InMemoryCredentialStore::new();
    let authorized = rmcp_dance::authorize_with(&acme, None, store.clone()).await;
    let at_acme = rmcp_dance::connect(&acme, authorized).await;

    let restored = rmcp_dance::restore(&globex, store.clone()).await;
    let restored = restored.expect("credentials, though those of another server");
    assert_eq!(status_at(&globex, &restored).await, 401);
    let config = StreamableHttpClientTransportConfig::with_uri(&*globex);
    let transport = StreamableHttpClientTransport::with_client(restored, config);
    let refused = ().serve(transport).await.expect_err("no session");
    let refused = format!("{refused:?}");
    assert!(refused.contains("TokenRefreshFailed"), "{refused}");
    assert!(refused.contains("invalid_target"), "{refused}");

    // What is open at the first is not disturbed by that.
    let (_, whoami) = rmcp_dance::ask(&at_acme).await;
    assert_eq!(whoami, format!("alice at {acme}"));

    let authorized = rmcp_dance::authorize_with(&globex, None, store.clone()).await;
    let at_globex = rmcp_dance::connect(&globex, authorized).await;
    let (_, whoami) = rmcp_dance::ask(&at_globex).await;
    assert_eq!(whoami, format!("alice at {globex}"));
    // But by this: its token is gone, and the one in its place is not good here.
    let call = CallToolRequestParams::new("whoami");
    let refused = at_acme.call_tool(call).await.expect_err("a 401");
    let challenge = refused.auth_challenge().expect("a challenge");
    assert!(challenge.contains("/acme/mcp"), "{challenge}");
    assert!(challenge.contains("invalid_token"), "{challenge}");

    let authorized = rmcp_dance::authorize_with(&acme, Some(challenge), store).await;
    let at_acme = rmcp_dance::connect(&acme, authorized).await;
    let (_, whoami) = rmcp_dance::ask(&at_acme).await;
    assert_eq!(whoami, format!("alice at {acme}"));
}
