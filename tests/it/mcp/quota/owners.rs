//! Who has a bucket with whom, and which ids are warned of.

use common::{ask, trace};
use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::peer::{ProxyHeaders, TrustedProxies};
use tracing::Level;

use super::support::{behind, budget, clock, from, left, limit, send, tool, with};
use crate::mcp::support::call;

#[tokio::test]
async fn callers_are_counted_by_what_they_cannot_multiply() {
    let by_caller = || budget("calls", 1);
    let by_tenant = || by_caller().tenant_claim("org_id").unwrap();
    let by_client = || by_caller().per_client().unwrap();
    let by_all = || by_caller().shared_by_all().unwrap();
    let rows: &[(&dyn Fn() -> Budget, &str, &str, bool)] = &[
        // Another client, or another token, is no other subject.
        (&by_caller, "sub~alice.client~a", "sub~alice.client~b", true),
        (&by_caller, "sub~alice.jti~1", "sub~alice.jti~2", true),
        (&by_caller, "sub~alice", "sub~bob", false),
        (&by_caller, "sub~alice.iss~a", "sub~alice.iss~b", false),
        (&by_caller, "sub~alice", "user~alice", false),
        (&by_caller, "client~a.jti~1", "client~a.jti~2", true),
        (&by_caller, "client~a", "client~b", false),
        (&by_caller, "client~alice", "sub~alice", false),
        (&by_caller, "jti~1", "jti~2", false),
        // A tenant does not count unless it was named.
        (&by_caller, "sub~alice.org~x", "sub~bob.org~x", false),
        (&by_tenant, "sub~alice.org~x", "sub~bob.org~x", true),
        (&by_tenant, "sub~alice.org~7", "sub~bob.org~7", true),
        (&by_tenant, "sub~alice.org~x", "sub~alice.org~y", false),
        (&by_tenant, "iss~a.org~x", "iss~b.org~x", false),
        (&by_tenant, "sub~x", "sub~alice.org~x", false),
        (&by_tenant, "sub~alice", "sub~alice.client~a", true),
        (&by_tenant, "sub~alice.orgs~x", "sub~bob.orgs~x", false),
        (&by_client, "sub~alice.client~a", "sub~bob.client~a", true),
        (
            &by_client,
            "sub~alice.client~a",
            "sub~alice.client~b",
            false,
        ),
        (&by_client, "sub~alice", "sub~bob", false),
        (&by_all, "sub~alice.iss~a", "client~b.iss~c", true),
    ];
    for (budget, one, other, same) in rows {
        let quotas = with([budget()], &clock());
        assert_eq!(tool(&quotas, one, "search").await, 200, "{one}");
        let expected = if *same { 429 } else { 200 };
        assert_eq!(
            tool(&quotas, other, "search").await,
            expected,
            "{one} {other}"
        );
        // Another caller is counted as before.
        assert_eq!(tool(&quotas, one, "search").await, 429, "{one}");
    }
}

#[tokio::test]
async fn a_tenant_can_be_required() {
    let own = budget("calls", 1).tenant_claim("org_id").unwrap();
    let quotas = with([own.require_tenant().unwrap()], &clock());
    for token in ["sub~alice", "sub~alice.orgs~x", "sub~alice.org~"] {
        let answer = send(&quotas, token, &call("search")).await;
        answer.refused(AuthErrorKind::Forbidden, "missing_tenant");
    }
    assert_eq!(tool(&quotas, "sub~alice.org~x", "search").await, 200);
}

#[tokio::test]
async fn anonymous_callers_are_counted_by_address() {
    for (one, other, same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true),
        ("64:ff9b::192.0.2.1", "192.0.2.1", true),
    ] {
        let quotas = limit(1, &clock());
        let asked = async |address| {
            let answer = ask(&behind(&quotas), from(Some(address), &[])).await;
            answer.status.as_u16()
        };
        assert_eq!(asked(one).await, 200);
        assert_eq!(
            asked(other).await,
            if same { 429 } else { 200 },
            "{one} {other}"
        );
        // An address is no principal.
        let named = format!("sub~{}", one.replace(':', "-"));
        assert_eq!(tool(&quotas, &named, "search").await, 200);
    }
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_counted_and_no_header_of_its_own() {
    let proxies = TrustedProxies::new(ProxyHeaders::XForwarded, ["10.0.0.7"]).unwrap();
    let quotas = limit(1, &clock()).trusted_proxies(proxies);
    let asked = async |peer, client| {
        let headers = [("x-forwarded-for", client)];
        let answer = ask(&behind(&quotas), from(Some(peer), &headers)).await;
        answer.status.as_u16()
    };
    assert_eq!(asked("10.0.0.7", "192.0.2.1").await, 200);
    assert_eq!(asked("10.0.0.7", "192.0.2.1").await, 429);
    assert_eq!(asked("10.0.0.7", "192.0.2.2").await, 200);
    // Who is no proxy is the client, whatever it says.
    assert_eq!(asked("192.0.2.3", "192.0.2.4").await, 200);
    assert_eq!(asked("192.0.2.3", "192.0.2.5").await, 429);
    assert_eq!(asked("10.0.0.7", "nonsense;").await, 400);
}

#[tokio::test]
async fn anonymous_callers_without_an_address_are_counted_together_and_told_of_once() {
    let quotas = limit(2, &clock());
    trace::start();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = ask(&behind(&quotas), from(None, &[])).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
    let told = trace::take();
    let told: Vec<_> = told
        .iter()
        .filter(|event| event.level == Level::WARN)
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].field("budget"), "calls");
}

#[tokio::test]
async fn a_budget_can_be_for_callers_with_a_principal_or_for_those_without() {
    let clock = clock();
    let quotas = with(
        [
            budget("visitors", 1).only_anonymous(),
            budget("users", 3).only_authenticated(),
        ],
        &clock,
    );
    let visitor = || from(Some("192.0.2.1"), &[]);
    ask(&behind(&quotas), visitor()).await.admitted();
    let refused = ask(&behind(&quotas), visitor()).await;
    let told = "The budget visitors is used up";
    assert_eq!(refused.error().description(), told);
    assert_eq!(left(&quotas, "sub~alice").await, 3);
}

/// A caller that can make ids has as many budgets as ids.
#[tokio::test]
async fn ids_that_callers_can_multiply_are_warned_of_once() {
    let warned = |told: &[trace::Traced]| -> Vec<[String; 2]> {
        let told = told.iter().filter(|event| event.level == Level::WARN);
        let fields = |event: &trace::Traced| ["budget", "id"].map(|name| event.field(name).into());
        told.map(fields).collect()
    };
    trace::start();
    let quotas = limit(9, &clock());
    assert_eq!(warned(&trace::take()), [[""; 2]; 0]);
    for (token, id) in [
        ("sub~alice.client~a", None),
        ("user~alice", None),
        ("jti~1", Some("credential")),
        ("jti~2", None),
    ] {
        assert_eq!(tool(&quotas, token, "search").await, 200);
        let expected = id.map(|id| ["calls".to_owned(), id.to_owned()]);
        assert_eq!(warned(&trace::take()), Vec::from_iter(expected), "{token}");
    }
    let quotas = limit(9, &clock());
    assert_eq!(tool(&quotas, "client~a", "search").await, 200);
    let told = trace::take();
    assert_eq!(warned(&told), [["calls", "client"]]);
    let fix = told.iter().find(|event| event.level == Level::WARN);
    assert!(fix.unwrap().field("fix").contains("subject"));
    // It is known when the layer is made.
    let per_client = budget("clients", 9).per_client().unwrap();
    let quotas = QuotaLayer::in_memory().budget(per_client).unwrap();
    assert_eq!(warned(&trace::take()), [["clients", "client"]]);
    assert_eq!(tool(&quotas, "sub~alice.client~a", "search").await, 200);
    assert_eq!(warned(&trace::take()), [[""; 2]; 0]);
}
