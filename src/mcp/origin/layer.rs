//! `OriginLayer`: the layer and its settings.

use std::sync::Arc;

use tower_layer::Layer;

use super::Origin;
use super::rules::Rules;
use crate::auth::check_path;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::peer::TrustedProxies;
use crate::refusal::RefusalContext;
use crate::resources::Hosts;
use crate::telemetry::{self, DecisionRecord};

/// The layer that refuses requests meant for another host, or sent by a page of another
/// origin. It belongs outside the auth layer.
///
/// See the [module docs](crate::mcp::origin) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct OriginLayer {
    pub(super) state: Arc<State>,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) rules: Rules,
    /// Whether gRPC requests are refused in gRPC's form, where that was said.
    grpc: Option<bool>,
    /// There is no auth layer further out that could have left one.
    pub(super) context: RefusalContext,
}

impl OriginLayer {
    /// Allows the host and the origin of this resource: the public URL of the MCP endpoint,
    /// as the auth layer has it. On loopback, also `localhost`, `127.0.0.1` and `[::1]` with
    /// any port.
    ///
    /// # Errors
    /// The value is no absolute http or https URL, or has a user name in it.
    pub fn new(resource: impl AsRef<str>) -> Result<Self, ConfigError> {
        Rules::of(resource.as_ref()).map(Self::with)
    }

    /// Allows the hosts of several resources, as the auth layer has them, and for each host pages of
    /// its own origin.
    ///
    /// A host at which no resource is gets 421 `unknown_host`, and what is no host 400. A page of one
    /// tenant may not call another one, unless its origin is [allowed](Self::allow_origin).
    ///
    /// ```
    /// use tower_mcp_auth::mcp::{McpStack, OriginLayer};
    /// use tower_mcp_auth::oauth::ProtectedResource;
    /// use tower_mcp_auth::{OAuthLayer, Tenants};
    ///
    /// let tenants = Tenants::new(["acme", "globex"])?;
    /// let template = ProtectedResource::from_template("https://{tenant}.example.com/mcp", tenants)?;
    /// let oauth = OAuthLayer::builder(template)?
    ///     .authorization_server("https://auth.example.com")?
    ///     .build()?;
    /// let stack = McpStack::new(OriginLayer::from_hosts(oauth.hosts()), oauth);
    /// # let _ = stack;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn from_hosts(hosts: Hosts) -> Self {
        Self::with(Rules::of_hosts(hosts))
    }

    fn with(rules: Rules) -> Self {
        let context = RefusalContext::new(Vec::new(), Clock::system());
        Self {
            state: Arc::new(State {
                rules,
                grpc: None,
                context,
            }),
        }
    }

    /// Allows one more host, `host` or `host:port`: an internal name, say, that a proxy or a
    /// health check uses. Without a port, no port, 80 and 443 are the same.
    ///
    /// # Errors
    /// The value has something else in it: a scheme, a path, a wildcard, a trailing dot.
    pub fn allow_host(mut self, host: impl AsRef<str>) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.state)
            .rules
            .allow_host(host.as_ref())?;
        Ok(self)
    }

    /// Allows one more origin, `https://host` or `https://host:port`: a web application that
    /// calls this server from the browser. It compares whole: an origin without a port allows
    /// the default port of its scheme alone, and no subdomain is ever included.
    ///
    /// # Errors
    /// The value is no origin. `null` is none either: any page can have it.
    pub fn allow_origin(mut self, origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.state)
            .rules
            .allow_origin(origin.as_ref())?;
        Ok(self)
    }

    /// Judges the host that one of these proxies names.
    ///
    /// Where none does, that of the request is judged as ever; [`peer`](crate::peer) says when a
    /// proxy is believed. The peer's address must be known: a
    /// [`SetPeerAddrLayer`](crate::peer::SetPeerAddrLayer) goes outside. `Host` itself must be
    /// readable all the same, and a header of a proxy that is not is refused with 400.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        Arc::make_mut(&mut self.state).rules.proxies = Some(proxies);
        self
    }

    /// Answers `GET` and `HEAD` of exactly this path also where `Host` is the literal of an IP
    /// address, with or without a port: for probes of an orchestrator or a load balancer, which
    /// ask by the address of the pod.
    ///
    /// A page cannot make use of it: the browser of a page with a name that was made to point
    /// here sends that name. Nothing else opens; names, other methods and other paths are judged as
    /// ever, and so is an `Origin` that is there. The path compares as in
    /// [`AuthLayer::public_path`](crate::AuthLayer::public_path), and an HTTP/1 request with an
    /// absolute target is no such request.
    ///
    /// An [`McpStack`](crate::mcp::McpStack) takes the public paths of its auth layer, and a
    /// configuration those of `auth.public_paths`: this is for layers put together by hand.
    ///
    /// # Errors
    /// The value is no exact path.
    pub fn public_path(mut self, path: &str) -> Result<Self, ConfigError> {
        check_path("public_path", path)?;
        Arc::make_mut(&mut self.state).rules.add_public_path(path);
        Ok(self)
    }

    /// Whether a gRPC or grpc-web request is refused in gRPC's form (HTTP 200 with a
    /// `grpc-status`); see [`AuthLayer::grpc_refusals`](crate::AuthLayer::grpc_refusals).
    ///
    /// Default: true for a layer that stands alone; in an
    /// [`McpStack`](crate::mcp::McpStack), what its auth layer does.
    pub fn grpc_refusals(mut self, grpc: bool) -> Self {
        let state = Arc::make_mut(&mut self.state);
        state.grpc = Some(grpc);
        state.context.grpc = grpc;
        self
    }

    /// The same layer around an auth layer with these public paths, which refuses gRPC requests
    /// in this form.
    pub(crate) fn around<'p>(
        mut self,
        public_paths: impl Iterator<Item = &'p str>,
        grpc: bool,
    ) -> Self {
        let state = Arc::make_mut(&mut self.state);
        for path in public_paths {
            state.rules.add_public_path(path);
        }
        let grpc = state.grpc.unwrap_or(grpc);
        self.grpc_refusals(grpc)
    }

    /// Calls `hook` with every decision of this layer, as
    /// [`AuthLayer::on_decision`](crate::AuthLayer::on_decision) does with those further in, of
    /// which this one is none.
    pub fn on_decision(
        mut self,
        hook: impl Fn(&DecisionRecord<'_>) + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.state).context.audit.add_hook(hook);
        self
    }

    /// Lets any `Host` through, with a warning; origins are still checked.
    ///
    /// A page with a name that was made to point here is then told apart by its `Origin` alone,
    /// which browsers leave out of some requests. For servers that only a proxy reaches, and
    /// that the proxy gives names not known in advance.
    pub fn dangerously_any_host(mut self) -> Self {
        Arc::make_mut(&mut self.state).rules.any_host = true;
        telemetry::weakened(
            "dangerously_any_host",
            "requests to any host are let through",
        );
        self
    }
}

impl<S> Layer<S> for OriginLayer {
    type Service = Origin<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Origin::new(inner, Arc::clone(&self.state))
    }
}
