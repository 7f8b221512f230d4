//! Settings for identity providers: Auth0, Entra ID, Keycloak, Okta and others.
//!
//! A preset is an [`AuthorizationServer`](super::AuthorizationServer) with the settings of
//! one provider: the form of its issuer, where its keys are, which claims name scopes and
//! client, what marks its access tokens. Each page says what to set at the provider. All
//! settings can still be refined, and nothing a preset sets weakens the checks of issuer and
//! audience.
//!
//! | Provider | Audience | Opaque tokens |
//! | --- | --- | --- |
//! | [`auth0`] | the resource | not accepted |
//! | [`authentik`] | a client id | [`authentik::introspection`] |
//! | [`clerk`] | the resource, or client ids | [`clerk::introspection`] |
//! | [`cognito`] | the resource, or client ids | there are none |
//! | [`descope`] | the resource | there are none |
//! | [`entra`] | the application's id (v2) or URI (v1) | there are none |
//! | [`google`] | client ids | all of them: asked at the token-info endpoint |
//! | [`hydra`] | the resource | [`hydra::introspection`] |
//! | [`keycloak`] | the resource, or client ids | [`keycloak::introspection`] |
//! | [`logto`] | the resource | [`logto::introspection`] |
//! | [`okta`] | the resource | [`okta::introspection`] |
//! | [`ping_one`] | the resource | [`ping_one::introspection`] |
//! | [`stytch`] | a custom audience, or client ids | there are none |
//! | [`supabase`] | a hook's audience, or client ids | there are none |
//! | [`workos`] | the resource | [`workos::introspection`] |
//! | [`zitadel`] | the project's id | [`zitadel::introspection`] |
//!
//! # Workloads and shared issuers
//!
//! Jobs, pods and services have tokens as well, and so have the users of services that put theirs
//! in front of this one. No client signs in at these issuers, so that they are not in the
//! metadata. Where all users of a platform have tokens of one issuer, its preset asks which of them
//! are accepted:
//!
//! | Issuer | Tokens of | Audience |
//! | --- | --- | --- |
//! | [`cloudflare_access`] | an application | its AUD tag |
//! | [`firebase`] | a project | the project's id |
//! | [`github_actions`] | owners, or repositories | the resource |
//! | [`gitlab_ci`] | namespaces, or projects | the resource |
//! | [`kubernetes`] | service accounts | the resource |
//! | [`spiffe`] | a trust domain | the resource |
//!
//! For others there are
//! [`dangerously_any_token_for_audience`](super::AuthorizationServer::dangerously_any_token_for_audience),
//! [`require_claim`](super::AuthorizationServer::require_claim) and
//! [`require_subject`](super::AuthorizationServer::require_subject).
//!
//! # Audiences
//!
//! Where a provider gives its tokens no audience, [`NeedsAudience`] stands between, and
//! asks which tokens are accepted:
//!
//! ```
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::oauth::presets::{auth0, cognito};
//!
//! let auth0 = auth0::server("acme.eu.auth0.com")?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", auth0)?;
//!
//! let cognito = cognito::server("eu-central-1", "eu-central-1_AbCdEfGhI")?
//!     .client_ids(["5bk1ouhgsqlvc7l0tqmnab9p3e"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", cognito)?;
//! # let _ = layer;
//!
//! // What cannot be checked is refused before the server starts.
//! assert!(cognito::server("eu-central-1", "").is_err());
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! The facts are those of the documentation each page names, read in November 2026. They were
//! not tried against the providers themselves: an account is needed for that. What the
//! documentation does not say, the page says so. How to see that one works, and the usual first
//! refusals of each, are on a page each: [`guide::identity_providers`](crate::guide::identity_providers).

pub mod auth0;
pub mod authentik;
pub mod clerk;
pub mod cloudflare_access;
pub mod cognito;
pub mod descope;
pub mod entra;
pub mod firebase;
pub mod github_actions;
pub mod gitlab_ci;
pub mod google;
pub mod hydra;
pub mod keycloak;
pub mod kubernetes;
pub mod logto;
mod needs_audience;
pub mod okta;
pub mod ping_one;
mod shape;
pub mod spiffe;
pub mod stytch;
pub mod supabase;
pub mod workos;
pub mod zitadel;

pub use self::needs_audience::NeedsAudience;
