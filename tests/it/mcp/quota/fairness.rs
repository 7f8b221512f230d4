//! What one caller uses up is not taken from others.

use std::time::Duration;

use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::mcp::QuotaLayer;
use tower_mcp_auth::store::MemoryQuotaStore;

use common::ask;

use super::support::{FlakyQuotas, MINUTE, behind, budget, clock, from, left, limit, send, tool};
use crate::mcp::support::call;

const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";

/// A tenant has eight a minute at all replicas, and each caller some of them here.
fn of_tenants(store: &FlakyQuotas) -> QuotaLayer {
    let tenant = budget("tenants", 8).tenant_claim("org_id").unwrap();
    let layer = QuotaLayer::shared(store.clone(), SECRET).unwrap();
    layer.clock(clock()).budget(tenant).unwrap()
}

/// All of them are under way before the store has answered the first.
#[tokio::test]
async fn what_a_local_budget_refuses_is_not_charged_to_the_shared_one() {
    let store = FlakyQuotas::new(&clock());
    let quotas = of_tenants(&store)
        .budget(budget("callers", 2).local())
        .unwrap();
    let one = || tool(&quotas, "sub~alice.org~x", "search");
    let (a, b, c, d, e) = tokio::join!(one(), one(), one(), one(), one());
    assert_eq!([a, b, c, d, e], [200, 200, 429, 429, 429]);
    assert_eq!(store.asked(), 2);
    assert_eq!(left(&of_tenants(&store), "sub~bob.org~x").await, 6);
}

/// Nor does what the shared one refuses take room here from those that it admits.
#[tokio::test]
async fn what_the_shared_budget_refuses_is_not_charged_to_the_local_one() {
    let store = FlakyQuotas::new(&clock());
    let machine = budget("machine", 10).local().shared_by_all().unwrap();
    let quotas = of_tenants(&store).budget(machine).unwrap();
    assert_eq!(left(&of_tenants(&store), "org~x").await, 8);
    for _ in 0..20 {
        assert_eq!(tool(&quotas, "org~x", "search").await, 429);
    }
    let one = || tool(&quotas, "org~x", "search");
    assert_eq!(tokio::join!(one(), one(), one()), (429, 429, 429));
    assert_eq!(left(&quotas, "org~y").await, 8);
    assert_eq!(left(&quotas, "org~z").await, 2);
}

#[tokio::test]
async fn whom_there_is_no_room_for_here_is_not_charged_elsewhere() {
    let (clock, store) = (clock(), FlakyQuotas::new(&clock()));
    let memory = MemoryQuotaStore::new(1).clock(clock.clone());
    let quotas = of_tenants(&store)
        .memory(memory)
        .budget(budget("callers", 5).local())
        .unwrap();
    assert_eq!(tool(&quotas, "sub~alice.org~x", "search").await, 200);
    for _ in 0..3 {
        let answer = send(&quotas, "sub~bob.org~x", &call("search")).await;
        answer.refused(AuthErrorKind::Unavailable, "quota_store_full");
    }
    assert_eq!(store.asked(), 1);
    assert_eq!(left(&of_tenants(&store), "sub~bob.org~x").await, 7);
}

/// A caller that hangs up is not served. Until then what is set aside is not free, nor is its bucket.
#[tokio::test]
async fn what_was_set_aside_is_free_again_once_the_caller_hangs_up() {
    let (clock, store) = (clock(), FlakyQuotas::new(&clock()));
    let memory = MemoryQuotaStore::new(1).clock(clock.clone());
    let quotas = of_tenants(&store)
        .memory(memory)
        .budget(budget("callers", 1).local())
        .unwrap();
    let mut asked = tokio_test::task::spawn(tool(&quotas, "sub~alice.org~x", "search"));
    assert!(asked.poll().is_pending());
    assert_eq!(store.asked(), 1);
    assert_eq!(tool(&quotas, "sub~alice.org~x", "search").await, 429);
    // Time alone does not make it free.
    clock.advance(MINUTE * 2);
    assert_eq!(tool(&quotas, "sub~alice.org~x", "search").await, 429);
    assert_eq!(tool(&quotas, "sub~bob.org~x", "search").await, 503);
    drop(asked);
    clock.advance(Duration::from_millis(1));
    assert_eq!(tool(&quotas, "sub~bob.org~x", "search").await, 200);
    assert_eq!(tool(&quotas, "sub~bob.org~x", "search").await, 429);
    assert_eq!(store.asked(), 2);
}

/// The shared budget was not asked: nothing is said of it.
#[tokio::test]
async fn a_refusal_shows_the_budgets_that_are_known() {
    let store = FlakyQuotas::new(&clock());
    let quotas = of_tenants(&store)
        .budget(budget("callers", 1).local())
        .unwrap();
    assert_eq!(tool(&quotas, "sub~alice.org~x", "search").await, 200);
    let answer = send(&quotas, "sub~alice.org~x", &call("search")).await;
    answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
    assert_eq!(answer.headers["ratelimit"], "\"callers\";r=0;t=60");
    assert_eq!(answer.headers["ratelimit-policy"], "\"callers\";q=1;w=60");
    let quotas = of_tenants(&store).dangerously_allow_on_outage().unwrap();
    let quotas = quotas.headers_on_success(true);
    store.fail(true);
    let answer = send(&quotas, "sub~alice.org~x", &call("search")).await;
    answer.admitted();
    assert!(!answer.headers.contains_key("ratelimit"));
}

/// There are more addresses than tokens.
#[tokio::test]
async fn anonymous_callers_take_no_room_from_those_with_a_token() {
    for entries in [16, 4096] {
        let clock = clock();
        let quotas = limit(1, &clock);
        let quotas = quotas.memory(MemoryQuotaStore::new(entries).clock(clock.clone()));
        let service = behind(&quotas);
        let mut statuses = std::collections::BTreeMap::new();
        for number in 0..entries * 2 {
            let address = format!("2001:db8:{:x}:{:x}::1", number / 65_536, number % 65_536);
            let answer = ask(&service, from(Some(&address), &[])).await;
            *statuses.entry(answer.status.as_u16()).or_insert(0_usize) += 1;
        }
        assert_eq!(statuses[&200], entries / 2);
        assert_eq!(statuses[&503], entries * 3 / 2);
        for number in 0..entries / 4 {
            let token = format!("sub~user-{number}");
            assert_eq!(tool(&quotas, &token, "search").await, 200, "{token}");
            assert_eq!(tool(&quotas, &token, "search").await, 429, "{token}");
        }
    }
}
