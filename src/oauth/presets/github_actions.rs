//! GitHub Actions: `github_actions::owners(ids)` and `github_actions::repositories(ids)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::github_actions};
//!
//! let server = github_actions::owners([9919])?
//!     .require_subject(["repo:github/docs:ref:refs/heads/main"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::github_actions`](crate::guide::identity_providers::github_actions).
//!
//! # Setup at GitHub
//! 1. Give the job `permissions: id-token: write`, and have it ask for a token with the
//!    URL of the resource as its audience: `core.getIDToken("https://mcp.example.com/mcp")`.
//!    Another audience works with [`audience`](super::super::AuthorizationServer::audience). By
//!    default it is the URL of the repository's owner, which every service is shown.
//! 2. Find the ids: `gh api users/acme --jq .id`, `gh api repos/acme/widgets --jq .id`. Names
//!    can be given up and taken by others; ids stay.
//! 3. Say which runs are meant, by [`require_subject`] or by
//!    [`require_claim`](super::super::AuthorizationServer::require_claim) (`ref`, `environment`,
//!    `job_workflow_ref`): every workflow of every repository of an owner has such a token,
//!    those of pull requests among them. Subjects have the ids in them for repositories that
//!    were made, renamed or moved after 15 July 2026, and for others that chose it:
//!    `repo:acme@65/widgets@74:ref:refs/heads/main`.
//!
//! # Differences from the defaults
//! All workflows at GitHub have tokens of this issuer, for any audience. They are ID tokens by
//! their documentation, for no client: the ids that they all have tell them. There is no scope:
//! give some with
//! [`scopes_from_claim`](super::super::AuthorizationServer::scopes_from_claim). The issuer is
//! not in the metadata, because no client can sign in there. GitHub Enterprise Server and
//! enterprises with an issuer of their own are built from
//! [`AuthorizationServer::new`](super::super::AuthorizationServer::new) with
//! [`require_claim`](super::super::AuthorizationServer::require_claim).
//!
//! Documentation: [OpenID Connect reference](https://docs.github.com/actions/reference/security/oidc)
//! and [immutable subjects](https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/).
//! That the ids are strings is in no table there, but in its example.
//!
//! [`require_subject`]: super::super::AuthorizationServer::require_subject

use std::borrow::Cow;

use super::shape::{Shape, required_ids};
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape {
    keys: Some("/.well-known/jwks"),
    algorithms: &[Algorithm::RS256],
    marks: &[Cow::Borrowed("repository_id")],
    advertised: false,
    ..Shape::PLAIN
};

/// The workflows of all repositories of these users and organizations.
///
/// # Errors
/// There is no id.
pub fn owners<I>(owner_ids: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator<Item = u64>,
{
    let ids = required_ids("github owner ids", owner_ids)?;
    issuer()?.require_claim("repository_owner_id", ids)
}

/// The workflows of these repositories.
///
/// # Errors
/// There is no id.
pub fn repositories<I>(repository_ids: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator<Item = u64>,
{
    let ids = required_ids("github repository ids", repository_ids)?;
    issuer()?.require_claim("repository_id", ids)
}

fn issuer() -> Result<AuthorizationServer, ConfigError> {
    SHAPE.server("https://token.actions.githubusercontent.com".to_owned())
}
