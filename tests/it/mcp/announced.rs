//! What clients learn of scopes: from the metadata, a 401, a list, a 403.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::post;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::config::{Config, ConfiguredAuth};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{
    McpListsLayer, McpPolicy, McpScopesLayer, McpStack, OriginLayer, PolicyDecision, Show,
};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::scopes::{AskedScopes, IncludeGranted, RequireScopesLayer};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{ApiKeyLayer, JwtLayer, OAuthLayer};
use tracing::Level;

use common::trace::{self, Traced};
use common::{NOW, SECRET, clock, token};

const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";
const KEY: &str = "b25lLXJhbmRvbS1rZXktMTIzNA";

fn policy(value: &Value) -> McpPolicy {
    serde_json::from_value(value.clone()).unwrap()
}

fn origin() -> OriginLayer {
    OriginLayer::new(RESOURCE).unwrap()
}

/// With the scopes that are set by hand.
fn oauth(supported: Option<&[&str]>, required: &[&str]) -> OAuthLayer {
    let mut resource = ProtectedResource::new(RESOURCE).unwrap();
    if let Some(scopes) = supported {
        resource = resource.scopes_supported(scopes).unwrap();
    }
    let builder = OAuthLayer::builder(resource).unwrap();
    let builder = builder.authorization_server(ISSUER).unwrap();
    let required = required.iter().copied();
    builder.required_scopes(required).build().unwrap()
}

fn config(policy: &Value, supported: Option<&[&str]>, required: &[&str]) -> Config {
    let mut value = json!({
        "resource": RESOURCE,
        "authorization_servers": [{ "issuer": ISSUER }],
        "oauth": { "required_scopes": required },
        "policy": policy,
    });
    if let Some(scopes) = supported {
        value["metadata"] = json!({ "scopes_supported": scopes });
    }
    Config::from_json(&value.to_string()).unwrap()
}

fn server() -> Router {
    Router::new().route("/mcp", post(async || "inside"))
}

/// The same server, made in each way there is.
fn servers(
    value: &Value,
    supported: Option<&[&str]>,
    required: &[&str],
) -> Vec<(&'static str, Router)> {
    let policy = policy(value);
    // Clones share their metadata, so each has one of its own.
    let oauth = || oauth(supported, required);
    let keys = || ApiKeyLayer::new([KEY]).unwrap();
    let both = || oauth().or(keys()).unwrap();
    let stack = |auth| {
        server().layer(
            McpStack::new(origin(), auth)
                .policy(policy.clone())
                .unwrap(),
        )
    };
    let hand = |layer: ConfiguredAuth| {
        server()
            .layer(McpListsLayer::new(policy.clone()))
            .layer(McpScopesLayer::new(policy.clone()))
            .layer(layer)
    };
    let nested = oauth();
    let nested = Router::new()
        .route_service(&nested.metadata_path(), nested.metadata_service())
        .route(
            "/mcp",
            post(async || "inside").layer(nested.announce(&policy)),
        );
    let config = || config(value, supported, required);
    vec![
        ("stack", stack(oauth().boxed())),
        ("stack with keys", stack(both().boxed())),
        ("by hand", hand(oauth().announce(&policy).boxed())),
        ("boxed before", hand(oauth().boxed().announce(&policy))),
        ("by hand, with keys", hand(both().announce(&policy).boxed())),
        (
            "announced before the keys",
            hand(oauth().announce(&policy).or(keys()).unwrap().boxed()),
        ),
        (
            "announced after the keys",
            hand(keys().or(oauth().announce(&policy)).unwrap().boxed()),
        ),
        (
            "by the layer",
            hand(
                oauth()
                    .announce(&McpScopesLayer::new(policy.clone()))
                    .boxed(),
            ),
        ),
        ("metadata of a clone", nested),
        ("configuration", server().layer(config().stack().unwrap())),
        (
            "layers of a configuration",
            hand(config().auth_layer().unwrap()),
        ),
        (
            "one layer of a configuration",
            hand(config().oauth_layer().unwrap().unwrap().boxed()),
        ),
        (
            "set to a configuration",
            hand(config().apply_auth_settings(oauth()).unwrap().boxed()),
        ),
    ]
}

/// `scopes_supported` of the metadata, and `scope` of a 401.
async fn told(app: &Router) -> (Vec<String>, String) {
    let request = Request::get("/.well-known/oauth-protected-resource/mcp")
        .header("host", "mcp.example.com")
        .body(Body::empty());
    let response = app.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let document = to_bytes(response.into_body(), 9999).await.unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let supported = document.get("scopes_supported").cloned();
    let supported = supported.map(|list| serde_json::from_value(list).unwrap());

    let request = Request::post("/mcp").header("host", "mcp.example.com");
    let request = request.header("content-type", "application/json");
    let request = request.body(Body::from("{}")).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    (supported.unwrap_or_default(), scope_of(challenge))
}

fn scope_of(challenge: &str) -> String {
    let scope = challenge.split_once("scope=\"").map(|(_, rest)| rest);
    let scope = scope.and_then(|rest| rest.split_once('"'));
    scope.map(|(scope, _)| scope.to_owned()).unwrap_or_default()
}

type Row = (
    Value,
    Option<&'static [&'static str]>,
    &'static [&'static str],
    &'static str,
    &'static str,
);

/// Policy, scopes that are set by hand, required ones; what the metadata say, what the 401.
fn rows() -> Vec<Row> {
    vec![
        // The base, whatever else there is.
        (
            json!({ "baseline": "a b", "tools": { "x": "c" } }),
            None,
            &[],
            "a b c",
            "a b",
        ),
        (
            json!({ "baseline": { "any": ["a", "b"] }, "tools": { "*": [] } }),
            None,
            &[],
            "a b",
            "a",
        ),
        // Required scopes, and both.
        (json!({ "tools": { "x": "c" } }), None, &["r"], "r c", "r"),
        (
            json!({ "baseline": "a", "tools": { "x": "c" } }),
            None,
            &["r"],
            "r a c",
            "r a",
        ),
        (
            json!({ "baseline": "a", "hierarchy": { "r": ["a"] }, "tools": { "x": "c" } }),
            None,
            &["r"],
            "r a c",
            "r",
        ),
        // The rule that needs the fewest, the first of several.
        (
            json!({ "tools": { "x": "a b", "y": "c", "z": "d" } }),
            None,
            &[],
            "a b c d",
            "c",
        ),
        (
            json!({ "prompts": { "*": "p" }, "resources": { "*": "r" }, "tools": { "*": "t u" } }),
            None,
            &[],
            "t u p r",
            "p",
        ),
        // What needs nothing tells nothing.
        (
            json!({ "tools": { "whoami": [], "*": "w" } }),
            None,
            &[],
            "w",
            "w",
        ),
        // What is denied is not told, and what its method needs comes with a tool.
        (
            json!({ "tools": { "x": { "deny": true }, "y": "a" }, "http": { "PUT": { "deny": true } } }),
            None,
            &[],
            "a",
            "a",
        ),
        (
            json!({ "methods": { "tools/call": "m" }, "tools": { "x": "a b", "y": [] } }),
            None,
            &[],
            "a b m",
            "m",
        ),
        (
            json!({ "methods": { "tools/call": { "deny": true } }, "prompts": { "y": "a b" } }),
            None,
            &[],
            "a b",
            "a b",
        ),
        (
            json!({ "methods": { "tools/*": "m" }, "default_rule": "baseline" }),
            None,
            &[],
            "m",
            "m",
        ),
        // One of several is asked for, and all may serve.
        (
            json!({ "tools": { "x": { "any": ["a", "b"] }, "y": { "all": ["c"], "any": ["d"] } } }),
            None,
            &[],
            "a b c d",
            "a",
        ),
        (
            json!({ "tools": { "x": "a b" }, "hierarchy": { "b": ["a"] } }),
            None,
            &[],
            "a b",
            "b",
        ),
        // All that can be asked for, wherever it stands; but not first.
        (
            json!({
                "methods": { "logging/setLevel": "l" }, "notifications": "n", "client_responses": "s",
                "http": { "DELETE": "h" }, "other_http_methods": "o",
            }),
            None,
            &[],
            "l n s h o",
            "",
        ),
        // `offline_access` is no matter of a resource.
        (
            json!({ "tools": { "x": "offline_access", "y": "a b" } }),
            None,
            &[],
            "a b",
            "a b",
        ),
        // What is set by hand stays, and clients that are told nothing else ask for it.
        (
            json!({ "tools": { "x": "a", "y": "b" } }),
            Some(&["a", "b"]),
            &[],
            "a b",
            "a b",
        ),
        (
            json!({ "baseline": "a", "tools": { "y": "b" } }),
            Some(&["c"]),
            &[],
            "c",
            "a",
        ),
        (json!({ "tools": { "x": "a" } }), Some(&[]), &[], "", "a"),
        (json!({ "tools": { "x": [] } }), None, &[], "", ""),
        (json!({}), None, &["r"], "", "r"),
    ]
}

#[tokio::test]
async fn clients_are_told_of_the_scopes_of_the_policy() {
    for (policy, supported, required, metadata, challenge) in rows() {
        for (how, app) in servers(&policy, supported, required) {
            let expected: Vec<&str> = metadata.split_whitespace().collect();
            let (metadata, scope) = told(&app).await;
            let (mut metadata, mut expected) = (metadata, expected);
            metadata.sort_unstable();
            expected.sort_unstable();
            assert_eq!(
                metadata, expected,
                "{how}: {policy} {supported:?} {required:?}"
            );
            assert_eq!(
                scope, challenge,
                "{how}: {policy} {supported:?} {required:?}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_policy_nothing_is_announced() {
    let app = server().layer(oauth(None, &["r"]));
    assert_eq!(told(&app).await, (vec![], "r".to_owned()));
    let app = server().layer(oauth(Some(&["s"]), &[]));
    assert_eq!(told(&app).await, (vec!["s".to_owned()], String::new()));
}

#[tokio::test]
async fn scopes_of_plain_layers_are_announced_as_well() {
    let layer = RequireScopesLayer::new(["a", "b"]).unwrap();
    let app = server().layer(oauth(None, &[]).announce(&layer));
    assert_eq!(
        told(&app).await,
        (vec!["a".to_owned(), "b".to_owned()], "a b".to_owned())
    );
    // A second one comes beside it.
    let more = policy(&json!({ "baseline": "c" }));
    let app = server().layer(oauth(None, &[]).announce(&layer).announce(&more));
    assert_eq!(told(&app).await.1, "a b c");
}

#[test]
fn the_first_of_several_rules_is_the_first_that_was_written() {
    let builder = || McpPolicy::builder();
    for (policy, first) in [
        (
            builder().tool("z", "z").unwrap().tool("a", "a").unwrap(),
            "z",
        ),
        (
            builder().tool("*", "z").unwrap().tool("a", "a").unwrap(),
            "z",
        ),
        (
            builder()
                .resource("x:/*", "r")
                .unwrap()
                .tool("a", "a")
                .unwrap(),
            "r",
        ),
    ] {
        let asked = AskedScopes::from(&policy.build().unwrap());
        assert_eq!(asked.first().as_str(), first);
    }
}

/// As the README has it.
#[tokio::test]
async fn a_document_keeps_the_order_of_its_rules() {
    let toml = format!(
        "resource = \"{RESOURCE}\"\n[authorization_servers.main]\nissuer = \"{ISSUER}\"\n\
         [policy.tools]\n\"get_*\" = \"mcp:read\"\n\"*\" = \"mcp:write\"\n"
    );
    let json = format!(
        r#"{{"resource":"{RESOURCE}","authorization_servers":[{{"issuer":"{ISSUER}"}}],
            "policy":{{"tools":{{"get_*":"mcp:read","*":"mcp:write"}}}}}}"#
    );
    for config in [Config::from_toml(&toml), Config::from_json(&json)] {
        let app = server().layer(config.unwrap().stack().unwrap());
        let supported = ["mcp:read", "mcp:write"].map(str::to_owned).to_vec();
        assert_eq!(told(&app).await, (supported, "mcp:read".to_owned()));
    }
}

#[tokio::test]
async fn a_challenge_without_metadata_is_left_alone() {
    let policy = policy(&json!({ "baseline": "a" }));
    let keys = || ApiKeyLayer::new([KEY]).unwrap();
    let jwt = || JwtLayer::new(Secret::new(SECRET).unwrap()).unwrap();
    for (app, bare) in [
        (
            server().layer(
                McpStack::new(origin(), keys())
                    .policy(policy.clone())
                    .unwrap(),
            ),
            server().layer(McpStack::new(origin(), keys())),
        ),
        (
            server().layer(
                McpStack::new(origin(), jwt())
                    .policy(policy.clone())
                    .unwrap(),
            ),
            server().layer(McpStack::new(origin(), jwt())),
        ),
    ] {
        let mut challenges = Vec::new();
        for app in [app, bare] {
            let request = Request::post("/mcp").header("host", "mcp.example.com");
            let request = request.body(Body::empty()).unwrap();
            let response = app.oneshot(request).await.unwrap();
            challenges.push(response.headers().get("www-authenticate").cloned());
        }
        assert_eq!(challenges[0], challenges[1]);
    }
}

/// The scopes that warnings name.
fn warnings(events: Vec<Traced>) -> Vec<String> {
    let names = |event: Traced| event.fields.get("scopes").cloned();
    let events = events.into_iter();
    let events = events.filter(|event| event.level == Level::WARN);
    events.filter_map(names).collect()
}

#[tokio::test]
async fn a_warning_at_start_names_the_scopes_that_no_client_can_learn_of() {
    trace::start();
    let value = json!({ "tools": { "x": "a", "y": "b" }, "methods": { "logging/setLevel": "l" } });
    for (supported, required, show, expected) in [
        (None, &[][..], Show::ByCaller, vec![]),
        (None, &[], Show::Granted, vec![]),
        // WarnOnce of some, and shown the others.
        (Some(&["a"][..]), &[], Show::ByCaller, vec![]),
        (Some(&["a"]), &[], Show::Reachable, vec![]),
        (Some(&["a"]), &[], Show::Granted, vec!["b"]),
        (Some(&[]), &["b"], Show::Granted, vec!["a"]),
        (Some(&["other"]), &[], Show::ByCaller, vec!["a b l"]),
        (Some(&["other"]), &[], Show::Granted, vec!["a b l", "a b"]),
    ] {
        let case = format!("{supported:?} {required:?} {show:?}");
        let stack = McpStack::new(origin(), oauth(supported, required))
            .policy(policy(&value))
            .unwrap();
        let _ = stack.show(show);
        assert_eq!(warnings(trace::take()), expected, "{case}");

        let mut section = json!({
            "resource": RESOURCE,
            "authorization_servers": [{ "issuer": ISSUER }],
            "oauth": { "required_scopes": required },
            "policy": value,
            "lists": { "show": match show {
                Show::Granted => "granted",
                Show::Reachable => "reachable",
                _ => "by_caller",
            } },
        });
        if let Some(scopes) = supported {
            section["metadata"] = json!({ "scopes_supported": scopes });
        }
        let config = Config::from_json(&section.to_string()).unwrap();
        let _ = config.stack().unwrap();
        let mut told = warnings(trace::take());
        // The OAuth layer, and the one around it, are announced to.
        told.dedup();
        assert_eq!(told, expected, "configuration: {case}");
    }
    // Who cannot get more scopes is not kept from any.
    let jwt = JwtLayer::new(Secret::new(SECRET).unwrap()).unwrap();
    let _ = McpStack::new(origin(), jwt)
        .policy(policy(&value))
        .unwrap()
        .show(Show::Granted);
    assert_eq!(warnings(trace::take()), [""; 0]);
}

/// Tokens of a development issuer, for the resource.
struct Tokens(Issuer);

impl Tokens {
    async fn start() -> Self {
        Self(Issuer::start().await.unwrap())
    }

    fn layer(&self) -> OAuthLayer {
        let server = AuthorizationServer::insecure_http_on_loopback(self.0.url()).unwrap();
        OAuthLayer::new(RESOURCE, server).unwrap()
    }

    fn with(&self, scope: &str) -> String {
        let token = self.0.token().audience(RESOURCE).subject("alice");
        let token = match scope {
            "" => token,
            scope => token.scope(scope),
        };
        format!("Bearer {}", token.sign())
    }
}

#[tokio::test]
async fn the_first_request_warns_of_a_policy_that_was_not_announced() {
    let tokens = Tokens::start().await;
    let value = json!({ "tools": { "x": "a", "y": "b" } });
    trace::start();
    for (auth, show, expected) in [
        (tokens.layer(), Show::ByCaller, vec!["a b"]),
        (tokens.layer(), Show::Granted, vec!["a b", "a b"]),
        (
            tokens.layer().announce(&policy(&value)),
            Show::Granted,
            vec![],
        ),
    ] {
        let app = lists_server(&json!({ "tools": [] }))
            .layer(McpListsLayer::new(policy(&value)).show(show))
            .layer(McpScopesLayer::new(policy(&value)))
            .layer(auth);
        for _ in 0..2 {
            let _ = shown(&app, &[("authorization", &tokens.with("a"))]).await;
        }
        assert_eq!(warnings(trace::take()), expected, "{show:?}");
    }
}

/// Answers this result to whatever is asked.
fn lists_server(result: &Value) -> Router {
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    let handler = async move || ([("content-type", "application/json")], answer);
    Router::new().route("/mcp", post(handler))
}

fn list_of(key: &str, names: &[&str]) -> Value {
    names.iter().map(|name| json!({ key: name })).collect()
}

async fn send(
    app: &Router,
    headers: &[(&str, &str)],
    message: &Value,
) -> (StatusCode, String, Value) {
    let mut request = Request::post("/mcp")
        .header("host", "mcp.example.com")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(message.to_string())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 99_999).await.unwrap();
    let challenge = parts.headers.get("www-authenticate");
    let challenge = challenge.map(|challenge| challenge.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (parts.status, challenge.unwrap_or_default(), body)
}

/// The names of each list in the answer.
async fn shown(app: &Router, headers: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let (status, _, body) = send(app, headers, &list).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let lists = body["result"].as_object().unwrap().iter();
    let names = |items: &Value| {
        let items = items.as_array().unwrap().iter();
        let name = |item: &Value| {
            let name = item.as_object().unwrap().values().next().unwrap();
            name.as_str().unwrap().to_owned()
        };
        items.map(name).collect()
    };
    lists
        .map(|(list, items)| (list.clone(), names(items)))
        .collect()
}

fn call_of(tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } })
}

#[tokio::test]
async fn lists_show_what_the_caller_can_get_and_never_what_is_denied() {
    let value = json!({
        "tools": {
            "open": { "none": true }, "get_*": "read", "put_*": "write", "either": { "any": ["x", "y"] },
            "gone": { "deny": true },
        },
        "prompts": { "p": "write" },
        "resources": { "file:///shared/*": "write", "file:///shared/never": { "deny": true } },
    });
    let everything = json!({
        "tools": list_of("name", &["open", "get_a", "put_a", "either", "gone", "unlisted"]),
        "prompts": list_of("name", &["p", "unlisted"]),
        "resources": list_of("uri", &[
            "file:///shared/a", "file:///shared/never", "file:///shared/../x", "file:///x",
        ]),
        "resourceTemplates": list_of("uriTemplate", &["file:///shared/{x}", "file:///{a}"]),
    });
    let tokens = Tokens::start().await;
    let key = || {
        let key = ApiKey::new(KEY).unwrap();
        ApiKeyLayer::new([key.scopes(["read"]).unwrap()]).unwrap()
    };
    let secret = || Secret::new(SECRET).unwrap();
    let jwt = || JwtLayer::builder(secret()).clock(clock()).build().unwrap();
    let exp = NOW + 300;
    let jwt_token = token(&format!(r#"{{"sub":"alice","scope":"read","exp":{exp}}}"#));
    let jwt_token = format!("Bearer {jwt_token}");
    let (none, read) = (tokens.with(""), tokens.with("read"));
    let app = |auth: ConfiguredAuth, show| {
        let stack = McpStack::new(origin(), auth)
            .policy(policy(&value))
            .unwrap()
            .show(show);
        lists_server(&everything).layer(stack)
    };
    let oauth = || tokens.layer().boxed();
    let both = || tokens.layer().or(key()).unwrap().boxed();
    let optional = || tokens.layer().optional().boxed();
    let all = (
        &["open", "get_a", "put_a", "either"][..],
        &["p"][..],
        &["file:///shared/a"][..],
        &["file:///shared/{x}", "file:///{a}"][..],
    );
    let of_read = (&["open", "get_a"][..], &[][..], &[][..], &[][..]);
    let of_none = (&["open"][..], &[][..], &[][..], &[][..]);
    let with_key = ("x-api-key", KEY);
    for (auth, show, header, expected) in [
        (
            oauth(),
            Show::ByCaller,
            Some(("authorization", &*none)),
            all,
        ),
        (
            oauth(),
            Show::ByCaller,
            Some(("authorization", &*read)),
            all,
        ),
        (
            oauth(),
            Show::Reachable,
            Some(("authorization", &*read)),
            all,
        ),
        (
            oauth(),
            Show::Granted,
            Some(("authorization", &*read)),
            of_read,
        ),
        (
            oauth(),
            Show::Granted,
            Some(("authorization", &*none)),
            of_none,
        ),
        (both(), Show::ByCaller, Some(("authorization", &*none)), all),
        (both(), Show::ByCaller, Some(with_key), of_read),
        (both(), Show::Reachable, Some(with_key), all),
        (key().boxed(), Show::ByCaller, Some(with_key), of_read),
        (
            jwt().boxed(),
            Show::ByCaller,
            Some(("authorization", &*jwt_token)),
            of_read,
        ),
        (optional(), Show::ByCaller, None, all),
        (optional(), Show::Granted, None, of_none),
        (key().optional().boxed(), Show::ByCaller, None, of_none),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        let app = app(auth, show);
        let seen = shown(&app, &headers).await;
        let (tools, prompts, resources, templates) = expected;
        assert_eq!(seen["tools"], tools, "{show:?} {headers:?}");
        assert_eq!(seen["prompts"], prompts, "{show:?} {headers:?}");
        assert_eq!(seen["resources"], resources, "{show:?} {headers:?}");
        assert_eq!(seen["resourceTemplates"], templates, "{show:?} {headers:?}");
    }

    // What is shown and not granted asks for its scope when it is called.
    let app = app(oauth(), Show::ByCaller);
    for (tool, asked) in [("get_a", "read"), ("put_a", "write"), ("either", "x")] {
        let headers = [("authorization", &*none)];
        let (status, challenge, _) = send(&app, &headers, &call_of(tool)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(scope_of(&challenge), asked, "{tool}");
    }
}

#[tokio::test]
async fn a_check_judges_the_call_of_what_is_listed() {
    let tokens = Tokens::start().await;
    let policy = McpPolicy::builder()
        .tool("*", "read")
        .unwrap()
        .check(|call| match call.tool() {
            Some(_) => PolicyDecision::Deny,
            None => PolicyDecision::Allow,
        })
        .build()
        .unwrap();
    let stack = McpStack::new(origin(), tokens.layer())
        .policy(policy)
        .unwrap();
    let app = lists_server(&json!({ "tools": list_of("name", &["x"]) })).layer(stack);
    let read = tokens.with("read");
    let headers = [("authorization", &*read)];
    assert_eq!(shown(&app, &headers).await["tools"], ["x"]);
    let (status, challenge, _) = send(&app, &headers, &call_of("x")).await;
    assert_eq!((status, &*challenge), (StatusCode::FORBIDDEN, ""));
}

#[tokio::test]
async fn an_emptied_list_leaves_a_trace_or_the_scopes_are_announced() {
    let tokens = Tokens::start().await;
    // In the order of a document, which a `Value` does not keep.
    let read = || {
        let policy = r#"{ "tools": { "get_*": "mcp:read", "*": "mcp:write" } }"#;
        serde_json::from_str::<McpPolicy>(policy).unwrap()
    };
    let result = json!({ "tools": list_of("name", &["get_x", "put_x"]) });
    let app = |show| {
        let stack = McpStack::new(origin(), tokens.layer())
            .policy(read())
            .unwrap();
        lists_server(&result).layer(stack.show(show))
    };
    let headers = |scope: &str| tokens.with(scope);
    let (metadata, scope) = told(&app(Show::ByCaller)).await;
    assert!(metadata.contains(&"mcp:read".to_owned()) && metadata.len() == 2);
    assert_eq!(scope, "mcp:read");

    trace::start();
    let seen = async |app: &Router, scope: &str| {
        let token = headers(scope);
        let seen = shown(app, &[("authorization", &token)]).await;
        let events = trace::take().into_iter();
        let events = events.filter(|event| event.field("layer") == "mcp_lists");
        let told: Vec<_> = events
            .map(|event| {
                let field = |name| event.field(name).to_owned();
                assert!(field("principal").contains("alice"));
                (event.level, field("list"), field("shown"), field("removed"))
            })
            .collect();
        (seen["tools"].len(), told)
    };
    let tools = |level, shown: &str, removed: &str| {
        let text = str::to_owned;
        (level, text("tools"), text(shown), text(removed))
    };

    // All is shown, and nothing told.
    assert_eq!(seen(&app(Show::ByCaller), "").await, (2, vec![]));
    let granted = app(Show::Granted);
    assert_eq!(
        seen(&granted, "").await,
        (
            0,
            vec![tools(Level::DEBUG, "0", "2"), tools(Level::INFO, "", "2")]
        )
    );
    // The second time the operator knows.
    assert_eq!(
        seen(&granted, "").await,
        (0, vec![tools(Level::DEBUG, "0", "2")])
    );
    assert_eq!(
        seen(&granted, "mcp:read").await,
        (1, vec![tools(Level::DEBUG, "1", "1")])
    );
    assert_eq!(seen(&granted, "mcp:read mcp:write").await, (2, vec![]));
    let other = tokens.0.token().audience(RESOURCE).subject("bob").sign();
    let other = format!("Bearer {other}");
    for infos in [1, 0] {
        let _ = shown(&granted, &[("authorization", &other)]).await;
        let events = trace::take();
        let told = events.iter().filter(|event| event.level == Level::INFO);
        assert_eq!(told.count(), infos);
    }
}

/// A client that asks for exactly what challenges name, or for that and what it has: how
/// often its user is asked.
async fn consents(tokens: &Tokens, app: &Router, version: Option<&str>, keeps: bool) -> usize {
    let (_, mut scope) = told(app).await;
    let mut consents = 1;
    for tool in ["whoami", "write", "whoami", "write", "whoami"] {
        loop {
            let token = tokens.with(&scope);
            let mut headers = vec![("authorization", &*token)];
            if let Some(version) = version {
                headers.push(("mcp-protocol-version", version));
                headers.push(("mcp-method", "tools/call"));
                headers.push(("mcp-name", tool));
            }
            let (status, challenge, _) = send(app, &headers, &call_of(tool)).await;
            if status == StatusCode::OK {
                break;
            }
            assert_eq!(status, StatusCode::FORBIDDEN);
            let asked = scope_of(&challenge);
            scope = match keeps {
                true => format!("{scope} {asked}"),
                false => asked,
            };
            consents += 1;
            assert!(consents < 9, "{scope}");
        }
    }
    consents
}

#[tokio::test]
async fn five_alternating_calls_need_two_consents_in_every_revision() {
    let tokens = Tokens::start().await;
    let value = json!({ "tools": { "whoami": "mcp:read", "write": "mcp:write" } });
    for (include, version, keeps, expected) in [
        (None, None, false, 2),
        (None, Some("2025-03-26"), false, 2),
        (None, Some("2025-11-25"), false, 2),
        (None, Some("2026-07-28"), true, 2),
        // A client that keeps nothing, in a revision whose clients do.
        (None, Some("2026-07-28"), false, 5),
        (Some(json!("by_revision")), Some("2025-11-25"), false, 2),
        (Some(json!("always")), Some("2026-07-28"), false, 2),
        (Some(json!(true)), Some("2027-01-01"), false, 2),
        (Some(json!("never")), Some("2025-11-25"), false, 5),
        (Some(json!(false)), None, false, 5),
    ] {
        let mut value = value.clone();
        if let Some(include) = &include {
            value["include_granted"] = include.clone();
        }
        let stack = McpStack::new(origin(), tokens.layer())
            .policy(policy(&value))
            .unwrap();
        let app = lists_server(&json!({})).layer(stack);
        let consents = consents(&tokens, &app, version, keeps).await;
        assert_eq!(consents, expected, "{include:?} {version:?} {keeps}");
    }
    for wrong in [json!("sometimes"), json!(1), json!([])] {
        let mut value = value.clone();
        value["include_granted"] = wrong;
        assert!(serde_json::from_value::<McpPolicy>(value).is_err());
    }
}

#[tokio::test]
async fn what_was_granted_is_named_without_what_the_needed_includes() {
    let tokens = Tokens::start().await;
    let value = json!({
        "hierarchy": { "write": ["read"] },
        "tools": { "get": "read", "put": "write", "other": "other" },
    });
    let required = || {
        let server = AuthorizationServer::insecure_http_on_loopback(tokens.0.url()).unwrap();
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(server).unwrap();
        builder.required_scopes(["read"]).build().unwrap()
    };
    for (layer, granted, tool, asked) in [
        (tokens.layer(), "other", "put", "other write"),
        (tokens.layer(), "write", "other", "write other"),
        // The auth layer requires it by its name, and knows no hierarchy.
        (required(), "read", "put", "read write"),
    ] {
        let stack = McpStack::new(origin(), layer)
            .policy(policy(&value))
            .unwrap();
        let app = lists_server(&json!({})).layer(stack);
        let token = tokens.with(granted);
        let headers = [("authorization", &*token)];
        let (_, challenge, _) = send(&app, &headers, &call_of(tool)).await;
        assert_eq!(scope_of(&challenge), asked);
    }
}

#[tokio::test]
async fn a_layer_for_plain_routes_names_what_was_granted_if_it_is_set() {
    let tokens = Tokens::start().await;
    let layer = || RequireScopesLayer::new("write").unwrap();
    for (layer, version, asked) in [
        (layer(), None, "write"),
        (layer().include_granted(true), None, "read write"),
        (
            layer().include_granted(IncludeGranted::ByRevision),
            None,
            "read write",
        ),
        (
            layer().include_granted(IncludeGranted::ByRevision),
            Some("2025-11-25"),
            "read write",
        ),
        (
            layer().include_granted(IncludeGranted::ByRevision),
            Some("2026-07-28"),
            "write",
        ),
    ] {
        let app = server().layer(layer).layer(tokens.layer());
        let token = tokens.with("read");
        let mut headers = vec![("authorization", &*token)];
        headers.extend(version.map(|version| ("mcp-protocol-version", version)));
        let (_, challenge, _) = send(&app, &headers, &json!({})).await;
        assert_eq!(scope_of(&challenge), asked, "{version:?}");
    }
}
