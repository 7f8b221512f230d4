//! Time limits that meet: which one wins, and what is told of the other; and lifetimes that
//! contradict each other.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, FetchFuture, FetchTimeouts, HttpFetch, Introspection, JwksOptions,
};
use tower_mcp_auth::{ConfigError, OAuthLayer};
use tracing::Level;

use crate::oauth::introspection::{ENDPOINT, OPAQUE, active, introspection, say_always};
use crate::oauth::support::*;
use crate::oauth::trace;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is set; a default where it is `None`, and no introspection.
#[derive(Clone, Copy, Debug, Default)]
struct Set {
    connect: Option<u64>,
    request: Option<u64>,
    keys: Option<u64>,
    question: Option<u64>,
}

fn client(set: Set) -> HttpFetch {
    let mut client = HttpFetch::new();
    if let Some(timeout) = set.connect {
        client = client.connect_timeout(seconds(timeout));
    }
    if let Some(timeout) = set.request {
        client = client.timeout(seconds(timeout));
    }
    client
}

fn options(set: Set) -> JwksOptions {
    match set.keys {
        None => JwksOptions::new(),
        Some(timeout) => JwksOptions::new().fetch_timeout(seconds(timeout)),
    }
}

fn server(set: Set) -> AuthorizationServer {
    let server = AuthorizationServer::new(ISSUER).unwrap();
    match set.question {
        None => server,
        Some(timeout) => {
            let asks = introspection().timeout(seconds(timeout));
            server.introspection(asks).unwrap()
        }
    }
}

/// Builds a layer; what it tells of: the setting in vain, its value, the one that wins, and that.
fn told(
    fetch: impl Fetch,
    options: JwksOptions,
    servers: impl IntoIterator<Item = AuthorizationServer>,
) -> Result<Vec<(String, u64, String, u64)>, ConfigError> {
    let mut builder = OAuthLayer::builder(RESOURCE)?;
    for server in servers {
        builder = builder.authorization_server(server)?;
    }
    trace::start();
    let _ = builder.fetch(fetch).jwks_options(options).build()?;
    let warnings = trace::take().into_iter();
    let warnings = warnings.filter(|event| event.level <= Level::WARN);
    let told = warnings.map(|event| {
        let ms = |name: &str| event.field(name).parse::<u64>().unwrap() / 1000;
        (
            event.field("setting").to_owned(),
            ms("limit_ms"),
            event.field("wins").to_owned(),
            ms("wins_ms"),
        )
    });
    Ok(told.collect())
}

const CONNECT: &str = "HttpFetch::connect_timeout";
const REQUEST: &str = "HttpFetch::timeout";
const KEYS: &str = "JwksOptions::fetch_timeout";
const QUESTION: &str = "Introspection::timeout";

/// The setting in vain, its seconds, the one that wins, and its seconds.
type Row = (&'static str, u64, &'static str, u64);

#[test]
fn what_was_set_in_vain_is_told_with_what_wins() {
    let rows: [(Set, &[Row]); 15] = [
        (Set::default(), &[]),
        // Shorter ones can be meant, whichever it is.
        (
            Set {
                keys: Some(2),
                ..Set::default()
            },
            &[],
        ),
        (
            Set {
                question: Some(1),
                ..Set::default()
            },
            &[],
        ),
        (
            Set {
                request: Some(1),
                ..Set::default()
            },
            &[],
        ),
        (
            Set {
                connect: Some(1),
                ..Set::default()
            },
            &[],
        ),
        (
            Set {
                connect: Some(5),
                ..Set::default()
            },
            &[],
        ),
        // What is longer than what it meets is not.
        (
            Set {
                keys: Some(20),
                ..Set::default()
            },
            &[(KEYS, 20, REQUEST, 5)],
        ),
        (
            Set {
                question: Some(20),
                ..Set::default()
            },
            &[(QUESTION, 20, REQUEST, 5)],
        ),
        (
            Set {
                request: Some(20),
                ..Set::default()
            },
            &[(REQUEST, 20, KEYS, 5)],
        ),
        (
            Set {
                connect: Some(6),
                ..Set::default()
            },
            &[(CONNECT, 6, REQUEST, 5)],
        ),
        (
            Set {
                request: Some(20),
                keys: Some(20),
                ..Set::default()
            },
            &[],
        ),
        // All are set alike.
        (
            Set {
                request: Some(20),
                keys: Some(20),
                question: Some(20),
                connect: Some(20),
            },
            &[],
        ),
        (
            Set {
                request: Some(10),
                keys: Some(20),
                question: Some(3),
                connect: None,
            },
            &[(KEYS, 20, REQUEST, 10), (REQUEST, 10, QUESTION, 3)],
        ),
        (
            Set {
                request: Some(1),
                keys: Some(4),
                question: Some(4),
                connect: None,
            },
            &[(KEYS, 4, REQUEST, 1), (QUESTION, 4, REQUEST, 1)],
        ),
        // The default of connecting is cut off by a short request, which says so itself.
        (
            Set {
                request: Some(1),
                connect: None,
                ..Set::default()
            },
            &[],
        ),
    ];
    for (set, expected) in rows {
        let told = told(client(set), options(set), [server(set)]).unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|(one, value, other, wins)| (&**one, *value, &**other, *wins))
            .collect();
        assert_eq!(told, expected, "{set:?}");
    }
}

#[test]
fn servers_that_are_set_alike_are_told_of_once_and_others_are_not() {
    let asking = |issuer: &str, asks: Introspection| {
        let server = AuthorizationServer::new(issuer).unwrap();
        server.introspection(asks.token_prefix(format!("{issuer}_")).unwrap())
    };
    let slow = || introspection().timeout(seconds(9));
    let servers = [
        asking(ISSUER, slow()).unwrap(),
        asking("https://b.example.com", slow()).unwrap(),
        asking("https://c.example.com", introspection().timeout(seconds(8))).unwrap(),
    ];
    let told_of = told(HttpFetch::new(), JwksOptions::new(), servers).unwrap();
    let values: Vec<_> = told_of.iter().map(|told| told.1).collect();
    assert_eq!(values, [9, 8]);

    // A copy of metadata is fetched within the time of keys.
    trace::start();
    let only = introspection().introspect_jwts_only().unwrap();
    let copying = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(asking(ISSUER, only).unwrap())
        .unwrap()
        .copy_server_metadata()
        .jwks_options(JwksOptions::new().fetch_timeout(seconds(9)));
    let _ = copying.build().unwrap();
    assert_eq!(trace::take().len(), 1);

    // No keys are fetched for it, so nothing is cut short.
    let slow_keys = || JwksOptions::new().fetch_timeout(seconds(9));
    let only = introspection().introspect_jwts_only().unwrap();
    let fixed = key_set(&[&Key::new("a")]).to_string();
    for (server, count) in [
        (asking(ISSUER, only.clone()), 0),
        (AuthorizationServer::new(ISSUER).unwrap().jwks(fixed), 0),
        (asking(ISSUER, only.require_signed_responses()), 1),
    ] {
        let told_of = told(HttpFetch::new(), slow_keys(), [server.unwrap()]).unwrap();
        assert_eq!(told_of.len(), count, "{told_of:?}");
    }
}

/// A client that a user brings.
#[derive(Debug)]
struct Own(Option<Duration>);

impl Fetch for Own {
    fn fetch(&self, _: Request<Bytes>, _: usize) -> FetchFuture {
        Box::pin(std::future::pending())
    }

    fn timeouts(&self) -> FetchTimeouts {
        let mut timeouts = FetchTimeouts::default();
        timeouts.request = self.0;
        timeouts
    }
}

#[test]
fn a_client_of_ones_own_is_believed_what_it_says() {
    let slow = || JwksOptions::new().fetch_timeout(seconds(60));
    let of = |own: Option<u64>| {
        let server = server(Set::default());
        told(Own(own.map(seconds)), slow(), [server]).unwrap()
    };
    assert!(of(None).is_empty());
    assert!(of(Some(60)).is_empty());
    assert_eq!(of(Some(30)).len(), 1);
    // One that says nothing at all.
    assert_eq!(Web::new().timeouts(), FetchTimeouts::default());
    assert!(
        told(Web::new(), slow(), [server(Set::default())])
            .unwrap()
            .is_empty()
    );
}

#[track_caller]
fn refused(built: Result<Vec<(String, u64, String, u64)>, ConfigError>, setting: &str) -> String {
    let error = built.expect_err("accepted");
    assert_eq!(error.setting(), setting, "{error}");
    error.to_string()
}

#[test]
fn a_client_without_time_is_refused() {
    let build = |client: HttpFetch| told(client, JwksOptions::new(), [server(Set::default())]);
    refused(build(HttpFetch::new().timeout(Duration::ZERO)), "timeout");
    let never = HttpFetch::new().connect_timeout(Duration::ZERO);
    refused(build(never), "connect_timeout");
    assert!(build(HttpFetch::new().idle_timeout(Duration::ZERO)).is_ok());
}

#[test]
fn a_lifetime_that_is_out_of_its_bounds_is_refused_with_both_names() {
    let build = |options: JwksOptions| told(HttpFetch::new(), options, [server(Set::default())]);
    let (second, minute, hour) = (seconds(1), seconds(60), seconds(3600));
    for outside in [
        JwksOptions::new().default_ttl(minute / 2),
        JwksOptions::new().default_ttl(hour * 2),
        JwksOptions::new().ttl_bounds(hour..=hour * 2),
        JwksOptions::new().ttl_bounds(second..=minute),
        JwksOptions::new()
            .default_ttl(minute)
            .ttl_bounds(minute * 2..=hour),
    ] {
        let error = refused(build(outside), "default_ttl");
        assert!(error.contains("`ttl_bounds`"), "{error}");
    }
    for inside in [
        JwksOptions::new().default_ttl(minute),
        JwksOptions::new().default_ttl(hour),
        JwksOptions::new()
            .default_ttl(second)
            .ttl_bounds(second..=second),
        // Less than a second counts as one.
        JwksOptions::new()
            .default_ttl(second)
            .ttl_bounds(Duration::ZERO..=Duration::ZERO),
        JwksOptions::new()
            .default_ttl(hour * 2)
            .ttl_bounds(minute..=hour * 2),
    ] {
        assert_eq!(build(inside.clone()).unwrap(), [], "{inside:?}");
    }
}

/// The time of the question is that of its discovery too, and not the one of keys.
#[tokio::test(start_paused = true)]
async fn a_place_that_swallows_connections_leaves_time_for_the_next_one() {
    let first = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let second = format!("{ISSUER}/.well-known/openid-configuration");
    for timeout in [seconds(1), seconds(2), seconds(5), seconds(20)] {
        let web = Web::new();
        web.set(&first, Page::Hang);
        let document = json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT});
        web.set(&second, Page::Json(document));
        say_always(&web, &active(json!({})));
        let asks = Introspection::discovered()
            .client_secret_basic("mcp-server", "s3cret-of-ours")
            .unwrap()
            .timeout(timeout);
        let server = AuthorizationServer::new(ISSUER).unwrap();
        let guarded = Guarded::with_server(&web, server.introspection(asks).unwrap());
        let start = tokio::time::Instant::now();
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        assert!(
            start.elapsed() < timeout / 2,
            "{timeout:?}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn a_time_limit_may_be_without_end() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let place = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let document = json!({
        "issuer": ISSUER, "jwks_uri": JWKS, "introspection_endpoint": ENDPOINT,
    });
    web.set(&place, Page::Json(document));
    say_always(&web, &active(json!({})));
    let asks = Introspection::discovered()
        .client_secret_basic("mcp-server", "s3cret-of-ours")
        .unwrap()
        .timeout(Duration::MAX);
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let mut guarded = Guarded::new(&web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server.introspection(asks).unwrap())
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .jwks_options(JwksOptions::new().fetch_timeout(Duration::MAX))
        .build()
        .unwrap();
    let token = key.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
}

/// A discovery may take longer than its failure is remembered.
#[tokio::test]
async fn a_failed_discovery_is_remembered_for_a_second_from_its_end() {
    let place = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let web = Web::new();
    let asks = Introspection::discovered()
        .client_secret_basic("mcp-server", "s3cret-of-ours")
        .unwrap();
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let guarded = Guarded::with_server(&web, server.introspection(asks).unwrap());
    web.hold(true);
    let first = common::spawn({
        let guarded = guarded.clone();
        async move { guarded.bearer(OPAQUE).await }
    });
    settle().await;
    assert_eq!(web.count(&place), 1);
    guarded.advance(2);
    web.hold(false);
    first.await.unwrap().assert(503, "introspection_failed");
    for (passed, looked_up) in [(0, 1), (1, 2)] {
        guarded.advance(passed);
        let answer = guarded.bearer(OPAQUE).await;
        answer.assert(503, "introspection_failed");
        assert_eq!(web.count(&place), looked_up, "{passed}");
    }
}

#[tokio::test]
async fn an_endpoint_is_discovered_as_often_as_keys_are() {
    let place = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let web = Web::new();
    let document = json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT});
    web.set(&place, Page::Json(document));
    say_always(&web, &active(json!({"exp": START.as_secs() + 86_400})));
    let asks = Introspection::discovered()
        .client_secret_basic("mcp-server", "s3cret-of-ours")
        .unwrap()
        .positive_ttl(Duration::ZERO);
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server.introspection(asks).unwrap();
    let mut guarded = Guarded::new(&web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .jwks_options(JwksOptions::new().rediscovery(seconds(300)))
        .build()
        .unwrap();
    for (passed, looked_up) in [(0, 1), (299, 1), (1, 2), (299, 2), (1, 3)] {
        guarded.advance(passed);
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
        assert_eq!(web.count(&place), looked_up);
    }
}
