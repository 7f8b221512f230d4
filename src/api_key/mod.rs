//! API keys: a layer that knows its clients by a key in a header.
//!
//! Keys come from the program ([`ApiKeyLayer::new`]), a file that is read again when it
//! changes ([`KeyFile`]), or a store that is asked ([`CachedApiKeyStore`]); the last two with the
//! feature `api-key-store`. Only digests are kept. A presented key is hashed, looked up, and
//! the digest found compared in constant time (an unknown key with a dummy): what timing
//! tells about a digest tells nothing usable about a key.
//!
//! A key has an owner, a name, scopes, a beginning and an end, and can be revoked: see
//! [`ApiKey`]. Whatever is wrong with one, the client gets the same answer after the same
//! work. The operator sees in traces, and in the [`AuthError`](crate::AuthError), which it was:
//!
//! | reason | the key |
//! |---|---|
//! | `unknown_api_key` | is not known |
//! | `mistyped_api_key` | has the format below and a wrong checksum; no store is asked |
//! | `expired_api_key` | was good |
//! | `not_yet_valid_api_key` | will be good |
//! | `revoked_api_key` | is revoked |
//! | `api_key_resource_mismatch` | is for other [resources](#resources) |
//! | `api_key_without_resources` | names no resource, and the layer has several |
//!
//! `api_key_store_failed` and `api_key_store_limited` are our own trouble, and 503.
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
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // `acme_…`, to be given to its holder; what is kept is its digest.
//! let new = ApiKey::generate("acme")?;
//! let key = new.to_api_key().owner("alice").scopes(["mcp:read"])?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([key])?)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!     });
//!
//! let good = Request::builder()
//!     .header("X-API-Key", new.expose())
//!     .body(Full::default())?;
//! assert_eq!(service.clone().oneshot(good).await?.status(), StatusCode::OK);
//!
//! let bad = Request::builder()
//!     .header("X-API-Key", "c29tZXRoaW5nLWVsc2UtZW50aXJlbHk")
//!     .body(Full::default())?;
//! let response = service.oneshot(bad).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(
//!     response.headers()["www-authenticate"],
//!     r#"ApiKey realm="MCP Server", header="X-API-Key""#,
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # Key format
//!
//! [`ApiKey::generate`] makes keys like
//! `acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr`:
//!
//! | part | |
//! |---|---|
//! | prefix | 2 to 32 of `a-z 0-9`, a letter first, single underscores between words |
//! | `_` id | 12 characters of `0-9 A-Z a-z`, random and no secret: the name of the key in logs |
//! | `_` secret | 32 characters of `0-9 A-Z a-z`, random: 190 bits |
//! | checksum | 6 characters: the CRC-32 (of zlib) of all before it, in base 62 with the digits `0-9 A-Z a-z`, the most significant first, padded with `0` |
//!
//! A secret scanner finds them by this expression, and is right where the checksum fits
//! ([`ParsedKey::parse`]), but for one text in four billion:
//!
//! ```text
//! \b[a-z][a-z0-9]*(?:_[a-z0-9]+)*_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\b
//! ```
//!
//! The checksum is no protection: it needs no secret. It tells a typo from a key that was
//! never there, and spares the store.
//!
//! # Imported keys
//!
//! A key of another make is welcome, if it is random. In memory its digest is a plain one; in
//! a file or a store it is an HMAC with a [`Pepper`] that is kept outside of it, because
//! it is not known how well the key was made: see [`KeyDigest`].
//!
//! # Resources
//!
//! A key can [name the resources](ApiKey::resources) it is for, by their URLs, and is good at no
//! other:
//!
//! | the layer | a key that names resources | a key that names none |
//! |---|---|---|
//! | has one: [`resource`](ApiKeyLayer::resource), or that of the [`OAuthLayer`](crate::OAuthLayer) it stands beside | is good if that is one of them | is good |
//! | has several: [`resources`](ApiKeyLayer::resources), or those of the layer it stands beside | is good if the one of the request is one of them | is refused, unless [`dangerously_all_resources`](ApiKeyLayer::dangerously_all_resources) was said |
//! | knows none | is refused | is good |
//!
//! Where a layer has several, a key of the program that names none is a
//! [`ConfigError`](crate::ConfigError). So is one of a file, as it is when the layer is
//! built; those it has later, and those of a store, are judged when they come. What
//! is remembered of a key is judged by the resource of each request.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::{ApiKeyLayer, AuthError, ResourceSet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let new = ApiKey::generate("acme")?;
//! let key = new.to_api_key().resources(["https://a.example.com/mcp"])?;
//! let resources = ResourceSet::new()
//!     .resource("https://a.example.com/mcp")?
//!     .resource("https://b.example.com/mcp")?;
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([key])?.resources(resources)?)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!     });
//!
//! for (host, status) in [
//!     ("a.example.com", StatusCode::OK),
//!     ("b.example.com", StatusCode::UNAUTHORIZED),
//!     ("c.example.com", StatusCode::MISDIRECTED_REQUEST),
//! ] {
//!     let request = Request::post("/mcp")
//!         .header("host", host)
//!         .header("x-api-key", new.expose())
//!         .body(Full::default())?;
//!     let response = service.clone().oneshot(request).await?;
//!     assert_eq!(response.status(), status);
//!     if status == StatusCode::UNAUTHORIZED {
//!         let error = response.extensions().get::<AuthError>().ok_or("no error")?;
//!         assert_eq!(error.reason(), "api_key_resource_mismatch");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Key rotation
//!
//! Give the owner a second key, change the clients, see by [`ApiKeyLayer::on_use`] that the
//! first is not used any more, and revoke it. All keys of an owner are one
//! [`Principal`](crate::Principal).
//!
//! A key that is accepted within 14 days of its end is
//! [warned of](ApiKeyLayer::expiry_warning), once a day, wherever it comes from.

mod demand;
mod digest;
mod entry;
mod expiry;
#[cfg(feature = "api-key-store")]
mod file;
mod format;
mod key;
mod layer;
mod memory;
mod protects;
mod provider;
mod resources;
mod set;
#[cfg(feature = "api-key-store")]
mod store;
mod used;

pub use self::digest::{KeyDigest, Pepper};
#[cfg(feature = "api-key-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
pub use self::file::KeyFile;
#[cfg(all(feature = "api-key-store", feature = "redis"))]
pub(crate) use self::file::{read_one, write_one};
pub use self::format::{KeyFormatError, ParsedKey};
pub use self::key::{ApiKey, GeneratedKey};
pub use self::layer::ApiKeyLayer;
pub use self::provider::{ApiKeyProvider, ApiKeyScheme};
#[cfg(feature = "api-key-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "api-key-store")))]
pub use self::store::{ApiKeyStore, ApiKeyStoreError, CachedApiKeyStore, KeyLookup, LookupFuture};
pub use self::used::ApiKeyUse;
