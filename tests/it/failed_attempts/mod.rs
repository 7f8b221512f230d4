//! Too many failed attempts from one address.

mod shared;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::Full;
use tower::ServiceBuilder;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer, OriginLayer};
use tower_mcp_auth::scopes::Scopes;
use tower_mcp_auth::store::MemoryQuotaStore;
use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind, Clock, JwtLayer, Reason};

use common::{
    Answer, Answering, Inner, NOW, SECRET, ask, clock, invalid, request, request_to, token, trace,
};

fn limit(failures: u32, clock: &Clock) -> FailedAttemptsLayer {
    FailedAttemptsLayer::new(|head| head.extensions().get().copied())
        .max_failures(failures)
        .unwrap()
        .clock(clock.clone())
}

fn from(address: &str) -> Request<Full<Bytes>> {
    let mut request = request(&[("authorization", "Bearer x")]);
    let address: IpAddr = address.parse().unwrap();
    request.extensions_mut().insert(address);
    request
}

/// Sends a request that is refused for this, or accepted.
async fn ask_for(limit: &FailedAttemptsLayer, address: &str, error: Option<AuthError>) -> Answer {
    let provider = match error {
        Some(error) => Answering::refusing(error),
        None => Answering::accepting(),
    };
    let stack = tower::layer::util::Stack::new(AuthLayer::new(provider), limit.clone());
    ask(&stack, from(address)).await
}

async fn fail(limit: &FailedAttemptsLayer, address: &str) -> u16 {
    let answer = ask_for(limit, address, Some(invalid("bad"))).await;
    answer.status.as_u16()
}

async fn succeed(limit: &FailedAttemptsLayer, address: &str) -> u16 {
    ask_for(limit, address, None).await.status.as_u16()
}

const ONE: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

#[tokio::test]
async fn beyond_the_limit_an_address_is_refused_before_anything_else_sees_it() {
    let limit = limit(3, &clock());
    for _ in 0..3 {
        assert_eq!(fail(&limit, ONE).await, 401);
    }
    let answer = ask_for(&limit, ONE, None).await;
    answer.refused(AuthErrorKind::TooManyRequests, "too_many_failed_attempts");
    assert_eq!(answer.headers["retry-after"], "60");
    assert!(!answer.headers.contains_key("www-authenticate"));
    let body = answer.json();
    assert_eq!(body["error"], "too_many_requests");
    assert_eq!(body["status"], 429);
    assert_eq!(succeed(&limit, OTHER).await, 200);
}

#[tokio::test]
async fn only_bad_credentials_count() {
    let second = Duration::from_secs(1);
    for (error, counts) in [
        (invalid("x"), true),
        (
            AuthError::new(Reason::custom(AuthErrorKind::Malformed, "x")),
            false,
        ),
        (AuthError::missing(), false),
        (
            AuthError::unavailable(Reason::custom(AuthErrorKind::Unavailable, "x"), second),
            false,
        ),
        (AuthError::insufficient_scope(Scopes::default()), false),
        (
            AuthError::new(Reason::custom(AuthErrorKind::Forbidden, "x")),
            false,
        ),
        (AuthError::unknown_session(), false),
        (
            AuthError::new(Reason::custom(AuthErrorKind::PayloadTooLarge, "x")),
            false,
        ),
        (
            AuthError::too_many_requests(
                Reason::custom(AuthErrorKind::TooManyRequests, "x"),
                second,
            ),
            false,
        ),
    ] {
        let limit = limit(2, &clock());
        for _ in 0..2 {
            ask_for(&limit, ONE, Some(error.clone())).await.error();
        }
        let expected = if counts { 429 } else { 200 };
        assert_eq!(succeed(&limit, ONE).await, expected, "{error:?}");
    }
}

/// A client that is known, and sends what is no message, guesses nothing.
#[tokio::test]
async fn what_is_wrong_with_a_request_of_a_known_caller_is_no_attempt() {
    let limit = limit(1, &clock());
    let policy = McpPolicy::builder().tool("add", "write").unwrap();
    let stack = ServiceBuilder::new()
        .layer(limit.clone())
        .layer(AuthLayer::new(Answering::accepting()))
        .layer(McpScopesLayer::new(policy.build().unwrap()));
    let mut request = from(ONE);
    *request.method_mut() = Method::POST;
    *request.body_mut() = "{".into();
    let media = "application/json".parse().unwrap();
    request.headers_mut().insert("content-type", media);
    let answer = ask(&stack, request).await;
    answer.malformed("not_json");
    assert_eq!(succeed(&limit, ONE).await, 200);
    // Nor does an anonymous caller, by a request that is malformed.
    let anonymous = ServiceBuilder::new()
        .layer(limit.clone())
        .layer(AuthLayer::new(Answering::accepting()));
    let mut request = from(ONE);
    let second = "Bearer y".parse().unwrap();
    request.headers_mut().append("authorization", second);
    ask(&anonymous, request)
        .await
        .malformed("duplicate_credential");
    assert_eq!(succeed(&limit, ONE).await, 200);
}

#[tokio::test]
async fn a_good_credential_buys_no_more_guesses() {
    let limit = limit(3, &clock());
    for expected in [401, 401, 401, 429] {
        assert_eq!(fail(&limit, ONE).await, expected);
        if expected == 401 {
            succeed(&limit, ONE).await;
        }
    }
}

#[tokio::test]
async fn a_pause_ends_by_the_clock_and_is_not_made_longer_by_who_knocks() {
    let clock = clock();
    let limit = limit(2, &clock)
        .block_duration(Duration::from_secs(90))
        .unwrap();
    fail(&limit, ONE).await;
    fail(&limit, ONE).await;
    for (advance, left) in [(0, "90"), (30, "60"), (59, "1")] {
        clock.advance(Duration::from_secs(advance));
        let answer = ask_for(&limit, ONE, None).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["retry-after"]),
            (429, &left.parse().unwrap())
        );
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(succeed(&limit, ONE).await, 200);
    // And it is counted anew.
    assert_eq!(fail(&limit, ONE).await, 401);
    assert_eq!(succeed(&limit, ONE).await, 200);
}

#[tokio::test]
async fn failures_of_an_earlier_window_are_forgotten() {
    for (seconds, expected) in [(59, 429), (60, 200)] {
        let clock = clock();
        let limit = limit(2, &clock);
        fail(&limit, ONE).await;
        clock.advance(Duration::from_secs(seconds));
        fail(&limit, ONE).await;
        assert_eq!(succeed(&limit, ONE).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn addresses_of_one_network_are_one_client() {
    for (one, other, same) in [
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ("64:ff9b::192.0.2.1", "192.0.2.1", true),
        ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", false),
        ("64:ff9b::1:0:0", "64:ff9b::2:0:0", true),
        ("192.0.2.1", "192.0.2.2", false),
    ] {
        let limit = limit(1, &clock());
        fail(&limit, one).await;
        let expected = if same { 429 } else { 200 };
        assert_eq!(succeed(&limit, other).await, expected, "{one} {other}");
    }
    let limit = limit(1, &clock()).ipv6_prefix(48).unwrap();
    fail(&limit, "2001:db8:0:1::1").await;
    assert_eq!(succeed(&limit, "2001:db8:0:2::1").await, 429);
    assert_eq!(succeed(&limit, "2001:db8:1:2::1").await, 200);
}

/// Sixteen addresses at most in two sets: a flood comes through every one of them.
#[tokio::test]
async fn a_flood_of_addresses_frees_no_blocked_one_and_none_that_failed_twice() {
    let clock = clock();
    let limit = limit(3, &clock).max_addresses(16).unwrap();
    for _ in 0..3 {
        fail(&limit, ONE).await;
    }
    for _ in 0..2 {
        fail(&limit, OTHER).await;
    }
    for number in 0..10_000_u128 {
        let address = Ipv6Addr::from((0x2001_0db8_u128 << 96) | (number << 64));
        assert_eq!(fail(&limit, &address.to_string()).await, 401);
    }
    assert_eq!(succeed(&limit, ONE).await, 429);
    assert_eq!(fail(&limit, OTHER).await, 401);
    assert_eq!(succeed(&limit, OTHER).await, 429);
}

#[tokio::test]
async fn clones_and_services_count_together_and_a_changed_layer_for_itself() {
    let limit = limit(2, &clock());
    fail(&limit, ONE).await;
    fail(&limit.clone(), ONE).await;
    assert_eq!(succeed(&limit, ONE).await, 429);
    let changed = limit.grpc_refusals(false);
    assert_eq!(succeed(&changed, ONE).await, 200);
}

#[tokio::test]
async fn without_an_address_nothing_passes_and_the_operator_is_told() {
    let limit = limit(1, &clock());
    let inner = Inner::default();
    let service = tower::Layer::layer(&limit, inner.handle());
    trace::start();
    let forwarded = request(&[("x-forwarded-for", ONE), ("forwarded", "for=192.0.2.1")]);
    let response = tower::ServiceExt::oneshot(service, forwarded)
        .await
        .unwrap();
    assert_eq!((response.status().as_u16(), inner.calls()), (500, 0));
    let told = trace::take();
    assert_eq!(told[0].level, tracing::Level::ERROR);
}

#[tokio::test]
async fn a_grpc_client_is_told_in_its_own_words_and_its_failures_count() {
    let limit = limit(1, &clock());
    let refusing = Answering::refusing(invalid("bad"));
    let stack = tower::layer::util::Stack::new(AuthLayer::new(refusing), limit);
    for status in ["16", "8"] {
        let mut request = from(ONE);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        let media = "application/grpc".parse().unwrap();
        request.headers_mut().insert("content-type", media);
        let answer = ask(&stack, request).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["grpc-status"]),
            (200, &status.parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_refused_attempt_is_told_and_names_its_layer() {
    let limit = limit(1, &clock());
    fail(&limit, ONE).await;
    trace::start();
    fail(&limit, ONE).await;
    let told = trace::take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].field("layer"), "failed_attempts");
    assert_eq!(told[0].field("status"), "429");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let layer = || FailedAttemptsLayer::new(|_| None);
    let shared = |secret| layer().shared(MemoryQuotaStore::default(), secret);
    let zero = Duration::ZERO;
    for (refused, setting) in [
        (layer().max_failures(0), "max_failures"),
        (layer().window(zero), "window"),
        (layer().block_duration(zero), "block_duration"),
        (layer().max_addresses(0), "max_addresses"),
        (layer().max_addresses(usize::MAX), "max_addresses"),
        (layer().ipv6_prefix(15), "ipv6_prefix"),
        (layer().ipv6_prefix(129), "ipv6_prefix"),
        (shared(b"short".as_slice()), "secret"),
        (
            shared(SECRET).and_then(|own| own.window(zero + YEAR)),
            "window",
        ),
    ] {
        assert_eq!(refused.unwrap_err().setting(), setting);
    }
    assert!(layer().ipv6_prefix(128).is_ok() && layer().ipv6_prefix(16).is_ok());
}

const KEY: &str = "Zm9yIHRoZSBleGFtcGxlIG9ubHk";

/// What an `<img>` of any page makes its visitors send: no Origin, no credential.
#[tokio::test]
async fn a_page_cannot_lock_its_visitors_out() {
    let stack = ServiceBuilder::new()
        .layer(OriginLayer::new("https://mcp.example.com/mcp").unwrap())
        .layer(limit(60, &clock()))
        .layer(ApiKeyLayer::new([KEY]).unwrap());
    let visitor = |uri: &str, headers: &[(&str, &str)]| {
        let mut request = request_to(uri, headers);
        let address: IpAddr = ONE.parse().unwrap();
        request.extensions_mut().insert(address);
        let host = "mcp.example.com".parse().unwrap();
        request.headers_mut().insert("host", host);
        request
    };
    for uri in [
        "/mcp?token=x",
        "/mcp?access_token=x",
        "/mcp?api_key=x",
        "/mcp",
    ] {
        for _ in 0..60 {
            let status = ask(&stack, visitor(uri, &[])).await.status;
            assert!(matches!(status.as_u16(), 400 | 401), "{uri}: {status}");
        }
    }
    let answer = ask(&stack, visitor("/mcp", &[("x-api-key", KEY)])).await;
    answer.admitted();
}

/// By what real providers say.
#[tokio::test]
async fn what_guesses_a_credential_counts_and_nothing_else() {
    let clock = clock();
    let past = std::time::UNIX_EPOCH + Duration::from_secs(1);
    let expired = "YW5vdGhlciBvbmUgZm9yIGl0";
    let revoked = "b25lLXRoYXQtd2FzLXJldm9rZWQ";
    let keys = || {
        let expired = ApiKey::new(expired).unwrap().expires_at(past).unwrap();
        let revoked = ApiKey::new(revoked).unwrap().revoked(true);
        ApiKeyLayer::new([ApiKey::new(KEY).unwrap(), expired, revoked])
            .unwrap()
            .clock(clock.clone())
    };
    let jwt = || {
        let builder = JwtLayer::builder(Secret::new(SECRET).unwrap());
        builder.clock(clock.clone()).build().unwrap()
    };
    let exp = |exp: u64| token(&format!(r#"{{"sub":"alice","exp":{exp}}}"#));
    let good = exp(NOW + 300);
    let forged = format!("{}{}", &good[..good.len() - 2], "AA");
    let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
    let key = |key: &str| vec![("x-api-key", key.to_owned())];
    for (row, headers, counts) in [
        (
            "an unknown key",
            key("Z3Vlc3NlZC1hdC1yYW5kb20tMTIzNA"),
            true,
        ),
        ("an expired key", key(expired), false),
        ("a revoked key", key(revoked), false),
        ("a bad signature", bearer(&forged), true),
        ("an opaque token", bearer("guessed-at-random"), true),
        ("no token at all", bearer("a.b.c"), true),
        ("an expired token", bearer(&exp(1)), false),
        (
            "a token without an end",
            bearer(&token(r#"{"sub":"alice"}"#)),
            false,
        ),
        ("nothing", vec![], false),
        (
            "another scheme",
            vec![("authorization", "Basic eDp5".to_owned())],
            false,
        ),
        ("two keys", [key(KEY), key("other")].concat(), false),
        ("two headers", [key(KEY), bearer(&good)].concat(), false),
        ("bad characters", bearer("a b"), false),
    ] {
        let limit = limit(1, &clock);
        let auth = jwt().or(keys()).unwrap();
        let stack = ServiceBuilder::new().layer(limit.clone()).layer(auth);
        let address: IpAddr = ONE.parse().unwrap();
        let mut bad = request(&headers);
        bad.extensions_mut().insert(address);
        ask(&stack, bad).await.error();
        let expected = if counts { 429 } else { 200 };
        assert_eq!(succeed(&limit, ONE).await, expected, "{row}");
    }
}
