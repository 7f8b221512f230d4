//! PingOne: `ping_one::server(domain, environment)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::ping_one};
//!
//! let server = ping_one::server("auth.pingone.eu", "b1a2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::ping_one`](crate::guide::identity_providers::ping_one).
//!
//! # Setup at PingOne
//! 1. Add a custom resource with the URL of the resource as its audience, and scopes.
//! 2. Grant each application these scopes.
//! 3. For [`introspection`] use the resource's own id and secret.
//!
//! # Differences from the defaults
//! All tokens are JWTs, signed with RS256; ID tokens with the same key. PingFederate,
//! PingAM and Advanced Identity Cloud are other products with other endpoints: build their
//! server from [`AuthorizationServer::new`].
//!
//! Documentation: [token claims](https://apidocs.pingidentity.com/pingone/main/v1/api/#access-tokens-and-id-tokens)
//! and [introspection by a resource](https://developer.pingidentity.com/pingone-api/auth/openid-connect-oauth-2/token-introspection-resource-id-and-secret.html).

use super::shape::{Shape, host, segment};
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("/jwks"),
    algorithms: &[Algorithm::RS256],
    ..Shape::PLAIN
};

/// The environment of this id, at the domain of its region (`auth.pingone.com`,
/// `auth.pingone.eu`, …).
///
/// # Errors
/// The domain is not a host alone, in lower case, or the id is none.
pub fn server(domain: &str, environment: &str) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(issuer(domain, environment)?)
}

/// The introspection endpoint. Add the id and secret of the custom resource, in the way its
/// settings name.
///
/// # Errors
/// As for [`server`].
pub fn introspection(domain: &str, environment: &str) -> Result<Introspection, ConfigError> {
    let issuer = issuer(domain, environment)?;
    Introspection::at(format!("{issuer}/introspect"))
}

fn issuer(domain: &str, environment: &str) -> Result<String, ConfigError> {
    let domain = host("pingone domain", domain)?;
    let environment = segment("pingone environment", environment)?;
    Ok(format!("https://{domain}/{environment}/as"))
}
