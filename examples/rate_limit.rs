//! Rate limits on both sides of the auth layer: by address in front of it, where nobody is
//! known yet, and by principal behind it; and a limit for those who fail too often.
//!
//! With axum, `axum-governor` does the same as `tower_governor` here.
//!
//! Run with
//!
//! ```sh
//! cargo run -p dev --example rate_limit
//! ```
//!
//! and paste the `curl` lines it prints: they hold keys made at start.
//!
//! ```sh
//! for i in 1 2 3 4; do curl -i http://127.0.0.1:3000/hello -H 'X-API-Key: …'; done
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/random.rs"]
mod random;
#[path = "support/trace.rs"]
mod trace;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::peer::{PeerAddr, SetPeerAddrLayer};
use tower_mcp_auth::{ApiKeyLayer, Principal, PrincipalId};

/// Who is behind the request, however many addresses they come from.
#[derive(Clone, Debug)]
struct ByPrincipal;

impl KeyExtractor for ByPrincipal {
    type Key = PrincipalId;

    fn extract<T>(&self, request: &Request<T>) -> Result<PrincipalId, GovernorError> {
        // No principal means that no auth layer is outside: 500, rather than no limit.
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
        let peer: Option<&PeerAddr> = request.extensions().get();
        let peer = peer.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(match peer.ip() {
            IpAddr::V6(address) => Ipv6Addr::from(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (alice_key, bob_key) = (random::random()?, random::random()?);
    let auth = ApiKeyLayer::new([
        ApiKey::new(&alice_key)?.name("alice"),
        ApiKey::new(&bob_key)?.name("bob"),
    ])?;

    // Three requests at once, then one every 20 s.
    let mut by_principal = GovernorConfigBuilder::default().key_extractor(ByPrincipal);
    let by_principal = by_principal.per_second(20).burst_size(3).finish();
    let by_principal = Arc::new(by_principal.ok_or("a limit of zero")?);
    // Twenty of one address, refused ones as well.
    let mut by_address = GovernorConfigBuilder::default().key_extractor(ByNetwork);
    let by_address = by_address.per_second(20).burst_size(20).finish();
    let by_address = Arc::new(by_address.ok_or("a limit of zero")?);

    // The stores keep every key they saw until told to forget.
    let (principals, addresses) = (Arc::clone(&by_principal), Arc::clone(&by_address));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            principals.limiter().retain_recent();
            addresses.limiter().retain_recent();
        }
    });

    // Three bad keys within a minute, and an address is not heard for another.
    let failed_attempts = FailedAttemptsLayer::from_peer_address().max_failures(3)?;

    // The last layer is the outermost. Calls of their own, not one `ServiceBuilder`: axum gives each
    // layer the body type that tower_governor insists on.
    let app = Router::new()
        .route("/hello", get(hello))
        .layer(GovernorLayer::new(by_principal))
        .layer(auth)
        .layer(failed_attempts)
        .layer(GovernorLayer::new(by_address))
        // Behind a proxy this is the proxy: see `tower_mcp_auth::peer`.
        .layer(SetPeerAddrLayer::from_extension(
            |peer: &ConnectInfo<SocketAddr>| peer.0,
        ));

    let (listener, url) = listen::listen(3000).await;
    println!("# alice, one after the other: 200 200 200 429");
    println!("for i in 1 2 3 4; do curl -i {url}/hello -H 'X-API-Key: {alice_key}'; done\n");
    println!("# bob, from the same address: 200");
    println!("curl -i {url}/hello -H 'X-API-Key: {bob_key}'\n");
    println!("# guessing, until nobody listens: 401 401 401 429");
    println!("for i in 1 2 3 4; do curl -i {url}/hello -H 'X-API-Key: {bob_key}x'; done\n");
    println!("# a good key from the address that guessed: 429");
    println!("curl -i {url}/hello -H 'X-API-Key: {bob_key}'\n");
    println!("listening on {url}");
    // The limits by address need to know the address.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(principal: Principal) -> String {
    format!("hello {}\n", principal.subject().unwrap_or("somebody"))
}
