//! The `mixed` example: what it prints, in both dialects, and its anonymous session.

use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

use super::*;

/// The JSON-RPC message of an answer, which may be the event of a stream.
fn message(answer: &Answer) -> Value {
    let json = answer.body.lines().find_map(|line| {
        let data = line.strip_prefix("data: ").unwrap_or(line);
        serde_json::from_str(data).ok()
    });
    json.unwrap_or_else(|| panic!("{}: {}", answer.title, answer.body))
}

fn text(answer: &Answer) -> String {
    let message = message(answer);
    let text = message["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[tokio::test]
async fn clients_are_asked_over_http() {
    let example = Example::start("mixed").await;
    let answers = example.ask_all().await;
    let listed = message(answers.to("anyone sees all tools"));
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let mut names: Vec<&str> = tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["add_note", "my_notes", "search"]);
    assert!(
        tools
            .iter()
            .all(|tool| tool.get("securitySchemes").is_none())
    );

    let found = text(answers.to("anyone can search"));
    assert_eq!(found, "anonymous: nothing about milk");
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", example.url);
    let challenge = answers.to("my_notes, without a token").challenge();
    let expected = format!(r#"Bearer scope="notes:write", resource_metadata="{metadata}""#);
    assert_eq!(challenge, expected);
    let document = message(answers.to("the metadata that the challenge names"));
    assert_eq!(document["resource"], format!("{}/mcp", example.url));
    assert_eq!(document["scopes_supported"], json!(["notes:write"]));

    assert_eq!(text(answers.to("my_notes, with any token")), "notes: ");
    let lacks = answers.to("add_note, with a token that lacks the scope");
    let challenge = lacks.challenge();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#),
        "{challenge}"
    );
    assert!(challenge.contains(r#"scope="notes:write""#), "{challenge}");
    let added = text(answers.to("add_note, with a token of more scope"));
    assert_eq!(added, "notes: 1");
    let bad = answers.to("a bad token is never anonymous").challenge();
    assert!(bad.contains(r#"error="invalid_token""#), "{bad}");
    // To be copied.
    assert!(example.printed.contains(&format!("{}/mcp", example.url)));
}

#[tokio::test]
async fn clients_of_openai_are_asked_by_results() {
    let example = Example::start("mixed").await;
    let answers = example.ask_all().await;
    let listed = message(answers.to("openai-mcp sees which need a sign-in"));
    for tool in listed["result"]["tools"].as_array().expect("tools") {
        let expected = match tool["name"].as_str() {
            Some("search") => json!([{ "type": "noauth" }]),
            Some("my_notes") => json!([{ "type": "oauth2", "scopes": [] }]),
            _ => json!([{ "type": "oauth2", "scopes": ["notes:write"] }]),
        };
        assert_eq!(tool["securitySchemes"], expected, "{tool}");
        assert_eq!(tool["_meta"]["securitySchemes"], expected, "{tool}");
    }
    for title in [
        "openai-mcp is asked to sign in by a result",
        "openai-mcp is asked for more scope by a result",
    ] {
        let message = message(answers.to(title));
        let result = &message["result"];
        assert_eq!(result["isError"], true, "{message}");
        let challenge = result["_meta"]["mcp/www_authenticate"][0].as_str();
        let challenge = challenge.expect("a challenge");
        for part in [
            r#"error="insufficient_scope""#,
            "error_description=",
            "resource_metadata=",
        ] {
            assert!(challenge.contains(part), "{challenge}");
        }
    }
    let bad = answers.to("openai-mcp with a bad token").challenge();
    assert!(bad.contains(r#"error="invalid_token""#), "{bad}");
    let opened = answers.to("openai-mcp opens a session, as clients of 2025-11-25 do");
    assert!(opened.headers.contains_key("mcp-session-id"));
}

/// Its host connects anew, with what the 401 says.
#[tokio::test]
async fn rmcp_is_told_at_the_tool_to_sign_in() {
    let example = Example::start("mixed").await;
    let url = format!("{}/mcp", example.url);
    let anonymous = ().serve(StreamableHttpClientTransport::from_uri(&*url)).await;
    let anonymous = anonymous.expect("a session without a token");
    assert_eq!(anonymous.list_all_tools().await.expect("tools").len(), 3);
    let refused = anonymous
        .call_tool(CallToolRequestParams::new("my_notes"))
        .await;
    let refused = refused.expect_err("a 401");
    let challenge = refused.auth_challenge().expect("a challenge");

    let client = rmcp_dance::dance(&url, Some(challenge)).await;
    let mine = client
        .call_tool(CallToolRequestParams::new("my_notes"))
        .await;
    assert_eq!(mine.expect("a result").is_error, Some(false));
    let arguments = json!({ "text": "buy milk" }).as_object().cloned();
    let add = CallToolRequestParams::new("add_note").with_arguments(arguments.expect("an object"));
    let added = client.call_tool(add).await.expect("a result");
    let text = added.content[0].as_text().expect("a text");
    assert_eq!(text.text, "notes: 1");
    client.cancel().await.expect("the end");
    anonymous.cancel().await.expect("the end");
}
