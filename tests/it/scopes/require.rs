//! Scopes that a route needs, and a step inside a handler.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_mcp_auth::mcp::{McpPolicy, McpPolicyBuilder, McpScopesLayer};
use tower_mcp_auth::scopes::{
    RequireScopesLayer, RequiredScopes, Requirement, ScopeHierarchy, ScopedPrincipal, Scopes,
    UnmetRequirement,
};
use tower_mcp_auth::testing::insert_principal;
use tower_mcp_auth::{AuthError, AuthErrorKind, ConfigError, Principal};

use crate::mcp::support::{METADATA, auth, behind_auth, call, post};
use common::{Inner, ask, request_to, trace};

fn hierarchy() -> ScopeHierarchy {
    ScopeHierarchy::new([("admin", ["write"]), ("write", ["read"])]).unwrap()
}

fn bearer(token: &str) -> Request<Full<bytes::Bytes>> {
    request_to("/mcp", &[("authorization", format!("Bearer {token}"))])
}

#[tokio::test]
async fn a_layer_admits_callers_that_have_the_scopes() {
    let all = RequireScopesLayer::new(["read", "write"]).unwrap();
    let either = RequireScopesLayer::new(Requirement::any(["write", "billing"]).unwrap()).unwrap();
    let under = RequireScopesLayer::new("read")
        .unwrap()
        .hierarchy(hierarchy());
    for (layer, token, admitted) in [
        (&all, "read.write", true),
        (&all, "write.read.more", true),
        (&all, "read", false),
        (&all, "-", false),
        (&all, "readwrite", false),
        (&all, "READ.WRITE", false),
        (&either, "billing", true),
        (&either, "write", true),
        (&either, "read", false),
        (&under, "read", true),
        (&under, "write", true),
        (&under, "admin", true),
        (&under, "billing", false),
    ] {
        let answer = ask(&behind_auth(layer.clone()), bearer(token)).await;
        assert_eq!(answer.reached.is_some(), admitted, "{layer:?} {token}");
        if !admitted {
            answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
        }
    }
}

#[tokio::test]
async fn a_refusal_names_all_scopes_and_says_what_the_auth_layer_says() {
    let layer = RequireScopesLayer::new(["read", "write"]).unwrap();
    let answer = ask(&behind_auth(layer.clone()), bearer("read.other")).await;
    assert_eq!(
        answer.challenges(),
        [format!(
            "Bearer error=\"insufficient_scope\", scope=\"read write\", \
             resource_metadata=\"{METADATA}\", error_description=\"The operation needs scopes \
             that were not granted\""
        )]
    );
    assert_eq!(answer.json()["error"], "insufficient_scope");

    let answer = ask(
        &behind_auth(layer.clone().include_granted(true)),
        bearer("read.other"),
    )
    .await;
    assert_eq!(answer.error().scopes().as_str(), "read other write");

    let minimal = layer.hierarchy(hierarchy());
    let answer = ask(&behind_auth(minimal), bearer("other")).await;
    assert_eq!(answer.error().scopes().as_str(), "write");
}

#[tokio::test]
async fn one_of_several_asks_for_the_first_unless_another_is_there() {
    let needs = Requirement::any(["admin", "write"]).unwrap();
    let needs = needs.and(&Requirement::all(["billing"]).unwrap());
    let layer = RequireScopesLayer::new(needs).unwrap();
    for (token, asked) in [("-", "billing admin"), ("write", "billing write")] {
        let answer = ask(&behind_auth(layer.clone()), bearer(token)).await;
        assert_eq!(answer.error().scopes().as_str(), asked);
    }
}

#[tokio::test]
async fn a_caller_without_a_credential_is_asked_for_one_with_the_scopes() {
    let layer = RequireScopesLayer::new("read").unwrap();
    let answer = ask(&behind_auth(layer), request_to::<&str>("/open", &[])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [format!(
            "Bearer scope=\"read\", resource_metadata=\"{METADATA}\""
        )]
    );
}

#[tokio::test]
async fn what_is_denied_to_all_is_a_403_that_asks_for_nothing() {
    let layer = RequireScopesLayer::new(Requirement::deny()).unwrap();
    let answer = ask(&behind_auth(layer), bearer("read")).await;
    answer.refused(AuthErrorKind::Forbidden, "operation_denied");
    assert!(answer.challenges().is_empty());
}

#[tokio::test]
async fn without_an_auth_layer_it_is_a_logged_500() {
    trace::start();
    let layer = RequireScopesLayer::new("read").unwrap();
    let answer = ask(&layer, bearer("read")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.reached.is_none());
    let events = trace::take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].level, tracing::Level::ERROR);
    assert_eq!(events[0].field("piece"), "RequireScopesLayer");
}

#[tokio::test]
async fn a_grpc_request_is_refused_in_its_own_form() {
    let layer = RequireScopesLayer::new("write").unwrap();
    let mut request = bearer("read");
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    let grpc = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", grpc);
    let answer = ask(&behind_auth(layer), request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["grpc-status"], "7");
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    assert!(RequireScopesLayer::new("").is_err());
    assert!(RequireScopesLayer::new(["two words"]).is_err());
    assert!(Requirement::any::<[&str; 0]>([]).is_err());
    for circle in [
        vec![("a", vec!["a"])],
        vec![("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"])],
        vec![("x", vec!["a"]), ("a", vec!["b"]), ("b", vec!["a"])],
    ] {
        let error = ScopeHierarchy::new(circle).unwrap_err();
        assert_eq!(error.setting(), "hierarchy");
    }
    assert!(ScopeHierarchy::new([("a", ["b c"])]).is_err());
}

/// What was to be filled in and came out empty must not open anything.
#[test]
fn an_empty_text_is_no_need() {
    type Build = fn(McpPolicyBuilder, &str) -> Result<McpPolicyBuilder, ConfigError>;
    let builders: [Build; 9] = [
        |policy, text| policy.baseline(text),
        |policy, text| policy.tool("delete", text),
        |policy, text| policy.prompt("p", text),
        |policy, text| policy.resource("file:///x", text),
        |policy, text| policy.method("tasks/*", text),
        |policy, text| policy.client_responses(text),
        |policy, text| policy.notifications(text),
        |policy, text| policy.http(Method::GET, text),
        |policy, text| policy.other_http_methods(text),
    ];
    for empty in ["", " ", "   ", "\t", "\n"] {
        assert!(Requirement::try_from(empty).is_err(), "{empty:?}");
        assert!(Requirement::all([empty]).is_err(), "{empty:?}");
        assert!(Requirement::any(["a", empty]).is_err(), "{empty:?}");
        assert!(Requirement::try_from([empty]).is_err(), "{empty:?}");
        assert!(
            Requirement::try_from(vec![empty.to_owned()]).is_err(),
            "{empty:?}"
        );
        assert!(RequireScopesLayer::new(empty).is_err(), "{empty:?}");
        assert!(RequireScopesLayer::new([empty]).is_err(), "{empty:?}");
        assert!(ScopeHierarchy::new([(empty, ["a"])]).is_err(), "{empty:?}");
        assert!(ScopeHierarchy::new([("a", [empty])]).is_err(), "{empty:?}");
        for (index, build) in builders.iter().enumerate() {
            let built = build(McpPolicy::builder(), empty);
            let error = built.err().unwrap_or_else(|| panic!("{index} {empty:?}"));
            assert_eq!(error.setting(), "scopes", "{error}");
            let _ = build(McpPolicy::builder(), "a").unwrap();
        }
        for needs in [
            json!(empty),
            json!([empty]),
            json!({ "all": [empty] }),
            json!({ "any": [empty] }),
        ] {
            assert!(
                serde_json::from_value::<Requirement>(needs.clone()).is_err(),
                "{needs}"
            );
            for policy in [
                json!({ "baseline": needs }),
                json!({ "tools": { "delete": needs } }),
                json!({ "prompts": { "p": needs } }),
                json!({ "resources": { "file:///x": needs } }),
                json!({ "methods": { "tasks/*": needs } }),
                json!({ "client_responses": needs }),
                json!({ "notifications": needs }),
                json!({ "http": { "GET": needs } }),
                json!({ "other_http_methods": needs }),
            ] {
                let read = serde_json::from_value::<McpPolicy>(policy.clone());
                assert!(read.is_err(), "{policy}");
            }
        }
        for hierarchy in [json!({ "a": [empty] }), json!({ empty: ["a"] })] {
            let policy = json!({ "hierarchy": hierarchy });
            assert!(
                serde_json::from_value::<McpPolicy>(policy).is_err(),
                "{hierarchy}"
            );
        }
    }
    let error = Requirement::try_from("").unwrap_err().to_string();
    assert!(
        error.contains("Requirement::none()") && error.contains("\"none\""),
        "{error}"
    );
    McpPolicy::builder()
        .tool("get", Requirement::none())
        .unwrap()
        .build()
        .unwrap();
}

/// `"deny"` would be a scope that every client is told to ask for.
#[test]
fn a_word_that_stands_for_no_scope_is_none() {
    for word in ["none", "authenticated", "deny"] {
        for needs in [json!(word), json!(format!(" {word} "))] {
            let error = serde_json::from_value::<Requirement>(needs.clone()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&format!("{{\"{word}\": true}}")), "{error}");
            let policy = json!({ "tools": { "delete": needs } });
            assert!(
                serde_json::from_value::<McpPolicy>(policy).is_err(),
                "{word}"
            );
        }
        for needs in [
            json!([word]),
            json!({ "any": [word] }),
            json!(format!("{word} a")),
        ] {
            let scopes: Requirement = serde_json::from_value(needs).unwrap();
            assert!(!scopes.is_none(), "{word}");
        }
    }
}

/// RFC 6749 allows a comma within a scope; where it looks like a list it was meant as one.
#[test]
fn commas_do_not_separate_scopes() {
    for list in [
        "mcp:read, mcp:write",
        "mcp:read,",
        "a b,",
        ",a",
        "a ,b",
        ",",
    ] {
        let names: Vec<&str> = list.split(' ').collect();
        for error in [
            Requirement::try_from(list).unwrap_err(),
            Requirement::all(&names).unwrap_err(),
            Requirement::any(&names).unwrap_err(),
            RequireScopesLayer::new(list).unwrap_err(),
            McpPolicy::builder().tool("x", list).unwrap_err(),
            ScopeHierarchy::new([("admin", &names)]).unwrap_err(),
        ] {
            let says = error.to_string();
            assert!(
                says.contains("comma") && says.contains(r#"["a", "b"]"#),
                "{says}"
            );
        }
        assert!(serde_json::from_value::<Requirement>(json!(list)).is_err());
        assert!(serde_json::from_value::<Requirement>(json!(names)).is_err());
    }
    assert_eq!(
        Requirement::try_from("a,b c").unwrap(),
        Requirement::all(["a,b", "c"]).unwrap()
    );
    // What a token says is read as it is.
    assert_eq!("a, b".parse::<Scopes>().unwrap().as_str(), "a, b");
    assert!("".parse::<Scopes>().unwrap().is_empty());
}

#[test]
fn a_hierarchy_reaches_as_far_as_it_goes_and_no_further() {
    let hierarchy = hierarchy();
    let granted = |scopes: &str, needed| hierarchy.grants(&scopes.parse().unwrap(), needed);
    assert!(granted("admin", "read"));
    assert!(granted("x admin", "write"));
    assert!(!granted("read", "write"));
    assert!(!granted("admins", "read"));
    assert!(granted("other", "other"));
    let scopes: Scopes = "read admin other write".parse().unwrap();
    assert_eq!(hierarchy.minimal(&scopes).as_str(), "admin other");
}

#[test]
fn needs_and_hierarchies_are_read_from_values() {
    let needs = |json: &str| serde_json::from_str::<Requirement>(json);
    let all = Requirement::all(["a", "b"]).unwrap();
    assert_eq!(needs(r#""a b""#).unwrap(), all);
    assert_eq!(needs(r#"["a","b"]"#).unwrap(), all);
    assert_eq!(needs(r#"{"all":["a","b"]}"#).unwrap(), all);
    for empty in ["[]", r#"{"all":[]}"#] {
        // A list that came out empty opens nothing to anonymous callers.
        assert!(!needs(empty).unwrap().is_none(), "{empty}");
    }
    assert_eq!(needs(r#"{"none":true}"#).unwrap(), Requirement::none());
    assert_eq!(needs(r#"{"none":"true"}"#).unwrap(), Requirement::none());
    assert_eq!(needs(r#"{"deny":"true"}"#).unwrap(), Requirement::deny());
    assert_eq!(needs(r#"{"deny":true}"#).unwrap(), Requirement::deny());
    let caller = needs(r#"{"authenticated":true}"#).unwrap();
    assert_eq!(caller, Requirement::authenticated());
    assert!(!caller.is_none() && Requirement::none().is_none());
    let both = Requirement::authenticated().and(&all);
    assert_eq!(
        needs(r#"{"authenticated":true,"all":["a","b"]}"#).unwrap(),
        both
    );
    assert_eq!(
        needs(r#"{"any":["a","b"]}"#).unwrap(),
        Requirement::any(["a", "b"]).unwrap()
    );
    for bad in [
        r#"{"any":[]}"#,
        r#"{"al":["a"]}"#,
        r#"["a b"]"#,
        r#"{"deny":true,"all":["a"]}"#,
        r#"{"deny":false}"#,
        r#"{"none":false}"#,
        r#"{"none":"false"}"#,
        r#"{"none":"yes"}"#,
        r#"{"none":"true","deny":"true"}"#,
        r#"{"none":true,"deny":true}"#,
        r#"{"none":true,"all":["a"]}"#,
        r#"{"none":true,"authenticated":true}"#,
        r#"{"deny":true,"authenticated":true}"#,
        r#"{"authenticated":false}"#,
        r#"{"none":true,"any":["a"]}"#,
        "{}",
        "7",
    ] {
        assert!(needs(bad).is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<ScopeHierarchy>(r#"{"a":["b"],"a":["c"]}"#).is_err());
    assert!(serde_json::from_str::<ScopeHierarchy>(r#"{"a":["a"]}"#).is_err());
}

#[test]
fn the_layer_waits_for_the_service_behind_it() {
    let layer = RequireScopesLayer::new("read").unwrap();
    let (mock, mut handle) = tower_test::mock::pair::<Request<Full<Bytes>>, http::Response<()>>();
    handle.allow(0);
    let mut service = tokio_test::task::spawn(layer.layer(mock));
    let ready = service.enter(|cx, mut service| {
        tower::Service::<Request<Full<Bytes>>>::poll_ready(&mut *service, cx)
    });
    assert!(ready.is_pending());
}

struct Write;

impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["write"];

    fn hierarchy() -> ScopeHierarchy {
        hierarchy()
    }
}

struct Nothing;

impl RequiredScopes for Nothing {
    const SCOPES: &'static [&'static str] = &[];
}

async fn by_hand(principal: Principal) -> Result<&'static str, UnmetRequirement> {
    principal.require("read write")?;
    Ok("done")
}

async fn by_extractor(writer: ScopedPrincipal<Write>) -> String {
    writer.id().to_string()
}

#[tokio::test]
async fn a_handler_refuses_like_a_layer() {
    let app = Router::new()
        .route("/hand", get(by_hand))
        .route("/extractor", get(by_extractor))
        .route(
            "/nothing",
            get(|_: ScopedPrincipal<Nothing>| async { "nothing" }),
        )
        .route("/open", get(by_extractor))
        .layer(auth());
    for (path, token, status, scope) in [
        ("/hand", "read.write", 200, None),
        ("/hand", "read", 403, Some("read write")),
        ("/extractor", "write", 200, None),
        ("/extractor", "admin", 200, None),
        ("/extractor", "read", 403, Some("write")),
        ("/nothing", "read", 403, None),
        ("/open", "admin", 401, Some("write")),
    ] {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path} {token}");
        let challenge = response.headers().get("www-authenticate");
        match scope {
            Some(scope) => {
                let challenge = challenge.unwrap().to_str().unwrap();
                assert!(
                    challenge.contains(&format!("scope=\"{scope}\"")),
                    "{challenge}"
                );
                assert!(challenge.contains(METADATA));
                assert!(response.extensions().get::<AuthError>().is_some());
            }
            None => assert!(challenge.is_none()),
        }
    }
    let bare = Router::new().route("/", get(by_extractor));
    let response = bare.oneshot(Request::get("/").body(axum::body::Body::empty()).unwrap());
    assert_eq!(response.await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_principal_put_in_by_hand_is_refused_with_a_plain_challenge() {
    let principal = Principal::builder("test").subject("alice").build();
    let refusal = principal.require("read").unwrap_err();
    assert_eq!(refusal.error().kind(), AuthErrorKind::InsufficientScope);
    let response = refusal.into_response();
    assert_eq!(response.status(), 403);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", scope=\"read\""));
    let body = http_body_util::Full::new(response.into_body());
    assert!(!body.collect().await.unwrap().to_bytes().is_empty());

    for impossible in ["", " ", "sc\"ope"] {
        let refusal = principal.require(impossible).unwrap_err();
        assert!(refusal.error().scopes().is_empty());
    }

    let layer = RequireScopesLayer::new("read").unwrap();
    let inner = Inner::default();
    let mut request = request_to::<&str>("/mcp", &[]);
    insert_principal(request.extensions_mut(), principal);
    let service = ServiceBuilder::new().layer(layer).service(inner.handle());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 403);
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
