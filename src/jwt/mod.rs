//! JWTs checked with keys of your own: an HMAC secret, a public key, or several.
//!
//! For tokens of an authorization server that publishes its keys use
//! [`OAuthLayer`](crate::OAuthLayer).
//!
//! A token is refused unless its signature holds under an algorithm of the list, `exp` is
//! there and not past, `nbf` and `iat` are not ahead of the clock, `iss` and `aud` are what
//! was configured, and nothing marks it as another kind of token (an ID token, say). Sizes,
//! nesting and duplicate members are judged before any signature.
//!
//! # Key rotation
//!
//! Give keys an id (`kid`), and accept the old and the new one until the last token of the old
//! one has expired: [`also_accept`](JwtLayerBuilder::also_accept). Public keys can stand in a
//! file that is read again ([`JwksFile`]), so that nothing is restarted. A token with an id is
//! checked with the key of that id alone. One without is tried with each key that fits its
//! algorithm, four at most. A secret without an id serves the tokens that name none of the
//! other keys.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::jose::Secret;
//! use tower_mcp_auth::{AuthError, JwtLayer, Principal};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let secret = Secret::new("jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE")?;
//! let service = ServiceBuilder::new()
//!     .layer(JwtLayer::builder(secret).audience("https://mcp.example.com").build()?)
//!     .service_fn(async |request: Request<Full<Bytes>>| {
//!         let principal = Principal::from_extensions(request.extensions()).ok_or("no principal")?;
//!         let subject = principal.subject().unwrap_or("no subject").to_owned();
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(subject)))
//!     });
//!
//! # let good_token = jsonwebtoken_example::token();
//! let good = Request::builder()
//!     .header("authorization", format!("Bearer {good_token}"))
//!     .body(Full::default())?;
//! assert_eq!(service.clone().oneshot(good).await?.status(), StatusCode::OK);
//!
//! let forged = Request::builder()
//!     .header("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.")
//!     .body(Full::default())?;
//! let response = service.oneshot(forged).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! let error = response.extensions().get::<AuthError>().ok_or("no error")?;
//! assert_eq!(error.reason(), "algorithm_not_allowed");
//! # Ok(())
//! # }
//! # mod jsonwebtoken_example {
//! #     pub fn token() -> String {
//! #         use jsonwebtoken::{Algorithm, EncodingKey};
//! #         #[cfg(feature = "aws-lc-rs")]
//! #         use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
//! #         #[cfg(not(feature = "aws-lc-rs"))]
//! #         use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
//! #         use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
//! #         let now = tower_mcp_auth::Clock::system().now().as_secs();
//! #         let claims = format!(r#"{{"sub":"alice","aud":"https://mcp.example.com","exp":{}}}"#, now + 60);
//! #         let input = format!("{}.{}", B64.encode(r#"{"alg":"HS256"}"#), B64.encode(claims));
//! #         let key = EncodingKey::from_secret(b"jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE");
//! #         let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::HS256, &key).unwrap();
//! #         format!("{input}.{}", B64.encode(signer.sign(input.as_bytes())))
//! #     }
//! # }
//! ```

mod audience;
mod builder;
mod file;
mod key;
mod keys;
mod layer;
mod provider;

pub use self::builder::JwtLayerBuilder;
pub use self::file::JwksFile;
pub use self::key::JwtKey;
pub use self::layer::JwtLayer;
pub use self::provider::JwtProvider;
