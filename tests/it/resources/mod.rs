//! Several resources behind one layer: chosen by host and path, and nothing crosses.

mod jwt;
mod mcp;
mod several;
mod told_apart;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::McpPolicy;
use tower_mcp_auth::oauth::{AuthorizationServer, OAuthLayerBuilder, ProtectedResource};
use tower_mcp_auth::peer::{PeerAddr, ProxyHeaders, TrustedProxies};
use tower_mcp_auth::{
    AuthErrorKind, ConfigError, JwtLayer, OAuthLayer, ResourceSet, Tenant, Tenants,
};

use crate::oauth::introspection::{self, ENDPOINT, OPAQUE};
use crate::oauth::support::*;

const A: &str = "https://a.example.com/mcp";
const B: &str = "https://b.example.com/mcp";
const OTHER_ISSUER: &str = "https://other.example.com";

fn two_hosts() -> OAuthLayerBuilder {
    let builder = OAuthLayer::builder(A).unwrap();
    builder.resource(B).unwrap()
}

fn guarded(web: &Web, builder: OAuthLayerBuilder) -> Guarded {
    let mut guarded = Guarded::new(web);
    guarded.layer = builder
        .authorization_server(ISSUER)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    guarded
}

fn get(host: &str, path: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().uri(path).header("host", host);
    request.body(Full::default()).unwrap()
}

fn with_token(mut request: Request<Full<Bytes>>, token: &str) -> Request<Full<Bytes>> {
    let value = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert("authorization", value);
    request
}

fn for_audience(key: &Key, audience: &str) -> String {
    key.token(json!({"aud": audience}))
}

async fn body(guarded: &Guarded, request: Request<Full<Bytes>>) -> (u16, String, Value) {
    let inner = tower::service_fn(async |_: Request<Full<Bytes>>| -> Result<_, ConfigError> {
        panic!("the service was reached")
    });
    let inner = tower::ServiceBuilder::new()
        .map_response(|response: http::Response<Full<Bytes>>| response)
        .service(inner);
    let response = guarded.layer.layer(inner).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let caching = parts.headers.get("cache-control");
    let caching = caching
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let body = body.collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (parts.status.as_u16(), caching, json)
}

#[tokio::test]
async fn each_host_has_its_challenge_metadata_and_audience() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let guarded = guarded(&web, two_hosts());
    for (host, url, other) in [("a.example.com", A, B), ("b.example.com", B, A)] {
        let answer = guarded.ask(get(host, "/mcp")).await;
        answer.assert(401, "missing_credential");
        let metadata = format!("https://{host}/.well-known/oauth-protected-resource/mcp");
        assert!(
            answer
                .challenge()
                .contains(&format!("resource_metadata=\"{metadata}\"")),
            "{}",
            answer.challenge()
        );
        let document = get(host, "/.well-known/oauth-protected-resource/mcp");
        let (status, caching, json) = body(&guarded, document).await;
        assert_eq!((status, &*caching), (200, "public, max-age=3600"));
        assert_eq!(json["resource"], url);
        assert_eq!(json["authorization_servers"], json!([ISSUER]));

        let token = for_audience(&key, url);
        let answer = guarded.ask(with_token(get(host, "/mcp"), &token)).await;
        answer.assert(200, "accepted");
        let resource = answer.who.as_ref().and_then(|who| who.resource());
        assert_eq!(resource.map(|resource| resource.url()), Some(url));
        let token = for_audience(&key, other);
        let answer = guarded.ask(with_token(get(host, "/mcp"), &token)).await;
        answer.assert(401, "audience_mismatch");
    }
    let reached = guarded.reached();
    let answer = guarded.ask(get("evil.example", "/mcp")).await;
    answer.assert(421, "unknown_host");
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert_eq!(guarded.reached(), reached);
}

#[tokio::test]
async fn a_token_that_is_kept_is_judged_for_the_resource_of_each_request() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let guarded = guarded(&web, two_hosts());
    let at = |host: &'static str, token: &str| guarded.ask(with_token(get(host, "/mcp"), token));
    let of_a = for_audience(&key, A);
    for _ in 0..3 {
        at("a.example.com", &of_a).await.assert(200, "accepted");
        at("b.example.com", &of_a)
            .await
            .assert(401, "audience_mismatch");
    }
    let of_both = key.token(json!({"aud": [A, B]}));
    for _ in 0..3 {
        for (host, url) in [("a.example.com", A), ("b.example.com", B)] {
            let answer = at(host, &of_both).await;
            answer.assert(200, "accepted");
            assert_eq!(answer.who.unwrap().resource().unwrap().url(), url);
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_kept_is_judged_for_the_resource_of_each_request() {
    let cases = [
        (json!(A), [200, 401]),
        (json!(B), [401, 200]),
        (json!([A, B]), [200, 200]),
        (json!("https://c.example.com"), [401, 401]),
    ];
    for (audience, expected) in cases {
        for first in [0, 1] {
            let said = introspection::active(json!({"aud": audience}));
            let web = introspection::web([(OPAQUE, said)]);
            let mut guarded = Guarded::new(&web);
            guarded.layer = two_hosts()
                .authorization_server(introspection::server(introspection::introspection()))
                .unwrap()
                .clock(guarded.clock.clone())
                .fetch(web.clone())
                .build()
                .unwrap();
            let hosts = ["a.example.com", "b.example.com"];
            let ask = |at: usize| guarded.ask(with_token(get(hosts[at], "/mcp"), OPAQUE));
            for turn in 0..4 {
                let at = (first + turn) % 2;
                let answer = ask(at).await;
                let reason = match expected[at] {
                    200 => "accepted",
                    _ => "audience_mismatch",
                };
                answer.assert(expected[at], reason);
            }
            assert_eq!(web.count(ENDPOINT), 1, "{audience}");

            // Both wait for one call, and each is told what it means for its own resource.
            guarded.layer.invalidate_all();
            let (one, two) = tokio::join!(ask(first), ask(1 - first));
            assert_eq!(one.status.as_u16(), expected[first]);
            assert_eq!(two.status.as_u16(), expected[1 - first]);
            assert_eq!(web.count(ENDPOINT), 2, "{audience}");
        }
    }
}

#[tokio::test]
async fn of_paths_the_longest_one_counts_and_only_whole_segments() {
    let web = Web::new();
    let resources = [
        "https://mcp.example.com/one/mcp",
        "https://mcp.example.com/one/mcp/deeper",
        "https://mcp.example.com/two",
        "https://mcp.example.com:8443/one/mcp",
    ];
    let mut builder = OAuthLayer::builder(resources[0]).unwrap();
    for resource in &resources[1..] {
        builder = builder.resource(*resource).unwrap();
    }
    let guarded = guarded(&web, builder);
    let found = [
        ("mcp.example.com", "/one/mcp", 0),
        ("mcp.example.com", "/one/mcp/", 0),
        ("mcp.example.com", "/one/mcp?x=/two", 0),
        ("MCP.Example.COM:443", "/one/mcp/messages", 0),
        ("mcp.example.com", "/one/mcp/deeper", 1),
        ("mcp.example.com", "/one/mcp/deeper/still", 1),
        ("mcp.example.com", "/one/mcp/deepest", 0),
        ("mcp.example.com", "/two/x/y/z/one/mcp", 2),
        ("mcp.example.com:8443", "/one/mcp", 3),
    ];
    for (host, path, at) in found {
        let answer = guarded.ask(get(host, path)).await;
        answer.assert(401, "missing_credential");
        let url = ProtectedResource::new(resources[at])
            .unwrap()
            .metadata_url();
        assert!(
            answer.challenge().contains(&format!("\"{url}\"")),
            "{host}{path}"
        );
    }
    let unknown = [
        "/",
        "/one",
        "/one/mcpx",
        "/ONE/mcp",
        "/one/mcp/../../two",
        "/one/./mcp",
        "/one//mcp",
        "/one/mcp;x",
        "/one/mcp/%2e%2e/two",
        "/one%2fmcp",
        "/one%5cmcp",
        "/one/mcp%00",
        "/%6fne/mcp",
    ];
    for path in unknown {
        let answer = guarded.ask(get("mcp.example.com", path)).await;
        answer.assert(404, "unknown_resource");
        assert_eq!(answer.error.unwrap().kind(), AuthErrorKind::UnknownResource);
        assert!(!answer.headers.contains_key("www-authenticate"), "{path}");
    }
    let metadata = get(
        "mcp.example.com",
        "/.well-known/oauth-protected-resource/three",
    );
    let (status, ..) = body(&guarded, metadata).await;
    assert_eq!(status, 404);
    let strange = [
        ("mcp.example.com:80", 421),
        ("mcp.example.com:8444", 421),
        ("example.com", 421),
        ("xmcp.example.com", 421),
        ("mcp.example.com.", 400),
        ("user@mcp.example.com", 400),
        ("mcp.example.com, b.example.com", 400),
        ("", 400),
    ];
    for (host, status) in strange {
        let answer = guarded.ask(get(host, "/one/mcp")).await;
        assert_eq!(answer.status.as_u16(), status, "{host:?}: {answer:?}");
    }
    let mut twice = get("mcp.example.com", "/two");
    twice
        .headers_mut()
        .append("host", "mcp.example.com".parse().unwrap());
    guarded.ask(twice).await.assert(400, "ambiguous_host");
    let absolute = get("mcp.example.com", "https://evil.example/two");
    guarded.ask(absolute).await.assert(400, "ambiguous_host");
    let absolute = get("mcp.example.com", "https://mcp.example.com/two");
    guarded
        .ask(absolute)
        .await
        .assert(401, "missing_credential");
    let mut none = get("mcp.example.com", "/two");
    none.headers_mut().remove("host");
    guarded.ask(none).await.assert(400, "missing_host");
    assert_eq!(guarded.reached(), 0);
}

/// A resource without a path is that of every path that has no other one.
#[tokio::test]
async fn a_resource_may_be_a_whole_host() {
    let web = Web::new();
    let builder = OAuthLayer::builder("https://mcp.example.com").unwrap();
    let builder = builder.resource("https://mcp.example.com/mcp").unwrap();
    let guarded = guarded(&web, builder);
    let root = "https://mcp.example.com/.well-known/oauth-protected-resource";
    let cases = [
        ("/", root.to_owned()),
        ("/x", root.to_owned()),
        ("/mcp", format!("{root}/mcp")),
    ];
    for (path, url) in cases {
        let answer = guarded.ask(get("mcp.example.com", path)).await;
        assert!(answer.challenge().contains(&format!("\"{url}\"")), "{path}");
    }
    for (path, status) in [
        ("", 200),
        ("/", 200),
        ("/mcp", 200),
        ("/x", 404),
        ("/mcp/x", 404),
    ] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let (got, ..) = body(&guarded, get("mcp.example.com", &path)).await;
        assert_eq!(got, status, "{path}");
    }
}

#[tokio::test]
async fn a_template_has_a_resource_for_each_of_its_tenants() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    let looked_up = move |name: &str| {
        let known = name == "late" && is_open.load(Ordering::SeqCst);
        known.then(Tenant::new)
    };
    let template = |url: &str, tenants| ProtectedResource::from_template(url, tenants).unwrap();
    let listed = Tenants::new(["acme", "globex-2"]).unwrap();
    let builder = OAuthLayer::builder(template("https://{tenant}.example.com/mcp", listed))
        .unwrap()
        .resource(template(
            "https://mcp.example.org/{server}/mcp",
            Tenants::from_fn(looked_up),
        ))
        .unwrap();
    let guarded = guarded(&web, builder);
    let known = [
        ("acme.example.com", "/mcp"),
        ("ACME.example.com", "/mcp/x"),
        ("globex-2.example.com", "/mcp"),
        ("mcp.example.org", "/late/mcp"),
    ];
    for (host, path) in known {
        let host_of_url = host.to_ascii_lowercase();
        let url = format!("https://{host_of_url}{}", path.trim_end_matches("/x"));
        let answer = guarded.ask(get(host, path)).await;
        answer.assert(401, "missing_credential");
        let metadata = ProtectedResource::new(&*url).unwrap();
        assert!(
            answer
                .challenge()
                .contains(&format!("\"{}\"", metadata.metadata_url()))
        );
        let (status, _, json) = body(&guarded, get(host, &metadata.metadata_path())).await;
        assert_eq!((status, &json["resource"]), (200, &json!(url)));
        let token = for_audience(&key, &url);
        for _ in 0..2 {
            let answer = guarded.ask(with_token(get(host, path), &token)).await;
            answer.assert(200, "accepted");
            assert_eq!(answer.who.unwrap().resource().unwrap().url(), url);
        }
    }
    let token = for_audience(&key, "https://acme.example.com/mcp");
    let other = get("globex-2.example.com", "/mcp");
    guarded
        .ask(with_token(other, &token))
        .await
        .assert(401, "audience_mismatch");

    let unknown = [
        ("evil.example.com", "/mcp", 421),
        ("a.acme.example.com", "/mcp", 421),
        ("example.com", "/mcp", 421),
        ("acme.example.com", "/", 404),
        ("mcp.example.org", "/other/mcp", 404),
        ("mcp.example.org", "/LATE/mcp", 404),
        ("mcp.example.org", "/late", 404),
        ("mcp.example.org", "/l%61te/mcp", 404),
        ("mcp.example.org", "//mcp", 404),
        ("mcp.example.org", "/{server}/mcp", 404),
    ];
    for (host, path, status) in unknown {
        let answer = guarded.ask(get(host, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}{path}");
        let document = format!("/.well-known/oauth-protected-resource{path}");
        let (status, ..) = body(&guarded, get(host, &document)).await;
        assert!(matches!(status, 404 | 421), "{host}{document}: {status}");
    }

    // Who left is not served out of memory.
    let token = for_audience(&key, "https://mcp.example.org/late/mcp");
    let ask = || guarded.ask(with_token(get("mcp.example.org", "/late/mcp"), &token));
    ask().await.assert(200, "accepted");
    open.store(false, Ordering::SeqCst);
    ask().await.assert(404, "unknown_resource");
}

#[tokio::test]
async fn a_resource_trusts_the_servers_and_requires_the_scopes_that_it_names() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    web.publish_metadata(OTHER_ISSUER);
    web.set(
        &format!("{OTHER_ISSUER}/keys"),
        Page::Json(key_set(&[&key])),
    );
    let tenants = Tenants::from_settings([
        ("acme", Tenant::new().authorization_servers([ISSUER])),
        (
            "globex",
            Tenant::new()
                .authorization_servers([OTHER_ISSUER])
                .required_scopes(["mcp:admin"])
                .unwrap(),
        ),
        ("both", Tenant::new()),
    ])
    .unwrap();
    let template = ProtectedResource::from_template("https://mcp.example.com/{tenant}", tenants);
    let builder = OAuthLayer::builder(template.unwrap())
        .unwrap()
        .authorization_server(OTHER_ISSUER)
        .unwrap()
        .required_scopes(["mcp:read"]);
    let guarded = guarded(&web, builder);
    let cases = [
        ("acme", json!([ISSUER]), "mcp:read", [200, 401]),
        ("globex", json!([OTHER_ISSUER]), "mcp:admin", [401, 403]),
        (
            "both",
            json!([OTHER_ISSUER, ISSUER]),
            "mcp:read",
            [200, 200],
        ),
    ];
    for (tenant, servers, scope, statuses) in cases {
        let path = format!("/{tenant}");
        let document = format!("/.well-known/oauth-protected-resource/{tenant}");
        let (_, _, json) = body(&guarded, get("mcp.example.com", &document)).await;
        assert_eq!(json["authorization_servers"], servers, "{tenant}");
        let answer = guarded.ask(get("mcp.example.com", &path)).await;
        assert!(
            answer.challenge().contains(&format!("scope=\"{scope}\"")),
            "{tenant}"
        );
        for (issuer, status) in [ISSUER, OTHER_ISSUER].into_iter().zip(statuses) {
            let audience = format!("https://mcp.example.com/{tenant}");
            let token = key.token(json!({"iss": issuer, "aud": audience}));
            for _ in 0..2 {
                let request = with_token(get("mcp.example.com", &path), &token);
                let answer = guarded.ask(request).await;
                assert_eq!(
                    answer.status.as_u16(),
                    status,
                    "{tenant}, {issuer}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_resource_can_have_another_audience_than_its_url() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let template = ProtectedResource::from_template(
        "https://{tenant}.example.com/mcp",
        Tenants::new(["acme", "globex"]).unwrap(),
    );
    let template = template.unwrap().audience("urn:mcp:{tenant}").unwrap();
    let plain = ProtectedResource::new(A)
        .unwrap()
        .audience("urn:a")
        .unwrap();
    let builder = OAuthLayer::builder(template)
        .unwrap()
        .resource(plain)
        .unwrap();
    let guarded = guarded(&web, builder);
    let cases = [
        ("acme.example.com", "urn:mcp:acme", 200),
        ("acme.example.com", "urn:mcp:globex", 401),
        ("acme.example.com", "https://acme.example.com/mcp", 401),
        ("a.example.com", "urn:a", 200),
        ("a.example.com", A, 401),
        ("a.example.com", "urn:mcp:a", 401),
    ];
    for (host, audience, status) in cases {
        let token = for_audience(&key, audience);
        let answer = guarded.ask(with_token(get(host, "/mcp"), &token)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}, {audience}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_trusted_names_the_host_and_its_choice_is_not_cached() {
    let web = Web::new();
    let proxies = TrustedProxies::new(ProxyHeaders::XForwarded, ["10.0.0.1"]).unwrap();
    let guarded = guarded(&web, two_hosts().trusted_proxies(proxies));
    let cases = [
        (Some("10.0.0.1"), "b.example.com", "no-store"),
        (Some("10.0.0.2"), "a.example.com", "public, max-age=3600"),
        (None, "a.example.com", "public, max-age=3600"),
    ];
    for (peer, host, expected) in cases {
        let mut request = get("a.example.com", "/.well-known/oauth-protected-resource/mcp");
        request
            .headers_mut()
            .insert("x-forwarded-host", "b.example.com".parse().unwrap());
        if let Some(peer) = peer {
            let peer: IpAddr = peer.parse().unwrap();
            request.extensions_mut().insert(PeerAddr::from(peer));
        }
        let (status, caching, json) = body(&guarded, request).await;
        assert_eq!((status, &*caching), (200, expected), "{peer:?}");
        assert_eq!(json["resource"], format!("https://{host}/mcp"), "{peer:?}");
    }
}

#[tokio::test]
async fn the_service_of_metadata_serves_the_document_of_the_host_and_path() {
    let web = Web::new();
    let service = guarded(&web, two_hosts()).layer.metadata_service();
    let document = "/.well-known/oauth-protected-resource/mcp";
    let cases = [
        ("a.example.com", document, 200, json!(A)),
        ("b.example.com", document, 200, json!(B)),
        ("evil.example", document, 421, Value::Null),
        (
            "a.example.com",
            "/.well-known/oauth-protected-resource",
            404,
            Value::Null,
        ),
        ("a.example.com.", document, 400, Value::Null),
    ];
    for (host, path, status, resource) in cases {
        let response = service.clone().oneshot(get(host, path)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}{path}");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert!(!response.headers().contains_key("www-authenticate"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(json["resource"], resource, "{host}{path}");
    }
}

#[tokio::test]
async fn a_prefix_that_a_proxy_takes_away_is_put_back() {
    let web = Web::new();
    let tenants = Tenants::new(["acme"]).unwrap();
    let template =
        ProtectedResource::from_template("https://mcp.example.com/team/{tenant}/mcp", tenants);
    let builder = OAuthLayer::builder(template.unwrap()).unwrap();
    let guarded = guarded(&web, builder.stripped_prefix("/team"));
    let answer = guarded.ask(get("mcp.example.com", "/acme/mcp")).await;
    let metadata = "/.well-known/oauth-protected-resource/team/acme/mcp";
    assert!(
        answer.challenge().contains(metadata),
        "{}",
        answer.challenge()
    );
    let (status, _, json) = body(&guarded, get("mcp.example.com", metadata)).await;
    assert_eq!(
        (status, &json["resource"]),
        (200, &json!("https://mcp.example.com/team/acme/mcp"))
    );
    for path in ["/team/acme/mcp", "/hooli/mcp", "/../acme/mcp"] {
        let answer = guarded.ask(get("mcp.example.com", path)).await;
        answer.assert(404, "unknown_resource");
    }
    for prefix in ["", "/", "team", "/team/", "/a//b", "/a/../b", "/a?b"] {
        let builder = two_hosts()
            .stripped_prefix(prefix)
            .authorization_server(ISSUER);
        let error = builder.unwrap().build().map(drop).unwrap_err();
        assert_eq!(error.setting(), "stripped_prefix", "{prefix:?}");
    }
}

#[tokio::test]
async fn a_copy_of_server_metadata_is_at_the_hosts_of_resources_alone() {
    let web = Web::with_issuer(&[]);
    let guarded = guarded(&web, two_hosts().copy_server_metadata());
    let place = "/.well-known/oauth-authorization-server";
    let below = format!("{place}/mcp");
    let cases = [
        ("a.example.com", place, 200),
        ("b.example.com", place, 200),
        ("evil.example", place, 421),
        ("a.example.com", &*below, 404),
    ];
    for (host, path, status) in cases {
        let answer = guarded.ask(get(host, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}{path}");
    }
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn a_public_path_needs_no_resource() {
    let web = Web::new();
    let mut guarded = guarded(&web, two_hosts());
    guarded.layer = guarded.layer.public_path("/health").unwrap();
    for host in ["10.1.2.3:8080", "a.example.com", "evil.example"] {
        let answer = guarded.ask(get(host, "/health")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason()),
            (200, "accepted"),
            "{host}"
        );
    }
    guarded
        .ask(get("evil.example", "/mcp"))
        .await
        .assert(421, "unknown_host");
    let query = get("evil.example", "/health?access_token=x");
    guarded.ask(query).await.assert(400, "token_in_query");
    let refused = two_hosts()
        .authorization_server(ISSUER)
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(
        refused.public_path("/mcp").unwrap_err().setting(),
        "public_path"
    );
}

#[tokio::test]
async fn scopes_of_a_policy_are_announced_by_every_resource() {
    let web = Web::new();
    let by_hand = ProtectedResource::new(B)
        .unwrap()
        .scopes_supported(["mcp:some"])
        .unwrap();
    let builder = OAuthLayer::builder(A).unwrap().resource(by_hand).unwrap();
    let mut guarded = guarded(&web, builder);
    let policy = McpPolicy::builder()
        .tool("*", "mcp:tools")
        .unwrap()
        .build()
        .unwrap();
    guarded.layer = guarded.layer.announce(&policy);
    for (host, scope) in [
        ("a.example.com", "mcp:tools"),
        ("b.example.com", "mcp:some"),
    ] {
        let document = get(host, "/.well-known/oauth-protected-resource/mcp");
        let (_, _, json) = body(&guarded, document).await;
        assert_eq!(json["scopes_supported"], json!([scope]), "{host}");
        let answer = guarded.ask(get(host, "/mcp")).await;
        assert!(
            answer.challenge().contains(&format!("scope=\"{scope}\"")),
            "{host}"
        );
    }
}

/// A change to a layer, and what its resource is then.
type Build = fn() -> Result<OAuthLayer, ConfigError>;

#[test]
fn what_would_make_a_token_good_at_two_resources_is_refused() {
    fn server() -> AuthorizationServer {
        AuthorizationServer::new(ISSUER).unwrap()
    }
    fn tenants() -> Tenants {
        Tenants::new(["acme", "globex"]).unwrap()
    }
    fn template(url: &str) -> Result<ProtectedResource, ConfigError> {
        ProtectedResource::from_template(url, tenants())
    }
    let cases: [(&str, &str, Build); 21] = [
        ("the same URL twice", "resource", || {
            OAuthLayer::builder(A)?
                .resource(A)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("a slash at the end", "resource", || {
            let again = "https://a.example.com/mcp/";
            OAuthLayer::builder(A)?
                .resource(again)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("the default port", "resource", || {
            let again = "https://a.example.com:443/mcp";
            OAuthLayer::builder(A)?
                .resource(again)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("another case of the host", "resource", || {
            let again = "https://A.example.com/mcp";
            OAuthLayer::builder(A)?
                .resource(again)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("metadata of both at the root", "resource", || {
            let root = |url| Ok::<_, ConfigError>(ProtectedResource::new(url)?.metadata_at_root());
            let files = root("https://mcp.example.com/files")?;
            let builder = OAuthLayer::builder(root("https://mcp.example.com/mail")?)?;
            builder
                .resource(files)?
                .authorization_server(ISSUER)?
                .build()
        }),
        (
            "a copy of a server that one does not trust",
            "copy_server_metadata_of",
            || {
                let a = ProtectedResource::new(A)?.authorization_servers([ISSUER]);
                let other = AuthorizationServer::new(OTHER_ISSUER)?;
                let builder = OAuthLayer::builder(a)?
                    .resource(B)?
                    .copy_server_metadata_of(OTHER_ISSUER);
                builder
                    .authorization_server(ISSUER)?
                    .authorization_server(other)?
                    .build()
            },
        ),
        ("a query", "resource", || {
            let query = "https://a.example.com/mcp?x=1";
            OAuthLayer::builder(A)?
                .resource(query)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("a tenant that is written out", "audience", || {
            let out = "https://acme.example.com/mcp";
            let builder = OAuthLayer::builder(template("https://{t}.example.com/mcp")?)?;
            builder.resource(out)?.authorization_server(ISSUER)?.build()
        }),
        ("two templates of one form", "audience", || {
            let other = template("https://{u}.example.com/mcp")?;
            let builder = OAuthLayer::builder(template("https://{t}.example.com/mcp")?)?;
            builder
                .resource(other)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("two templates that cross", "resource", || {
            let other = template("https://mcp.example.com/x/{u}")?;
            let builder = OAuthLayer::builder(template("https://mcp.example.com/{t}/acme")?)?;
            builder
                .resource(other)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("an audience of two resources", "audience", || {
            let a = ProtectedResource::new(A)?.audience("urn:mcp")?;
            let b = ProtectedResource::new(B)?.audience("urn:mcp")?;
            OAuthLayer::builder(a)?
                .resource(b)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("an audience that is another's URL", "audience", || {
            let a = ProtectedResource::new(A)?.audience(B)?;
            OAuthLayer::builder(a)?
                .resource(B)?
                .authorization_server(ISSUER)?
                .build()
        }),
        ("an audience of all tenants", "audience", || {
            let _ = template("https://{t}.example.com/mcp")?.audience("urn:mcp")?;
            unreachable!()
        }),
        ("an audience of the server", "audience", || {
            two_hosts()
                .authorization_server(server().audience("urn:mcp")?)?
                .build()
        }),
        (
            "an audience of one server that is another's",
            "audience",
            || {
                let a = ProtectedResource::new(A)?.authorization_servers([ISSUER]);
                let b = ProtectedResource::new(B)?.authorization_servers([OTHER_ISSUER]);
                let other = AuthorizationServer::new(OTHER_ISSUER)?;
                let builder = OAuthLayer::builder(a)?.resource(b)?;
                builder
                    .authorization_server(server().audience(B)?)?
                    .authorization_server(other)?
                    .build()
            },
        ),
        ("clients instead of audiences", "client_ids", || {
            two_hosts()
                .authorization_server(server().client_ids(["app"])?)?
                .build()
        }),
        (
            "answers without an audience",
            "introspection_without_audience",
            || {
                let server = introspection::server(introspection::introspection());
                two_hosts()
                    .authorization_server(server.introspection_without_audience())?
                    .build()
            },
        ),
        ("an audience of answers", "audience", || {
            let asked = introspection::introspection().audience("urn:mcp")?;
            two_hosts()
                .authorization_server(introspection::server(asked))?
                .build()
        }),
        (
            "a server that is not there",
            "authorization_servers",
            || {
                let a = ProtectedResource::new(A)?.authorization_servers([OTHER_ISSUER]);
                OAuthLayer::builder(a)?
                    .resource(B)?
                    .authorization_server(ISSUER)?
                    .build()
            },
        ),
        ("proxies for one resource", "trusted_proxies", || {
            let proxies = TrustedProxies::new(ProxyHeaders::Forwarded, ["10.0.0.1"])?;
            let builder = OAuthLayer::builder(A)?.trusted_proxies(proxies);
            builder.authorization_server(ISSUER)?.build()
        }),
        ("a JWT layer beside", "jwt", || {
            let oauth = two_hosts().authorization_server(ISSUER)?.build()?;
            let secret = Secret::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")?;
            let jwt = JwtLayer::builder(secret).header_name("x-jwt");
            let _ = oauth.or(jwt.require_bearer(false).build()?)?;
            unreachable!()
        }),
    ];
    for (what, setting, build) in cases {
        let error = build().map(drop).expect_err(what);
        assert_eq!(error.setting(), setting, "{what}: {error}");
    }
}

#[test]
fn what_one_resource_alone_trusts_may_have_an_audience_of_its_own() {
    let a = ProtectedResource::new(A)
        .unwrap()
        .authorization_servers([ISSUER]);
    let b = ProtectedResource::new(B)
        .unwrap()
        .authorization_servers([OTHER_ISSUER]);
    let own = |issuer: &str, audience: &str| {
        AuthorizationServer::new(issuer)
            .unwrap()
            .audience(audience)
            .unwrap()
    };
    let builder = OAuthLayer::builder(a).unwrap().resource(b).unwrap();
    let builder = builder.authorization_server(own(ISSUER, "app-1")).unwrap();
    let builder = builder
        .authorization_server(own(OTHER_ISSUER, "app-2"))
        .unwrap();
    assert!(builder.build().is_ok());

    let tenants = Tenants::from_settings([
        ("acme", Tenant::new().authorization_servers([ISSUER])),
        (
            "globex",
            Tenant::new().authorization_servers([OTHER_ISSUER]),
        ),
    ]);
    let template =
        ProtectedResource::from_template("https://{tenant}.example.com/mcp", tenants.unwrap())
            .unwrap();
    let with = |one: &str, two: &str| {
        let builder = OAuthLayer::builder(template.clone()).unwrap();
        let builder = builder.authorization_server(own(ISSUER, one)).unwrap();
        builder
            .authorization_server(own(OTHER_ISSUER, two))
            .unwrap()
            .build()
            .map(drop)
    };
    assert_eq!(with("app-1", "app-2"), Ok(()));
    assert_eq!(with("https://acme.example.com/mcp", "app-2"), Ok(()));
    for (one, two) in [
        ("app-1", "app-1"),
        ("https://globex.example.com/mcp", "app-2"),
    ] {
        assert_eq!(
            with(one, two).unwrap_err().setting(),
            "audience",
            "{one}, {two}"
        );
    }
}

#[test]
fn names_of_tenants_and_places_for_them_are_checked() {
    let tenants = || Tenants::new(["acme"]).unwrap();
    let long = "x".repeat(64);
    for name in ["", "Acme", "a.b", "a/b", "a_b", "ä", &*long] {
        assert_eq!(
            Tenants::new([name]).unwrap_err().setting(),
            "tenants",
            "{name:?}"
        );
    }
    assert!(Tenants::new(["a", "a"]).is_err());
    assert!(Tenants::new::<[&str; 0]>([]).is_err());
    let templates = [
        "https://mcp.example.com/mcp",
        "https://{a}.example.com/{b}",
        "https://mcp-{a}.example.com/mcp",
        "https://mcp.example.com/x-{a}",
        "https://example.{a}/mcp",
        "https://{a}/mcp",
        "https://mcp.example.com/{a}?x",
        "https://mcp.example.com/mcp?{a}",
        "http://mcp.example.com/{a}",
        "https://mcp.example.com/{}",
        "https://mcp.example.com/{a",
        "{a}",
    ];
    for template in templates {
        let refused = ProtectedResource::from_template(template, tenants()).map(drop);
        assert_eq!(refused.unwrap_err().setting(), "resource", "{template}");
    }
    for template in [
        "https://user:s3cret@{tenant}.example.com/mcp",
        "https://user:s3cret@mcp.example.com/mcp",
        "https://user:s3cret@mcp.example.com/{a}/{b}",
    ] {
        let refused = ProtectedResource::from_template(template, tenants()).map(drop);
        let said = refused.unwrap_err().to_string();
        assert!(!said.contains("s3cret"), "{said}");
        let refused = ResourceSet::new().template(template, tenants()).map(drop);
        let said = refused.unwrap_err().to_string();
        assert!(!said.contains("s3cret"), "{said}");
    }
}
