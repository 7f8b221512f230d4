//! What holds for all providers, and the layers for MCP.

use tower_layer::Stack;

use super::common::{missing, not_both, secret_at};
use super::engine::{Engine, claimed_at, failures_at};
use super::sections::{Auth, DialectName, HeaderFamily, Operations, Proxies, Sections};
use super::session_claims;
use super::units::{Name, Span};
use crate::auth::{AuthLayer, Authenticate, SseEndpoints};
use crate::error::ConfigError;
use crate::failed_attempts::FailedAttemptsLayer;
use crate::mcp::{
    Dialect, DialectRule, MacKey, McpListsLayer, McpScopesLayer, OriginLayer, PrincipalSealer,
    SessionBindingLayer, as_open_as,
};
use crate::peer::{ProxyHeaders, TrustedProxies};
use crate::store::MemoryReplayStore;

impl Auth {
    pub(super) fn add<P: Authenticate + Clone>(
        &self,
        mut layer: AuthLayer<P>,
    ) -> Result<AuthLayer<P>, ConfigError> {
        let at = |key: &str| {
            let path = format!("auth.{key}");
            move |error: ConfigError| error.at(path)
        };
        for path in &self.public_paths.0 {
            layer = layer.public_path(path).map_err(at("public_paths"))?;
        }
        if self.dangerously_public_root {
            layer = layer.dangerously_public_root();
        }
        if let Some(sse) = &self.sse_endpoints {
            let mut endpoints = SseEndpoints::new();
            // What is open unless it is said otherwise would be opened by naming its path.
            let why = "say whether the event stream needs a credential";
            let needs = sse.sse;
            let needs = needs.ok_or_else(|| missing("sse", "auth.sse_endpoints.sse", why))?;
            endpoints = endpoints.sse(needs);
            if let Some(needs) = sse.messages {
                endpoints = endpoints.messages(needs);
            }
            if sse.sse_path.is_some() || sse.messages_path.is_some() {
                let path = sse.sse_path.as_deref().unwrap_or("/sse");
                let messages = sse.messages_path.as_deref().unwrap_or("/messages");
                endpoints = endpoints.paths(path, messages);
            }
            let set = layer.sse_endpoints(endpoints);
            layer = set.map_err(at("sse_endpoints"))?;
        }
        if let Some(names) = &self.forbidden_query_names {
            let set = layer.forbidden_query_names(&names.0);
            layer = set.map_err(at("forbidden_query_names"))?;
        }
        if let Some(forward) = self.forward_credential {
            layer = layer.forward_credential(forward);
        }
        if self.optional == Some(true) {
            layer = layer.optional();
        }
        // The sender of the media type would choose the form otherwise.
        layer = match self.grpc_refusals {
            Some(grpc) => layer.grpc_refusals(grpc),
            None => layer.grpc_refusals_unless_set(false),
        };
        if let Some(strength) = &self.required_strength {
            let set = layer.required_strength(strength.clone());
            layer = set.map_err(at("required_strength"))?;
        }
        if let Some(Span(grace)) = self.stream_grace {
            layer = layer.stream_grace(grace);
        }
        if let Some(Span(life)) = self.stream_max_life {
            layer = layer.stream_max_life(life).map_err(at("stream_max_life"))?;
        }
        if self.dangerously_streams_outlive_credentials {
            layer = layer.dangerously_streams_outlive_credentials();
        }
        if self.dangerously_report_only {
            layer = layer.dangerously_report_only();
        }
        if let Some(reasons) = &self.dangerously_report_only_for {
            let set = layer.dangerously_report_only_for(&reasons.0);
            layer = set.map_err(at("dangerously_report_only_for"))?;
        }
        Ok(layer)
    }
}

impl Operations {
    fn speak(&self, layer: McpScopesLayer) -> Result<McpScopesLayer, ConfigError> {
        let path = "operations.result_clients";
        let dialect = match (self.dialect, &self.result_clients) {
            (None, None) => return Ok(layer),
            (Some(DialectName::ByClient), Some(names)) => {
                DialectRule::result_for(&names.0).map_err(|error| error.at(path))?
            }
            (Some(DialectName::ByClient), None) => DialectRule::by_client(),
            (_, Some(_)) => {
                let why = "clients are told apart where `dialect` is `by_client`: set that as well";
                return Err(ConfigError::new(path, why));
            }
            (Some(DialectName::Http), None) => Dialect::Http.into(),
            (Some(DialectName::Result), None) => Dialect::Result.into(),
        };
        Ok(layer.dialect(dialect))
    }
}

impl Proxies {
    /// Whether it has nothing but the prefix that they take away.
    fn says_nothing_of_headers(&self) -> bool {
        self.stripped_prefix.is_some()
            && self.networks.0.is_empty()
            && !self.dangerously_any_peer
            && self.hops.is_none()
            && self.forwarded_host.is_none()
    }
}

impl Sections {
    /// What is taken off paths before requests arrive.
    #[cfg(feature = "oauth")]
    pub(super) fn stripped_prefix(&self) -> Option<&str> {
        self.proxies.as_ref()?.stripped_prefix.as_deref()
    }

    pub(super) fn trusted_proxies(&self) -> Result<Option<TrustedProxies>, ConfigError> {
        let Some(section) = &self.proxies else {
            return Ok(None);
        };
        let under = |error: ConfigError| error.under("proxies");
        // It is for several resources, and for access tokens, which may need proofs.
        #[cfg(feature = "oauth")]
        let is_read = self.has_several_resources() || !self.authorization_servers.items.is_empty();
        #[cfg(not(feature = "oauth"))]
        let is_read = false;
        if section.stripped_prefix.is_some() && !is_read {
            let why = "there is one resource, which is that of every request: leave it out";
            return Err(under(ConfigError::new("stripped_prefix", why)));
        }
        let why = "say which headers the proxies write, `Forwarded` or `X-Forwarded`";
        let headers = match section.headers {
            Some(HeaderFamily::Forwarded) => ProxyHeaders::Forwarded,
            Some(HeaderFamily::XForwarded) => ProxyHeaders::XForwarded,
            None if section.says_nothing_of_headers() => return Ok(None),
            None => return Err(missing("headers", "proxies.headers", why)),
        };
        let networks = &section.networks.0;
        let mut proxies = if section.dangerously_any_peer {
            not_both(!networks.is_empty(), "networks", "dangerously_any_peer").map_err(under)?;
            TrustedProxies::dangerously_any_peer(headers)
        } else {
            TrustedProxies::new(headers, networks).map_err(under)?
        };
        if let Some(hops) = section.hops {
            proxies = proxies.hops(hops).map_err(under)?;
        }
        if let Some(counts) = section.forwarded_host {
            proxies = proxies.forwarded_host(counts);
        }
        Ok(Some(proxies))
    }

    fn origin_of_resources(&self) -> Result<OriginLayer, ConfigError> {
        #[cfg(feature = "oauth")]
        if let Some(hosts) = self.hosts()? {
            return Ok(OriginLayer::from_hosts(hosts));
        }
        let why = "hosts are those of the resource: give its URL";
        let resource = self.resource.as_ref();
        let resource = resource.ok_or_else(|| missing("resource", "resource", why))?;
        OriginLayer::new(resource).map_err(|error| error.at("resource"))
    }

    pub(super) fn origin_layer(&self) -> Result<OriginLayer, ConfigError> {
        let mut layer = self.origin_of_resources()?;
        for host in &self.origin.allow_hosts.0 {
            let allowed = layer.allow_host(host);
            layer = allowed.map_err(|error| error.at("origin.allow_hosts"))?;
        }
        for origin in &self.origin.allow_origins.0 {
            let allowed = layer.allow_origin(origin);
            layer = allowed.map_err(|error| error.at("origin.allow_origins"))?;
        }
        for path in &self.auth.public_paths.0 {
            let public = layer.public_path(path);
            layer = public.map_err(|error| error.at("auth.public_paths"))?;
        }
        let root = self.auth.dangerously_public_root.then_some("/");
        layer = layer.around(root.into_iter(), self.auth.grpc_refusals.unwrap_or(false));
        if let Some(proxies) = self.trusted_proxies()? {
            layer = layer.trusted_proxies(proxies);
        }
        if self.origin.dangerously_any_host {
            let is_listed = !self.origin.allow_hosts.0.is_empty();
            not_both(is_listed, "allow_hosts", "dangerously_any_host")
                .map_err(|error| error.under("origin"))?;
            layer = layer.dangerously_any_host();
        }
        Ok(layer)
    }

    /// Lets anonymous requests pass where the policy opens something to them.
    pub(super) fn as_open_as_policy<P: Authenticate + Clone>(
        &self,
        auth: AuthLayer<P>,
    ) -> Result<AuthLayer<P>, ConfigError> {
        let Some(policy) = &self.policy else {
            return Ok(auth);
        };
        let opened = as_open_as(policy, auth, self.auth.optional);
        opened.map_err(|error| match error.setting() {
            "optional" => error.under("auth"),
            _ => error.under("policy"),
        })
    }

    pub(super) fn sealer(&self) -> Result<Option<PrincipalSealer>, ConfigError> {
        let Some(section) = &self.sealer else {
            return Ok(None);
        };
        let why = "state is sealed with a key: `openssl rand -base64 32` makes one";
        let key = section.key.as_ref();
        let key = key.ok_or_else(|| missing("key", "sealer.key", why))?;
        let secret = secret_at(key, "sealer.key")?;
        let key = MacKey::new(secret.expose()).map_err(|error| error.at("sealer.key"))?;
        let mut sealer = PrincipalSealer::new(key);
        for (step, key) in &section.also_accept.0.items {
            let path = format!("sealer.also_accept{step}");
            let secret = secret_at(key, &path)?;
            let accepted = MacKey::new(secret.expose()).and_then(|key| sealer.also_accept(key));
            sealer = accepted.map_err(|error| error.at(path))?;
        }
        if let Some(purpose) = &section.purpose {
            sealer = sealer.purpose(purpose.as_str());
        }
        if let Some(Span(lifetime)) = section.lifetime {
            let set = sealer.lifetime(lifetime);
            sealer = set.map_err(|error| error.at("sealer.lifetime"))?;
        }
        if let Some(size) = section.max_bytes {
            sealer = sealer.max_bytes(size.bytes("sealer.max_bytes".to_owned())?);
        }
        Ok(Some(sealer))
    }

    pub(super) fn failed_attempts(
        &self,
        mut layer: FailedAttemptsLayer,
        engine: Option<&Engine>,
    ) -> Result<FailedAttemptsLayer, ConfigError> {
        let section = &self.failed_attempts;
        let under = |error: ConfigError| error.under("failed_attempts");
        if layer.counts_peers()
            && let Some(proxies) = self.trusted_proxies()?
        {
            layer = layer.trusted_proxies(proxies)?;
        }
        if let Some(failures) = section.max_failures {
            layer = layer.max_failures(failures).map_err(under)?;
        }
        if let Some(Span(window)) = section.window {
            layer = layer.window(window).map_err(under)?;
        }
        if let Some(Span(block_duration)) = section.block_duration {
            layer = layer.block_duration(block_duration).map_err(under)?;
        }
        if let Some(addresses) = section.max_addresses {
            layer = layer.max_addresses(addresses).map_err(under)?;
        }
        if let Some(bits) = section.ipv6_prefix {
            layer = layer.ipv6_prefix(bits).map_err(under)?;
        }
        if let Some(source) = &section.secret {
            let path = "failed_attempts.secret";
            let secret = secret_at(source, path)?;
            let engine = engine.ok_or_else(|| {
                let why = "it is for what replicas have in an engine, and there is none: configure \
                           `shared`, or leave it out";
                ConfigError::new("secret", why).at(path)
            })?;
            layer = failures_at(layer, engine, secret.expose()).map_err(under)?;
        }
        if let Some(grpc) = section.grpc_refusals.or(self.auth.grpc_refusals) {
            layer = layer.grpc_refusals(grpc);
        } else {
            layer = layer.grpc_refusals_unless_set(false);
        }
        Ok(layer)
    }

    pub(super) fn session_layer(
        &self,
        engine: Option<&Engine>,
    ) -> Result<Option<SessionBindingLayer>, ConfigError> {
        let Some(session) = &self.session else {
            return Ok(None);
        };
        let why = "sessions are bound with a key: `openssl rand -base64 32` makes one";
        let key = session.key.as_ref();
        let key = key.ok_or_else(|| missing("key", "session.key", why))?;
        let secret = secret_at(key, "session.key")?;
        let key = MacKey::new(secret.expose()).map_err(|error| error.at("session.key"))?;
        let mut layer = SessionBindingLayer::new(key);
        for (step, key) in &session.also_accept.0.items {
            let path = format!("session.also_accept{step}");
            let secret = secret_at(key, &path)?;
            let accepted = MacKey::new(secret.expose()).and_then(|key| layer.also_accept(key));
            layer = accepted.map_err(|error| error.at(path))?;
        }
        // Without a name, servers that share the key share their sessions.
        let name = session.server.as_ref().map(Name::as_str);
        let name = name.or(self.resource.as_deref());
        if let Some(name) = name {
            layer = layer.server(name);
        }
        let refuse = |why| Err(ConfigError::new("max_claims", why).at("session.max_claims"));
        match session.max_claims {
            Some(_) if !session.anonymous_sessions_can_be_claimed => {
                return refuse("it limits claims, and `anonymous_sessions_can_be_claimed` is off");
            }
            Some(0) => return refuse("no session could be claimed; give one or more"),
            Some(_) if engine.is_some() => {
                return refuse("claims are in the engine of `shared`: its memory is the limit");
            }
            _ => {}
        }
        let (is_claimed, allow) = (
            session.anonymous_sessions_can_be_claimed,
            session.dangerously_allow_on_outage,
        );
        if allow && !(is_claimed && engine.is_some()) {
            let why = "it is of claims in the engine of `shared`, and there are none";
            let path = "session.dangerously_allow_on_outage";
            return Err(ConfigError::new("dangerously_allow_on_outage", why).at(path));
        }
        if let (true, Some(engine)) = (is_claimed, engine) {
            layer = claimed_at(layer, engine, allow);
        } else if is_claimed {
            let max = session.max_claims.unwrap_or(MemoryReplayStore::MAX_ENTRIES);
            let store = session_claims::store(name.unwrap_or_default(), max);
            layer = layer.anonymous_sessions_can_be_claimed(store);
        }
        Ok(Some(layer))
    }

    /// The judge of operations outside, the filter of lists inside.
    /// `check` looks at the filter when it is set.
    pub(super) fn policy_layers(
        &self,
        check: impl FnOnce(&McpListsLayer),
    ) -> Result<Option<Stack<McpListsLayer, McpScopesLayer>>, ConfigError> {
        let Some(policy) = &self.policy else {
            let idle = [
                ("operations", self.operations.is_some()),
                ("lists", self.lists.is_some()),
            ];
            return match idle.into_iter().find(|(_, is_there)| *is_there) {
                None => Ok(None),
                Some((section, _)) => {
                    let why = "it limits what a `policy` judges, and there is none";
                    Err(ConfigError::new(section, why))
                }
            };
        };
        if let Some(strength) = &self.auth.required_strength {
            let checked = policy.check_sign_ins(strength);
            checked.map_err(|error| error.under("policy"))?;
        }
        let bodies = self.operations.clone().unwrap_or_default();
        let mut lists = McpListsLayer::new(policy.clone());
        if let Some(show) = self.lists.as_ref().and_then(|lists| lists.show) {
            lists = lists.show(show);
        }
        if let Some(size) = self.lists.as_ref().and_then(|lists| lists.max_bytes) {
            let path = "lists.max_bytes";
            let set = lists.max_bytes(size.bytes(path.to_owned())?);
            lists = set.map_err(|error| error.at(path))?;
        }
        check(&lists);
        // Every auth layer of a configuration announces its policy.
        let mut scopes = McpScopesLayer::new(policy.clone()).announced();
        if let Some(size) = bodies.max_body_bytes {
            let path = "operations.max_body_bytes";
            let set = scopes.max_body_bytes(size.bytes(path.to_owned())?);
            scopes = set.map_err(|error| error.at(path))?;
        }
        if let Some(Span(timeout)) = bodies.read_timeout {
            let set = scopes.read_timeout(timeout);
            scopes = set.map_err(|error| error.at("operations.read_timeout"))?;
        }
        Ok(Some(Stack::new(lists, bodies.speak(scopes)?)))
    }
}
