//! What a configuration asks of a sign-in.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mcp_auth::mcp::{McpPolicy, McpPolicyBuilder};
use tower_mcp_auth::scopes::{AcrOrder, Requirement, Strength};

use crate::config::{KEY, refused};

fn policy(value: &Value) -> McpPolicy {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn by_hand(set: impl FnOnce(McpPolicyBuilder) -> McpPolicyBuilder) -> String {
    format!("{:?}", set(McpPolicy::builder()).build().unwrap())
}

#[test]
fn a_rule_asks_for_a_sign_in_as_by_hand() {
    let any = Requirement::authenticated;
    let within = |needs: Requirement, seconds: u64| needs.max_age(Duration::from_secs(seconds));
    let cases: [(Value, Requirement); 14] = [
        (
            json!({ "acr": ["a", "b"] }),
            Strength::new().acr(["a", "b"]).unwrap().into(),
        ),
        (
            json!({ "acr": "a b" }),
            Strength::new().acr(["a", "b"]).unwrap().into(),
        ),
        (
            json!({ "acr": ["a"], "amr": ["hwk", "pin"] }),
            Strength::new()
                .acr(["a"])
                .and_then(|s| s.amr(["hwk", "pin"]))
                .unwrap()
                .into(),
        ),
        (
            json!({ "all": ["x"], "acr": ["a"] }),
            Requirement::all(["x"])
                .and_then(|needs| needs.acr(["a"]))
                .unwrap(),
        ),
        (
            json!({ "any": ["x", "y"], "max_age": 60 }),
            Requirement::any(["x", "y"])
                .and_then(|needs| within(needs, 60))
                .unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": 1 }),
            within(any(), 1).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": "300" }),
            within(any(), 300).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": "30s" }),
            within(any(), 30).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": "5m" }),
            within(any(), 300).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": " 5 min " }),
            within(any(), 300).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": "1h 30m" }),
            within(any(), 5400).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": "8h" }),
            within(any(), 28_800).unwrap(),
        ),
        (
            json!({ "authenticated": true, "max_age": "1d1s" }),
            within(any(), 86_401).unwrap(),
        ),
        (
            json!({ "none": false, "deny": false, "authenticated": true, "acr": ["a"] }),
            any().acr(["a"]).unwrap(),
        ),
    ];
    for (rule, needs) in cases {
        let read =
            policy(&json!({ "tools": { "x": rule }, "baseline": { "authenticated": true } }));
        let by_hand = by_hand(|policy| {
            let policy = policy.baseline(any()).unwrap();
            policy.tool("x", needs).unwrap()
        });
        assert_eq!(format!("{read:?}"), by_hand, "{rule}");
        assert!(!read.opens_to_anonymous());
    }
}

#[test]
fn by_an_order_each_rule_accepts_what_is_stronger() {
    let order = AcrOrder::new(["pwd", "mfa", "phr"]).unwrap();
    let at_least = |value: &str| {
        let values: Vec<&str> = order.at_least(value).unwrap().collect();
        let strength = Strength::new().acr(values);
        Requirement::authenticated().and(&strength.unwrap().into())
    };
    let needs = |acr: Value| json!({ "authenticated": true, "acr": acr });
    let read = policy(&json!({
        "acr_order": ["pwd", "mfa", "phr"],
        "baseline": needs(json!(["pwd"])),
        "tools": {
            "pay": needs(json!(["mfa"])),
            "sign": needs(json!(["phr"])),
            // Least demanding first, whatever the order they are written in.
            "either": needs(json!(["phr", "mfa"])),
        },
        "prompts": { "p": needs(json!(["mfa"])) },
        "resources": { "file:///x": needs(json!(["mfa"])) },
        "methods": { "tools/call": needs(json!(["mfa"])) },
        "client_responses": needs(json!(["mfa"])),
        "notifications": needs(json!(["mfa"])),
        "http": { "GET": needs(json!(["mfa"])) },
        "other_http_methods": needs(json!(["mfa"])),
    }));
    let by_hand = by_hand(|policy| {
        let either = Requirement::authenticated().acr(["mfa", "phr"]).unwrap();
        policy
            .baseline(at_least("pwd"))
            .and_then(|policy| policy.tool("pay", at_least("mfa")))
            .and_then(|policy| policy.tool("sign", at_least("phr")))
            .and_then(|policy| policy.tool("either", either))
            .and_then(|policy| policy.prompt("p", at_least("mfa")))
            .and_then(|policy| policy.resource("file:///x", at_least("mfa")))
            .and_then(|policy| policy.method("tools/call", at_least("mfa")))
            .and_then(|policy| policy.client_responses(at_least("mfa")))
            .and_then(|policy| policy.notifications(at_least("mfa")))
            .and_then(|policy| policy.http(http::Method::GET, at_least("mfa")))
            .and_then(|policy| policy.other_http_methods(at_least("mfa")))
            .unwrap()
    });
    assert_eq!(format!("{read:?}"), by_hand);
}

#[test]
fn what_means_nothing_is_refused_by_its_name() {
    let auth = |strength: Value| {
        let keys = json!({ "keys": [{ "key": KEY }] });
        json!({ "api_keys": keys, "auth": { "required_strength": strength } })
    };
    for (wrong, path, says) in [
        (json!({ "acr": [] }), "policy.tools.x", "acr"),
        (json!({ "acr": "" }), "policy.tools.x", "acr"),
        (json!({ "acr": ["a b"] }), "policy.tools.x", "acr"),
        (json!({ "acr": 5 }), "policy.tools.x", ""),
        (json!({ "acr": null }), "policy.tools.x", ""),
        (json!({ "amr": ["hwk"] }), "policy.tools.x", "`acr`"),
        (
            json!({ "max_age": "5m", "amr": ["hwk"] }),
            "policy.tools.x",
            "`acr`",
        ),
        (json!({ "acr": ["a"], "amr": [] }), "policy.tools.x", "amr"),
        (json!({ "max_age": 0 }), "policy.tools.x", "max_age"),
        (json!({ "max_age": "0s" }), "policy.tools.x", "max_age"),
        (json!({ "max_age": -1 }), "policy.tools.x", ""),
        (json!({ "max_age": "5 apples" }), "policy.tools.x", ""),
        (json!({ "max_age": "" }), "policy.tools.x", ""),
        (
            json!({ "max_age": "99999999999999999999s" }),
            "policy.tools.x",
            "",
        ),
        (
            json!({ "max_age": "9999999999999999999d" }),
            "policy.tools.x",
            "",
        ),
        (json!({ "max_age": 1.5 }), "policy.tools.x", ""),
        (
            json!({ "none": true, "acr": ["a"] }),
            "policy.tools.x",
            "contradict",
        ),
        (
            json!({ "deny": true, "max_age": 5 }),
            "policy.tools.x",
            "no effect",
        ),
    ] {
        let error = refused(&json!({ "policy": { "tools": { "x": wrong } } }));
        assert!(error.path().starts_with(path), "{wrong}: {error}");
        assert!(error.to_string().contains(says), "{wrong}: {error}");
        if wrong.get("none").is_none() && wrong.get("deny").is_none() {
            let error = refused(&auth(wrong.clone()));
            assert!(
                error.path().starts_with("auth.required_strength"),
                "{wrong}: {error}"
            );
        }
    }
    let error = refused(&auth(json!({})));
    assert!(
        error.path().starts_with("auth.required_strength"),
        "{error}"
    );
    for order in [
        json!([]),
        json!(["a", "a"]),
        json!(["a b"]),
        json!(""),
        json!(5),
    ] {
        let error = refused(&json!({ "policy": { "acr_order": order } }));
        assert!(error.path().starts_with("policy"), "{order}: {error}");
    }
}

/// A value without a place is a slip of the pen, which no caller would meet. Without an order each
/// value stands for itself.
#[test]
fn a_value_that_the_order_does_not_have_is_refused() {
    let needs = |acr: Value| json!({ "authenticated": true, "acr": acr });
    for acr in [json!(["mfs"]), json!(["mfa", "mfs"]), json!("mfs phr")] {
        for (setting, rules) in [
            ("baseline", needs(acr.clone())),
            ("client_responses", needs(acr.clone())),
            ("notifications", needs(acr.clone())),
            ("other_http_methods", needs(acr.clone())),
            ("methods", json!({ "tools/list": needs(acr.clone()) })),
            ("tools", json!({ "pay": needs(acr.clone()) })),
            ("prompts", json!({ "pay": needs(acr.clone()) })),
            ("resources", json!({ "file:///x": needs(acr.clone()) })),
            ("http", json!({ "GET": needs(acr.clone()) })),
        ] {
            let order = json!(["pwd", "mfa", "phr"]);
            let error = refused(&json!({ "policy": { "acr_order": order, setting: rules } }));
            assert!(error.path().starts_with("policy"), "{setting}: {error}");
            let text = error.to_string();
            for says in [setting, "\"mfs\"", "`acr_order`"] {
                assert!(text.contains(says), "{setting}: {text}");
            }
            policy(&json!({ setting: rules }));
        }
    }
}

#[test]
fn what_no_caller_can_meet_is_refused() {
    let needs = |acr: &str| json!({ "authenticated": true, "acr": [acr] });
    let error = refused(&json!({
        "policy": { "baseline": needs("a"), "tools": { "x": needs("b") } },
    }));
    assert!(error.path().starts_with("policy"), "{error}");
    assert!(error.to_string().contains("none in common"), "{error}");

    let error = refused(&json!({
        "api_keys": { "keys": [{ "key": KEY }] },
        "auth": { "required_strength": { "acr": ["a"] } },
        "policy": { "tools": { "x": needs("b") } },
    }));
    assert_eq!(error.path(), "policy.tools");
    assert!(error.to_string().contains("none in common"), "{error}");
}
