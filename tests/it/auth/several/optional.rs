//! `.optional()`: a caller that presents nothing passes as anonymous, and no other.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt};
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::mcp::{MacKey, McpPolicy, McpScopesLayer, SessionBindingLayer};
use tower_mcp_auth::scopes::{RequireScopesLayer, Requirement};
use tower_mcp_auth::{Location, Principal};

use crate::auth::several::support::*;
use common::{Answering, ask, clock, guards, request, request_to};

#[tokio::test]
async fn who_presents_nothing_passes_without_a_principal() {
    for guard in guards() {
        let layer = guard.layer.clone().optional();
        let nothing: [&[(&str, &str)]; 5] = [
            &[],
            &[("authorization", "Basic dTpw")],
            &[("authorization", "Digest a")],
            &[("x-other", "a")],
            &[("authorization", ""), ("x-api-key", "")],
        ];
        for headers in nothing {
            let answer = ask(&layer, request(headers)).await;
            assert_eq!(answer.text(), "nobody", "{}: {headers:?}", guard.name);
            for (name, value) in headers {
                // What no provider reads is left alone.
                assert_eq!(answer.admitted().headers[*name], *value);
            }
        }
        let answer = ask(&layer, guard.good_request("/mcp")).await;
        assert_ne!(answer.text(), "nobody");
        // And without the setting they do not pass.
        ask(&guard.layer, guard.bare_request("/mcp"))
            .await
            .missing();
    }
}

#[tokio::test]
async fn a_bare_scheme_is_no_credential() {
    let layer = AuthLayer::new(Answering::accepting()).optional();
    for bare in ["Bearer", "bearer ", "Bearer  "] {
        let answer = ask(&layer, request(&[("authorization", bare)])).await;
        assert_eq!(answer.text(), "nobody", "{bare:?}");
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_as_ever() {
    let web = web();
    let clock = clock();
    let keys = keys(&clock);
    let layer = oauth(&web, &clock).or(keys).unwrap();
    let layer = layer.optional().boxed();
    let expired = SIGNER.token(serde_json::json!({"exp": 1}));
    let bad: [(&[(&str, &str)], &str); 7] = [
        (
            &[("x-api-key", "acme_bm9ib2R5LWtub3dzLXRoaXMtb25l")],
            "unknown_api_key",
        ),
        (&[("authorization", "Bearer a.b.c")], "unknown_token"),
        (
            &[("authorization", &format!("Bearer {expired}"))],
            "expired",
        ),
        (&[("authorization", "Bearer a b")], "malformed_credential"),
        (&[("authorization", "Bearer,")], "malformed_credential"),
        (
            &[("x-api-key", KEY), ("x-api-key", KEY)],
            "duplicate_credential",
        ),
        (
            &[("x-api-key", KEY), ("authorization", "Bearer a")],
            "multiple_credentials",
        ),
    ];
    for (headers, reason) in bad {
        let answer = ask(&layer, request(headers)).await;
        assert_eq!(answer.error().reason(), reason, "{headers:?}");
    }
    let query = request_to::<&str>("/mcp?access_token=a", &[]);
    ask(&layer, query).await.malformed("token_in_query");
}

#[tokio::test]
async fn a_principal_of_a_layer_further_out_does_not_stay() {
    let badge = Location::bare("x-badge".parse().unwrap());
    let outer = AuthLayer::new(Answering::accepting().locations([badge]));
    let inner = AuthLayer::new(Answering::accepting()).optional();
    let both = ServiceBuilder::new().layer(outer).layer(inner);
    let answer = ask(&both, request(&[("x-badge", "a")])).await;
    assert_eq!(answer.text(), "nobody");
}

#[tokio::test]
async fn extractors_see_no_principal() {
    let app = Router::new()
        .route(
            "/may",
            get(async |who: Option<Principal>| who.is_some().to_string()),
        )
        .route("/must", get(async |_: Principal| "somebody"))
        .layer(AuthLayer::new(Answering::accepting()).optional());
    let send = async |path: &str, headers: &[(&str, &str)]| {
        let request = request_to(path, headers).map(axum::body::Body::new);
        let response = app.clone().oneshot(request).await.unwrap();
        let challenged = response.headers().contains_key("www-authenticate");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            challenged,
            String::from_utf8_lossy(&body).into_owned(),
        )
    };
    assert_eq!(send("/may", &[]).await, (200, false, "false".into()));
    let bearer = [("authorization", "Bearer a")];
    assert_eq!(send("/may", &bearer).await, (200, false, "true".into()));
    let (status, challenged, _) = send("/must", &[]).await;
    assert_eq!((status, challenged), (401, true));
    assert_eq!(send("/must", &bearer).await.0, 200);
}

fn message(method: &str, tool: &str) -> Request<Full<Bytes>> {
    let body = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": tool, "arguments": {}},
    });
    let mut request = request(&[("content-type", "application/json")]);
    *request.method_mut() = Method::POST;
    *request.body_mut() = body.to_string().into();
    request
}

#[tokio::test]
async fn where_scopes_are_needed_no_caller_is_asked_for_an_identity() {
    let auth = AuthLayer::new(Answering::accepting()).optional();
    let scopes = RequireScopesLayer::new(["mcp:read"]).unwrap();
    let guarded = ServiceBuilder::new().layer(auth.clone()).layer(scopes);
    let answer = ask(&guarded, request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(answer.challenges(), [r#"Bearer scope="mcp:read""#]);

    let policy = McpPolicy::builder()
        .tool("open_*", Requirement::none())
        .unwrap()
        .tool("closed_*", [""; 0])
        .unwrap()
        .tool("*", "mcp:write")
        .unwrap()
        .build()
        .unwrap();
    let guarded = ServiceBuilder::new()
        .layer(auth)
        .layer(McpScopesLayer::new(policy));
    ask(&guarded, message("tools/call", "open_door"))
        .await
        .admitted();
    for closed in ["closed_door", "delete"] {
        ask(&guarded, message("tools/call", closed)).await.missing();
    }
}

/// A server that opens a session.
async fn open(
    request: Request<Full<Bytes>>,
) -> Result<http::Response<Full<Bytes>>, tower::BoxError> {
    let inner = request.headers().get("mcp-session-id").cloned();
    let mut response = http::Response::new(Full::default());
    let id = inner.unwrap_or_else(|| "s1".parse().unwrap());
    response.headers_mut().insert("mcp-session-id", id);
    Ok(response)
}

#[tokio::test]
async fn an_anonymous_session_is_open_to_all_and_a_principals_is_not() {
    let auth = AuthLayer::new(Answering::accepting()).optional();
    let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let service = ServiceBuilder::new()
        .layer(auth)
        .layer(SessionBindingLayer::new(key))
        .service_fn(open);
    let send = async |headers: &[(&str, &str)]| {
        let response = service.clone().oneshot(request(headers)).await.unwrap();
        let id = response.headers().get("mcp-session-id");
        let id = id.map(|id| id.to_str().unwrap().to_owned());
        (response.status().as_u16(), id.unwrap_or_default())
    };
    let alice = ("authorization", "Bearer a");
    let (_, nobodys) = send(&[]).await;
    let (_, alices) = send(&[alice]).await;
    assert_eq!(send(&[("mcp-session-id", &nobodys)]).await.0, 200);
    assert_eq!(send(&[("mcp-session-id", &alices)]).await.0, 404);
    assert_eq!(send(&[("mcp-session-id", &nobodys), alice]).await.0, 404);
    assert_eq!(send(&[("mcp-session-id", &alices), alice]).await.0, 200);
}
