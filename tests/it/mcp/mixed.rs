//! One policy for what is open, what needs a caller and what needs scopes.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::any;
use http::Method;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt};
use tower_mcp_auth::config::Config;
use tower_mcp_auth::mcp::{
    DefaultRule, McpPolicy, McpPolicyBuilder, McpScopesLayer, McpStack, Show,
};
use tower_mcp_auth::scopes::{RequireScopesLayer, Requirement};
use tower_mcp_auth::{ApiKeyLayer, ConfigError, OAuthLayer};
use tracing::Level;

use super::support::{METADATA, RESOURCE, auth, call, message, origin, request};
use common::trace;
use common::{API_KEY, ask};

const ISSUER: &str = "https://auth.example.com";

fn policy(value: &Value) -> McpPolicy {
    serde_json::from_value(value.clone()).unwrap()
}

fn mixed() -> Value {
    json!({ "tools": {
        "open_*": { "none": true },
        "mine": { "authenticated": true },
        "write": "w",
        "gone": { "deny": true },
    }})
}

fn calls(tools: &[&str]) -> String {
    let calls: Vec<Value> = (1..)
        .zip(tools)
        .map(|(id, tool)| {
            let params = json!({ "name": tool });
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
        })
        .collect();
    Value::from(calls).to_string()
}

#[tokio::test]
async fn anonymous_callers_use_what_is_open_and_are_led_to_sign_in_at_the_rest() {
    let stack = McpStack::new(origin(), auth());
    let stack = stack.policy(policy(&mixed())).unwrap();
    let notification = |tool: &str| {
        let params = json!({ "name": tool });
        json!({ "jsonrpc": "2.0", "method": "tools/call", "params": params }).to_string()
    };
    let uris = |uris: &[&str]| {
        let notifications = json!({ "resourceSubscriptions": uris });
        request(
            "subscriptions/listen",
            &json!({ "notifications": notifications }),
        )
    };
    let completion = request(
        "completion/complete",
        &json!({ "ref": { "type": "ref/prompt", "name": "p" } }),
    );
    let plain = |method: &str| request(method, &json!({}));
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string();
    let notified = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    for (what, body, token, status) in [
        ("open", call("open_a"), "", 200),
        ("open, signed in", call("open_a"), "Bearer -", 200),
        ("a caller", call("mine"), "", 401),
        ("a caller", call("mine"), "Bearer -", 200),
        ("a scope", call("write"), "", 401),
        ("a scope", call("write"), "Bearer -", 403),
        ("a scope", call("write"), "Bearer w", 200),
        ("denied", call("gone"), "", 401),
        ("denied", call("gone"), "Bearer w", 403),
        ("no rule", call("other"), "", 401),
        ("another case", call("Open_a"), "", 401),
        ("no bearer token", call("open_a"), "Bearer", 200),
        ("another scheme", call("open_a"), "Basic YTpi", 200),
        ("another scheme", call("mine"), "Basic YTpi", 401),
        ("a notification", notification("open_a"), "", 200),
        ("a notification", notification("mine"), "", 401),
        ("a batch", calls(&["open_a", "open_b"]), "", 200),
        ("a batch", calls(&["open_a", "mine"]), "", 401),
        ("a batch", calls(&["mine", "open_a"]), "", 401),
        ("a batch", calls(&["open_a", "write"]), "Bearer -", 403),
        ("the handshake", plain("initialize"), "", 200),
        ("the handshake", plain("server/discover"), "", 200),
        ("a ping", plain("ping"), "", 200),
        ("a list", plain("tools/list"), "", 200),
        ("a list", plain("resources/templates/list"), "", 200),
        ("a notification", notified, "", 200),
        ("an answer", answer, "", 200),
        ("changes of lists", uris(&[]), "", 200),
        ("changes of a resource", uris(&["file:///x"]), "", 401),
        (
            "what becomes of tasks",
            request(
                "subscriptions/listen",
                &json!({ "notifications": { "taskIds": ["1"] } }),
            ),
            "",
            401,
        ),
        (
            "changes of a resource in a list",
            request(
                "subscriptions/listen",
                &json!({ "notifications": [null, null, null, ["file:///x"]] }),
            ),
            "",
            400,
        ),
        ("a completion", completion, "", 401),
        ("the level of a log", plain("logging/setLevel"), "", 401),
        (
            "the level of a log",
            plain("logging/setLevel"),
            "Bearer -",
            200,
        ),
        (
            "a task",
            request("tasks/result", &json!({ "taskId": "1" })),
            "",
            401,
        ),
        (
            "a task",
            request("tasks/result", &json!({ "taskId": "1" })),
            "Bearer -",
            200,
        ),
        ("a method of an extension", plain("acme/do"), "", 401),
        (
            "a prompt",
            request("prompts/get", &json!({ "name": "p" })),
            "",
            401,
        ),
        (
            "a resource",
            request("resources/read", &json!({ "uri": "file:///x" })),
            "",
            401,
        ),
    ] {
        let headers = [("authorization", token)];
        let headers = if token.is_empty() { &[][..] } else { &headers };
        let answer = ask(&stack, message(&body, headers)).await;
        assert_eq!(answer.status, status, "{what} {token:?}");
        assert_eq!(answer.reached.is_some(), status == 200, "{what} {token:?}");
        if status == 401 {
            answer.missing();
            let [challenge] = answer.challenges()[..] else {
                panic!("{what}: {:?}", answer.challenges());
            };
            let metadata = format!("resource_metadata=\"{METADATA}\"");
            assert!(challenge.contains(&metadata), "{what}: {challenge}");
            let asks = what == "a scope";
            assert_eq!(
                challenge.contains("scope=\"w\""),
                asks,
                "{what}: {challenge}"
            );
        }
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_at_what_is_open() {
    let keys = ApiKeyLayer::new([API_KEY]).unwrap();
    let stack = McpStack::new(origin(), keys)
        .policy(policy(&mixed()))
        .unwrap();
    let open = call("open_a");
    let bad = "d3JvbmctYnV0LWxvbmctZW5vdWdo";
    ask(&stack, message(&open, &[("x-api-key", bad)]))
        .await
        .invalid("unknown_api_key");
    let twice = [("x-api-key", API_KEY), ("x-api-key", API_KEY)];
    ask(&stack, message(&open, &twice))
        .await
        .malformed("duplicate_credential");
    let mut in_query = message(&open, &[]);
    *in_query.uri_mut() = "/mcp?api_key=x".parse().unwrap();
    ask(&stack, in_query).await.malformed("token_in_query");
    ask(&stack, message(&open, &[])).await.admitted();
    ask(&stack, message(&open, &[("x-api-key", API_KEY)]))
        .await
        .principal();
}

/// What two readers could take for two tools is refused, whichever of them is open.
#[tokio::test]
async fn no_spelling_of_a_call_makes_a_tool_open() {
    let stack = McpStack::new(origin(), auth());
    let stack = stack.policy(policy(&mixed())).unwrap();
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open_a","name":"mine"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open_a","Name":"mine"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"mine"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["open_a"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["open_a"]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"open_a"}}"#,
    ] {
        let answer = ask(&stack, message(body, &[])).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.reached.is_none(), "{body}");
    }
    let escaped = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u006dine"}}"#;
    ask(&stack, message(escaped, &[])).await.missing();
}

/// `GET` opens a stream and `DELETE` ends a session; both are of anonymous callers, too.
#[tokio::test]
async fn methods_of_http_go_by_the_base_scopes() {
    let value = mixed();
    let mut ruled = mixed();
    ruled["http"] = json!({ "GET": { "authenticated": true } });
    for (value, method, status) in [
        (&value, Method::GET, 200),
        (&value, Method::DELETE, 200),
        (&value, Method::OPTIONS, 200),
        (&value, Method::PUT, 401),
        (&ruled, Method::GET, 401),
        (&ruled, Method::HEAD, 401),
        (&ruled, Method::DELETE, 200),
    ] {
        let stack = McpStack::new(origin(), auth())
            .policy(policy(value))
            .unwrap();
        let mut request = message("", &[]);
        *request.method_mut() = method.clone();
        let answer = ask(&stack, request).await;
        assert_eq!(answer.status, status, "{method} {value}");
    }
}

#[test]
fn a_policy_opens_what_says_so_alone() {
    let open = json!({ "none": true });
    for (value, opens) in [
        (json!({}), false),
        (json!({ "tools": { "x": "a" } }), false),
        (json!({ "tools": { "x": [] } }), false),
        (json!({ "tools": { "x": { "all": [] } } }), false),
        (
            json!({ "tools": { "x": { "authenticated": true } } }),
            false,
        ),
        (json!({ "default_rule": "baseline" }), false),
        (json!({ "tools": { "x": open } }), true),
        (json!({ "prompts": { "x": open } }), true),
        (json!({ "resources": { "file:///x": open } }), true),
        (json!({ "methods": { "acme/do": open } }), true),
        (json!({ "baseline": "a", "tools": { "x": open } }), false),
        (
            json!({ "baseline": { "authenticated": true }, "tools": { "x": open } }),
            false,
        ),
        (json!({ "baseline": [], "tools": { "x": open } }), false),
        (
            json!({ "methods": { "tools/*": "a" }, "tools": { "x": open } }),
            false,
        ),
        (
            json!({ "methods": { "prompts/*": "a" }, "tools": { "x": open } }),
            true,
        ),
        (json!({ "http": { "GET": open } }), false),
        (
            json!({ "notifications": open, "client_responses": open }),
            false,
        ),
    ] {
        assert_eq!(policy(&value).opens_to_anonymous(), opens, "{value}");
    }
}

/// Where nothing is mixed a stack asks every request for a credential, before its body is read.
#[tokio::test]
async fn a_policy_that_opens_nothing_leaves_the_auth_layer_as_it_is() {
    for value in [
        json!({ "tools": { "x": [] } }),
        json!({ "default_rule": "baseline" }),
    ] {
        let stack = McpStack::new(origin(), auth())
            .policy(policy(&value))
            .unwrap();
        for body in [
            call("x"),
            request("tools/list", &json!({})),
            "no json".to_owned(),
        ] {
            ask(&stack, message(&body, &[])).await.missing();
        }
    }
}

fn builder() -> McpPolicyBuilder {
    McpPolicy::builder()
}

#[tokio::test]
async fn what_no_rule_is_for_is_open_to_no_anonymous_caller() {
    let policy = builder().default_rule(DefaultRule::Baseline);
    let policy = policy
        .tool("open", Requirement::none())
        .unwrap()
        .build()
        .unwrap();
    let stack = McpStack::new(origin(), auth()).policy(policy).unwrap();
    for (body, anonymous) in [
        (call("open"), 200),
        (call("other"), 401),
        (request("prompts/get", &json!({ "name": "p" })), 401),
        (
            request("resources/read", &json!({ "uri": "file:///x" })),
            401,
        ),
        (request("acme/do", &json!({})), 401),
    ] {
        let answer = ask(&stack, message(&body, &[])).await;
        assert_eq!(answer.status, anonymous, "{body}");
        let answer = ask(&stack, message(&body, &[("authorization", "Bearer -")])).await;
        assert_eq!(answer.status, 200, "{body}");
    }
}

/// What came out empty in a configuration guards nothing, and opens nothing.
#[tokio::test]
async fn an_empty_list_of_scopes_is_a_caller() {
    let no_scopes: [&str; 0] = [];
    assert!(RequireScopesLayer::new(no_scopes).is_err());
    let _ = RequireScopesLayer::new(Requirement::authenticated()).unwrap();
    let policy = builder().tool("x", no_scopes).unwrap();
    let policy = policy
        .tool("open", Requirement::none())
        .unwrap()
        .build()
        .unwrap();
    let layers = ServiceBuilder::new()
        .layer(auth().optional())
        .layer(McpScopesLayer::new(policy));
    ask(&layers, message(&call("x"), &[])).await.missing();
    ask(
        &layers,
        message(&call("x"), &[("authorization", "Bearer -")]),
    )
    .await
    .admitted();
    ask(&layers, message(&call("open"), &[])).await.admitted();
}

fn says(error: &ConfigError, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn an_optional_layer_around_a_closed_policy_is_an_error() {
    let closed = policy(&json!({ "baseline": "a", "tools": { "*": "b" } }));
    let stack = McpStack::new(origin(), auth().optional());
    let error = stack.policy(closed.clone()).unwrap_err();
    assert_eq!(error.setting(), "optional");
    says(&error, &["`optional`", "`baseline`"]);
    let _ = McpStack::new(origin(), auth()).policy(closed).unwrap();
    let open = policy(&mixed());
    let _ = McpStack::new(origin(), auth().optional())
        .policy(open)
        .unwrap();
    // The lists are open, and nothing else is.
    let lists = policy(&json!({ "tools": { "*": "b" } }));
    let _ = McpStack::new(origin(), auth().optional())
        .policy(lists)
        .unwrap();
}

fn config(policy: &Value, auth: &Value) -> Config {
    let config = json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": API_KEY, "scopes": "w" }] },
        "policy": policy,
        "auth": auth,
    });
    Config::from_json(&config.to_string()).unwrap()
}

#[tokio::test]
async fn a_configuration_follows_its_policy() {
    let closed = json!({ "tools": { "open_*": [], "write": "w" } });
    let all_closed = json!({ "baseline": "w", "tools": { "*": "w" } });
    for (policy, auth, status) in [
        (mixed(), json!({}), Ok(200)),
        (mixed(), json!({ "optional": true }), Ok(200)),
        (mixed(), json!({ "optional": false }), Err("authenticated")),
        (closed.clone(), json!({}), Ok(401)),
        (closed.clone(), json!({ "optional": false }), Ok(401)),
        (closed, json!({ "optional": true }), Ok(401)),
        (all_closed, json!({ "optional": true }), Err("baseline")),
    ] {
        let config = config(&policy, &auth);
        match (config.stack(), status) {
            (Ok(stack), Ok(status)) => {
                let answer = ask(&stack, message(&call("open_a"), &[])).await;
                assert_eq!(answer.status, status, "{policy} {auth}");
                ask(&stack, message(&call("write"), &[])).await.missing();
                let write = message(&call("write"), &[("x-api-key", API_KEY)]);
                ask(&stack, write).await.admitted();
            }
            (Err(error), Err(word)) => {
                assert_eq!(error.path(), "auth.optional", "{policy} {auth}");
                says(&error, &["optional", word]);
            }
            (made, _) => panic!("{policy} {auth}: {:?}", made.err()),
        }
    }
    // Alone it protects, whatever is put inside of it.
    let alone = config(&mixed(), &json!({})).auth_layer().unwrap();
    ask(&alone, message(&call("open_a"), &[])).await.missing();
}

#[test]
fn that_a_layer_was_opened_is_told() {
    let told = || {
        let events = trace::take();
        let told = events
            .iter()
            .filter(|event| event.field("message").contains("without a credential pass"));
        told.map(|event| event.level).collect::<Vec<_>>()
    };
    trace::start();
    let _ = McpStack::new(origin(), auth())
        .policy(policy(&mixed()))
        .unwrap();
    assert_eq!(told(), [Level::INFO]);
    let _ = McpStack::new(origin(), auth().optional())
        .policy(policy(&mixed()))
        .unwrap();
    let _ = McpStack::new(origin(), auth())
        .policy(policy(&json!({})))
        .unwrap();
    assert!(told().is_empty());
}

/// The names in the list that this app shows to an anonymous caller.
async fn shown(app: &Router) -> (Vec<String>, Value) {
    let body = request("tools/list", &json!({}));
    let request = message(&body, &[]).map(Body::new);
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = to_bytes(response.into_body(), 99_999).await.unwrap();
    let mut message: Value = serde_json::from_slice(&body).unwrap();
    let tools = message["result"]["tools"].as_array().unwrap().iter();
    let names = tools
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect();
    (names, message["result"]["cacheScope"].take())
}

#[tokio::test]
async fn lists_show_what_signing_in_would_open() {
    let tools = ["open_a", "mine", "write", "gone", "other"];
    let tools: Vec<Value> = tools.iter().map(|name| json!({ "name": name })).collect();
    let result = json!({ "tools": tools, "cacheScope": "public", "ttlMs": 1000 });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    let handler = async move || ([("content-type", "application/json")], answer);
    let server = Router::new().route("/mcp", any(handler));
    let oauth = || OAuthLayer::new(RESOURCE, ISSUER).unwrap();
    let keys = || ApiKeyLayer::new([API_KEY]).unwrap();
    let reachable = &["open_a", "mine", "write"][..];
    let granted = &["open_a"][..];
    for (auth, show, names) in [
        (oauth().boxed(), Show::ByCaller, reachable),
        (oauth().boxed(), Show::Reachable, reachable),
        (oauth().boxed(), Show::Granted, granted),
        // No sign-in leads to an API key.
        (keys().boxed(), Show::ByCaller, granted),
        (keys().boxed(), Show::Reachable, reachable),
        (
            oauth().or(keys()).unwrap().boxed(),
            Show::ByCaller,
            reachable,
        ),
    ] {
        let stack = McpStack::new(origin(), auth);
        let stack = stack.policy(policy(&mixed())).unwrap().show(show);
        let (seen, cache) = shown(&server.clone().layer(stack)).await;
        assert_eq!(seen, names, "{show:?}");
        assert_eq!(cache, "private", "{show:?}");
    }
}
