//! `McpStack`: what is checked before what.

use http::{Request, Response};
use http_body_util::Full;
use serde_json::json;
use tower::{Layer, Service, ServiceExt};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer, McpStack, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::{AuthError, JwtLayer, OAuthLayer};

use crate::mcp::session::support::{Body, Server, key};
use common::{NOW, SECRET, clock, token};

const RESOURCE: &str = "https://mcp.example.com/mcp";

fn origin() -> OriginLayer {
    OriginLayer::new(RESOURCE).unwrap()
}

fn auth() -> JwtLayer {
    let builder = JwtLayer::builder(Secret::new(SECRET).unwrap());
    builder.clock(clock()).build().unwrap()
}

fn policy() -> McpPolicy {
    let policy = McpPolicy::builder().tool("delete", "mcp:write").unwrap();
    policy.build().unwrap()
}

/// A request, with what is wrong about it.
#[derive(Clone, Copy, Default)]
struct Ask {
    foreign_page: bool,
    no_token: bool,
    stolen_session: bool,
    no_json: bool,
    no_scope: bool,
}

fn request(ask: Ask) -> Request<Body> {
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "delete" },
    });
    let scope = if ask.no_scope {
        "mcp:read"
    } else {
        "mcp:write"
    };
    let exp = NOW + 300;
    let token = token(&format!(
        r#"{{"sub":"alice","scope":"{scope}","exp":{exp}}}"#
    ));
    let mut request = Request::post("/mcp").header("host", "mcp.example.com");
    if ask.foreign_page {
        request = request.header("origin", "https://evil.example");
    }
    if !ask.no_token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if ask.stolen_session {
        request = request.header("mcp-session-id", "somebody-elses");
    }
    let media_type = if ask.no_json {
        "text/plain"
    } else {
        "application/json"
    };
    let request = request.header("content-type", media_type);
    request.body(Full::from(call.to_string())).unwrap()
}

/// Status, and the reason of a refusal.
async fn send<S, B>(service: S, request: Request<Body>) -> (u16, &'static str)
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    let response = service.oneshot(request).await.unwrap();
    let error = response.extensions().get::<AuthError>();
    error.inspect(|error| common::assert_explained(error));
    (
        response.status().as_u16(),
        error.map_or("", AuthError::reason),
    )
}

#[tokio::test]
async fn each_layer_comes_before_the_next() {
    let server = Server::opening(&["one"]);
    let stack = McpStack::new(origin(), auth())
        .sessions(SessionBindingLayer::new(key(0)))
        .policy(policy())
        .unwrap();
    let service = stack.layer(server.clone());
    // Of all that is wrong the outermost layer speaks first.
    let mut ask = Ask {
        foreign_page: true,
        no_token: true,
        stolen_session: true,
        no_json: true,
        no_scope: true,
    };
    let service = || service.clone();
    assert_eq!(
        send(service(), request(ask)).await,
        (403, "origin_not_allowed")
    );
    ask.foreign_page = false;
    assert_eq!(
        send(service(), request(ask)).await,
        (401, "missing_credential")
    );
    ask.no_token = false;
    assert_eq!(
        send(service(), request(ask)).await,
        (404, "unknown_session")
    );
    ask.stolen_session = false;
    assert_eq!(
        send(service(), request(ask)).await,
        (415, "unsupported_content_type")
    );
    ask.no_json = false;
    assert_eq!(
        send(service(), request(ask)).await,
        (403, "insufficient_scope")
    );
    assert!(server.take().is_empty());
    ask.no_scope = false;
    assert_eq!(send(service(), request(ask)).await, (200, ""));
    assert_eq!(server.take().len(), 1);
}

#[tokio::test]
async fn what_is_left_out_is_not_there() {
    let server = Server::opening(&["one"]);
    let ask = Ask {
        stolen_session: true,
        no_json: true,
        no_scope: true,
        ..Ask::default()
    };
    let plain = McpStack::new(origin(), auth()).layer(server.clone());
    assert_eq!(send(plain, request(ask)).await, (200, ""));
    let bound = McpStack::new(origin(), auth()).sessions(SessionBindingLayer::new(key(0)));
    let bound = bound.layer(server.clone());
    assert_eq!(send(bound, request(ask)).await, (404, "unknown_session"));
    let judged = McpStack::new(origin(), auth()).policy(policy()).unwrap();
    let judged = judged.layer(server.clone());
    assert_eq!(
        send(judged, request(ask)).await,
        (415, "unsupported_content_type")
    );
    let own = McpStack::new(origin(), auth()).operations(McpScopesLayer::new(policy()));
    let own = own.layer(server);
    assert_eq!(
        send(own, request(ask)).await,
        (415, "unsupported_content_type")
    );
}

#[tokio::test]
async fn metadata_is_there_for_any_page() {
    let oauth = OAuthLayer::new(RESOURCE, "https://auth.example.com").unwrap();
    let path = oauth.metadata_path();
    let stack = McpStack::new(origin(), oauth)
        .sessions(SessionBindingLayer::new(key(0)))
        .policy(policy())
        .unwrap();
    let service = stack.layer(Server::default());
    let request = |path: &str| {
        Request::get(path)
            .header("host", "mcp.example.com")
            .header("origin", "https://inspector.example")
            .body(Body::default())
            .unwrap()
    };
    assert_eq!(send(service.clone(), request(&path)).await, (200, ""));
    assert_eq!(
        send(service, request("/mcp")).await,
        (403, "origin_not_allowed")
    );
}

/// A detector that goes by the status would see a success.
#[tokio::test]
async fn the_media_type_of_a_request_does_not_choose_the_form_of_its_refusal() {
    use http::Version;
    use tower_mcp_auth::auth::AuthLayer;
    use tower_mcp_auth::jwt::JwtProvider;

    let auth = || AuthLayer::<JwtProvider>::from(auth());
    let off = [
        ("default", McpStack::new(origin(), auth())),
        (
            "off at the auth layer",
            McpStack::new(origin(), auth().grpc_refusals(false)),
        ),
    ];
    let on = McpStack::new(origin(), auth().grpc_refusals(true));
    let half = McpStack::new(origin().grpc_refusals(false), auth().grpc_refusals(true));
    let stacks = off
        .map(|(name, stack)| (name, stack, [false; 2]))
        .into_iter();
    let stacks = stacks.chain([
        ("on", on, [true, true]),
        ("on, but for hosts", half, [false, true]),
    ]);
    for (name, stack, [origin_in_grpc, others_in_grpc]) in stacks {
        let stack = stack.policy(policy()).unwrap();
        for (media, version) in [
            ("application/grpc-web", Version::HTTP_11),
            ("application/grpc-web+proto", Version::HTTP_10),
            ("application/grpc-web-text", Version::HTTP_11),
            ("Application/gRPC-Web", Version::HTTP_2),
            ("application/grpc", Version::HTTP_2),
            ("application/grpc+json", Version::HTTP_2),
        ] {
            for (wrong, status, in_grpc) in [
                (
                    Ask {
                        foreign_page: true,
                        ..Ask::default()
                    },
                    403,
                    origin_in_grpc,
                ),
                (
                    Ask {
                        no_token: true,
                        ..Ask::default()
                    },
                    401,
                    others_in_grpc,
                ),
                (Ask::default(), 415, others_in_grpc),
            ] {
                let mut request = request(wrong);
                *request.version_mut() = version;
                let headers = request.headers_mut();
                headers.insert("content-type", media.parse().unwrap());
                let service = stack.layer(Server::default());
                let response = service.oneshot(request).await.unwrap();
                let told = format!("{name} {media} {version:?} {status}");
                let expected = if in_grpc { 200 } else { status };
                assert_eq!(response.status(), expected, "{told}");
                let has_status = response.headers().contains_key("grpc-status");
                assert_eq!(has_status, in_grpc, "{told}");
            }
        }
    }
}

#[tokio::test]
async fn it_goes_around_a_router() {
    use axum::Router;
    use axum::routing::post;

    let stack = McpStack::new(origin(), auth())
        .sessions(SessionBindingLayer::new(key(0)))
        .policy(policy())
        .unwrap();
    let app: Router = Router::new()
        .route("/mcp", post(|body: String| async move { body }))
        .layer(stack);
    let ask = |ask: Ask| request(ask).map(axum::body::Body::new);
    let response = app.clone().oneshot(ask(Ask::default())).await.unwrap();
    assert_eq!(response.status(), 200);
    let wrong = Ask {
        no_scope: true,
        ..Ask::default()
    };
    let response = app.oneshot(ask(wrong)).await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(response.headers().contains_key("www-authenticate"));
}

#[test]
fn it_shows_what_it_is_made_of_and_no_key() {
    let stack = McpStack::new(origin(), auth()).sessions(SessionBindingLayer::new(key(0)));
    let shown = format!("{stack:?}");
    assert!(shown.contains("OriginLayer") && shown.contains("SessionBindingLayer"));
    assert!(
        !crate::mcp::session::support::KEYS
            .iter()
            .any(|key| shown.contains(key))
    );
}
