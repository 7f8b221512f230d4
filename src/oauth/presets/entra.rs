//! Microsoft Entra ID: `entra::v2(…)`, `entra::v1(…)` and `entra::tenants(…)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::entra};
//!
//! let (tenant, app) = ("8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "6e74172b-be56-4843-9ff4-e66a39bb12e3");
//! let server = entra::v2(tenant, app)?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::entra`](crate::guide::identity_providers::entra).
//!
//! # Setup at Entra ID
//! 1. Register an application for the resource, and set `requestedAccessTokenVersion` to 2 in
//!    its manifest (below `api`; `accessTokenAcceptedVersion` in the older format): then its
//!    tokens are of version 2, whatever endpoint a client uses. With 1 or nothing they are of
//!    version 1.
//! 2. Under "Expose an API" set the application id URI to the URL of the resource, and add scopes;
//!    under "App roles" add roles for applications without a user. The host of the URI must be a
//!    verified domain of the tenant, or below one. MCP clients send `resource`:
//!    Entra ID compares it with that URI, and refuses one that does not match the scopes asked
//!    for (AADSTS9010010).
//! 3. Register each client, and give it the scopes. Entra ID has no dynamic registration, and
//!    client id metadata documents as a preview.
//!
//! # Differences from the defaults
//! The audience is the application, never the resource: its id in version 2, its id URI in
//! version 1 (some have the id there as well; add it with `audience` if yours do). Scopes are
//! in `scp`, by their short names, while a client must ask for them with the application id URI in
//! front. Naming them in full here makes challenge and metadata name them so:
//!
//! ```
//! # use tower_mcp_auth::oauth::presets::entra;
//! # let (tenant, app) = ("8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "6e74172b-be56-4843-9ff4-e66a39bb12e3");
//! let server = entra::v2(tenant, app)?
//!     .scopes_from_claim(["scp"], [("mcp.read", "https://mcp.example.com/mcp/mcp.read")])?
//!     .scopes_from_claim(["roles"], [("Mcp.Read.All", "https://mcp.example.com/mcp/mcp.read")])?;
//! # let _ = server;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Applications act without a user by `roles` and no `scp`; such a token is told from an ID
//! token by `azpacr` (version 1: `appidacr`), which says how its client proved who it is. A
//! key that names an `issuer` serves that issuer alone.
//!
//! A user is `oid` within `tid`; `sub` is another one for each application. Where several
//! applications share what they keep of a user, `.subject_claim("oid")` makes the subject
//! `{tid}/{oid}`, which no other tenant can have.
//!
//! An agent identity that acts for a user, or by its own user account, is in
//! [`Principal::actors`](crate::Principal::actors): the client, by `xms_act_fct`, and the
//! blueprint it was made from, by `xms_par_app_azp`. The user stays the subject. An agent identity
//! that acts for itself is the subject, and there is no actor.
//!
//! The issuers are those of the global cloud. National clouds have others: build their server
//! from [`AuthorizationServer::new`]. Applications with keys of their own (claims mapping)
//! need `.jwks_uri("…/discovery/v2.0/keys?appid=…")`.
//!
//! Documentation: [access tokens](https://learn.microsoft.com/entra/identity-platform/access-tokens),
//! [their claims](https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference),
//! [those of agents](https://learn.microsoft.com/entra/agent-id/identity-platform/agent-token-claims),
//! [those of ID tokens](https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference),
//! [id URIs](https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions)
//! and [MCP servers](https://learn.microsoft.com/entra/agent-id/secure-mcp-server-with-entra-id).
//! Which MCP clients sign in against the issuers that [`v1`] and [`tenants`] publish could not
//! be found out.

use std::borrow::Cow;

use super::shape::Shape;
use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::AuthorizationServer;
use crate::oauth::quirks::Tenant;
use crate::util::is_guid;

const V2: Shape = Shape {
    algorithms: &[Algorithm::RS256],
    scope_claim: "scp",
    client_claim: "azp",
    marks: &[Cow::Borrowed("azpacr")],
    ..Shape::PLAIN
};

const V1: Shape = Shape {
    client_claim: "appid",
    marks: &[Cow::Borrowed("appidacr")],
    ..V2
};

/// The most tenants of one server.
const MAX_TENANTS: usize = 1000;

/// Tokens of version 2, of one tenant, for the application with this id. Both are GUIDs: the
/// tenant's domain is in no token.
///
/// # Errors
/// One of them is no GUID in lower case.
pub fn v2(tenant: &str, client_id: &str) -> Result<AuthorizationServer, ConfigError> {
    let tenant = guid("entra tenant", tenant)?;
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    V2.server(issuer)?
        .jwks_uri(keys(tenant))?
        .require_claim("tid", [tenant])?
        .audience(guid("entra client id", client_id)?)
}

/// Tokens of version 1, of one tenant, for the application with this id URI
/// (`api://…`).
///
/// # Errors
/// The tenant is no GUID in lower case, or the id URI is empty.
pub fn v1(tenant: &str, app_id_uri: &str) -> Result<AuthorizationServer, ConfigError> {
    let tenant = guid("entra tenant", tenant)?;
    V1.server(format!("https://sts.windows.net/{tenant}/"))?
        // Not that of version 2: its keys name issuers of version 2.
        .jwks_uri(format!(
            "https://login.microsoftonline.com/{tenant}/discovery/keys"
        ))?
        .require_claim("tid", [tenant])?
        .audience(app_id_uri)
}

/// Tokens of version 2 for an application of several tenants, from these tenants alone.
///
/// Each tenant is an issuer of its own, with its own keys: none can sign for another. They are
/// fetched with the tenant's first token, and not by a readiness probe; `warm_up` fetches those of
/// all at once. A principal's id has the tenant in it. The metadata name `…/organizations/v2.0`, which signs
/// in the users of any tenant, and not the tenants: that list is not for clients.
///
/// # Errors
/// There is no tenant, there are more than 1,000, one is listed twice, or one of the values is
/// no GUID in lower case.
pub fn tenants<I>(tenants: I, client_id: &str) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let refuse = |why: String| Err(ConfigError::new("entra tenants", why));
    let issuer = "https://login.microsoftonline.com/organizations/v2.0";
    let mut server = V2
        .server(issuer.to_owned())?
        .audience(guid("entra client id", client_id)?)?;
    for tenant in tenants {
        let tenant = guid("entra tenants", tenant.as_ref())?;
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        if server.tenants.iter().any(|own| *own.issuer == *issuer) {
            return refuse(format!("{tenant:?} is listed twice"));
        }
        if server.tenants.len() >= MAX_TENANTS {
            return refuse(format!("there are more than {MAX_TENANTS} tenants"));
        }
        server.tenants.push(Tenant {
            issuer: issuer.into(),
            jwks_uri: keys(tenant).into(),
            claim: ("tid", tenant.into()),
        });
    }
    if server.tenants.is_empty() {
        return refuse("there is no tenant, so no token could pass".to_owned());
    }
    Ok(server)
}

fn keys(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys")
}

fn guid<'g>(setting: &'static str, text: &'g str) -> Result<&'g str, ConfigError> {
    if is_guid(text) {
        return Ok(text);
    }
    Err(ConfigError::new(
        setting,
        format!(
            "{text:?} is no GUID in lower case; tokens name tenants and applications by nothing \
             else (`common` and `organizations` are in no token)"
        ),
    ))
}
