//! Several that ask together: what is accepted by all of them.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_mcp_auth::Principal;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer, McpStack, PolicyDecision};
use tower_mcp_auth::scopes::{AcrOrder, RequireScopesLayer, Requirement, Strength};

use super::{auth, bearer, challenge, mfa, outcome};
use crate::mcp::support::{call, message, origin, request};
use common::{ask, clock, request_to};

fn acr(values: &[&str]) -> Strength {
    Strength::new().acr(values).unwrap()
}

fn needs(values: &[&str]) -> Requirement {
    acr(values).into()
}

const VALUES: [&str; 4] = ["pwd", "mfa", "phr", "phrh"];
const METHODS: [&str; 2] = ["hwk", "pin"];
/// Ages are far from each other, so that no time passes from one to the next meanwhile.
const STEP: u64 = 10_000;

fn strengths() -> impl Strategy<Value = Strength> {
    let acr = prop::option::of(subsequence(VALUES.to_vec(), 1..=4).prop_shuffle());
    let amr = subsequence(METHODS.to_vec(), 0..=2);
    let max_age = prop::option::of(1..4_u64);
    (acr, amr, max_age).prop_map(|(acr, amr, max_age)| {
        let mut strength = Strength::new();
        if let Some(acr) = acr {
            strength = strength.acr(acr).unwrap();
            if !amr.is_empty() {
                strength = strength.amr(amr).unwrap();
            }
        }
        match max_age {
            Some(steps) => strength.max_age(Duration::from_secs(steps * STEP)).unwrap(),
            None => strength,
        }
    })
}

fn principals() -> impl Strategy<Value = Principal> {
    let acr = prop::option::of(select(VALUES.to_vec()));
    let amr = subsequence(METHODS.to_vec(), 0..=2);
    let age = prop::option::of(0..4_u64);
    let subject = select(vec!["alice", "app"]);
    (acr, amr, age, subject).prop_map(|(acr, amr, age, subject)| {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let auth_time = age.map(|steps| now.as_secs() - steps * STEP - STEP / 2);
        let claims = json!({ "acr": acr, "amr": amr, "auth_time": auth_time });
        Principal::builder("oauth")
            .subject(subject)
            .client_id("app")
            .claims(claims.as_object().unwrap())
            .build()
    })
}

fn meets(principal: &Principal, strength: &Strength) -> bool {
    Requirement::from(strength.clone())
        .require(principal)
        .is_ok()
}

proptest! {
    #[test]
    fn a_join_is_met_by_what_meets_both_and_by_nothing_else(
        one in strengths(),
        other in strengths(),
        third in strengths(),
        principal in principals(),
    ) {
        let join = one.clone().and(&other);
        let both = meets(&principal, &one) && meets(&principal, &other);
        prop_assert_eq!(meets(&principal, &join), both);
        let turned = other.clone().and(&one);
        prop_assert_eq!(meets(&principal, &turned), both);

        let left = join.and(&third);
        let right = one.clone().and(&other.and(&third));
        prop_assert_eq!(left, right);
        prop_assert_eq!(one.clone().and(&one), one.clone());
        prop_assert_eq!(one.clone().and(&Strength::new()), one.clone());
        prop_assert_eq!(Strength::new().and(&one), one);
    }
}

#[test]
fn by_an_order_the_stronger_of_two_is_what_both_accept() {
    let order = AcrOrder::new(VALUES).unwrap();
    let at_least = |value: &str| acr(&order.at_least(value).unwrap().collect::<Vec<_>>());
    for (weaker, low) in VALUES.iter().enumerate() {
        for high in &VALUES[weaker..] {
            let (low, high) = (at_least(low), at_least(high));
            assert_eq!(low.clone().and(&high), high);
            assert_eq!(high.clone().and(&low), high);
        }
    }
    assert!(order.at_least("gold").is_err());
    for bad in [
        &["a", "a"][..],
        &[],
        &[""],
        &["a b"],
        &["a,"],
        &["\""],
        &["ä"],
    ] {
        assert_eq!(
            AcrOrder::new(bad).unwrap_err().setting(),
            "acr_order",
            "{bad:?}"
        );
    }
}

#[test]
fn what_no_sign_in_can_meet_is_not_built() {
    let neither = || needs(&["a"]).and(&needs(&["b"]));
    let setting = |built: Result<(), tower_mcp_auth::ConfigError>| built.unwrap_err().setting();
    assert_eq!(setting(acr(&["a"]).acr(["b"]).map(drop)), "acr");
    assert_eq!(setting(RequireScopesLayer::new(neither()).map(drop)), "acr");
    let joined = acr(&["a"]).and(&acr(&["b"]));
    let layer = auth(&clock()).required_strength(joined);
    assert_eq!(setting(layer.map(drop)), "required_strength");
    let nothing = auth(&clock()).required_strength(Strength::new());
    assert_eq!(setting(nothing.map(drop)), "required_strength");

    let policy = || McpPolicy::builder().baseline(needs(&["a", "c"])).unwrap();
    let policies = [
        ("tools", policy().tool("t", needs(&["b"]))),
        ("tools", policy().tool("t", neither())),
        (
            "tools",
            policy()
                .tool("t_*", needs(&["a"]))
                .and_then(|p| p.method("tools/*", needs(&["c"]))),
        ),
        ("prompts", policy().prompt("p", needs(&["b"]))),
        (
            "prompts",
            policy()
                .prompt("p", needs(&["a"]))
                .and_then(|p| p.method("completion/complete", needs(&["c"]))),
        ),
        ("resources", policy().resource("file:///x", needs(&["b"]))),
        ("methods", policy().method("ping", needs(&["b"]))),
        ("notifications", policy().notifications(needs(&["b"]))),
        ("client_responses", policy().client_responses(needs(&["b"]))),
        ("http", policy().http(http::Method::GET, needs(&["b"]))),
        (
            "other_http_methods",
            policy().other_http_methods(needs(&["b"])),
        ),
        ("baseline", policy().baseline(neither())),
    ];
    for (expected, policy) in policies {
        let error = policy.unwrap().build().unwrap_err();
        assert_eq!(error.setting(), expected, "{error}");
        assert!(error.to_string().contains("have none in common"), "{error}");
    }
    // What is denied is not asked for a sign-in.
    let denied = policy().tool("t", needs(&["b"]).and(&Requirement::deny()));
    denied.unwrap().build().unwrap();

    let policy = policy().tool("t", needs(&["c"])).unwrap().build().unwrap();
    let layer = |values: &[&str]| auth(&clock()).required_strength(acr(values)).unwrap();
    let _ = McpStack::new(origin(), layer(&["c"]))
        .policy(policy.clone())
        .unwrap();
    let excluded = McpStack::new(origin(), layer(&["a"])).policy(policy);
    assert_eq!(excluded.map(drop).unwrap_err().setting(), "tools");
}

#[tokio::test]
async fn all_that_an_operation_falls_under_asks_in_one_challenge() {
    let day = Duration::from_secs(86_400);
    let policy = McpPolicy::builder()
        .include_granted(false)
        .baseline(needs(&["pwd", "mfa", "phr"]).max_age(day).unwrap())
        .and_then(|policy| policy.tool("pay", needs(&["mfa", "phr"]).max_age(day / 2)?))
        .and_then(|policy| policy.tool("sign", needs(&["phr", "phrh"])))
        .and_then(|policy| policy.tool("lend", needs(&["mfa"])))
        .map(|policy| {
            policy.check(|call| match call.arguments().map(|all| &all["large"]) {
                Some(large) if *large == true => PolicyDecision::Require(needs(&["phr"])),
                _ => PolicyDecision::Allow,
            })
        })
        .and_then(|policy| policy.build())
        .unwrap();
    let layer = Strength::new().max_age(Duration::from_secs(3600)).unwrap();
    let layer = auth(&clock()).required_strength(layer.and(&mfa())).unwrap();
    let stack = ServiceBuilder::new()
        .layer(layer)
        .layer(McpScopesLayer::new(policy));
    let large = |tool: &str| {
        let params = json!({ "name": tool, "arguments": { "large": true } });
        request("tools/call", &params)
    };
    let batch = |first: &str, second: &str| {
        let both: [Value; 2] = [first, second].map(|body| serde_json::from_str(body).unwrap());
        json!(both).to_string()
    };
    // What the layer accepts is part of what is asked further in.
    for (body, asked) in [
        (call("sign"), Some("acr_values=\"phr\", max_age=\"3600\"")),
        (large("pay"), Some("acr_values=\"phr\", max_age=\"3600\"")),
        (
            batch(&call("pay"), &call("sign")),
            Some("acr_values=\"phr\", max_age=\"3600\""),
        ),
        (call("pay"), None),
        (call("lend"), None),
    ] {
        let headers = [("authorization", &*bearer(json!({"acr": "mfa"})))];
        let answer = ask(&stack, message(&body, &headers)).await;
        match asked {
            Some(asked) => assert_eq!(answer.challenges(), [challenge(asked)], "{body}"),
            None => drop(answer.admitted()),
        }
    }
    // Together they accept nothing: no sign-in helps.
    for body in [large("lend"), batch(&call("lend"), &call("sign"))] {
        for own in ["mfa", "phr"] {
            let headers = [("authorization", &*bearer(json!({"acr": own})))];
            let answer = ask(&stack, message(&body, &headers)).await;
            assert_eq!(answer.status, 403, "{body}");
            assert_eq!(outcome(&answer), "operation_denied", "{body}");
            assert!(answer.challenges().is_empty());
            let detail = answer.error().detail().unwrap();
            assert!(detail.contains("none in common"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_handler_asks_together_with_its_layer() {
    let layer = auth(&clock()).required_strength(mfa()).unwrap();
    let request = request_to("/mcp", &[("authorization", bearer(json!({"acr": "mfa"})))]);
    let answer = ask(&layer, request).await;
    let principal = answer.principal();
    let error = needs(&["phrh", "phr"]).require(principal).unwrap_err();
    assert_eq!(error.clone().into_response().status(), 401);
    assert!(error.error().acr_values().eq(["phr"]));
    let error = needs(&["phrh"]).require(principal).unwrap_err();
    assert_eq!(error.error().reason(), "operation_denied");
    assert_eq!(error.into_response().status(), 403);
}
