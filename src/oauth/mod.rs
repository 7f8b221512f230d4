//! OAuth 2.1 resource server: access tokens, checked with their issuer's published keys.
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
//! [`presets`] know the servers of sixteen identity providers and what these do otherwise, and six
//! issuers of workloads and edges: GitHub Actions, GitLab CI, Kubernetes, SPIFFE, Cloudflare Access
//! and Firebase.
//!
//! # Advertised metadata
//!
//! Clients are told where to get a token by the metadata of the resource. By default all of it follows
//! from two strings; these settings part what belongs together elsewhere:
//!
//! | setting | for |
//! |---|---|
//! | [`AuthorizationServer::advertised_as`] | a proxy that registers clients in front of the issuer, user flows of Azure AD B2C |
//! | [`AuthorizationServer::token_issuer`] | AD FS: its tokens have an `iss` that nothing answers at |
//! | [`ProtectedResource::advertised_metadata_url`] | gateways that own the root of their host |
//! | [`ProtectedResource::metadata_at_root`] | clients that look at the root form alone |
//! | [`OAuthLayerBuilder::copy_server_metadata`] | clients of MCP 2025-03-26 |
//! | [`OAuthLayerBuilder::header_name`] | tokens that a proxy at the edge brings: nothing is advertised |
//!
//! # Time limits
//!
//! What asks an authorization server is bounded by its own time limit, and each request of it by the
//! client's as well: the smaller one wins.
//!
//! | what | its time limit | default | what is in it |
//! |---|---|---|---|
//! | a connection | [`HttpFetch::connect_timeout`] | 2 s | a part of the request |
//! | a request | [`HttpFetch::timeout`] | 5 s | the body included; that of another [`Fetch`] is [its own](Fetch::timeouts) |
//! | a fetch of keys | [`JwksOptions::fetch_timeout`] | 5 s | every place of discovery, each with half of what is left, and the key set; a copy of metadata as well |
//! | a question about a token | [`Introspection::timeout`] | 5 s | finding the endpoint, with half of it, and the call |
//! | its turn | [`Introspection::queue_timeout`] | 2 s | comes before the question |
//!
//! One that was set larger than the one it meets is a warning at start, which names both; a smaller
//! one is not.
//!
//! How long an answer is good is set apart: [`JwksOptions::default_ttl`] where a server says nothing,
//! within the [`ttl_bounds`](JwksOptions::ttl_bounds) of what it may say;
//! [`JwksOptions::rediscovery`] for what discovery found; [`Introspection::positive_ttl`] and
//! [`negative_ttl`](Introspection::negative_ttl).
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
//! # Several resources
//!
//! One layer can serve several resources: a [list](OAuthLayerBuilder::resource) of them, or a
//! [template](ProtectedResource::from_template) with a place for a tenant: its name is a label of
//! the host or a segment of the path. Each has a metadata document, challenges and an audience of its
//! own, and, where that is set, [authorization servers](ProtectedResource::authorization_servers)
//! and [scopes](ProtectedResource::required_scopes).
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
//! use tower_mcp_auth::testing::Issuer;
//! use tower_mcp_auth::{OAuthLayer, Principal, Tenants};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let issuer = Issuer::start().await?;
//! # let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let tenants = Tenants::new(["acme", "globex"])?;
//! let template = ProtectedResource::from_template("https://mcp.example.com/{tenant}/mcp", tenants)?;
//! let layer = OAuthLayer::builder(template)?
//!     .authorization_server(server)?
//!     .build()?;
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service_fn(async |request: Request<Full<Bytes>>| {
//!         let principal = Principal::from_extensions(request.extensions()).unwrap();
//!         assert_eq!(principal.resource().unwrap().url(), "https://mcp.example.com/acme/mcp");
//!         Ok::<_, BoxError>(http::Response::new(Full::<Bytes>::default()))
//!     });
//!
//! let token = issuer.token().audience("https://mcp.example.com/acme/mcp").sign();
//! for (path, status) in [
//!     ("/acme/mcp", StatusCode::OK),
//!     ("/globex/mcp", StatusCode::UNAUTHORIZED),
//!     ("/hooli/mcp", StatusCode::NOT_FOUND),
//! ] {
//!     let request = Request::post(path)
//!         .header("host", "mcp.example.com")
//!         .header("authorization", format!("Bearer {token}"))
//!         .body(Full::default())?;
//!     assert_eq!(service.clone().oneshot(request).await?.status(), status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - **Host.** It compares in lower case, without the default port. A host that is none of the
//!   resources is 421 `unknown_host`. Two `Host` headers, a trailing dot, a user name, or a `Host`
//!   that differs from the target of the request are 400. Behind a proxy that does not pass `Host`
//!   on, see [`trusted_proxies`](OAuthLayerBuilder::trusted_proxies).
//! - **Path.** It compares byte by byte, on whole segments, and of several the longest one counts. A
//!   path that is none of the resources is 404 `unknown_resource`, and so is one with `..`, `//`,
//!   `;`, or an encoded dot, slash or backslash. Where one resource is below another one, so is a
//!   path with something encoded in the place of its name: `/%61dmin` is not a path of the wider
//!   one, because the service behind may read `/admin`. The layer must see the whole path: it
//!   belongs outside of `nest`.
//! - **Audience.** Two resources never accept a common one, or the layer is not built. A server with
//!   an [audience of its own](AuthorizationServer::audience), or with tokens that need none, is
//!   trusted for one resource at most. A token that is cached is judged for the resource of each
//!   request.
//! - **Beside other providers.** What [`or`](OAuthLayer::or) adds must judge the resource too:
//!   API keys [name theirs](crate::api_key::ApiKey::resources).
//! - **Limits.** Keys, introspection and their limits are those of a server, which all resources that
//!   trust it share: a flood of unknown opaque tokens at one tenant delays new ones at the others.
//!
//! A request to no resource never reaches the inner service, unless its path is
//! [public](OAuthLayer::public_path). [`Principal::resource`](crate::Principal::resource) says which
//! one a token was accepted for. `cargo run --example tenants` is a server of rmcp for two tenants.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
//! [RFC 9728]: https://www.rfc-editor.org/rfc/rfc9728

mod advertised;
mod apart;
pub mod binding;
mod bound;
mod builder;
mod configured;
mod connections;
mod discovery;
mod edge;
#[cfg(feature = "doctor")]
mod expected;
mod fetch;
mod http_fetch;
mod introspection;
mod issuer_template;
mod jwks_options;
mod key_set_access;
mod keys;
mod layer;
pub mod logout;
mod makers;
mod metadata;
mod metadata_members;
mod metadata_places;
mod presented;
pub mod presets;
mod provider;
mod proxy;
mod public_addresses;
mod quirks;
mod resource;
mod served;
mod server;
mod server_metadata;
mod timeouts;
mod token_cache;
mod trusted;
mod url;
mod verify;

pub use self::builder::OAuthLayerBuilder;
#[cfg(feature = "doctor")]
pub(crate) use self::expected::{Expected, ExpectedServer};
pub use self::fetch::{Fetch, FetchError, FetchFuture, FetchTimeouts};
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
pub use self::server_metadata::ServerMetadataService;
pub use self::token_cache::TokenCacheOptions;
pub use crate::token::required::ClaimValue;

#[cfg(feature = "doctor")]
pub(crate) use self::discovery::metadata_urls;
#[cfg(feature = "doctor")]
pub(crate) use self::public_addresses::{is_public, may_be_public, public_addresses};
#[cfg(feature = "doctor")]
pub(crate) use self::url::{Written, is_loopback, parse as parse_url};
