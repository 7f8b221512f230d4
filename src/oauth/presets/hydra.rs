//! Ory Hydra and Ory Network: `hydra::server(issuer)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::hydra};
//!
//! // The administrative port takes no credentials: it must be reachable from inside alone.
//! let introspection = hydra::introspection("https://hydra-admin.internal:4445")?
//!     .dangerously_unauthenticated()?;
//! let server = hydra::server("https://id.example.com")?.introspection(introspection)?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::hydra`](crate::guide::identity_providers::hydra).
//!
//! # Setup at Hydra
//! 1. List the URL of the resource in the `audience` of each client, and have your consent
//!    application grant it (`grant_access_token_audience`). Clients ask with `audience`;
//!    `resource`, which MCP clients send, is ignored: let the consent application read it from
//!    `request_url`, and grant it where the client's `audience` lists it.
//! 2. Set `strategies.access_token: jwt` for tokens that are checked without a call. The
//!    default is opaque tokens, which need [`introspection`].
//! 3. Leave `strategies.jwt.scope_claim` at `list`. For `string` or `both` call
//!    `.scope_claim("scope")`.
//!
//! # Differences from the defaults
//! Write the issuer as Hydra's `urls.self.issuer` has it, slash at its end included. Scopes
//! are an array in `scp`; claims of the consent application are below `ext`, so its roles
//! become scopes by `scopes_from_claim(["ext", "roles"], …)`. An answer about a refresh token
//! is "active" too, and told by its `token_use`; it is refused.
//!
//! For plain `http` to the administrative port call
//! [`dangerously_allow_http_to`](super::super::AuthorizationServer::dangerously_allow_http_to)
//! with its host before `introspection`.
//!
//! Documentation: [JWT access tokens](https://www.ory.sh/docs/oauth2-oidc/jwt-access-token)
//! and [token introspection](https://www.ory.sh/docs/hydra/guides/oauth2-token-introspection).

use super::shape::{Shape, base};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    scope_claim: "scp",
    ..Shape::PLAIN
};

/// The Hydra with this issuer, byte by byte.
///
/// # Errors
/// As for [`AuthorizationServer::new`].
pub fn server(issuer: impl Into<String>) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(issuer.into())
}

/// The same for development, with plain `http` on a loopback address or `localhost`.
///
/// # Errors
/// As for [`AuthorizationServer::insecure_http_on_loopback`].
pub fn insecure_http_on_loopback(
    issuer: impl Into<String>,
) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server_on_loopback(issuer.into())
}

/// The introspection endpoint of the administrative API at this URL.
///
/// That API has no authentication of its own: say so with
/// [`dangerously_unauthenticated`](Introspection::dangerously_unauthenticated), or add what the
/// proxy before it asks for (an Ory Network API key is a
/// [`bearer_token`](Introspection::bearer_token)).
///
/// # Errors
/// The URL is none.
pub fn introspection(admin_url: &str) -> Result<Introspection, ConfigError> {
    let admin_url = base("hydra admin URL", admin_url)?;
    Introspection::at(format!("{admin_url}/admin/oauth2/introspect"))
}
