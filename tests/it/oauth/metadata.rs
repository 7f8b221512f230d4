//! The metadata document (RFC 9728), from the layer and from a service at the root.

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::ProtectedResource;

use crate::oauth::support::*;

pub(crate) const PATH: &str = "/.well-known/oauth-protected-resource/mcp";

pub(crate) async fn ask(
    app: &Router,
    method: Method,
    path: &str,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("mcp-protocol-version", "2024-11-05")
        .body(Body::empty())
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    (parts.status, parts.headers, body)
}

pub(crate) fn app(layer: OAuthLayer) -> Router {
    Router::new()
        .route("/mcp", post(|| async { "inside" }))
        .layer(layer)
}

#[tokio::test]
async fn the_layer_serves_the_document_at_the_path_inserted_url() {
    let app = app(OAuthLayer::new(RESOURCE, ISSUER).unwrap());
    for path in [PATH, &format!("{PATH}/"), &format!("{PATH}?x=1")] {
        let (status, headers, body) = ask(&app, Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["cache-control"], "public, max-age=3600");
        assert_eq!(headers["access-control-allow-origin"], "*");
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            document,
            json!({
                "resource": RESOURCE,
                "authorization_servers": [ISSUER],
                "bearer_methods_supported": ["header"],
            })
        );
    }
    let (status, headers, body) = ask(&app, Method::HEAD, PATH).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert!(
        headers["content-length"]
            .to_str()
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 50
    );
    let (status, headers, _) = ask(&app, Method::OPTIONS, PATH).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(
        headers["access-control-allow-methods"],
        "GET, HEAD, OPTIONS"
    );
    assert_eq!(headers["access-control-allow-headers"], "*");
    let (status, headers, _) = ask(&app, Method::POST, PATH).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn other_paths_below_the_well_known_one_are_404_and_never_401() {
    let app = app(OAuthLayer::new(RESOURCE, ISSUER).unwrap());
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/x",
        "/.well-known/oauth-protected-resource/mcp//",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/oauth-protected-resource/%6dcp",
    ] {
        let (status, headers, _) = ask(&app, Method::GET, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(!headers.contains_key("www-authenticate"));
    }
    for path in [
        "/.well-known/oauth-protected-resourceful",
        "/x/.well-known/oauth-protected-resource/mcp",
    ] {
        let (status, ..) = ask(&app, Method::GET, path).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

/// A service that looks at no path, and answers with what reached it.
async fn whatever<B>(
    request: http::Request<B>,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    let who = tower_mcp_auth::Principal::from_extensions(request.extensions());
    let has_credential = request.headers().contains_key("authorization");
    let answer = format!(
        "{} {} {has_credential}",
        request.uri().path(),
        who.is_some()
    );
    Ok(http::Response::new(answer.into()))
}

/// The inner service may have the metadata of another resource.
#[tokio::test]
async fn metadata_of_another_resource_is_asked_for_further_in_and_nothing_else_is() {
    const BELOW: &str = "/.well-known/oauth-protected-resource";
    let layer = OAuthLayer::new(RESOURCE, ISSUER).unwrap();
    let send = async |method: &str, path: &str, headers: &[(&'static str, &str)]| {
        let method: Method = method.parse().unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let service = layer.layer(tower::service_fn(whatever));
        let response = service.oneshot(request.body(Body::empty()).unwrap());
        let (parts, body) = response.await.unwrap().into_parts();
        assert!(!parts.headers.contains_key("www-authenticate"), "{path}");
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    };
    for path in [
        "", "/", "/other", "/mcp/x", "/MCP", "/a/b/c", "/%6dcp", "/a%20b", "/~a.b",
    ] {
        let path = format!("{BELOW}{path}");
        for method in ["GET", "HEAD"] {
            for headers in [
                &[][..],
                &[("authorization", "Bearer x")],
                &[("authorization", "Bearer a b")],
                &[("accept", "application/json, */*")],
            ] {
                let (status, seen) = send(method, &path, headers).await;
                assert_eq!((status, &*seen), (200, &*format!("{path} false false")));
            }
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"] {
            let (status, seen) = send(method, &path, &[]).await;
            assert_eq!((status, &*seen), (404, ""), "{method} {path}");
        }
    }
    // Another reader could take these for another path.
    for path in [
        "/mcp//",
        "//mcp",
        "/../mcp",
        "/..",
        "/./mcp",
        "/other/.",
        "/other/..;/mcp",
        "/;/mcp",
        "/%2e%2e/mcp",
        "/%2E%2e/mcp",
        "/.%2e/mcp",
        "/%2e/mcp",
        "/%252e%252e/mcp",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%00",
        "/a%",
        "/a%2",
    ] {
        let path = format!("{BELOW}{path}");
        if path.parse::<http::Uri>().is_err() {
            continue;
        }
        for method in ["GET", "HEAD", "POST"] {
            let (status, seen) = send(method, &path, &[]).await;
            assert_eq!((status, &*seen), (404, ""), "{method} {path}");
        }
    }
    // A server that looks at no path would open a stream.
    for header in [
        ("accept", "text/event-stream"),
        ("accept", "application/json, Text/Event-Stream"),
        ("mcp-session-id", "stolen"),
        ("last-event-id", "1"),
    ] {
        let (status, seen) = send("GET", &format!("{BELOW}/other"), &[header]).await;
        assert_eq!((status, &*seen), (404, ""), "{header:?}");
    }
    // A credential in a URL cannot be taken out of it.
    let (status, _) = async {
        let request = Request::get(format!("{BELOW}/other?access_token=x"));
        let service = layer.layer(tower::service_fn(whatever));
        let response = service.oneshot(request.body(Body::empty()).unwrap()).await;
        (response.unwrap().status().as_u16(), ())
    }
    .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_further_in_asks_for_a_credential_there_is_a_404() {
    use tower_mcp_auth::ApiKeyLayer;
    use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
    use tower_mcp_auth::scopes::RequireScopesLayer;

    async fn send<S, B>(service: S) -> (u16, HeaderMap)
    where
        S: tower::Service<Request<Body>, Response = http::Response<B>>,
        S::Error: std::fmt::Debug,
    {
        let request = Request::get("/.well-known/oauth-protected-resource/other");
        let response = service.oneshot(request.body(Body::empty()).unwrap()).await;
        let (parts, _) = response.unwrap().into_parts();
        (parts.status.as_u16(), parts.headers)
    }
    let oauth = || OAuthLayer::new(RESOURCE, ISSUER).unwrap();
    let keys = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"]).unwrap();
    let scopes = RequireScopesLayer::new("mcp:read").unwrap();
    for (status, headers) in [
        send(oauth().layer(keys.layer(tower::service_fn(whatever)))).await,
        send(oauth().layer(scopes.layer(tower::service_fn(whatever)))).await,
    ] {
        assert_eq!(status, 404);
        assert!(!headers.contains_key("www-authenticate"));
        assert_eq!(headers["access-control-allow-origin"], "*");
    }
    // A policy is for what MCP clients ask of the server: it asks for none there.
    let policy = McpPolicy::builder().baseline("mcp:read").unwrap();
    let operations = McpScopesLayer::new(policy.build().unwrap());
    let (status, _) = send(oauth().layer(operations.layer(tower::service_fn(whatever)))).await;
    assert_eq!(status, 200);
}

/// The paths that no route has are those of the router that is merged last.
#[tokio::test]
async fn two_servers_are_put_together_with_their_documents() {
    const FILES: &str = "https://mcp.example.com/files";
    const MAIL: &str = "https://mcp.example.com/mail";
    let oauth = |resource| OAuthLayer::new(resource, ISSUER).unwrap();
    let server = |path: &str| Router::new().route(path, post(async || "inside"));
    let document = |layer: &OAuthLayer| {
        Router::new().route_service(&layer.metadata_path(), layer.metadata_service())
    };
    let (files, mail) = (oauth(FILES), oauth(MAIL));
    for (how, app) in [
        (
            "side by side, the first document mounted",
            server("/files")
                .layer(files.clone())
                .merge(server("/mail").layer(mail.clone()))
                .route_service(&files.metadata_path(), files.metadata_service()),
        ),
        (
            "the first document inside the second layer",
            server("/files")
                .layer(files.clone())
                .merge(server("/mail").merge(document(&files)).layer(mail.clone())),
        ),
        (
            "the first server inside the second layer",
            server("/files").layer(files.clone()).layer(mail.clone()),
        ),
        (
            "the second server inside the first layer",
            server("/mail").layer(mail.clone()).layer(files.clone()),
        ),
    ] {
        for (path, resource) in [("files", FILES), ("mail", MAIL)] {
            let path = format!("/.well-known/oauth-protected-resource/{path}");
            let (status, _, body) = ask(&app, Method::GET, &path).await;
            assert_eq!(status, StatusCode::OK, "{how}: {path}");
            let document: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["resource"], resource, "{how}");
        }
        let elsewhere = "/.well-known/oauth-protected-resource/calendar";
        let (status, headers, _) = ask(&app, Method::GET, elsewhere).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{how}");
        assert!(!headers.contains_key("www-authenticate"), "{how}");
        assert_eq!(headers["access-control-allow-origin"], "*", "{how}");
    }
}

#[test]
fn the_place_is_derived_from_the_resource_as_it_is_written() {
    let origin = "https://h.example";
    for (resource, place) in [
        ("https://h.example", ""),
        ("https://h.example/", ""),
        ("https://h.example/mcp", "/mcp"),
        ("https://h.example/mcp/", "/mcp/"),
        ("https://h.example/a/b", "/a/b"),
        ("https://h.example/mcp?tenant=1", "/mcp?tenant=1"),
        ("https://h.example?tenant=1", "?tenant=1"),
    ] {
        let resource = ProtectedResource::new(resource).unwrap();
        let expected = format!("{origin}/.well-known/oauth-protected-resource{place}");
        assert_eq!(resource.metadata_url(), expected);
    }
    let resource = ProtectedResource::new("https://H.example:8443/mcp").unwrap();
    assert!(
        resource
            .metadata_url()
            .starts_with("https://H.example:8443/.well-known/")
    );
}

#[tokio::test]
async fn a_resource_at_the_root_has_its_document_at_the_root_form() {
    let app = app(OAuthLayer::new("https://mcp.example.com", ISSUER).unwrap());
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/",
    ] {
        let (status, _, body) = ask(&app, Method::GET, path).await;
        assert_eq!(status, StatusCode::OK);
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["resource"], "https://mcp.example.com");
    }
}

#[tokio::test]
async fn the_document_holds_every_field_and_no_zero_value() {
    let resource = ProtectedResource::new(RESOURCE)
        .unwrap()
        .scopes_supported(["mcp:read", "mcp:write"])
        .unwrap()
        .resource_name("Tools")
        .resource_documentation("https://example.com/docs")
        .unwrap()
        .resource_policy_uri("https://example.com/policy")
        .unwrap()
        .resource_tos_uri("https://example.com/tos")
        .unwrap()
        .jwks_uri("https://mcp.example.com/keys")
        .unwrap()
        .resource_signing_alg_values_supported(["ES256"])
        .unwrap()
        .authorization_details_types_supported(["payment"])
        .tls_client_certificate_bound_access_tokens(true)
        .dpop_signing_alg_values_supported(["ES256"])
        .unwrap()
        .dpop_bound_access_tokens_required(false)
        .signed_metadata("a.b.c")
        .member("resource_name#de", "Werkzeuge")
        .unwrap()
        .member("empty", json!([]))
        .unwrap();
    assert!(resource.clone().member("resource", "x").is_err());
    assert!(
        resource
            .clone()
            .member("authorization_servers", json!([]))
            .is_err()
    );
    let layer = OAuthLayer::builder(resource)
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .authorization_server("https://other.example.com/")
        .unwrap()
        .build()
        .unwrap();
    let (_, _, body) = ask(&app(layer), Method::GET, PATH).await;
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        document,
        json!({
            "resource": RESOURCE,
            "authorization_servers": [ISSUER, "https://other.example.com/"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp:read", "mcp:write"],
            "resource_name": "Tools",
            "resource_name#de": "Werkzeuge",
            "resource_documentation": "https://example.com/docs",
            "resource_policy_uri": "https://example.com/policy",
            "resource_tos_uri": "https://example.com/tos",
            "jwks_uri": "https://mcp.example.com/keys",
            "resource_signing_alg_values_supported": ["ES256"],
            "authorization_details_types_supported": ["payment"],
            "tls_client_certificate_bound_access_tokens": true,
            "dpop_signing_alg_values_supported": ["ES256"],
            "signed_metadata": "a.b.c",
        })
    );
}

#[tokio::test]
async fn two_endpoints_on_one_app_each_have_their_document_and_their_tokens() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let clock = tower_mcp_auth::Clock::manual(START);
    let layer = |resource: &str| {
        OAuthLayer::builder(resource)
            .unwrap()
            .authorization_server(ISSUER)
            .unwrap()
            .clock(clock.clone())
            .fetch(web.clone())
            .build()
            .unwrap()
    };
    let (a, b) = (layer("https://h.example/a"), layer("https://h.example/b"));
    let inner = || Router::new().route("/", post(|| async { "inside" }));
    // Below `nest` a layer sees neither its prefix nor the well-known path.
    let app = Router::new()
        .route_service(&a.metadata_path(), a.metadata_service())
        .route_service(&b.metadata_path(), b.metadata_service())
        .nest("/a", inner().layer(a))
        .nest_service("/b", b.layer(inner()));

    for name in ["a", "b"] {
        let path = format!("/.well-known/oauth-protected-resource/{name}");
        let (status, _, body) = ask(&app, Method::GET, &path).await;
        assert_eq!(status, StatusCode::OK);
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["resource"], format!("https://h.example/{name}"));

        let (status, headers, _) = ask(&app, Method::POST, &format!("/{name}")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let expected = format!("Bearer resource_metadata=\"https://h.example{path}\"");
        assert_eq!(headers["www-authenticate"], expected);

        for aud in ["a", "b"] {
            let token = key.token(json!({"aud": format!("https://h.example/{aud}")}));
            let request = Request::post(format!("/{name}"))
                .header("authorization", format!("Bearer {token}"))
                .body(Body::empty())
                .unwrap();
            let status = app.clone().oneshot(request).await.unwrap().status();
            assert_eq!(status == StatusCode::OK, aud == name, "{aud} at {name}");
        }
    }
}

#[tokio::test]
async fn the_resource_gives_the_audience_the_url_of_the_metadata_and_the_challenge() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&key.token(json!({"aud": RESOURCE})))
        .await
        .assert(200, "accepted");
    let url = guarded.layer.resource().metadata_url();
    assert_eq!(
        url,
        "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    );
    let answer = guarded.ask(Request::new(Full::default())).await;
    assert_eq!(
        answer.challenge(),
        format!("Bearer resource_metadata=\"{url}\"")
    );
}

#[tokio::test]
async fn the_metadata_is_served_without_a_token_and_without_the_inner_service() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let request = Request::get("/.well-known/oauth-protected-resource/mcp");
    let answer = guarded.ask(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(guarded.reached(), 0);
}
