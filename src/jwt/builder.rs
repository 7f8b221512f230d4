use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;

use super::keys::KeyRing;
use super::{Jwt, JwtLayer};
use crate::clock::Clock;
use crate::credential::Location;
use crate::error::ConfigError;
use crate::header_name;
use crate::jose::{
    Algorithm, Audience, KeySource, PublicKey, ScopeClaim, Secret, TokenProfile, VerifyingKey,
};
use crate::scopes::Scopes;

/// The key of a [`JwtLayer`]: a secret or a public key, never guessed from bytes.
#[derive(Clone, Debug)]
pub struct JwtKey(KeySource);

impl From<Secret> for JwtKey {
    fn from(secret: Secret) -> Self {
        Self(KeySource::Secret(secret, None))
    }
}

impl From<PublicKey> for JwtKey {
    fn from(key: PublicKey) -> Self {
        Self(KeySource::Public(key))
    }
}

/// The settings of a [`JwtLayer`] before it is built.
#[derive(Clone, Debug)]
#[must_use]
pub struct JwtLayerBuilder {
    key: JwtKey,
    algorithms: Option<Vec<Algorithm>>,
    header_name: Option<String>,
    require_bearer: bool,
    issuer: Option<String>,
    audiences: Vec<Box<str>>,
    any_audience: bool,
    require_at_jwt: bool,
    clock_skew: Duration,
    required_scopes: Vec<String>,
    scope_claim: Option<Cow<'static, str>>,
    clients_are_principals: bool,
    realm: String,
    clock: Clock,
}

impl JwtLayerBuilder {
    pub(super) fn new(key: JwtKey) -> Self {
        Self {
            key,
            algorithms: None,
            header_name: None,
            require_bearer: true,
            issuer: None,
            audiences: Vec::new(),
            any_audience: false,
            require_at_jwt: false,
            clock_skew: TokenProfile::DEFAULT_SKEW,
            required_scopes: Vec::new(),
            scope_claim: None,
            clients_are_principals: false,
            realm: "MCP Server".to_owned(),
            clock: Clock::system(),
        }
    }

    /// Sets the algorithms a token may be signed with.
    ///
    /// Default: HS256 for a secret; for a public key the `alg` of its JWK, else RS256,
    /// ES256, ES384 or EdDSA, as its kind asks.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Names the key, for tokens with a `kid`: a key without an id serves only tokens
    /// without one.
    pub fn key_id(mut self, kid: impl Into<Box<str>>) -> Self {
        self.key = JwtKey(match self.key.0 {
            KeySource::Secret(secret, _) => KeySource::Secret(secret, Some(kid.into())),
            KeySource::Public(key) => KeySource::Public(key.key_id(kid)),
        });
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
    pub fn audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts tokens of a public key whomever they are meant for.
    ///
    /// Whoever signs with that key signs for others too: a token one of them was given
    /// works here.
    pub fn dangerously_any_audience(mut self) -> Self {
        self.any_audience = true;
        self
    }

    /// Requires the header `typ: at+jwt` of
    /// [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068#section-4). Default: `at+jwt`,
    /// `JWT` and no `typ` pass.
    pub fn require_at_jwt(mut self) -> Self {
        self.require_at_jwt = true;
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

    /// Reads the scopes from another claim than `scope`, as a string with spaces or as an
    /// array of strings.
    pub fn scope_claim(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.scope_claim = Some(name.into());
        self
    }

    /// Whether a token with neither subject nor username stands for its client; default
    /// false: it then stands for itself alone, because two users of one client are two.
    pub fn clients_are_principals(mut self, machines_only: bool) -> Self {
        self.clients_are_principals = machines_only;
        self
    }

    /// Sets the `realm` of the challenge; default `MCP Server`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
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
    /// - The list of algorithms is empty, or holds one that does not fit the key.
    /// - The secret is shorter than the hash of an algorithm (32, 48 or 64 bytes).
    /// - A public key has no audience, and `dangerously_any_audience` was not said; or both
    ///   were.
    /// - The clock skew is over 300 s; a scope, header name or audience is not one, or
    ///   the scope claim is one that is checked for itself.
    pub fn build(self) -> Result<JwtLayer, ConfigError> {
        let algorithms = self.checked_algorithms()?;
        let audience = self.checked_audience()?;
        TokenProfile::check_skew(self.clock_skew)?;
        if self.issuer.as_deref() == Some("") {
            return Err(ConfigError::new("issuer", "the issuer is empty"));
        }
        let header = match &self.header_name {
            Some(name) => header_name::check(name)?,
            None => AUTHORIZATION,
        };
        let required_scopes = Scopes::from_names(&self.required_scopes)
            .map_err(|error| ConfigError::new("required_scopes", error.to_string()))?;
        let scope_claim = match self.scope_claim {
            Some(name) => ScopeClaim::named(name)?,
            None => ScopeClaim::default(),
        };
        let key = VerifyingKey::prepare(&self.key.0, &algorithms)
            .ok_or_else(|| ConfigError::new("key", "the key is not valid"))?;
        Ok(JwtLayer::from_provider(Jwt {
            keys: Arc::new(KeyRing::new(vec![key], algorithms.clone())),
            profile: TokenProfile {
                provider: "jwt",
                algorithms,
                require_at_jwt: self.require_at_jwt,
                issuer: self.issuer.map(Into::into),
                audience,
                clock_skew: self.clock_skew,
                scope_claim,
                clients_are_principals: self.clients_are_principals,
                issues_many_kinds: false,
                quirks: None,
            },
            required_scopes,
            location: [if self.require_bearer {
                Location::scheme(header, "Bearer")
            } else {
                Location::bare(header)
            }],
            realm: self.realm.into(),
            clock: self.clock,
        }))
    }

    fn checked_algorithms(&self) -> Result<Vec<Algorithm>, ConfigError> {
        let refuse = |message: String| Err(ConfigError::new("algorithms", message));
        let key = &self.key.0;
        let algorithms = match &self.algorithms {
            None => vec![key.default_algorithm()],
            Some(list) => list.clone(),
        };
        if algorithms.is_empty() {
            return refuse("the list is empty, so no token could pass".to_owned());
        }
        for alg in &algorithms {
            if alg.family() != key.family() {
                return refuse(format!(
                    "{alg} does not go with {}; list only algorithms of the key's kind",
                    key.family().name()
                ));
            }
            if key.declared_algorithm().is_some_and(|own| own != *alg) {
                return refuse(format!("the JWK is for another algorithm than {alg}"));
            }
            let needed = match alg {
                Algorithm::HS512 => 64,
                Algorithm::HS384 => 48,
                _ => 32,
            };
            if let Some(len) = key.secret_len().filter(|len| *len < needed) {
                return Err(ConfigError::new(
                    "secret",
                    format!("{alg} needs a secret of at least {needed} bytes, this has {len}"),
                ));
            }
        }
        Ok(algorithms)
    }

    fn checked_audience(&self) -> Result<Audience, ConfigError> {
        if self.audiences.iter().any(|audience| audience.is_empty()) {
            return Err(ConfigError::new("audience", "an audience is empty"));
        }
        let is_secret = self.key.0.secret_len().is_some();
        match (self.audiences.is_empty(), self.any_audience) {
            (false, true) => Err(ConfigError::new(
                "audience",
                "`audience` and `dangerously_any_audience` contradict each other: keep one",
            )),
            (false, false) => Ok(Audience::OneOf(self.audiences.clone())),
            (true, false) if !is_secret => Err(ConfigError::new(
                "audience",
                "a public key needs an audience, because its owner signs tokens for others too; \
                 set `.audience(..)`, or say `.dangerously_any_audience()`",
            )),
            (true, _) => Ok(Audience::Unchecked),
        }
    }
}
