//! Cloudflare Access: `cloudflare_access::server(team_domain, audience_tag)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::cloudflare_access};
//!
//! let tag = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
//! let server = cloudflare_access::server("acme.cloudflareaccess.com", tag)?;
//! let layer = OAuthLayer::builder("https://mcp.example.com/mcp")?
//!     .authorization_server(server)?
//!     .header_name("Cf-Access-Jwt-Assertion")
//!     .require_bearer(false)
//!     .build()?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::cloudflare_access`](crate::guide::identity_providers::cloudflare_access).
//!
//! # Setup at Cloudflare
//! 1. Protect the host of this server with an application of Access, and copy its Application
//!    Audience (AUD) tag. Each application has its own; one that is made anew has another.
//! 2. Access puts the token of a request into the header `Cf-Access-Jwt-Assertion`, and into a
//!    cookie. `Authorization` is what the client sent.
//! 3. Let no client reach this server but by way of Access, or of a tunnel.
//! 4. For MCP clients turn "Managed OAuth" on: Access is then their authorization server, and
//!    what reaches this server is the same header.
//!
//! # Differences from the defaults
//! One team has one issuer and one set of keys for all its applications: the AUD tag alone tells
//! for which one a user signed in. `type` must be `app`; that of the session of the whole team
//! is `org`, and it is refused. A service token has an empty `sub` and its client id in
//! `common_name`: such a principal is that client, and has no subject. `sub` is another one after
//! a user was removed and added again. There is no scope. The issuer is not in the metadata:
//! clients do not bring these tokens.
//!
//! Documentation: [application token](https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/)
//! [validating JWTs](https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json/)
//! and [Managed OAuth](https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/managed-oauth/).

use std::borrow::Cow;

use super::shape::{Shape, host};
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape {
    keys: Some("/cdn-cgi/access/certs"),
    algorithms: &[Algorithm::RS256],
    client_claim: "common_name",
    required: &[("type", "app")],
    marks: &[Cow::Borrowed("type")],
    advertised: false,
    ..Shape::PLAIN
};

/// The application with this AUD tag, of the team with this domain.
///
/// # Errors
/// The domain is not a host alone, in lower case, or the tag is not 32 to 128 of `0-9 a-f`.
pub fn server(team_domain: &str, audience_tag: &str) -> Result<AuthorizationServer, ConfigError> {
    let domain = host("cloudflare team domain", team_domain)?;
    let is_right = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !(32..=128).contains(&audience_tag.len()) || !audience_tag.bytes().all(is_right) {
        return Err(ConfigError::new(
            "cloudflare audience tag",
            format!(
                "{audience_tag:?} is no AUD tag of an application, 64 of 0-9 a-f; is a variable of \
                 the environment not set?"
            ),
        ));
    }
    let server = SHAPE.server(format!("https://{domain}"))?;
    // Who has no subject is a service token, and that is its client.
    server.clients_are_principals(true).audience(audience_tag)
}
