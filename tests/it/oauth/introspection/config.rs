//! What is refused before serving, by the setting that is wrong.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tower_mcp_auth::ConfigError;
use tower_mcp_auth::jose::{Algorithm, SigningKey};
use tower_mcp_auth::oauth::{Fetch, Introspect, IntrospectFuture};

use super::*;

#[track_caller]
fn refused<T: Debug>(result: Result<T, ConfigError>, setting: &str) {
    let error = result.expect_err("accepted");
    assert_eq!(error.setting(), setting, "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[track_caller]
fn accepted<T: Debug>(result: Result<T, ConfigError>) {
    if let Err(error) = result {
        panic!("refused: {error}");
    }
}

fn at() -> Introspection {
    Introspection::at(ENDPOINT).unwrap()
}

fn trusts(introspection: Introspection) -> Result<AuthorizationServer, ConfigError> {
    AuthorizationServer::new(ISSUER)
        .unwrap()
        .introspection(introspection)
}

#[derive(Debug)]
struct Never;

impl Introspect for Never {
    fn introspect(&self, _: &str, _: Arc<dyn Fetch>) -> IntrospectFuture {
        unreachable!("nothing is asked while configuring")
    }
}

#[test]
fn credentials_that_are_not_there() {
    refused(
        at().client_secret_basic("", "s3cret"),
        "client_secret_basic",
    );
    refused(at().client_secret_basic("app", ""), "client_secret_basic");
    refused(at().client_secret_post("", "s3cret"), "client_secret_post");
    refused(at().client_secret_post("app", ""), "client_secret_post");
    refused(at().bearer_token(""), "bearer_token");
    refused(at().bearer_token("s3cret\r\nx: y"), "bearer_token");
    refused(at().bearer_token("s3cret with spaces"), "bearer_token");
    refused(trusts(at()), "introspection");
    refused(trusts(Introspection::discovered()), "introspection");
}

#[test]
fn two_ways_to_say_who_asks() {
    let both = introspection().client_secret_post("app", "s3cret");
    let error = both.unwrap_err();
    assert_eq!(
        error.to_string(),
        "client_secret_post: `client_secret_basic` and `client_secret_post` contradict each \
         other: keep one"
    );
    refused(introspection().bearer_token("s3cret"), "bearer_token");
    refused(
        introspection().unauthenticated_on_loopback(),
        "unauthenticated_on_loopback",
    );
    refused(
        Introspection::custom(Never).bearer_token("s3cret"),
        "bearer_token",
    );
    refused(
        trusts(introspection().assertion_audience("x").unwrap()),
        "assertion_audience",
    );
    refused(introspection().assertion_audience(""), "assertion_audience");
}

#[test]
fn endpoints_that_are_none_or_not_safe() {
    for endpoint in [
        "",
        "introspect",
        "/introspect",
        "https://",
        "https://a.example/#x",
    ] {
        refused(Introspection::at(endpoint), "introspection");
    }
    refused(
        Introspection::at("https://user:s3cret@a.example/introspect"),
        "introspection",
    );
    for endpoint in [
        "http://auth.example.com/introspect",
        "ftp://auth.example.com/introspect",
    ] {
        let insecure = Introspection::at(endpoint).unwrap();
        refused(
            trusts(insecure.client_secret_basic("app", "s3cret").unwrap()),
            "introspection",
        );
    }
    // Another origin is fine where it is configured by hand.
    let elsewhere = Introspection::at("https://introspect.example.net/v1").unwrap();
    accepted(trusts(
        elsewhere.client_secret_basic("app", "s3cret").unwrap(),
    ));
    let loopback = || Introspection::at("http://127.0.0.1:9000/introspect").unwrap();
    refused(
        trusts(loopback().bearer_token("s3cret").unwrap()),
        "introspection",
    );
    let on_loopback = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:9000");
    accepted(
        on_loopback
            .unwrap()
            .introspection(loopback().bearer_token("s3cret").unwrap()),
    );
}

#[test]
fn no_credentials_are_for_loopback() {
    let open = |place: Introspection| place.unauthenticated_on_loopback().unwrap();
    refused(trusts(open(at())), "unauthenticated_on_loopback");
    refused(
        trusts(open(Introspection::discovered())),
        "unauthenticated_on_loopback",
    );
    let on_loopback =
        || AuthorizationServer::insecure_http_on_loopback("http://localhost:9000").unwrap();
    accepted(on_loopback().introspection(open(Introspection::discovered())));
    let at_localhost = Introspection::at("http://localhost:9000/introspect").unwrap();
    accepted(on_loopback().introspection(open(at_localhost)));
    refused(
        on_loopback().introspection(open(at())),
        "unauthenticated_on_loopback",
    );
    accepted(trusts(at().dangerously_unauthenticated().unwrap()));
}

#[test]
fn values_that_make_no_sense() {
    refused(introspection().audience(""), "audience");
    refused(introspection().token_prefix(""), "token_prefix");
    refused(
        introspection().max_concurrent_requests(0),
        "max_concurrent_requests",
    );
    refused(
        introspection().unknown_token_rate_limit(0),
        "unknown_token_rate_limit",
    );
    refused(
        introspection().introspect_jwts_with_scope(""),
        "introspect_jwts_with_scope",
    );
    refused(
        introspection().introspect_jwts_with_scope("a b"),
        "introspect_jwts_with_scope",
    );
    refused(
        trusts(introspection().no_opaque_tokens()),
        "no_opaque_tokens",
    );
    let never = introspection().timeout(Duration::ZERO);
    refused(trusts(never), "timeout");
    let none = introspection().max_waiting_requests(0);
    refused(trusts(none), "max_waiting_requests");
    let nothing = introspection().max_response_bytes(0);
    refused(trusts(nothing), "max_response_bytes");
    #[allow(clippy::reversed_empty_ranges)]
    let empty = introspection().token_lengths(20..=10);
    refused(trusts(empty), "token_lengths");
    refused(
        trusts(introspection().token_lengths(1..=usize::MAX)),
        "token_lengths",
    );
    let prefixed = introspection().token_prefix("a_").unwrap();
    let jwts_only = prefixed.introspect_jwts().unwrap().no_opaque_tokens();
    refused(trusts(jwts_only), "token_prefix");
    refused(
        trusts(Introspection::custom(Never).require_signed_responses()),
        "require_signed_responses",
    );
    let twice = trusts(introspection())
        .unwrap()
        .introspection(introspection());
    refused(twice, "introspection");
}

#[test]
fn ways_to_treat_jwts_exclude_each_other() {
    let always = || introspection().introspect_jwts().unwrap();
    refused(always().introspect_jwts_only(), "introspect_only");
    refused(
        always().introspect_jwts_with_scope("admin"),
        "introspect_jwts_with_scope",
    );
    accepted(always().introspect_jwts());
    let scoped = introspection().introspect_jwts_with_scope("admin").unwrap();
    refused(scoped.clone().introspect_jwts(), "introspect_jwts");
    accepted(scoped.introspect_jwts_with_scope("root"));
}

#[test]
fn whom_answers_are_for_is_set_once() {
    let build = |server| OAuthLayer::new(RESOURCE, server);
    let neither = AuthorizationServer::new(ISSUER)
        .unwrap()
        .introspection_without_audience();
    refused(build(neither), "introspection_without_audience");
    let own = introspection().audience("mcp-client").unwrap();
    let both = trusts(own).unwrap().introspection_without_audience();
    refused(build(both), "introspection_without_audience");
    let server = trusts(introspection()).unwrap();
    accepted(build(server.introspection_without_audience()));
}

#[test]
fn configuring_calls_no_server_and_needs_no_runtime() {
    let web = Web::new();
    let key = SigningKey::from_pem(Algorithm::EdDSA, clients::ED25519).unwrap();
    let introspection = Introspection::discovered()
        .private_key_jwt("mcp-server", key)
        .unwrap()
        .require_signed_responses()
        .positive_ttl(Duration::ZERO)
        .negative_ttl(Duration::ZERO)
        .cache_capacity(0)
        .max_response_bytes(1)
        .max_queued(0)
        .queue_timeout(Duration::ZERO)
        .max_waiting_requests(1)
        .timeout(Duration::from_secs(1));
    let _ = guarded(&web, introspection);
    assert!(web.log().is_empty());
}
