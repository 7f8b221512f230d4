//! What a client is told when a budget is used up, and when not.

use std::time::Duration;

use bytes::Bytes;
use common::{Answer, Answering, ask, trace};
use http::{Request, Version};
use http_body_util::Full;
use serde_json::json;
use tower::ServiceBuilder;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::mcp::{McpPolicy, McpStack, QuotaLayer};
use tower_mcp_auth::store::MemoryQuotaStore;
use tower_mcp_auth::{AuthErrorKind, Reason, Reported};

use super::support::{MINUTE, auth, behind, budget, clock, left, limit, send, tool, with};
use crate::mcp::support::{call, message, origin, post, request};

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name).expect(name);
    value.to_str().unwrap()
}

#[tokio::test]
async fn what_the_budget_holds_is_admitted_and_one_more_is_429_until_there_is_room() {
    let clock = clock();
    let quotas = limit(5, &clock);
    assert_eq!(left(&quotas, "sub~alice").await, 5);
    let answer = send(&quotas, "sub~alice", &call("search")).await;
    let error = answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
    assert_eq!(error.description(), "The budget calls is used up");
    assert_eq!(error.principal_id().unwrap().as_str(), "test|sub=alice");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(12)));
    assert_eq!(header(&answer, "retry-after"), "12");
    assert_eq!(header(&answer, "ratelimit-policy"), "\"calls\";q=5;w=60");
    assert_eq!(header(&answer, "ratelimit"), "\"calls\";r=0;t=12");
    let expected = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "error": {
            "code": 429,
            "message": "The budget calls is used up",
            "data": { "reason": "quota_exceeded", "retryAfter": 12 },
        },
    });
    assert_eq!(answer.json(), expected);
    // Another caller has another bucket.
    assert_eq!(tool(&quotas, "sub~bob", "search").await, 200);

    clock.advance(Duration::from_millis(11_999));
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 429);
    clock.advance(Duration::from_millis(1));
    assert_eq!(left(&quotas, "sub~alice").await, 1);
    clock.advance(MINUTE);
    assert_eq!(left(&quotas, "sub~alice").await, 5);
}

#[tokio::test]
async fn a_burst_is_what_may_come_at_once() {
    let clock = clock();
    let quotas = with([budget("calls", 60).burst(2).unwrap()], &clock);
    assert_eq!(left(&quotas, "sub~alice").await, 2);
    let mut admitted = 0;
    for _ in 0..30 {
        clock.advance(Duration::from_millis(500));
        admitted += usize::from(tool(&quotas, "sub~alice", "search").await == 200);
    }
    assert_eq!(admitted, 15);
}

#[tokio::test]
async fn the_budget_that_makes_wait_longest_answers_and_the_others_are_not_charged() {
    let clock = clock();
    let quotas = with(
        [
            budget("calls", 6),
            budget("reports", 1).tool("make_report").unwrap(),
        ],
        &clock,
    );
    assert_eq!(tool(&quotas, "sub~alice", "make_report").await, 200);
    for _ in 0..9 {
        let answer = send(&quotas, "sub~alice", &call("make_report")).await;
        let error = answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
        assert_eq!(error.description(), "The budget reports is used up");
        let limits = "\"calls\";r=5;t=10, \"reports\";r=0;t=60";
        assert_eq!(header(&answer, "ratelimit"), limits);
        let policies = "\"calls\";q=6;w=60, \"reports\";q=1;w=60";
        assert_eq!(header(&answer, "ratelimit-policy"), policies);
    }
    assert_eq!(left(&quotas, "sub~alice").await, 5);
}

#[tokio::test]
async fn what_is_admitted_says_what_is_left_where_that_is_wanted() {
    let clock = clock();
    let quotas = limit(5, &clock);
    let answer = send(&quotas, "sub~alice", &call("search")).await;
    assert!(!answer.headers.contains_key("ratelimit"));
    let quotas = quotas.headers_on_success(true);
    let answer = send(&quotas, "sub~alice", &call("search")).await;
    answer.admitted();
    assert_eq!(header(&answer, "ratelimit"), "\"calls\";r=3;t=24");
    assert_eq!(header(&answer, "ratelimit-policy"), "\"calls\";q=5;w=60");
    // A layer that was told more goes on with the same counts.
    assert_eq!(left(&quotas, "sub~alice").await, 3);
}

#[tokio::test]
async fn a_notification_and_a_batch_are_refused_without_an_id() {
    let quotas = limit(1, &clock());
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 200);
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for body in [notification.to_owned(), format!("[{}]", call("search"))] {
        let answer = send(&quotas, "sub~alice", &body).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json().get("id"), None);
    }
    let with_text = call("search").replace("\"id\":1", "\"id\":\"a\\\"b\"");
    let answer = send(&quotas, "sub~alice", &with_text).await;
    assert_eq!(answer.json()["id"], "a\"b");
}

#[tokio::test]
async fn a_request_that_is_no_message_costs_one_and_is_refused_over_http() {
    let quotas = limit(1, &clock());
    let get = || {
        let request = Request::get("/mcp").header("authorization", "Bearer sub~alice");
        request.body(Full::<Bytes>::default()).unwrap()
    };
    ask(&behind(&quotas), get()).await.admitted();
    let answer = ask(&behind(&quotas), get()).await;
    answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
    let body = json!({
        "error": "too_many_requests",
        "error_description": "The budget calls is used up",
        "status": 429,
        "type": "authentication_error",
    });
    assert_eq!(answer.json(), body);
}

#[tokio::test]
async fn a_grpc_client_is_told_that_a_resource_is_exhausted() {
    let quotas = limit(1, &clock()).requests_only().unwrap();
    let grpc = || {
        let mut request = Request::post("/service/Method")
            .header("authorization", "Bearer sub~alice")
            .header("content-type", "application/grpc")
            .body(Full::<Bytes>::default())
            .unwrap();
        *request.version_mut() = Version::HTTP_2;
        request
    };
    ask(&behind(&quotas), grpc()).await.admitted();
    let answer = ask(&behind(&quotas), grpc()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "grpc-status"), "8");
    assert_eq!(header(&answer, "ratelimit"), "\"calls\";r=0;t=60");
    assert_eq!(header(&answer, "retry-after"), "60");
}

#[tokio::test]
async fn what_is_only_reported_goes_on_and_is_not_charged() {
    let clock = clock();
    let quotas = limit(2, &clock);
    let auth = auth()
        .dangerously_report_only_for(["quota_exceeded"])
        .unwrap();
    let stack = ServiceBuilder::new().layer(auth).layer(quotas.clone());
    for number in 0..5 {
        let answer = ask(&stack, post("sub~alice", call("search"))).await;
        assert_eq!(answer.status, 200);
        let reported = answer.extensions.get::<Reported>();
        let reasons = reported.map(|all| all.errors().iter().map(|error| error.reason()).collect());
        let expected = (number >= 2).then(|| vec!["quota_exceeded"]);
        assert_eq!(reasons, expected, "{number}");
    }
    clock.advance(Duration::from_secs(30));
    assert_eq!(left(&quotas, "sub~alice").await, 1);
}

#[tokio::test]
async fn a_budget_can_have_a_reason_of_its_own() {
    const SEARCHES: Reason = Reason::custom(AuthErrorKind::TooManyRequests, "too_many_searches");
    let own = budget("searches", 1).reason(SEARCHES).unwrap();
    let quotas = with([own], &clock());
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 200);
    let answer = send(&quotas, "sub~alice", &call("search")).await;
    assert_eq!(answer.error().reason(), "too_many_searches");
    assert_eq!(
        answer.json()["error"]["data"]["reason"],
        "too_many_searches"
    );
    let forbidden = Reason::custom(AuthErrorKind::Forbidden, "no");
    let refused = budget("a", 1).reason(forbidden).unwrap_err();
    assert_eq!(refused.setting(), "reason");
}

#[tokio::test]
async fn a_decision_names_its_layer_and_its_operation() {
    let quotas = limit(1, &clock());
    trace::start();
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 200);
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 429);
    let told = trace::take();
    let [refused] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(refused.level, tracing::Level::DEBUG);
    for (name, value) in [
        ("layer", "quota"),
        ("outcome", "refused"),
        ("reason", "quota_exceeded"),
        ("operation", "tools/call \"search\""),
        ("principal", "test|sub=alice"),
        ("status", "429"),
    ] {
        assert_eq!(refused.field(name), value);
    }
    assert!(refused.field("detail").contains("`calls`"), "{refused:?}");
}

#[tokio::test]
async fn without_an_auth_layer_it_is_a_logged_500() {
    let quotas = limit(1, &clock());
    trace::start();
    let answer = ask(&quotas, post("sub~alice", call("search"))).await;
    assert_eq!(answer.status, 500);
    assert!(answer.reached.is_none());
    assert_eq!(trace::take()[0].field("piece"), "QuotaLayer");
}

#[tokio::test]
async fn in_the_stack_it_stands_behind_the_auth_layer_and_before_the_policy() {
    let policy = McpPolicy::builder().tool("search", "a").unwrap();
    let stack = McpStack::new(origin(), auth_of_scopes())
        .quotas(limit(2, &clock()))
        .policy(policy.build().unwrap())
        .unwrap();
    let send = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        ask(&stack, message(&call("search"), &headers)).await
    };
    // What the policy refuses counts as well.
    assert_eq!(send("-").await.status, 403);
    send("a").await.admitted();
    assert_eq!(send("a").await.status, 429);
    assert_eq!(send("-").await.status, 429);
    // An anonymous caller is told so.
    let anonymous = message(&call("search"), &[]);
    assert_eq!(ask(&stack, anonymous).await.status, 401);
}

fn auth_of_scopes() -> AuthLayer<Answering> {
    crate::mcp::support::auth()
}

#[tokio::test]
async fn where_there_is_no_room_to_count_it_is_503_and_no_caller_is_driven_out() {
    let clock = clock();
    let of_two = || {
        let store = MemoryQuotaStore::new(2).clock(clock.clone());
        limit(2, &clock).memory(store)
    };
    let quotas = of_two();
    assert_eq!(left(&quotas, "sub~alice").await, 2);
    assert_eq!(tool(&quotas, "sub~bob", "search").await, 200);
    trace::start();
    for number in 0..100 {
        let token = format!("sub~mallory-{number}");
        let answer = send(&quotas, &token, &call("search")).await;
        answer.refused(AuthErrorKind::Unavailable, "quota_store_full");
        assert_eq!(header(&answer, "retry-after"), "1");
    }
    let warned = trace::take();
    let warned = warned
        .iter()
        .filter(|event| event.level == tracing::Level::WARN);
    assert!(warned.count() > 0);
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 429);
    assert_eq!(left(&quotas, "sub~bob").await, 1);
    // Bob has one of two, which are regained in half a minute; alice in a whole one.
    clock.advance(MINUTE);
    assert_eq!(left(&quotas, "sub~mallory-1").await, 2);

    let quotas = of_two().dangerously_allow_when_full();
    for name in ["alice", "bob", "carol", "carol", "carol"] {
        let token = format!("sub~{name}");
        assert_eq!(tool(&quotas, &token, "search").await, 200, "{name}");
    }
    assert_eq!(left(&quotas, "sub~alice").await, 1);
}

#[tokio::test]
async fn without_budgets_nothing_is_read_and_nothing_refused() {
    let quotas = QuotaLayer::in_memory();
    let answer = send(&quotas, "sub~alice", "no message").await;
    answer.admitted();
    // A ping is a message like others where there is a budget.
    let quotas = limit(1, &clock());
    let ping = request("ping", &json!({}));
    send(&quotas, "sub~alice", &ping).await.admitted();
    assert_eq!(send(&quotas, "sub~alice", &ping).await.status, 429);
}
