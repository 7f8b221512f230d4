//! For development and tests: an authorization server, principals, and hostile requests.
//!
//! The server listens on a loopback port, and principals need no layer.
//!
//! [`Issuer`] is a real OAuth 2.1 authorization server, as small as it can be: metadata
//! ([RFC 8414] and OpenID Connect Discovery), a key set, a token endpoint
//! (`authorization_code` with PKCE, `refresh_token`, `client_credentials`), dynamic client
//! registration ([RFC 7591]), resource indicators ([RFC 8707]), introspection ([RFC 7662]).
//! An ordinary MCP client finds its way with it. It makes keys when it starts, and it needs
//! no network beyond loopback.
//!
//! **It is not for production.** It approves every authorization request as the user
//! `alice`, without asking; a client that was not registered is a public client. Every process
//! that reaches its port can get a token. So it listens on loopback addresses only, answers web pages
//! of loopback origins only (others get 403, `null` among them), keeps everything in memory,
//! and forgets the oldest of what it keeps.
//!
//! # Tokens
//!
//! ```
//! use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::start().await?;
//! let token = issuer
//!     .token()
//!     .audience("https://mcp.example.com/mcp")
//!     .scope("mcp:read")
//!     .sign();
//! assert_eq!(token.split('.').count(), 3);
//!
//! // Tokens that a server must refuse.
//! let expired = issuer.token().audience("https://mcp.example.com/mcp").expired().sign();
//! let forged = issuer.token().with_wrong_key().sign();
//! assert_ne!(expired, forged);
//!
//! // Keys are rotated and withdrawn.
//! issuer.rotate();
//! issuer.withdraw_old_keys();
//!
//! // Endpoints fail on demand.
//! issuer.set_behaviour(Endpoint::Jwks, Behaviour::Status(503).times(2));
//! let jwks = reqwest::get(issuer.endpoint(Endpoint::Jwks)).await?;
//! assert_eq!(jwks.status(), 503);
//! assert_eq!(issuer.requests(Endpoint::Jwks), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Opaque tokens
//!
//! [`TokenBuilder::opaque`] makes a token that only the issuer can read. The introspection endpoint
//! answers for it, and for signed tokens as well, and takes any [`IntrospectionAuth`].
//!
//! ```
//! use tower_mcp_auth::testing::{Endpoint, Issuer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use tower_mcp_auth::jose::Algorithm;
//! # let builder = Issuer::builder().algorithms([Algorithm::ES256]);
//! let issuer = builder.client("mcp-server", "its secret").start().await?;
//! let token = issuer.token().audience("https://mcp.example.com/mcp").opaque();
//! let ask = async || -> Result<serde_json::Value, Box<dyn std::error::Error>> {
//!     let request = reqwest::Client::new()
//!         .post(issuer.endpoint(Endpoint::Introspect))
//!         .basic_auth("mcp-server", Some("its+secret"))
//!         .header("content-type", "application/x-www-form-urlencoded")
//!         .body(format!("token={token}"));
//!     Ok(serde_json::from_slice(&request.send().await?.bytes().await?)?)
//! };
//! assert_eq!(ask().await?["sub"], "alice");
//!
//! issuer.revoke(&token);
//! assert_eq!(ask().await?, serde_json::json!({"active": false}));
//!
//! // What was asked, secrets included.
//! let asked = issuer.last_request(Endpoint::Introspect).expect("a request");
//! assert_eq!(asked.parameter("token"), Some(&*token));
//! # Ok(())
//! # }
//! ```
//!
//! # Unit tests of handlers
//!
//! [`authenticated`] puts a principal into a request as a layer would, and [`anonymous`] the mark
//! of a request that a layer let through without one. [`Principal::builder`] makes any principal.
//! [`insert_principal`] and [`insert_anonymous`] do the same to the extensions alone.
//!
//! # Clock
//!
//! [`fixed_clock`] shows the same time in every run, and moves when the test moves it.
//!
//! # Attacks
//!
//! [`hostile`] sends a service every attack that this crate knows, and says which got through.
//!
//! [`Principal::builder`]: crate::Principal::builder
//!
//! [RFC 7591]: https://www.rfc-editor.org/rfc/rfc7591
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
//! [RFC 8707]: https://www.rfc-editor.org/rfc/rfc8707

mod behaviour;
mod body;
mod builder;
mod dpop;
mod endpoint;
mod endpoints;
pub mod hostile;
mod introspection;
mod issuer;
mod keys;
mod origin;
mod principal;
mod request;
mod server;
mod shared;
mod store;
mod token;

pub use self::behaviour::Behaviour;
pub use self::builder::IssuerBuilder;
pub use self::dpop::{DpopKey, DpopProofBuilder};
pub use self::endpoint::Endpoint;
pub use self::introspection::IntrospectionAuth;
pub use self::issuer::Issuer;
pub use self::principal::{
    anonymous, authenticated, fixed_clock, insert_anonymous, insert_principal,
};
pub use self::request::RecordedRequest;
pub use self::token::TokenBuilder;
