//! What a refused client of several providers is told.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use tower::Layer as _;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::{Challenge, Location};
use tower_test::mock;

use crate::auth::several::support::*;
use common::{API_KEY, Answering, ask, clock, request};

const METADATA: &str =
    r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;

#[tokio::test]
async fn each_scheme_has_one_line_and_bearer_comes_first() {
    let (web, clock) = (web(), clock());
    let oauth = || oauth(&web, &clock).boxed();
    let (keys, jwt) = (|| keys(&clock).boxed(), || jwt(JWT_ISSUER, &clock).boxed());
    let oauth_line = format!("Bearer {METADATA}");
    let jwt_line = r#"Bearer realm="MCP Server""#;
    let key_line = r#"ApiKey realm="MCP Server", header="X-API-Key""#;
    let or = |one: Layer, other: Layer| one.or(other).unwrap().boxed();
    let oauth_body = r#"{"error":"unauthorized","error_description":"Authentication is required","status":401,"type":"authentication_error"}"#;
    let jwt_body =
        r#"{"error":"Invalid or expired JWT token","status":401,"type":"authentication_error"}"#;
    for (layer, lines, body) in [
        (
            or(oauth(), keys()),
            vec![&*oauth_line, key_line],
            oauth_body,
        ),
        (
            or(keys(), oauth()),
            vec![&*oauth_line, key_line],
            oauth_body,
        ),
        (or(jwt(), oauth()), vec![&*oauth_line], oauth_body),
        (or(oauth(), jwt()), vec![&*oauth_line], oauth_body),
        (or(keys(), jwt()), vec![jwt_line, key_line], jwt_body),
        (
            or(or(keys(), jwt()), oauth()),
            vec![&*oauth_line, key_line],
            oauth_body,
        ),
        (
            or(keys(), or(jwt(), oauth())),
            vec![&*oauth_line, key_line],
            oauth_body,
        ),
    ] {
        let answer = ask(&layer, request::<&str>(&[])).await;
        answer.missing();
        assert_eq!(answer.challenges(), lines, "{layer:?}");
        assert_eq!(answer.text(), body, "{layer:?}");
    }
}

#[tokio::test]
async fn keys_of_two_headers_are_challenged_for_each() {
    let clock = clock();
    let other = keys(&clock).header_name("X-Old-Key").unwrap();
    let layer = keys(&clock).or(other).unwrap();
    let answer = ask(&layer, request::<&str>(&[])).await;
    assert_eq!(
        answer.challenges(),
        [
            r#"ApiKey realm="MCP Server", header="X-API-Key""#,
            r#"ApiKey realm="MCP Server", header="X-Old-Key""#,
        ]
    );
}

#[tokio::test]
async fn a_bad_key_beside_oauth_is_answered_with_both_ways_in() {
    let (web, clock) = (web(), clock());
    let layer = oauth(&web, &clock).or(keys(&clock)).unwrap();
    let answer = ask(&layer, request(&[("x-api-key", API_KEY)])).await;
    answer.invalid("unknown_api_key");
    let lines = answer.challenges();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(r#"Bearer error="invalid_token""#) && lines[0].contains(METADATA));
}

#[tokio::test]
async fn a_grpc_request_is_refused_in_its_own_form() {
    let (web, clock) = (web(), clock());
    let layer = oauth(&web, &clock).or(keys(&clock)).unwrap();
    let request = Request::post("/test.Greeter/Hello")
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("x-api-key", API_KEY)
        .body(Full::default())
        .unwrap();
    let answer = ask(&layer, request).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["grpc-status"]),
        (200, &"16".parse().unwrap())
    );
    assert_eq!(answer.error().reason(), "unknown_api_key");
}

type Behind = mock::Mock<Request<Full<Bytes>>, Response<Full<Bytes>>>;

#[test]
fn the_layer_is_ready_when_the_service_behind_it_is() {
    let badge = Location::bare("x-badge".parse().unwrap());
    let other = Answering::accepting()
        .locations([badge])
        .challenges([Challenge::bearer()]);
    let layer = AuthLayer::new(Answering::accepting())
        .or(AuthLayer::new(other))
        .unwrap();
    let (mut service, mut handle) = mock::spawn_with(|mock: Behind| layer.layer(mock));
    handle.allow(0);
    tokio_test::assert_pending!(service.poll_ready());
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
    drop(service.call(request(&[("x-badge", "a")])));
}
