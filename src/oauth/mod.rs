//! OAuth 2.1 resource server: access tokens of an authorization server, checked with its
//! published keys.
//!
//! Two strings are enough: [`OAuthLayer::new`]`(resource, issuer)`. The layer
//!
//! - finds the issuer's keys ([RFC 8414] and OpenID Connect discovery) with the first
//!   request, keeps them fresh, and survives an issuer that is down;
//! - accepts a JWT that is signed with one of them, from exactly that issuer, for exactly
//!   that resource, not expired, and an access token and no other kind;
//! - asks the authorization server about opaque tokens, where that is set ([`Introspection`],
//!   [RFC 7662]), and remembers the answer for a moment;
//! - serves its metadata ([RFC 9728]) and names it in every challenge ([RFC 6750]), so that
//!   a client finds its way from a bare 401 to a token;
//! - answers trouble of its own with 503 and `Retry-After`, never with 401: a client would
//!   throw its session away.
//!
//! [`presets`] know the servers of sixteen identity providers and what these do otherwise.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::oauth::AuthorizationServer;
//! use tower_mcp_auth::testing::Issuer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // A development issuer on loopback stands for the authorization server.
//! let issuer = Issuer::start().await?;
//! let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let service = ServiceBuilder::new()
//!     .layer(OAuthLayer::new("https://mcp.example.com/mcp", server)?)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!     });
//! let with_token = |token: String| {
//!     Request::post("/mcp")
//!         .header("authorization", format!("Bearer {token}"))
//!         .body(Full::default())
//! };
//!
//! // A token for this resource is accepted.
//! let token = issuer.token().audience("https://mcp.example.com/mcp").sign();
//! let response = service.clone().oneshot(with_token(token)?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // One for another resource of the same issuer is not.
//! let token = issuer.token().audience("https://files.example.com").sign();
//! let response = service.oneshot(with_token(token)?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(
//!     response.headers()["www-authenticate"],
//!     "Bearer error=\"invalid_token\", \
//!      resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\", \
//!      error_description=\"The access token is not for this resource\"",
//! );
//! # Ok(())
//! # }
//! ```
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
//! [RFC 9728]: https://www.rfc-editor.org/rfc/rfc9728

mod builder;
mod connections;
mod discovery;
mod fetch;
mod http_fetch;
mod introspection;
mod jwks_options;
mod keys;
mod layer;
mod metadata;
pub mod presets;
mod provider;
mod proxy;
mod public_addresses;
mod quirks;
mod resource;
mod server;
mod token_cache;
mod trusted;
mod url;
mod verify;

pub use self::builder::OAuthLayerBuilder;
pub use self::fetch::{Fetch, FetchError, FetchFuture};
pub use self::http_fetch::HttpFetch;
pub use self::introspection::{
    Introspect, IntrospectFuture, Introspection, IntrospectionError, IntrospectionResponse,
};
pub use self::jwks_options::JwksOptions;
pub use self::keys::KeyHealth;
pub use self::layer::OAuthLayer;
pub use self::metadata::{MetadataBody, MetadataService};
pub use self::provider::OAuthProvider;
pub use self::resource::ProtectedResource;
pub use self::server::AuthorizationServer;
pub use self::token_cache::TokenCacheOptions;
pub use crate::token::required::ClaimValue;
