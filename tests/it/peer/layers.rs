//! The layers that ask: `OriginLayer` and `FailedAttemptsLayer`.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::ServiceBuilder;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth::peer::TrustedProxies;
use tower_mcp_auth::{AuthErrorKind, Reason};

use common::{Answer, Answering, ask, clock, invalid, trace};

use super::{CLIENT, Headers, PROXY, UNTRUSTED, forwarded, from, x_forwarded};

const RESOURCE: &str = "https://mcp.example.com/mcp";
const OWN: (&str, &str) = ("host", "127.0.0.1:3000");
const NAMED: (&str, &str) = ("x-forwarded-host", "mcp.example.com");

fn origin(proxies: TrustedProxies) -> OriginLayer {
    OriginLayer::new(RESOURCE).unwrap().trusted_proxies(proxies)
}

async fn reason(layer: &OriginLayer, peer: Option<&str>, headers: Headers<'_>) -> String {
    let answer = ask(layer, from(peer, headers)).await;
    match answer.extensions.get::<tower_mcp_auth::AuthError>() {
        None => "passed".to_owned(),
        Some(error) => {
            answer.refused(error.kind(), error.reason());
            assert!(!answer.headers.contains_key("www-authenticate"));
            format!("{} {}", answer.status.as_u16(), error.reason())
        }
    }
}

#[tokio::test]
async fn the_origin_layer_judges_the_host_that_a_proxy_names() {
    let layer = origin(x_forwarded());
    let allowed = ("host", "mcp.example.com");
    let foreign = ("x-forwarded-host", "evil.example");
    for (peer, headers, expected) in [
        (Some(PROXY), &[OWN, NAMED][..], "passed"),
        (Some("::ffff:10.0.0.7"), &[OWN, NAMED], "passed"),
        (Some(PROXY), &[allowed], "passed"),
        (Some(PROXY), &[OWN], "403 host_not_allowed"),
        // What the proxy says counts, not what it connects to.
        (Some(PROXY), &[allowed, foreign], "403 host_not_allowed"),
        (
            Some(PROXY),
            &[OWN, ("x-forwarded-host", "mcp.example.com, evil.example")],
            "403 host_not_allowed",
        ),
        (
            Some(PROXY),
            &[OWN, ("x-forwarded-host", "mcp.example.com.")],
            "400 malformed_forwarded",
        ),
        (
            Some(PROXY),
            &[OWN, ("forwarded", "host=mcp.example.com")],
            "403 host_not_allowed",
        ),
        (Some(UNTRUSTED), &[OWN, NAMED], "403 host_not_allowed"),
        (Some(UNTRUSTED), &[allowed, foreign], "passed"),
        (None, &[OWN, NAMED], "403 host_not_allowed"),
        (None, &[allowed], "passed"),
        (
            Some(PROXY),
            &[allowed, allowed, NAMED],
            "403 duplicate_host",
        ),
        (
            Some(PROXY),
            &[("host", "mcp.example.com."), NAMED],
            "403 host_not_allowed",
        ),
        // The origin is the browser's, whichever peer passes it on.
        (
            Some(PROXY),
            &[OWN, NAMED, ("origin", "https://evil.example")],
            "403 origin_not_allowed",
        ),
        (
            Some(PROXY),
            &[OWN, NAMED, ("origin", "https://mcp.example.com")],
            "passed",
        ),
    ] {
        assert_eq!(reason(&layer, peer, headers).await, expected, "{headers:?}");
    }
    let layer = origin(forwarded());
    let standard = ("forwarded", "for=203.0.113.9;host=\"mcp.example.com\"");
    assert_eq!(
        reason(&layer, Some(PROXY), &[OWN, standard]).await,
        "passed"
    );
    let told = reason(&layer, Some(PROXY), &[OWN, NAMED]).await;
    assert_eq!(told, "403 host_not_allowed");
}

#[tokio::test]
async fn a_refused_host_says_why_no_proxy_was_asked() {
    let layer = origin(x_forwarded());
    for (peer, said) in [
        (Some(UNTRUSTED), Some("192.0.2.66, is none of the trusted")),
        (None, Some("SetPeerAddrLayer")),
        (Some(PROXY), None),
    ] {
        let answer = ask(&layer, from(peer, &[OWN])).await;
        let error = answer.refused(AuthErrorKind::Forbidden, "host_not_allowed");
        let detail = error.detail().unwrap();
        match said {
            Some(said) => assert!(detail.contains(said), "{detail}"),
            None => assert!(!detail.contains("peer"), "{detail}"),
        }
    }
}

fn attempts() -> FailedAttemptsLayer {
    FailedAttemptsLayer::from_peer_address()
        .max_failures(1)
        .unwrap()
        .clock(clock())
}

fn with_token(peer: Option<&str>, headers: Headers<'_>) -> Request<Full<Bytes>> {
    let mut request = from(peer, headers);
    let token = "Bearer x".parse().unwrap();
    request.headers_mut().insert("authorization", token);
    request
}

async fn fail(limit: &FailedAttemptsLayer, peer: Option<&str>, headers: Headers<'_>) -> Answer {
    let auth = AuthLayer::new(Answering::refusing(invalid("bad")));
    let stack = ServiceBuilder::new().layer(limit.clone()).layer(auth);
    ask(&stack, with_token(peer, headers)).await
}

async fn succeed(limit: &FailedAttemptsLayer, peer: Option<&str>, headers: Headers<'_>) -> u16 {
    let auth = AuthLayer::new(Answering::accepting());
    let stack = ServiceBuilder::new().layer(limit.clone()).layer(auth);
    ask(&stack, with_token(peer, headers)).await.status.as_u16()
}

#[tokio::test]
async fn failures_count_by_the_peer_unless_proxies_are_trusted() {
    let limit = attempts();
    let one = [
        ("x-forwarded-for", CLIENT),
        ("forwarded", "for=203.0.113.9"),
    ];
    let other = [("x-forwarded-for", "203.0.113.10")];
    assert_eq!(fail(&limit, Some(PROXY), &one).await.status, 401);
    assert_eq!(succeed(&limit, Some(PROXY), &other).await, 429);
    assert_eq!(succeed(&limit, Some(UNTRUSTED), &one).await, 200);
}

#[tokio::test]
async fn behind_a_proxy_failures_count_by_its_client() {
    let limit = attempts().trusted_proxies(x_forwarded()).unwrap();
    let one = [("x-forwarded-for", CLIENT)];
    assert_eq!(fail(&limit, Some(PROXY), &one).await.status, 401);
    for (peer, header, expected) in [
        (PROXY, CLIENT, 429),
        ("10.0.0.8", CLIENT, 429),
        // The client cannot get away from its address by writing others before it,
        (PROXY, "198.51.100.1, 203.0.113.9", 429),
        (PROXY, "203.0.113.9:4711", 429),
        (PROXY, "::ffff:203.0.113.9", 429),
        // nor make another peer pay.
        (PROXY, "203.0.113.9, 203.0.113.10", 200),
        (UNTRUSTED, CLIENT, 200),
        // It may come without the proxy,
        (CLIENT, "198.51.100.1", 429),
        // and others still come through it.
        (PROXY, "203.0.113.10", 200),
    ] {
        let headers = [("x-forwarded-for", header)];
        let told = succeed(&limit, Some(peer), &headers).await;
        assert_eq!(told, expected, "{peer} {header}");
    }
    assert_eq!(succeed(&limit, Some(PROXY), &[]).await, 200);
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_no_request_and_no_failure() {
    let limit = attempts().trusted_proxies(x_forwarded()).unwrap();
    let garbage = [("x-forwarded-for", "?")];
    for _ in 0..3 {
        let answer = fail(&limit, Some(PROXY), &garbage).await;
        let error = answer.refused(AuthErrorKind::Malformed, Reason::MALFORMED_FORWARDED.code());
        assert!(error.detail().unwrap().contains("X-Forwarded-For"));
    }
    assert_eq!(succeed(&limit, Some(PROXY), &[]).await, 200);
}

#[tokio::test]
async fn without_an_address_nothing_passes() {
    let limit = attempts().trusted_proxies(x_forwarded()).unwrap();
    for (limit, peer, headers) in [
        (&attempts(), None, &[("x-forwarded-for", CLIENT)][..]),
        (&limit, None, &[("x-forwarded-for", CLIENT)]),
        (&limit, Some(PROXY), &[("x-forwarded-for", "unknown")]),
        (&limit, Some(PROXY), &[("x-forwarded-proto", "https")]),
    ] {
        trace::start();
        assert_eq!(succeed(limit, peer, headers).await, 500, "{headers:?}");
        assert_eq!(trace::take()[0].level, tracing::Level::ERROR);
    }
}

#[test]
fn a_function_and_proxies_do_not_both_find_the_address() {
    let layer = FailedAttemptsLayer::new(|_| None);
    let error = layer.trusted_proxies(x_forwarded()).unwrap_err();
    assert_eq!(error.setting(), "trusted_proxies");
    assert!(error.to_string().contains("from_peer_address"), "{error}");
}
