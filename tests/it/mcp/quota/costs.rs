//! What a request costs, however it is written.

use common::{ask, request as plain};
use serde_json::json;
use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::mcp::Budget;

use super::support::{behind, budget, clock, left, limit, send, tool, with};
use crate::mcp::support::{call, post, request};

fn batch(messages: &[String]) -> String {
    format!("[{}]", messages.join(","))
}

#[tokio::test]
async fn a_batch_costs_what_its_messages_cost() {
    let quotas = limit(5, &clock());
    let three = batch(&[call("a"), call("b"), call("c")]);
    send(&quotas, "sub~alice", &three).await.admitted();
    // Two are left, and three need more: nothing is charged.
    let answer = send(&quotas, "sub~alice", &three).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["ratelimit"], "\"calls\";r=2;t=12");
    assert_eq!(left(&quotas, "sub~alice").await, 2);
}

/// Waiting would not help.
#[tokio::test]
async fn a_batch_that_no_budget_ever_holds_is_413() {
    let quotas = limit(5, &clock());
    let six = batch(&vec![call("a"); 6]);
    let answer = send(&quotas, "sub~alice", &six).await;
    let error = answer.refused(AuthErrorKind::PayloadTooLarge, "quota_cost_too_high");
    assert!(error.detail().unwrap().contains("`calls`"), "{error:?}");
    assert!(!answer.headers.contains_key("retry-after"));
    assert_eq!(answer.json()["error"]["code"], 413);
    assert_eq!(left(&quotas, "sub~alice").await, 5);
}

#[tokio::test]
async fn of_a_batch_a_budget_counts_what_it_is_for() {
    let own = budget("reports", 2).tool("make_*").unwrap();
    let quotas = with([own, budget("calls", 9)], &clock());
    let mixed = batch(&[
        call("search"),
        call("make_report"),
        request("tools/list", &json!({})),
        request("prompts/get", &json!({ "name": "make_report" })),
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"make_b"}}"#.to_owned(),
    ]);
    send(&quotas, "sub~alice", &mixed).await.admitted();
    let answer = send(&quotas, "sub~alice", &call("make_c")).await;
    let told = "The budget reports is used up";
    assert_eq!(answer.error().description(), told);
    assert_eq!(left(&quotas, "sub~alice").await, 4);
}

/// All spellings that one reader takes for the tool are it; whatever two readers could take for
/// something else is no message.
#[tokio::test]
async fn no_spelling_of_a_call_is_cheaper() {
    let own = || {
        with(
            [budget("reports", 1).tool("make_report").unwrap()],
            &clock(),
        )
    };
    let of = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    for (body, status) in [
        (of(r#"{"name":"make_report"}"#), 429),
        (of(r#"{"name":"\u006dake_report"}"#), 429),
        (of(r#"{"n\u0061me":"make_report","arguments":{}}"#), 429),
        (
            of(r#"{ "arguments":{"name":"search"}, "name" : "make_report" }"#),
            429,
        ),
        (
            of(r#"{"name":"make_report"}"#).replace("tools/call", "tools\\/call"),
            429,
        ),
        (
            of(r#"{"name":"make_report"}"#).replace(r#""id":1,"#, ""),
            429,
        ),
        (format!("[{}]", of(r#"{"name":"make_report"}"#)), 429),
        (of(r#"{"name":"search","name":"make_report"}"#), 400),
        (of(r#"{"name":"search","Name":"make_report"}"#), 400),
        (of(r#"["make_report"]"#), 400),
        (of(r#"{"name":["make_report"]}"#), 400),
        (format!("\u{feff}{}", of(r#"{"name":"make_report"}"#)), 400),
        (of(r#"{"name":"make_report"}"#) + "{}", 400),
        ("make_report".to_owned(), 400),
        // A server that knows other names needs a budget for all of them.
        (of(r#"{"name":"Make_Report"}"#), 200),
    ] {
        let quotas = own();
        assert_eq!(tool(&quotas, "sub~alice", "make_report").await, 200);
        let answer = send(&quotas, "sub~alice", &body).await;
        assert_eq!(answer.status, status, "{body}");
    }
    let quotas = own();
    let mut other = post("sub~alice", of(r#"{"name":"make_report"}"#));
    let text = "text/plain".parse().unwrap();
    other.headers_mut().insert("content-type", text);
    assert_eq!(ask(&behind(&quotas), other).await.status, 415);
    // Headers that say something else than the body.
    let mut other = post("sub~alice", of(r#"{"name":"make_report"}"#));
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "search"),
    ] {
        other.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(ask(&behind(&quotas), other).await.status, 400);
}

#[tokio::test]
async fn prompts_and_resources_are_counted_by_every_use() {
    let own = || {
        let own = budget("shared", 3).prompt("greet").unwrap();
        let own = own.resource("file:///shared/{team}/*").unwrap();
        with([own], &clock())
    };
    let uri = |uri: &str| json!({ "uri": uri });
    for (method, params, cost) in [
        ("prompts/get", json!({ "name": "greet" }), 1),
        ("prompts/get", json!({ "name": "other" }), 0),
        ("tools/call", json!({ "name": "greet" }), 0),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "greet" } }),
            1,
        ),
        ("resources/read", uri("file:///shared/a/b"), 1),
        ("resources/read", uri("FILE:///shared/a/%62"), 1),
        ("resources/subscribe", uri("file:///shared/a/b?c"), 1),
        ("resources/read", uri("file:///other"), 0),
        // It may be one of them.
        ("resources/read", uri("file:///other/../shared/a/b"), 1),
        (
            "subscriptions/listen",
            json!({ "notifications": { "resourceSubscriptions": [
                "file:///shared/a/b", "file:///shared/a/c", "file:///other",
            ] } }),
            2,
        ),
    ] {
        let quotas = own();
        let body = request(method, &params);
        send(&quotas, "sub~alice", &body).await.admitted();
        let greet = request("prompts/get", &json!({ "name": "greet" }));
        let mut left = 0;
        while send(&quotas, "sub~alice", &greet).await.status == 200 {
            left += 1;
        }
        assert_eq!(3 - left, cost, "{body}");
    }
}

#[tokio::test]
async fn a_function_says_what_a_call_costs() {
    let own = || {
        let own = budget("units", 10).cost_by(|call| {
            let pages = call
                .arguments()
                .map(|arguments| arguments["pages"].as_u64());
            match (call.tool(), pages.flatten()) {
                (Some("print"), Some(pages)) => u32::try_from(pages).unwrap_or(u32::MAX),
                _ => 0,
            }
        });
        with([own], &clock())
    };
    let print = |pages: &str| {
        let message = request("tools/call", &json!({ "name": "print", "arguments": {} }));
        message.replace(
            "\"arguments\":{}",
            &format!("\"arguments\":{{\"pages\":{pages}}}"),
        )
    };
    let quotas = own();
    send(&quotas, "sub~alice", &print("6")).await.admitted();
    assert_eq!(send(&quotas, "sub~alice", &print("5")).await.status, 429);
    // Nothing is free.
    assert_eq!(left(&quotas, "sub~alice").await, 4);

    let quotas = own();
    for (pages, status) in [
        ("11", 413),
        ("18446744073709551615", 413),
        ("1,\"pages\":2", 400),
    ] {
        let answer = send(&quotas, "sub~alice", &print(pages)).await;
        assert_eq!(answer.status, status, "{pages}");
    }
    assert_eq!(left(&quotas, "sub~alice").await, 10);
}

#[tokio::test]
async fn what_a_call_costs_can_be_fixed() {
    let own = || budget("calls", 6).cost(3).unwrap();
    let quotas = with([own()], &clock());
    assert_eq!(left(&quotas, "sub~alice").await, 2);
    let quotas = with([own()], &clock()).requests_only().unwrap();
    for status in [200, 200, 429] {
        // What it says is not read.
        let answer = send(&quotas, "sub~alice", "no message").await;
        assert_eq!(answer.status, status);
    }
    let bearer = plain(&[("authorization", "Bearer sub~bob")]);
    ask(&behind(&quotas), bearer).await.admitted();
}

/// A client that hangs up has had its call.
#[tokio::test]
async fn what_was_charged_is_not_given_back() {
    use tower::{Layer, Service, ServiceExt, service_fn};

    let quotas = limit(1, &clock());
    let never = service_fn(async |_: http::Request<_>| {
        std::future::pending::<Result<http::Response<String>, std::convert::Infallible>>().await
    });
    let mut service = behind(&quotas).service(never);
    let request = post("sub~alice", call("search"));
    let mut response = tokio_test::task::spawn(service.ready().await.unwrap().call(request));
    assert!(response.poll().is_pending());
    drop(response);
    assert_eq!(tool(&quotas, "sub~alice", "search").await, 429);
    let _ = quotas.layer(());
}

#[test]
fn budgets_that_make_no_sense_are_refused() {
    let own = || budget("calls", 5);
    let second = std::time::Duration::from_secs(1);
    let new = |name: &str, count, window| Budget::new(name, count, window);
    let years = second * 86_400 * 1000;
    let long = "a".repeat(65);
    for (refused, setting) in [
        (new("", 1, second), "budget"),
        (new("Calls", 1, second), "budget"),
        (new("a b", 1, second), "budget"),
        (new("a\"b", 1, second), "budget"),
        (new(&long, 1, second), "budget"),
        (new("calls", 0, second), "limit"),
        (new("calls", 10_001, second), "limit"),
        (new("calls", 1, std::time::Duration::ZERO), "window"),
        (new("calls", 1, years), "window"),
        (own().burst(0), "burst"),
        (own().burst(u32::MAX), "burst"),
        (own().cost(0), "cost"),
        (own().cost(1_000_001), "cost"),
        (own().tool(""), "tool"),
        (own().tool("a*b"), "tool"),
        (own().tool("a").and_then(|own| own.tool("a")), "tool"),
        (own().prompt(" a"), "prompt"),
        (own().resource("a#b"), "resource"),
        (own().tenant_claim(""), "tenant_claim"),
        (own().require_tenant(), "require_tenant"),
        (
            own().per_client().and_then(|own| own.tenant_claim("a")),
            "tenant_claim",
        ),
        (
            own().tenant_claim("a").and_then(Budget::per_client),
            "per_client",
        ),
        (
            own().per_client().and_then(Budget::shared_by_all),
            "shared_by_all",
        ),
    ] {
        assert_eq!(refused.unwrap_err().setting(), setting);
    }
    assert!(new("a-b_1", 10_000, second).is_ok());
}
