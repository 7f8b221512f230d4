//! `quotas`: each setting, what is refused, and counts that outlive a reload.

use std::time::Duration;

use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::store::MemoryQuotaStore;

use crate::config::{KEY, RESOURCE, SECRET, config};
use common::ask;

const MINUTE: Duration = Duration::from_secs(60);
/// Nothing listens there.
const UNREACHABLE: &str = "redis://127.0.0.1:1";

fn with(section: &Value, more: &Value) -> Value {
    let mut value = json!({
        "resource": RESOURCE,
        "api_keys": { "keys": [{ "key": KEY, "owner": "ci" }] },
        "quotas": section,
    });
    let members = more.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(members);
    value
}

fn of_budget(more: &Value) -> Value {
    let mut budget = json!({ "limit": 5, "window": "1m" });
    let members = more.as_object().unwrap().clone();
    budget.as_object_mut().unwrap().extend(members);
    json!({ "budgets": { "calls": budget } })
}

fn calls() -> Budget {
    Budget::new("calls", 5, MINUTE).unwrap()
}

fn layer(budget: Budget) -> QuotaLayer {
    QuotaLayer::in_memory().budget(budget).unwrap()
}

fn made(section: &Value) -> String {
    let config = config(&with(section, &json!({})));
    format!("{:?}", config.quota_layer().unwrap().unwrap())
}

#[test]
fn each_setting_is_that_of_the_layer() {
    let default = format!("{:?}", layer(calls()));
    assert_eq!(made(&of_budget(&json!({}))), default);
    let list = json!({ "budgets": [{ "name": "calls", "limit": "5", "window": 60 }] });
    assert_eq!(made(&list), default);
    let rows = [
        (json!({ "burst": 2 }), calls().burst(2)),
        (json!({ "cost": 2 }), calls().cost(2)),
        (json!({ "per": "client" }), calls().per_client()),
        (json!({ "per": "server" }), calls().shared_by_all()),
        (
            json!({ "tenant_claim": "org" }),
            calls().tenant_claim("org"),
        ),
        (
            json!({ "tenant_claim": "org", "require_tenant": true }),
            calls().tenant_claim("org").and_then(Budget::require_tenant),
        ),
        (
            json!({ "callers": "anonymous" }),
            Ok(calls().only_anonymous()),
        ),
        (
            json!({ "callers": "authenticated" }),
            Ok(calls().only_authenticated()),
        ),
        (
            json!({ "tools": "a b_*" }),
            calls().tool("a").and_then(|own| own.tool("b_*")),
        ),
        (json!({ "prompts": ["a"] }), calls().prompt("a")),
        (
            json!({ "resources": ["file:///a/{b}/*"] }),
            calls().resource("file:///a/{b}/*"),
        ),
    ];
    for (more, set) in rows {
        let made = made(&of_budget(&more));
        assert_eq!(made, format!("{:?}", layer(set.unwrap())), "{more}");
        assert_ne!(made, default, "{more}");
    }
    let own = || layer(calls());
    for (more, set) in [
        (
            json!({ "max_entries": 7 }),
            Ok(own().memory(MemoryQuotaStore::new(7))),
        ),
        (
            json!({ "headers_on_success": true }),
            Ok(own().headers_on_success(true)),
        ),
        (json!({ "requests_only": true }), own().requests_only()),
        (
            json!({ "max_body_bytes": "7 kB" }),
            own().max_body_bytes(7000),
        ),
        (
            json!({ "read_timeout": "7s" }),
            own().read_timeout(MINUTE / 60 * 7),
        ),
        (
            json!({ "dangerously_allow_when_full": true }),
            Ok(own().dangerously_allow_when_full()),
        ),
    ] {
        let mut section = of_budget(&json!({}));
        let members = more.as_object().unwrap().clone();
        section.as_object_mut().unwrap().extend(members);
        let made = made(&section);
        assert_eq!(made, format!("{:?}", set.unwrap()), "{more}");
        assert_ne!(made, default, "{more}");
    }
    let without = json!({ "resource": RESOURCE });
    assert!(config(&without).quota_layer().unwrap().is_none());
}

#[test]
fn what_is_refused_is_told_with_its_place() {
    let none = || json!({});
    let cases = [
        ("quotas.budgets", json!({})),
        (
            "quotas.budgets.calls.limit",
            json!({ "budgets": { "calls": { "window": 1 } } }),
        ),
        (
            "quotas.budgets.calls.window",
            json!({ "budgets": { "calls": { "limit": 1 } } }),
        ),
        (
            "quotas.budgets[0].name",
            json!({ "budgets": [{ "limit": 1, "window": 1 }] }),
        ),
        (
            "quotas.budgets.….name",
            json!({ "budgets": { "Calls": { "limit": 1, "window": 1 } } }),
        ),
        (
            "quotas.budgets.calls.limit",
            of_budget(&json!({ "limit": 0 })),
        ),
        (
            "quotas.budgets.calls.burst",
            of_budget(&json!({ "burst": 0 })),
        ),
        (
            "quotas.budgets.calls.cost",
            of_budget(&json!({ "cost": 0 })),
        ),
        (
            "quotas.budgets.calls.tools",
            of_budget(&json!({ "tools": ["a*b"] })),
        ),
        (
            "quotas.budgets.calls.require_tenant",
            of_budget(&json!({ "require_tenant": true })),
        ),
        (
            "quotas.budgets.calls.per",
            of_budget(&json!({ "per": "client", "tenant_claim": "org" })),
        ),
        ("quotas.budgets.calls", of_budget(&json!({ "local": true }))),
    ];
    for (path, section) in cases {
        let error = config(&with(&section, &none())).stack().unwrap_err();
        assert_eq!(error.path(), path, "{error}");
    }
    for (setting, value) in [
        ("max_entries", json!(0)),
        ("max_entries", json!(1_u64 << 30)),
        ("secret", json!(SECRET)),
        ("replicas", json!(2)),
        ("dangerously_allow_on_outage", json!(true)),
        ("max_body_bytes", json!(0)),
        ("read_timeout", json!(0)),
    ] {
        let mut section = of_budget(&none());
        section[setting] = value;
        let error = config(&with(&section, &none())).quota_layer().unwrap_err();
        assert_eq!(error.path(), format!("quotas.{setting}"), "{error}");
    }
    for (section, place) in [
        (
            json!({ "budgets": { "a": { "limits": 1 } } }),
            "quotas.budgets.a",
        ),
        (
            json!({ "budgets": { "a": { "per": "you" } } }),
            "quotas.budgets.a.per",
        ),
    ] {
        let error = Config::from_json(&with(&section, &none()).to_string()).unwrap_err();
        assert_eq!(error.path(), place);
    }
}

#[tokio::test]
async fn in_the_engine_of_shared_there_is_a_secret_and_perhaps_a_part_of_each_replica() {
    let shared = json!({ "shared": { "redis": { "url": UNREACHABLE } } });
    let section = |more: Value| {
        let mut section = of_budget(&json!({}));
        let members = more.as_object().unwrap().clone();
        section.as_object_mut().unwrap().extend(members);
        with(&section, &shared)
    };
    let unconnected = config(&section(json!({ "secret": SECRET })));
    assert_eq!(unconnected.quota_layer().unwrap_err().path(), "shared");
    for (more, path) in [
        (json!({}), "quotas.secret"),
        (json!({ "secret": "short" }), "quotas.secret"),
        (
            json!({ "secret": SECRET, "replicas": 6 }),
            "quotas.replicas",
        ),
        (
            json!({ "secret": SECRET, "replicas": 2, "dangerously_allow_on_outage": true }),
            "quotas.dangerously_allow_on_outage",
        ),
    ] {
        let config = config(&section(more)).connect().await.unwrap();
        assert_eq!(config.quota_layer().unwrap_err().path(), path);
    }
    let rows = [
        (json!({ "secret": SECRET }), "Reject", 503),
        (
            json!({ "secret": SECRET, "replicas": 5 }),
            "LocalShare(5)",
            200,
        ),
        (
            json!({ "secret": SECRET, "dangerously_allow_on_outage": true }),
            "Allow",
            200,
        ),
    ];
    for (more, mode, status) in rows {
        let config = config(&section(more)).connect().await.unwrap();
        let layer = config.quota_layer().unwrap().unwrap();
        assert!(format!("{layer:?}").contains(mode), "{layer:?}");
        let answer = ask(&config.stack().unwrap(), call()).await;
        assert_eq!(answer.status, status, "{mode}");
    }
}

fn call() -> http::Request<http_body_util::Full<bytes::Bytes>> {
    http::Request::post("/mcp")
        .header("host", "mcp.example.com")
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.into())
        .unwrap()
}

#[tokio::test]
async fn a_reload_goes_on_with_what_was_counted() {
    let section = |limit: u32, entries: usize| {
        let mut section = of_budget(&json!({ "limit": limit }));
        section["max_entries"] = json!(entries);
        let other = "https://reload-of-quotas.example.com/mcp";
        with(
            &section,
            &json!({ "resource": other, "origin": { "dangerously_any_host": true } }),
        )
    };
    let before = config(&section(2, 100)).stack().unwrap();
    for status in [200, 200, 429] {
        assert_eq!(ask(&before, call()).await.status, status);
    }
    // With another limit as well, and then for what the same bucket is.
    let after = config(&section(2, 100)).stack().unwrap();
    assert_eq!(ask(&after, call()).await.status, 429);
    let after = config(&section(1, 100)).stack().unwrap();
    assert_eq!(ask(&after, call()).await.status, 429);
    // Neither the name of its session nor a further resource makes it another server.
    let mut named = section(2, 100);
    named["session"] = json!({ "key": SECRET, "server": "another" });
    let after = config(&named).stack().unwrap();
    assert_eq!(ask(&after, call()).await.status, 429);
    let mut more = section(2, 100);
    let url = more.as_object_mut().unwrap().remove("resource").unwrap();
    more["resources"] = json!([{ "url": "https://a-further-one.example.com/mcp" }, { "url": url }]);
    let made = config(&more).quota_layer().unwrap().unwrap();
    let layer = config(&section(2, 100)).auth_layer().unwrap();
    let guarded = ServiceBuilder::new().layer(layer).layer(made);
    assert_eq!(ask(&guarded, call()).await.status, 429);
    // Of another size it is another one.
    let after = config(&section(2, 101)).stack().unwrap();
    assert_eq!(ask(&after, call()).await.status, 200);
    drop(before);
}
