//! `Introspection`: how an authorization server is asked.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::client_auth::ClientAuth;
use super::custom::Introspect;
use super::limits::Limits;
use crate::error::ConfigError;
use crate::jose::{SigningKey, TokenLimits};
use crate::scope::Scopes;
use crate::telemetry;

/// How an authorization server is asked about its tokens
/// ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)): opaque ones, and, where that is
/// wanted, JWTs as well.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::OAuthLayer;
/// use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
///
/// let introspection = Introspection::discovered()
///     .client_secret_basic("mcp-server", "kf8Zq-3vT-x0W")?
///     .positive_ttl(Duration::from_secs(10));
/// let server = AuthorizationServer::new("https://auth.example.com")?.introspection(introspection)?;
/// let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
/// # let _ = layer;
///
/// // Credentials that are not there are found now, not with the first token.
/// assert!(Introspection::discovered().client_secret_basic("mcp-server", "").is_err());
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Introspection {
    pub(super) place: Place,
    pub(super) client_auth: Option<ClientAuth>,
    pub(super) assertion_audience: Option<Box<str>>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) require_signed_responses: bool,
    pub(super) prefixes: Vec<Box<str>>,
    pub(super) token_lengths: RangeInclusive<usize>,
    pub(super) jwts: JwtIntrospection,
    pub(super) opaque_tokens: bool,
    pub(super) limits: Limits,
}

/// Where answers come from.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Discovered,
    At(Box<str>),
    Custom(Arc<dyn Introspect>),
}

/// Which JWTs of the server are introspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum JwtIntrospection {
    /// None: their signature says all.
    Never,
    /// Those with one of these scopes, after they were found good here.
    WithScope(Scopes),
    /// All, after they were found good here.
    Always,
    /// All, and nothing of them is checked here: the server has no keys.
    InsteadOfKeys,
}

impl JwtIntrospection {
    /// The setter it was made by.
    fn setting(&self) -> &'static str {
        match self {
            Self::Never => "no_opaque_tokens",
            Self::WithScope(_) => "introspect_jwts_with_scope",
            Self::Always => "introspect_jwts",
            Self::InsteadOfKeys => "introspect_only",
        }
    }
}

impl Introspection {
    /// The endpoint named in the server's metadata, if it is on the issuer's own origin:
    /// credentials go there. One on another origin is configured with [`at`](Self::at).
    pub fn discovered() -> Self {
        Self::with_place(Place::Discovered)
    }

    /// The endpoint at this URL.
    ///
    /// # Errors
    /// The value is no absolute URL, has a fragment or a user name, or is the address of the
    /// server's metadata. That it is https is
    /// judged by [`AuthorizationServer::introspection`](super::super::AuthorizationServer::introspection).
    pub fn at(endpoint: impl Into<String>) -> Result<Self, ConfigError> {
        let endpoint = endpoint.into();
        crate::oauth::url::parse("introspection", &endpoint)?;
        let wanted = "write `Introspection::discovered()`, and the endpoint is found there";
        crate::token::well_known::refuse_as("introspection", &endpoint, wanted)?;
        Ok(Self::with_place(Place::At(endpoint.into())))
    }

    /// Asks in your own way; see [`Introspect`]. It brings its own credentials.
    pub fn custom(introspect: impl Introspect) -> Self {
        Self::with_place(Place::Custom(Arc::new(introspect)))
    }

    fn with_place(place: Place) -> Self {
        Self {
            place,
            client_auth: None,
            assertion_audience: None,
            audiences: Vec::new(),
            require_signed_responses: false,
            prefixes: Vec::new(),
            token_lengths: 16..=TokenLimits::DEFAULT.token,
            jwts: JwtIntrospection::Never,
            opaque_tokens: true,
            limits: Limits::new(),
        }
    }

    /// Proves who asks with a client id and secret in `Authorization: Basic`, both
    /// form-encoded first ([RFC 6749 section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)):
    /// ids with `@` and `:` work.
    ///
    /// # Errors
    /// One of them is empty, or another way was set before.
    pub fn client_secret_basic(
        self,
        client_id: impl Into<String>,
        secret: impl AsRef<str>,
    ) -> Result<Self, ConfigError> {
        self.client_auth(ClientAuth::basic(client_id.into().into(), secret.as_ref())?)
    }

    /// Proves who asks with a client id and secret in the form.
    ///
    /// # Errors
    /// As for [`client_secret_basic`](Self::client_secret_basic).
    pub fn client_secret_post(
        self,
        client_id: impl Into<String>,
        secret: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        self.client_auth(ClientAuth::post(client_id.into().into(), secret.into())?)
    }

    /// Proves who asks by signing
    /// ([RFC 7523 section 2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)). The
    /// assertion is for the issuer and good for 60 s.
    ///
    /// # Errors
    /// The id is empty, or another way was set before.
    pub fn private_key_jwt(
        self,
        client_id: impl Into<String>,
        key: SigningKey,
    ) -> Result<Self, ConfigError> {
        self.client_auth(ClientAuth::private_key_jwt(client_id.into().into(), key)?)
    }

    /// Names another audience for the assertion of [`private_key_jwt`](Self::private_key_jwt):
    /// some servers want the URL of their token endpoint.
    ///
    /// # Errors
    /// The audience is empty.
    pub fn assertion_audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        self.assertion_audience = Some(not_empty("assertion_audience", audience.into())?);
        Ok(self)
    }

    /// Proves who asks with a token in `Authorization: Bearer`.
    ///
    /// # Errors
    /// The token is empty, or another way was set before.
    pub fn bearer_token(self, token: impl AsRef<str>) -> Result<Self, ConfigError> {
        self.client_auth(ClientAuth::bearer(token.as_ref())?)
    }

    /// Proves nothing, which the RFC does not allow: for an endpoint on loopback.
    ///
    /// # Errors
    /// Another way was set before. That the endpoint is on loopback is judged where the
    /// server is known.
    pub fn unauthenticated_on_loopback(self) -> Result<Self, ConfigError> {
        telemetry::weakened(
            "unauthenticated_on_loopback",
            "introspection without credentials, on loopback",
        );
        self.client_auth(ClientAuth::Nothing { anywhere: false })
    }

    /// Proves nothing to an endpoint that is not on loopback: an administrative port inside
    /// a cluster, say. Every peer that reaches that port can try tokens on it.
    ///
    /// # Errors
    /// Another way was set before.
    pub fn dangerously_unauthenticated(self) -> Result<Self, ConfigError> {
        telemetry::weakened(
            "dangerously_unauthenticated",
            "introspection without credentials",
        );
        self.client_auth(ClientAuth::Nothing { anywhere: true })
    }

    fn client_auth(mut self, auth: ClientAuth) -> Result<Self, ConfigError> {
        let contradicts = match (&self.client_auth, &self.place) {
            (Some(earlier), _) => Some(earlier.setting()),
            (None, Place::Custom(_)) => Some("custom"),
            (None, _) => None,
        };
        if let Some(earlier) = contradicts {
            let setting = auth.setting();
            return Err(ConfigError::new(
                setting,
                format!("`{earlier}` and `{setting}` contradict each other: keep one"),
            ));
        }
        self.client_auth = Some(auth);
        Ok(self)
    }

    /// Expects this audience in answers, instead of the one the server's JWTs must have;
    /// further calls name alternatives. Some servers answer client ids.
    ///
    /// # Errors
    /// The audience is empty.
    pub fn audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        self.audiences.push(not_empty("audience", audience.into())?);
        Ok(self)
    }

    /// The audiences that answers must have, where they are others.
    pub(in crate::oauth) fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audiences.iter().map(|audience| &**audience)
    }

    /// Asks for signed answers ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)) and takes
    /// no others. They are checked with the issuer's keys and must be for this resource, or
    /// for the client that asked. The RFC binds no answer to its question: that one is about
    /// the token that was asked about rests on the connection.
    pub fn require_signed_responses(mut self) -> Self {
        self.require_signed_responses = true;
        self
    }

    /// How opaque tokens of this server begin; further calls name alternatives. All others
    /// are refused without a call.
    ///
    /// # Errors
    /// The prefix is empty.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Result<Self, ConfigError> {
        self.prefixes
            .push(not_empty("token_prefix", prefix.into())?);
        Ok(self)
    }

    /// How long opaque tokens of this server are, in bytes; 16 to 16,384. All others are
    /// refused without a call.
    pub fn token_lengths(mut self, lengths: RangeInclusive<usize>) -> Self {
        self.token_lengths = lengths;
        self
    }

    /// Introspects the server's JWTs as well, after they were found good here: a revoked one
    /// is refused as soon as an opaque one. Default: their signature says all.
    ///
    /// The principal stays that of the JWT: of the answer only that the token is active, its
    /// times, and an `iss` that is not another's, count. A JWT without `aud` (a lightweight
    /// access token of Keycloak) is the exception: once its signature holds it is judged by the
    /// answer like an opaque token, and the principal is that of the answer.
    ///
    /// # Errors
    /// [`introspect_jwts_with_scope`](Self::introspect_jwts_with_scope) or
    /// [`introspect_jwts_only`](Self::introspect_jwts_only) was set before.
    pub fn introspect_jwts(self) -> Result<Self, ConfigError> {
        self.jwts(JwtIntrospection::Always)
    }

    /// Introspects those of the server's JWTs that carry this scope.
    ///
    /// That is after they were found good here. Further calls name more scopes.
    ///
    /// # Errors
    /// The value is not one scope, or [`introspect_jwts`](Self::introspect_jwts) or
    /// [`introspect_jwts_only`](Self::introspect_jwts_only) was set before.
    pub fn introspect_jwts_with_scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        let mut names = vec![scope];
        let earlier = match std::mem::replace(&mut self.jwts, JwtIntrospection::Never) {
            JwtIntrospection::WithScope(scopes) => scopes,
            other => {
                self.jwts = other;
                Scopes::default()
            }
        };
        names.extend(earlier.iter());
        let scopes = Scopes::configured(names).map_err(|error| {
            ConfigError::new(
                "introspect_jwts_with_scope",
                format!("{scope:?} is not one scope: {error}"),
            )
        })?;
        self.jwts(JwtIntrospection::WithScope(scopes))
    }

    /// Introspects the server's JWTs and checks no signature: for a server that publishes no
    /// keys (its metadata have no `jwks_uri`). Which server is asked still depends on the
    /// token's `iss`.
    ///
    /// # Errors
    /// [`introspect_jwts`](Self::introspect_jwts) or
    /// [`introspect_jwts_with_scope`](Self::introspect_jwts_with_scope) was set before.
    pub fn introspect_jwts_only(self) -> Result<Self, ConfigError> {
        self.jwts(JwtIntrospection::InsteadOfKeys)
    }

    fn jwts(mut self, jwts: JwtIntrospection) -> Result<Self, ConfigError> {
        if self.jwts != JwtIntrospection::Never && self.jwts != jwts {
            let (earlier, later) = (self.jwts.setting(), jwts.setting());
            return Err(ConfigError::new(
                later,
                format!("`{earlier}` and `{later}` contradict each other: keep one"),
            ));
        }
        self.jwts = jwts;
        Ok(self)
    }

    /// Whether no signature is checked, neither of tokens nor of answers.
    pub(in crate::oauth) fn needs_no_keys(&self) -> bool {
        self.jwts == JwtIntrospection::InsteadOfKeys && !self.require_signed_responses
    }

    /// How long a call may take that sends requests. `None`: it is made in another way.
    pub(in crate::oauth) fn timeout_of_requests(&self) -> Option<Duration> {
        match self.place {
            Place::Discovered | Place::At(_) => Some(self.limits.timeout),
            Place::Custom(_) => None,
        }
    }

    /// Takes no opaque tokens: for a server that is asked about its JWTs alone.
    pub fn no_opaque_tokens(mut self) -> Self {
        self.opaque_tokens = false;
        self
    }
}

fn not_empty(setting: &'static str, value: String) -> Result<Box<str>, ConfigError> {
    if value.is_empty() {
        return Err(ConfigError::new(setting, "the value is empty"));
    }
    Ok(value.into())
}
