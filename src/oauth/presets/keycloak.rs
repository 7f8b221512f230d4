//! Keycloak: `keycloak::server(base_url, realm)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::keycloak};
//!
//! let server = keycloak::server("https://id.example.com", "acme")?
//!     .scopes_from_claim(["realm_access", "roles"], [("mcp-reader", "mcp:read")])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::keycloak`](crate::guide::identity_providers::keycloak).
//!
//! # Setup at Keycloak
//! 1. Add a client scope with a mapper of the type "Audience", with the URL of the resource
//!    as included custom audience, and make it a default scope of the realm, so that clients
//!    that register themselves have it too. Without it a token has no audience, or
//!    `account`, which counts as none.
//! 2. Scopes of the resource are further client scopes, with "Include in token scope" on. Add
//!    the same mapper to each: before release 26.8 a client that names scopes as it registers
//!    has no default ones.
//! 3. Where no mapper can be added, name the clients:
//!    [`client_ids`](super::super::AuthorizationServer::client_ids); they are read from `azp`.
//!
//! # Differences from the defaults
//! Roles are in `realm_access.roles`, and in `resource_access.CLIENT.roles` for those of a
//! client. The kind of a token is in its *claim* `typ`: `Bearer`, and not `ID` or `Refresh`.
//! Where this server reaches Keycloak by another name than its users do, use
//! [`server_with_back_channel`]. Lightweight access tokens leave most claims out, the audience
//! among them: introspect them ([`introspection`], with
//! [`introspect_jwts`](Introspection::introspect_jwts)). Once the signature holds, such a token
//! is judged by what the realm says of it: audience, subject and roles are those of the answer
//! (leave "Add to token introspection" on in the mappers). Newer releases call a token inactive
//! unless the client that asks is in its audience.
//!
//! Documentation: [server administration, audience support](https://www.keycloak.org/docs/latest/server_admin/#audience-support)
//! [MCP](https://www.keycloak.org/securing-apps/mcp-authz-server)
//! and [upgrading, introspection](https://www.keycloak.org/docs/latest/upgrading/#token-introspection-now-validates-audience-claim).

use super::shape::{Shape, base, segment};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("/protocol/openid-connect/certs"),
    client_claim: "azp",
    ignore_audiences: &["account"],
    ..Shape::PLAIN
};

/// The realm of the Keycloak at this URL, which is the one its users see: with the path, if
/// it has one (`https://id.example.com/auth`).
///
/// # Errors
/// The URL is not https or has a realm, or the realm has characters a URL would have to encode.
pub fn server(base_url: &str, realm: &str) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(issuer(base_url, realm)?)
}

/// The same for development, with plain `http` on a loopback address or `localhost`.
///
/// # Errors
/// As for [`server`], and an http URL that is not on loopback.
pub fn insecure_http_on_loopback(
    base_url: &str,
    realm: &str,
) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server_on_loopback(issuer(base_url, realm)?)
}

/// The same, with keys fetched from another URL of the same Keycloak, inside a network. For
/// plain `http` there call `dangerously_allow_http_to` and `jwks_uri` on [`server`].
///
/// # Errors
/// As for [`server`], of either URL.
pub fn server_with_back_channel(
    base_url: &str,
    back_channel_url: &str,
    realm: &str,
) -> Result<AuthorizationServer, ConfigError> {
    let inside = issuer(back_channel_url, realm)?;
    server(base_url, realm)?.jwks_uri(format!("{inside}/protocol/openid-connect/certs"))
}

/// The introspection endpoint of a realm, at the URL this server reaches it by. Add the
/// credentials of a confidential client.
///
/// # Errors
/// As for [`server`].
pub fn introspection(base_url: &str, realm: &str) -> Result<Introspection, ConfigError> {
    let issuer = issuer(base_url, realm)?;
    Introspection::at(format!("{issuer}/protocol/openid-connect/token/introspect"))
}

fn issuer(base_url: &str, realm: &str) -> Result<String, ConfigError> {
    let base_url = base("keycloak base URL", base_url)?;
    let realm = segment("keycloak realm", realm)?;
    // An issuer that was copied.
    if base_url.contains("/realms/") {
        return Err(ConfigError::new(
            "keycloak base URL",
            "it has a realm already; leave out `/realms/` and what follows",
        ));
    }
    Ok(format!("{base_url}/realms/{realm}"))
}
