//! The copy of an authorization server's metadata, for clients of MCP 2025-03-26.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_mcp_auth::auth::{AuthLayer, Authenticate};
use tower_mcp_auth::oauth::presets::github_actions;
use tower_mcp_auth::oauth::{AuthorizationServer, JwksOptions, OAuthLayerBuilder};
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};
use tower_mcp_auth::{ApiKeyLayer, Clock, ConfigError, OAuthLayer};
use tracing::Level;

use crate::oauth::support::*;
use crate::oauth::trace;

const PLACE: &str = "/.well-known/oauth-authorization-server";
/// Where `ISSUER` publishes.
const OAUTH: &str = "https://auth.example.com/.well-known/oauth-authorization-server";
const OPENID: &str = "https://auth.example.com/.well-known/openid-configuration";

/// A document that no reader and writer of JSON would give back as it is.
const DOCUMENT: &str = "{ \"issuer\" :\t\"https:\\u002f\\u002fauth.example.com\",\r\n \
    \"authorization_endpoint\":\"https://auth.example.com/authorize\",\"x\":1.50, \"y\":[ ] } \n";

/// The network of a server that serves this at its first place.
fn web(page: Page) -> Web {
    let web = Web::new();
    web.set(OAUTH, page);
    web
}

fn raw(document: &str) -> Page {
    Page::Raw(document.as_bytes().to_vec())
}

/// A layer with a copy, its network and its clock.
#[derive(Clone)]
struct Copying {
    layer: OAuthLayer,
    clock: Clock,
    web: Web,
}

fn builder(servers: impl IntoIterator<Item = AuthorizationServer>) -> OAuthLayerBuilder {
    let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
    for server in servers {
        builder = builder.authorization_server(server).unwrap();
    }
    builder
}

fn server(issuer: &str) -> AuthorizationServer {
    AuthorizationServer::new(issuer).unwrap()
}

impl Copying {
    fn new(web: Web) -> Self {
        Self::with(web, JwksOptions::new())
    }

    fn with(web: Web, options: JwksOptions) -> Self {
        let builder = builder([server(ISSUER)]).copy_server_metadata();
        Self::of(web, builder.jwks_options(options))
    }

    fn of(web: Web, builder: OAuthLayerBuilder) -> Self {
        let clock = Clock::manual(START);
        let layer = builder.clock(clock.clone()).fetch(web.clone()).build();
        Self {
            layer: layer.unwrap(),
            clock,
            web,
        }
    }

    async fn get(&self) -> Seen {
        self.send("GET", PLACE, &[]).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Seen {
        let layer: AuthLayer<_> = self.layer.clone().into();
        send(&layer, method, path, headers).await
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// How often the server was asked.
    fn asked(&self) -> usize {
        self.web.count(OAUTH)
    }
}

/// What a client got, and whether the inner service was reached.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    inside: bool,
}

#[derive(Clone)]
struct Inside;

async fn send<P: Authenticate>(
    layer: &AuthLayer<P>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Seen {
    let inner = tower::service_fn(async |_: Request<Full<Bytes>>| {
        let mut response = Response::new(Full::<Bytes>::default());
        response.extensions_mut().insert(Inside);
        Ok::<_, Infallible>(response)
    });
    let method: Method = method.parse().unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::default()).unwrap();
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Seen {
        status: parts.status.as_u16(),
        inside: parts.extensions.get::<Inside>().is_some(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

impl Seen {
    /// That it is the copy of this document, fresh for so many seconds.
    #[track_caller]
    fn copy(&self, document: &str, max_age: u64) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.body, document.as_bytes());
        let expected = format!("public, max-age={max_age}");
        assert_eq!(self.headers["cache-control"], expected);
    }

    /// That it is a copy that could not be renewed.
    #[track_caller]
    fn old_copy(&self, document: &str) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.body, document.as_bytes());
        assert_eq!(self.headers["cache-control"], "no-store");
    }

    /// That there is none: why, and when to come back.
    #[track_caller]
    fn none(&self, status: u16) -> Option<u64> {
        assert_eq!((self.status, self.body.len()), (status, 0), "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        assert!(!self.headers.contains_key("www-authenticate"));
        let retry = self.headers.get("retry-after")?;
        Some(retry.to_str().unwrap().parse().unwrap())
    }
}

#[tokio::test]
async fn without_the_setting_there_is_no_copy() {
    let web = web(raw(DOCUMENT));
    let plain = Copying::of(web, builder([server(ISSUER)]));
    let seen = plain.get().await;
    assert_eq!((seen.status, seen.inside), (401, false));
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let service = plain.layer.server_metadata_service();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 404);
    assert!(plain.web.log().is_empty());
}

#[tokio::test]
async fn the_document_is_copied_byte_by_byte() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    for path in [PLACE, &format!("{PLACE}/"), &format!("{PLACE}?x=1")] {
        let seen = copying.send("GET", path, &[]).await;
        seen.copy(DOCUMENT, 3600);
        assert_eq!(seen.headers["content-type"], "application/json");
        assert_eq!(seen.headers["access-control-allow-origin"], "*");
        assert_eq!(seen.headers["x-content-type-options"], "nosniff");
        assert!(!seen.inside);
    }
    let seen = copying.send("HEAD", PLACE, &[]).await;
    assert_eq!((seen.status, seen.body.len()), (200, 0));
    assert_eq!(seen.headers["content-length"], DOCUMENT.len().to_string());
    assert_eq!(copying.asked(), 1);

    // Mounted by hand it is the same.
    let service = copying.layer.server_metadata_service();
    let request = Request::get("/x").body(Full::<Bytes>::default()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, DOCUMENT);
    assert_eq!(copying.asked(), 1);
}

#[tokio::test]
async fn what_needs_no_document_fetches_none() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    let seen = copying.send("OPTIONS", PLACE, &[]).await;
    assert_eq!(seen.status, 204);
    assert_eq!(seen.headers["access-control-allow-headers"], "*");
    assert_eq!(
        seen.headers["access-control-allow-methods"],
        "GET, HEAD, OPTIONS"
    );
    for method in ["POST", "PUT", "DELETE", "PATCH", "get"] {
        let seen = copying.send(method, PLACE, &[]).await;
        assert_eq!((seen.status, seen.inside), (405, false), "{method}");
        assert_eq!(seen.headers["allow"], "GET, HEAD, OPTIONS");
    }
    assert!(copying.web.log().is_empty());
}

#[tokio::test]
async fn it_is_looked_for_where_discovery_looks() {
    let issuer = "https://auth.example.com/tenant";
    let places = [
        "https://auth.example.com/.well-known/oauth-authorization-server/tenant",
        "https://auth.example.com/.well-known/openid-configuration/tenant",
        "https://auth.example.com/tenant/.well-known/openid-configuration",
        "https://auth.example.com/tenant/.well-known/oauth-authorization-server",
    ];
    let document = json!({"issuer": issuer}).to_string();
    for (index, place) in places.iter().enumerate() {
        let web = Web::new();
        web.set(place, raw(&document));
        let copying = Copying::of(web, builder([server(issuer)]).copy_server_metadata());
        copying.get().await.copy(&document, 3600);
        assert_eq!(copying.web.log(), places[..=index]);
    }
}

#[tokio::test]
async fn what_is_not_the_servers_document_is_never_copied() {
    let large = format!(
        "{{\"issuer\":{ISSUER:?},\"x\":\"{}\"}}",
        "x".repeat(64 * 1024)
    );
    let of = |issuer: &str| Page::Json(json!({"issuer": issuer}));
    let redirect = |status: u16| {
        let to = vec![("location", OPENID.to_owned())];
        Page::Answer(status, to, DOCUMENT.as_bytes().to_vec())
    };
    let unusable = [
        of("https://auth.example.com/"),
        of("https://AUTH.example.com"),
        of("https://evil.example"),
        of("http://auth.example.com"),
        of(RESOURCE),
        of("https://mcp.example.com"),
        Page::Json(json!({"issuer": [ISSUER]})),
        Page::Json(json!({"authorization_endpoint": "https://auth.example.com/authorize"})),
        Page::Json(json!([{"issuer": ISSUER}])),
        raw(""),
        raw("<html>"),
        raw(&format!("{{\"issuer\":{ISSUER:?}}} x")),
        raw(&format!("\u{feff}{{\"issuer\":{ISSUER:?}}}")),
        // Two readers would take different ones.
        raw(&format!(
            "{{\"issuer\":{ISSUER:?},\"issuer\":\"https://evil.example\"}}"
        )),
        raw(&format!(
            "{{\"issuer\":\"https://evil.example\",\"issuer\":{ISSUER:?}}}"
        )),
        Page::Raw(b"{\"issuer\":\"https://auth.example.com\",\"x\":\"\xff\"}".to_vec()),
        raw(&large),
        redirect(301),
        redirect(302),
        redirect(307),
        redirect(304),
        redirect(203),
        redirect(206),
        Page::Status(401),
        Page::Status(500),
        Page::NoConnection,
    ];
    for page in unusable {
        let copying = Copying::new(web(page.clone()));
        let retry = copying.get().await.none(503);
        assert!(
            retry.is_some_and(|seconds| (1..=2).contains(&seconds)),
            "{page:?}"
        );

        // The next place may have it.
        let copying = Copying::new(web(page.clone()));
        copying.web.set(OPENID, raw(DOCUMENT));
        copying.get().await.copy(DOCUMENT, 3600);
        assert_eq!(copying.web.log(), [OAUTH, OPENID], "{page:?}");
    }
}

#[tokio::test]
async fn a_server_without_metadata_is_404_and_is_asked_again_in_a_while() {
    for (first, second) in [
        (Page::Status(404), Page::Status(404)),
        (Page::Status(410), Page::Status(404)),
    ] {
        let copying = Copying::new(web(first));
        copying.web.set(OPENID, second);
        for _ in 0..20 {
            assert_eq!(copying.get().await.none(404), None);
        }
        assert_eq!(copying.asked(), 1);
        copying.advance(1);
        copying.get().await.none(404);
        assert_eq!(copying.asked(), 2);
        copying.web.set(OAUTH, raw(DOCUMENT));
        copying.advance(15);
        copying.get().await.copy(DOCUMENT, 3600);
    }
    // One that may have some says nothing of the kind.
    let copying = Copying::new(web(Page::Status(404)));
    copying.web.set(OPENID, Page::Status(500));
    assert!(copying.get().await.none(503).is_some());
}

#[tokio::test]
async fn a_copy_is_kept_for_its_time_and_renewed_before_that_is_over() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    copying.get().await.copy(DOCUMENT, 3600);
    let other = json!({"issuer": ISSUER, "changed": true}).to_string();
    copying.web.set(OAUTH, raw(&other));
    copying.advance(2000);
    copying.get().await.copy(DOCUMENT, 1600);
    settle().await;
    assert_eq!(copying.asked(), 1);
    // In the background, and no request waits.
    copying.advance(900);
    copying.web.hold(true);
    for _ in 0..10 {
        copying.get().await.copy(DOCUMENT, 700);
        settle().await;
    }
    assert_eq!(copying.asked(), 2);
    copying.web.hold(false);
    settle().await;
    copying.get().await.copy(&other, 3600);

    // One that was not asked for in its time is not served past it.
    copying.web.set(OAUTH, raw(DOCUMENT));
    copying.advance(3600);
    copying.get().await.copy(DOCUMENT, 3600);
    assert_eq!(copying.asked(), 3);
}

#[tokio::test]
async fn where_no_request_may_wait_a_copy_is_fetched_all_the_same() {
    let options = JwksOptions::new().max_waiting_requests(0);
    let copying = Copying::with(web(raw(DOCUMENT)), options);
    copying.get().await.none(503);
    settle().await;
    copying.get().await.copy(DOCUMENT, 3600);
    // Past its time the old one is served while the new one is fetched.
    copying.advance(3600);
    copying.get().await.old_copy(DOCUMENT);
    settle().await;
    copying.get().await.copy(DOCUMENT, 3600);
    assert_eq!(copying.asked(), 2);
}

#[tokio::test]
async fn its_time_is_that_of_what_discovery_found() {
    for (rediscovery, fresh) in [(60, 60), (1, 1), (0, 1), (86_400, 3600)] {
        let options = JwksOptions::new().rediscovery(Duration::from_secs(rediscovery));
        let copying = Copying::with(web(raw(DOCUMENT)), options);
        copying.get().await.copy(DOCUMENT, fresh);
        copying.advance(rediscovery.max(1));
        copying.get().await.copy(DOCUMENT, fresh);
        assert_eq!(copying.asked(), 2, "{rediscovery}");
    }
    let copying = Copying::with(
        web(raw(DOCUMENT)),
        JwksOptions::new().rediscovery(Duration::MAX),
    );
    copying.get().await.copy(DOCUMENT, 3600);
    copying.advance(1_000_000_000);
    copying.get().await.copy(DOCUMENT, 3600);
    assert_eq!(copying.asked(), 1);
}

#[tokio::test]
async fn all_that_ask_share_one_fetch_and_it_outlives_them() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    copying.web.hold(true);
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let copying = copying.clone();
        requests.spawn(async move { copying.get().await });
    }
    settle().await;
    assert_eq!(copying.asked(), 1);
    // Those that began it are gone.
    requests.abort_all();
    while requests.join_next().await.is_some() {}
    let last = common::spawn({
        let copying = copying.clone();
        async move { copying.get().await }
    });
    settle().await;
    copying.web.hold(false);
    last.await.unwrap().copy(DOCUMENT, 3600);
    assert_eq!(copying.asked(), 1);
}

#[tokio::test]
async fn while_the_server_cannot_be_asked_the_last_copy_serves_for_an_hour_more() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    copying.get().await.copy(DOCUMENT, 3600);
    copying.web.set(OAUTH, Page::Status(500));
    copying.advance(3600);
    let mut asked = copying.asked();
    for second in 0..3600 {
        copying.get().await.old_copy(DOCUMENT);
        if second == 0 {
            assert_eq!(copying.asked(), asked + 1);
            asked = copying.asked();
        }
        copying.advance(1);
    }
    // Doubling up to a minute, and never more than one at a time.
    let asked = copying.asked() - asked;
    assert!((60..=140).contains(&asked), "{asked}");
    let retry = copying.get().await.none(503).unwrap();
    assert!((1..=60).contains(&retry), "{retry}");

    copying.web.set(OAUTH, raw(DOCUMENT));
    copying.advance(60);
    copying.get().await.copy(DOCUMENT, 3600);
}

#[tokio::test]
async fn another_servers_document_takes_the_place_of_no_copy() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    copying.get().await.copy(DOCUMENT, 3600);
    copying
        .web
        .set(OAUTH, Page::Json(json!({"issuer": "https://evil.example"})));
    copying.advance(3000);
    for _ in 0..3 {
        copying.get().await.copy(DOCUMENT, 600);
        settle().await;
    }
    copying.advance(600);
    copying.get().await.old_copy(DOCUMENT);
}

#[tokio::test]
async fn metadata_that_were_withdrawn_are_served_no_more() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    copying.get().await.copy(DOCUMENT, 3600);
    copying.web.set(OAUTH, Page::Status(404));
    copying.advance(3000);
    copying.get().await.copy(DOCUMENT, 600);
    settle().await;
    copying.get().await.none(404);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_holds_no_request_for_long() {
    let options = JwksOptions::new().fetch_timeout(Duration::from_secs(4));
    let copying = Copying::with(web(Page::Hang), options);
    copying.web.set(OPENID, Page::Hang);
    let start = tokio::time::Instant::now();
    copying.get().await.none(503);
    assert!(start.elapsed() <= Duration::from_secs(4));
    // One place that swallows connections leaves time for the next.
    copying.web.set(OPENID, raw(DOCUMENT));
    copying.advance(1);
    copying.get().await.copy(DOCUMENT, 3600);
}

#[tokio::test]
async fn those_that_wait_are_bounded_and_take_no_place_of_tokens() {
    let key = Key::new("a");
    let options = JwksOptions::new().max_waiting_requests(2).total_waiting(1);
    let web = Web::with_issuer(&[&key]);
    let copying = Copying::with(web, options);
    copying.web.hold(true);
    let mut requests = JoinSet::new();
    for _ in 0..5 {
        let copying = copying.clone();
        requests.spawn(async move { copying.get().await });
    }
    settle().await;
    let mut refused = 0;
    while let Some(seen) = requests.try_join_next() {
        assert_eq!(seen.unwrap().none(503), Some(1));
        refused += 1;
    }
    assert_eq!(refused, 3);
    let token = format!("Bearer {}", key.token(json!({})));
    let with_token = common::spawn({
        let copying = copying.clone();
        async move {
            copying
                .send("POST", "/mcp", &[("authorization", &token)])
                .await
        }
    });
    settle().await;
    copying.web.hold(false);
    assert!(with_token.await.unwrap().inside);
    let seen = requests.join_all().await;
    assert!(seen.iter().all(|seen| seen.status == 200));
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn nothing_of_a_request_takes_part_in_what_is_fetched_or_served() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    let evil = "evil.example";
    let headers = [
        ("host", evil),
        ("x-forwarded-host", evil),
        ("forwarded", "host=evil.example"),
        ("x-original-url", "/evil"),
        ("origin", "https://evil.example"),
        ("if-none-match", "*"),
        ("range", "bytes=0-1"),
        ("authorization", "Bearer x"),
        ("mcp-protocol-version", "2025-03-26"),
    ];
    let everything =
        "https://evil.example/.well-known/oauth-authorization-server?issuer=https://evil.example";
    for path in [
        PLACE,
        &format!("{PLACE}?issuer=https://evil.example"),
        everything,
    ] {
        let seen = copying.send("GET", path, &headers).await;
        seen.copy(DOCUMENT, 3600);
        assert!(!seen.headers.contains_key("vary"));
    }
    assert_eq!(copying.web.log(), [OAUTH]);
    let sent = copying.web.last(OAUTH).headers;
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["accept"]);
}

#[tokio::test]
async fn other_paths_are_not_the_copy() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    for path in [
        "/.well-known/oauth-authorization-servers",
        "/.well-known/oauth-authorization-server.json",
        "/.well-known/openid-configuration",
        "/x/.well-known/oauth-authorization-server",
        "//.well-known/oauth-authorization-server",
        "/.well-known//oauth-authorization-server",
        "/.WELL-KNOWN/oauth-authorization-server",
        "/.well-known/OAuth-Authorization-Server",
        "/%2ewell-known/oauth-authorization-server",
        "/.well-known/oauth%2dauthorization-server",
        "/.well-known/x/../oauth-authorization-server",
        "/.well-known/oauth-authorization-server;x",
    ] {
        let seen = copying.send("GET", path, &[]).await;
        assert_eq!((seen.status, seen.inside), (401, false), "{path}");
    }
    // Below it the inner service may have what it likes, and a challenge leads nowhere.
    for path in ["/mcp", "/tenant/a"] {
        let path = format!("{PLACE}{path}");
        let seen = copying.send("GET", &path, &[]).await;
        assert_eq!((seen.status, seen.inside), (200, true), "{path}");
        let seen = copying.send("POST", &path, &[]).await;
        assert_eq!((seen.status, seen.inside), (404, false), "{path}");
    }
    for path in [
        "//",
        "/../mcp",
        "/%2e%2e/mcp",
        "/./",
        "/..",
        "/a;b",
        "/mcp%00",
    ] {
        let path = format!("{PLACE}{path}");
        let seen = copying.send("GET", &path, &[]).await;
        assert_eq!((seen.status, seen.inside), (404, false), "{path}");
    }
    assert!(copying.web.log().is_empty());
}

#[tokio::test]
async fn it_is_the_document_of_the_server_that_clients_are_sent_to() {
    const REGISTRATION: &str = "https://register.example.com";

    let document = json!({"issuer": REGISTRATION}).to_string();
    let web = web(raw(DOCUMENT));
    web.set(&format!("{REGISTRATION}{PLACE}"), raw(&document));
    let advertised = server(ISSUER).advertised_as(REGISTRATION).unwrap();
    let copying = Copying::of(web, builder([advertised]).copy_server_metadata());
    copying.get().await.copy(&document, 3600);
    assert_eq!(copying.web.log(), [format!("{REGISTRATION}{PLACE}")]);

    // The name of its tokens is no place.
    let named = server(ISSUER)
        .token_issuer("http://nowhere.example/trust")
        .unwrap();
    let copying = Copying::of(
        self::web(raw(DOCUMENT)),
        builder([named]).copy_server_metadata(),
    );
    copying.get().await.copy(DOCUMENT, 3600);
    assert_eq!(copying.web.log(), [OAUTH]);
}

#[tokio::test]
async fn of_several_servers_the_one_that_is_named_is_copied() {
    const OTHER: &str = "https://other.example.com";

    let document = json!({"issuer": OTHER}).to_string();
    for (name, copied) in [(ISSUER, DOCUMENT), (OTHER, &*document)] {
        let web = web(raw(DOCUMENT));
        web.set(&format!("{OTHER}{PLACE}"), raw(&document));
        let builder = builder([server(ISSUER), server(OTHER)]);
        let copying = Copying::of(web, builder.copy_server_metadata_of(name));
        copying.get().await.copy(copied, 3600);
    }
    // By the name of its tokens too, and two that go to one place are one.
    let adfs = || {
        server(OTHER)
            .token_issuer("http://other.example.com/trust")
            .unwrap()
    };
    let same = || server(ISSUER).advertised_as(OTHER).unwrap();
    for builder in [
        builder([server(ISSUER), adfs()]).copy_server_metadata_of("http://other.example.com/trust"),
        builder([server(ISSUER), adfs()]).copy_server_metadata_of(OTHER),
        builder([same(), adfs()]).copy_server_metadata(),
        builder([same(), adfs()]).copy_server_metadata_of(ISSUER),
    ] {
        let web = web(raw(DOCUMENT));
        web.set(&format!("{OTHER}{PLACE}"), raw(&document));
        Copying::of(web, builder).get().await.copy(&document, 3600);
    }
}

#[test]
fn one_document_cannot_be_that_of_several_servers() {
    #[track_caller]
    fn refused(builder: OAuthLayerBuilder, setting: &str, part: &str) {
        let error: ConfigError = builder.build().expect_err("accepted");
        assert_eq!(error.setting(), setting, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let two = || builder([server(ISSUER), server("https://other.example.com")]);
    refused(
        two().copy_server_metadata(),
        "copy_server_metadata",
        "copy_server_metadata_of",
    );
    for unknown in ["", "https://third.example.com", "https://auth.example.com/"] {
        refused(
            two().copy_server_metadata_of(unknown),
            "copy_server_metadata_of",
            "no server with the issuer",
        );
    }
    // Clients are sent to some of them alone.
    let jobs = || github_actions::owners([9919]).unwrap();
    let one = builder([server(ISSUER), jobs()]).copy_server_metadata();
    assert!(one.build().is_ok());
    refused(
        builder([jobs()]).copy_server_metadata(),
        "copy_server_metadata",
        "nothing to copy",
    );
    let named = "https://token.actions.githubusercontent.com";
    refused(
        builder([server(ISSUER), jobs()]).copy_server_metadata_of(named),
        "copy_server_metadata_of",
        "no server with the issuer",
    );
    let edge = || builder([server(ISSUER)]).header_name("X-Assertion");
    refused(
        edge().copy_server_metadata(),
        "header_name",
        "copy_server_metadata",
    );
    refused(
        edge().copy_server_metadata_of(ISSUER),
        "header_name",
        "copy_server_metadata_of",
    );
}

#[tokio::test]
async fn a_layer_beside_it_changes_nothing() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    let keys = || {
        let keys = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"]).unwrap();
        keys.clock(copying.clock.clone())
    };
    let one = copying.layer.clone().or(keys()).unwrap().boxed();
    let other = keys().or(copying.layer.clone()).unwrap().boxed();
    for layer in [one, other] {
        send(&layer, "GET", PLACE, &[]).await.copy(DOCUMENT, 3600);
    }
    assert_eq!(copying.asked(), 1);
}

#[tokio::test]
async fn warming_up_fetches_it_and_does_not_depend_on_it() {
    let key = Key::new("a");
    let copying = Copying::new(Web::with_issuer(&[&key]));
    copying.layer.warm_up().await.unwrap();
    let fetched = copying.asked();
    assert_eq!(fetched, 2);
    assert_eq!(copying.get().await.status, 200);
    assert_eq!(copying.asked(), fetched);

    let keys_alone = server(ISSUER).jwks_uri(JWKS).unwrap();
    let web = Web::new();
    web.publish_keys(&[&key]);
    let copying = Copying::of(web, builder([keys_alone]).copy_server_metadata());
    copying.layer.warm_up().await.unwrap();
    copying.get().await.none(404);
    assert_eq!(copying.asked(), 1);
}

#[tokio::test]
async fn trouble_is_told_once_for_each_fetch() {
    let copying = Copying::new(web(Page::Status(500)));
    trace::start();
    for _ in 0..10 {
        copying.get().await.none(503);
    }
    let warned: Vec<_> = trace::take()
        .into_iter()
        .filter(|event| event.level == Level::WARN)
        .collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(warned[0].field("issuer"), ISSUER);
    assert!(warned[0].field("why").contains("status 500"), "{warned:?}");
}

/// Without a runtime a fetch cannot be made, and no request waits for it.
#[test]
fn outside_a_runtime_it_is_503() {
    let copying = Copying::new(web(raw(DOCUMENT)));
    let seen = futures(copying.get());
    assert!(seen.none(503).is_some());
}

fn futures<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Wake, Waker};

    struct Nothing;
    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Waker::from(Arc::new(Nothing));
    let mut future = Box::pin(future);
    for _ in 0..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
    panic!("it waits")
}

/// The real client: no redirect is followed, not even to the same server.
#[tokio::test]
async fn over_loopback_a_document_is_copied_and_a_redirect_is_not_followed() {
    let issuer = Issuer::start().await.unwrap();
    let layer = || {
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        let builder = builder([server]).copy_server_metadata();
        let layer: AuthLayer<_> = builder.build().unwrap().into();
        layer
    };
    let seen = send(&layer(), "GET", PLACE, &[]).await;
    assert_eq!(seen.status, 200);
    let document: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(document["issuer"], issuer.url());
    let evil = Issuer::start().await.unwrap();
    for behaviour in [
        Behaviour::Redirect(evil.endpoint(Endpoint::OAuthMetadata)),
        Behaviour::Oversize(65 * 1024),
        Behaviour::Status(500),
        Behaviour::Disconnect,
    ] {
        for endpoint in [Endpoint::OAuthMetadata, Endpoint::OidcMetadata] {
            issuer.set_behaviour(endpoint, behaviour.clone());
        }
        let seen = send(&layer(), "GET", PLACE, &[]).await;
        assert_eq!(seen.status, 503, "{behaviour:?}");
    }
    assert_eq!(evil.requests(Endpoint::OAuthMetadata), 0);
}
