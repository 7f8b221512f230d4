//! Scopes that a route needs, and a step inside a handler.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_mcp_auth::scopes::{
    RequireScopesLayer, RequiredScopes, Requirement, ScopeHierarchy, ScopedPrincipal,
    UnmetRequirement,
};
use tower_mcp_auth::testing::insert_principal;
use tower_mcp_auth::{AuthError, AuthErrorKind, Principal};

use crate::mcp::support::{METADATA, auth, behind_auth};
use common::{Inner, ask, request_to, trace};

fn hierarchy() -> ScopeHierarchy {
    ScopeHierarchy::new([("admin", ["write"]), ("write", ["read"])]).unwrap()
}

fn bearer(token: &str) -> Request<Full<bytes::Bytes>> {
    request_to("/mcp", &[("authorization", format!("Bearer {token}"))])
}

#[tokio::test]
async fn a_layer_admits_callers_that_have_the_scopes() {
    let all = RequireScopesLayer::new(["read", "write"]).unwrap();
    let either = RequireScopesLayer::new(Requirement::any(["write", "billing"]).unwrap()).unwrap();
    let under = RequireScopesLayer::new("read")
        .unwrap()
        .hierarchy(hierarchy());
    for (layer, token, admitted) in [
        (&all, "read.write", true),
        (&all, "write.read.more", true),
        (&all, "read", false),
        (&all, "-", false),
        (&all, "readwrite", false),
        (&all, "READ.WRITE", false),
        (&either, "billing", true),
        (&either, "write", true),
        (&either, "read", false),
        (&under, "read", true),
        (&under, "write", true),
        (&under, "admin", true),
        (&under, "billing", false),
    ] {
        let answer = ask(&behind_auth(layer.clone()), bearer(token)).await;
        assert_eq!(answer.reached.is_some(), admitted, "{layer:?} {token}");
        if !admitted {
            answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
        }
    }
}

#[tokio::test]
async fn a_refusal_names_all_scopes_and_says_what_the_auth_layer_says() {
    let layer = RequireScopesLayer::new(["read", "write"]).unwrap();
    let answer = ask(&behind_auth(layer.clone()), bearer("read.other")).await;
    assert_eq!(
        answer.challenges(),
        [format!(
            "Bearer error=\"insufficient_scope\", scope=\"read write\", \
             resource_metadata=\"{METADATA}\", error_description=\"The operation needs scopes \
             that were not granted\""
        )]
    );
    assert_eq!(answer.json()["error"], "insufficient_scope");

    let answer = ask(
        &behind_auth(layer.clone().include_granted(true)),
        bearer("read.other"),
    )
    .await;
    assert_eq!(answer.error().scopes().as_str(), "read other write");

    let minimal = layer.hierarchy(hierarchy());
    let answer = ask(&behind_auth(minimal), bearer("other")).await;
    assert_eq!(answer.error().scopes().as_str(), "write");
}

#[tokio::test]
async fn one_of_several_asks_for_the_first_unless_another_is_there() {
    let needs = Requirement::any(["admin", "write"]).unwrap();
    let needs = needs.and(&Requirement::all(["billing"]).unwrap());
    let layer = RequireScopesLayer::new(needs).unwrap();
    for (token, asked) in [("-", "billing admin"), ("write", "billing write")] {
        let answer = ask(&behind_auth(layer.clone()), bearer(token)).await;
        assert_eq!(answer.error().scopes().as_str(), asked);
    }
}

#[tokio::test]
async fn a_caller_without_a_credential_is_asked_for_one_with_the_scopes() {
    let layer = RequireScopesLayer::new("read").unwrap();
    let answer = ask(&behind_auth(layer), request_to::<&str>("/open", &[])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [format!(
            "Bearer scope=\"read\", resource_metadata=\"{METADATA}\""
        )]
    );
}

#[tokio::test]
async fn what_is_denied_to_all_is_a_403_that_asks_for_nothing() {
    let layer = RequireScopesLayer::new(Requirement::deny()).unwrap();
    let answer = ask(&behind_auth(layer), bearer("read")).await;
    answer.refused(AuthErrorKind::Forbidden, "operation_denied");
    assert!(answer.challenges().is_empty());
}

#[tokio::test]
async fn without_an_auth_layer_it_is_a_logged_500() {
    trace::start();
    let layer = RequireScopesLayer::new("read").unwrap();
    let answer = ask(&layer, bearer("read")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.reached.is_none());
    let events = trace::take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].level, tracing::Level::ERROR);
    assert_eq!(events[0].field("piece"), "RequireScopesLayer");
}

#[tokio::test]
async fn a_grpc_request_is_refused_in_its_own_form() {
    let layer = RequireScopesLayer::new("write").unwrap();
    let mut request = bearer("read");
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    let grpc = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", grpc);
    let answer = ask(&behind_auth(layer), request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["grpc-status"], "7");
}

#[test]
fn the_layer_waits_for_the_service_behind_it() {
    let layer = RequireScopesLayer::new("read").unwrap();
    let (mock, mut handle) = tower_test::mock::pair::<Request<Full<Bytes>>, http::Response<()>>();
    handle.allow(0);
    let mut service = tokio_test::task::spawn(layer.layer(mock));
    let ready = service.enter(|cx, mut service| {
        tower::Service::<Request<Full<Bytes>>>::poll_ready(&mut *service, cx)
    });
    assert!(ready.is_pending());
}

struct Write;

impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["write"];

    fn hierarchy() -> ScopeHierarchy {
        hierarchy()
    }
}

struct Nothing;

impl RequiredScopes for Nothing {
    const SCOPES: &'static [&'static str] = &[];
}

async fn by_hand(principal: Principal) -> Result<&'static str, UnmetRequirement> {
    principal.require("read write")?;
    Ok("done")
}

async fn by_extractor(writer: ScopedPrincipal<Write>) -> String {
    writer.id().to_string()
}

#[tokio::test]
async fn a_handler_refuses_like_a_layer() {
    let app = Router::new()
        .route("/hand", get(by_hand))
        .route("/extractor", get(by_extractor))
        .route(
            "/nothing",
            get(|_: ScopedPrincipal<Nothing>| async { "nothing" }),
        )
        .route("/open", get(by_extractor))
        .layer(auth());
    for (path, token, status, scope) in [
        ("/hand", "read.write", 200, None),
        ("/hand", "read", 403, Some("read write")),
        ("/extractor", "write", 200, None),
        ("/extractor", "admin", 200, None),
        ("/extractor", "read", 403, Some("write")),
        ("/nothing", "read", 403, None),
        ("/open", "admin", 401, Some("write")),
    ] {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path} {token}");
        let challenge = response.headers().get("www-authenticate");
        match scope {
            Some(scope) => {
                let challenge = challenge.unwrap().to_str().unwrap();
                assert!(
                    challenge.contains(&format!("scope=\"{scope}\"")),
                    "{challenge}"
                );
                assert!(challenge.contains(METADATA));
                assert!(response.extensions().get::<AuthError>().is_some());
            }
            None => assert!(challenge.is_none()),
        }
    }
    let bare = Router::new().route("/", get(by_extractor));
    let response = bare.oneshot(Request::get("/").body(axum::body::Body::empty()).unwrap());
    assert_eq!(response.await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_principal_put_in_by_hand_is_refused_with_a_plain_challenge() {
    let principal = Principal::builder("test").subject("alice").build();
    let refusal = principal.require("read").unwrap_err();
    assert_eq!(refusal.error().kind(), AuthErrorKind::InsufficientScope);
    let response = refusal.into_response();
    assert_eq!(response.status(), 403);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", scope=\"read\""));
    let body = http_body_util::Full::new(response.into_body());
    assert!(!body.collect().await.unwrap().to_bytes().is_empty());

    for impossible in ["", " ", "sc\"ope"] {
        let refusal = principal.require(impossible).unwrap_err();
        assert!(refusal.error().scopes().is_empty());
    }

    let layer = RequireScopesLayer::new("read").unwrap();
    let inner = Inner::default();
    let mut request = request_to::<&str>("/mcp", &[]);
    insert_principal(request.extensions_mut(), principal);
    let service = ServiceBuilder::new().layer(layer).service(inner.handle());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 403);
}
