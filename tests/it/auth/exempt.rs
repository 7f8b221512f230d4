//! Which requests pass without a credential, and what does not widen that.

use bytes::Bytes;
use common::{Answer, Answering, Guard, ask, guards, request_to, trace};
use http::{Method, Request, Uri, Version};
use http_body_util::Full;
use tower_mcp_auth::auth::{AuthLayer, Authenticate, SseEndpoints};
use tower_mcp_auth::{ConfigError, Principal};

fn of(method: &str, uri: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Full::default())
        .unwrap_or_else(|error| panic!("{uri:?}: {error}"))
}

#[track_caller]
fn exempt(answer: &Answer) {
    assert!(Principal::from_extensions(&answer.admitted().extensions).is_none());
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "nobody"));
}

fn public(guard: &Guard) -> AuthLayer<std::sync::Arc<dyn Authenticate>> {
    let layer = guard.layer.clone().public_path("/health").unwrap();
    layer.public_path("/.well-known/mcp.json").unwrap()
}

#[tokio::test]
async fn nothing_is_public_unless_said() {
    for guard in guards() {
        for path in [
            "/",
            "/health",
            "/sse",
            "/messages",
            "/mcp",
            "/.well-known/x",
            "/favicon.ico",
        ] {
            for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
                ask(&guard.layer, of(method, path)).await.missing();
            }
        }
    }
}

#[tokio::test]
async fn get_and_head_of_exactly_the_public_path_pass_whatever_the_query() {
    for guard in guards() {
        let layer = public(&guard);
        for method in ["GET", "HEAD"] {
            for uri in [
                "/health",
                "/health?",
                "/health?a=1",
                "/health?/mcp",
                "/health#fragment",
                "/.well-known/mcp.json",
            ] {
                exempt(&ask(&layer, of(method, uri)).await);
            }
        }
    }
}

#[tokio::test]
async fn other_methods_of_a_public_path_need_a_credential() {
    for guard in guards() {
        let layer = public(&guard);
        for method in [
            "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "GETS", "QUERY",
        ] {
            ask(&layer, of(method, "/health")).await.missing();
        }
        // A header does not change the method.
        for header in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
        ] {
            let mut request = request_to("/health", &[(header, "GET")]);
            *request.method_mut() = Method::POST;
            ask(&layer, request).await.missing();
        }
    }
}

#[tokio::test]
async fn another_spelling_of_a_public_path_is_another_path() {
    for guard in guards() {
        let layer = public(&guard);
        for path in [
            "/",
            "//",
            "/health/",
            "//health",
            "/health//",
            "/./health",
            "/health/.",
            "/mcp/../health",
            "/health/..",
            "/health/../mcp",
            "/%68ealth",
            "/healt%68",
            "/health%20",
            "/health%00",
            "/health%2f",
            "/health%2e",
            "/%2e/health",
            "/health/%2e%2e/mcp",
            "/health;",
            "/health;a=b",
            "/health;/../mcp",
            "/Health",
            "/HEALTH",
            "/healthz",
            "/health.json",
            "/heal",
            "/h",
            "/mcp",
            "/mcp/health",
            "/health/mcp",
            "/mcp?/health",
            "/mcp?path=/health",
            "/mcp#/health",
            "/mcp?#/health",
            "/health\\",
            "/.well-known/",
            "/.well-known/mcp.json/",
            "/.well-known//mcp.json",
            "/.well-known%2fmcp.json",
        ] {
            println!("{} {path}", guard.name);
            let Ok(uri) = path.parse::<Uri>() else {
                continue;
            };
            let mut request = guard.bare_request("/");
            *request.uri_mut() = uri;
            ask(&layer, request).await.missing();
        }
    }
}

#[tokio::test]
async fn no_header_moves_a_request_to_a_public_path() {
    for guard in guards() {
        let layer = public(&guard);
        for header in [
            "x-original-url",
            "x-rewrite-url",
            "x-original-uri",
            "x-forwarded-uri",
            "x-forwarded-path",
            "x-forwarded-prefix",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "x-envoy-original-path",
            "x-real-ip",
            "referer",
            "origin",
            "host",
            "user-agent",
        ] {
            for value in [
                "/health",
                "127.0.0.1",
                "http://localhost/health",
                "kube-probe/1.31",
            ] {
                let request = request_to("/mcp", &[(header, value)]);
                ask(&layer, request).await.missing();
            }
            // And none takes a public path away.
            exempt(&ask(&layer, request_to("/health", &[(header, "/mcp")])).await);
        }
    }
}

#[tokio::test]
async fn a_target_that_is_not_a_path_is_never_exempt() {
    for guard in guards() {
        let layer = public(&guard).dangerously_public_root();
        for (target, version) in [
            ("*", Version::HTTP_11),
            ("*", Version::HTTP_2),
            ("http://example.com/health", Version::HTTP_11),
            ("http://example.com/health", Version::HTTP_10),
            ("https://example.com/health", Version::HTTP_11),
            ("http://example.com/", Version::HTTP_11),
            ("http://example.com", Version::HTTP_11),
            ("example.com:443", Version::HTTP_11),
            ("health", Version::HTTP_11),
            ("health", Version::HTTP_2),
        ] {
            for method in ["GET", "HEAD"] {
                println!("{} {method} {target}", guard.name);
                let mut request = of(method, target);
                *request.version_mut() = version;
                ask(&layer, request).await.missing();
            }
        }
    }
}

#[tokio::test]
async fn http_2_names_scheme_and_authority_of_the_same_path() {
    for guard in guards() {
        let layer = public(&guard);
        for version in [Version::HTTP_2, Version::HTTP_3] {
            for (uri, is_exempt) in [
                ("https://mcp.example.com/health", true),
                ("http://mcp.example.com/health?a=1", true),
                ("/health", true),
                ("https://mcp.example.com/mcp", false),
                ("https://mcp.example.com/health/", false),
                ("https://mcp.example.com//health", false),
            ] {
                let mut request = of("GET", uri);
                *request.version_mut() = version;
                let answer = ask(&layer, request).await;
                match is_exempt {
                    true => exempt(&answer),
                    false => answer.missing(),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_public_path_is_public_whether_or_not_a_credential_comes_along() {
    for guard in guards() {
        exempt(&ask(&public(&guard), guard.good_request("/health")).await);
        let request = guard.good_request("/health?access_token=x");
        ask(&public(&guard), request)
            .await
            .malformed("token_in_query");
    }
}

const NO_PATHS: [&str; 22] = [
    "",
    "health",
    " /health",
    "/health ",
    "/hea lth",
    "*",
    "/*",
    "/health/*",
    "/{id}",
    "/:id?",
    "/health?",
    "/health?a=1",
    "/health#a",
    "/%68ealth",
    "/health;a",
    "//health",
    "/a//b",
    "/./health",
    "/a/../b",
    "/a/..",
    "/caf\u{e9}",
    "http://example.com/health",
];

fn setting<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> &'static str {
    result
        .expect_err("a setting that must be refused")
        .setting()
}

#[test]
fn a_pattern_or_anything_else_than_an_exact_path_is_not_configured() {
    for path in NO_PATHS {
        let layer = guards()[0].layer.clone();
        assert_eq!(setting(layer.public_path(path)), "public_path", "{path:?}");
        for endpoints in [
            SseEndpoints::new().paths(path, "/messages"),
            SseEndpoints::new().paths("/sse", path),
        ] {
            let layer = guards()[0].layer.clone();
            assert_eq!(
                setting(layer.sse_endpoints(endpoints)),
                "sse_endpoints",
                "{path:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_root_is_public_only_where_that_was_confirmed() {
    for guard in guards() {
        let error = guard.layer.clone().public_path("/").unwrap_err();
        assert_eq!(error.setting(), "public_path");
        assert!(
            error.to_string().contains("dangerously_public_root"),
            "{error}"
        );

        trace::start();
        let layer = guard.layer.clone().dangerously_public_root();
        let events = trace::take();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].level, tracing::Level::WARN);
        assert_eq!(events[0].field("setting"), "dangerously_public_root");

        exempt(&ask(&layer, of("GET", "/")).await);
        exempt(&ask(&layer, of("HEAD", "/?a=1")).await);
        for (method, uri) in [
            ("POST", "/"),
            ("GET", "//"),
            ("GET", "/mcp"),
            ("GET", "/?/x/"),
        ] {
            let answer = ask(&layer, of(method, uri)).await;
            match (method, uri) {
                ("GET", "/?/x/") => exempt(&answer),
                _ => answer.missing(),
            }
        }
        ask(&guard.layer, of("GET", "/")).await.missing();
    }
}

#[test]
fn the_path_of_the_protected_resource_cannot_be_made_public() {
    let layer = || AuthLayer::new(Answering::accepting().resource_path("/mcp"));
    assert_eq!(setting(layer().public_path("/mcp")), "public_path");
    drop(layer().public_path("/health").unwrap());
    // A router may take both for one place.
    assert_eq!(setting(layer().public_path("/mcp/")), "public_path");
    // What is left of it behind `nest_service("/team", …)`.
    let nested = || AuthLayer::new(Answering::accepting().resource_path("/team/mcp"));
    for path in ["/team/mcp", "/team/mcp/", "/mcp", "/mcp/"] {
        assert_eq!(setting(nested().public_path(path)), "public_path", "{path}");
    }
    for path in ["/team", "/cp", "/team/mcp/health", "/x/mcp"] {
        drop(nested().public_path(path).unwrap());
    }

    let open = SseEndpoints::new().paths("/mcp", "/messages");
    assert_eq!(
        setting(layer().sse_endpoints(open.clone())),
        "sse_endpoints"
    );
    let open = SseEndpoints::new().messages(false).paths("/sse", "/mcp");
    assert_eq!(setting(layer().sse_endpoints(open)), "sse_endpoints");
    // Closed, it is no exemption.
    let closed = SseEndpoints::new().sse(true).paths("/mcp", "/messages");
    drop(layer().sse_endpoints(closed).unwrap());

    // A boxed layer knows the path as well.
    assert_eq!(setting(layer().boxed().public_path("/mcp")), "public_path");
}

#[tokio::test]
async fn the_sse_switches_open_the_stream_and_not_the_messages() {
    for guard in guards() {
        let layer = guard
            .layer
            .clone()
            .sse_endpoints(SseEndpoints::new())
            .unwrap();
        exempt(&ask(&layer, of("GET", "/sse")).await);
        exempt(&ask(&layer, of("GET", "/sse?sessionId=1")).await);
        for (method, uri) in [
            ("HEAD", "/sse"),
            ("POST", "/sse"),
            ("DELETE", "/sse"),
            ("OPTIONS", "/sse"),
            ("GET", "/sse/"),
            ("GET", "//sse"),
            ("GET", "/SSE"),
            ("GET", "/%73se"),
            ("GET", "/sse;a"),
            ("GET", "/sse/x"),
            ("GET", "/mcp/sse"),
            ("GET", "/messages"),
            ("POST", "/messages"),
            ("POST", "/messages?sessionId=1"),
            ("GET", "/mcp"),
            ("GET", "http://example.com/sse"),
            ("GET", "*"),
        ] {
            println!("{method} {uri}");
            ask(&layer, of(method, uri)).await.missing();
        }
        let request = of("GET", "/sse?token=x");
        ask(&layer, request).await.malformed("token_in_query");
    }
}

#[tokio::test]
async fn each_sse_switch_does_what_it_says_on_its_own_path() {
    let guard = &guards()[0];
    for (sse, messages) in [(false, true), (true, true), (false, false), (true, false)] {
        let endpoints = SseEndpoints::new()
            .sse(sse)
            .messages(messages)
            .paths("/events", "/post");
        let layer = guard.layer.clone().sse_endpoints(endpoints).unwrap();
        for (method, path, needed) in [
            ("GET", "/events", sse),
            ("POST", "/post", messages),
            ("GET", "/post", true),
            ("POST", "/events", true),
            ("PUT", "/post", true),
            ("GET", "/sse", true),
            ("POST", "/messages", true),
        ] {
            let answer = ask(&layer, of(method, path)).await;
            match needed {
                true => answer.missing(),
                false => exempt(&answer),
            }
        }
        ask(&layer, guard.good_request("/mcp")).await.admitted();
    }
    assert_eq!(SseEndpoints::default(), SseEndpoints::new());
    assert_eq!(
        SseEndpoints::new(),
        SseEndpoints::new().sse(false).messages(true)
    );
}

#[test]
fn the_sse_path_is_not_the_messages_path() {
    for endpoints in [
        SseEndpoints::new().paths("/mcp", "/mcp"),
        SseEndpoints::new().sse(true).paths("/mcp", "/mcp"),
    ] {
        let layer = guards()[0].layer.clone();
        assert_eq!(setting(layer.sse_endpoints(endpoints)), "sse_endpoints");
    }
}

#[test]
fn every_endpoint_left_open_is_warned_of_at_start() {
    for (endpoints, expected) in [
        (SseEndpoints::new(), &["GET /sse"][..]),
        (SseEndpoints::new().sse(true), &[]),
        (
            SseEndpoints::new().messages(false),
            &["GET /sse", "POST /messages"],
        ),
        (
            SseEndpoints::new()
                .sse(true)
                .messages(false)
                .paths("/a", "/b"),
            &["POST /b"],
        ),
    ] {
        trace::start();
        let layer = guards()[1].layer.clone().sse_endpoints(endpoints).unwrap();
        drop(layer);
        let events = trace::take();
        assert_eq!(events.len(), expected.len(), "{events:?}");
        for (event, expected) in events.iter().zip(expected) {
            assert_eq!(event.level, tracing::Level::WARN);
            assert_eq!(event.field("setting"), "sse_endpoints");
            assert!(event.field("detail").starts_with(expected), "{event:?}");
        }
    }
}

#[test]
fn settings_that_are_refused_warn_of_nothing() {
    trace::start();
    let layer = guards()[0].layer.clone();
    let endpoints = SseEndpoints::new().paths("/mcp", "/mcp");
    assert_eq!(setting(layer.sse_endpoints(endpoints)), "sse_endpoints");
    assert!(trace::take().is_empty());
}

#[tokio::test]
async fn earlier_clones_keep_their_exemptions() {
    let [guard, _] = guards();
    let before = guard.layer.clone();
    let one = before.clone().public_path("/health").unwrap();
    let two = one.clone().public_path("/ready").unwrap();
    ask(&before, of("GET", "/health")).await.missing();
    exempt(&ask(&one, of("GET", "/health")).await);
    ask(&one, of("GET", "/ready")).await.missing();
    exempt(&ask(&two, of("GET", "/health")).await);
    exempt(&ask(&two, of("GET", "/ready")).await);
}

#[tokio::test]
async fn one_layer_guards_every_path_and_method() {
    for guard in guards() {
        for path in [
            "/",
            "/mcp",
            "/sse",
            "/messages",
            "/mcp_message",
            "/anything/else",
        ] {
            for method in ["GET", "POST", "DELETE", "OPTIONS", "HEAD"] {
                let mut request = guard.bare_request(path);
                *request.method_mut() = method.parse().unwrap();
                ask(&guard.layer, request).await.missing();
            }
        }
    }
}

#[tokio::test]
async fn with_sse_endpoints_the_stream_is_open_unless_it_is_guarded() {
    for guard in guards() {
        ask(&guard.layer, of("GET", "/sse")).await.missing();
        let layer = guard
            .layer
            .clone()
            .sse_endpoints(SseEndpoints::new())
            .unwrap();
        ask(&layer, of("GET", "/sse")).await.admitted();
        let on = SseEndpoints::new().sse(true);
        let layer = guard.layer.clone().sse_endpoints(on).unwrap();
        ask(&layer, of("GET", "/sse")).await.missing();
    }
}

#[tokio::test]
async fn with_sse_endpoints_the_messages_are_guarded_unless_they_are_opened() {
    for guard in guards() {
        let layer = guard
            .layer
            .clone()
            .sse_endpoints(SseEndpoints::new())
            .unwrap();
        ask(&layer, of("POST", "/messages")).await.missing();
        let off = SseEndpoints::new().messages(false);
        let layer = guard.layer.clone().sse_endpoints(off).unwrap();
        ask(&layer, of("POST", "/messages")).await.admitted();
    }
}

#[tokio::test]
async fn without_sse_endpoints_the_stream_and_the_messages_need_a_credential() {
    for guard in guards() {
        ask(&guard.layer, of("GET", "/sse")).await.missing();
        ask(&guard.layer, of("POST", "/messages")).await.missing();
        let error = guard.layer.clone().public_path("/").unwrap_err();
        assert_eq!(error.setting(), "public_path");
    }
}
