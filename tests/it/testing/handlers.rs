//! Handlers under test without a layer.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use tower::ServiceExt;
use tower_mcp_auth::Principal;
use tower_mcp_auth::testing::{insert_anonymous, insert_principal};

async fn ask(path: &str, prepare: impl FnOnce(&mut Request<Body>)) -> (StatusCode, String) {
    let app = Router::new()
        .route(
            "/needs",
            get(async |principal: Principal| principal.id().to_string()),
        )
        .route(
            "/may",
            get(async |principal: Option<Principal>| match principal {
                Some(principal) => principal.id().to_string(),
                None => "nobody".to_owned(),
            }),
        );
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    prepare(&mut request);
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn alice() -> Principal {
    Principal::builder("oauth").subject("alice").build()
}

#[tokio::test]
async fn a_principal_is_where_the_extractor_looks() {
    for path in ["/needs", "/may"] {
        let (status, body) = ask(path, |request| {
            insert_anonymous(request.extensions_mut());
            insert_principal(request.extensions_mut(), alice());
        })
        .await;
        assert_eq!((status, &*body), (StatusCode::OK, "oauth|sub=alice"));
    }
}

#[tokio::test]
async fn nobody_is_refused_only_where_somebody_is_needed() {
    let nobody = |request: &mut Request<Body>| {
        insert_principal(request.extensions_mut(), alice());
        insert_anonymous(request.extensions_mut());
    };
    assert_eq!(ask("/needs", nobody).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        ask("/may", nobody).await,
        (StatusCode::OK, "nobody".to_owned())
    );
    // Neither: as if the layer were forgotten.
    assert_eq!(
        ask("/may", |_| {}).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}
