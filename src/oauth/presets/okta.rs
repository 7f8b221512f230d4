//! Okta: `okta::server(domain, authorization_server)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::okta};
//!
//! let server = okta::server("acme.okta.com", "aus1a2b3c4d5e6f7g8h9")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//!
//! // The organization's own authorization server is for Okta alone.
//! assert!(okta::org_server("acme.okta.com").is_err());
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::okta`](crate::guide::identity_providers::okta).
//!
//! # Setup at Okta
//! 1. Under Security → API add a *custom* authorization server, and make the URL of the
//!    resource its audience. `default` is one as well; its audience `api://default` is then
//!    set with [`audience`](super::super::AuthorizationServer::audience).
//! 2. Add scopes, and a rule of an access policy that grants them.
//! 3. One authorization server has one audience: give each resource one of its own.
//! 4. Register the clients: dynamic registration asks for an API token of the organization.
//!
//! # Differences from the defaults
//! Scopes are an array in `scp`, and the client is in `cid`. The header has no `typ`. Groups
//! of a groups claim become scopes by `scopes_from_claim(["groups"], …)`. That Okta takes a
//! `resource` parameter into account is not documented: the server decides the audience.
//!
//! Documentation: [validate access tokens](https://developer.okta.com/docs/guides/validate-access-tokens/),
//! which also says that only Okta may validate the tokens of the organization's server.

use super::shape::{Shape, host, segment};
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("/v1/keys"),
    algorithms: &[Algorithm::RS256],
    scope_claim: "scp",
    client_claim: "cid",
    ..Shape::PLAIN
};

/// A custom authorization server, by its id (`default` is one), of the organization at this
/// domain.
///
/// # Errors
/// The domain is not a host alone, in lower case, or the id is none.
pub fn server(
    domain: &str,
    authorization_server: &str,
) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(issuer(domain, authorization_server)?)
}

/// The organization's own authorization server: always an error, which explains.
///
/// # Errors
/// Always: the form of its access tokens is Okta's own affair, and only Okta may validate
/// them.
pub fn org_server(domain: &str) -> Result<AuthorizationServer, ConfigError> {
    Err(ConfigError::new(
        "okta",
        format!(
            "access tokens of the organization's own authorization server (https://{domain}) are \
             for Okta alone and cannot be checked; add a custom authorization server (Security → \
             API) and use `okta::server` with its id, or with \"default\""
        ),
    ))
}

/// The introspection endpoint of a custom authorization server. Add the credentials of a
/// client, with [`client_secret_basic`](Introspection::client_secret_basic).
///
/// # Errors
/// As for [`server`].
pub fn introspection(
    domain: &str,
    authorization_server: &str,
) -> Result<Introspection, ConfigError> {
    let issuer = issuer(domain, authorization_server)?;
    Introspection::at(format!("{issuer}/v1/introspect"))
}

fn issuer(domain: &str, authorization_server: &str) -> Result<String, ConfigError> {
    let domain = host("okta domain", domain)?;
    let id = segment("okta authorization server", authorization_server)?;
    Ok(format!("https://{domain}/oauth2/{id}"))
}
