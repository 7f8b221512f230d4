//! authentik: `authentik::server(base_url, slug, client_id)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::authentik};
//!
//! let server = authentik::server("https://id.example.com", "mcp", "hnNNgTkvRjJ1bPTbz7dY")?
//!     .scopes_from_claim(["groups"], [("mcp-readers", "mcp:read")])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::authentik`](crate::guide::identity_providers::authentik).
//!
//! # Setup at authentik
//! 1. Add an application with an OAuth2 provider for this resource alone: its client id is the
//!    audience of its tokens, and the application's slug is in the issuer. Leave the issuer
//!    mode at "each provider has a different issuer".
//! 2. Choose a signing key; without one tokens are signed with the client's secret, and
//!    refused. Choose no encryption key.
//! 3. Turn "include claims in id_token" on where groups are to become scopes: access tokens
//!    have no scopes of their own. Keep `uid` out of property mappings.
//!
//! # Differences from the defaults
//! The issuer ends with a slash. An access token is an ID token with `azp` and `uid` added;
//! even `nonce` is there. `uid` is what tells it from one, so a token without it is refused.
//! Dynamic registration (since 2026.8) asks for an access token of authentik, and gives each
//! client an issuer and an audience of its own, so that its tokens are refused here. `resource`
//! is not known there.
//!
//! Documentation: [OAuth 2.0 provider](https://docs.goauthentik.io/add-secure-apps/providers/oauth2/)
//! with its pages on machine-to-machine authentication and dynamic client registration;
//! the claims are those of its published source (`id_token.py`, `token.py`).

use std::borrow::Cow;

use super::shape::{Shape, base, segment};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("jwks/"),
    client_claim: "azp",
    marks: &[Cow::Borrowed("uid")],
    ..Shape::PLAIN
};

/// The provider of the application with this slug, with this client id.
///
/// # Errors
/// The URL is not https, the slug has characters it cannot have, or the client id is empty.
pub fn server(
    base_url: &str,
    slug: &str,
    client_id: &str,
) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(issuer(base_url, slug)?)?.audience(client_id)
}

/// The same for development, with plain `http` on a loopback address or `localhost`.
///
/// # Errors
/// As for [`server`], and an http URL that is not on loopback.
pub fn insecure_http_on_loopback(
    base_url: &str,
    slug: &str,
    client_id: &str,
) -> Result<AuthorizationServer, ConfigError> {
    SHAPE
        .server_on_loopback(issuer(base_url, slug)?)?
        .audience(client_id)
}

/// Introspection of every JWT after it was found good here, so that a revoked one is refused.
/// Add the credentials of the provider. Opaque tokens are not accepted: authentik's are
/// refresh tokens.
///
/// # Errors
/// The URL is none.
pub fn introspection(base_url: &str) -> Result<Introspection, ConfigError> {
    let base_url = base("authentik base URL", base_url)?;
    let introspection = Introspection::at(format!("{base_url}/application/o/introspect/"))?;
    Ok(introspection.introspect_jwts()?.no_opaque_tokens())
}

fn issuer(base_url: &str, slug: &str) -> Result<String, ConfigError> {
    let base_url = base("authentik base URL", base_url)?;
    let slug = segment("authentik slug", slug)?;
    Ok(format!("{base_url}/application/o/{slug}/"))
}
