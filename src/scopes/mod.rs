//! Scopes, and how a user signed in: plain OAuth, nothing of MCP.
//!
//! [`RequireScopesLayer`] guards a route, [`Principal::require`](crate::Principal::require) and
//! [`Requirement::require`] a step inside a handler. Both go inside an auth layer and say in their
//! refusals what that layer would say. What each operation of an MCP server needs is told by a
//! policy: [`mcp::McpScopesLayer`](crate::mcp::McpScopesLayer).
//!
//! - Scopes that do not suffice are 403 `insufficient_scope`
//!   ([RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), with all
//!   scopes that are needed in one challenge.
//! - A request that was let through without a credential is 401, with the scopes in the
//!   challenge.
//! - A request that passed no auth layer is a logged 500.
//! - Clients learn of the scopes before they are refused if the auth layer outside
//!   [announces](crate::auth::AuthLayer::announce) them.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::scopes::RequireScopesLayer;
//!
//! async fn handle(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     Ok(Response::new("written".into()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let reader = ApiKey::new("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?.scopes(["mcp:read"])?;
//! let writer = ApiKey::new("YW5vdGhlciBvbmUgZm9yIGl0")?.scopes(["mcp:write"])?;
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([reader, writer])?)
//!     .layer(RequireScopesLayer::new(["mcp:write"])?)
//!     .service_fn(handle);
//!
//! let with_key = |key: &str| Request::builder().header("x-api-key", key).body(Full::default());
//!
//! let response = service.clone().oneshot(with_key("YW5vdGhlciBvbmUgZm9yIGl0")?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let response = service.oneshot(with_key("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?).await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```
//!
//! # Strength of the sign-in
//!
//! A [`Requirement`] can ask how, and how lately, the user signed in
//! ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)), and an auth layer can ask it of all
//! requests ([`required_strength`](crate::AuthLayer::required_strength)). It goes by the claims
//! `acr`, `amr` and `auth_time`, of JWTs and of introspection responses alike
//! ([`Principal::acr`](crate::Principal::acr)).
//!
//! | the caller | is answered |
//! |---|---|
//! | signed in otherwise, or too long ago | 401 `insufficient_user_authentication`, with `acr_values` and `max_age`; `scope` names what the operation needs |
//! | lacks scopes alone | 403 `insufficient_scope` |
//! | is no user: an API key, a token of the client itself | 403 `missing_user` without a challenge |
//! | has no credential | 401 as ever; the sign-in is judged after it |
//!
//! - **Together.** Of the values of `acr` that the auth layer, the base, a method and a tool
//!   accept, those count that all of them accept, and of ages the shortest. Rules that have no
//!   value in common are a [`ConfigError`](crate::ConfigError) where they are built, and 403
//!   `operation_denied` where only a request brings them together: in a batch, or by a check.
//! - **Order.** No value is stronger than another by itself: an [`AcrOrder`] says so, or
//!   `acr_order` of a policy in a configuration, which then has all values that its rules name.
//! - **Users.** A token is a client's own where it has no subject and no username, where the
//!   subject is the `client_id` (with or without Auth0's `@clients`), where `idtyp` is `app` (Entra
//!   ID), `gty` is `client-credentials` (Auth0) or `preferred_username` is `service-account-` and
//!   the client (Keycloak), and where the subject is a SPIFFE id or a service account of
//!   Kubernetes.
//! - **Lists** show users what another sign-in would open.
//! - **Clients.** No MCP client is known to pass `acr_values` or `max_age` on: they start again,
//!   and the authorization server has to ask for the sign-in. `docs/what-clients-do.md` says more.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use serde_json::json;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! # #[cfg(feature = "testing")]
//! use tower_mcp_auth::testing::insert_principal;
//! use tower_mcp_auth::Principal;
//! use tower_mcp_auth::scopes::{RequireScopesLayer, Requirement};
//!
//! async fn pay(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     Ok(Response::new("paid".into()))
//! }
//!
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let needs = Requirement::all(["payments"])?.acr(["mfa", "phr"])?;
//! let service = ServiceBuilder::new().layer(RequireScopesLayer::new(needs)?).service_fn(pay);
//!
//! // As an auth layer would have it, from a token with this claim.
//! let signed_in = |acr: &str| {
//!     let (claims, scopes) = (json!({ "acr": acr }), "payments".parse().unwrap());
//!     let alice = Principal::builder("oauth").subject("alice").scopes(scopes);
//!     let alice = alice.claims(claims.as_object().unwrap()).build();
//!     let mut request = Request::new(Full::default());
//!     insert_principal(request.extensions_mut(), alice);
//!     request
//! };
//! let response = service.clone().oneshot(signed_in("phr")).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let response = service.oneshot(signed_in("pwd")).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(
//!     response.headers()["www-authenticate"],
//!     "Bearer error=\"insufficient_user_authentication\", scope=\"payments\", \
//!      acr_values=\"mfa phr\", error_description=\"A stronger or more recent sign-in is needed\""
//! );
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```

mod handler;
mod include_granted;
mod judge;
mod layer;
mod service;

pub use self::handler::UnmetRequirement;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use self::handler::{RequiredScopes, ScopedPrincipal};
pub use self::include_granted::IncludeGranted;
pub(crate) use self::include_granted::{PROTOCOL_VERSION, is_recent};
pub(crate) use self::judge::{judge, refused};
pub use self::layer::RequireScopesLayer;
pub use self::service::{RequireScopes, ResponseFuture};

pub use crate::requirement::{AcrOrder, AskedScopes, Requirement, ScopeHierarchy, Strength};
pub use crate::scope::{ScopeError, Scopes};
