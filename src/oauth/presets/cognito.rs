//! Amazon Cognito user pools: `cognito::server(region, pool_id)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::cognito};
//!
//! let server = cognito::server("eu-central-1", "eu-central-1_AbCdEfGhI")?
//!     .client_ids(["5bk1ouhgsqlvc7l0tqmnab9p3e"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::cognito`](crate::guide::identity_providers::cognito).
//!
//! # Setup at Cognito
//! 1. Add a resource server with the URL of the resource as its identifier, and custom scopes.
//!    In tokens they are called `https://mcp.example.com/mcp/read`: the identifier, a slash,
//!    the scope.
//! 2. Add an app client for each MCP client, and list their ids here. Cognito has no dynamic
//!    registration.
//! 3. Where all clients sign in through the managed login and send `resource`, call
//!    [`audience_is_the_resource`](NeedsAudience::audience_is_the_resource) instead: tokens
//!    then have the resource as `aud`. It takes the Essentials or Plus plan, and tokens of the
//!    client-credentials grant never have it.
//!
//! # Differences from the defaults
//! Access tokens have no `aud` by default, and no `typ`; `token_use` must be `access`, and an
//! ID token's is not. Groups become scopes by `scopes_from_claim(["cognito:groups"], …)`.
//! There is no introspection endpoint: a revoked token is good until it expires.
//!
//! Documentation: [understanding the access token](https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html)
//! and [resource binding](https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html#cognito-user-pools-resource-binding);
//! no token with an `aud` was found there in full.

use super::NeedsAudience;
use super::shape::{Shape, segment};
use crate::error::ConfigError;
use crate::jose::Algorithm;

const SHAPE: Shape = Shape {
    keys: Some("/.well-known/jwks.json"),
    algorithms: &[Algorithm::RS256],
    required: &[("token_use", "access")],
    ..Shape::PLAIN
};

/// The user pool of this id in this region.
///
/// # Errors
/// One of them is empty, or has characters it cannot have, or the id is not of the region.
pub fn server(region: &str, pool_id: &str) -> Result<NeedsAudience, ConfigError> {
    let region = segment("cognito region", region)?;
    let pool_id = segment("cognito pool id", pool_id)?;
    if !pool_id.starts_with(&format!("{region}_")) {
        return Err(ConfigError::new(
            "cognito pool id",
            format!("{pool_id:?} does not begin with the region and an underscore: {region}_…"),
        ));
    }
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    let issuer = format!("https://cognito-idp.{region}.{domain}/{pool_id}");
    SHAPE.server(issuer).map(NeedsAudience::new)
}
