use tower_layer::{Identity, Layer};

use super::origin::{OriginLayer, OriginService};
use super::scopes::McpScopesLayer;
use super::session::SessionBindingLayer;

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
/// 4. [`SessionBindingLayer`], if [`sessions`](Self::sessions) says so: needs the principal,
///    and reads headers alone.
/// 5. [`McpScopesLayer`], if [`scopes`](Self::scopes) says so: needs the principal, and reads
///    the body.
///
/// A rate limit for each principal goes inside the auth layer, one for each address outside.
///
/// Put the stack around the MCP endpoint: with [`scopes`](Self::scopes) a POST that is no
/// JSON-RPC message is refused. Inside `nest` and `nest_service` it does not see the path of
/// protected resource metadata; mount
/// [`metadata_service`](crate::OAuthLayer::metadata_service) there.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use tower_mcp_auth::OAuthLayer;
/// use tower_mcp_auth::mcp::{MacKey, McpStack, OriginLayer, SessionBindingLayer};
///
/// # async fn mcp_server() {}
/// let resource = "https://mcp.example.com/mcp";
/// let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")?;
///
/// let stack = McpStack::new(
///     OriginLayer::new(resource)?.allow_origin("https://app.example.com")?,
///     OAuthLayer::new(resource, "https://auth.example.com")?,
/// )
/// .sessions(SessionBindingLayer::new(key).server(resource));
///
/// let app: Router = Router::new().route("/mcp", post(mcp_server)).layer(stack);
/// # let _ = app;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct McpStack<A, Sessions = Identity, Scopes = Identity> {
    origin: OriginLayer,
    auth: A,
    sessions: Sessions,
    scopes: Scopes,
}

impl<A> McpStack<A> {
    /// Hosts and origins, then who asks: any layer of this crate that authenticates.
    pub fn new(origin: OriginLayer, auth: A) -> Self {
        Self {
            origin,
            auth,
            sessions: Identity::new(),
            scopes: Identity::new(),
        }
    }
}

impl<A, Scopes> McpStack<A, Identity, Scopes> {
    /// Binds sessions to their principal: for servers of revisions up to 2025-11-25 that have
    /// sessions.
    pub fn sessions(
        self,
        sessions: SessionBindingLayer,
    ) -> McpStack<A, SessionBindingLayer, Scopes> {
        let Self {
            origin,
            auth,
            scopes,
            ..
        } = self;
        McpStack {
            origin,
            auth,
            sessions,
            scopes,
        }
    }
}

impl<A, Sessions> McpStack<A, Sessions, Identity> {
    /// Judges each operation by the scopes of its principal.
    pub fn scopes(self, scopes: McpScopesLayer) -> McpStack<A, Sessions, McpScopesLayer> {
        let Self {
            origin,
            auth,
            sessions,
            ..
        } = self;
        McpStack {
            origin,
            auth,
            sessions,
            scopes,
        }
    }
}

impl<S, A, Sessions, Scopes> Layer<S> for McpStack<A, Sessions, Scopes>
where
    Scopes: Layer<S>,
    Sessions: Layer<Scopes::Service>,
    A: Layer<Sessions::Service>,
{
    type Service = OriginService<A::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let judged = self.scopes.layer(inner);
        let bound = self.sessions.layer(judged);
        self.origin.layer(self.auth.layer(bound))
    }
}
