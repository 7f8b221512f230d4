//! GitLab CI/CD: `gitlab_ci::namespaces(base_url, ids)` and `gitlab_ci::projects(base_url, ids)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::gitlab_ci};
//!
//! let server = gitlab_ci::projects("https://gitlab.com", [278964])?
//!     .require_claim("ref_protected", ["true"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::gitlab_ci`](crate::guide::identity_providers::gitlab_ci).
//!
//! # Setup at GitLab
//! 1. Have the job ask for a token with the URL of the resource as its audience:
//!    `id_tokens: { MCP_TOKEN: { aud: "https://mcp.example.com/mcp" } }`. Another audience works
//!    with [`audience`](super::super::AuthorizationServer::audience).
//! 2. Find the ids on the pages of project and group. A namespace is the group a project stands
//!    in itself: a subgroup has an id of its own, and is not meant by that of its parent.
//! 3. Say which jobs are meant, by
//!    [`require_claim`](super::super::AuthorizationServer::require_claim) (`ref_protected`,
//!    `environment`) or [`require_subject`](super::super::AuthorizationServer::require_subject)
//!    (`project_path:acme/widgets:ref_type:branch:ref:main`): every job of every branch has such
//!    a token.
//!
//! # Differences from the defaults
//! All jobs on an instance have tokens of its one issuer, for any audience. The same
//! keys sign the ID tokens of people who sign in with GitLab: these have no `job_id`, and no
//! project, and are refused. The ids of projects, namespaces and jobs are strings, and so are
//! the flags. There is no scope. The issuer is not in the metadata, because these tokens are not
//! for clients that sign people in.
//!
//! Documentation: [authentication with ID tokens](https://docs.gitlab.com/ci/secrets/id_token_authentication/).

use std::borrow::Cow;

use super::shape::{Shape, base, required_ids};
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape {
    keys: Some("/oauth/discovery/keys"),
    algorithms: &[Algorithm::RS256],
    marks: &[Cow::Borrowed("job_id")],
    advertised: false,
    ..Shape::PLAIN
};

/// The jobs of the projects in these groups or user namespaces. A subgroup has an id of its own.
/// The URL is `https://gitlab.com`, or that of your instance.
///
/// # Errors
/// The URL is not https, or there is no id.
pub fn namespaces<I>(base_url: &str, namespace_ids: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator<Item = u64>,
{
    let ids = required_ids("gitlab namespace ids", namespace_ids)?;
    instance(base_url)?.require_claim("namespace_id", ids)
}

/// The jobs of these projects, of the instance at this URL.
///
/// # Errors
/// As for [`namespaces`].
pub fn projects<I>(base_url: &str, project_ids: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator<Item = u64>,
{
    let ids = required_ids("gitlab project ids", project_ids)?;
    instance(base_url)?.require_claim("project_id", ids)
}

fn instance(base_url: &str) -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server(base("gitlab base URL", base_url)?.to_owned())
}
