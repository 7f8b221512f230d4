//! Logto: `logto::server(domain)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::logto};
//!
//! let server = logto::server("acme.logto.app")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::logto`](crate::guide::identity_providers::logto).
//!
//! # Setup at Logto
//! 1. Add an API resource with the URL of the resource as its indicator, and its permissions:
//!    they are its scopes.
//! 2. Give users and applications roles with these permissions.
//! 3. Clients ask with `resource`. Without it a token is opaque and for no resource;
//!    [`introspection`] can ask about it, and its answer is then to be judged by the client.
//!
//! # Differences from the defaults
//! Keys are ES384 by default. Tokens within an organization have `organization_id`: require
//! it with [`require_claim`](super::super::AuthorizationServer::require_claim).
//!
//! Documentation: [validate access tokens](https://docs.logto.io/authorization/validate-access-tokens)
//! and [opaque tokens](https://docs.logto.io/concepts/opaque-token). The `typ` of its headers
//! is not documented; `at+jwt` is what the library it is built on writes, and is not required.

use super::shape::{Shape, host};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("/jwks"),
    ..Shape::PLAIN
};

/// The tenant at this domain: `acme.logto.app`, or a custom domain.
///
/// # Errors
/// The domain is not a host alone, in lower case.
pub fn server(domain: &str) -> Result<AuthorizationServer, ConfigError> {
    let domain = host("logto domain", domain)?;
    SHAPE.server(format!("https://{domain}/oidc"))
}

/// The introspection endpoint. Add the credentials of an application.
///
/// # Errors
/// As for [`server`].
pub fn introspection(domain: &str) -> Result<Introspection, ConfigError> {
    let domain = host("logto domain", domain)?;
    Introspection::at(format!("https://{domain}/oidc/token/introspection"))
}
