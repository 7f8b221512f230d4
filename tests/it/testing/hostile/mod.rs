//! Hostile requests: nothing gets through a right middleware, and each wrong one is found.

mod handmade;
mod report;
mod right;
mod url;
mod wrong;

use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::testing::hostile::Hostile;

const RESOURCE: &str = "https://mcp.example.com/mcp";

/// An issuer without an RSA key, which takes a while to make.
async fn issuer() -> Issuer {
    let builder = Issuer::builder().algorithms([Algorithm::ES256]);
    builder.start().await.unwrap()
}

fn hostile(issuer: &Issuer) -> Hostile {
    Hostile::new(RESOURCE).unwrap().issuer(issuer)
}

fn server(issuer: &Issuer) -> AuthorizationServer {
    AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap()
}

fn oauth(issuer: &Issuer) -> OAuthLayer {
    OAuthLayer::new(RESOURCE, server(issuer)).unwrap()
}
