//! Zitadel: `zitadel::server(domain, project_id)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::zitadel};
//!
//! // Ids have an `@` in older instances; it is encoded as Zitadel asks for.
//! let introspection = zitadel::introspection("acme.zitadel.cloud")?
//!     .client_secret_basic("78366401571920522@acme", "x7Kd0-fP3vQ9sT2")?;
//! let server = zitadel::server("acme.zitadel.cloud", "69234237810729019")?
//!     .introspection(introspection)?
//!     .scopes_from_claim(["urn:zitadel:iam:org:project:roles"], [("reader", "mcp:read")])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::zitadel`](crate::guide::identity_providers::zitadel).
//!
//! # Setup at Zitadel
//! 1. Add a project for this resource alone. Its id is the audience: of tokens of its own
//!    applications, and of those asked for with the scope
//!    `urn:zitadel:iam:org:project:id:PROJECT:aud`. Name that scope in
//!    [`scopes_supported`](super::super::ProtectedResource::scopes_supported).
//! 2. Add an application of the type API to it, with Basic authentication or with a key
//!    (`private_key_jwt`), for [`introspection`]. Clients that register themselves always get
//!    opaque tokens; for others the token type is a setting, opaque by default.
//! 3. Add roles to the project, and "Assert roles on authentication".
//!
//! # Differences from the defaults
//! Roles are the names of the members of an *object*. They are those of the project that
//! asks: that of the application of step 2, or of a JWT's client. In JWTs of other clients they
//! are in `urn:zitadel:iam:org:project:PROJECT:roles`. The project's id is in ID tokens
//! too; these have no `jti`, which is how they are told, where no scope and no `typ` does.
//! Zitadel calls a token inactive unless the application or its project is in its audience.
//!
//! Access tokens have no scopes, where they are JWTs: let roles give some.
//!
//! Documentation: [claims](https://zitadel.com/docs/apis/openidoauth/claims),
//! [scopes](https://zitadel.com/docs/apis/openidoauth/scopes),
//! [introspection with Basic](https://zitadel.com/docs/guides/integrate/token-introspection/basic-auth) and
//! [dynamic registration](https://zitadel.com/docs/guides/integrate/dynamic-client-registration);
//! which project the roles are of is from its published source (`userinfo.go`).

use std::borrow::Cow;

use super::shape::{Shape, host, segment};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, Introspection};

const SHAPE: Shape = Shape {
    keys: Some("/oauth/v2/keys"),
    marks: &[Cow::Borrowed("jti")],
    ..Shape::PLAIN
};

/// The instance at this domain, for tokens of the project with this id.
///
/// # Errors
/// The domain is not a host alone, in lower case, or the id is none.
pub fn server(domain: &str, project_id: &str) -> Result<AuthorizationServer, ConfigError> {
    let domain = host("zitadel domain", domain)?;
    SHAPE
        .server(format!("https://{domain}"))?
        .audience(segment("zitadel project id", project_id)?)
}

/// The introspection endpoint. Add the credentials of an application of the type API.
///
/// # Errors
/// As for [`server`].
pub fn introspection(domain: &str) -> Result<Introspection, ConfigError> {
    let domain = host("zitadel domain", domain)?;
    Introspection::at(format!("https://{domain}/oauth/v2/introspect"))
}
