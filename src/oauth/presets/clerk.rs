//! Clerk: `clerk::server(domain)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::clerk};
//!
//! let server = clerk::server("acme.clerk.accounts.dev")?
//!     .client_ids(["client_2xhFjEI5X2qWRvtV13BzSj8H6Dk"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::clerk`](crate::guide::identity_providers::clerk).
//!
//! # Setup at Clerk
//! 1. Under "OAuth applications" add an application for each client, and see that "Generate
//!    access tokens as JWTs" is on in the settings. Opaque tokens need [`introspection`].
//! 2. List the applications' client ids here.
//! 3. Better, add the URL of the resource under Agents → MCP servers: then tokens have it as
//!    `aud`, and [`audience_is_the_resource`](NeedsAudience::audience_is_the_resource) takes the
//!    place of the list.
//!
//! # Differences from the defaults
//! Session tokens and ID tokens have the same issuer and the same keys as access tokens, so
//! the header must say `typ: at+jwt`. Without step 3 access tokens have no `aud`. A JWT is
//! good for a day, also after it was revoked.
//!
//! Documentation: [token formats](https://clerk.com/docs/guides/development/machine-auth/token-formats),
//! [OAuth at Clerk](https://clerk.com/docs/guides/configure/auth-strategies/oauth/how-clerk-implements-oauth),
//! [MCP servers](https://clerk.com/docs/references/nextjs/build-mcp-server), and Clerk's own
//! published verifier, which asks for `at+jwt`. No token with an `aud` is shown there in full.

use super::NeedsAudience;
use super::shape::{Shape, host};
use crate::error::ConfigError;
use crate::oauth::Introspection;

const SHAPE: Shape = Shape {
    keys: Some("/.well-known/jwks.json"),
    at_jwt: true,
    ..Shape::PLAIN
};

/// The instance with its frontend API at this domain: `acme.clerk.accounts.dev`, or
/// `clerk.example.com`.
///
/// # Errors
/// The domain is not a host alone, in lower case.
pub fn server(domain: &str) -> Result<NeedsAudience, ConfigError> {
    let domain = host("clerk domain", domain)?;
    SHAPE
        .server(format!("https://{domain}"))
        .map(NeedsAudience::new)
}

/// The endpoint for opaque tokens, which begin with `oat_`. Add the credentials of an OAuth
/// application, with [`client_secret_basic`](Introspection::client_secret_basic).
///
/// # Errors
/// As for [`server`].
pub fn introspection(domain: &str) -> Result<Introspection, ConfigError> {
    let domain = host("clerk domain", domain)?;
    Introspection::at(format!("https://{domain}/oauth/token_info"))?.token_prefix("oat_")
}
