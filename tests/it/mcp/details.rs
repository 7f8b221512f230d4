//! What an operator is told of an operation that is refused. What a client sent is shown where it
//! is a name; a URI may hold secrets.

use http::{HeaderValue, Method};
use tower_mcp_auth::mcp::{McpPolicy, McpPolicyBuilder, PolicyDecision};
use tower_mcp_auth::scopes::Requirement;

use crate::mcp::support::{call, mcp, post, request, send};
use common::{Answer, ask};

#[track_caller]
fn told(answer: &Answer, reason: &str, says: &[&str]) {
    let error = answer.error();
    assert_eq!(error.reason(), reason, "{error:?}");
    let detail = error.detail().unwrap_or_default();
    assert!(!detail.is_empty(), "{error:?}");
    for says in says {
        assert!(detail.contains(says), "{says}: {detail}");
    }
    assert!(!detail.contains("s3cret"), "{detail}");
}

type Build = fn(McpPolicyBuilder) -> McpPolicyBuilder;

#[tokio::test]
async fn a_denied_operation_says_which_rule_denies_it_or_that_none_is_for_it() {
    let uri = |method: &str, uri: &str| request(method, &serde_json::json!({ "uri": uri }));
    let name = |method: &str, name: &str| request(method, &serde_json::json!({ "name": name }));
    let none: Build = |policy| policy;
    let rules: Build = |policy| {
        let policy = policy.tool("get_notes", "x").unwrap();
        let policy = policy.tool("closed", Requirement::deny()).unwrap();
        let policy = policy.prompt("closed", Requirement::deny()).unwrap();
        let policy = policy
            .resource("file:///closed/*", Requirement::deny())
            .unwrap();
        policy
            .method("logging/setLevel", Requirement::deny())
            .unwrap()
    };
    let checked: Build = |policy| {
        let policy = policy.tool("*", "x").unwrap();
        policy.check(|_| PolicyDecision::Deny)
    };
    let cases: [(Build, String, &[&str]); 11] = [
        (
            none,
            call("get_note"),
            &["no rule names the tool \"get_note\"", "`default_rule`"],
        ),
        (
            rules,
            call("get_note"),
            &["no rule names the tool \"get_note\""],
        ),
        (rules, call("closed"), &["the rule for the tool \"closed\""]),
        (
            rules,
            name("prompts/get", "p"),
            &["no rule names the prompt \"p\""],
        ),
        (
            rules,
            name("prompts/get", "closed"),
            &["the rule for the prompt"],
        ),
        (
            rules,
            uri("resources/read", "file:///s3cret"),
            &["no rule names the URI of the resource"],
        ),
        (
            rules,
            uri("resources/read", "file:///closed/s3cret"),
            &["the rule for the URI"],
        ),
        (
            rules,
            request("logging/setLevel", &serde_json::json!({})),
            &["the rule for the method \"logging/setLevel\""],
        ),
        (
            rules,
            request("own/thing", &serde_json::json!({})),
            &["no rule names the method \"own/thing\""],
        ),
        (
            rules,
            format!("[{},{}]", call("get_notes"), call("get_note")),
            &["\"get_note\""],
        ),
        (checked, call("any"), &["the check of the policy"]),
    ];
    for (build, body, says) in cases {
        let policy = build(McpPolicy::builder()).build().unwrap();
        let answer = send(&policy, "x", &body).await;
        told(&answer, "operation_denied", says);
    }
    let policy = rules(McpPolicy::builder()).build().unwrap();
    let mut put = post("x", "{}");
    *put.method_mut() = Method::PUT;
    told(&ask(&mcp(policy), put).await, "operation_denied", &["PUT"]);
}

#[tokio::test]
async fn scopes_that_lack_are_told_with_those_that_were_granted() {
    let policy = McpPolicy::builder().tool("*", "write").unwrap();
    let policy = policy.build().unwrap();
    let answer = send(&policy, "read", &call("get")).await;
    told(&answer, "insufficient_scope", &["\"write\"", "\"read\""]);
    let mut open = post("read", call("get"));
    open.headers_mut().remove("authorization");
    *open.uri_mut() = "/mcp".parse().unwrap();
    told(
        &ask(&mcp(policy), open).await,
        "missing_credential",
        &["authorization"],
    );
}

/// Every reason for which a message is refused.
#[tokio::test]
async fn a_message_that_cannot_be_judged_says_why() {
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let call_of = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    let listen = |uris: usize| {
        let uris = vec!["\"a:b\""; uris].join(",");
        format!(
            r#"{{"id":1,"method":"subscriptions/listen","params":{{"notifications":{{"resourceSubscriptions":[{uris}]}}}}}}"#
        )
    };
    let policy = McpPolicy::builder().check(|call| {
        let _ = call.arguments();
        PolicyDecision::Allow
    });
    let policy = policy.tool("*", "x").unwrap();
    let policy = policy.resource("file:///a/*", "x").unwrap();
    let policy = policy.build().unwrap();
    for (body, reason, says) in [
        ("\u{feff}{}".to_owned(), "unexpected_bom", "byte order mark"),
        ("{".to_owned(), "not_json", "not JSON"),
        (call_of(&deep), "body_too_deep", "inside one another"),
        (
            r#"{"method":"\ud800"}"#.to_owned(),
            "lone_surrogate",
            "surrogate",
        ),
        ("[]".to_owned(), "empty_batch", "empty batch"),
        ("7".to_owned(), "not_json_rpc", "neither a request"),
        (r#"{"method":7}"#.to_owned(), "malformed_method", "`method`"),
        (call_of("[]"), "malformed_params", "`params`"),
        (
            r#"{"id":null,"method":"ping"}"#.to_owned(),
            "malformed_id",
            "`id`",
        ),
        (call_of("{}"), "missing_target", "acts on"),
        (
            r#"{"method":"a","method":"b"}"#.to_owned(),
            "duplicate_body_member",
            "twice",
        ),
        (
            r#"{"Method":"a","method":"b"}"#.to_owned(),
            "member_in_wrong_case",
            "another case",
        ),
        (
            format!("[{}]", vec![call("a"); 1001].join(",")),
            "batch_too_long",
            "1000",
        ),
        (listen(1001), "too_many_subscriptions", "1000"),
        (
            call_of(r#"{"name":"a","arguments":{"a":1,"a":2}}"#),
            "ambiguous_arguments",
            "twice",
        ),
        (
            call_of(&format!(
                r#"{{"name":"a","arguments":"{}"}}"#,
                "x".repeat(1 << 20)
            )),
            "arguments_too_large",
            "1048576",
        ),
        (
            request(
                "resources/read",
                &serde_json::json!({ "uri": "file:///a/../s3cret" }),
            ),
            "ambiguous_uri",
            "URI",
        ),
        ("x".repeat((4 << 20) + 1), "body_too_large", "4194304"),
    ] {
        let answer = send(&policy, "x", &body).await;
        told(&answer, reason, &[says]);
    }
}

#[tokio::test]
async fn headers_that_cannot_be_judged_say_why() {
    type Headers = &'static [(&'static str, &'static str)];

    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const METHOD: (&str, &str) = ("mcp-method", "tools/call");
    let policy = McpPolicy::builder()
        .tool("*", "x")
        .unwrap()
        .build()
        .unwrap();
    let cases: [(Headers, &str, &[&str]); 14] = [
        (
            &[VERSION, VERSION],
            "duplicate_protocol_version",
            &["more than one"],
        ),
        (
            &[("mcp-protocol-version", "2026-\u{e9}")],
            "malformed_protocol_version",
            &["ASCII"],
        ),
        (
            &[("content-encoding", "gzip")],
            "unsupported_content_encoding",
            &["Content-Encoding"],
        ),
        (
            &[("content-type", "text/plain")],
            "unsupported_content_type",
            &["more than one"],
        ),
        (&[VERSION], "missing_mcp_method", &["Mcp-Method"]),
        (
            &[VERSION, ("mcp-method", "ping")],
            "mcp_method_mismatch",
            &["\"ping\"", "\"tools/call\""],
        ),
        (
            &[VERSION, METHOD, METHOD],
            "duplicate_mcp_header",
            &["mcp-method"],
        ),
        (
            &[VERSION, ("mcp-method", "\u{e9}")],
            "malformed_mcp_header",
            &["mcp-method"],
        ),
        (&[VERSION, METHOD], "missing_mcp_name", &["Mcp-Name"]),
        (
            &[VERSION, METHOD, ("mcp-name", "=?base64?!!?=")],
            "malformed_mcp_name",
            &["base64"],
        ),
        (
            &[VERSION, METHOD, ("mcp-name", "other")],
            "mcp_name_mismatch",
            &["\"other\""],
        ),
        // Three of the media type alone, in place of that which is there.
        (
            &[("", "text/plain")],
            "unsupported_content_type",
            &["\"text/plain\"", "application/json"],
        ),
        (
            &[("", "")],
            "unsupported_content_type",
            &["no Content-Type"],
        ),
        (&[("", "\u{e9}")], "unsupported_content_type", &["ASCII"]),
    ];
    for (headers, reason, says) in cases {
        let mut request = post("x", call("get"));
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            match (*name, value.is_empty()) {
                ("", true) => drop(request.headers_mut().remove("content-type")),
                ("", false) => drop(request.headers_mut().insert("content-type", value)),
                (name, _) => drop(request.headers_mut().append(name, value)),
            }
        }
        told(&ask(&mcp(policy.clone()), request).await, reason, says);
    }
    let mut batch = post("x", format!("[{}]", call("get")));
    for (name, value) in [VERSION, METHOD] {
        batch
            .headers_mut()
            .append(name, HeaderValue::from_static(value));
    }
    told(
        &ask(&mcp(policy), batch).await,
        "unexpected_batch",
        &["batch"],
    );
}
