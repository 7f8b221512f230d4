//! Layers for MCP: scopes of tools, lists, sessions, quotas, origins.
//!
//! | question | answered by |
//! |---|---|
//! | Which scopes does this operation need? | [`McpScopesLayer`], [`McpListsLayer`] |
//! | Which caller has this session? | [`SessionBindingLayer`] |
//! | Was it called too often? | [`QuotaLayer`] |
//! | Is this host served, and may this web page call? | [`OriginLayer`] |
//! | In which order? | [`McpStack`] |
//! | Did the client change the state that it keeps? | [`PrincipalSealer`] |
//!
//! They go around the MCP endpoint, and all but [`OriginLayer`] inside an auth layer. They
//! repeat nothing of it: what a refusal must say travels with the request. Where no auth layer
//! ran they answer a logged 500; a request that was let through without a credential gets 401
//! where scopes are needed.
//!
//! # Scopes per operation
//!
//! A [`McpPolicy`] says what each method, tool, prompt and resource needs.
//! [`McpScopesLayer`] finds the operation of each POST in its body and judges it before the
//! server sees it; [`McpListsLayer`] takes out of lists what is closed to their reader.
//!
//! 1. Two `MCP-Protocol-Version` headers are refused with 400. A request that is no POST is
//!    judged by the rule for its method of HTTP.
//! 2. A POST is JSON in UTF-8 without `Content-Encoding`, or 415.
//! 3. Its body is read up to 4 MiB (beyond: 413) within 30 s. The inner service gets it
//!    unchanged, as a [`RequestBody`].
//! 4. What two readers could read in two ways is refused with 400: a member twice, in
//!    another case or with half a surrogate pair, a byte order mark, anything after the
//!    message, nesting deeper than 32, parameters in a list.
//! 5. From revision 2026-07-28 on `Mcp-Method` and `Mcp-Name` must be there and say what
//!    the body says, or it is 400 with the JSON-RPC error -32020. Below, they are neither
//!    trusted nor a reason to refuse.
//! 6. Every message of a batch is judged, and all that the request lacks is named in one
//!    403 `insufficient_scope`. What no scope would open is 403 without a challenge. A rule can
//!    ask for a strong or recent sign-in too, which is a 401: see
//!    [the sign-in](crate::scopes#strength-of-the-sign-in).
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body::Body;
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_mcp_auth::ApiKeyLayer;
//! use tower_mcp_auth::api_key::ApiKey;
//! use tower_mcp_auth::mcp::{McpListsLayer, McpScopesLayer, McpPolicy};
//!
//! // Stands for a server: rmcp's, an axum router, your own.
//! async fn server<B: Body>(_: Request<B>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     Ok(Response::new("done".into()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let policy = McpPolicy::builder()
//!     .baseline("mcp:read")?
//!     .tool("get_*", "files:read")?
//!     .tool("delete_*", ["files:read", "files:delete"])?
//!     .build()?;
//! let reader = ApiKey::new("Zm9yIHRoZSBleGFtcGxlIG9ubHk")?.scopes(["mcp:read", "files:read"])?;
//! let service = ServiceBuilder::new()
//!     .layer(ApiKeyLayer::new([reader])?)
//!     .layer(McpScopesLayer::new(policy.clone()))
//!     .layer(McpListsLayer::new(policy))
//!     .service_fn(server);
//!
//! let call = |tool: &str| {
//!     let message = format!(
//!         r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#
//!     );
//!     Request::post("/mcp")
//!         .header("x-api-key", "Zm9yIHRoZSBleGFtcGxlIG9ubHk")
//!         .header("content-type", "application/json")
//!         .body(Full::<Bytes>::from(message))
//! };
//! let response = service.clone().oneshot(call("get_file")?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let response = service.oneshot(call("delete_file")?).await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```
//!
//! # Scope discovery
//!
//! A client asks for the scopes that the challenge of a 401 names, or else for those that the
//! metadata advertise, or else for none (MCP 2025-11-25 and 2026-07-28, Scope Selection
//! Strategy); it asks for more when a call is answered with 403. [`McpStack::policy`],
//! a configuration, and [`announce`](crate::AuthLayer::announce) of an auth layer tell it what
//! the policy knows:
//!
//! | where | names |
//! |---|---|
//! | `scopes_supported` of the metadata | what [`scopes_supported`](crate::oauth::ProtectedResource::scopes_supported) was given, or every scope of a rule that does not deny |
//! | `scope` of the 401 | the [required scopes](crate::oauth::OAuthLayerBuilder::required_scopes) and those of the `baseline`; without any, what `scopes_supported` was given; without that, what the operation needs that needs fewest |
//! | `scope` of the 403 | what the operation needs, and what was granted where [`include_granted`](McpPolicyBuilder::include_granted) says so |
//!
//! Lists show callers with access tokens all that some scope opens ([`Show`]), so that a host
//! which builds its tools from `tools/list` can call one and be asked for its scope. Callers
//! with scopes that cannot grow, those with API keys or tokens of a [`JwtLayer`](crate::JwtLayer),
//! see what was granted to them.
//!
//! ```
//! # #[cfg(feature = "oauth")] {
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::mcp::{McpStack, OriginLayer, McpPolicy, Show};
//! use tower_mcp_auth::scopes::IncludeGranted;
//!
//! let resource = "https://mcp.example.com/mcp";
//! let policy = McpPolicy::builder()
//!     .tool("get_*", "files:read")?
//!     .tool("*", "files:write")?
//!     .include_granted(IncludeGranted::Always) // default: by the revision of the request
//!     .build()?;
//! let stack = McpStack::new(
//!     OriginLayer::new(resource)?,
//!     OAuthLayer::new(resource, "https://auth.example.com")?,
//! )
//! .policy(policy)?
//! .show(Show::Granted); // default: by caller
//! # let _ = stack;
//! # }
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! # Mixed authentication
//!
//! One policy says which tools need nothing, which need a caller, and which need scopes
//! ([`Requirement`](crate::scopes::Requirement)). Anonymous callers use what is open, and are led
//! to sign in at the first tool that is not.
//!
//! ```
//! # #[cfg(feature = "oauth")] {
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::mcp::{McpPolicy, McpStack, OriginLayer};
//! use tower_mcp_auth::scopes::Requirement;
//!
//! let resource = "https://mcp.example.com/mcp";
//! let policy = McpPolicy::builder()
//!     .tool("search", Requirement::none())?           // anyone: 200 without a token
//!     .tool("my_orders", Requirement::authenticated())? // without a token: 401
//!     .tool("buy", "orders:write")?                   // with a token that lacks it: 403
//!     .build()?;
//! let stack = McpStack::new(
//!     OriginLayer::new(resource)?,
//!     OAuthLayer::new(resource, "https://auth.example.com")?,
//! )
//! .policy(policy)?;
//! # let _ = stack;
//! # }
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! - `Requirement::none` alone opens something, and only where the `baseline` is none as well.
//!   An [`McpStack`] and a configuration then make the auth layer
//!   [`optional`](crate::AuthLayer::optional); around layers put together by hand, say it
//!   yourself. An `optional` layer around a `baseline` that needs a caller is an error.
//! - Open with it are the handshake, lists, pings, notifications, and `GET` and `DELETE` of the
//!   endpoint. `logging/setLevel`, `tasks/…` and a `subscriptions/listen` to tasks need a caller
//!   unless a rule says otherwise, and so does what no rule is for.
//! - Lists show anonymous callers of an [`OAuthLayer`](crate::OAuthLayer) what signing in or more
//!   scope would open; [`Show::Granted`] hides it.
//! - A credential that is there must be good: a bad one is 401, and never an anonymous request.
//! - The policy looks at no path: whatever else is in the stack is open as well to a `GET`, and to
//!   a POST of an open message. Put the stack around the MCP endpoint alone.
//! - Bind sessions ([`SessionBindingLayer`]). Without, an anonymous caller who has the id of a
//!   principal's session can open its stream and end it.
//!
//! ## Dialects
//!
//! Two families of clients act on different answers ([`Dialect`]):
//!
//! | dialect | a call that needs a caller, more scope or another sign-in | who acts on it |
//! |---|---|---|
//! | [`Dialect::Http`], the default | 401 or 403 with `WWW-Authenticate` | Claude, the official SDKs |
//! | [`Dialect::Result`] | 200 with a result: `isError`, `_meta["mcp/www_authenticate"]` | ChatGPT |
//!
//! With [`Dialect::Result`] lists of tools say `securitySchemes`, from the same policy: `noauth`
//! for what is open, `oauth2` with its scopes for what is not, in the item and, for older clients,
//! in its `_meta`. The 200 has the `WWW-Authenticate` of the 401 and the
//! [`AuthError`](crate::AuthError) in its extensions; events and metrics say `refused`. All other
//! refusals, those of a bad or expired token included, are 4xx to every client, and so is a call
//! in a batch or without an `id`. Where no challenge names metadata, no client can sign in, and
//! every one is answered over HTTP.
//!
//! [`DialectRule::by_client`] answers each client in its own dialect, by what it says of itself in
//! `initialize`, or in each request from 2026-07-28 on. Up to 2025-11-25 the session id keeps it,
//! so this takes a [`SessionBindingLayer`]. What a client says decides the form of a refusal, never
//! the verdict.
//!
//! ```
//! # #[cfg(feature = "oauth")] {
//! # use tower_mcp_auth::OAuthLayer;
//! # use tower_mcp_auth::mcp::{McpPolicy, McpStack, OriginLayer};
//! use tower_mcp_auth::mcp::{DialectRule, MacKey, SessionBindingLayer};
//!
//! # let resource = "https://mcp.example.com/mcp";
//! # let policy = McpPolicy::builder().tool("*", "orders:write")?.build()?;
//! # let oauth = OAuthLayer::new(resource, "https://auth.example.com")?;
//! let stack = McpStack::new(OriginLayer::new(resource)?, oauth)
//!     .sessions(SessionBindingLayer::new(MacKey::ephemeral()?))
//!     .policy(policy)?
//!     .dialect(DialectRule::by_client());
//! # let _ = stack;
//! # }
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! A client that signs in has a session already, which is anonymous. See
//! [signing in in the middle of a session](session#signing-in-in-the-middle-of-a-session).
//!
//! # Request bodies
//!
//! The body type changes, as with tower-http's `RequestBodyLimitLayer`. Services that take
//! any body (rmcp's, an axum router, a tonic server, generic ones) fit behind
//! [`McpScopesLayer`] as they are. One that was written for `hyper::body::Incoming` alone
//! does not: in axum put the layer into a `.layer()` of its own, which boxes bodies again;
//! elsewhere let the service take any `B: Body<Data = Bytes>`.

mod dialect;
mod headers;
mod key;
mod lists;
mod members;
mod once;
mod operation;
pub mod origin;
mod policy;
pub mod quota;
mod scopes;
mod sealer;
pub mod session;
mod stack;
mod unanswered;

pub use self::dialect::{ClientInfo, Dialect, DialectRule};
pub use self::key::MacKey;
pub use self::lists::{ListsBody, ListsFuture, McpLists, McpListsLayer, Show};
pub use self::origin::OriginLayer;
pub use self::policy::{DefaultRule, McpPolicy, McpPolicyBuilder, Operation, PolicyDecision};
pub use self::quota::{Budget, QuotaLayer};
pub use self::scopes::{McpScopes, McpScopesLayer, ScopesFuture};
pub use self::sealer::{PrincipalSealer, RequestDigest, SealError};
pub use self::session::SessionBindingLayer;
#[cfg(feature = "config")]
pub(crate) use self::stack::as_open_as;
pub use self::stack::{McpStack, PolicyLayers};
pub use crate::gate::RequestBody;
pub use crate::json::JsonValue;
