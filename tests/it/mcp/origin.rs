//! `OriginLayer`: which hosts and which origins pass.

use http::{Method, Request, Version};
use proptest::prelude::*;
use tower::{Layer, ServiceExt};
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth::{AuthError, AuthErrorKind};

use crate::mcp::session::support::{Body, Server};

const RESOURCE: &str = "https://mcp.example.com/mcp";
const METADATA: &str = "/.well-known/oauth-protected-resource";

fn layer(resource: &str) -> OriginLayer {
    OriginLayer::new(resource).unwrap()
}

/// A request to `target` with these headers, and what became of it.
async fn send(
    layer: &OriginLayer,
    method: Method,
    target: &str,
    version: Version,
    headers: &[(&str, &str)],
) -> Result<(), &'static str> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .version(version);
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    let server = Server::default();
    let service = layer.layer(server.clone());
    let answer = service.oneshot(request.body(Body::default()).unwrap());
    let answer = answer.await.unwrap();
    let reached = server.take().len();
    let Some(error) = answer.extensions().get::<AuthError>() else {
        assert_eq!((answer.status().as_u16(), reached), (200, 1));
        return Ok(());
    };
    assert_eq!(reached, 0, "a refused request was passed on");
    assert_eq!(answer.status(), 403);
    assert_eq!(error.kind(), AuthErrorKind::Forbidden);
    // A client would take a challenge for a want of scopes.
    assert!(!answer.headers().contains_key("www-authenticate"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
    Err(error.reason())
}

async fn host(layer: &OriginLayer, host: &str) -> bool {
    let answer = send(
        layer,
        Method::POST,
        "/mcp",
        Version::HTTP_11,
        &[("host", host)],
    )
    .await;
    assert!(
        matches!(answer, Ok(()) | Err("host_not_allowed")),
        "{answer:?}"
    );
    answer.is_ok()
}

async fn origin(layer: &OriginLayer, host: &str, origin: &str) -> bool {
    let headers = [("host", host), ("origin", origin)];
    let answer = send(layer, Method::POST, "/mcp", Version::HTTP_11, &headers).await;
    assert!(
        matches!(answer, Ok(()) | Err("origin_not_allowed")),
        "{answer:?}"
    );
    answer.is_ok()
}

#[tokio::test]
async fn only_the_host_of_the_resource_passes() {
    let public = layer(RESOURCE);
    for (name, allowed) in [
        ("mcp.example.com", true),
        ("MCP.Example.COM", true),
        ("mcp.example.com:443", true),
        ("mcp.example.com:80", false),
        ("mcp.example.com:8443", false),
        ("mcp.example.com:0443", false),
        ("mcp.example.com:+443", false),
        ("mcp.example.com:", false),
        ("mcp.example.com:443:443", false),
        ("mcp.example.com.", false),
        ("mcp.example.com.:443", false),
        ("mcp.example.com.evil.example", false),
        ("evil.example.mcp.example.com", false),
        ("evilmcp.example.com", false),
        ("example.com", false),
        ("mcp.example.comevil", false),
        ("mcp.example.com@evil.example", false),
        ("evil@mcp.example.com", false),
        ("evil.example#mcp.example.com", false),
        ("mcp.example.com/", false),
        ("mcp.example.com,evil.example", false),
        ("https://mcp.example.com", false),
        ("*", false),
        ("*.example.com", false),
        ("", false),
        ("localhost", false),
        ("127.0.0.1", false),
        ("[::1]", false),
        ("mcp.ex\u{e4}mple.com", false),
        ("mcp\u{3002}example\u{3002}com", false),
    ] {
        assert_eq!(host(&public, name).await, allowed, "{name:?}");
    }
}

#[tokio::test]
async fn an_explicit_port_of_the_resource_is_the_only_one() {
    let layer = layer("https://mcp.example.com:8443/mcp");
    for (name, allowed) in [
        ("mcp.example.com:8443", true),
        ("mcp.example.com", false),
        ("mcp.example.com:443", false),
    ] {
        assert_eq!(host(&layer, name).await, allowed, "{name:?}");
    }
}

#[tokio::test]
async fn loopback_goes_by_its_usual_names_on_any_port() {
    for resource in [
        "http://localhost:8080/mcp",
        "http://127.0.0.1:8080/mcp",
        "http://[::1]:8080/mcp",
        "http://LOCALHOST/mcp",
    ] {
        let layer = layer(resource);
        for (name, allowed) in [
            ("localhost:8080", true),
            ("LocalHost", true),
            ("127.0.0.1:8080", true),
            ("127.0.0.1:3000", true),
            ("[::1]:8080", true),
            ("[0:0:0:0:0:0:0:1]", true),
            ("::1", false),
            ("[::1", false),
            ("[::1]8080", false),
            ("[::1%25lo]", false),
            ("[::ffff:127.0.0.1]", false),
            ("[::]", false),
            ("0.0.0.0:8080", false),
            ("127.1", false),
            ("127.0.0.01", false),
            ("0177.0.0.1", false),
            ("0x7f.0.0.1", false),
            ("2130706433", false),
            ("0x7f000001", false),
            ("127.0.0.1.", false),
            ("127.0.0.2", false),
            ("localhost.", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.localhost", false),
            ("localhost:70000", false),
            ("localhost:0", false),
        ] {
            assert_eq!(host(&layer, name).await, allowed, "{resource} {name:?}");
        }
    }
    // An address of its own is allowed as it is.
    let own = layer("http://127.0.0.2:8080/mcp");
    assert!(host(&own, "127.0.0.2:8080").await);
    assert!(!host(&own, "127.0.0.2:8081").await);
    assert!(host(&own, "localhost:9").await);
}

#[tokio::test]
async fn every_host_a_request_names_is_checked() {
    let layer = layer(RESOURCE);
    let (good, bad) = ("mcp.example.com", "evil.example");
    let absolute = |host: &str| format!("https://{host}/mcp");
    for (target, hosts, expected) in [
        ("/mcp".to_owned(), vec![good], Ok(())),
        ("/mcp".to_owned(), vec![], Err("host_not_allowed")),
        ("/mcp".to_owned(), vec![good, good], Err("duplicate_host")),
        ("/mcp".to_owned(), vec![good, bad], Err("duplicate_host")),
        // HTTP/2 has the host in the target.
        (absolute(good), vec![], Ok(())),
        (absolute(good), vec![good], Ok(())),
        (absolute(bad), vec![good], Err("host_not_allowed")),
        (absolute(good), vec![bad], Err("host_not_allowed")),
        (
            absolute("evil@mcp.example.com"),
            vec![],
            Err("host_not_allowed"),
        ),
    ] {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let answer = send(&layer, Method::POST, &target, version, &headers).await;
            assert_eq!(answer, expected, "{target} {hosts:?}");
        }
    }
    // What proxies say of another host changes nothing.
    for header in ["x-forwarded-host", "forwarded", "x-host"] {
        let headers = [("host", bad), (header, good)];
        let answer = send(&layer, Method::POST, "/mcp", Version::HTTP_11, &headers).await;
        assert_eq!(answer, Err("host_not_allowed"));
    }
}

/// Who reads the one and who reads the other would not serve the same request.
#[tokio::test]
async fn two_hosts_that_are_both_allowed_are_still_two() {
    let layer = layer(RESOURCE).allow_host("mcp.internal").unwrap();
    for (target, name, expected) in [
        (
            "https://mcp.example.com/mcp",
            "mcp.internal",
            Err("host_not_allowed"),
        ),
        (
            "https://mcp.internal/mcp",
            "mcp.example.com",
            Err("host_not_allowed"),
        ),
        ("https://mcp.internal/mcp", "mcp.internal:443", Ok(())),
    ] {
        let headers = [("host", name)];
        let answer = send(&layer, Method::POST, target, Version::HTTP_11, &headers).await;
        assert_eq!(answer, expected, "{target} {name}");
    }
}

#[tokio::test]
async fn hosts_can_be_added() {
    let layer = layer(RESOURCE)
        .allow_host("mcp.internal")
        .unwrap()
        .allow_host("10.0.0.7:8080")
        .unwrap()
        .allow_host("[fd00::7]:8080")
        .unwrap();
    for (name, allowed) in [
        ("mcp.internal", true),
        ("mcp.internal:80", true),
        ("mcp.internal:443", true),
        ("mcp.internal:8080", false),
        ("10.0.0.7:8080", true),
        ("10.0.0.7", false),
        ("[fd00:0::7]:8080", true),
        ("mcp.example.com", true),
        ("a.mcp.internal", false),
    ] {
        assert_eq!(host(&layer, name).await, allowed, "{name:?}");
    }
}

#[tokio::test]
async fn only_the_origin_of_the_resource_passes() {
    let layer = layer(RESOURCE)
        .allow_origin("https://app.example.com")
        .unwrap()
        .allow_origin("https://dev.example.com:8443")
        .unwrap()
        .allow_origin("vscode-webview://panel")
        .unwrap();
    for (value, allowed) in [
        ("https://mcp.example.com", true),
        ("https://MCP.example.com:443", true),
        ("https://app.example.com", true),
        ("https://dev.example.com:8443", true),
        ("vscode-webview://panel", true),
        ("http://mcp.example.com", false),
        ("http://mcp.example.com:443", false),
        ("https://mcp.example.com:8443", false),
        ("https://app.example.com:8443", false),
        ("https://dev.example.com", false),
        ("https://mcp.example.com.", false),
        ("https://mcp.example.com/", false),
        ("https://mcp.example.com.evil.example", false),
        ("https://evilmcp.example.com", false),
        ("https://a.mcp.example.com", false),
        ("https://example.com", false),
        ("https://mcp.example.com@evil.example", false),
        ("https://evil.example#https://mcp.example.com", false),
        ("https://evil.example?https://mcp.example.com", false),
        ("https://evil.example,https://mcp.example.com", false),
        ("https://mcp.example.com https://evil.example", false),
        ("https:mcp.example.com", false),
        ("//mcp.example.com", false),
        ("mcp.example.com", false),
        ("javascript://mcp.example.com", false),
        ("vscode-webview://panel2", false),
        ("null", false),
        ("NULL", false),
        ("", false),
        ("*", false),
        ("https://", false),
        ("https://localhost", false),
        ("http://127.0.0.1:6274", false),
    ] {
        let passed = origin(&layer, "mcp.example.com", value).await;
        assert_eq!(passed, allowed, "{value:?}");
    }
}

#[tokio::test]
async fn pages_on_loopback_reach_a_server_on_loopback() {
    let layer = layer("http://localhost:8080/mcp");
    for (value, allowed) in [
        ("http://localhost:8080", true),
        ("http://localhost:6274", true),
        ("https://127.0.0.1", true),
        ("http://[::1]:3000", true),
        ("ftp://localhost", false),
        ("http://localhost.evil.example:8080", false),
        ("http://evil.example", false),
        ("null", false),
    ] {
        let passed = origin(&layer, "localhost:8080", value).await;
        assert_eq!(passed, allowed, "{value:?}");
    }
}

#[tokio::test]
async fn two_origins_are_refused() {
    let good = "https://mcp.example.com";
    let headers = [
        ("host", "mcp.example.com"),
        ("origin", good),
        ("origin", good),
    ];
    let answer = send(
        &layer(RESOURCE),
        Method::POST,
        "/mcp",
        Version::HTTP_11,
        &headers,
    )
    .await;
    assert_eq!(answer, Err("duplicate_origin"));
}

#[tokio::test]
async fn metadata_is_for_every_origin_and_not_for_every_host() {
    let layer = layer(RESOURCE);
    let host = ("host", "mcp.example.com");
    let foreign = ("origin", "https://inspector.example");
    let below = |rest: &str| format!("{METADATA}{rest}");
    for (method, path, expected) in [
        (Method::GET, below(""), Ok(())),
        (Method::GET, below("/mcp"), Ok(())),
        (Method::HEAD, below("/mcp"), Ok(())),
        (Method::OPTIONS, below("/mcp"), Ok(())),
        (Method::GET, below("/mcp?x=1"), Ok(())),
        (Method::POST, below("/mcp"), Err("origin_not_allowed")),
        (Method::GET, below("evil"), Err("origin_not_allowed")),
        (Method::GET, below("/../../mcp"), Err("origin_not_allowed")),
        (Method::GET, below("/%2e%2e/mcp"), Err("origin_not_allowed")),
        (Method::GET, below("/..%2fmcp"), Err("origin_not_allowed")),
        (Method::GET, below("/;/mcp"), Err("origin_not_allowed")),
        (
            Method::GET,
            format!("/mcp{METADATA}"),
            Err("origin_not_allowed"),
        ),
        (
            Method::GET,
            format!("/mcp?{METADATA}"),
            Err("origin_not_allowed"),
        ),
        (
            Method::GET,
            below("").to_uppercase(),
            Err("origin_not_allowed"),
        ),
        (Method::GET, "/mcp".to_owned(), Err("origin_not_allowed")),
    ] {
        let headers = [host, foreign];
        let answer = send(&layer, method.clone(), &path, Version::HTTP_11, &headers).await;
        assert_eq!(answer, expected, "{method} {path}");
    }
    let rebound = [("host", "evil.example"), foreign];
    let answer = send(&layer, Method::GET, METADATA, Version::HTTP_11, &rebound).await;
    assert_eq!(answer, Err("host_not_allowed"));
}

#[tokio::test]
async fn any_host_leaves_the_origin_checked() {
    let layer = layer(RESOURCE).dangerously_any_host();
    assert!(host(&layer, "10.1.2.3:9000").await);
    assert!(origin(&layer, "10.1.2.3:9000", "https://mcp.example.com").await);
    assert!(!origin(&layer, "10.1.2.3:9000", "https://10.1.2.3:9000").await);
}

#[test]
fn what_could_never_match_is_refused_when_configured() {
    for resource in [
        "",
        "mcp.example.com",
        "/mcp",
        "ftp://mcp.example.com",
        "https://",
        "https:///mcp",
        "https://user@mcp.example.com/mcp",
        "https://mcp.example.com./mcp",
        "https://m\u{e4}in.example/mcp",
    ] {
        let error = OriginLayer::new(resource).unwrap_err();
        assert_eq!(error.setting(), "resource", "{resource}");
    }
    for name in [
        "",
        "*",
        "*.example.com",
        "https://mcp.example.com",
        "mcp.example.com/",
        "mcp.example.com.",
        "::1",
        "mcp.example.com:http",
    ] {
        let error = layer(RESOURCE).allow_host(name).unwrap_err();
        assert_eq!(error.setting(), "allow_host", "{name}");
    }
    for value in [
        "",
        "*",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://*.example.com",
        "https://",
    ] {
        let error = layer(RESOURCE).allow_origin(value).unwrap_err();
        assert_eq!(error.setting(), "allow_origin", "{value}");
    }
    for resource in ["HTTPS://MCP.example.com", "http://[::1]:8080/mcp?x#y"] {
        assert!(OriginLayer::new(resource).is_ok(), "{resource}");
    }
}

#[tokio::test]
async fn a_setting_leaves_earlier_clones_alone() {
    let before = layer(RESOURCE);
    let after = before.clone().allow_host("mcp.internal").unwrap();
    assert!(!host(&before, "mcp.internal").await);
    assert!(host(&after, "mcp.internal").await);
}

/// Hosts near the allowed one, in the spellings that readers of URLs have fallen for.
fn near_misses() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "mcp.example.com",
        "MCP.EXAMPLE.COM",
        "example.com",
        "evil.example",
        "localhost",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "[::1]",
        "[::ffff:7f00:1]",
        ":443",
        ":0443",
        ":8443",
        ":",
        ".",
        "@",
        "/",
        "\\",
        "?",
        "#",
        "%2e",
        "\t",
        " ",
        "-",
        "_",
        "x",
        "1",
    ]);
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// What passes is what a browser would take for the same host, port and origin.
    #[test]
    fn nothing_passes_that_a_url_parser_reads_otherwise(text in near_misses()) {
        let layers = [RESOURCE, "http://127.0.0.1:8080/mcp"].map(layer);
        for (layer, loopback) in layers.iter().zip([false, true]) {
            let is_ours = |url: Option<reqwest::Url>, scheme: &str| {
                url.is_some_and(|url| {
                    let host = url.host_str().unwrap_or_default();
                    let ours = if loopback {
                        ["localhost", "127.0.0.1", "[::1]"].contains(&host)
                    } else {
                        host == "mcp.example.com" && url.port_or_known_default() == Some(443)
                    };
                    ours && url.scheme() == scheme && url.path() == "/" && url.username().is_empty()
                })
            };
            let passes = |headers: &[(&str, &str)]| {
                let answer = send(layer, Method::POST, "/mcp", Version::HTTP_11, headers);
                tokio_test::block_on(answer).is_ok()
            };
            let own = if loopback { "localhost" } else { "mcp.example.com" };
            if http::HeaderValue::from_str(&text).is_ok() {
                if passes(&[("host", &text)]) {
                    let url = reqwest::Url::parse(&format!("https://{text}"));
                    prop_assert!(is_ours(url.ok(), "https"), "host {text:?}");
                }
                let origin = format!("https://{text}");
                if passes(&[("host", own), ("origin", &origin)]) {
                    let url = reqwest::Url::parse(&origin);
                    prop_assert!(is_ours(url.ok(), "https"), "origin {origin:?}");
                }
            }
        }
    }
}
