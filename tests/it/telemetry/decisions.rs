//! Each decision: one event, one call of the hook.

use std::sync::{Arc, Mutex};

use http::Method;
use tower::ServiceBuilder;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer, OriginLayer};
use tower_mcp_auth::scopes::RequireScopesLayer;
use tower_mcp_auth::telemetry::{DecisionRecord, Outcome};
use tower_mcp_auth::{ApiKeyLayer, AuthLayer, Clock, JwtLayer, OAuthLayer, Principal};
use tracing::Level;

use common::{
    API_KEY, Answering, Inner, SECRET, ask, clock, guards, hs256_layer, invalid, request,
    request_to, token, trace,
};

pub fn bearer(scopes: &str) -> String {
    let claims = format!(r#"{{"sub":"alice","exp":1900000000,"scope":"{scopes}"}}"#);
    format!("Bearer {}", token(&claims))
}

/// A layer that requires these scopes.
pub fn jwt(clock: &Clock, scopes: &str) -> JwtLayer {
    let builder = JwtLayer::builder(Secret::new(SECRET).unwrap()).clock(clock.clone());
    let builder = builder.required_scopes(scopes.split_whitespace());
    builder.build().unwrap()
}

/// What a hook was told, a line for each decision.
#[derive(Clone, Default)]
pub struct Audit(Arc<Mutex<Vec<String>>>);

impl Audit {
    pub fn hook(&self) -> impl Fn(&DecisionRecord<'_>) + Send + Sync + 'static {
        let Self(lines) = self.clone();
        move |decision| {
            lines.lock().unwrap().push(format!(
                "{} {} {} {} {}",
                decision.layer(),
                decision.outcome().as_str(),
                decision.provider(),
                decision.principal_id().map_or("-", |id| id.as_str()),
                decision.error().map_or("-", |error| error.reason()),
            ));
        }
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn audited() -> (JwtLayer, Audit) {
    let audit = Audit::default();
    let layer = hs256_layer().public_path("/public").unwrap();
    (layer.on_decision(audit.hook()), audit)
}

#[tokio::test]
async fn an_accepted_request_is_one_event_that_names_its_principal() {
    for guard in guards() {
        trace::start();
        let answer = ask(&guard.layer, guard.good_request("/mcp")).await;
        let events = trace::take_all();
        assert_eq!(events.len(), 1, "{events:?}");
        let event = &events[0];
        assert_eq!(event.level, Level::TRACE);
        assert_eq!(event.field("outcome"), "accepted");
        assert_eq!(event.field("layer"), "auth");
        let principal = answer.principal();
        assert_eq!(event.field("provider"), principal.provider());
        assert_eq!(event.field("principal"), principal.id().as_str());
        assert_eq!(event.field("method"), "GET");
        assert!(!event.fields.contains_key("step_up"));
    }
}

#[tokio::test]
async fn a_refusal_names_the_provider_that_was_asked_and_none_where_none_was() {
    for guard in guards() {
        let bad = [(guard.header, format!("{}x", guard.good))];
        for (request, provider) in [
            (request(&bad), ["api_key", "jwt"]),
            (guard.bare_request("/mcp"), ["none", "none"]),
            (guard.good_request("/mcp?token=x"), ["none", "none"]),
        ] {
            trace::start();
            ask(&guard.layer, request).await.error();
            let events = trace::take_all();
            assert_eq!(events.len(), 1, "{events:?}");
            let expected = provider[usize::from(guard.name == "jwt")];
            assert_eq!(events[0].field("provider"), expected);
            assert_eq!(events[0].field("outcome"), "refused");
            assert!(!events[0].fields.contains_key("principal"));
        }
    }
}

#[tokio::test]
async fn the_hook_hears_each_decision_once_with_who_and_why() {
    let (layer, audit) = audited();
    let alice = "jwt|sub=alice";
    for (uri, header, expected) in [
        (
            "/mcp",
            Some(bearer("a")),
            format!("auth accepted jwt {alice} -"),
        ),
        ("/public", None, "auth anonymous none - -".to_owned()),
        (
            "/mcp",
            None,
            "auth refused none - missing_credential".to_owned(),
        ),
        (
            "/mcp",
            Some("Bearer a.b.c".to_owned()),
            "auth refused jwt - malformed_token".to_owned(),
        ),
    ] {
        let headers: Vec<_> = header
            .iter()
            .map(|value| ("authorization", value))
            .collect();
        ask(&layer, request_to(uri, &headers)).await;
        assert_eq!(audit.take(), [expected], "{uri} {header:?}");
    }
}

#[tokio::test]
async fn the_hook_hears_of_answers_that_were_waited_for() {
    let audit = Audit::default();
    for (answer, expected) in [
        (
            Ok(common::provider::alice()),
            "auth accepted test test|sub=alice -",
        ),
        (Err(invalid("gone")), "auth refused test - gone"),
    ] {
        let provider = Answering::new(move |_| {
            let answer = answer.clone();
            tower_mcp_auth::auth::Authentication::Pending(Box::pin(async move { answer }))
        });
        let layer = AuthLayer::new(provider).on_decision(audit.hook());
        ask(&layer, request(&[("authorization", "Bearer x")])).await;
        assert_eq!(audit.take(), [expected]);
    }
}

/// No caller was let in or kept out.
#[tokio::test]
async fn who_goes_away_while_they_wait_and_who_reads_metadata_is_no_decision() {
    let audit = Audit::default();
    let never = Answering::new(|_| {
        let never = std::future::pending::<Result<_, tower_mcp_auth::AuthError>>();
        tower_mcp_auth::auth::Authentication::Pending(Box::pin(never))
    });
    let waiting = AuthLayer::new(never).on_decision(audit.hook());
    let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com");
    let oauth = oauth.unwrap().on_decision(audit.hook());
    trace::start();
    let mut asked =
        tokio_test::task::spawn(ask(&waiting, request(&[("authorization", "Bearer x")])));
    assert!(asked.poll().is_pending());
    drop(asked);
    let document = request_to::<&str>("/.well-known/oauth-protected-resource/mcp", &[]);
    assert_eq!(ask(&oauth, document).await.status, 200);
    assert!(audit.take().is_empty());
    let told = trace::take_all();
    let decisions = told.iter().filter(|it| it.fields.contains_key("outcome"));
    assert_eq!(decisions.count(), 0, "{told:?}");
}

#[tokio::test]
async fn who_lacks_a_scope_the_layer_requires_is_known_all_the_same() {
    let audit = Audit::default();
    let layer = jwt(&clock(), "mcp:read");
    let layer = layer.on_decision(audit.hook());
    let answer = ask(&layer, request(&[("authorization", bearer("other"))])).await;
    assert_eq!(
        audit.take(),
        ["auth refused jwt jwt|sub=alice insufficient_scope"]
    );
    let id = answer.error().principal_id().map(ToString::to_string);
    assert_eq!(id.as_deref(), Some("jwt|sub=alice"));
}

#[tokio::test]
async fn the_hook_hears_the_layers_and_handlers_inside() {
    let (layer, audit) = audited();
    let inside = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RequireScopesLayer::new("write").unwrap());
    ask(&inside, request(&[("authorization", bearer("write"))])).await;
    ask(&inside, request(&[("authorization", bearer("read"))])).await;
    assert_eq!(
        audit.take(),
        [
            "auth accepted jwt jwt|sub=alice -",
            "scopes accepted jwt jwt|sub=alice -",
            "auth accepted jwt jwt|sub=alice -",
            "scopes refused jwt jwt|sub=alice insufficient_scope",
        ]
    );

    let answer = ask(&layer, request(&[("authorization", bearer("read"))])).await;
    audit.take();
    let principal: &Principal = answer.principal();
    principal.require("read").unwrap();
    principal.require("write").unwrap_err();
    assert_eq!(
        audit.take(),
        [
            "handler accepted jwt jwt|sub=alice -",
            "handler refused jwt jwt|sub=alice insufficient_scope",
        ]
    );
}

#[tokio::test]
async fn an_operation_is_reported_by_its_name_and_a_resource_by_its_method_alone() {
    let policy = McpPolicy::builder().tool("add", "write").unwrap();
    let layer = ServiceBuilder::new()
        .layer(hs256_layer())
        .layer(McpScopesLayer::new(policy.build().unwrap()));
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#,
            r#"tools/call "add""#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"https://x.example/?token=SECRET"}}"#,
            "resources/read",
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
            "ping and 1 more",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"evil\\u001b[31m\"}",
            r#""evil\u{1b}[31m""#,
        ),
    ] {
        trace::start();
        ask(&layer, post(body, &bearer("read"))).await;
        let events = trace::take_all();
        let judged = events
            .iter()
            .find(|event| event.field("layer") == "mcp_scopes")
            .unwrap_or_else(|| panic!("{events:?}"));
        assert_eq!(judged.field("operation"), expected);
        assert!(!format!("{events:?}").contains("SECRET"));
    }
}

/// What stands in the body is not told, and what mirrors it in a header is the same.
#[tokio::test]
async fn a_header_that_mirrors_a_resource_or_a_task_is_never_reported() {
    let policy = McpPolicy::builder().tool("add", "write").unwrap();
    let layer = ServiceBuilder::new()
        .layer(hs256_layer())
        .layer(McpScopesLayer::new(policy.build().unwrap()));
    for (method, name, shown) in [
        ("resources/read", "https://x.example/?token=MARK", false),
        ("resources/read", "=?base64?MARK!?=", false),
        ("tasks/get", "MARK", false),
        ("x/y", "MARK", false),
        ("tools/call", "MARK", true),
        ("prompts/get", "MARK", true),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"add","uri":"https://x.example/","taskId":"1"}}}}"#
        );
        let mut request = post("", &bearer("write"));
        *request.body_mut() = body.into();
        for (header, value) in [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("mcp-name", name),
        ] {
            request.headers_mut().insert(header, value.parse().unwrap());
        }
        trace::start();
        let answer = ask(&layer, request).await;
        assert!(answer.error().reason().contains("mcp_name"), "{method}");
        let told = format!("{:?}", trace::take_all());
        assert_eq!(told.contains("MARK"), shown, "{method}: {told}");
    }
}

#[tokio::test]
async fn a_bad_origin_is_reported_by_its_layer() {
    let layer = OriginLayer::new("https://mcp.example.com/mcp").unwrap();
    trace::start();
    let headers = [("host", "evil.example.com")];
    ask(&layer, request(&headers)).await.error();
    let events = trace::take_all();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].field("layer"), "origin");
}

#[tokio::test]
async fn every_hook_is_called_and_earlier_clones_keep_theirs() {
    let (first, second) = (Audit::default(), Audit::default());
    let one = hs256_layer().on_decision(first.hook());
    let both = one.clone().on_decision(second.hook());
    ask(&both, request(&[("authorization", bearer("a"))])).await;
    assert_eq!((first.take().len(), second.take().len()), (1, 1));
    ask(&one, request(&[("authorization", bearer("a"))])).await;
    assert_eq!((first.take().len(), second.take().len()), (1, 0));
}

#[tokio::test]
async fn a_hook_that_panics_lets_nothing_pass() {
    let layer = hs256_layer().on_decision(|_| panic!("full disk"));
    let inner = Inner::default();
    let service = tower::Layer::layer(&layer, inner.handle());
    let request = request(&[("authorization", bearer("a"))]);
    let asked = common::spawn(tower::ServiceExt::oneshot(service, request)).await;
    assert!(asked.unwrap_err().is_panic());
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn the_record_holds_method_and_path_but_never_the_query() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let lines = Arc::clone(&seen);
    let layer = hs256_layer().on_decision(move |decision| {
        let line = format!(
            "{:?} {:?} {:?} {decision:?}",
            decision.method(),
            decision.path(),
            decision.operation()
        );
        assert_eq!(decision.outcome(), Outcome::Refused);
        lines.lock().unwrap().push(line);
    });
    ask(&layer, request_to::<&str>("/mcp/x?q=QUERY", &[])).await;
    let seen = seen.lock().unwrap().concat();
    assert!(seen.contains(r#"Some(GET) Some("/mcp/x") None"#), "{seen}");
    assert!(!seen.contains("QUERY"), "{seen}");
}

pub fn post(
    body: &'static str,
    authorization: &str,
) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = request(&[
        ("authorization", authorization),
        ("content-type", "application/json"),
    ]);
    *request.method_mut() = Method::POST;
    *request.body_mut() = body.into();
    request
}

#[tokio::test]
async fn of_several_providers_the_owner_of_the_credential_is_reported() {
    let (left, right) = (Audit::default(), Audit::default());
    let clock = clock();
    let keys = ApiKeyLayer::new([API_KEY]).unwrap().clock(clock.clone());
    let keys = keys.on_decision(right.hook());
    let both = jwt(&clock, "").on_decision(left.hook());
    let both = tower_mcp_auth::AuthLayer::from(both).or(keys).unwrap();
    for (header, value, expected) in [
        ("authorization", bearer("a"), "auth accepted jwt "),
        (
            "authorization",
            "Bearer bad".to_owned(),
            "auth refused jwt ",
        ),
        ("x-api-key", API_KEY.to_owned(), "auth accepted api_key "),
        ("x-api-key", "bad".to_owned(), "auth refused api_key "),
        ("x-other", "x".to_owned(), "auth refused none "),
    ] {
        ask(&both, request(&[(header, value)])).await;
        let told = left.take();
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with(expected), "{told:?}");
        // The hooks of both layers hear of all.
        assert_eq!(right.take(), told);
    }
}

#[tokio::test]
async fn who_may_come_without_a_credential_is_reported_as_anonymous() {
    let audit = Audit::default();
    let layer = jwt(&clock(), "").on_decision(audit.hook()).optional();
    ask(&layer, request::<&str>(&[])).await.admitted();
    assert_eq!(audit.take(), ["auth anonymous none - -"]);
}

#[tokio::test]
async fn what_is_only_reported_is_one_decision_with_its_reason() {
    let audit = Audit::default();
    let auth = jwt(&clock(), "").on_decision(audit.hook());
    let auth = auth.dangerously_report_only();
    let stack = ServiceBuilder::new()
        .layer(auth)
        .layer(RequireScopesLayer::new("write").unwrap());
    trace::start();
    let bad = [("authorization", "Bearer bad")];
    ask(&stack, request(&bad)).await.admitted();
    assert_eq!(audit.take(), ["auth reported jwt - not_a_jwt"]);
    let events = trace::take_all();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].level, Level::INFO);
    assert_eq!(events[0].field("outcome"), "reported");
    assert_eq!(events[0].field("reason"), "not_a_jwt");

    trace::start();
    let narrow = [("authorization", bearer("read"))];
    ask(&stack, request(&narrow)).await.admitted();
    assert_eq!(
        audit.take(),
        [
            "auth accepted jwt jwt|sub=alice -",
            "scopes reported jwt jwt|sub=alice insufficient_scope",
        ]
    );
    // No caller was asked to come back with more.
    let events = trace::take_all();
    assert!(events.iter().all(|event| event.field("step_up").is_empty()));
}

/// Its head would have been refused: that its body would not is no acceptance.
#[tokio::test]
async fn a_message_whose_head_is_only_reported_is_not_accepted_as_well() {
    let audit = Audit::default();
    let auth = hs256_layer()
        .on_decision(audit.hook())
        .dangerously_report_only();
    let policy = McpPolicy::builder().tool("add", "write").unwrap();
    let stack = ServiceBuilder::new()
        .layer(auth)
        .layer(McpScopesLayer::new(policy.build().unwrap()));
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let mut request = post(call, &bearer("write"));
    let media = "text/plain".parse().unwrap();
    request.headers_mut().insert("content-type", media);
    ask(&stack, request).await.admitted();
    assert_eq!(
        audit.take(),
        [
            "auth accepted jwt jwt|sub=alice -",
            "mcp_scopes reported jwt jwt|sub=alice unsupported_content_type",
        ]
    );
}

#[tokio::test]
async fn a_password_in_front_of_a_host_is_never_reported() {
    let layer = OriginLayer::new("https://mcp.example.com/mcp").unwrap();
    for (uri, headers) in [
        ("http://alice:MARK@mcp.example.com/mcp", vec![]),
        ("/mcp", vec![("host", "alice:MARK@mcp.example.com")]),
        ("/mcp", vec![("host", "alice:MARK@@mcp.example.com")]),
        (
            "/mcp",
            vec![
                ("host", "mcp.example.com"),
                ("origin", "https://alice:MARK@mcp.example.com"),
            ],
        ),
    ] {
        trace::start();
        let answer = ask(&layer, request_to(uri, &headers)).await;
        let told = format!("{:?} {:?}", trace::take_all(), answer.error());
        assert!(
            told.contains("mcp.example.com") && !told.contains("MARK"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn layers_in_front_of_the_auth_layer_have_hooks_of_their_own() {
    let audit = Audit::default();
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    let origin = OriginLayer::new("https://mcp.example.com/mcp").unwrap();
    let attempts = FailedAttemptsLayer::new(move |_| Some(address));
    let stack = ServiceBuilder::new()
        .layer(origin.on_decision(audit.hook()))
        .layer(attempts.max_failures(1).unwrap().on_decision(audit.hook()))
        .layer(hs256_layer());
    for (host, expected) in [
        (
            "mcp.example.com",
            vec![
                "origin accepted none - -",
                "failed_attempts accepted none - -",
            ],
        ),
        (
            "mcp.example.com",
            vec![
                "origin accepted none - -",
                "failed_attempts refused none - too_many_failed_attempts",
            ],
        ),
        (
            "evil.example.com",
            vec!["origin refused none - host_not_allowed"],
        ),
    ] {
        let headers = [("host", host), ("authorization", "Bearer bad")];
        ask(&stack, request(&headers)).await.error();
        assert_eq!(audit.take(), expected);
    }
}
