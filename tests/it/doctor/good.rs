//! Good servers raise no alarm.

use axum::Router;
use tower_http::cors::AllowOrigin;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::doctor::{Judgement, Options, Report, Severity, examine};
use tower_mcp_auth::mcp::{MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{ApiKeyLayer, OAuthLayer, Tenants, cors};

use super::server::Fake;
use super::{assert_codes, look};
use common::loopback::{bind, bind_mcp, serve};
use common::mcp_server::{McpServer, mcp_server, with_sessions};

/// Where clients in a browser come from.
const PAGE: &str = "https://app.example.com";

fn service(sessions: bool) -> McpServer {
    mcp_server(
        &[("hello", |_| "hello".to_owned())],
        with_sessions(sessions),
    )
}

fn trusted(issuer: &Issuer) -> AuthorizationServer {
    AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap()
}

fn notes(report: &Report) -> Vec<&'static str> {
    report.codes(Severity::Note)
}

#[tokio::test]
async fn upper_case_in_the_origin_is_no_difference() {
    let server = Fake::good().await;
    let url = server.url.replace("http", "HTTP");
    let report = examine(Options::new(url).unwrap()).await;
    assert_codes(&report, &[], "HTTP");
}

#[tokio::test]
async fn a_server_by_hand() {
    let report = look(&Fake::good().await).await;
    assert_codes(&report, &[], "by hand");
    assert!(notes(&report).is_empty(), "{report}");
    assert_eq!(report.exit_code(), 0);
    assert!(
        report.to_string().contains("No fault, no warning."),
        "{report}"
    );
}

#[tokio::test]
async fn the_quickstart_with_and_without_sessions_and_cors() {
    for (sessions, with_cors) in [(true, true), (false, true), (true, false)] {
        let (listener, url) = bind_mcp().await;
        let issuer = Issuer::builder().path("/tenant").start().await.unwrap();
        let app = Router::new()
            .route_service("/mcp", service(sessions))
            .layer(OAuthLayer::new(&url, trusted(&issuer)).unwrap())
            .layer(OriginLayer::new(&url).unwrap().allow_origin(PAGE).unwrap());
        let app = match with_cors {
            true => app.layer(cors::layer(AllowOrigin::any())),
            false => app,
        };
        serve(listener, app);
        let token = issuer.token().audience(&url).sign();
        let options = Options::new(&url).unwrap().token(token).unwrap();
        let report = examine(options.clone()).await;
        let name = format!("sessions {sessions}, CORS {with_cors}");
        assert_codes(&report, &[], &name);
        assert!(
            report
                .token
                .iter()
                .all(|own| own.judgement == Judgement::Good),
            "{report}"
        );
        match with_cors {
            true => assert!(notes(&report).is_empty(), "{report}"),
            false => assert_eq!(notes(&report), ["cors_absent"], "{report}"),
        }
        // Who asks for pages is told that none gets through.
        let report = examine(options.origin(PAGE).unwrap()).await;
        let expected: &[&str] = if with_cors { &[] } else { &["cors_absent"] };
        assert_codes(&report, expected, &name);
    }
}

#[tokio::test]
async fn a_server_that_keeps_pages_out_is_no_fault_unless_they_are_asked_about() {
    let server = Fake::start(|asked, reply| {
        if asked.is_mcp() && !asked.header("origin").is_empty() && reply.status == 401 {
            reply.status = 403;
        }
    })
    .await;
    let report = look(&server).await;
    assert_codes(&report, &[], "kept out");
    assert_eq!(notes(&report), ["cors_absent"]);
    let options = Options::new(&server.url).unwrap().origin(PAGE);
    assert_codes(
        &examine(options.unwrap()).await,
        &["cors_absent"],
        "asked about",
    );
}

#[tokio::test]
async fn a_stack_with_scopes() {
    let (listener, url) = bind_mcp().await;
    let issuer = Issuer::start().await.unwrap();
    let policy = McpPolicy::builder()
        .tool("hello", "mcp:read")
        .unwrap()
        .build()
        .unwrap();
    let oauth = OAuthLayer::new(&url, trusted(&issuer)).unwrap();
    let stack = McpStack::new(OriginLayer::new(&url).unwrap(), oauth)
        .sessions(SessionBindingLayer::new(MacKey::ephemeral().unwrap()))
        .policy(policy)
        .unwrap();
    serve(
        listener,
        Router::new()
            .route_service("/mcp", service(true))
            .layer(stack),
    );
    for scope in ["mcp:read", ""] {
        let token = issuer.token().audience(&url).scope(scope).sign();
        let options = Options::new(&url).unwrap().token(token).unwrap();
        assert_codes(&examine(options).await, &[], scope);
    }
}

#[tokio::test]
async fn a_server_that_is_open_in_part() {
    let (listener, url) = bind_mcp().await;
    let issuer = Issuer::start().await.unwrap();
    let policy = McpPolicy::builder()
        .tool("hello", Requirement::none())
        .unwrap();
    let oauth = OAuthLayer::new(&url, trusted(&issuer)).unwrap();
    let stack = McpStack::new(OriginLayer::new(&url).unwrap(), oauth)
        .policy(policy.build().unwrap())
        .unwrap();
    serve(
        listener,
        Router::new()
            .route_service("/mcp", service(false))
            .layer(stack),
    );
    let options = Options::new(&url).unwrap();
    assert_codes(&examine(options.clone().mixed()).await, &[], "on purpose");
    assert_codes(
        &examine(options).await,
        &["anonymous_accepted"],
        "by mistake",
    );
}

#[tokio::test]
async fn each_tenant_of_one_server() {
    let (listener, origin) = bind().await;
    let issuer = Issuer::start().await.unwrap();
    let tenants = Tenants::new(["acme", "globex"]).unwrap();
    let template = format!("{origin}/{{tenant}}/mcp");
    let template = ProtectedResource::from_template(template, tenants).unwrap();
    let oauth = OAuthLayer::new(template, trusted(&issuer)).unwrap();
    let router = Router::new().route_service("/{tenant}/mcp", service(false));
    serve(listener, router.layer(oauth));
    for tenant in ["acme", "globex"] {
        let url = format!("{origin}/{tenant}/mcp");
        let token = issuer.token().audience(&url).sign();
        let options = Options::new(url).unwrap().token(token).unwrap();
        assert_codes(&examine(options).await, &[], tenant);
    }
    let report = examine(Options::new(format!("{origin}/hooli/mcp")).unwrap()).await;
    assert_codes(&report, &["endpoint_not_found"], "no tenant");
}

#[tokio::test]
async fn a_server_at_the_root_of_its_host() {
    for slash in ["", "/"] {
        let (listener, origin) = bind().await;
        let issuer = Issuer::start().await.unwrap();
        let oauth = OAuthLayer::new(format!("{origin}{slash}"), trusted(&issuer)).unwrap();
        serve(
            listener,
            Router::new().fallback_service(service(false)).layer(oauth),
        );
        for slash in ["", "/"] {
            let options = Options::new(format!("{origin}{slash}")).unwrap();
            assert_codes(&examine(options).await, &[], slash);
        }
    }
}

#[tokio::test]
async fn a_server_for_api_keys_is_not_asked_for_metadata() {
    let (listener, origin) = bind().await;
    let keys = [ApiKey::new("Zm9yLXRoZS10ZXN0cy1vbmx5LTE3").unwrap()];
    let layer = ApiKeyLayer::new(keys).unwrap();
    serve(
        listener,
        Router::new()
            .route_service("/mcp", service(false))
            .layer(layer),
    );
    let report = examine(Options::new(format!("{origin}/mcp")).unwrap()).await;
    assert_codes(&report, &[], "keys");
    assert_eq!(notes(&report), ["api_keys_only"]);
}
