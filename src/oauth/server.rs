//! `AuthorizationServer`: an issuer, its keys, and what its tokens must be.

use std::sync::Arc;
use std::time::Duration;

use super::Introspection;
use super::keys::{KeySetAccess, Origin, Source, parse_static};
use super::quirks::Tenant;
use super::url::{self, UrlPolicy, Written};
use crate::error::ConfigError;
use crate::jose::{Algorithm, Family, KeyUse};
use crate::telemetry;
use crate::token::binding::BindingModes;
use crate::token::well_known;
use crate::token::{AcceptedTypes, Clients, Quirks, ScopeClaim, SubjectClaim, TokenProfile};
use crate::util::repeated;

/// An authorization server that is trusted: its issuer, where its keys are, and what its
/// tokens must be.
///
/// With nothing but the issuer its keys are found by discovery. Every setting replaces a
/// default; none adds to it, where it does not say so. For well-known providers there are
/// [presets](super::presets).
///
/// A key of its set that names an `issuer`, a URL, serves that issuer alone: Entra ID publishes
/// such.
///
/// ```
/// use tower_mcp_auth::jose::Algorithm;
/// use tower_mcp_auth::oauth::AuthorizationServer;
///
/// let server = AuthorizationServer::new("https://auth.example.com")?
///     .jwks_uri("https://auth.example.com/keys")?
///     .algorithms([Algorithm::ES256])?;
/// # let _ = server;
/// // A secret shared with an authorization server would let this server issue tokens.
/// assert!(AuthorizationServer::new("https://auth.example.com")?.algorithms([Algorithm::HS256]).is_err());
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizationServer {
    pub(super) origin: Origin,
    /// Where clients are sent, where that is not the issuer.
    pub(super) advertised_as: Option<Arc<str>>,
    /// Whether clients are sent there for a token: its issuer is in the metadata then.
    pub(super) is_advertised: bool,
    /// The SPIFFE trust domain that its tokens are from.
    pub(super) trust_domain: Option<Arc<str>>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) clock_skew: Duration,
    pub(super) scope_claim: ScopeClaim,
    pub(super) require_at_jwt: bool,
    pub(super) accepted_types: AcceptedTypes,
    pub(super) clients_are_principals: bool,
    pub(super) subject_claim: Option<SubjectClaim>,
    pub(super) quirks: Quirks,
    /// The tenants with tokens that are accepted instead of the issuer's own.
    pub(super) tenants: Vec<Tenant>,
    pub(super) introspection: Option<Introspection>,
    pub(super) introspection_without_audience: bool,
    pub(super) binding: BindingModes,
}

impl AuthorizationServer {
    /// The server with this issuer identifier: one exact string, the same as the `iss` of
    /// its tokens and the `issuer` of its metadata, trailing slash included. Where its tokens have
    /// another `iss` there is [`token_issuer`](Self::token_issuer).
    ///
    /// # Errors
    /// The value is no absolute https URL, or has a query, a fragment, a user name or a
    /// password ([RFC 8414 section 2](https://www.rfc-editor.org/rfc/rfc8414#section-2)); or it
    /// is the address of the server's metadata or keys (`…/.well-known/openid-configuration`),
    /// in which case the error names the issuer to write.
    pub fn new(issuer: impl Into<String>) -> Result<Self, ConfigError> {
        Self::with_policy(issuer.into(), UrlPolicy::default())
    }

    /// A server for development, with plain `http` on a loopback address or `localhost`. There
    /// is a warning at start.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and an http URL that is not on loopback.
    pub fn insecure_http_on_loopback(issuer: impl Into<String>) -> Result<Self, ConfigError> {
        let policy = UrlPolicy {
            http_on_loopback: true,
            http_to: None,
        };
        let server = Self::with_policy(issuer.into(), policy)?;
        telemetry::weakened("insecure_http_on_loopback", server.issuer());
        Ok(server)
    }

    /// A server that is reached by plain `http`, and is not on loopback.
    ///
    /// The host is that of its issuer, inside a cluster, say. Who can answer for that host can
    /// sign tokens.
    ///
    /// # Errors
    /// As for [`new`](Self::new), but for https.
    pub fn dangerously_plain_http(issuer: impl Into<String>) -> Result<Self, ConfigError> {
        let issuer = issuer.into();
        let host = url::parse("issuer", &issuer)?.host_str().map(Into::into);
        telemetry::weakened("dangerously_plain_http", &issuer);
        let policy = UrlPolicy {
            http_on_loopback: false,
            http_to: host,
        };
        Self::with_policy(issuer, policy)
    }

    fn with_policy(issuer: String, policy: UrlPolicy) -> Result<Self, ConfigError> {
        url::parse("issuer", &issuer)?;
        well_known::refuse_as_issuer("issuer", &issuer)?;
        if !Written::split(&issuer).query.is_empty() {
            return Err(ConfigError::new("issuer", "an issuer has no query"));
        }
        policy
            .check(&issuer)
            .map_err(|why| ConfigError::new("issuer", why))?;
        Ok(Self::named(issuer.into(), policy))
    }

    /// The server with this issuer, which was judged.
    pub(super) fn named(issuer: Arc<str>, policy: UrlPolicy) -> Self {
        Self {
            origin: Origin {
                label: Arc::clone(&issuer),
                metadata_of: Arc::clone(&issuer),
                issuer,
                policy,
                source: Source::Discovery,
                key_use: KeyUse::Signatures,
                access: KeySetAccess::default(),
                algorithms: vec![
                    Algorithm::RS256,
                    Algorithm::PS256,
                    Algorithm::ES256,
                    Algorithm::ES384,
                    Algorithm::EdDSA,
                ],
            },
            advertised_as: None,
            is_advertised: true,
            trust_domain: None,
            audiences: Vec::new(),
            clock_skew: TokenProfile::DEFAULT_SKEW,
            scope_claim: ScopeClaim::default(),
            require_at_jwt: false,
            accepted_types: AcceptedTypes::default(),
            clients_are_principals: false,
            subject_claim: None,
            quirks: Quirks::default(),
            tenants: Vec::new(),
            introspection: None,
            introspection_without_audience: false,
            binding: BindingModes::default(),
        }
    }

    /// The issuer, as given.
    pub fn issuer(&self) -> &str {
        self.origin.metadata_of.as_ref()
    }

    /// Whether keys are fetched for it.
    pub(super) fn fetches_keys(&self) -> bool {
        let introspection = self.introspection.as_ref();
        let needs_none = introspection.is_some_and(Introspection::needs_no_keys);
        !needs_none && !matches!(self.origin.source, Source::Static(_))
    }

    /// Fetches the keys from here instead of discovering their place.
    ///
    /// # Errors
    /// The URL is not https (or http where this server allows it), it is that of the server's
    /// metadata, or `jwks` was set before.
    pub fn jwks_uri(mut self, jwks_uri: impl Into<String>) -> Result<Self, ConfigError> {
        let jwks_uri = jwks_uri.into();
        url::parse("jwks_uri", &jwks_uri)?;
        let wanted = "leave `jwks_uri` out, and the keys are found there";
        well_known::refuse_as("jwks_uri", &jwks_uri, wanted)?;
        self.origin
            .policy
            .check(&jwks_uri)
            .map_err(|why| ConfigError::new("jwks_uri", why))?;
        if matches!(self.origin.source, Source::Static(_)) {
            return Err(ConfigError::new(
                "jwks_uri",
                "`jwks` and `jwks_uri` contradict each other: keep one",
            ));
        }
        self.origin.source = Source::JwksUri(jwks_uri.into());
        Ok(self)
    }

    /// Uses this JSON Web Key Set and never fetches one.
    ///
    /// # Errors
    /// It is no key set, one of its keys cannot be used (here that is a mistake, not
    /// something to skip), it has none, or `jwks_uri` was set before.
    pub fn jwks(mut self, json: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        if matches!(self.origin.source, Source::JwksUri(_)) {
            return Err(ConfigError::new(
                "jwks",
                "`jwks_uri` and `jwks` contradict each other: keep one",
            ));
        }
        self.refuse_with_tenants("jwks")?;
        let keys = parse_static(json.as_ref(), &self.origin.issuer)
            .map_err(|why| ConfigError::new("jwks", why))?;
        self.origin.source = Source::Static(keys);
        Ok(self)
    }

    /// Expects this audience instead of the resource; further calls name alternatives.
    ///
    /// Use it for servers that issue tokens for another identifier of this very resource.
    /// An audience shared with other resources lets their tokens in.
    ///
    /// # Errors
    /// The audience is empty.
    pub fn audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        let audience = audience.into().into_boxed_str();
        if audience.is_empty() {
            return Err(ConfigError::new("audience", "the audience is empty"));
        }
        if self.quirks.ignore_audiences.contains(&audience) {
            return Err(ignore_audience(&audience));
        }
        self.audiences.push(audience);
        Ok(self)
    }

    /// The setting by which its tokens are accepted whatever resource they are for, and what that
    /// does.
    pub(super) fn knows_no_resource(&self) -> Option<(&'static str, &'static str)> {
        if !self.audiences.is_empty() {
            return Some(("audience", "it is the audience of all tokens of its server"));
        }
        if self.introspection_without_audience {
            return Some((
                "introspection_without_audience",
                "answers need not say which resource a token is for",
            ));
        }
        if self.own_audiences().next().is_some() {
            return Some(("audience", "it is the audience of all its answers"));
        }
        match self.quirks.clients {
            Clients::None => None,
            Clients::OneOf(_) => Some((
                "client_ids",
                "tokens without an audience are accepted by their client",
            )),
            Clients::Any => Some((
                "dangerously_accept_every_client_of_this_issuer",
                "tokens without an audience are accepted",
            )),
        }
    }

    /// The audiences that its tokens, or answers about them, have whatever the resource is called.
    pub(super) fn own_audiences(&self) -> impl Iterator<Item = &str> {
        let of_introspection = self.introspection.iter().flat_map(Introspection::audiences);
        let own = self.audiences.iter().map(|own| &**own);
        own.chain(of_introspection)
    }

    /// Replaces the algorithms tokens may be signed with; default RS256, PS256, ES256,
    /// ES384 and EdDSA.
    ///
    /// # Errors
    /// The list is empty, or holds an HMAC algorithm, or one that the backend does not verify
    /// (ES512 without `aws-lc-rs`).
    pub fn algorithms(
        mut self,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, ConfigError> {
        self.origin.algorithms = algorithms.into_iter().collect();
        if self.origin.algorithms.is_empty() {
            return Err(ConfigError::new(
                "algorithms",
                "the list is empty, so no token could pass",
            ));
        }
        let mut listed = self.origin.algorithms.iter();
        listed.try_for_each(|alg| alg.check_backend())?;
        if let Some(alg) = self
            .origin
            .algorithms
            .iter()
            .find(|alg| alg.family() == Family::Hmac)
        {
            return Err(ConfigError::new(
                "algorithms",
                format!(
                    "{alg} needs a secret shared with the authorization server, whose public keys \
                     could then sign; use JwtLayer for a secret of your own"
                ),
            ));
        }
        Ok(self)
    }

    /// How far the clocks of server and resource may differ; default 60 s.
    ///
    /// # Errors
    /// It is over 300 s.
    pub fn clock_skew(mut self, skew: Duration) -> Result<Self, ConfigError> {
        TokenProfile::check_skew(skew)?;
        self.clock_skew = skew;
        Ok(self)
    }

    /// Reads the scopes from another claim than `scope`, such as `scp` or `permissions`.
    ///
    /// The claim is a string with spaces, or an array of strings.
    ///
    /// # Errors
    /// The name is empty, or that of a claim with a meaning of its own.
    pub fn scope_claim(mut self, name: impl Into<String>) -> Result<Self, ConfigError> {
        self.scope_claim = ScopeClaim::named(name.into().into())?;
        Ok(self)
    }

    /// Requires the header `typ: at+jwt` of
    /// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068#section-4). Default: `at+jwt`,
    /// `JWT` and no `typ` pass, because most servers issue such. For servers that write
    /// something else see [`accepted_typ`](Self::accepted_typ).
    pub fn require_at_jwt(mut self) -> Self {
        self.require_at_jwt = true;
        self
    }

    /// Whether a token with neither subject nor username stands for its client; default
    /// false: it then stands for itself alone, because two users of one client are two.
    pub fn clients_are_principals(mut self, machines_only: bool) -> Self {
        self.clients_are_principals = machines_only;
        self
    }

    /// Asks the server about its opaque tokens, and, where that is set, about its JWTs.
    ///
    /// # Errors
    /// It was set before; nothing says how this server proves who it is; the endpoint is not
    /// https (or http where this server allows it), or not on loopback though no credentials
    /// are set; or two of the settings contradict each other.
    pub fn introspection(mut self, introspection: Introspection) -> Result<Self, ConfigError> {
        if self.introspection.is_some() {
            return Err(ConfigError::new(
                "introspection",
                "it was set before; a server has one endpoint",
            ));
        }
        self.refuse_with_tenants("introspection")?;
        introspection.check(self.issuer(), &self.origin.policy)?;
        self.introspection = Some(introspection);
        Ok(self)
    }

    /// Accepts answers that do not say whom their token is for: of a server that issues tokens
    /// for this resource alone. An `aud` that is there must match all the same. Default: an
    /// answer needs an `aud`.
    ///
    /// There is a warning at start: a token that the server issued for another resource is
    /// accepted here.
    pub fn introspection_without_audience(mut self) -> Self {
        telemetry::weakened("introspection_without_audience", self.issuer());
        self.introspection_without_audience = true;
        self
    }

    /// Lets plain `http` go to this one host, besides what was allowed before: a `jwks_uri`
    /// that is reached inside a cluster, say. Call it before
    /// [`jwks_uri`](Self::jwks_uri) and [`introspection`](Self::introspection).
    ///
    /// Who can answer for that host can sign tokens.
    ///
    /// # Errors
    /// The value is not a host alone, in lower case and without a port: it would never match.
    pub fn dangerously_allow_http_to(
        mut self,
        host: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let host = host.into().into_boxed_str();
        let parsed = ::url::Url::parse(&format!("http://{host}/"));
        if !parsed.is_ok_and(|url| url.host_str() == Some(&host) && url.port().is_none()) {
            return Err(ConfigError::new(
                "dangerously_allow_http_to",
                format!(
                    "{} is not a host alone, in lower case and without a port",
                    repeated(&host)
                ),
            ));
        }
        telemetry::weakened("dangerously_allow_http_to", &host);
        self.origin.policy.http_to = Some(host);
        Ok(self)
    }
}

/// An audience that says nothing was to say something.
pub(super) fn ignore_audience(audience: &str) -> ConfigError {
    ConfigError::new(
        "audience",
        format!(
            "all tokens of this issuer have the audience {audience:?}, so it counts as none: name \
             the accepted clients with `client_ids`, or have the server issue tokens for this \
             resource"
        ),
    )
}

impl TryFrom<&str> for AuthorizationServer {
    type Error = ConfigError;

    fn try_from(issuer: &str) -> Result<Self, ConfigError> {
        Self::new(issuer)
    }
}

impl TryFrom<String> for AuthorizationServer {
    type Error = ConfigError;

    fn try_from(issuer: String) -> Result<Self, ConfigError> {
        Self::new(issuer)
    }
}

impl TryFrom<&String> for AuthorizationServer {
    type Error = ConfigError;

    fn try_from(issuer: &String) -> Result<Self, ConfigError> {
        Self::new(issuer.as_str())
    }
}
