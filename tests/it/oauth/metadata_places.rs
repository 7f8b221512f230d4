//! Where the metadata document is, when that is not where clients look by themselves.

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth::oauth::ProtectedResource;
use tower_mcp_auth::{ApiKeyLayer, ConfigError, OAuthLayer};
use tracing::Level;

use crate::oauth::support::*;
use crate::oauth::trace;

const STAGE: &str = "https://gw.example.com/prod/mcp";
const REACHABLE: &str = "https://gw.example.com/prod/.well-known/oauth-protected-resource/mcp";
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn resource() -> ProtectedResource {
    ProtectedResource::new(STAGE).unwrap()
}

fn behind_a_gateway() -> OAuthLayer {
    let resource = resource().advertised_metadata_url(REACHABLE).unwrap();
    OAuthLayer::new(resource, ISSUER).unwrap()
}

/// An MCP server as it stands behind a gateway that takes the stage off.
fn app(layer: OAuthLayer) -> Router {
    Router::new()
        .route("/mcp", post(|| async { "inside" }))
        .layer(layer)
}

async fn get(app: &Router, path: &str) -> (StatusCode, Option<Value>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).ok())
}

#[tokio::test]
async fn challenges_name_the_url_that_is_set_and_the_document_is_there_however_it_arrives() {
    let layer = behind_a_gateway();
    assert_eq!(layer.resource().metadata_url(), REACHABLE);
    let app = app(layer.clone());
    let request = Request::post("/mcp").body(Body::empty()).unwrap();
    let refused = app.clone().oneshot(request).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let expected = format!("Bearer resource_metadata=\"{REACHABLE}\"");
    assert_eq!(refused.headers()["www-authenticate"], expected);

    let paths = [
        format!("{WELL_KNOWN}/prod/mcp"),
        format!("/prod{WELL_KNOWN}/mcp"),
        format!("{WELL_KNOWN}/mcp"),
    ];
    assert_eq!(layer.metadata_paths(), paths);
    assert_eq!(layer.metadata_path(), paths[0]);
    for path in paths {
        for path in [path.clone(), format!("{path}/"), format!("{path}?x=1")] {
            let (status, document) = get(&app, &path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let document = document.unwrap();
            assert_eq!(document["resource"], STAGE, "{path}");
            assert_eq!(document["authorization_servers"], json!([ISSUER]));
        }
        for (method, status) in [
            (Method::HEAD, StatusCode::OK),
            (Method::OPTIONS, StatusCode::NO_CONTENT),
            (Method::POST, StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let request = Request::builder().method(method.clone()).uri(&path);
            let request = request.body(Body::empty()).unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn too_little_scope_is_challenged_with_the_url_that_is_set() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let mut guarded = Guarded::new(&web);
    guarded.layer = OAuthLayer::builder(resource().advertised_metadata_url(REACHABLE).unwrap())
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .required_scopes(["mcp:write"])
        .clock(guarded.clock.clone())
        .fetch(web)
        .build()
        .unwrap();
    let answer = guarded.bearer(&key.token(json!({"aud": STAGE}))).await;
    answer.assert(403, "insufficient_scope");
    let named = format!("resource_metadata=\"{REACHABLE}\"");
    assert!(
        answer.challenge().contains(&named),
        "{}",
        answer.challenge()
    );
    // The URL of the metadata is no audience.
    let answer = guarded.bearer(&key.token(json!({"aud": REACHABLE}))).await;
    answer.assert(401, "audience_mismatch");
}

#[tokio::test]
async fn no_other_path_is_opened_by_it() {
    let app = app(behind_a_gateway());
    for path in [
        format!("/dev{WELL_KNOWN}/mcp"),
        format!("/PROD{WELL_KNOWN}/mcp"),
        format!("/x/prod{WELL_KNOWN}/mcp"),
        format!("/prod/x{WELL_KNOWN}/mcp"),
        format!("//prod{WELL_KNOWN}/mcp"),
        format!("/prod/{WELL_KNOWN}/mcp"),
        format!("/prod{WELL_KNOWN}/mcp//"),
        format!("/prod{WELL_KNOWN}/mcp/x"),
        format!("/prod{WELL_KNOWN}/MCP"),
        format!("/prod{WELL_KNOWN}/mcp;x"),
        format!("/prod{WELL_KNOWN}"),
        format!("/prod{WELL_KNOWN}/"),
        format!("/prod/../prod{WELL_KNOWN}/mcp"),
        format!("/prod/.{WELL_KNOWN}/mcp"),
        format!("/%70rod{WELL_KNOWN}/mcp"),
        "/prod/%2ewell-known/oauth-protected-resource/mcp".to_owned(),
        "/prod/.well-known%2foauth-protected-resource/mcp".to_owned(),
        "/prod/mcp".to_owned(),
        "/prod".to_owned(),
        "/".to_owned(),
    ] {
        let (status, _) = get(&app, &path).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    // As it ever was below the well-known path: not here, and no challenge.
    for path in [
        "",
        "/",
        "/other",
        "/mcp/x",
        "/prod",
        "/dev/mcp",
        "/%6dcp",
        "/mcp/../mcp",
    ] {
        let (status, document) = get(&app, &format!("{WELL_KNOWN}{path}")).await;
        assert_eq!((status, document), (StatusCode::NOT_FOUND, None), "{path}");
    }
}

#[test]
fn the_paths_are_all_ends_of_the_url_with_the_whole_well_known_part() {
    let paths = |url: &str| {
        let resource = ProtectedResource::new("https://h.example/a/mcp").unwrap();
        let set = resource.advertised_metadata_url(url).unwrap();
        assert_eq!(set.metadata_url(), url);
        let paths = set.metadata_paths();
        assert_eq!(paths[0], format!("{WELL_KNOWN}/a/mcp"));
        paths[1..].to_vec()
    };
    // Several gateways, each of which takes something off.
    assert_eq!(
        paths(&format!("https://h.example/api/prod{WELL_KNOWN}/mcp")),
        [
            format!("/api/prod{WELL_KNOWN}/mcp"),
            format!("/prod{WELL_KNOWN}/mcp"),
            format!("{WELL_KNOWN}/mcp"),
        ]
    );
    // On a host of another owner.
    assert_eq!(
        paths(&format!("https://docs.example{WELL_KNOWN}")),
        [WELL_KNOWN]
    );
    // Appended, as some gateways route it.
    assert_eq!(
        paths(&format!("https://h.example/a/mcp{WELL_KNOWN}")),
        [
            format!("/a/mcp{WELL_KNOWN}"),
            format!("/mcp{WELL_KNOWN}"),
            WELL_KNOWN.to_owned(),
        ]
    );
    // A URL that says nothing of what a gateway may take off.
    for path in [
        "/meta/mcp.json",
        "/x/.well-known/oauth-protected-resourceful/mcp",
        "/a/oauth-protected-resource/mcp",
    ] {
        assert_eq!(paths(&format!("https://h.example{path}?v=1")), [path]);
    }
    // The derived one, once.
    assert!(paths(&format!("https://h.example{WELL_KNOWN}/a/mcp")).is_empty());
}

#[tokio::test]
async fn a_url_without_the_well_known_part_is_served_at_its_own_path() {
    let url = "https://gw.example.com/meta/mcp.json";
    let resource = resource().advertised_metadata_url(url).unwrap();
    let layer = OAuthLayer::new(resource, ISSUER).unwrap();
    let at_root = Router::new()
        .route_service("/mcp.json", layer.metadata_service())
        .merge(app(layer));
    for (path, served) in [
        ("/meta/mcp.json", true),
        ("/mcp.json", true),
        ("/meta/mcp", false),
        ("/x/meta/mcp.json", false),
    ] {
        let (status, document) = get(&at_root, path).await;
        assert_eq!(status == StatusCode::OK, served, "{path}");
        assert_eq!(document.is_some_and(|own| own["resource"] == STAGE), served);
    }
}

#[tokio::test]
async fn the_root_form_is_served_where_that_is_chosen() {
    for (resource, chosen, served) in [
        (RESOURCE, false, false),
        (RESOURCE, true, true),
        // It is the path of its own there.
        ("https://mcp.example.com", false, true),
        ("https://mcp.example.com/", true, true),
    ] {
        let made = ProtectedResource::new(resource).unwrap();
        let made = match chosen {
            true => made.metadata_at_root(),
            false => made,
        };
        // It changes nothing of what is advertised.
        let plain = ProtectedResource::new(resource).unwrap();
        assert_eq!(made.metadata_url(), plain.metadata_url());
        let paths = made.metadata_paths();
        assert_eq!(paths.contains(&WELL_KNOWN.to_owned()), served);
        assert_eq!(paths.len(), 1 + usize::from(chosen && resource == RESOURCE));
        let app = app(OAuthLayer::new(made, ISSUER).unwrap());
        for path in [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/")] {
            let (status, document) = get(&app, &path).await;
            assert_eq!(status == StatusCode::OK, served, "{resource} {chosen}");
            // What clients know the server by, and not what a root would mean.
            assert_eq!(
                document.is_some_and(|own| own["resource"] == resource),
                served
            );
        }
        let (status, _) = get(&app, &plain.metadata_path()).await;
        assert_eq!(status, StatusCode::OK);
        let (status, _) = get(&app, &format!("{WELL_KNOWN}/other")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

/// Hosts, sessions and other credentials go by the resource as ever.
#[tokio::test]
async fn other_layers_go_by_the_resource() {
    let keys = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"]).unwrap();
    let both = behind_a_gateway().or(keys).unwrap();
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    });
    let service = OriginLayer::new(STAGE).unwrap().layer(both.layer(service));
    let ask = async |host: &str, path: &str| {
        let request = Request::get(path).header("host", host).body(Body::empty());
        let response = service.clone().oneshot(request.unwrap()).await.unwrap();
        response.status().as_u16()
    };
    let path = format!("/prod{WELL_KNOWN}/mcp");
    assert_eq!(ask("gw.example.com", &path).await, 200);
    assert_eq!(ask("evil.example", &path).await, 403);
    assert_eq!(ask("gw.example.com", "/mcp").await, 401);
}

#[test]
fn urls_that_cannot_be_followed_are_refused() {
    let refused = |resource: &str, url: &str| {
        let resource = ProtectedResource::new(resource).unwrap();
        let set: Result<_, ConfigError> = resource.advertised_metadata_url(url);
        let error = set.expect_err(url);
        assert_eq!(error.setting(), "advertised_metadata_url", "{error}");
        error.to_string()
    };
    for url in [
        "",
        "/prod/.well-known/oauth-protected-resource/mcp",
        "gw.example.com/prod",
        "http://gw.example.com/prod/.well-known/oauth-protected-resource/mcp",
        "http://127.0.0.1/.well-known/oauth-protected-resource/mcp",
        "ftp://gw.example.com/meta",
        "https://gw.example.com/meta#x",
        "https://user:s3cret@gw.example.com/meta",
        "https://gw.example.com/a/../meta",
        "https://gw.example.com/%2e%2e/meta",
        "https://gw.example.com/{stage}/meta",
        "https://gw.example.com/me ta",
        "https://gw.example.com\\meta",
        "https://auth.example.com/.well-known/oauth-authorization-server",
        "https://auth.example.com/.well-known/openid-configuration",
        // Where messages go.
        STAGE,
        "https://gw.example.com/prod/mcp/",
        "https://gw.example.com/mcp",
        "https://other.example.com/mcp",
        "https://gw.example.com",
        "https://gw.example.com/",
    ] {
        let error = refused(STAGE, url);
        assert!(!error.contains("s3cret"), "{error}");
    }
    let local = || ProtectedResource::new("http://127.0.0.1:3000/mcp").unwrap();
    assert!(
        local()
            .advertised_metadata_url("http://localhost:4000/meta")
            .is_ok()
    );
    refused("http://127.0.0.1:3000/mcp", "http://gw.example.com/meta");
    // A part of a segment is another one.
    let near = resource().advertised_metadata_url("https://gw.example.com/cp");
    assert!(near.is_ok(), "{near:?}");
}

#[tokio::test]
async fn who_said_where_the_metadata_are_is_not_asked_whether_they_are_served() {
    let warnings = async |layer: OAuthLayer| {
        trace::start();
        let request = Request::post("/mcp").body(Body::empty()).unwrap();
        let _ = app(layer).oneshot(request).await.unwrap();
        let events = trace::take();
        events
            .iter()
            .filter(|event| event.level == Level::WARN)
            .count()
    };
    assert_eq!(warnings(OAuthLayer::new(STAGE, ISSUER).unwrap()).await, 1);
    assert_eq!(warnings(behind_a_gateway()).await, 0);
    for resource in [
        "https://gw.example.com/prod/mcp",
        "https://gw.example.com/prod/mcp?tenant=1",
        "https://gw.example.com:8443/prod/mcp",
    ] {
        assert_eq!(
            warnings(OAuthLayer::new(resource, ISSUER).unwrap()).await,
            1
        );
    }
}
