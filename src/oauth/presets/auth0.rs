//! Auth0: `auth0::server(domain)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::auth0};
//!
//! let server = auth0::server("acme.eu.auth0.com")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::auth0`](crate::guide::identity_providers::auth0).
//!
//! # Setup at Auth0
//! 1. Create an API with the URL of the resource as its identifier, byte by byte
//!    (`https://mcp.example.com/mcp`); it becomes the `aud` of its tokens. Another identifier
//!    works with [`audience`](super::super::AuthorizationServer::audience).
//! 2. Turn on the tenant's Resource Parameter Compatibility Profile: MCP clients send
//!    `resource`, where Auth0 by itself looks for `audience`. Without either its access token
//!    is opaque, and is refused: Auth0 has no introspection endpoint.
//! 3. Add scopes as permissions of the API. `scope` has those that the client asked for; with
//!    "RBAC" those of them that the user has too. With "Add Permissions in the Access Token"
//!    `permissions` has all that the user has: `.scope_claim("permissions")` reads that, for
//!    clients that ask for no scopes.
//! 4. Clients that register themselves are third-party applications: authorize these for the
//!    API, and promote the connection that users sign in by to the domain level.
//!
//! # Differences from the defaults
//! The issuer ends with a slash. `aud` is a list with `…/userinfo` beside the API where
//! `openid` was asked for. The client stands in `azp`, or in `client_id` with the RFC 9068
//! profile: turn that on and call `require_at_jwt`, where you can. Roles of a custom claim, which
//! has a URL for a name, become scopes by `scopes_from_claim`.
//!
//! Documentation: [access token profiles](https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles)
//! [the `resource` parameter](https://auth0.com/ai/docs/mcp/guides/resource-param-compatibility-profile),
//! [RBAC](https://auth0.com/docs/get-started/apis/enable-role-based-access-control-for-apis)
//! and [dynamic registration](https://auth0.com/ai/docs/mcp/guides/registering-your-mcp-client-application/dynamic-client-registration).

use super::shape::{Shape, host};
use crate::error::ConfigError;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape {
    keys: Some(".well-known/jwks.json"),
    ..Shape::PLAIN
};

/// The tenant at this domain: `acme.eu.auth0.com`, or a custom domain.
///
/// # Errors
/// The domain is not a host alone, in lower case.
pub fn server(domain: &str) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(format!("https://{}/", host("auth0 domain", domain)?))
}
