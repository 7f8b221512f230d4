//! What bounds one issuer bounds all tenants together too.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::JwksOptions;

use crate::oauth::support::*;

const TENANTS: usize = 40;

fn issuer(tenant: usize) -> String {
    format!("https://login.example/t{tenant}/v2.0")
}

/// Tenants that all sign with `key`.
fn guarded(web: &Web, key: &Key, limits: JwksOptions) -> Guarded {
    for tenant in 0..TENANTS {
        let issuer = issuer(tenant);
        let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
        let well_known = "https://login.example/.well-known/oauth-authorization-server";
        web.set(
            &format!("{well_known}/t{tenant}/v2.0"),
            Page::Json(document),
        );
        web.set(&format!("{issuer}/keys"), Page::Json(key_set(&[key])));
    }
    let mut guarded = Guarded::new(web);
    let tenants = (0..TENANTS).map(|tenant| format!("t{tenant}"));
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .issuer_template("https://login.example/{tenant}/v2.0", tenants, Ok)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .jwks_options(limits)
        .build()
        .unwrap();
    guarded
}

/// How many key sets were fetched.
fn fetches(web: &Web) -> usize {
    let log = web.log();
    log.iter().filter(|url| url.ends_with("/keys")).count()
}

fn token(key: &Key, tenant: usize) -> String {
    key.token(json!({"iss": issuer(tenant)}))
}

async fn accept(guarded: &Guarded, key: &Key, tenant: usize) {
    let answer = guarded.bearer(&token(key, tenant)).await;
    answer.assert(200, "accepted");
}

#[tokio::test]
async fn forged_ids_of_many_tenants_share_one_budget() {
    let key = Key::new("a");
    let web = Web::new();
    let guarded = guarded(&web, &key, JwksOptions::new());
    for tenant in 0..TENANTS {
        accept(&guarded, &key, tenant).await;
    }
    assert_eq!(fetches(&web), TENANTS);
    for second in 0..45 {
        let most = TENANTS + 30 + second;
        for tenant in 0..TENANTS {
            let header = json!({"kid": format!("{second}")});
            let forged = key.token_with_header(header, json!({"iss": issuer(tenant)}));
            guarded.bearer(&forged).await.assert(401, "unknown_key");
        }
        assert!(fetches(&web) <= most, "second {second}");
        guarded.advance(1);
    }
    // As many as there may be, for whichever tenant.
    assert!(fetches(&web) > TENANTS + 60, "{}", fetches(&web));
    accept(&guarded, &key, 7).await;
}

#[tokio::test]
async fn the_budget_of_all_can_be_set() {
    let key = Key::new("a");
    let web = Web::new();
    let limits = JwksOptions::new().total_unknown_key_fetches(2);
    let guarded = guarded(&web, &key, limits);
    for tenant in 0..4 {
        accept(&guarded, &key, tenant).await;
    }
    guarded.advance(5);
    for tenant in 0..4 {
        let claims = json!({"iss": issuer(tenant), "iat": START.as_secs() + 3});
        let forged = key.token_with_header(json!({"kid": "x"}), claims);
        let answer = guarded.bearer(&forged).await;
        if tenant < 2 {
            answer.assert(401, "unknown_key");
        } else {
            answer.assert(503, "keys_unavailable");
            assert_eq!(answer.retry_after(), Some(15));
        }
    }
    assert_eq!(fetches(&web), 4 + 2);
}

#[tokio::test]
async fn requests_that_wait_are_bounded_for_all_together() {
    let key = Key::new("a");
    let web = Web::new();
    let limits = JwksOptions::new().max_waiting_requests(2).total_waiting(5);
    let guarded = guarded(&web, &key, limits);
    web.hold(true);
    let mut context = Context::from_waker(Waker::noop());
    let (mut waiting, mut refused) = (Vec::new(), Vec::new());
    for tenant in 0..4 {
        for _ in 0..3 {
            let (guarded, own) = (guarded.clone(), token(&key, tenant));
            let mut request = Box::pin(async move { guarded.bearer(&own).await });
            match request.as_mut().poll(&mut context) {
                Poll::Pending => waiting.push(request),
                Poll::Ready(answer) => {
                    answer.assert(503, "keys_limited");
                    refused.push((tenant, answer.detail().contains("together")));
                }
            }
        }
    }
    assert_eq!(waiting.len(), 5);
    let by_all = [(2, true), (2, true), (3, true), (3, true), (3, true)];
    assert_eq!(refused[..2], [(0, false), (1, false)]);
    assert_eq!(refused[2..], by_all);
    // A place that is left is free again.
    drop(waiting.pop());
    let own = token(&key, 3);
    let mut next = Box::pin(guarded.bearer(&own));
    assert!(next.as_mut().poll(&mut context).is_pending());
    web.hold(false);
    next.await.assert(200, "accepted");
    for request in waiting {
        request.await.assert(200, "accepted");
    }
    for tenant in 0..TENANTS {
        accept(&guarded, &key, tenant).await;
    }
}

#[tokio::test]
async fn keys_held_are_bounded_for_all_together() {
    let key = Key::new("a");
    let web = Web::new();
    let guarded = guarded(&web, &key, JwksOptions::new().total_keys(3));
    for tenant in 0..3 {
        accept(&guarded, &key, tenant).await;
    }
    let full = guarded.bearer(&token(&key, 3)).await;
    full.assert(503, "keys_unavailable");
    assert!(full.detail().contains("total_keys"), "{}", full.detail());
    // Those in use are not pushed out, and are refreshed.
    for _ in 0..40 {
        for tenant in [1, 2] {
            accept(&guarded, &key, tenant).await;
        }
        settle().await;
        guarded.clock.advance(Duration::from_secs(20));
    }
    // One that sat idle past its lifetime makes way.
    for tenant in [3, 1, 2] {
        accept(&guarded, &key, tenant).await;
    }
    let full = guarded.bearer(&token(&key, 0)).await;
    full.assert(503, "keys_unavailable");
}

/// The ids of keys are as long as a server likes.
#[tokio::test]
async fn bytes_held_are_bounded_for_all_together() {
    let key = Key::new("a");
    let mut long = Key::new("b").jwk();
    long["kid"] = json!("k".repeat(16 * 1024));
    let web = Web::new();
    let guarded = guarded(&web, &key, JwksOptions::new().total_keys(4));
    let keys = format!("{}/keys", issuer(1));
    web.set(&keys, Page::Json(json!({"keys": [key.jwk(), long]})));
    accept(&guarded, &key, 0).await;
    let full = guarded.bearer(&token(&key, 1)).await;
    full.assert(503, "keys_unavailable");
    assert!(full.detail().contains("bytes"), "{}", full.detail());
    for tenant in [2, 3] {
        accept(&guarded, &key, tenant).await;
    }
    web.set(&keys, Page::Json(key_set(&[&key])));
    guarded.advance(1);
    accept(&guarded, &key, 1).await;
}
