//! Layers from a configuration: one schema, for any format serde reads.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mcp_auth::config::Config;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let config = Config::from_json(r#"{
//!     "api_keys": {
//!         "keys": [{ "key": "b25lLXJhbmRvbS1rZXktMTIzNA", "owner": "build server" }]
//!     },
//!     "auth": { "public_paths": ["/health"], "stream_grace": "5m" }
//! }"#)?;
//! let inner = service_fn(|_: Request<String>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! });
//! let service = config.auth_layer()?.layer(inner);
//!
//! let good = Request::builder()
//!     .uri("/mcp")
//!     .header("x-api-key", "b25lLXJhbmRvbS1rZXktMTIzNA")
//!     .body(String::new())?;
//! assert_eq!(service.clone().oneshot(good).await?.status(), StatusCode::OK);
//!
//! let anonymous = Request::builder().uri("/mcp").body(String::new())?;
//! assert_eq!(service.oneshot(anonymous).await?.status(), StatusCode::UNAUTHORIZED);
//!
//! // What is wrong is told with its place.
//! let error = Config::from_json(r#"{ "auth": { "stream_grace": "5 apples" } }"#).unwrap_err();
//! assert_eq!(error.path(), "auth.stream_grace");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is left out has the default of the builders, and an unknown setting is an error.
//! `docs/config.toml` in the package shows every setting; the JSON Schema, made by
//! `json_schema` with the feature `schema`, is `docs/config.schema.json`.
//!
//! # Value syntax
//!
//! | what | how |
//! |---|---|
//! | durations | `"30s"`, `"1h 30m"`; a number is whole seconds |
//! | sizes | `"4 MiB"`, `"64 kB"` (1,000 bytes each); a number is bytes |
//! | times | `"2027-01-01T00:00:00Z"`; a number is seconds since 1970 |
//! | lists of texts | a list, or one text with white space between its elements |
//! | flags and numbers | as the format has them, or in a text |
//! | authorization servers, API keys, older keys, scopes of claims | a list, or a map by name, because environment sources build no lists |
//! | secrets | the text itself, `{ env = "NAME" }` or `{ file = "path" }` |
//!
//! An empty text is no list; `[]` is. Where a policy names scopes, an empty text is an error as
//! well: `{ authenticated = true }` or `[]` is a caller without scopes, and `{ none = true }` is
//! open to anonymous callers. A comma separates neither scopes nor other texts: in a list that is
//! one text, an element that begins or ends with one is an error. `null` is no value: what is left
//! out is left out. Months are `months`, because `M` is too near to `m`. A relative path starts
//! where the process was started. A section of a feature that is off is unknown, and the error
//! names the feature.
//!
//! A secret is a text, never a number: one of digits alone needs its quotes. Of a file one line
//! end is dropped. Neither may then be empty, and a variable must be set. Secrets are read when
//! layers are made.
//!
//! # Several providers
//!
//! Authorization servers, `jwt` and `api_keys` may stand together: each request goes to one of
//! them by the form of its credential, as [`AuthLayer::or`](crate::AuthLayer::or) says.
//!
//! # Several replicas
//!
//! What replicas have in common is in the engine of `shared`, a Redis or Valkey, with the feature
//! `redis`: claims of sessions, revocations (`revocation.secret`), budgets (`quotas.secret`) and API
//! keys (`api_keys.shared`).
//! [`connect`](Config::connect) comes before layers are made then, and a
//! [reload](crate::reload) is `async { Config::from_toml(&text)?.connect().await?.stack() }`; it
//! goes on with the connection that is there.
//!
//! ```no_run
//! # #[cfg(all(feature = "redis", feature = "toml"))]
//! # async fn serve() -> Result<(), tower_mcp_auth::ConfigError> {
//! use tower_mcp_auth::config::Config;
//!
//! let config = Config::from_toml(r#"
//!     resource = "https://mcp.example.com/mcp"
//!     authorization_servers.main.issuer = "https://auth.example.com"
//!     session = { key = { env = "SESSION_KEY" }, anonymous_sessions_can_be_claimed = true }
//!     revocation.secret = { env = "REVOCATION_SECRET" }
//!     shared.redis = { url = "rediss://redis.example.com", password = { env = "REDIS_PASSWORD" } }
//! "#)?;
//! let config = config.connect().await?;
//! let stack = config.stack()?;
//! // A readiness check.
//! let is_ready = config.redis().is_some_and(|redis| redis.health().is_ready());
//! # let _ = (stack, is_ready);
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! An error names the place, `authorization_servers[1].issuer: …`, and has it as
//! [`path`](crate::ConfigError::path). While a value is read, no error repeats it: it may be a
//! secret in the wrong place. A name is repeated only if it is short and plain, or a setting's.
//! Where layers are made, an error may repeat a setting, but no secret and no URL with a password.
//! What the format itself says of a text it cannot read is its own: `toml::from_str` and most
//! others repeat the line, [`from_toml`](Config::from_toml) and [`from_json`](Config::from_json)
//! do not.
//!
//! A section for what is not configured is an error, and does not wait for it: `oauth` and
//! `metadata` without `authorization_servers`, `operations` and `lists` without a `policy`.
//! A section that is there, and that nothing was made of, is a warning: by [`Config::stack`], or
//! else when the configuration is dropped.

mod api_keys;
mod applied;
mod auth;
#[cfg(feature = "oauth")]
mod binding;
#[cfg(feature = "oauth")]
mod claim_values;
mod common;
#[cfg(feature = "oauth")]
mod dpop;
mod engine;
mod environment;
#[cfg(feature = "doctor")]
mod expected;
mod fault;
#[cfg(feature = "oauth")]
mod fetch;
#[cfg(feature = "oauth")]
mod ids;
#[cfg(feature = "oauth")]
mod introspection;
#[cfg(feature = "oauth")]
mod jwks_options;
#[cfg(feature = "jwt")]
mod jwt;
mod mcp;
#[cfg(feature = "oauth")]
mod oauth;
mod outline;
mod parse;
#[cfg(feature = "oauth")]
mod presets;
mod quotas;
#[cfg(feature = "oauth")]
mod resources;
mod revocation;
#[cfg(feature = "schema")]
mod schema;
mod secret;
mod sections;
#[cfg(feature = "oauth")]
mod server;
mod session_claims;
#[cfg(feature = "redis")]
mod shared;
mod tree;
mod units;

use std::fmt;
use std::sync::Arc;

use tower_layer::Stack;

use self::applied::Applied;
use self::engine::Engine;
use self::outline::Outline;
use self::sections::Sections;
use crate::auth::{AuthLayer, Authenticate};
use crate::error::ConfigError;
use crate::failed_attempts::FailedAttemptsLayer;
use crate::mcp::{
    McpListsLayer, McpScopesLayer, McpStack, OriginLayer, PrincipalSealer, QuotaLayer,
    SessionBindingLayer,
};
#[cfg(feature = "oauth")]
use crate::oauth::OAuthLayer;
use crate::peer::TrustedProxies;

pub use self::environment::Environment;
#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
pub use self::schema::json_schema;
pub use self::secret::{SecretSource, SecretText};

/// A configuration that was read: what the layers are made from.
///
/// See the [module docs](self) for an example and for how values are written. `Debug` shows which
/// settings there are, and of texts only plain URLs, because any other may be a secret in the wrong
/// place.
#[derive(Clone, Default)]
pub struct Config {
    sections: Sections,
    outline: Outline,
    applied: Arc<Applied>,
    /// Where it is connected.
    engine: Option<Engine>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Config").field(&self.outline).finish()
    }
}

/// An auth layer with a provider that a configuration chose.
pub type ConfiguredAuth = AuthLayer<Arc<dyn Authenticate>>;

/// The layers that judge operations and filter lists.
pub type ConfiguredPolicy = Stack<McpListsLayer, McpScopesLayer>;

/// All layers of an MCP server.
pub type ConfiguredStack =
    McpStack<ConfiguredAuth, SessionBindingLayer, ConfiguredPolicy, QuotaLayer>;

impl Config {
    /// The layer that keeps foreign hosts and origins out.
    ///
    /// # Errors
    /// `resource` is missing, or a setting is refused.
    pub fn origin_layer(&self) -> Result<OriginLayer, ConfigError> {
        let made = self.sections.origin_layer();
        self.applied
            .settle(&["resource", "resources", "proxies", "origin"], made)
    }

    /// The proxies in front of this server, if `proxies` are configured.
    ///
    /// They are for layers of your own: [`origin_layer`](Self::origin_layer) and
    /// [`failed_attempts`](Self::failed_attempts) have them already. They need the address of the
    /// peer, which is no data: put a [`SetPeerAddrLayer`](crate::peer::SetPeerAddrLayer) outside.
    ///
    /// # Errors
    /// The headers are not named, no network is, or one is refused.
    pub fn trusted_proxies(&self) -> Result<Option<TrustedProxies>, ConfigError> {
        let made = self.sections.trusted_proxies();
        self.applied.settle(&["proxies"], made)
    }

    /// The layer that binds sessions to their principal, if `session` is configured. Its
    /// server is called like the resource unless it has a name.
    ///
    /// Where anonymous sessions can be claimed, the claims are in the engine of `shared`, or else
    /// in memory. There they outlive a [reload](crate::reload) that changes neither the server's
    /// name nor `max_claims`; otherwise open anonymous sessions are a 404, claimed or not, and
    /// clients open new ones.
    ///
    /// # Errors
    /// The key is missing or refused, or cannot be read; or the configuration is not
    /// [connected](Self::connect).
    pub fn session_layer(&self) -> Result<Option<SessionBindingLayer>, ConfigError> {
        let made = self
            .engine()
            .and_then(|engine| self.sections.session_layer(engine));
        self.applied.settle(&["session"], made)
    }

    /// What seals state that clients keep, if `sealer` is configured.
    ///
    /// # Errors
    /// The key is missing or refused, or cannot be read.
    pub fn sealer(&self) -> Result<Option<PrincipalSealer>, ConfigError> {
        self.applied.settle(&["sealer"], self.sections.sealer())
    }

    /// Sets the layer to what `failed_attempts` says, and to the `proxies`.
    ///
    /// A layer that was made with [`new`](FailedAttemptsLayer::new) has a function that finds the
    /// address, and keeps it.
    ///
    /// # Errors
    /// A limit is refused, or a setting of the proxies; the secret cannot be read, or the
    /// configuration is not [connected](Self::connect) to the engine that it is for.
    pub fn failed_attempts(
        &self,
        layer: FailedAttemptsLayer,
    ) -> Result<FailedAttemptsLayer, ConfigError> {
        let sections: &[&str] = match layer.counts_peers() {
            true => &["failed_attempts", "proxies"],
            false => &["failed_attempts"],
        };
        // What is counted in memory needs no connection.
        let engine = match self.sections.failed_attempts.secret {
            Some(_) => self.engine(),
            None => Ok(None),
        };
        let made = engine.and_then(|engine| self.sections.failed_attempts(layer, engine));
        self.applied.settle(sections, made)
    }

    /// The CORS layer for the same origins as those of `origin.allow_origins`; none without.
    ///
    /// # Errors
    /// An origin is none, or stands for all of them.
    #[cfg(feature = "cors")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cors")))]
    pub fn cors_layer(&self) -> Result<tower_http::cors::CorsLayer, ConfigError> {
        use crate::mcp::origin::{check_origin, is_origin};

        let allowed = self.sections.origin.allow_origins.0.clone();
        for origin in &allowed {
            check_origin(origin).map_err(|error| error.at("origin.allow_origins"))?;
        }
        // Not a list: it would compare byte by byte, and refuse here what is allowed there.
        let is_allowed = move |origin: &http::HeaderValue, _: &http::request::Parts| {
            let is = |origin| allowed.iter().any(|allowed| is_origin(origin, allowed));
            origin.to_str().is_ok_and(is)
        };
        let origins = tower_http::cors::AllowOrigin::predicate(is_allowed);
        Ok(crate::cors::layer(origins))
    }

    /// The layers that judge operations and filter lists, if a `policy` is configured.
    ///
    /// # Errors
    /// A limit is refused.
    pub fn policy_layers(&self) -> Result<Option<ConfiguredPolicy>, ConfigError> {
        self.policy_layers_with(|_| {})
    }

    fn policy_layers_with(
        &self,
        check: impl FnOnce(&McpListsLayer),
    ) -> Result<Option<ConfiguredPolicy>, ConfigError> {
        let made = self.sections.policy_layers(check);
        self.applied
            .settle(&["policy", "operations", "lists"], made)
    }

    /// All layers of an MCP server, in the one order that is right. Those for budgets, sessions and
    /// operations let everything pass unless `quotas`, `session` and `policy` are configured.
    ///
    /// `failed_attempts` and `sealer` are in none of these layers: unless they were asked for
    /// before, with [`failed_attempts`](Self::failed_attempts) and [`sealer`](Self::sealer), a
    /// warning says that they are not applied.
    ///
    /// # Errors
    /// As for each of the layers.
    pub fn stack(&self) -> Result<ConfiguredStack, ConfigError> {
        self.stack_around(self.auth_layer()?)
    }

    /// The [stack](Self::stack), with the keys of all authorization servers fetched, and with
    /// `shared` what other replicas have revoked: for a [reload](crate::reload) that neither slows
    /// requests down nor takes up servers that cannot be reached.
    ///
    /// # Errors
    /// As for `stack`; or the keys of a server could not be fetched, or the revocations not be read
    /// within 5 seconds.
    #[cfg(feature = "oauth")]
    #[cfg_attr(docsrs, doc(cfg(feature = "oauth")))]
    pub async fn stack_prewarmed(&self) -> Result<ConfiguredStack, ConfigError> {
        let oauth = self.oauth_layer()?;
        // Whatever else is wrong is reported without a request.
        let stack =
            self.stack_around(self.auth_layer_with(oauth.clone().map(OAuthLayer::boxed))?)?;
        if let Some(oauth) = oauth {
            oauth.warm_up().await.map_err(|error| {
                let why = error.detail().unwrap_or(error.description());
                ConfigError::new("authorization_servers", why)
            })?;
        }
        self.revocations_read().await?;
        Ok(stack)
    }

    fn stack_around(&self, auth: ConfiguredAuth) -> Result<ConfiguredStack, ConfigError> {
        // Also where nothing of this stack is shared: it is a mistake of the program.
        self.engine()?;
        let learnable = auth.learnable();
        let policy = self.policy_layers_with(|lists| lists.check_shown(learnable.as_ref()))?;
        let unjudged = || Stack::new(McpListsLayer::disabled(), McpScopesLayer::disabled());
        let policy = policy.unwrap_or_else(unjudged);
        let auth = self.sections.as_open_as_policy(auth);
        let auth = self.applied.settle(&[], auth)?;
        let origin = self.origin_layer()?;
        let sessions = self.session_layer()?;
        let sessions = sessions.unwrap_or_else(SessionBindingLayer::disabled);
        let quotas = self.quota_layer()?;
        let quotas = quotas.unwrap_or_else(QuotaLayer::disabled);
        let stack = McpStack::new(origin, auth)
            .quotas(quotas)
            .sessions(sessions)
            .operations(policy);
        self.applied.report();
        Ok(stack)
    }
}
