//! Handlers under test without a layer.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use tower::ServiceExt;
use tower_mcp_auth::Principal;
use tower_mcp_auth::testing::{
    anonymous, authenticated, fixed_clock, insert_anonymous, insert_principal,
};

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
async fn anonymous_callers_are_refused_only_where_a_principal_is_needed() {
    let anonymous = |request: &mut Request<Body>| {
        insert_principal(request.extensions_mut(), alice());
        insert_anonymous(request.extensions_mut());
    };
    assert_eq!(ask("/needs", anonymous).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        ask("/may", anonymous).await,
        (StatusCode::OK, "nobody".to_owned())
    );
    // Neither: as if the layer were forgotten.
    assert_eq!(
        ask("/may", |_| {}).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn a_request_is_made_one_of_a_principal_and_an_anonymous_one() {
    let take =
        |request: &mut Request<Body>| std::mem::replace(request, Request::new(Body::empty()));
    let of_alice = |request: &mut Request<Body>| *request = authenticated(take(request), alice());
    let of_nobody = |request: &mut Request<Body>| {
        *request = anonymous(authenticated(take(request), alice()));
    };
    assert_eq!(
        ask("/needs", of_alice).await,
        (StatusCode::OK, "oauth|sub=alice".to_owned())
    );
    assert_eq!(ask("/needs", of_nobody).await.0, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_fixed_clock_moves_when_it_is_moved() {
    let clock = fixed_clock();
    assert_eq!(clock.now().as_secs(), common::NOW);
    clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(clock.now().as_secs(), common::NOW + 5);
    // Each is one of its own.
    assert_eq!(fixed_clock().now().as_secs(), common::NOW);
}
