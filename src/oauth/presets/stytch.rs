//! Stytch Connected Apps: `stytch::server(domain, project_id)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::stytch};
//!
//! let project = "project-live-9f5e7b7c-1c2d-4e3f-8a9b-0c1d2e3f4a5b";
//! let server = stytch::server("login.example.com", project)?
//!     .client_ids(["connected-app-live-d731954d-dab3-4a2b-bdee-07f3ad1be888"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::stytch`](crate::guide::identity_providers::stytch).
//!
//! # Setup at Stytch
//! 1. Use the project's own domain (a branded one, or the default one at
//!    `customers.stytch.dev`) for every call: tokens got by way of `stytch.com` have an issuer
//!    that is no URL, and are refused.
//! 2. Add the clients as Connected Apps, and list their ids here; or set
//!    `access_token_custom_audience` on each to the URL of the resource, and call
//!    [`audience_is_the_resource`](NeedsAudience::audience_is_the_resource).
//!
//! # Differences from the defaults
//! The `aud` of every token is the project, which says nothing of the resource: it counts as
//! none. Scopes are a string, `scope`; without one a token is refused, because nothing else
//! tells it from an ID token.
//!
//! Documentation: [access token object](https://stytch.com/docs/b2b/api/connected-app-access-token)
//! and [custom domains](https://stytch.com/docs/connected-apps/resources/custom-domains). One
//! page calls `aud` the client id, where its example and another page have the project's id.

use super::NeedsAudience;
use super::shape::{Shape, host};
use crate::error::ConfigError;
use crate::jose::Algorithm;

const SHAPE: Shape = Shape {
    algorithms: &[Algorithm::RS256],
    ..Shape::PLAIN
};

/// The project of this id, at its domain.
///
/// # Errors
/// The domain is not a host alone, in lower case, or the id is empty.
pub fn server(domain: &str, project_id: &str) -> Result<NeedsAudience, ConfigError> {
    let domain = host("stytch domain", domain)?;
    if project_id.is_empty() {
        return Err(ConfigError::new("stytch project id", "the id is empty"));
    }
    SHAPE
        .server(format!("https://{domain}"))?
        .ignore_audience(project_id)
        .map(NeedsAudience::new)
}
