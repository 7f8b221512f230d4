//! Health probes by the address of a pod, and what does not open with them.

use std::convert::Infallible;

use http::{Method, Request, Version};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_mcp_auth::api_key::ApiKeyProvider;
use tower_mcp_auth::auth::{AuthLayer, SseEndpoints};
use tower_mcp_auth::config::Config;
use tower_mcp_auth::mcp::{
    McpListsLayer, McpPolicy, McpScopesLayer, McpStack, OriginLayer, SessionBindingLayer, Show,
};
use tower_mcp_auth::{ApiKeyLayer, AuthError, OAuthLayer};

use crate::mcp::session::support::{Body, Server, key};
use common::API_KEY;

const RESOURCE: &str = "https://mcp.example.com/mcp";

fn origin() -> OriginLayer {
    OriginLayer::new(RESOURCE).unwrap()
}

fn auth() -> AuthLayer<ApiKeyProvider> {
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    layer.public_path("/health").unwrap().into()
}

#[derive(Clone, Copy)]
struct Ask {
    method: &'static str,
    target: &'static str,
    version: Version,
    headers: &'static [(&'static str, &'static str)],
}

const fn get(target: &'static str, headers: &'static [(&'static str, &'static str)]) -> Ask {
    Ask {
        method: "GET",
        target,
        version: Version::HTTP_11,
        headers,
    }
}

/// Status, and the reason of a refusal.
async fn ask<S, B>(service: S, ask: Ask) -> (u16, &'static str)
where
    S: Service<Request<Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
{
    let method: Method = ask.method.parse().unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(ask.target)
        .version(ask.version);
    for (name, value) in ask.headers {
        request = request.header(*name, *value);
    }
    let response = service.oneshot(request.body(Body::default()).unwrap());
    let response = response.await.unwrap();
    let error = response.extensions().get::<AuthError>();
    error.inspect(|error| common::assert_explained(error));
    (
        response.status().as_u16(),
        error.map_or("", AuthError::reason),
    )
}

const BAD_HOST: (u16, &str) = (403, "host_not_allowed");
const ADDRESS: &[(&str, &str)] = &[("host", "10.244.0.5:3000")];

/// What is asked, and what is answered by every way to put the layers together.
fn table() -> Vec<(Ask, (u16, &'static str))> {
    let of = |method, target, version| Ask {
        method,
        target,
        version,
        headers: ADDRESS,
    };
    vec![
        (get("/health", ADDRESS), (200, "")),
        (get("/health?verbose=1", ADDRESS), (200, "")),
        (of("HEAD", "/health", Version::HTTP_11), (200, "")),
        (of("GET", "/health", Version::HTTP_10), (200, "")),
        (get("/health", &[("host", "10.244.0.5")]), (200, "")),
        (get("/health", &[("host", "[fd00::5]:3000")]), (200, "")),
        (get("/health", &[("host", "[fd00::5]")]), (200, "")),
        (get("/health", &[("host", "127.0.0.1:3000")]), (200, "")),
        // HTTP/2 has the address in the target.
        (
            Ask {
                version: Version::HTTP_2,
                ..get("http://10.244.0.5:3000/health", &[])
            },
            (200, ""),
        ),
        (get("/health", &[("host", "mcp.example.com")]), (200, "")),
        // A rebinding page always sends a name.
        (get("/health", &[("host", "evil.example")]), BAD_HOST),
        (get("/health", &[("host", "localhost")]), BAD_HOST),
        (
            get("/health", &[("host", "10.244.0.5.evil.example")]),
            BAD_HOST,
        ),
        (get("/health", &[]), BAD_HOST),
        (
            get("/health", &[("host", "10.0.0.1"), ("host", "10.0.0.1")]),
            (403, "duplicate_host"),
        ),
        // An address that two readers could take for two.
        (get("/health", &[("host", "127.1")]), BAD_HOST),
        (get("/health", &[("host", "0x7f000001")]), BAD_HOST),
        (get("/health", &[("host", "2130706433")]), BAD_HOST),
        (get("/health", &[("host", "010.0.0.1")]), BAD_HOST),
        (get("/health", &[("host", "10.244.0.5:")]), BAD_HOST),
        (get("/health", &[("host", "10.244.0.5:080")]), BAD_HOST),
        (get("/health", &[("host", "10.244.0.5.")]), BAD_HOST),
        (get("/health", &[("host", "[fd00::5")]), BAD_HOST),
        (get("/health", &[("host", "fd00::5")]), BAD_HOST),
        (get("/health", &[("host", "[fe80::5%25eth0]")]), BAD_HOST),
        (get("/health", &[("host", "x@10.244.0.5")]), BAD_HOST),
        (get("/health", &[("host", " 10.244.0.5")]), BAD_HOST),
        // Both names of a host have to be good.
        (
            Ask {
                version: Version::HTTP_2,
                ..get("http://10.244.0.5/health", &[("host", "evil.example")])
            },
            BAD_HOST,
        ),
        (
            Ask {
                version: Version::HTTP_2,
                ..get("http://evil.example/health", ADDRESS)
            },
            BAD_HOST,
        ),
        // In HTTP/1 an absolute target is a proxy's.
        (get("http://10.244.0.5/health", ADDRESS), BAD_HOST),
        // A page says where it is from.
        (
            get(
                "/health",
                &[
                    ("host", "10.244.0.5:3000"),
                    ("origin", "https://evil.example"),
                ],
            ),
            (403, "origin_not_allowed"),
        ),
        (
            get(
                "/health",
                &[
                    ("host", "10.244.0.5:3000"),
                    ("origin", "http://10.244.0.5:3000"),
                ],
            ),
            (403, "origin_not_allowed"),
        ),
        (
            get(
                "/health",
                &[
                    ("host", "10.244.0.5:3000"),
                    ("origin", "https://mcp.example.com"),
                ],
            ),
            (200, ""),
        ),
        // Nothing else opens.
        (of("POST", "/health", Version::HTTP_11), BAD_HOST),
        (of("OPTIONS", "/health", Version::HTTP_11), BAD_HOST),
        (of("DELETE", "/health", Version::HTTP_11), BAD_HOST),
        (of("get", "/health", Version::HTTP_11), BAD_HOST),
        (get("/health/", ADDRESS), BAD_HOST),
        (get("//health", ADDRESS), BAD_HOST),
        (get("/Health", ADDRESS), BAD_HOST),
        (get("/%68ealth", ADDRESS), BAD_HOST),
        (get("/healthz", ADDRESS), BAD_HOST),
        (get("/health;x", ADDRESS), BAD_HOST),
        (get("/x/../health", ADDRESS), BAD_HOST),
        (get("/health/../mcp", ADDRESS), BAD_HOST),
        (get("/mcp?/health", ADDRESS), BAD_HOST),
        (get("/mcp", ADDRESS), BAD_HOST),
        (get("/", ADDRESS), BAD_HOST),
        (
            get("/.well-known/oauth-protected-resource/mcp", ADDRESS),
            BAD_HOST,
        ),
        (
            get(
                "/mcp",
                &[("host", "10.244.0.5:3000"), ("x-original-url", "/health")],
            ),
            BAD_HOST,
        ),
    ]
}

#[tokio::test]
async fn a_public_path_answers_probes_by_address_and_nothing_else_does() {
    let configured = Config::from_json(
        r#"{
            "resource": "https://mcp.example.com/mcp",
            "api_keys": { "keys": [{ "key": "b25lLXJhbmRvbS1rZXktMTIzNA" }] },
            "auth": { "public_paths": ["/health"] },
            "session": { "key": "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5" }
        }"#,
    )
    .unwrap();
    for (what, expected) in table() {
        let told = format!("{} {} {:?}", what.method, what.target, what.headers);
        let server = Server::default;

        let stack = McpStack::new(origin(), auth());
        let answer = ask(stack.layer(server()), what).await;
        assert_eq!(answer, expected, "stack: {told}");

        let stack =
            McpStack::new(origin(), auth().boxed()).sessions(SessionBindingLayer::new(key(0)));
        let answer = ask(stack.layer(server()), what).await;
        assert_eq!(answer, expected, "boxed, with sessions: {told}");

        let by_hand = origin().public_path("/health").unwrap();
        let answer = ask(by_hand.layer(auth().layer(server())), what).await;
        assert_eq!(answer, expected, "by hand: {told}");

        let answer = ask(configured.stack().unwrap().layer(server()), what).await;
        assert_eq!(answer, expected, "configured: {told}");

        let layers = configured.origin_layer().unwrap();
        let inner = configured.auth_layer().unwrap().layer(server());
        let answer = ask(layers.layer(inner), what).await;
        assert_eq!(answer, expected, "configured, by hand: {told}");
    }
}

#[tokio::test]
async fn a_policy_closes_no_path_that_is_open_to_every_caller() {
    let policy = || {
        let policy = McpPolicy::builder().baseline("mcp:read").unwrap();
        let policy = policy.http(Method::GET, "mcp:stream").unwrap();
        policy.tool("*", "mcp:write").unwrap().build().unwrap()
    };
    let stack = McpStack::new(origin(), auth()).policy(policy()).unwrap();
    let oauth = OAuthLayer::new(RESOURCE, "https://auth.example.com").unwrap();
    let of_tokens = McpStack::new(origin(), oauth).policy(policy()).unwrap();
    let sse = auth().sse_endpoints(SseEndpoints::new()).unwrap();
    let with_sse = McpStack::new(origin(), sse).policy(policy()).unwrap();
    let named = &[("host", "mcp.example.com")];
    let other_document = "/.well-known/oauth-protected-resource/other";
    let of = |method, target| Ask {
        method,
        ..get(target, named)
    };
    let answer = |status| (status, "");
    let missing = (401, "missing_credential");
    for (what, expected) in [
        (get("/health", ADDRESS), answer(200)),
        (of("HEAD", "/health"), answer(200)),
        (get("/mcp", named), missing),
        (get("/sse", named), missing),
        (of("POST", "/health"), missing),
        (of("DELETE", "/health"), missing),
    ] {
        let told = format!("{} {}", what.method, what.target);
        let answer = ask(stack.layer(Server::default()), what).await;
        assert_eq!(answer, expected, "{told}");
    }
    let asked = ask(with_sse.layer(Server::default()), get("/sse", named)).await;
    assert_eq!(asked, answer(200), "the stream is open");
    let asked = ask(with_sse.layer(Server::default()), of("POST", "/messages")).await;
    assert_eq!(asked, missing, "messages are not");
    let asked = ask(
        of_tokens.layer(Server::default()),
        get(other_document, named),
    )
    .await;
    assert_eq!(asked, answer(200), "of another service");
}

#[tokio::test]
async fn lists_on_a_stream_that_is_open_to_every_caller_have_what_some_caller_may_use() {
    const LIST: &str =
        "data: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"get_a\"},{\"name\":\"never\"}]}}\n\n";
    let policy = || {
        let policy = McpPolicy::builder().tool("get_*", "read").unwrap();
        policy.build().unwrap()
    };
    for (show, expected) in [
        (Show::ByCaller, vec!["get_a"]),
        (Show::Reachable, vec!["get_a"]),
        (Show::Granted, vec![]),
    ] {
        let service = ServiceBuilder::new()
            .layer(auth().sse_endpoints(SseEndpoints::new()).unwrap())
            .layer(McpScopesLayer::new(policy()))
            .layer(McpListsLayer::new(policy()).show(show))
            .service_fn(async |_| {
                let response =
                    http::Response::builder().header("content-type", "text/event-stream");
                Ok::<_, Infallible>(response.body(Body::from(LIST)).unwrap())
            });
        let request = Request::get("/sse").body(Body::default()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        let shown: Vec<&str> = ["get_a", "never"]
            .into_iter()
            .filter(|name| text.contains(name))
            .collect();
        assert_eq!(shown, expected, "{show:?}: {text}");
    }
}

#[tokio::test]
async fn two_layers_by_hand_open_nothing_unless_told() {
    let service = origin().layer(auth().layer(Server::default()));
    assert_eq!(ask(service, get("/health", ADDRESS)).await, BAD_HOST);
    for path in ["", "health", "/health/*", "/a//b", "/h?x", "/../h"] {
        let error = origin().public_path(path).unwrap_err();
        assert_eq!(error.setting(), "public_path", "{path}");
    }
    // A setting leaves earlier clones alone.
    let before = origin();
    let after = before.clone().public_path("/health").unwrap();
    let one = before.layer(Server::default());
    assert_eq!(ask(one, get("/health", ADDRESS)).await, BAD_HOST);
    let two = after.layer(Server::default());
    assert_eq!(ask(two, get("/health", ADDRESS)).await, (200, ""));
}

#[tokio::test]
async fn a_public_root_is_a_public_path() {
    let stack = McpStack::new(origin(), auth().dangerously_public_root());
    let service = stack.layer(Server::default());
    assert_eq!(ask(service.clone(), get("/", ADDRESS)).await, (200, ""));
    assert_eq!(ask(service, get("/mcp", ADDRESS)).await, BAD_HOST);
}

#[tokio::test]
async fn two_providers_share_their_public_paths() {
    let oauth = OAuthLayer::new(RESOURCE, "https://auth.example.com").unwrap();
    let both = oauth.or(ApiKeyLayer::new([API_KEY]).unwrap()).unwrap();
    let stack = McpStack::new(origin(), both.public_path("/health").unwrap());
    let service = stack.layer(Server::default());
    assert_eq!(
        ask(service.clone(), get("/health", ADDRESS)).await,
        (200, "")
    );
    // The metadata is asked for by its own name.
    let metadata = "/.well-known/oauth-protected-resource/mcp";
    assert_eq!(ask(service.clone(), get(metadata, ADDRESS)).await, BAD_HOST);
    let named = get(metadata, &[("host", "mcp.example.com")]);
    assert_eq!(ask(service, named).await, (200, ""));
}
