//! What each operation needs.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tower::ServiceBuilder;
use tower_mcp_auth::mcp::{
    DefaultRule, McpPolicy, McpPolicyBuilder, McpScopesLayer, PolicyDecision,
};
use tower_mcp_auth::scopes::{IncludeGranted, Requirement, ScopeHierarchy};
use tower_mcp_auth::testing::insert_anonymous;
use tower_mcp_auth::{AuthErrorKind, ConfigError};

use crate::mcp::support::{METADATA, auth, call, mcp, post, request, send};
use common::{Answer, ask};

fn policy() -> McpPolicy {
    let hierarchy = ScopeHierarchy::new([("admin", ["write"]), ("write", ["read"])]).unwrap();
    (|| {
        McpPolicy::builder()
            .baseline("read")?
            .hierarchy(hierarchy)
            .method("logging/setLevel", "admin")?
            .method("tasks/cancel", "write")?
            .tool("get_*", Requirement::none())?
            .tool("get_secret", "admin")?
            .tool("deploy", ["write", "deploy"])?
            .tool("either", Requirement::any(["x", "y"])?)?
            .tool("never", Requirement::deny())?
            .prompt("*", "prompts")?
            .resource("file:///shared/*", Requirement::none())?
            .resource("file:///shared/{team}/secret", "admin")?
            .resource("file:///shared/motd", "motd")?
            .resource("https://example.com/{tenant}/docs/*", "docs")?
            .client_responses("answer")?
            .notifications("notify")?
            .http(Method::DELETE, "write")?
            // What is needed is to be seen alone.
            .include_granted(IncludeGranted::Never)
            .build()
    })()
    .unwrap()
}

/// `"ok"`, the scopes asked for, or the reason of another refusal.
fn outcome(answer: &Answer) -> String {
    if answer.reached.is_some() {
        return "ok".to_owned();
    }
    let error = answer.error();
    match error.kind() {
        AuthErrorKind::InsufficientScope => error.scopes().to_string(),
        _ => error.reason().to_owned(),
    }
}

/// A task is followed on a stream, and its notifications tell all that `tasks/get` does.
#[tokio::test]
async fn to_follow_tasks_needs_what_to_get_one_needs() {
    let listen = |filter: &serde_json::Value| {
        request("subscriptions/listen", &json!({ "notifications": filter }))
    };
    for (methods, token, needed) in [
        (json!({}), "-", "ok"),
        (json!({ "tasks/*": "t" }), "-", "t"),
        (json!({ "tasks/*": "t" }), "t", "ok"),
        (json!({ "tasks/*": "t", "tasks/get": "g" }), "t", "t g"),
        (json!({ "tasks/cancel": "c" }), "-", "ok"),
        (
            json!({ "subscriptions/listen": "l", "tasks/*": "t" }),
            "l",
            "l t",
        ),
        (
            json!({ "tasks/*": { "deny": true } }),
            "t",
            "operation_denied",
        ),
    ] {
        let policy: McpPolicy = serde_json::from_value(json!({ "methods": methods })).unwrap();
        let filter = json!({ "toolsListChanged": true, "taskIds": ["786512e2", "8"] });
        let answer = send(&policy, token, &listen(&filter)).await;
        assert_eq!(outcome(&answer), needed, "{methods} {token}");
        if needed == "operation_denied" {
            let detail = answer.error().detail().unwrap().to_owned();
            assert!(detail.contains("tasks/get"), "{detail}");
        }
    }
    let policy: McpPolicy =
        serde_json::from_value(json!({ "methods": { "tasks/*": "t" } })).unwrap();
    for (filter, expected) in [
        (json!({}), "ok"),
        (json!({ "taskIds": null }), "ok"),
        (json!({ "taskIds": [] }), "ok"),
        (json!({ "taskIds": [7] }), "t"),
        (json!({ "taskIds": "7" }), "missing_target"),
        (json!({ "TaskIds": ["7"] }), "member_in_wrong_case"),
    ] {
        let answer = send(&policy, "-", &listen(&filter)).await;
        assert_eq!(outcome(&answer), expected, "{filter}");
    }
}

#[tokio::test]
async fn an_operation_needs_the_base_its_method_and_what_it_acts_on() {
    let read = |uri: &str| request("resources/read", &json!({ "uri": uri }));
    let complete = |kind: &str, name: &str| {
        let reference = json!({ "type": kind, "name": name, "uri": name });
        request("completion/complete", &json!({ "ref": reference }))
    };
    let listen = |uris: &[&str]| {
        let filter = json!({ "resourceSubscriptions": uris });
        request("subscriptions/listen", &json!({ "notifications": filter }))
    };
    let follow = |tasks: serde_json::Value| {
        let filter = json!({ "taskIds": tasks, "toolsListChanged": true });
        request("subscriptions/listen", &json!({ "notifications": filter }))
    };
    let none = json!({});
    for (token, body, expected) in [
        ("read", call("get_weather"), "ok"),
        ("-", call("get_weather"), "read"),
        ("write", call("get_weather"), "ok"),
        ("read", call("get_secret"), "admin"),
        ("admin", call("get_secret"), "ok"),
        ("read", call("deploy"), "write deploy"),
        ("deploy.read", call("deploy"), "write deploy"),
        ("deploy.admin", call("deploy"), "ok"),
        ("read", call("either"), "read x"),
        ("read.y", call("either"), "ok"),
        ("y", call("either"), "read y"),
        ("admin.x.deploy", call("never"), "operation_denied"),
        ("admin.x.deploy", call("unheard_of"), "operation_denied"),
        ("admin", call("GET_WEATHER"), "operation_denied"),
        ("read", request("tools/list", &none), "ok"),
        ("read", request("ping", &none), "ok"),
        ("-", request("ping", &none), "read"),
        ("read", request("initialize", &none), "ok"),
        ("read", request("server/discover", &none), "ok"),
        ("read", request("logging/setLevel", &none), "admin"),
        ("read", request("tasks/get", &none), "ok"),
        ("read", request("tasks/cancel", &none), "write"),
        ("admin", request("x-own/method", &none), "operation_denied"),
        (
            "read",
            request("prompts/get", &json!({ "name": "p" })),
            "read prompts",
        ),
        ("read", complete("ref/prompt", "p"), "read prompts"),
        ("read.prompts", complete("ref/prompt", "p"), "ok"),
        ("read", read("file:///shared/a"), "ok"),
        ("read", read("file:///shared/motd"), "read motd"),
        ("read", read("file:///shared/sales/secret"), "admin"),
        ("read", read("file:///shared/sales/secret/x"), "ok"),
        ("read", read("file:///private/a"), "operation_denied"),
        ("read", read("https://example.com/acme/docs/1"), "read docs"),
        ("read.docs", read("https://example.com/acme/docs/1"), "ok"),
        (
            "read.docs",
            read("https://example.com/acme/x/docs/1"),
            "operation_denied",
        ),
        (
            "read.docs",
            read("https://example.com//docs/1"),
            "ambiguous_uri",
        ),
        (
            "read",
            request(
                "resources/subscribe",
                &json!({ "uri": "file:///shared/motd" }),
            ),
            "read motd",
        ),
        (
            "read",
            request(
                "resources/unsubscribe",
                &json!({ "uri": "file:///shared/motd" }),
            ),
            "read motd",
        ),
        (
            "read",
            request(
                "resources/directory/read",
                &json!({ "uri": "file:///shared/a" }),
            ),
            "operation_denied",
        ),
        ("read", listen(&["file:///shared/a"]), "ok"),
        (
            "read",
            listen(&[
                "file:///shared/a",
                "file:///shared/motd",
                "file:///shared/x/secret",
            ]),
            "motd admin",
        ),
        (
            "read",
            listen(&["file:///shared/a", "file:///etc/x"]),
            "operation_denied",
        ),
        // A caller that follows a task is told its result.
        ("read", follow(json!(["7"])), "ok"),
        ("-", follow(json!(["7"])), "read"),
        (
            "read",
            complete("ref/resource", "file:///shared/motd"),
            "read motd",
        ),
        // A completion of a template can tell of all it stands for.
        (
            "read",
            complete("ref/resource", "file:///shared/{x}"),
            "motd admin",
        ),
        (
            "admin.motd",
            complete("ref/resource", "file:///shared/{x}"),
            "ok",
        ),
        (
            "admin.motd",
            complete("ref/resource", "file:///{x}"),
            "operation_denied",
        ),
        (
            "read",
            r#"{"method":"notifications/initialized"}"#.to_owned(),
            "read notify",
        ),
        (
            "read.notify",
            r#"{"method":"notifications/initialized"}"#.to_owned(),
            "ok",
        ),
        // Judged as what it is, not as what its missing id makes of it.
        (
            "read.notify",
            r#"{"method":"tools/call","params":{"name":"get_secret"}}"#.to_owned(),
            "admin",
        ),
        ("read", r#"{"id":1,"result":{}}"#.to_owned(), "read answer"),
        ("read.answer", r#"{"id":1,"result":{}}"#.to_owned(), "ok"),
        (
            "read",
            format!("[{},{}]", call("get_x"), call("deploy")),
            "write deploy",
        ),
        (
            "read",
            format!("[{},{}]", call("get_x"), call("get_y")),
            "ok",
        ),
        (
            "admin",
            format!("[{},{}]", call("get_x"), call("never")),
            "operation_denied",
        ),
        (
            "read",
            format!("[{},{}]", call("get_secret"), call("either")),
            "admin x",
        ),
    ] {
        let answer = send(&policy(), token, &body).await;
        assert_eq!(outcome(&answer), expected, "{token} {body}");
    }
}

#[tokio::test]
async fn a_refusal_is_one_challenge_with_the_metadata_of_the_auth_layer() {
    let answer = send(&policy(), "read", &call("deploy")).await;
    answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
    assert_eq!(
        answer.challenges(),
        [format!(
            "Bearer error=\"insufficient_scope\", scope=\"write deploy\", \
             resource_metadata=\"{METADATA}\", error_description=\"The operation needs scopes \
             that were not granted\""
        )]
    );
    let denied = send(&policy(), "read", &call("never")).await;
    denied.refused(AuthErrorKind::Forbidden, "operation_denied");
    assert!(denied.challenges().is_empty());
}

#[tokio::test]
async fn granted_scopes_are_named_as_well_where_clients_need_it() {
    let policy = McpPolicy::builder()
        .tool("deploy", ["deploy"])
        .unwrap()
        .include_granted(true)
        .build()
        .unwrap();
    let answer = send(&policy, "a.b", &call("deploy")).await;
    assert_eq!(answer.error().scopes().as_str(), "a b deploy");
}

#[tokio::test]
async fn methods_of_http_have_rules_of_their_own() {
    let own = McpPolicy::builder()
        .baseline("read")
        .unwrap()
        .http(Method::GET, "stream")
        .unwrap()
        .other_http_methods("other")
        .unwrap()
        .build()
        .unwrap();
    for (policy, method, token, expected) in [
        (policy(), "GET", "read", "ok"),
        (policy(), "GET", "-", "read"),
        (policy(), "HEAD", "read", "ok"),
        (policy(), "OPTIONS", "read", "ok"),
        (policy(), "DELETE", "read", "write"),
        (policy(), "DELETE", "write", "ok"),
        (policy(), "PUT", "admin", "operation_denied"),
        (policy(), "PATCH", "admin", "operation_denied"),
        (policy(), "post", "admin", "operation_denied"),
        (own.clone(), "GET", "read", "read stream"),
        (own.clone(), "HEAD", "read", "read stream"),
        (own.clone(), "DELETE", "read", "read other"),
        (own, "PUT", "read.other", "ok"),
    ] {
        let request = Request::builder()
            .method(method)
            .header("authorization", format!("Bearer {token}"))
            .body(Full::default())
            .unwrap();
        let answer = ask(&mcp(policy), request).await;
        assert_eq!(outcome(&answer), expected, "{method} {token}");
    }
}

#[tokio::test]
async fn who_has_not_said_who_they_are_is_asked_where_scopes_are_needed() {
    let needs_base = McpScopesLayer::new(policy());
    let builder = McpPolicy::builder().default_rule(DefaultRule::Baseline);
    let builder = builder.tool("deploy", "deploy").unwrap();
    let builder = builder.tool("open", Requirement::none()).unwrap();
    let needs_none = McpScopesLayer::new(builder.build().unwrap());
    for (layer, body, asked) in [
        (&needs_base, call("get_x"), Some("read")),
        (&needs_none, call("deploy"), Some("deploy")),
        (&needs_none, call("open"), None),
        // What no rule is for is open to none of them.
        (&needs_none, call("other"), Some("")),
    ] {
        let mut request = post("-", body);
        insert_anonymous(request.extensions_mut());
        let answer = ask(layer, request).await;
        match asked {
            None => {
                answer.admitted();
            }
            Some("") => {
                answer.missing();
                assert_eq!(answer.challenges(), ["Bearer"]);
            }
            Some(scope) => {
                answer.missing();
                assert_eq!(answer.challenges(), [format!("Bearer scope=\"{scope}\"")]);
            }
        }
    }
}

#[tokio::test]
async fn another_spelling_of_a_uri_is_judged_like_the_plain_one() {
    let policy = McpPolicy::builder()
        .default_rule(DefaultRule::Baseline)
        .resource("file:///secret/*", "admin")
        .unwrap()
        .resource("https://Example.com/ä", "umlaut")
        .unwrap()
        .resource("odd:/a//b", "odd")
        .unwrap()
        .build()
        .unwrap();
    for (uri, expected) in [
        ("file:///secret/x", "admin"),
        ("FILE:///secret/x", "admin"),
        ("file:///%73ecret/x", "admin"),
        ("file:///s%65cret/x#part", "admin"),
        ("file:///secret/x?y", "admin"),
        ("file:///Secret/x", "ok"),
        ("https://example.com/%C3%A4", "umlaut"),
        ("https://example.com/%c3%a4#x", "umlaut"),
        ("HTTPS://EXAMPLE.COM/ä?x=1", "umlaut"),
        ("odd:/a//b", "odd"),
        ("file:///a/../secret/x", "ambiguous_uri"),
        ("file:///a/%2e%2E/secret/x", "ambiguous_uri"),
        ("file:///./secret/x", "ambiguous_uri"),
        ("file:////secret/x", "ambiguous_uri"),
        ("file:///a\\..\\secret/x", "ambiguous_uri"),
        ("file:///secret%2Fx", "ambiguous_uri"),
        ("file:///a%5c..%5Csecret", "ambiguous_uri"),
        ("file:///%2573ecret/x", "ambiguous_uri"),
        ("file:///secret%00/x", "ambiguous_uri"),
        ("file:///secret%/x", "ambiguous_uri"),
        ("file:///secret%7", "ambiguous_uri"),
        ("file:///se\ncret/x", "ambiguous_uri"),
        (" file:///secret/x", "ambiguous_uri"),
        ("file:///secret/x\u{a0}", "ambiguous_uri"),
        ("\u{2003}file:///secret/x", "ambiguous_uri"),
        ("\u{feff}file:///secret/x", "ambiguous_uri"),
        ("../secret", "ambiguous_uri"),
        ("note:plain", "ok"),
    ] {
        let body = request("resources/read", &json!({ "uri": uri }));
        let answer = send(&policy, "-", &body).await;
        assert_eq!(outcome(&answer), expected, "{uri:?}");
    }
    for (template, expected) in [
        ("file:///secret/{x}", "admin"),
        ("FILE:///%73ecret/{x}", "admin"),
        ("file:///a/../secret/{x}", "ambiguous_uri"),
        ("file:///other/{x}", "ok"),
    ] {
        let reference = json!({ "type": "ref/resource", "uri": template });
        let body = request("completion/complete", &json!({ "ref": reference }));
        let answer = send(&policy, "-", &body).await;
        assert_eq!(outcome(&answer), expected, "{template:?}");
    }
}

#[tokio::test]
async fn a_query_does_not_lead_to_a_wider_rule() {
    let policy = McpPolicy::builder()
        .resource("*", "any")
        .unwrap()
        .resource("file:///secret", "admin")
        .unwrap()
        .resource("file:///{team}/plan", "team")
        .unwrap()
        .resource("https://example.com/doc", "doc")
        .unwrap()
        .resource("https://example.com/doc?raw=*", "raw")
        .unwrap()
        .resource("https://example.com/doc?raw=0", "zero")
        .unwrap()
        .build()
        .unwrap();
    for (uri, expected) in [
        ("file:///secret", "admin"),
        ("file:///secret?x", "admin"),
        ("file:///secret?", "admin"),
        ("file:///%73ecret?x=/y#z", "admin"),
        ("file:///red/plan", "team"),
        ("file:///red/plan?x", "team"),
        ("https://example.com/doc?q", "doc"),
        ("https://example.com/doc?raw=1", "raw"),
        ("https://example.com/doc?raw=0", "zero"),
        ("file:///else?x", "any"),
    ] {
        let body = request("resources/read", &json!({ "uri": uri }));
        let answer = send(&policy, "-", &body).await;
        assert_eq!(outcome(&answer), expected, "{uri:?}");
    }
}

#[tokio::test]
async fn another_name_of_a_host_does_not_lead_to_a_wider_rule() {
    let policy = McpPolicy::builder()
        .resource("*", "any")
        .unwrap()
        .resource("file:///secret", "admin")
        .unwrap()
        .resource("https://example.com/secret", "admin")
        .unwrap()
        .build()
        .unwrap();
    for (uri, expected) in [
        ("file://localhost/secret", "ambiguous_uri"),
        ("file://LOCALHOST/secret", "ambiguous_uri"),
        ("file:/secret", "ambiguous_uri"),
        ("file:secret", "ambiguous_uri"),
        ("https://example.com:443/secret", "ambiguous_uri"),
        ("https://example.com:0443/secret", "ambiguous_uri"),
        ("https://example.com:/secret", "ambiguous_uri"),
        ("https://example.com./secret", "ambiguous_uri"),
        ("https://user@example.com/secret", "ambiguous_uri"),
        ("HTTPS://user:pw@example.com/secret", "ambiguous_uri"),
        ("https://\u{ff45}xample.com/secret", "ambiguous_uri"),
        ("https:/example.com/secret", "ambiguous_uri"),
        ("https:example.com/secret", "ambiguous_uri"),
        ("http://example.com:80/secret", "ambiguous_uri"),
        ("https://example.com:8443/secret", "any"),
        ("https://[::1]:8443/secret", "any"),
        ("https://[::1]/secret", "any"),
        ("file://server/secret", "any"),
        ("db://user@example.com:443/secret", "any"),
        ("note:secret", "any"),
    ] {
        let body = request("resources/read", &json!({ "uri": uri }));
        let answer = send(&policy, "-", &body).await;
        assert_eq!(outcome(&answer), expected, "{uri:?}");
    }
}

#[tokio::test]
async fn what_several_checks_ask_for_adds_up() {
    let needs = |scope| PolicyDecision::Require(Requirement::all([scope]).unwrap());
    for (decisions, expected) in [
        ([PolicyDecision::Allow, PolicyDecision::Allow], "ok"),
        (
            [PolicyDecision::Deny, PolicyDecision::Allow],
            "operation_denied",
        ),
        (
            [PolicyDecision::Allow, PolicyDecision::Deny],
            "operation_denied",
        ),
        ([needs("x"), PolicyDecision::Deny], "operation_denied"),
        ([needs("x"), PolicyDecision::Allow], "read x"),
        ([PolicyDecision::Allow, needs("y")], "read y"),
        ([needs("x"), needs("y")], "read x y"),
    ] {
        let told = format!("{decisions:?}");
        let [first, second] = decisions;
        let policy = McpPolicy::builder()
            .tool("*", "read")
            .unwrap()
            .include_granted(IncludeGranted::Never)
            .check(move |_| first.clone())
            .check(move |_| second.clone())
            .build()
            .unwrap();
        let answer = send(&policy, "read", &call("tool")).await;
        assert_eq!(outcome(&answer), expected, "{told}");
    }
}

#[tokio::test]
async fn a_check_adds_what_a_table_cannot_say() {
    let policy = McpPolicy::builder()
        .baseline("read")
        .unwrap()
        .tool("deploy", "deploy")
        .unwrap()
        .check(|call| {
            let subject = call.principal().and_then(|principal| principal.subject());
            assert_eq!(subject, Some("alice"));
            match (call.tool(), call.arguments()) {
                (Some("deploy"), Some(arguments)) if arguments["to"] == "staging" => {
                    PolicyDecision::Allow
                }
                (Some("deploy"), Some(arguments)) if arguments["to"] == "moon" => {
                    PolicyDecision::Deny
                }
                (Some("deploy"), _) => {
                    PolicyDecision::Require(Requirement::all(["production"]).unwrap())
                }
                _ => PolicyDecision::Allow,
            }
        })
        .build()
        .unwrap();
    let deploy = |to: &str| {
        let params = json!({ "name": "deploy", "arguments": { "to": to } });
        request("tools/call", &params)
    };
    for (token, to, expected) in [
        ("read.deploy", "staging", "ok"),
        ("read.deploy", "production", "read deploy production"),
        ("read", "production", "read deploy production"),
        ("read", "staging", "read deploy"),
        ("read.deploy.production", "production", "ok"),
        ("read.deploy.production", "moon", "operation_denied"),
    ] {
        let answer = send(&policy, token, &deploy(to)).await;
        assert_eq!(outcome(&answer), expected, "{token} {to}");
    }
    let batch = format!("[{},{}]", deploy("staging"), deploy("moon"));
    let answer = send(&policy, "read.deploy", &batch).await;
    assert_eq!(outcome(&answer), "operation_denied");
}

type Build = fn(McpPolicyBuilder) -> Result<McpPolicyBuilder, ConfigError>;

#[test]
fn rules_that_contradict_or_are_never_asked_are_refused() {
    let cases: [(&str, Build); 30] = [
        ("tools", |b| b.tool("a", "x")?.tool("a", "y")),
        ("tools", |b| b.tool("a*", "x")?.tool("a*", "x")),
        ("tools", |b| b.tool("", "x")),
        ("tools", |b| b.tool("a*b", "x")),
        // Only URIs have variables.
        ("tools", |b| b.tool("delete_{what}", "x")),
        ("tools", |b| b.tool("{server}_delete*", "x")),
        ("prompts", |b| b.prompt("{name}", "x")),
        ("methods", |b| b.method("tasks/{id}", "x")),
        ("tools", |b| b.tool(" delete", "x")),
        ("prompts", |b| b.prompt("p\n", "x")),
        ("prompts", |b| b.prompt("a", "x")?.prompt("a", "y")),
        ("methods", |b| {
            b.method("tasks/*", "x")?.method("tasks/*", "y")
        }),
        ("resources", |b| {
            b.resource("a:/{x}/b", "x")?.resource("a:/{y}/b", "y")
        }),
        ("resources", |b| {
            b.resource("FILE:///a", "x")?.resource("file:///a", "y")
        }),
        ("resources", |b| {
            b.resource("file:///%61*", "x")?.resource("file:///a*", "y")
        }),
        ("resources", |b| b.resource("file:///a/../*", "x")),
        ("resources", |b| b.resource("file:///a//*", "x")),
        ("resources", |b| b.resource("file:///a#b", "x")),
        ("resources", |b| b.resource("file:///a{x}", "x")),
        ("resources", |b| b.resource("file:///{x}b", "x")),
        ("resources", |b| b.resource("file:///{x", "x")),
        ("resources", |b| b.resource("file:///x}", "x")),
        ("resources", |b| b.resource("file:///{x}*", "x")),
        ("resources", |b| b.resource("", "x")),
        ("http", |b| b.http(Method::POST, "x")),
        ("http", |b| b.http(Method::HEAD, "x")),
        ("http", |b| b.http(Method::GET, "x")?.http(Method::GET, "y")),
        ("baseline", |b| b.baseline(Requirement::deny())),
        ("tools", |b| {
            b.method("tools/*", Requirement::deny())?.tool("a", "x")
        }),
        ("notifications", |b| {
            b.method("notifications/*", "x")?.notifications("y")
        }),
    ];
    for (index, (setting, build)) in cases.into_iter().enumerate() {
        let error = build(McpPolicy::builder()).and_then(McpPolicyBuilder::build);
        let error = error.expect_err(&format!("case {index}"));
        assert_eq!(error.setting(), setting, "case {index}: {error}");
    }
    assert!(McpPolicy::builder().baseline("sc\"ope").is_err());
}

#[test]
fn a_policy_is_read_from_a_value() {
    let good = json!({
        "baseline": "read",
        "hierarchy": { "admin": ["read"] },
        "methods": { "tasks/*": "admin" },
        "tools": { "get_*": [], "*": { "any": ["write", "admin"] } },
        "prompts": { "p": { "deny": true } },
        "resources": { "file:///{team}/*": ["team"] },
        "client_responses": "a", "notifications": [],
        "http": { "GET": "stream" }, "other_http_methods": { "deny": true },
        "include_granted": true,
        "default_rule": "baseline",
    });
    serde_json::from_value::<McpPolicy>(good).unwrap();
    serde_json::from_str::<McpPolicy>("{}").unwrap();
    for bad in [
        r#"{"tool":{}}"#,
        r#"{"tools":{"a":"x","a":"y"}}"#,
        r#"{"tools":{"a*b":"x"}}"#,
        r#"{"default_rule":"allow"}"#,
        r#"{"http":{"get":"x"}}"#,
        r#"{"http":{"POST":"x"}}"#,
        r#"{"hierarchy":{"a":["a"]}}"#,
        r#"{"baseline":{"deny":true}}"#,
        r#"{"tools":["a"]}"#,
    ] {
        assert!(serde_json::from_str::<McpPolicy>(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_policy_from_a_value_judges_like_a_built_one() {
    let policy: McpPolicy = serde_json::from_value(json!({
        "baseline": "read",
        "hierarchy": { "admin": ["write"], "write": ["read"] },
        "tools": { "get_*": [], "*": { "any": ["write"] } },
        "http": { "DELETE": "admin" },
        "default_rule": "deny",
    }))
    .unwrap();
    for (token, tool, expected) in [
        ("read", "get_x", "ok"),
        ("read", "set_x", "write"),
        ("admin", "set_x", "ok"),
    ] {
        let answer = send(&policy, token, &call(tool)).await;
        assert_eq!(outcome(&answer), expected, "{token} {tool}");
    }
}

/// (tool, token, status): `-` is a caller without scopes, no token an anonymous one.
#[tokio::test]
async fn a_tool_can_need_nothing_a_caller_or_scopes() {
    let policy = McpPolicy::builder()
        .tool("open", Requirement::none())
        .unwrap()
        .tool("mine", Requirement::authenticated())
        .unwrap()
        .tool("write", "w")
        .unwrap()
        .build()
        .unwrap();
    let layers = ServiceBuilder::new()
        .layer(auth().optional())
        .layer(McpScopesLayer::new(policy.clone()));
    for (tool, token, status) in [
        ("open", None, 200),
        ("open", Some("-"), 200),
        ("mine", None, 401),
        ("mine", Some("-"), 200),
        ("write", None, 401),
        ("write", Some("-"), 403),
        ("write", Some("w"), 200),
    ] {
        let mut request = post("-", call(tool));
        request.headers_mut().remove("authorization");
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let answer = ask(&layers, request).await;
        assert_eq!(answer.status, status, "{tool} {token:?}");
        if (tool, status) == ("mine", 401) {
            let [challenge] = answer.challenges()[..] else {
                panic!("{:?}", answer.challenges());
            };
            assert!(!challenge.contains("scope="), "{challenge}");
        }
    }
}
