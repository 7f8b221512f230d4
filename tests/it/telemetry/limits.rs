//! Rate limits of `tower_governor` around and inside an auth layer, as the docs name them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::Request;
use tower::ServiceExt;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::{ApiKeyLayer, Principal, PrincipalId};

const ALICE: &str = "Zm9yLXRoZS10ZXN0cy1vbmx5LTE3";
const ALICE_TOO: &str = "Zm9yLXRoZS10ZXN0cy1vbmx5LTE4";
const BOB: &str = "Zm9yLXRoZS10ZXN0cy1vbmx5LTE5";

#[derive(Clone, Debug)]
struct ByPrincipal;

impl KeyExtractor for ByPrincipal {
    type Key = PrincipalId;

    fn extract<T>(&self, request: &Request<T>) -> Result<PrincipalId, GovernorError> {
        Principal::from_extensions(request.extensions())
            .map(|principal| principal.id().clone())
            .ok_or(GovernorError::UnableToExtractKey)
    }
}

/// Where a request comes from: of IPv6 the network, because one host has 2^64 addresses.
#[derive(Clone, Debug)]
struct ByNetwork;

impl KeyExtractor for ByNetwork {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let peer: Option<&ConnectInfo<SocketAddr>> = request.extensions().get();
        let peer = peer.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(match peer.0.ip().to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        })
    }
}

fn auth() -> ApiKeyLayer {
    let keys = [(ALICE, "alice"), (ALICE_TOO, "alice"), (BOB, "bob")];
    ApiKeyLayer::new(keys.map(|(key, name)| ApiKey::new(key).unwrap().name(name))).unwrap()
}

async fn status(app: &Router, key: &str, address: impl Into<IpAddr>) -> u16 {
    let peer = SocketAddr::new(address.into(), 49152);
    let request = Request::builder()
        .header("x-api-key", key)
        .extension(ConnectInfo(peer));
    let request = request.body(Body::empty()).unwrap();
    app.clone()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_limit_inside_counts_principals_whatever_their_key_or_address() {
    let config = GovernorConfigBuilder::default().key_extractor(ByPrincipal);
    let mut config = config;
    let config = config.per_second(600).burst_size(2).finish().unwrap();
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(GovernorLayer::new(Arc::new(config)))
        .layer(auth());
    assert_eq!(status(&app, ALICE, [192, 0, 2, 1]).await, 200);
    assert_eq!(status(&app, ALICE_TOO, [192, 0, 2, 2]).await, 200);
    assert_eq!(status(&app, ALICE, [192, 0, 2, 3]).await, 429);
    assert_eq!(status(&app, BOB, [192, 0, 2, 1]).await, 200);
    // A caller that is not let in uses up no share.
    assert_eq!(status(&app, "guessed", [192, 0, 2, 1]).await, 401);
    assert_eq!(status(&app, BOB, [192, 0, 2, 1]).await, 200);
}

#[tokio::test]
async fn a_limit_outside_counts_addresses_for_any_caller() {
    let mut config = GovernorConfigBuilder::default().key_extractor(ByNetwork);
    let config = config.per_second(600).burst_size(2).finish().unwrap();
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(auth())
        .layer(GovernorLayer::new(Arc::new(config)));
    assert_eq!(status(&app, ALICE, [192, 0, 2, 1]).await, 200);
    assert_eq!(status(&app, "guessed", [192, 0, 2, 1]).await, 401);
    assert_eq!(status(&app, BOB, [192, 0, 2, 1]).await, 429);
    assert_eq!(status(&app, ALICE, [192, 0, 2, 2]).await, 200);
    // All that one host can call its own.
    let of_host = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last);
    assert_eq!(status(&app, ALICE, of_host(1)).await, 200);
    assert_eq!(status(&app, ALICE, of_host(2)).await, 200);
    assert_eq!(status(&app, ALICE, of_host(3)).await, 429);
}

#[tokio::test]
async fn a_limit_by_principal_outside_the_auth_layer_lets_no_request_through() {
    let mut config = GovernorConfigBuilder::default().key_extractor(ByPrincipal);
    let config = config.per_second(600).burst_size(2).finish().unwrap();
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(auth())
        .layer(GovernorLayer::new(Arc::new(config)));
    assert_eq!(status(&app, ALICE, [192, 0, 2, 1]).await, 500);
}
