//! API keys: a layer that knows its clients by a key in a header.
//!
//! Only SHA-256 digests of the keys are kept. A presented key is hashed, looked up, and
//! the digest found compared in constant time (an unknown key with a dummy): what timing
//! tells about a digest tells nothing usable about a key.
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
//! let keys = [ApiKey::new("ZXhhbXBsZS1rZXktMTI5ODM0NzY")?
//!     .name("ci")
//!     .scopes(["mcp:read"])?];
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new(keys)?)
//!     .service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//!     });
//!
//! let good = Request::builder()
//!     .header("X-API-Key", "ZXhhbXBsZS1rZXktMTI5ODM0NzY")
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

mod key;
mod layer;
mod provider;

pub use self::key::ApiKey;
pub use self::layer::ApiKeyLayer;
pub use self::provider::ApiKeys;
