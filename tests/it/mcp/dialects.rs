//! In which form clients are asked to sign in: over HTTP, or by the result of a tool.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::any;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::mcp::{
    Dialect, DialectRule, MacKey, McpListsLayer, McpPolicy, McpScopesLayer, McpStack,
    SessionBindingLayer,
};
use tower_mcp_auth::scopes::{Requirement, ScopeHierarchy};
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind};

use super::support::{METADATA, RESOURCE, auth, call, message, origin, request};
use common::{API_KEY, Answer, Answering, ask};

/// ChatGPT calls itself so.
const CHATGPT: &str = "openai-mcp";

fn policy() -> McpPolicy {
    McpPolicy::builder()
        .hierarchy(ScopeHierarchy::new([("admin", ["w"])]).unwrap())
        .tool("open", Requirement::none())
        .and_then(|policy| policy.tool("mine", Requirement::authenticated()))
        .and_then(|policy| policy.tool("write", "w"))
        .and_then(|policy| policy.tool("either", Requirement::any(["x", "y"])?))
        .and_then(|policy| policy.tool("gone", Requirement::deny()))
        .and_then(|policy| policy.prompt("p", "w"))
        .and_then(|policy| policy.build())
        .unwrap()
}

fn with_token(token: &str) -> Vec<(&'static str, &str)> {
    let is_there = !token.is_empty();
    is_there
        .then_some(("authorization", token))
        .into_iter()
        .collect()
}

/// A message of revision 2026-07-28 of a client of this name, and its headers.
fn recent<'m>(
    method: &'m str,
    params: Value,
    client: &Value,
) -> (String, Vec<(&'static str, &'m str)>) {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": client,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mirrors = vec![
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ];
    (request(method, &params), mirrors)
}

fn layers(
    dialect: impl Into<DialectRule>,
) -> impl tower::Layer<
    common::Inner,
    Service: tower::Service<
        Request<Full<Bytes>>,
        Response = http::Response<impl http_body::Body<Data = Bytes, Error: std::fmt::Debug>>,
        Error = std::convert::Infallible,
    >,
> {
    McpStack::new(origin(), auth())
        .policy(policy())
        .unwrap()
        .dialect(dialect)
}

fn result_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200);
    let message = answer.json();
    assert_eq!(message["jsonrpc"], "2.0");
    assert!(message.get("error").is_none(), "{message}");
    message["result"].clone()
}

#[tokio::test]
async fn a_call_that_needs_a_sign_in_is_answered_with_a_result() {
    let decisions = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&decisions);
    let auth = auth().on_decision(move |decision| {
        let reason = decision.error().map_or("", AuthError::reason);
        let decided = (decision.layer(), decision.outcome().as_str(), reason);
        heard.lock().unwrap().push(decided);
    });
    let stack = |dialect: Dialect| {
        let stack = McpStack::new(origin(), auth.clone())
            .policy(policy())
            .unwrap();
        stack.dialect(dialect)
    };
    for (tool, token, kind, reason, scope) in [
        ("mine", "", AuthErrorKind::Missing, "missing_credential", ""),
        (
            "write",
            "",
            AuthErrorKind::Missing,
            "missing_credential",
            "w",
        ),
        (
            "either",
            "",
            AuthErrorKind::Missing,
            "missing_credential",
            "x",
        ),
        (
            "write",
            "Bearer -",
            AuthErrorKind::InsufficientScope,
            "insufficient_scope",
            "w",
        ),
        (
            "either",
            "Bearer -",
            AuthErrorKind::InsufficientScope,
            "insufficient_scope",
            "x",
        ),
    ] {
        let headers = with_token(token);
        let over_http = ask(&stack(Dialect::Http), message(&call(tool), &headers)).await;
        let expected = over_http.refused(kind, reason);
        let over_http_told = std::mem::take(&mut *decisions.lock().unwrap());

        let answer = ask(&stack(Dialect::Result), message(&call(tool), &headers)).await;
        // What is told of it is the same.
        assert_eq!(answer.error(), expected, "{tool}");
        assert_eq!(answer.challenges(), over_http.challenges(), "{tool}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let told = std::mem::take(&mut *decisions.lock().unwrap());
        assert_eq!(told, over_http_told);
        assert_eq!(told.last(), Some(&("mcp_scopes", "refused", reason)));

        let result = result_of(&answer);
        assert_eq!(answer.json()["id"], 1);
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert_eq!(result["content"], json!([{ "type": "text", "text": text }]));
        assert_eq!(text, expected.description());
        let scope = match scope {
            "" => String::new(),
            scope => format!("scope=\"{scope}\", "),
        };
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", {scope}resource_metadata=\"{METADATA}\", \
             error_description=\"{text}\""
        );
        let expected = json!({ "mcp/www_authenticate": [challenge] });
        assert_eq!(result["_meta"], expected, "{tool}");
        assert!(
            result.get("resultType").is_none(),
            "older revisions have none"
        );
    }
}

/// (what, body, headers, status)
#[tokio::test]
async fn every_other_refusal_is_one_of_http() {
    let layers = layers(Dialect::Result);
    let plain = |method: &str, params: Value| request(method, &params);
    let one =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "mine" } });
    let notified =
        json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": "mine" } });
    let token = ("authorization", "Bearer -");
    let twice = [token, token];
    for (what, body, headers, status) in [
        (
            "a prompt",
            plain("prompts/get", json!({ "name": "p" })),
            &[][..],
            401,
        ),
        (
            "a prompt",
            plain("prompts/get", json!({ "name": "p" })),
            &[token],
            403,
        ),
        (
            "the level of a log",
            plain("logging/setLevel", json!({})),
            &[],
            401,
        ),
        ("a batch", json!([one]).to_string(), &[], 401),
        ("a batch", json!([one, one]).to_string(), &[], 401),
        ("a notification", notified.to_string(), &[], 401),
        ("denied to all", call("gone"), &[token], 403),
        ("no rule", call("other"), &[token], 403),
        ("two credentials", call("mine"), &twice, 400),
        ("no JSON", "{".to_owned(), &[], 400),
        ("no name", plain("tools/call", json!({})), &[], 400),
        (
            "a foreign host",
            call("mine"),
            &[("host", "evil.example")],
            403,
        ),
        (
            "a foreign page",
            call("mine"),
            &[("origin", "https://evil.example")],
            403,
        ),
        (
            "another media type",
            call("mine"),
            &[("content-encoding", "gzip")],
            415,
        ),
    ] {
        let answer = ask(&layers, message(&body, headers)).await;
        assert_eq!(answer.status, status, "{what}");
        assert!(answer.reached.is_none(), "{what}");
        answer.error();
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_over_http() {
    let expired = Answering::refusing(common::invalid("expired_badge"));
    let challenge = tower_mcp_auth::Challenge::bearer().resource_metadata(METADATA);
    let auth = AuthLayer::new(expired.challenges([challenge]));
    let layers = McpStack::new(origin(), auth).policy(policy()).unwrap();
    let layers = layers.dialect(Dialect::Result);
    for tool in ["open", "mine", "write"] {
        let bad = message(&call(tool), &[("authorization", "Bearer x")]);
        ask(&layers, bad).await.invalid("expired_badge");
    }
}

#[tokio::test]
async fn a_result_answers_the_id_of_its_request() {
    let layers = layers(Dialect::Result);
    for id in [
        json!(7),
        json!(-1),
        json!(1.5),
        json!("one"),
        json!("a \" b \\ c \u{e9} \n"),
        json!(""),
    ] {
        let params = json!({ "name": "mine" });
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let answer = ask(&layers, message(&body.to_string(), &[])).await;
        result_of(&answer);
        assert_eq!(answer.json()["id"], id);
    }
}

/// No client can sign in where no challenge leads to an authorization server.
#[tokio::test]
async fn without_an_authorization_server_every_refusal_is_one_of_http() {
    let keys = ApiKeyLayer::new([API_KEY]).unwrap();
    let stack = McpStack::new(origin(), keys).policy(policy()).unwrap();
    let stack = stack.dialect(Dialect::Result);
    ask(&stack, message(&call("mine"), &[])).await.missing();
    let key = [("x-api-key", API_KEY)];
    let answer = ask(&stack, message(&call("write"), &key)).await;
    answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
}

#[tokio::test]
async fn what_a_client_says_of_itself_decides_the_form_and_nothing_else() {
    let names = || DialectRule::result_for(["acme", "tools-*"]).unwrap();
    let by_version = || {
        DialectRule::by_client_with(|client| match client.version() {
            Some("2") => Dialect::Result,
            _ => Dialect::Http,
        })
    };
    let named = |name: &str| json!({ "name": name, "version": "1" });
    let long = "a".repeat(300);
    for (rule, client, is_result) in [
        (DialectRule::by_client(), named(CHATGPT), true),
        (
            DialectRule::by_client(),
            named("openai-mcp (ChatGPT)"),
            true,
        ),
        (DialectRule::by_client(), named("claude-ai"), false),
        (DialectRule::by_client(), named(""), false),
        (DialectRule::by_client(), json!({}), false),
        (DialectRule::by_client(), json!(null), false),
        (DialectRule::by_client(), json!("openai-mcp"), false),
        (DialectRule::by_client(), json!(["openai-mcp"]), false),
        (DialectRule::by_client(), json!({ "name": 1 }), false),
        (
            DialectRule::by_client(),
            json!({ "name": null, "version": "2" }),
            false,
        ),
        (names(), named("acme"), true),
        (names(), named("acme-2"), false),
        (names(), named("tools-x"), true),
        (names(), named(CHATGPT), false),
        (by_version(), json!({ "name": "x", "version": "2" }), true),
        (by_version(), json!({ "name": "x", "version": 2 }), false),
        (by_version(), json!({ "name": long, "version": "2" }), false),
        (Dialect::Result.into(), named("claude-ai"), true),
        (Dialect::Http.into(), named(CHATGPT), false),
    ] {
        let layers = layers(rule.clone());
        for (tool, token, refused) in [
            ("open", "", None),
            ("open", "Bearer -", None),
            ("mine", "", Some(401)),
            ("mine", "Bearer -", None),
            ("write", "Bearer -", Some(403)),
            ("gone", "Bearer -", Some(403)),
        ] {
            let (body, mut headers) = recent("tools/call", json!({ "name": tool }), &client);
            headers.push(("mcp-name", tool));
            headers.extend(with_token(token));
            let answer = ask(&layers, message(&body, &headers)).await;
            let what = format!("{rule:?} {client} {tool} {token}");
            assert_eq!(answer.reached.is_some(), refused.is_none(), "{what}");
            match refused {
                None => assert_eq!(answer.status, 200, "{what}"),
                Some(_) if is_result && tool != "gone" => {
                    let result = result_of(&answer);
                    assert_eq!(result["isError"], true, "{what}");
                    // Results of this revision say what type they are.
                    assert_eq!(result["resultType"], "complete", "{what}");
                    answer.error();
                }
                Some(status) => {
                    assert_eq!(answer.status, status, "{what}");
                    answer.error();
                }
            }
        }
    }
}

/// Without a session nothing keeps what a client said in `initialize`.
#[tokio::test]
async fn a_client_of_an_older_revision_is_answered_over_http_without_a_session() {
    let layers = layers(DialectRule::by_client());
    let params = json!({
        "name": "mine",
        "clientInfo": { "name": CHATGPT },
        "_meta": { "io.modelcontextprotocol/clientInfo": { "name": CHATGPT } },
    });
    for version in [None, Some("2025-11-25"), Some("2025-06-18")] {
        let headers: Vec<_> = version
            .into_iter()
            .map(|v| ("mcp-protocol-version", v))
            .collect();
        let body = request("tools/call", &params);
        ask(&layers, message(&body, &headers)).await.missing();
    }
}

#[tokio::test]
async fn a_session_keeps_the_dialect_of_the_client_that_opened_it() {
    let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let bound = SessionBindingLayer::new(key);
    let claims = MemoryReplayStore::default();
    let claimable = bound.clone().anonymous_sessions_can_be_claimed(claims);
    for sessions in [bound, claimable] {
        let service = McpStack::new(origin(), auth())
            .sessions(sessions)
            .policy(policy())
            .unwrap()
            .dialect(DialectRule::by_client())
            .layer(tower::service_fn(async |_: Request<_>| {
                let response = http::Response::builder().header("mcp-session-id", "one");
                Ok::<_, std::convert::Infallible>(response.body(Full::<Bytes>::default()).unwrap())
            }));
        for (client, result) in [(CHATGPT, true), ("claude-ai", false)] {
            let params = json!({ "clientInfo": { "name": client } });
            let opens = message(&request("initialize", &params), &[]);
            let opened = service.clone().oneshot(opens).await.unwrap();
            assert!(opened.extensions().get::<AuthError>().is_none());
            let id = opened.headers()["mcp-session-id"].to_str().unwrap();
            let calls = message(&call("mine"), &[("mcp-session-id", id)]);
            let answer = service.clone().oneshot(calls).await.unwrap();
            let status = if result { 200 } else { 401 };
            assert_eq!(answer.status(), status, "{client}");
            let error: &AuthError = answer.extensions().get().unwrap();
            assert_eq!(error.reason(), "missing_credential");
        }
    }
}

#[test]
fn names_of_clients_are_checked() {
    for bad in [&[][..], &[""], &["a*b"], &["**"], &["acme", ""]] {
        let error = DialectRule::result_for(bad).unwrap_err();
        assert_eq!(error.setting(), "result_clients", "{bad:?}");
    }
    for good in [&["acme"][..], &["acme-*"], &["*"]] {
        DialectRule::result_for(good).unwrap();
    }
}

fn config(operations: &Value) -> Config {
    let config = json!({
        "resource": RESOURCE,
        "authorization_servers": [{ "issuer": "https://auth.example.com" }],
        "policy": { "tools": { "open": { "none": true }, "mine": { "authenticated": true } } },
        "operations": operations,
    });
    Config::from_json(&config.to_string()).unwrap()
}

#[tokio::test]
async fn a_configuration_says_which_dialect() {
    for (operations, client, status) in [
        (json!({}), CHATGPT, Some(401)),
        (json!({ "dialect": "http" }), CHATGPT, Some(401)),
        (json!({ "dialect": "result" }), "claude-ai", Some(200)),
        (json!({ "dialect": "by_client" }), CHATGPT, Some(200)),
        (json!({ "dialect": "by_client" }), "claude-ai", Some(401)),
        (
            json!({ "dialect": "by_client", "result_clients": "acme" }),
            "acme",
            Some(200),
        ),
        (
            json!({ "dialect": "by_client", "result_clients": ["acme"] }),
            CHATGPT,
            Some(401),
        ),
        (
            json!({ "dialect": "by_client", "result_clients": [] }),
            "acme",
            None,
        ),
        (
            json!({ "dialect": "http", "result_clients": ["acme"] }),
            "acme",
            None,
        ),
        (json!({ "result_clients": ["acme"] }), "acme", None),
    ] {
        let config = config(&operations);
        let Some(status) = status else {
            let error = config.stack().unwrap_err();
            assert_eq!(error.path(), "operations.result_clients", "{operations}");
            continue;
        };
        let params = json!({ "name": "mine" });
        let (body, mut headers) = recent("tools/call", params, &json!({ "name": client }));
        headers.push(("mcp-name", "mine"));
        let answer = ask(&config.stack().unwrap(), message(&body, &headers)).await;
        assert_eq!(answer.status, status, "{operations} {client}");
        answer.error();
    }
    assert!(Config::from_json(r#"{ "operations": { "dialect": "chatgpt" } }"#).is_err());
}

fn server(result: &Value, as_events: bool) -> Router {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    let (media, body) = match as_events {
        true => ("text/event-stream", format!("id: 1\ndata: {message}\n\n")),
        false => ("application/json", message),
    };
    Router::new().route("/mcp", any(async move || ([("content-type", media)], body)))
}

async fn listed(app: Router, request: Request<Full<Bytes>>) -> Value {
    let response = app.oneshot(request.map(Body::new)).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = to_bytes(response.into_body(), 99_999).await.unwrap();
    let text = std::str::from_utf8(&body).unwrap();
    let text = match text.split_once("data: ") {
        Some((_, data)) => data,
        None => text,
    };
    let mut message: Value = serde_json::from_str(text).unwrap();
    message["result"].take()
}

#[tokio::test]
async fn lists_of_tools_say_how_to_sign_in() {
    let own = json!([{ "type": "noauth" }]);
    let result = json!({
        "tools": [
            { "name": "open", "inputSchema": { "type": "object" } },
            { "name": "mine", "securitySchemes": own, "_meta": { "a": [1, "]"], "securitySchemes": own } },
            { "name": "write", "_meta": null },
            { "title": "\u{e9}\"", "name": "either", "_meta": {} },
            { "name": "gone" },
        ],
        "prompts": [{ "name": "p" }],
        "nextCursor": "2",
    });
    let oauth2 = |scopes: &[&str]| json!([{ "type": "oauth2", "scopes": scopes }]);
    let noauth = json!([{ "type": "noauth" }]);
    let said = |open: &Value| {
        json!({
            "tools": [
                {
                    "name": "open", "inputSchema": { "type": "object" },
                    "securitySchemes": open, "_meta": { "securitySchemes": open },
                },
                {
                    "name": "mine", "securitySchemes": oauth2(&[]),
                    "_meta": { "a": [1, "]"], "securitySchemes": oauth2(&[]) },
                },
                {
                    "name": "write", "securitySchemes": oauth2(&["w"]),
                    "_meta": { "securitySchemes": oauth2(&["w"]) },
                },
                {
                    "title": "\u{e9}\"", "name": "either", "securitySchemes": oauth2(&["x"]),
                    "_meta": { "securitySchemes": oauth2(&["x"]) },
                },
            ],
            "prompts": [{ "name": "p" }],
            "nextCursor": "2",
        })
    };
    let mixed = |dialect: DialectRule| {
        let reachable = tower_mcp_auth::mcp::Show::Reachable;
        let stack = McpStack::new(origin(), auth()).policy(policy()).unwrap();
        stack.show(reachable).dialect(dialect)
    };
    let list = request("tools/list", &json!({}));
    for as_events in [false, true] {
        let app = || server(&result, as_events);
        let anonymous = || message(&list, &[]);
        let seen = listed(app().layer(mixed(Dialect::Result.into())), anonymous()).await;
        assert_eq!(seen, said(&noauth), "{as_events}");
        // What a caller was granted does not change what a tool needs.
        let alice = message(&list, &[("authorization", "Bearer w")]);
        let seen = listed(app().layer(mixed(Dialect::Result.into())), alice).await;
        assert_eq!(seen, said(&noauth), "{as_events}");
        // A list may come on a stream that a GET opened.
        let mut get = anonymous();
        *get.method_mut() = Method::GET;
        let seen = listed(app().layer(mixed(Dialect::Result.into())), get).await;
        assert_eq!(seen, said(&noauth), "{as_events}");

        // Other clients see the list of the server.
        let mut plain = result.clone();
        plain["tools"].as_array_mut().unwrap().pop();
        for rule in [Dialect::Http.into(), DialectRule::by_client()] {
            let seen = listed(app().layer(mixed(rule)), anonymous()).await;
            assert_eq!(seen, plain, "{as_events}");
        }
        for (client, expected) in [(CHATGPT, said(&noauth)), ("claude-ai", plain)] {
            let client = json!({ "name": client });
            let (body, headers) = recent("tools/list", json!({}), &client);
            let app = app().layer(mixed(DialectRule::by_client()));
            let seen = listed(app, message(&body, &headers)).await;
            assert_eq!(seen, expected, "{as_events} {client}");
        }
        // Where the auth layer lets no anonymous request pass, nothing is open.
        let layers = ServiceBuilder::new()
            .layer(auth())
            .layer(McpScopesLayer::new(policy()).dialect(Dialect::Result))
            .layer(McpListsLayer::new(policy()).show(tower_mcp_auth::mcp::Show::Reachable));
        let alice = message(&list, &[("authorization", "Bearer -")]);
        let seen = listed(app().layer(layers), alice).await;
        assert_eq!(seen, said(&oauth2(&[])), "{as_events}");
    }
}

/// A tool that cannot be read is not shown to anyone, with schemes or without.
#[tokio::test]
async fn a_list_that_cannot_be_read_is_withheld() {
    let stack = McpStack::new(origin(), auth()).policy(policy()).unwrap();
    let stack = stack.dialect(Dialect::Result);
    for tools in [
        r#"[{"name":"open","name":"mine"}]"#,
        r#"[{"name":"open",}]"#,
        r#"["open"]"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools}}}}}"#);
        let handler = any(async move || ([("content-type", "application/json")], body));
        let app = Router::new().route("/mcp", handler).layer(stack.clone());
        let list = message(&request("tools/list", &json!({})), &[]).map(Body::new);
        let response = app.oneshot(list).await.unwrap();
        let body = to_bytes(response.into_body(), 99_999).await.unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(message["error"]["code"], -32603, "{message}");
    }
}

/// What is only reported is carried out in no form.
#[tokio::test]
async fn report_only_goes_before_the_form() {
    let auth = auth().dangerously_report_only();
    let stack = McpStack::new(origin(), auth).policy(policy()).unwrap();
    let stack = stack.dialect(Dialect::Result);
    for token in ["", "Bearer -"] {
        let answer = ask(&stack, message(&call("write"), &with_token(token))).await;
        assert_eq!(answer.status, 200, "{token}");
        assert!(answer.reached.is_some(), "{token}");
    }
}
