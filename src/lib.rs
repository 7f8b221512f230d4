//! Authentication and authorization for [MCP] servers, as [Tower] layers.
//!
//! The crate is the *resource server* side: it checks what a client presents and never
//! issues a token. Its layers go around any HTTP service: an axum router, a hyper server,
//! a tonic server, rmcp's `StreamableHttpService`.
//!
//! | the client presents | layer |
//! |---|---|
//! | an API key, `X-API-Key: …` | [`ApiKeyLayer`] |
//! | a JWT signed with a key you hold | [`JwtLayer`] |
//! | an access token of an authorization server | [`OAuthLayer`] |
//! | a credential of your own kind | [`AuthLayer`] around your [`provider::Authenticate`] |
//!
//! [`or`](AuthLayer::or) makes one of several, and [`optional`](AuthLayer::optional) lets pass
//! who presents nothing.
//!
//! Inside one of them go the layers that ask what a principal may do:
//!
//! | what needs scopes | layer |
//! |---|---|
//! | a route | [`scopes::RequireScopesLayer`] |
//! | each operation of an MCP server | [`mcp::McpScopesLayer`] |
//! | what its lists show | [`mcp::McpListsLayer`] |
//!
//! For MCP there is more to hold together: sessions belong to their principal
//! ([`mcp::SessionBindingLayer`]), streams end with their token
//! ([`auth`](auth#stream-termination)), state that clients keep is sealed
//! ([`mcp::PrincipalSealer`]), foreign hosts and pages are kept out ([`mcp::OriginLayer`]); and
//! [`mcp::McpStack`] puts the layers in order.
//!
//! A credential that is taken back stops working at once, and so do the streams that it opened
//! ([`revocation`]).
//!
//! While the server runs, any of these, or all of them together, can be swapped for new ones
//! without dropping a request ([`reload`]).
//!
//! Every auth layer refuses credentials in query strings, ambiguous and malformed ones, answers
//! in the form the client understands (RFC 6750 challenges, JSON, gRPC statuses), takes the
//! credential out of the request, and puts a [`Principal`] into its extensions.
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_mcp_auth::{OAuthLayer, Principal};
//!
//! // Who we are, and whom we trust.
//! let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
//! let app: Router = Router::new().route("/mcp", post(handler)).layer(oauth);
//!
//! async fn handler(principal: Principal) -> String {
//!     format!("hello {}", principal.id())
//! }
//! # let _ = app;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! What they decide is told in events, metrics and hooks ([`telemetry`]). An address that fails too
//! often is refused for a while ([`failed_attempts`]). Behind a proxy, [`peer`] says which address
//! the client has.
//!
//! Where to go next: the [`guide`] has a five-minute server, a chapter for clients that do not get in,
//! and all about running a server. [`oauth`], [`jwt`] and [`api_key`] each open with an example that shows
//! an accept and a refusal, and so do [`scopes`] and [`mcp`]; [`auth`] says what happens to a
//! request, step by step.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `oauth` | [`OAuthLayer`], and `jwt` | yes |
//! | `jwt` | [`JwtLayer`] and [`jose`] | by `oauth` |
//! | `aws-lc-rs` | signatures checked by aws-lc; wins where both backends are on | yes |
//! | `rust-crypto` | signatures checked by RustCrypto (RSA up to 4096 bits); with `jwt` alone a build without C. The connections of `oauth` use rustls with aws-lc either way | no |
//! | `axum` | [`Principal`] and [`Claims`] as extractors | yes |
//! | `api-key-store` | API keys from a file or a store | yes |
//! | `cors` | a CORS layer that fits browser clients of MCP | no |
//! | `testing` | [`testing`]: a development issuer on loopback, hostile requests | no |
//! | `doctor` | the program `mcp-auth-doctor` and its module ([`doctor`]), and `config` and `toml` | no |
//! | `toml` | configurations and key files in TOML, and `api-key-store` | no |
//! | `config` | layers from a configuration of any serde format | no |
//! | `schema` | the JSON Schema of that configuration, and `config` | no |
//! | `redis` | Redis or Valkey as the store that replicas share ([`redis`]); its connections use rustls with aws-lc | no |
//! | `metrics` | [`telemetry`] speaks to a recorder of the `metrics` facade: Prometheus, say | no |
//!
//! API keys that the program holds, scopes and the layers for MCP need no feature. `jwt` and
//! `oauth` need one of the two backends.
//!
//! # Types of other crates
//!
//! The interface names types of `http`, `http-body`, `bytes`, `serde`, `serde_json`, `tower-layer` and
//! `tower-service`; with the feature `axum`, traits of `axum-core`; with `cors`, `CorsLayer` and
//! `AllowOrigin` of `tower-http`. All other dependencies are private.
//!
//! [MCP]: https://modelcontextprotocol.io
//! [Tower]: https://docs.rs/tower

#![cfg_attr(docsrs, feature(doc_cfg))]
// The docs are written for all features. With fewer, some of what they link to is not there.
#![cfg_attr(
    not(all(
        feature = "api-key-store",
        feature = "axum",
        feature = "config",
        feature = "cors",
        feature = "doctor",
        feature = "metrics",
        feature = "oauth",
        feature = "redis",
        feature = "schema",
        feature = "testing",
        feature = "toml",
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(all(
    feature = "jwt",
    not(any(feature = "aws-lc-rs", feature = "rust-crypto"))
))]
compile_error!(
    "the features `jwt` and `oauth` need a backend for signatures: turn on `aws-lc-rs` or `rust-crypto`"
);

pub mod api_key;
pub mod auth;
mod authority;
mod clock;
#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub mod config;
#[cfg(feature = "cors")]
#[cfg_attr(docsrs, doc(cfg(feature = "cors")))]
pub mod cors;
mod credential;
mod crypto;
#[cfg(feature = "doctor")]
#[cfg_attr(docsrs, doc(cfg(feature = "doctor")))]
pub mod doctor;
mod error;
pub mod failed_attempts;
// `cargo fuzz` sets it; see `fuzz/README.md`.
#[cfg(all(fuzzing, feature = "jwt"))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
// Pages: there is nothing in it to compile, and their code needs all features.
#[cfg(any(
    all(doc, not(doctest)),
    all(
        doctest,
        feature = "axum",
        feature = "config",
        feature = "cors",
        feature = "redis",
        feature = "testing",
        feature = "toml",
    )
))]
// It is for readers, who need no feature for it.
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guide;
#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub mod jose;
mod json;
#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub mod jwt;
pub mod mcp;
#[cfg(feature = "oauth")]
#[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
pub mod oauth;
pub mod peer;
mod principal;
pub mod provider;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod redis;
mod refusal;
pub mod reload;
mod requirement;
mod resource;
mod resources;
pub mod revocation;
mod scope;
pub mod scopes;
mod secret;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
#[cfg(feature = "jwt")]
mod token;
mod util;

pub use self::api_key::ApiKeyLayer;
pub use self::auth::AuthLayer;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use self::auth::Claims;
pub use self::clock::Clock;
pub use self::credential::{Credential, Location, RequestHead};
pub use self::error::{AuthError, AuthErrorKind, ConfigError, Reason};
#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub use self::jwt::JwtLayer;
#[cfg(feature = "oauth")]
#[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
pub use self::oauth::OAuthLayer;
pub use self::principal::{Actor, ActorBuilder, Principal, PrincipalBuilder, PrincipalId};
pub use self::refusal::{Challenge, Reported};
pub use self::resource::Resource;
pub use self::resources::{Hosts, ResourceSet, Tenant, Tenants};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
