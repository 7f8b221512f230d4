//! Firebase Authentication: `firebase::server(project_id)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::firebase};
//!
//! let server = firebase::server("acme-project")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::firebase`](crate::guide::identity_providers::firebase).
//!
//! # Setup at Firebase
//! 1. Take the project id from the project's settings. It is the audience of every token of the
//!    project, and in its issuer.
//! 2. Turn off the ways to sign in that are not meant. **With anonymous sign-in every client gets a
//!    token, and with open registration every user who asks.** Say who is meant with a custom
//!    claim and [`require_claim`](super::super::AuthorizationServer::require_claim), or require
//!    `email_verified`, and see `firebase.sign_in_provider` of
//!    [`Principal::claims`](crate::Principal::claims).
//!
//! # Differences from the defaults
//! The tokens are ID tokens, and no others are there. One set of keys signs those of all projects
//! of the world: issuer and audience alone tell yours. `sub` must not be empty, and `auth_time`
//! must be there, and not after `iat`. Tenants of Identity Platform share the project, its issuer
//! and its audience. Session cookies have another issuer, and custom tokens another signer: both
//! are refused, as is what the emulator issues, which is not signed. A token is good for an hour
//! after its user was disabled. There is no scope. The issuer is not in the metadata, because
//! clients do not sign in there by OAuth.
//!
//! Documentation: [verifying ID tokens](https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library),
//! which names the keys as certificates; as a JWKS they are where the issuer's metadata say.

use std::borrow::Cow;

use super::shape::Shape;
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape {
    algorithms: &[Algorithm::RS256],
    marks: &[Cow::Borrowed("auth_time")],
    advertised: false,
    ..Shape::PLAIN
};

const KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

/// The users of the project with this id.
///
/// # Errors
/// The id is not 4 to 63 of `a-z 0-9 -`.
pub fn server(project_id: &str) -> Result<AuthorizationServer, ConfigError> {
    let is_right = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !(4..=63).contains(&project_id.len()) || !project_id.bytes().all(is_right) {
        return Err(ConfigError::new(
            "firebase project id",
            format!(
                "{project_id:?} is no id of a project, 4 to 63 of a-z 0-9 -; it is neither its \
                 name nor its number"
            ),
        ));
    }
    let issuer = format!("https://securetoken.google.com/{project_id}");
    let mut server = SHAPE.server(issuer)?.jwks_uri(KEYS)?;
    server.quirks.auth_time = true;
    server.subject_claim("sub")?.audience(project_id)
}
