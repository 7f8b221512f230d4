//! The settings of `OAuthLayer` before it is built.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::advertised;
use super::apart;
use super::binding::{Binding, Bindings, Certificates, DpopMode, DpopOptions, MtlsMode};
use super::bound::{check_bound, check_certificates};
use super::configured::{Common, Named};
use super::edge::{TokenPlace, is_for_clients, is_of_the_edge};
use super::fetch::Fetch;
use super::http_fetch::HttpFetch;
use super::introspection::OpaqueRoutes;
use super::jwks_options::JwksOptions;
use super::keys::Together;
use super::provider::{Inner, OAuthProvider};
use super::served::Resources;
use super::server_metadata::{CopyOf, ServerMetadata};
use super::token_cache::{TokenCacheOptions, Tokens};
use super::trusted::{self, Network, TrustedServer};
use super::{AuthorizationServer, OAuthLayer, ProtectedResource, timeouts};
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::jose::TokenLimits;
use crate::peer::{ForwardedCertificates, TrustedProxies};
use crate::refusal::Advertised;
use crate::resources::{Behind, checked_scopes};
use crate::telemetry;
use crate::token::ScopeClaim;

/// The settings of an [`OAuthLayer`] before it is built.
#[derive(Debug)]
#[must_use]
pub struct OAuthLayerBuilder {
    resources: Vec<ProtectedResource>,
    proxies: Option<TrustedProxies>,
    stripped_prefix: Option<String>,
    servers: Vec<AuthorizationServer>,
    required_scopes: Vec<String>,
    clock: Clock,
    fetch: Arc<dyn Fetch>,
    token_cache: TokenCacheOptions,
    jwks_options: JwksOptions,
    token_limits: TokenLimits,
    pub(super) dpop: DpopOptions,
    pub(super) forwarded_certificates: Option<ForwardedCertificates>,
    pub(super) token_place: TokenPlace,
    pub(super) copy_of: Option<CopyOf>,
}

impl OAuthLayerBuilder {
    pub(super) fn new(resource: ProtectedResource) -> Self {
        Self {
            resources: vec![resource],
            proxies: None,
            stripped_prefix: None,
            servers: Vec::new(),
            required_scopes: Vec::new(),
            clock: Clock::system(),
            fetch: Arc::new(HttpFetch::new()),
            token_cache: TokenCacheOptions::new(),
            jwks_options: JwksOptions::new(),
            token_limits: TokenLimits::DEFAULT,
            dpop: DpopOptions::new(),
            forwarded_certificates: None,
            token_place: TokenPlace::default(),
            copy_of: None,
        }
    }

    #[cfg(feature = "doctor")]
    pub(super) fn resources(&self) -> &[ProtectedResource] {
        &self.resources
    }

    #[cfg(feature = "doctor")]
    pub(super) fn servers(&self) -> &[AuthorizationServer] {
        &self.servers
    }

    /// The scopes that every token needs, unless a resource asks for others.
    #[cfg(feature = "doctor")]
    pub(super) fn required(&self) -> &[String] {
        &self.required_scopes
    }

    /// Adds another resource. The host and the path of a request choose between them; see
    /// [several resources](crate::oauth#several-resources).
    ///
    /// ```
    /// use tower_mcp_auth::OAuthLayer;
    ///
    /// let layer = OAuthLayer::builder("https://a.example.com/mcp")?
    ///     .resource("https://b.example.com/mcp")?
    ///     .authorization_server("https://auth.example.com")?
    ///     .build()?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// See [`ProtectedResource::new`].
    pub fn resource<R>(mut self, resource: R) -> Result<Self, ConfigError>
    where
        R: TryInto<ProtectedResource>,
        ConfigError: From<R::Error>,
    {
        self.resources.push(resource.try_into()?);
        Ok(self)
    }

    /// Chooses between several resources by the host that these proxies say their clients asked
    /// for. Metadata that were chosen so are not to be cached.
    ///
    /// Default: the `Host` of the request counts.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Names the part of the path that a proxy takes away: with `/team` a request that arrives for
    /// `/acme/mcp` is one for the resource at `/team/acme/mcp`.
    ///
    /// Requests for metadata are looked for as they arrive, and with the prefix. Public paths are
    /// those that the layer sees. It is for several resources, or for
    /// [DPoP proofs](super::binding#paths); the only resource of a layer is that of every path.
    ///
    /// Default: none.
    pub fn stripped_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.stripped_prefix = Some(prefix.into());
        self
    }

    /// Trusts an authorization server; call it again for more. A token's `iss` picks the
    /// one it is checked by, and all of them stand in the metadata, in this order, but those
    /// where no client can sign in: the [presets](super::presets) of workloads.
    ///
    /// # Errors
    /// The value is no issuer (see [`AuthorizationServer::new`]), there already is a server
    /// with this one, or settings of the server contradict each other.
    pub fn authorization_server<A>(mut self, server: A) -> Result<Self, ConfigError>
    where
        A: TryInto<AuthorizationServer>,
        ConfigError: From<A::Error>,
    {
        let server = server.try_into()?;
        server.check()?;
        let issuer = &server.origin.issuer;
        if self.servers.iter().any(|own| own.origin.issuer == *issuer) {
            return Err(two_servers(issuer));
        }
        self.servers.push(server);
        Ok(self)
    }

    /// Requires these scopes of every token: with less, 403 `insufficient_scope`. They stand
    /// in challenges; what the metadata *advertises* is
    /// [another setting](ProtectedResource::scopes_supported). Default none.
    pub fn required_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.required_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many verified tokens are kept, and how long; default [`TokenCacheOptions::new`].
    pub fn token_cache(mut self, cache: TokenCacheOptions) -> Self {
        self.token_cache = cache;
        self
    }

    /// Sets the numbers the keys of every server live by; default [`JwksOptions::new`].
    pub fn jwks_options(mut self, limits: JwksOptions) -> Self {
        self.jwks_options = limits;
        self
    }

    /// The longest token, in bytes: 16 KiB, and from 1 KiB to 64 KiB. A longer one is 401
    /// `token_too_large`, before anything of it is hashed or decoded. Opaque tokens are bounded
    /// by [`Introspection::token_lengths`](super::Introspection::token_lengths) too. Servers
    /// limit the headers of a request as well.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.token_limits.token = bytes;
        self
    }

    /// The longest JOSE header of a token, in bytes of its JSON; 4 KiB.
    ///
    /// From 256 bytes to 16 KiB. A token with a longer one is 401 `header_too_large`.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.token_limits.header = bytes;
        self
    }

    /// Replaces the clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the client that calls authorization servers; see [`Fetch`].
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Arc::new(fetch);
        self
    }

    /// The finished layer. It does no I/O before its first request, or
    /// [`warm_up`](OAuthLayer::warm_up).
    ///
    /// # Errors
    /// There is no authorization server, or two trust the same issuer; a required scope is not
    /// one (`offline_access` never is); a number of the [`JwksOptions`] would let no token pass, or
    /// contradicts another; a time limit of the client is zero; the
    /// longest token or header is out of its bounds; the header of the token is none, or has
    /// settings beside it that tell clients of tokens; a
    /// key of a static set is not valid, or serves none of
    /// the algorithms; or two servers take opaque tokens and nothing tells these apart.
    ///
    /// Of several resources two are at one address, or accept one audience; a server that expects
    /// an audience of its own, or accepts tokens without one, is trusted for more than one; or a
    /// resource trusts a server that is not there. The stripped prefix is no path, or proxies or a
    /// prefix are set for one resource. Proxies hand on certificates, and no server has
    /// [`mtls`](AuthorizationServer::mtls), or the token stands in their header.
    pub fn build(self) -> Result<OAuthLayer, ConfigError> {
        if self.servers.is_empty() {
            return Err(ConfigError::new(
                "authorization_server",
                "there is none, so no token could pass; name at least one",
            ));
        }
        self.jwks_options.check()?;
        self.token_limits.check()?;
        let copies = self.copy_of.is_some();
        timeouts::check(&*self.fetch, &self.jwks_options, &self.servers, copies)?;
        let required_scopes = checked_scopes("required_scopes", &self.required_scopes)?;
        let location = self.token_place.location()?;
        let server_metadata = match &self.copy_of {
            Some(copy_of) => {
                let server = copy_of.server(&self.servers)?;
                apart::check_copy(&self.resources, &self.servers, server, copy_of.setting())?;
                Some(Arc::new(ServerMetadata::new(
                    server,
                    Arc::clone(&self.fetch),
                    self.clock.clone(),
                    self.jwks_options.clone(),
                )))
            }
            None => None,
        };
        let from_edge = is_of_the_edge(&location);
        let tells_clients = is_for_clients(&location);
        let names_application = |audience: &str| !audience.contains("://");
        let mut audiences = self
            .servers
            .iter()
            .flat_map(AuthorizationServer::own_audiences);
        if from_edge && audiences.any(names_application) {
            telemetry::weakened(
                "header_name",
                "tokens for an audience that is no URL need no mark of an access token, as the proxy \
                 alone brings them",
            );
        }
        if !tells_clients {
            let copy = self.copy_of.as_ref().map(CopyOf::setting);
            self.token_place
                .check_not_advertised(&self.resources, &self.servers, copy)?;
        }
        let mut modes = self.servers.iter().map(|server| server.binding.dpop);
        let takes_bearers = modes.clone().any(|mode| mode != DpopMode::Required);
        let is_bound = modes.any(|mode| mode != DpopMode::Off);
        if is_bound {
            check_bound(&self.resources, &location)?;
        }
        let mut modes = self.servers.iter().map(|server| server.binding.mtls);
        let has_certificates = modes.any(|mode| mode != MtlsMode::Off);
        check_certificates(
            &self.resources,
            &location,
            has_certificates,
            self.forwarded_certificates.as_ref(),
        )?;
        apart::check(&self.resources, &self.servers)?;
        let known_as = known_as(&self.resources);
        advertised::log(&self.servers);
        let scope_claim = first_scope_claim(&self.servers);
        let together = Arc::new(Together::new(&self.jwks_options));
        let (mut servers, mut numbered) = (BTreeMap::new(), Vec::new());
        let mut opaque = OpaqueRoutes::default();
        let mut named = Vec::new();
        let by_tenant = |server: &AuthorizationServer| server.clone().by_tenant();
        let all: Vec<Vec<_>> = self.servers.iter().map(by_tenant).collect();
        for (server, of_it) in self.servers.iter().zip(&all) {
            let first = named.last().map_or(0, |named: &Named| named.numbers.end);
            named.push(Named {
                issuer: server.issuer().into(),
                advertised: server.is_advertised.then(|| server.advertised().into()),
                binding: server.binding,
                numbers: first..first + of_it.len(),
            });
        }
        for server in all.into_iter().flatten() {
            let mut profile = trusted::profile(&server);
            profile.from_edge = from_edge;
            let issuer = Arc::clone(&server.origin.issuer);
            let network = Network {
                fetch: Arc::clone(&self.fetch),
                clock: self.clock.clone(),
                jwks_options: self.jwks_options.clone(),
                together: Arc::clone(&together),
            };
            let number = numbered.len();
            let server = TrustedServer::new(number, server, profile, &known_as, network)?;
            if let Some(introspector) = &server.introspector {
                if self.jwks_options.total_waiting == 0 {
                    return Err(ConfigError::new(
                        "total_waiting",
                        "with zero no request could wait for introspection: give 1 or more",
                    ));
                }
                opaque.add(number, introspector)?;
            }
            let server = Arc::new(server);
            numbered.push(Arc::clone(&server));
            if servers.insert(Arc::clone(&issuer), server).is_some() {
                return Err(two_servers(&issuer));
            }
        }
        let advertised = match &self.resources[..] {
            [only] => Advertised::new(only.scopes().cloned()),
            _ => Advertised::default(),
        };
        let mut by_issuer: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (at, server) in named.iter().enumerate() {
            let places = by_issuer.entry(Arc::clone(&server.issuer)).or_default();
            places.push(at);
        }
        let common = Common {
            by_issuer,
            servers: named,
            required_scopes,
            advertised: advertised.clone(),
            tells_clients,
        };
        let prefix = self.stripped_prefix.as_deref();
        let binding = match is_bound {
            true => Some(Binding::new(self.dpop, prefix, self.clock.clone())?),
            false => None,
        };
        let forwarded = self.forwarded_certificates;
        let certificates = has_certificates.then(|| Certificates::new(forwarded));
        let behind = Behind::new(self.proxies, prefix)?;
        let resources = Resources::new(&self.resources, common, behind, is_bound)?;
        Ok(OAuthLayer::from_provider(OAuthProvider {
            inner: Arc::new(Inner {
                resources: Arc::new(resources),
                configured: self.resources.into(),
                advertised,
                server_metadata,
                location,
                servers,
                numbered: numbered.into(),
                scope_claim,
                limits: self.token_limits,
                tokens: Tokens::new(&self.token_cache),
                opaque,
                bindings: Bindings::new(binding, certificates),
                takes_bearers,
                clock: self.clock,
            }),
        }))
    }
}

fn two_servers(issuer: &str) -> ConfigError {
    ConfigError::new(
        "authorization_server",
        format!("there are two servers with the issuer {issuer:?}"),
    )
}

/// What all servers agree on, or else the usual one.
fn first_scope_claim(servers: &[AuthorizationServer]) -> ScopeClaim {
    let mut claims = servers.iter().map(|server| &server.scope_claim);
    let first = claims.next().cloned().unwrap_or_default();
    if claims.all(|claim| *claim == first) {
        return first;
    }
    ScopeClaim::default()
}

/// What answers that are signed may call this server: one of its resources, as far as they can be
/// listed.
fn known_as(resources: &[ProtectedResource]) -> Vec<Box<str>> {
    let written = resources.iter().filter(|resource| !resource.is_template());
    written
        .flat_map(|resource| resource.audiences_of(""))
        .collect()
}
