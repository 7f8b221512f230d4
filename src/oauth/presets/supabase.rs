//! Supabase Auth: `supabase::server(project)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::supabase};
//!
//! let server = supabase::server("abcdefghijklmnopqrst")?
//!     .client_ids(["9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::supabase`](crate::guide::identity_providers::supabase).
//!
//! # Setup at Supabase
//! 1. Turn the OAuth 2.1 server on, and move the project to asymmetric signing keys (ES256):
//!    tokens signed with the old shared secret are refused.
//! 2. Register the clients, and list their ids here. With dynamic registration there is no
//!    list: better let a custom access token hook write the URL of the resource into `aud`,
//!    and call [`audience_is_the_resource`](NeedsAudience::audience_is_the_resource). Let it do
//!    so only where it is given a `client_id`: it runs for sessions of your own application too.
//!    Without a hook only
//!    [`dangerously_accept_every_client_of_this_issuer`](NeedsAudience::dangerously_accept_every_client_of_this_issuer)
//!    is left.
//!
//! # Differences from the defaults
//! The `aud` of every token is `authenticated`, which says nothing of the resource: it counts
//! as none. There is no claim for scopes: let the hook write one (`scope`), or require none.
//! Tokens of a session of your own application have no `client_id`, and are refused; so is
//! every `role` but `authenticated`: `anon` and `service_role` are keys of the project.
//!
//! Documentation: [token security](https://supabase.com/docs/guides/auth/oauth-server/token-security)
//! and [MCP authentication](https://supabase.com/docs/guides/auth/oauth-server/mcp-authentication).
//! What its ID tokens look like is not documented; they are told by `session_id`, which is in
//! all access tokens, and by their audience.

use std::borrow::Cow;

use super::NeedsAudience;
use super::shape::{Shape, segment};
use crate::error::ConfigError;
use crate::jose::Algorithm;

const SHAPE: Shape = Shape {
    keys: Some("/.well-known/jwks.json"),
    algorithms: &[Algorithm::ES256, Algorithm::RS256],
    ignore_audiences: &["authenticated"],
    required: &[("role", "authenticated")],
    marks: &[Cow::Borrowed("session_id")],
    ..Shape::PLAIN
};

/// The project with this reference.
///
/// # Errors
/// The reference is empty or has characters it cannot have.
pub fn server(project: &str) -> Result<NeedsAudience, ConfigError> {
    let project = segment("supabase project", project)?;
    SHAPE
        .server(format!("https://{project}.supabase.co/auth/v1"))
        .map(NeedsAudience::new)
}
