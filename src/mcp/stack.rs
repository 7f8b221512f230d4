//! `McpStack`: all layers of an MCP server in the right order.

use tower_layer::{Identity, Layer};

use super::dialect::DialectRule;
use super::lists::{McpLists, McpListsLayer, Show};
use super::origin::{Origin, OriginLayer};
use super::policy::McpPolicy;
use super::quota::QuotaLayer;
use super::scopes::{McpScopes, McpScopesLayer};
use super::session::SessionBindingLayer;
use crate::auth::{AuthLayer, Authenticate};
use crate::error::ConfigError;
use crate::telemetry;

/// The layers of an MCP server in the one order that is right, as one layer.
///
/// From the outside in, with the reason why each comes before the next:
///
/// 1. CORS, where browsers are clients: it answers preflights, which never hold a credential,
///    and refusals need its headers too. Not part of the stack: add it in a `.layer()` of its
///    own, further out.
/// 2. [`OriginLayer`]: a page that has no business here learns nothing, not even who may come
///    in, and its requests cost nothing.
/// 3. The auth layer: says who asks. It answers protected resource metadata, before which no
///    credential can be asked for.
/// 4. [`QuotaLayer`], if [`quotas`](Self::quotas) says so: needs the principal, and spares what
///    comes after it.
/// 5. [`SessionBindingLayer`], if [`sessions`](Self::sessions) says so: needs the principal,
///    and reads headers alone.
/// 6. [`McpScopesLayer`], if [`policy`](Self::policy) says so: needs the principal, and reads
///    the body.
/// 7. [`McpListsLayer`], likewise: edits the answers of the server itself, before anything
///    compresses them.
///
/// A service of gRPC in the stack wants refusals in its own form: the auth layer then has
/// [`grpc_refusals(true)`](AuthLayer::grpc_refusals).
///
/// With a [`policy`](Self::policy) the auth layer tells clients which scopes there are, in the
/// metadata and in the challenge of a 401, where none were set by hand; and lists show callers
/// with access tokens what some scope opens, so that a client can call it, and be asked for
/// that scope. See [scopes that clients can find](crate::mcp#scope-discovery).
///
/// Budgets for each caller are counted inside the auth layer ([`quotas`](Self::quotas)). A limit for
/// each address, for all its callers together, goes outside.
///
/// The type parameters are not part of the stable interface: they say which layers are in the stack, and
/// a release may add one. Write `impl Layer<S>`, or let them be inferred.
///
/// Put the stack around the MCP endpoint: with a [`policy`](Self::policy) a POST that is no
/// JSON-RPC message is refused. Inside `nest` and `nest_service` it does not see the path of
/// protected resource metadata; mount
/// [`metadata_service`](crate::OAuthLayer::metadata_service) there.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use tower_mcp_auth::OAuthLayer;
/// use tower_mcp_auth::mcp::{
///     MacKey, McpStack, OriginLayer, McpPolicy, SessionBindingLayer,
/// };
///
/// # async fn mcp_server() {}
/// let resource = "https://mcp.example.com/mcp";
/// let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")?;
/// let policy = McpPolicy::builder()
///     .tool("get_*", "mcp:read")?
///     .tool("*", "mcp:write")?
///     .build()?;
///
/// let stack = McpStack::new(
///     OriginLayer::new(resource)?.allow_origin("https://app.example.com")?,
///     OAuthLayer::new(resource, "https://auth.example.com")?,
/// )
/// .sessions(SessionBindingLayer::new(key).server(resource))
/// .policy(policy)?;
///
/// let app: Router = Router::new().route("/mcp", post(mcp_server)).layer(stack);
/// # let _ = app;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// With a [`policy`](Self::policy) the stack changes the type of the request's body, and what
/// `axum::middleware::from_fn` makes takes axum's own alone. In a `.layer()` each, axum turns one
/// into the other; in one `ServiceBuilder` nothing does.
///
/// ```
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::middleware::{Next, from_fn};
/// use axum::response::Response;
/// use axum::routing::post;
/// use tower_mcp_auth::mcp::{McpStack, OriginLayer, McpPolicy};
/// use tower_mcp_auth::{OAuthLayer, Principal};
///
/// # async fn mcp_server() {}
/// async fn log(principal: Principal, request: Request, next: Next) -> Response {
///     println!("{} calls {}", principal.id(), request.uri().path());
///     next.run(request).await
/// }
///
/// let resource = "https://mcp.example.com/mcp";
/// let stack = McpStack::new(
///     OriginLayer::new(resource)?,
///     OAuthLayer::new(resource, "https://auth.example.com")?,
/// )
/// .policy(McpPolicy::builder().tool("*", "mcp:read")?.build()?)?;
///
/// // The last layer is the outermost.
/// let app: Router = Router::new()
///     .route("/mcp", post(mcp_server))
///     .layer(from_fn(log))
///     .layer(stack);
/// # let _ = app;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct McpStack<A, Sessions = Identity, Operations = Identity, Quotas = Identity> {
    origin: OriginLayer,
    auth: A,
    quotas: Quotas,
    sessions: Sessions,
    operations: Operations,
}

impl<P: Authenticate + Clone> McpStack<AuthLayer<P>> {
    /// Hosts and origins, then who asks: any layer of this crate that authenticates.
    ///
    /// [Public paths](AuthLayer::public_path) of the auth layer are also answered by IP address,
    /// as [`OriginLayer::public_path`] says. Refusals have the HTTP form, unless the auth layer
    /// was told otherwise ([`grpc_refusals`](AuthLayer::grpc_refusals)).
    pub fn new(origin: OriginLayer, auth: impl Into<AuthLayer<P>>) -> Self {
        let auth = auth.into();
        let grpc = auth.grpc().unwrap_or(false);
        let origin = origin.around(auth.opened_paths(), grpc);
        let auth = auth.grpc_refusals_unless_set(false);
        Self {
            origin,
            auth,
            quotas: Identity::new(),
            sessions: Identity::new(),
            operations: Identity::new(),
        }
    }
}

impl<A, Sessions, Operations> McpStack<A, Sessions, Operations, Identity> {
    /// Counts what callers use of their budgets, before anything behind the auth layer works for
    /// them. What is refused for its session or its scopes counts as well.
    pub fn quotas(self, quotas: QuotaLayer) -> McpStack<A, Sessions, Operations, QuotaLayer> {
        McpStack {
            origin: self.origin,
            auth: self.auth,
            quotas,
            sessions: self.sessions,
            operations: self.operations,
        }
    }
}

impl<A, Operations, Quotas> McpStack<A, Identity, Operations, Quotas> {
    /// Binds sessions to their principal: for servers of revisions up to 2025-11-25 that have
    /// sessions.
    pub fn sessions(
        self,
        sessions: SessionBindingLayer,
    ) -> McpStack<A, SessionBindingLayer, Operations, Quotas> {
        McpStack {
            origin: self.origin,
            auth: self.auth,
            quotas: self.quotas,
            sessions,
            operations: self.operations,
        }
    }
}

impl<P, Sessions, Quotas> McpStack<AuthLayer<P>, Sessions, Identity, Quotas>
where
    P: Authenticate + Clone,
{
    /// Judges each operation by the scopes of its principal, takes out of lists what is closed
    /// to them, and tells clients which scopes there are: both layers with this policy, and
    /// with their defaults, and [`announce`](AuthLayer::announce) of the auth layer.
    ///
    /// A policy that [opens something](McpPolicy::opens_to_anonymous) to anonymous callers makes
    /// the auth layer [`optional`](AuthLayer::optional): see
    /// [mixed authentication](crate::mcp#mixed-authentication).
    ///
    /// # Errors
    /// The auth layer is `optional`, and the base scopes of the policy ask every request for a
    /// caller; or it [requires](AuthLayer::required_strength) an `acr` that a rule does not accept.
    pub fn policy(
        mut self,
        policy: McpPolicy,
    ) -> Result<McpStack<AuthLayer<P>, Sessions, PolicyLayers, Quotas>, ConfigError> {
        let said = self.auth.is_optional().then_some(true);
        self.auth = as_open_as(&policy, self.auth.announce(&policy), said)?;
        let lists = McpListsLayer::new(policy.clone());
        let scopes = McpScopesLayer::new(policy).announced();
        Ok(self.operations(PolicyLayers { lists, scopes }))
    }
}

impl<P, Sessions, Quotas> McpStack<AuthLayer<P>, Sessions, PolicyLayers, Quotas>
where
    P: Authenticate + Clone,
{
    /// In which form clients are asked to sign in, or for more scope: see
    /// [`McpScopesLayer::dialect`]; default [`Dialect::Http`](super::Dialect::Http).
    pub fn dialect(mut self, dialect: impl Into<DialectRule>) -> Self {
        self.operations.scopes = self.operations.scopes.dialect(dialect);
        self
    }

    /// Which items lists show of those that some scope opens; default [`Show::ByCaller`].
    ///
    /// Where clients have no other way to learn of a scope, a warning names it.
    pub fn show(mut self, show: Show) -> Self {
        let learnable = self.auth.learnable();
        self.operations.lists = self.operations.lists.show(show);
        self.operations.lists.check_shown(learnable.as_ref());
        self
    }
}

impl<A, Sessions, Quotas> McpStack<A, Sessions, Identity, Quotas> {
    /// Judges operations with layers of your own setting: an [`McpScopesLayer`], or a
    /// [`Stack`](tower_layer::Stack) of an [`McpListsLayer`], which is the inner one, and an [`McpScopesLayer`].
    ///
    /// The auth layer does not know of them: [`announce`](AuthLayer::announce) their policy.
    pub fn operations<L>(self, operations: L) -> McpStack<A, Sessions, L, Quotas> {
        McpStack {
            origin: self.origin,
            auth: self.auth,
            quotas: self.quotas,
            sessions: self.sessions,
            operations,
        }
    }
}

impl<S, A, Sessions, Operations, Quotas> Layer<S> for McpStack<A, Sessions, Operations, Quotas>
where
    Operations: Layer<S>,
    Sessions: Layer<Operations::Service>,
    Quotas: Layer<Sessions::Service>,
    A: Layer<Quotas::Service>,
{
    type Service = Origin<A::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let judged = self.operations.layer(inner);
        let bound = self.sessions.layer(judged);
        let counted = self.quotas.layer(bound);
        self.origin.layer(self.auth.layer(counted))
    }
}

/// Lets anonymous requests pass an auth layer if its policy opens something to them; `said` is what
/// was set by hand.
///
/// # Errors
/// What was set contradicts the policy.
pub(crate) fn as_open_as<P: Authenticate + Clone>(
    policy: &McpPolicy,
    auth: AuthLayer<P>,
    said: Option<bool>,
) -> Result<AuthLayer<P>, ConfigError> {
    policy.check_sign_ins(auth.strength())?;
    match said {
        Some(true) if policy.is_closed_to_anonymous() => Err(ConfigError::new(
            "optional",
            "requests without a credential may pass, and the policy asks each of them for a caller \
             (`baseline`): leave `optional` out, or take the `baseline` into the rules of what is \
             not open",
        )),
        Some(false) if policy.opens_to_anonymous() => Err(ConfigError::new(
            "optional",
            "the policy opens operations to anonymous callers, who cannot pass: leave `optional` \
             out, or let those rules need `authenticated` instead of `none`",
        )),
        None if policy.opens_to_anonymous() => {
            telemetry::opened_to_anonymous();
            Ok(auth.optional())
        }
        _ => Ok(auth),
    }
}

/// The two layers that [`McpStack::policy`] makes of one policy.
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicyLayers {
    lists: McpListsLayer,
    scopes: McpScopesLayer,
}

impl<S> Layer<S> for PolicyLayers {
    type Service = McpScopes<McpLists<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.scopes.layer(self.lists.layer(inner))
    }
}
