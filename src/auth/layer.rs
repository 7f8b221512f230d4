//! `AuthLayer`: the layer and the settings that all providers share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::decision::State;
use super::exempt::SseEndpoints;
use super::settings::Shared;
use super::{AuthService, Authenticate};
use crate::credential::QueryNames;
use crate::error::ConfigError;
use crate::requirement::AskedScopes;
use crate::revocation::Revocation;
use crate::scope::Scopes;
use crate::telemetry::{self, DecisionRecord};

/// The layer that puts the provider `P` before a service.
///
/// [`ApiKeyLayer`](crate::ApiKeyLayer) and the layers beside it wrap this one and share
/// its settings; use `AuthLayer::new` for a provider of your own. All clones share one
/// state. A setter changes the layer it is called on, never an earlier clone.
///
/// See the [module docs](crate::auth) for an example.
#[must_use]
pub struct AuthLayer<P> {
    pub(super) state: Arc<State<P>>,
}

impl<P: Authenticate> AuthLayer<P> {
    /// A layer with the provider `provider`: every request needs a credential, credentials
    /// are removed before the inner service sees the request, gRPC requests are refused in
    /// gRPC's form.
    pub fn new(provider: P) -> Self {
        let shared = Shared::new(provider.describe());
        Self::from_parts(provider, shared)
    }

    pub(super) fn from_parts(provider: P, shared: Shared) -> Self {
        let shared = Arc::new(shared);
        Self {
            state: Arc::new(State { provider, shared }),
        }
    }

    /// The provider.
    pub fn provider(&self) -> &P {
        &self.state.provider
    }

    /// The same layer with its provider's type erased, so that one variable can hold
    /// whichever provider a configuration names.
    pub fn boxed(self) -> AuthLayer<Arc<dyn Authenticate>>
    where
        P: Clone,
    {
        let (provider, shared) = self.into_parts();
        AuthLayer::from_parts(Arc::new(provider) as Arc<dyn Authenticate>, shared)
    }

    pub(super) fn into_parts(self) -> (P, Shared)
    where
        P: Clone,
    {
        let State { provider, shared } = Arc::unwrap_or_clone(self.state);
        (provider, Arc::unwrap_or_clone(shared))
    }
}

impl<P: Clone> AuthLayer<P> {
    /// The settings, to change them: earlier clones of the layer keep theirs.
    pub(super) fn shared_mut(&mut self) -> &mut Shared {
        let shared = Arc::make_mut(&mut Arc::make_mut(&mut self.state).shared);
        shared.forget_contexts();
        shared
    }
}

impl<P: Authenticate + Clone> AuthLayer<P> {
    /// Lets `GET` and `HEAD` of exactly this path pass without a credential.
    ///
    /// The path compares byte by byte with the path as the layer sees it: axum's `nest` and
    /// `nest_service` strip their prefix first. Query, fragment, other methods and headers
    /// change nothing; `//`, `%2e`, `;` or another case is another path. An HTTP/1 request
    /// with an absolute target (`GET http://host/path`) is never exempt. A credential in
    /// the query string is refused on public paths as well.
    ///
    /// In an [`McpStack`](crate::mcp::McpStack) the path is answered by any IP address, too, for
    /// the probes of an orchestrator or a load balancer; around layers put together by hand,
    /// [`OriginLayer::public_path`](crate::mcp::OriginLayer::public_path) says so.
    ///
    /// # Errors
    /// The value is no exact path, is the path of the protected resource, or is `/`: see
    /// [`dangerously_public_root`](Self::dangerously_public_root).
    pub fn public_path(mut self, path: &str) -> Result<Self, ConfigError> {
        let shared = self.shared_mut();
        shared.exempt.add_public(path, &shared.resources)?;
        Ok(self)
    }

    /// [`public_path`](Self::public_path) for several.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    ///
    /// let layer = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?;
    /// let layer = layer.public_paths(["/livez", "/readyz"])?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`public_path`](Self::public_path).
    pub fn public_paths<I>(self, paths: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut paths = paths.into_iter();
        paths.try_fold(self, |layer, path| layer.public_path(path.as_ref()))
    }

    /// Lets `GET` and `HEAD` of `/` pass without a credential.
    ///
    /// Behind `nest_service("/mcp", …)` the layer sees `/mcp` as `/`: there this opens the
    /// event stream of the server to every caller. Where `/` is the path of the protected resource
    /// itself, it needs a credential all the same.
    pub fn dangerously_public_root(mut self) -> Self {
        telemetry::weakened(
            "dangerously_public_root",
            "GET and HEAD of / need no credential",
        );
        self.shared_mut().exempt.add_root();
        self
    }

    /// Sets the switches for the two endpoints of the old HTTP+SSE transport, and warns of
    /// each endpoint they leave open.
    ///
    /// A policy does not judge who opens the stream, where that is open; it judges each message.
    ///
    /// # Errors
    /// A path is no exact path, both paths are the same, or one left open is the path of
    /// the protected resource.
    pub fn sse_endpoints(mut self, endpoints: SseEndpoints) -> Result<Self, ConfigError> {
        let shared = self.shared_mut();
        for warning in shared
            .exempt
            .set_sse(endpoints, &shared.resources)?
            .warnings()
        {
            telemetry::weakened("sse_endpoints", &warning);
        }
        Ok(self)
    }

    /// Replaces the names of query parameters that are refused with 400, because an
    /// application may own one of them.
    ///
    /// The default is `access_token`, `token`, `authorization`, `api_key` and `x-api-key`;
    /// the names of the headers the provider reads are always among them. Names compare
    /// percent-decoded, without regard to ASCII case, `-` and `_`: `apiKey` is `api_key`.
    ///
    /// # Errors
    /// A name is empty, or longer than 64 characters.
    pub fn forbidden_query_names<I>(mut self, names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.shared_mut().query_names = QueryNames::new(names)?;
        Ok(self)
    }

    /// Whether the inner service gets to see the credential; default false.
    ///
    /// MCP forbids passing a client's token on to another service. A forwarded header is
    /// marked sensitive, which keeps it out of `Debug` output.
    pub fn forward_credential(mut self, forward: bool) -> Self {
        self.shared_mut().forward_credential = forward;
        self
    }

    /// Lets requests without a credential pass, as anonymous ones: they have no
    /// [`Principal`](crate::Principal), and whatever needs one answers 401 with this layer's
    /// challenge. Default: every request needs a credential.
    ///
    /// A credential that is there must be good: an expired one, a malformed one, two, or one
    /// in the query string are refused as ever, and no such request becomes an anonymous one. One
    /// of another scheme (`Authorization: Basic …`, which is left alone), and `Bearer` with
    /// nothing after it, are no credentials.
    ///
    /// Behind it, axum handlers take `Option<Principal>`; layers for scopes answer 401 where
    /// scopes are needed; anonymous sessions belong to all anonymous callers together. The
    /// streams of anonymous callers have no end: neither a credential nor
    /// [`stream_max_life`](Self::stream_max_life) ends them.
    ///
    /// An [`McpStack`](crate::mcp::McpStack) and a configuration set it by themselves where their
    /// policy [opens something](crate::mcp::McpPolicy::opens_to_anonymous) to anonymous callers.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    ///
    /// let layer = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?.optional();
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn optional(mut self) -> Self {
        Arc::make_mut(&mut self.shared_mut().context).is_optional = true;
        self
    }

    /// Whether requests without a credential pass.
    pub(crate) fn is_optional(&self) -> bool {
        self.state.shared.context.is_optional
    }

    /// Whether a gRPC or grpc-web request is refused in gRPC's form (HTTP 200 with a
    /// `grpc-status`). Off, it gets the HTTP form.
    ///
    /// Default: true for a layer that stands alone; false in an
    /// [`McpStack`](crate::mcp::McpStack) and in a configuration. The `Content-Type` of the
    /// request alone makes it one of gRPC, so a client that sends `application/grpc-web` is refused
    /// with status 200, which a detector that goes by the status does not see. Where no
    /// service behind the layer speaks gRPC, switch it off.
    pub fn grpc_refusals(mut self, grpc: bool) -> Self {
        let settings = self.shared_mut();
        settings.grpc = Some(grpc);
        settings.set_grpc(grpc);
        self
    }

    /// The same where [`grpc_refusals`](Self::grpc_refusals) was not called.
    pub(crate) fn grpc_refusals_unless_set(self, grpc: bool) -> Self {
        let grpc = self.grpc().unwrap_or(grpc);
        self.grpc_refusals(grpc)
    }

    /// Whether gRPC requests are refused in gRPC's form, where that was said.
    pub(crate) fn grpc(&self) -> Option<bool> {
        self.state.shared.grpc
    }

    /// The paths that [`public_path`](Self::public_path) opened, and `/` if that is open.
    pub(crate) fn opened_paths(&self) -> impl Iterator<Item = &str> {
        self.state.shared.exempt.public_paths()
    }

    /// Calls `hook` with every decision about a request: those of this layer, and those of the
    /// layers and handlers inside it, each as it is made. For audit logs. A second hook is
    /// called after the first. [`OriginLayer`](crate::mcp::OriginLayer) and
    /// [`FailedAttemptsLayer`](crate::failed_attempts::FailedAttemptsLayer), which go outside, have
    /// hooks of their own.
    ///
    /// It runs within the request, so it must not wait: hand what it is given to a channel or a
    /// task. Nor may it call [`Principal::require`](crate::Principal::require), which makes a
    /// decision itself. Where it panics, the request ends as with a panic of the handler, and
    /// does not go on.
    pub fn on_decision(
        mut self,
        hook: impl Fn(&DecisionRecord<'_>) + Send + Sync + 'static,
    ) -> Self {
        let context = &mut self.shared_mut().context;
        Arc::make_mut(context).audit.add_hook(hook);
        self
    }

    /// Tells clients of the scopes that a layer further in asks for: a
    /// [`McpPolicy`](crate::mcp::McpPolicy), a
    /// [`RequireScopesLayer`](crate::scopes::RequireScopesLayer).
    ///
    /// [`McpStack::policy`](crate::mcp::McpStack::policy) and a configuration do it by
    /// themselves. Only an [`OAuthLayer`](crate::OAuthLayer) leads clients to metadata of its
    /// own, and announces them; elsewhere it changes nothing.
    ///
    /// - The metadata advertise what a caller could need, unless
    ///   [`scopes_supported`](crate::oauth::ProtectedResource::scopes_supported) was called.
    ///   All clones of the layer serve the same document.
    /// - A challenge without scopes of its own names the
    ///   [required ones](crate::oauth::OAuthLayerBuilder::required_scopes) and those of the
    ///   [`baseline`](crate::mcp::McpPolicyBuilder::baseline). Where there is neither, it names what
    ///   `scopes_supported` was given, or else what the tool, prompt or resource needs that
    ///   needs the fewest scopes, the first of several: a client that is told nothing asks for
    ///   everything, or for nothing.
    ///
    /// A warning names the scopes where clients learn of none of them.
    ///
    /// ```
    /// use tower::ServiceBuilder;
    /// use tower_mcp_auth::OAuthLayer;
    /// use tower_mcp_auth::mcp::{McpListsLayer, McpScopesLayer, McpPolicy};
    ///
    /// let policy = McpPolicy::builder().tool("*", "mcp:write")?.build()?;
    /// let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
    /// let layers = ServiceBuilder::new()
    ///     .layer(oauth.announce(&policy))
    ///     .layer(McpScopesLayer::new(policy.clone()))
    ///     .layer(McpListsLayer::new(policy));
    /// # let _ = layers;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn announce(mut self, asked: impl Into<AskedScopes>) -> Self {
        let asked = asked.into();
        let info = self.state.provider.describe();
        let settings = self.shared_mut();
        if asked.all.is_empty() || settings.asked.iter().any(|own| own.is_same(&asked)) {
            return self;
        }
        settings.asked.push(asked.clone());
        settings.follow(info);
        if let Some(learnable) = settings.context.learnable()
            && !asked.all.is_empty()
            && !asked.all.iter().any(|scope| learnable.contains(scope))
        {
            telemetry::scopes_not_announced(&asked.all);
        }
        self
    }

    /// The scopes that clients learn of before they are refused for one.
    pub(crate) fn learnable(&self) -> Option<Scopes> {
        self.state.shared.context.learnable()
    }

    /// How much longer than its credential an answer may take, where it is no stream that is
    /// meant to stay open; default 10 minutes. See
    /// [the end of streams](crate::auth#stream-termination).
    pub fn stream_grace(mut self, grace: Duration) -> Self {
        self.shared_mut().streams.grace = grace;
        self
    }

    /// How long a stream may stay open with a credential that does not expire; default without end.
    /// The [grace](Self::stream_grace) does not add to it. See [the end of streams](crate::auth#stream-termination). Streams of requests that
    /// passed without a principal are not among them.
    ///
    /// # Errors
    /// The time is zero.
    pub fn stream_max_life(mut self, life: Duration) -> Result<Self, ConfigError> {
        self.shared_mut().streams.set_max_life(life)?;
        Ok(self)
    }

    /// Lets streams go on after the credential they were opened with has expired.
    ///
    /// A caller that was let in once then hears everything that is said on the stream for as long
    /// as the connection lives. [`stream_max_life`](Self::stream_max_life) holds for all
    /// streams instead, if it is set.
    pub fn dangerously_streams_outlive_credentials(mut self) -> Self {
        self.shared_mut().streams.outlive_credentials = true;
        telemetry::weakened(
            "dangerously_streams_outlive_credentials",
            "streams go on after their credential has expired",
        );
        self
    }

    /// Refuses the credentials that are revoked, and ends the streams that were opened with them;
    /// default none are. See [`revocation`](crate::revocation).
    ///
    /// Tokens that live longer than
    /// [`max_token_lifetime`](Revocation::max_token_lifetime) (24 h), or without an end, are refused
    /// from then on.
    ///
    /// ```
    /// use tower_mcp_auth::OAuthLayer;
    /// use tower_mcp_auth::revocation::{Entry, Revocation};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let revocation = Revocation::in_memory();
    /// let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?
    ///     .revocation(revocation.clone());
    ///
    /// revocation.revoke(Entry::subject("https://auth.example.com", "alice")).await?;
    /// # let _ = oauth;
    /// # Ok(())
    /// # }
    /// ```
    pub fn revocation(mut self, revocation: Revocation) -> Self {
        revocation.start();
        self.shared_mut().revocation = Some(revocation);
        self
    }

    /// Edits the provider, and what refusals say with it.
    pub(crate) fn edit_provider(
        &mut self,
        edit: impl FnOnce(&mut P) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let state = Arc::make_mut(&mut self.state);
        edit(&mut state.provider)?;
        Arc::make_mut(&mut state.shared).follow(state.provider.describe());
        Ok(())
    }
}

impl<S, P> Layer<S> for AuthLayer<P> {
    type Service = AuthService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService {
            inner,
            state: Arc::clone(&self.state),
        }
    }
}

// By hand, because a derive would ask for `P: Clone`.
impl<P> Clone for AuthLayer<P> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for AuthLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("provider", &self.state.provider)
            .field("settings", &self.state.shared)
            .finish()
    }
}
