//! The longest, the shortest and the oddest: limits, names of tenants, methods, bodies, and one layer
//! inside another.

use std::time::Duration;

use bytes::Bytes;
use common::{Answering, ask, trace};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::layer::util::Stack;
use tower_mcp_auth::Principal;
use tower_mcp_auth::auth::{AuthLayer, Authenticated, Authentication};
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tracing::Level;

use super::support::{behind, budget, clock, left, limit, send, tool, with};
use crate::mcp::support::{call, post};

const SECOND: Duration = Duration::from_secs(1);
const MONTH: Duration = Duration::from_secs(31 * 86_400);

#[test]
fn limits_that_no_clock_or_number_holds_are_refused() {
    let new = |count, window| Budget::new("calls", count, window);
    let rows = [
        (new(0, SECOND), "limit"),
        (new(1, Duration::ZERO), "window"),
        (new(1, Duration::from_nanos(1)), "window"),
        (new(1, Duration::from_micros(999)), "window"),
        (new(1, Duration::MAX), "window"),
        (new(1, MONTH + Duration::from_nanos(1)), "window"),
        (new(u32::MAX, SECOND), "limit"),
        (new(11, Duration::from_millis(1)), "limit"),
        (new(1, SECOND).and_then(|own| own.burst(0)), "burst"),
        (new(1, SECOND).and_then(|own| own.burst(u32::MAX)), "burst"),
        (new(1, MONTH).and_then(|own| own.burst(13)), "burst"),
    ];
    for (row, setting) in rows {
        let error = row.unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
    }
    let sixteen = (0..16).fold(QuotaLayer::in_memory(), |layer, number| {
        layer.budget(budget(&format!("b{number}"), 1)).unwrap()
    });
    let error = sixteen.budget(budget("one-more", 1)).unwrap_err();
    assert!(error.to_string().contains("16"), "{error}");
}

/// The value of a parameter of a member of a list: RFC 9651, section 3.1. Integers have up to fifteen digits.
fn parsed(value: &str, wanted: [&str; 2]) -> Vec<(String, [u64; 2])> {
    let member = |member: &str| {
        let (name, rest) = member.strip_prefix('"')?.split_once('"')?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut numbers = rest.strip_prefix(';')?.split(';');
        let mut number = |key: &str| {
            let number = numbers.next()?.strip_prefix(key)?.strip_prefix('=')?;
            let digits = number.len() <= 15 && number.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| number.parse().ok())?
        };
        let both = [number(wanted[0])?, number(wanted[1])?];
        (numbers.next().is_none() && name.bytes().all(plain)).then(|| (name.to_owned(), both))
    };
    let members = value.split(", ").map(member);
    members.collect::<Option<_>>().expect(value)
}

/// A caller that waits as long as it is told is admitted, and none is told to come at once.
#[tokio::test]
async fn what_a_refusal_says_can_be_read_and_is_true() {
    let rows = [
        (1, Duration::from_millis(1), 1, 1),
        (10, Duration::from_millis(1), 7, 7),
        (10_000, SECOND, 10_000, 9_999),
        (3, Duration::from_millis(1500), 2, 2),
        (7, Duration::from_secs(10), 3, 2),
        (1000, Duration::from_nanos(999_999_999), 3, 3),
        (1, MONTH, 12, 5),
        (u32::MAX, MONTH, 1_000_000, 999_999),
    ];
    for (count, window, burst, cost) in rows {
        let clock = clock();
        let calls = Budget::new("calls", count, window).unwrap();
        let calls = calls.burst(burst).unwrap().cost(cost).unwrap();
        let quotas = with([calls, budget("more", 100)], &clock).headers_on_success(true);
        for _ in 0..4 {
            // At some time in between.
            clock.advance(Duration::from_micros(333_333));
            let mut answer = send(&quotas, "sub~alice", &call("a")).await;
            while answer.status == 200 {
                answer = send(&quotas, "sub~alice", &call("a")).await;
            }
            assert_eq!(answer.status, 429);
            let text = |name: &str| answer.headers[name].to_str().unwrap();
            let wait: u64 = text("retry-after").parse().unwrap();
            assert!(wait >= 1);
            let policy = parsed(text("ratelimit-policy"), ["q", "w"]);
            assert_eq!(policy[0].1[0], u64::from(count));
            assert!(policy[0].1[1] >= 1);
            let [(name, [left, resets]), (other, [more, _])] =
                &parsed(text("ratelimit"), ["r", "t"])[..]
            else {
                panic!("two budgets");
            };
            assert_eq!((&**name, &**other, *resets), ("calls", "more", wait));
            assert!(*left < u64::from(cost) && *more > 0);
            clock.advance(Duration::from_secs(wait));
            assert_eq!(tool(&quotas, "sub~alice", "a").await, 200);
        }
    }
}

/// Accepts the place of the claims of a subject, of issuer and claim.
fn of_claims(claims: Vec<(&'static str, Value)>) -> AuthLayer<Answering> {
    AuthLayer::new(Answering::new(move |credential| {
        let place: usize = credential.value().parse().unwrap();
        let (issuer, claim) = &claims[place];
        let principal = Principal::builder("test").subject("alice").issuer(*issuer);
        let claims = serde_json::Map::from_iter([("org_id".to_owned(), claim.clone())]);
        let principal = principal.claims(&claims).build();
        Authentication::Ready(Ok(Authenticated::new(principal)))
    }))
}

async fn status(quotas: &QuotaLayer, claims: &[(&'static str, Value)], place: usize) -> u16 {
    let stack = Stack::new(quotas.clone(), of_claims(claims.to_vec()));
    let answer = ask(&stack, post(&place.to_string(), call("a"))).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn no_two_tenants_are_one_however_odd_their_names_are() {
    let long = "x".repeat(100_000);
    let texts = [
        "x",
        "X",
        " x",
        "x ",
        "x\0",
        "x\0y",
        "\0",
        " ",
        "\u{445}",
        "\u{e9}",
        "e\u{301}",
        "\u{feff}x",
        "x\u{200b}",
        "tenantx",
        "alice",
        "[\"x\"]",
        "null",
        "01",
        "-1",
        "1.5",
        "\u{df}",
        "ss",
        "\u{fb01}",
        "fi",
        &long,
    ];
    let mut claims: Vec<_> = texts.iter().map(|text| ("i", json!(text))).collect();
    claims.push(("i", json!(format!("{long}y"))));
    claims.push(("i", json!(1)));
    claims.push(("i", json!(u64::MAX)));
    // What is one text with the name of the issuer before it.
    claims.push(("ix", json!("y")));
    claims.push(("i", json!("xy")));
    claims.push(("it", json!("enantx")));
    let own = budget("calls", 1).tenant_claim("org_id").unwrap();
    let quotas = with([own], &clock());
    for place in 0..claims.len() {
        assert_eq!(
            status(&quotas, &claims, place).await,
            200,
            "{:?}",
            claims[place]
        );
    }
    for place in 0..claims.len() {
        assert_eq!(
            status(&quotas, &claims, place).await,
            429,
            "{:?}",
            claims[place]
        );
    }
}

#[tokio::test]
async fn a_claim_that_names_no_tenant_is_a_missing_one() {
    let odd = [
        json!(""),
        json!(null),
        json!(true),
        json!(["x"]),
        json!([]),
        json!({ "id": "x" }),
        json!(1.5),
        json!(1e300),
    ];
    let claims = odd.map(|claim| ("i", claim));
    let own = || budget("calls", 1).tenant_claim("org_id").unwrap();
    let quotas = with([own()], &clock());
    let needed = with([own().require_tenant().unwrap()], &clock());
    for (place, (_, claim)) in claims.iter().enumerate() {
        // All of them are of one subject.
        let expected = if place == 0 { 200 } else { 429 };
        assert_eq!(status(&quotas, &claims, place).await, expected, "{claim}");
        assert_eq!(status(&needed, &claims, place).await, 403, "{claim}");
    }
}

#[tokio::test]
async fn a_request_costs_one_by_whichever_method_it_comes() {
    let methods = ["GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS", "QUERY"];
    for name in methods {
        let method: Method = name.parse().unwrap();
        let send = |quotas: &QuotaLayer| {
            let request = Request::builder().method(method.clone()).uri("/mcp");
            let request = request.header("authorization", "Bearer sub~alice");
            let request = request.header("accept", "text/event-stream");
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let stack = behind(quotas);
            async move { ask(&stack, request).await.status.as_u16() }
        };
        let quotas = limit(1, &clock());
        assert_eq!(send(&quotas).await, 200, "{name}");
        assert_eq!(send(&quotas).await, 429, "{name}");
        let of_tool = with([budget("calls", 1).tool("a").unwrap()], &clock());
        for _ in 0..3 {
            assert_eq!(send(&of_tool).await, 200, "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_costs_nothing() {
    let quotas = limit(3, &clock()).max_body_bytes(200).unwrap();
    let good = call("a");
    let mut bodies: Vec<Vec<u8>> = vec![vec![b' '; 201], good.clone().into_bytes()[1..].to_vec()];
    bodies.extend([
        b"".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\xff".to_vec(),
    ]);
    for body in bodies {
        let answer = ask(&behind(&quotas), post("sub~alice", body)).await;
        assert!(answer.status.is_client_error() && answer.status != 429);
        assert!(answer.reached.is_none());
    }
    for (name, value) in [("content-encoding", "gzip"), ("content-type", "text/plain")] {
        let mut request = post("sub~alice", good.clone());
        request.headers_mut().insert(name, value.parse().unwrap());
        let answer = ask(&behind(&quotas), request).await;
        assert_eq!(answer.status, 415);
    }
    assert_eq!(left(&quotas, "sub~alice").await, 3);
}

/// Each charges it, and the operator is told once. Others may stand inside each other.
#[tokio::test]
async fn a_layer_inside_itself_charges_twice_and_says_so() {
    let twice = async |outer: &QuotaLayer, inner: &QuotaLayer| {
        let stack = Stack::new(inner.clone(), behind(outer));
        let answer = ask(&stack, post("sub~alice", call("a"))).await;
        answer.status.as_u16()
    };
    let warned = || {
        let told = trace::take();
        let told = told.iter().filter(|event| event.level == Level::WARN);
        told.filter(|event| event.field("message").contains("stands twice"))
            .count()
    };
    let clock = clock();
    let quotas = limit(5, &clock);
    trace::start();
    assert_eq!(twice(&quotas, &quotas).await, 200);
    assert_eq!(twice(&quotas, &quotas.clone()).await, 200);
    assert_eq!(warned(), 1);
    assert_eq!(twice(&quotas, &quotas).await, 429);
    assert_eq!(warned(), 0);

    let (all, some) = (limit(3, &clock), with([budget("some", 2)], &clock));
    // Made of the first one, which it counts with.
    let more = all.clone().budget(budget("more", 9)).unwrap();
    assert_eq!(twice(&all, &some).await, 200);
    assert_eq!(twice(&all, &some).await, 200);
    assert_eq!(twice(&all, &some).await, 429);
    assert_eq!(twice(&limit(9, &clock), &more).await, 429);
    assert_eq!(warned(), 0);
}
