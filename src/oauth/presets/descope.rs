//! Descope's Agentic Identity Hub: `descope::server(project, mcp_server)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::descope};
//!
//! let server = descope::server("P2aBcDeFgHiJkLmNoPqRsTuVwXyZ", "MS3aBcDeFgHiJkLmNoPqRsTuVwXyZ")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::descope`](crate::guide::identity_providers::descope).
//!
//! # Setup at Descope
//! 1. Add an MCP server with its scopes, and with the URL of the resource as "MCP Server URL",
//!    which becomes the `aud`. Its id and that of the project are in the issuer.
//! 2. Choose how clients register: dynamically, by metadata document, or by hand.
//! 3. Tokens of some set-ups have other audiences than the URL: see what yours say, and name
//!    the right one with [`audience`](super::super::AuthorizationServer::audience). The
//!    project's id is not: all tokens of the project can have it, so it counts as none.
//!
//! # Differences from the defaults
//! All MCP servers of a project share its keys, and tell their tokens apart by the issuer.
//!
//! Documentation: [discovery endpoints](https://docs.descope.com/agentic-identity-hub/mcp-servers/discovery-url)
//! and the [Python MCP SDK](https://docs.descope.com/mcp/python-sdk), which says that the URL of
//! the MCP server is the audience. No access token is shown there in full.

use super::shape::{Shape, segment};
use crate::error::ConfigError;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape::PLAIN;

/// The MCP server of this id in the project of this id, at `api.descope.com`.
///
/// # Errors
/// One of the ids is empty or has characters it cannot have.
pub fn server(project: &str, mcp_server: &str) -> Result<AuthorizationServer, ConfigError> {
    let project = segment("descope project", project)?;
    let mcp_server = segment("descope MCP server", mcp_server)?;
    SHAPE
        .server(format!(
            "https://api.descope.com/v1/apps/agentic/{project}/{mcp_server}"
        ))?
        .ignore_audience(project)
}
