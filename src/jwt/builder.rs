//! The settings of `JwtLayer` before it is built.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;

use super::audience::AudienceSettings;
use super::key::{self, Held, JwtKey};
use super::keys::{KeyRing, Keys};
use super::{JwtLayer, JwtProvider};
use crate::clock::Clock;
use crate::credential::{Location, check_header_name};
use crate::error::ConfigError;
use crate::jose::{Algorithm, KeySource, TokenLimits};
use crate::resources::ResourceSet;
use crate::scope::Scopes;
use crate::telemetry;
use crate::token::binding::BindingModes;
use crate::token::well_known;
use crate::token::{AcceptedTypes, ScopeClaim, SubjectClaim, TokenProfile};

/// The settings of a [`JwtLayer`] before it is built.
#[derive(Clone, Debug)]
#[must_use]
pub struct JwtLayerBuilder {
    key: JwtKey,
    key_id: Option<Box<str>>,
    also_accepted: Vec<(Box<str>, JwtKey)>,
    algorithms: Option<Vec<Algorithm>>,
    header_name: Option<String>,
    require_bearer: bool,
    issuer: Option<String>,
    audience: AudienceSettings,
    require_at_jwt: bool,
    accepted_typ: Option<Vec<String>>,
    clock_skew: Duration,
    required_scopes: Vec<String>,
    scope_claim: Option<Cow<'static, str>>,
    clients_are_principals: bool,
    subject_claim: Option<String>,
    dangerous_subject_claim: Option<String>,
    realm: String,
    limits: TokenLimits,
    clock: Clock,
}

impl JwtLayerBuilder {
    pub(super) fn new(key: JwtKey) -> Self {
        Self {
            key,
            key_id: None,
            also_accepted: Vec::new(),
            algorithms: None,
            header_name: None,
            require_bearer: true,
            issuer: None,
            audience: AudienceSettings::default(),
            require_at_jwt: false,
            accepted_typ: None,
            clock_skew: TokenProfile::DEFAULT_SKEW,
            required_scopes: Vec::new(),
            scope_claim: None,
            clients_are_principals: false,
            subject_claim: None,
            dangerous_subject_claim: None,
            realm: "MCP Server".to_owned(),
            limits: TokenLimits::DEFAULT,
            clock: Clock::system(),
        }
    }

    /// Sets the algorithms a token may be signed with. Each key serves those that go with it.
    ///
    /// Default: HS256 for a secret; for a public key the `alg` of its JWK, else RS256,
    /// ES256, ES384, ES512 or EdDSA, as its kind asks.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Names the key, for tokens with a `kid`. Without, a public key serves only tokens
    /// without one, and a secret all tokens that name no other key.
    pub fn key_id(mut self, kid: impl Into<String>) -> Self {
        self.key_id = Some(kid.into().into());
        self
    }

    /// Accepts tokens of a further key as well, by its id: the old one beside the new, while
    /// tokens of the old one live. Further calls add more.
    ///
    /// A token that names a key is checked with that one alone; one that names none is tried
    /// with each key that fits its algorithm, four at most.
    ///
    /// ```
    /// use tower_mcp_auth::JwtLayer;
    /// use tower_mcp_auth::jose::Secret;
    ///
    /// let new = Secret::new("kR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE")?;
    /// let old = Secret::new("jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE")?;
    /// let layer = JwtLayer::builder(new)
    ///     .key_id("2026-12")
    ///     .also_accept("2026-11", old)
    ///     .build()?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn also_accept(mut self, key_id: impl Into<String>, key: impl Into<JwtKey>) -> Self {
        self.also_accepted.push((key_id.into().into(), key.into()));
        self
    }

    /// Reads the token from another header than `Authorization`, and from that one alone.
    pub fn header_name(mut self, name: impl Into<String>) -> Self {
        self.header_name = Some(name.into());
        self
    }

    /// Whether the token follows the scheme `Bearer`; default true. Without it the whole
    /// value of the header is the token, and `Bearer x` is refused as malformed.
    pub fn require_bearer(mut self, require: bool) -> Self {
        self.require_bearer = require;
        self
    }

    /// Requires `iss` to be exactly this string. Default: not checked.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Requires `aud` to hold this string, or one of those given by further calls. Default
    /// for a secret: not checked.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.audiences.push(audience.into().into());
        self
    }

    /// Accepts tokens of a public key for any audience.
    ///
    /// The owner of that key signs for other services too: a token for one of them works
    /// here.
    pub fn dangerously_any_audience(mut self) -> Self {
        telemetry::weakened(
            "dangerously_any_audience",
            "tokens of a public key are accepted whomever they are meant for",
        );
        self.audience.any = true;
        self
    }

    /// Serves several resources, of which host and path of a request choose one. The audience of a
    /// token is the URL of that one, byte by byte.
    ///
    /// A host that is none of the resources is 421 `unknown_host`, a path 404
    /// `unknown_resource`, and neither reaches the inner service, unless the path is
    /// [public](JwtLayer::public_path). What [`or`](JwtLayer::or) adds must judge the resource
    /// too; API keys [name theirs](crate::api_key::ApiKey::resources).
    ///
    /// ```
    /// use tower_mcp_auth::jose::Secret;
    /// use tower_mcp_auth::{JwtLayer, ResourceSet};
    ///
    /// let secret = Secret::new("jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE")?;
    /// let resources = ResourceSet::new()
    ///     .resource("https://a.example.com/mcp")?
    ///     .resource("https://b.example.com/mcp")?;
    /// let layer = JwtLayer::builder(secret).resources(resources).build()?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn resources(mut self, resources: ResourceSet) -> Self {
        self.audience.resources = Some(resources);
        self
    }

    /// Requires the header `typ: at+jwt` of
    /// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068#section-4). Default: `at+jwt`,
    /// `JWT` and no `typ` pass.
    pub fn require_at_jwt(mut self) -> Self {
        self.require_at_jwt = true;
        self
    }

    /// Accepts these values of the header `typ` as well: `JWS`, `JOSE`. They compare without
    /// regard to ASCII case and to `application/` before them. Default: `at+jwt`, `JWT` and no
    /// `typ` pass.
    ///
    /// A key of other kinds of tokens should have other values there: what has one of these is
    /// taken for an access token, unless a claim says that it is none.
    pub fn accepted_typ<I>(mut self, types: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.accepted_typ = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// How far the clocks of issuer and server may differ; default 60 s, at most 300 s.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Requires these scopes of every token: with less, 403 `insufficient_scope`. Default
    /// none.
    pub fn required_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.required_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Reads the scopes from another claim than `scope`.
    ///
    /// The claim is a string with spaces, or an array of strings.
    pub fn scope_claim(mut self, name: impl Into<String>) -> Self {
        self.scope_claim = Some(name.into().into());
        self
    }

    /// Whether a token with neither subject nor username stands for its client; default
    /// false: it then stands for itself alone, because two users of one client are two.
    pub fn clients_are_principals(mut self, machines_only: bool) -> Self {
        self.clients_are_principals = machines_only;
        self
    }

    /// Reads the subject from another claim than `sub`: `user_id`, `uid`.
    ///
    /// It must be a string, or a whole number, which stands for its digits. A token without it
    /// is refused (`missing_subject`). With `"sub"`, a token must have that one. `oid` goes
    /// with `tid`, and the subject is `{tid}/{oid}`. A claim that can be changed or
    /// reassigned takes [`dangerously_subject_claim`](Self::dangerously_subject_claim).
    ///
    /// ```
    /// use tower_mcp_auth::JwtLayer;
    /// use tower_mcp_auth::jose::Secret;
    ///
    /// let secret = Secret::new("jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE")?;
    /// let layer = JwtLayer::builder(secret.clone()).subject_claim("user_id").build()?;
    /// # let _ = layer;
    /// assert!(JwtLayer::builder(secret).subject_claim("email").build().is_err());
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn subject_claim(mut self, name: impl Into<String>) -> Self {
        self.subject_claim = Some(name.into());
        self
    }

    /// The same with a claim that can change hands: `email`, `upn`.
    ///
    /// Who has an address next is the principal that had it before, with its sessions and
    /// limits. There is a warning at start.
    pub fn dangerously_subject_claim(mut self, name: impl Into<String>) -> Self {
        telemetry::weakened(
            "dangerously_subject_claim",
            "subjects are named by a claim that can be given to somebody else",
        );
        self.dangerous_subject_claim = Some(name.into());
        self
    }

    /// Sets the `realm` of the challenge; default `MCP Server`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// The longest token, in bytes: 16 KiB, and from 1 KiB to 64 KiB. A longer one is 401
    /// `token_too_large`, before anything of it is hashed or decoded. Servers limit the headers
    /// of a request as well.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.limits.token = bytes;
        self
    }

    /// The longest JOSE header of a token, in bytes of its JSON; 4 KiB.
    ///
    /// From 256 bytes to 16 KiB. A token with a longer one is 401 `header_too_large`.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.limits.header = bytes;
        self
    }

    /// Replaces the clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The finished layer.
    ///
    /// # Errors
    /// - The list of algorithms is empty, or holds one that fits none of the keys, or that the
    ///   backend does not verify (ES512 without `aws-lc-rs`); or none of it fits one of them.
    /// - Two keys have one id, or an id is empty; a file of keys cannot be read or has no usable
    ///   key, or is set together with an id or with further keys.
    /// - The secret is shorter than the hash of an algorithm (32, 48 or 64 bytes).
    /// - A public key has no audience, and `dangerously_any_audience` was not said; or both
    ///   were; or there are several resources as well, or an empty set of these.
    /// - The clock skew is over 300 s, or a limit is out of its bounds; a scope, header name or
    ///   audience is not one, or the scope claim is one that is checked for itself.
    /// - The issuer is empty, or is the address of its metadata or keys.
    /// - The subject claim is none that names a subject, or only `dangerously_subject_claim`
    ///   takes it; or both were set.
    /// - An accepted `typ` is none, or that of another kind of token; or `require_at_jwt` was
    ///   set as well.
    pub fn build(self) -> Result<JwtLayer, ConfigError> {
        let sources = key::sources(&self.key, self.key_id.as_deref(), &self.also_accepted)?;
        key::check_algorithms(self.algorithms.as_deref(), &sources)?;
        TokenProfile::check_skew(self.clock_skew)?;
        self.limits.check()?;
        if self.issuer.as_deref() == Some("") {
            return Err(ConfigError::new("issuer", "the issuer is empty"));
        }
        if let Some(issuer) = &self.issuer {
            well_known::refuse_as_issuer("issuer", issuer)?;
        }
        let header = match &self.header_name {
            Some(name) => check_header_name(name)?,
            None => AUTHORIZATION,
        };
        let required_scopes = Scopes::configured(&self.required_scopes)
            .map_err(|error| ConfigError::new("required_scopes", error.to_string()))?;
        let is_secret = |key: &KeySource| key.secret_len().is_some();
        let are_secrets = !sources.is_empty() && sources.iter().all(is_secret);
        let audience = self.audience.check(are_secrets, &required_scopes)?;
        let scope_claim = match self.scope_claim {
            Some(name) => ScopeClaim::named(name)?,
            None => ScopeClaim::default(),
        };
        let mut subject_claim = None;
        if let Some(name) = &self.subject_claim {
            SubjectClaim::named(name)?.replace(&mut subject_claim)?;
        }
        if let Some(name) = &self.dangerous_subject_claim {
            SubjectClaim::dangerously_named(name)?.replace(&mut subject_claim)?;
        }
        let accepted_types = match self.accepted_typ {
            Some(_) if self.require_at_jwt => return Err(AcceptedTypes::contradicts_at_jwt()),
            Some(types) => AcceptedTypes::new(types)?,
            None => AcceptedTypes::default(),
        };
        let keys = match &self.key.0 {
            Held::File(file) => Keys::File(file.open(self.algorithms.clone())?),
            Held::One(_) => {
                let mut ring = KeyRing::default();
                for source in &sources {
                    let added = ring.add(source, self.algorithms.as_deref());
                    added.map_err(|why| ConfigError::new("key", why))?;
                }
                Keys::Configured(Arc::new(ring))
            }
        };
        Ok(JwtLayer::from_provider(JwtProvider {
            keys,
            profile: TokenProfile {
                provider: "jwt",
                // Each key has its own.
                algorithms: Vec::new(),
                require_at_jwt: self.require_at_jwt,
                accepted_types,
                issuer: self.issuer.map(Into::into),
                trust_domain: None,
                clock_skew: self.clock_skew,
                scope_claim,
                clients_are_principals: self.clients_are_principals,
                subject_claim,
                issues_many_kinds: false,
                from_edge: false,
                binding: BindingModes::default(),
                quirks: None,
            },
            audience,
            limits: self.limits,
            required_scopes,
            location: if self.require_bearer {
                Location::scheme(header, "Bearer")
            } else {
                Location::bare(header)
            },
            realm: self.realm.into(),
            clock: self.clock,
        }))
    }
}
