//! WorkOS AuthKit: `workos::server(domain)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::workos};
//!
//! let server = workos::server("acme.authkit.app")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::workos`](crate::guide::identity_providers::workos).
//!
//! # Setup at WorkOS
//! 1. Under Connect → Configuration turn on dynamic registration or client id metadata
//!    documents, and add the URL of the resource, byte by byte, as an MCP resource indicator.
//! 2. A client that sends no `resource` gets a token for a client id as audience; it is
//!    refused. Make the indicator the default one for such clients.
//!
//! # Differences from the defaults
//! Access tokens of AuthKit sessions (issuer `https://api.workos.com`) are others, and not
//! for this. An organization is required by `.require_claim("org_id", […])`. Roles and
//! permissions are not among the documented claims; where tokens have `permissions`, they
//! become scopes by `.scopes_from_claim(["permissions"], …)`.
//!
//! Documentation: [claims](https://workos.com/docs/authkit/connect/token-claims),
//! [MCP resource indicators](https://workos.com/docs/reference/authkit/oauth-resource)
//! and [session tokens](https://workos.com/docs/reference/authkit/session-tokens).

use super::shape::{Shape, host};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("/oauth2/jwks"),
    ..Shape::PLAIN
};

/// The environment with its AuthKit at this domain: `acme.authkit.app`, or a custom domain.
///
/// # Errors
/// The domain is not a host alone, in lower case.
pub fn server(domain: &str) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(format!("https://{}", host("authkit domain", domain)?))
}

/// The introspection endpoint. Add the credentials of a Connect application.
///
/// # Errors
/// As for [`server`].
pub fn introspection(domain: &str) -> Result<Introspection, ConfigError> {
    let domain = host("authkit domain", domain)?;
    Introspection::at(format!("https://{domain}/oauth2/introspection"))
}
