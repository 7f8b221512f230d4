//! SPIFFE JWT-SVIDs: `spiffe::trust_domain(name, bundle_url)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::spiffe};
//!
//! let server = spiffe::trust_domain("example.org", "https://spire.example.org/bundle")?
//!     .require_subject(["spiffe://example.org/agents/*"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::spiffe`](crate::guide::identity_providers::spiffe).
//!
//! # Setup in the trust domain
//! 1. Have its SPIRE server publish the trust bundle (`federation.bundle_endpoint`) with the
//!    profile `https_web`. That of `https_spiffe` needs a certificate that no public authority
//!    knows: see [`jwks_root_certificates_file`] for one that a private authority issued.
//! 2. Have workloads ask for an SVID with the URL of the resource as its audience. Another one,
//!    such as `spiffe://example.org/mcp`, works with
//!    [`audience`](super::super::AuthorizationServer::audience).
//!
//! # Differences from the defaults
//! A JWT-SVID names no issuer: the trust domain of its `sub` is one. So a token without `iss`
//! and with a `sub` that begins with `spiffe://example.org/` is one of this server, and
//! [`Principal::issuer`](crate::Principal::issuer) is `spiffe://example.org`. A token that has an
//! `iss` is one of that issuer: where SPIRE writes one (`jwt_issuer`), use
//! [`trust_domain_with_issuer`].
//!
//! Keys are those of the bundle with the `use` `jwt-svid`, each with a `kid`, which tokens must
//! name; others in it are passed over. How long the bundle is fresh says its
//! `spiffe_refresh_hint`, within the bounds of [`ttl_bounds`]. The header must say `JWT`, `JOSE`
//! or nothing. Every SVID of the trust domain for the audience is accepted, until
//! [`require_subject`](super::super::AuthorizationServer::require_subject) says which. There is
//! no scope, and the trust domain is not in the metadata, because no client can sign in there.
//!
//! Specifications: [JWT-SVID](https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md),
//! [trust domain and bundle](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md).
//! By the former a `kid` may be missing; SPIRE and its libraries insist on one.
//!
//! [`jwks_root_certificates_file`]: super::super::AuthorizationServer::jwks_root_certificates_file
//! [`ttl_bounds`]: super::super::JwksOptions::ttl_bounds

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::jose::{Algorithm, KeyUse};
use crate::oauth::AuthorizationServer;
use crate::oauth::url::UrlPolicy;
use crate::token::spiffe::{is_trust_domain, trust_domain_id};
use crate::util::repeated;

/// JWT-SVID section 2.1, without ES512, which is a setting.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Nothing but SVIDs is signed with the keys that are for them, so that what each has tells them.
const MARKS: [Cow<'static, str>; 1] = [Cow::Borrowed("sub")];

/// The workloads of a trust domain (`example.org`), with its bundle's URL.
///
/// # Errors
/// The name is no trust domain, or the URL is not https.
pub fn trust_domain(name: &str, bundle_url: &str) -> Result<AuthorizationServer, ConfigError> {
    let id = id(name)?;
    let server = AuthorizationServer::named(Arc::clone(&id), UrlPolicy::default());
    refine(server, id, bundle_url)
}

/// The same, where tokens have this `iss`, which they must have then.
///
/// # Errors
/// As for [`trust_domain`], and an issuer that is not https.
pub fn trust_domain_with_issuer(
    name: &str,
    bundle_url: &str,
    issuer: &str,
) -> Result<AuthorizationServer, ConfigError> {
    refine(AuthorizationServer::new(issuer)?, id(name)?, bundle_url)
}

fn refine(
    mut server: AuthorizationServer,
    id: Arc<str>,
    bundle_url: &str,
) -> Result<AuthorizationServer, ConfigError> {
    server.trust_domain = Some(id);
    server.origin.key_use = KeyUse::JwtSvids;
    server.is_advertised = false;
    server.quirks.marks = Cow::Borrowed(&MARKS);
    server
        .jwks_uri(bundle_url)?
        .algorithms(ALGORITHMS)?
        .accepted_typ(["JOSE"])
}

fn id(name: &str) -> Result<Arc<str>, ConfigError> {
    if is_trust_domain(name) {
        return Ok(trust_domain_id(name).into());
    }
    Err(ConfigError::new(
        "spiffe trust domain",
        format!(
            "{} is no name of a trust domain: 1 to 255 of a-z 0-9 . - _, without `spiffe://` and \
             path",
            repeated(name)
        ),
    ))
}
