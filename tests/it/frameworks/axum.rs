//! `Router::layer`, `route_layer`, `nest_service`, and the extractor.

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, get};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind, Claims, Principal};

use common::{API_KEY, good_token, hs256_layer, trace};

struct Answer {
    status: StatusCode,
    body: String,
    challenge: Option<String>,
    error: Option<AuthErrorKind>,
    reason: Option<&'static str>,
}

async fn ask(app: &Router, method: &str, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = app
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let challenge = response.headers().get("www-authenticate");
    Answer {
        status: response.status(),
        challenge: challenge.map(|line| line.to_str().unwrap().to_owned()),
        error: response.extensions().get().map(AuthError::kind),
        reason: response.extensions().get().map(AuthError::reason),
        body: String::from_utf8(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .into(),
        )
        .unwrap(),
    }
}

/// Status without a token, and with a good one.
async fn both(app: &Router, method: &str, path: &str) -> (u16, u16) {
    let token = good_token();
    (
        ask(app, method, path, None).await.status.as_u16(),
        ask(app, method, path, Some(&token)).await.status.as_u16(),
    )
}

async fn hello(principal: Principal) -> String {
    principal.id().to_string()
}

async fn maybe(principal: Option<Principal>) -> String {
    principal.map_or_else(
        || "nobody".to_owned(),
        |principal| principal.id().to_string(),
    )
}

#[tokio::test]
async fn a_router_is_guarded_before_it_routes() {
    let app = Router::new().route("/a", get(hello)).layer(hs256_layer());
    assert_eq!(both(&app, "GET", "/a").await, (401, 200));
    assert_eq!(both(&app, "GET", "/nope").await, (401, 404));
    assert_eq!(both(&app, "POST", "/a").await, (401, 405));
    assert_eq!(both(&app, "OPTIONS", "/a").await, (401, 405));
    let answer = ask(&app, "GET", "/a", Some(&good_token())).await;
    assert_eq!(answer.body, "jwt|sub=alice");
    let answer = ask(&app, "GET", "/a", Some("bad")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error),
        (401, Some(AuthErrorKind::Invalid))
    );
    assert!(answer.challenge.unwrap().contains("invalid_token"));
}

#[tokio::test]
async fn a_route_layer_guards_the_routes_there_are() {
    let app = Router::new()
        .route("/a", get(hello))
        .route_layer(hs256_layer());
    assert_eq!(both(&app, "GET", "/a").await, (401, 200));
    assert_eq!(both(&app, "GET", "/nope").await, (404, 404));
    assert_eq!(both(&app, "POST", "/a").await, (401, 405));

    let one: MethodRouter = get(hello).layer(hs256_layer());
    let app = Router::new()
        .route("/a", one)
        .route("/open", get(|| async { "open" }));
    assert_eq!(both(&app, "GET", "/a").await, (401, 200));
    assert_eq!(both(&app, "GET", "/open").await, (200, 200));
}

#[tokio::test]
async fn a_route_added_after_the_layer_is_not_guarded() {
    let app = Router::new()
        .layer(hs256_layer())
        .route("/late", get(|| async { "late" }));
    assert_eq!(both(&app, "GET", "/late").await, (200, 200));
}

#[tokio::test]
async fn a_nested_service_sees_its_path_without_the_prefix() {
    let inner = || Router::new().route("/", get(hello)).route("/x", get(hello));
    let layer = hs256_layer().public_path("/x").unwrap();
    for app in [
        Router::new().nest_service("/mcp", layer.layer(inner())),
        Router::new().nest_service(
            "/mcp",
            ServiceBuilder::new().layer(layer.clone()).service(inner()),
        ),
        Router::new().nest("/mcp", inner().layer(layer.clone())),
    ] {
        assert_eq!(both(&app, "GET", "/mcp").await, (401, 200));
        // Public as the layer sees it; the handler then asks for a principal.
        let answer = ask(&app, "GET", "/mcp/x", None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error),
            (401, Some(AuthErrorKind::Missing))
        );
        assert_eq!(both(&app, "POST", "/mcp/x").await, (401, 405));
        assert_eq!(both(&app, "GET", "/x").await, (404, 404));
    }
    // Around the router the same setting means another path.
    let app = Router::new().nest("/mcp", inner()).layer(layer);
    assert_eq!(both(&app, "GET", "/x").await, (404, 404));
    assert_eq!(both(&app, "GET", "/mcp/x").await, (401, 200));
}

#[tokio::test]
async fn the_extractor_gives_the_principal_or_the_challenge_of_its_layer() {
    let layer = hs256_layer();
    let routes = || {
        Router::new()
            .route("/must", get(hello))
            .route("/may", get(maybe))
    };
    let app = routes().layer(
        layer
            .public_path("/must")
            .unwrap()
            .public_path("/may")
            .unwrap(),
    );
    let token = good_token();

    let answer = ask(&app, "GET", "/must", None).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error),
        (401, Some(AuthErrorKind::Missing))
    );
    assert_eq!(
        answer.challenge.as_deref(),
        Some(r#"Bearer realm="MCP Server""#)
    );
    assert_eq!(
        answer.body,
        r#"{"error":"Invalid or expired JWT token","status":401,"type":"authentication_error"}"#
    );
    // A public path reads no credential, good or bad.
    for token in [None, Some(&*token), Some("bad")] {
        let answer = ask(&app, "GET", "/may", token).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, "nobody"));
    }

    let app = routes().layer(hs256_layer());
    for path in ["/must", "/may"] {
        let answer = ask(&app, "GET", path, Some(&token)).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, "jwt|sub=alice")
        );
        assert_eq!(ask(&app, "GET", path, None).await.status, 401);
    }
}

#[tokio::test]
async fn without_a_layer_the_extractor_is_a_logged_500() {
    let app = Router::new()
        .route("/must", get(hello))
        .route("/may", get(maybe));
    for path in ["/must", "/may"] {
        trace::start();
        let answer = ask(&app, "GET", path, Some(&good_token())).await;
        assert_eq!(answer.status, 500);
        assert_eq!(
            answer.body,
            r#"{"error":"Internal server error","status":500,"type":"server_error"}"#
        );
        assert_eq!((answer.challenge, answer.error), (None, None));
        let events = trace::take();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].level, tracing::Level::ERROR);
    }
}

#[tokio::test]
async fn the_inner_of_two_layers_decides_who_it_is() {
    let keys = ApiKeyLayer::new([API_KEY]).unwrap();
    let app = Router::new()
        .route("/a", get(hello))
        .layer(keys)
        .layer(hs256_layer());
    let send = async |key: Option<&str>| {
        let mut request = Request::builder()
            .uri("/a")
            .header("authorization", format!("Bearer {}", good_token()));
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let response = app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    };
    let (status, body) = send(Some(API_KEY)).await;
    assert_eq!(status, 200);
    assert!(body.starts_with("api_key|"), "{body}");
    assert_eq!(send(None).await.0, 401);
}

/// As the docs advise where clients may not read: without it the body is held for as long as the
/// connection is.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_user_timeout_of_tcp_ends_a_stream_that_is_not_read() {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use axum::serve::ListenerExt;
    use bytes::Bytes;
    use http_body::Frame;
    use socket2::SockRef;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    /// Has always more to say; who drops it drops the sender.
    struct Endless(#[allow(dead_code, reason = "held for its drop")] oneshot::Sender<()>);

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            static SPACES: [u8; 65_536] = [b' '; 65_536];
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&SPACES)))))
        }
    }

    let (held, dropped) = oneshot::channel();
    let held = Arc::new(Mutex::new(Some(held)));
    let stream = move || {
        let held = held.lock().unwrap().take().expect("one request");
        std::future::ready(Body::new(Endless(held)))
    };
    let app = Router::new()
        .route("/", get(stream))
        .layer(ApiKeyLayer::new([API_KEY]).unwrap());
    let timeout = Duration::from_secs(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(move |stream| {
        let _ = SockRef::from(&*stream).set_tcp_user_timeout(Some(timeout));
    });
    let server = common::spawn(axum::serve(listener, app).into_future());

    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    // The connection stays open, and nothing is read from it.
    let ended = tokio::time::timeout(Duration::from_secs(120), dropped).await;
    assert!(ended.expect("the body is dropped").is_err());
    drop(client);
    server.abort();
}

/// Claims that fit the type, claims that do not, no credential, and no auth layer.
#[tokio::test]
async fn claims_of_the_caller_are_an_argument_of_the_handler() {
    #[derive(serde::Deserialize)]
    struct Subject {
        sub: String,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Tenant {
        #[allow(dead_code, reason = "no token has it")]
        tenant: String,
    }
    let subject = |Claims(Subject { sub }): Claims<Subject>| async { sub };
    let tenant = |claims: Claims<Tenant>| async move { format!("{claims:?}") };
    let routes = || {
        Router::new()
            .route("/subject", get(subject))
            .route("/tenant", get(tenant))
    };
    let app = routes().layer(hs256_layer().optional());
    let token = good_token();

    let answer = ask(&app, "GET", "/subject", Some(&token)).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice"));

    let answer = ask(&app, "GET", "/tenant", Some(&token)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(
        (answer.challenge, answer.error, answer.reason),
        (
            None,
            Some(AuthErrorKind::Forbidden),
            Some("insufficient_claims")
        )
    );
    assert!(!answer.body.contains("alice") && answer.body.contains("lacks claims"));

    let answer = ask(&app, "GET", "/tenant", None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.challenge.is_some());

    let answer = ask(&routes(), "GET", "/subject", None).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}
