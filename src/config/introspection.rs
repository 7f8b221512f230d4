//! Introspection endpoints as data.

use serde::Deserialize;

use super::common::{algorithm, secret_at};
use super::presets::Preset;
use super::secret::SecretSource;
use super::sections::section;
use super::units::{Name, Size, Span, Texts};
use crate::error::ConfigError;
use crate::jose::SigningKey;
use crate::oauth::Introspection;

section! {
    /// Asks the authorization server about its tokens (RFC 7662).
    IntrospectionSection {
        /// Where; by default what the preset or the server's metadata say.
        endpoint: Option<String>,
        /// Who asks.
        client_id: Option<Name>,
        /// The secret of the client.
        client_secret: Option<SecretSource>,
        /// Where the secret of the client stands.
        client_secret_in: Option<ClientSecretIn>,
        /// The private key of the client as PEM, instead of a secret.
        private_key: Option<SecretSource>,
        /// What is signed with the private key.
        private_key_algorithm: Option<String>,
        /// The id of the private key.
        private_key_id: Option<Name>,
        /// The audience of what is signed with it.
        assertion_audience: Option<String>,
        /// A token, instead of a client.
        bearer_token: Option<SecretSource>,
        /// Proves nothing, to an endpoint on loopback.
        unauthenticated_on_loopback: bool,
        /// Proves nothing, wherever the endpoint is.
        dangerously_unauthenticated: bool,
        /// The audiences of answers, instead of those of JWTs.
        audience: Texts,
        /// Takes signed answers alone (RFC 9701).
        require_signed_responses: bool,
        /// How opaque tokens begin.
        token_prefixes: Texts,
        /// How long opaque tokens are at least, in bytes.
        token_min_length: Option<usize>,
        /// How long opaque tokens are at most, in bytes.
        token_max_length: Option<usize>,
        /// Which JWTs it is asked about.
        jwts: Option<Jwts>,
        /// It is asked about JWTs that have one of these scopes.
        jwts_with_scopes: Texts,
        /// Takes no opaque tokens.
        no_opaque_tokens: bool,
        /// How long a good answer is remembered.
        positive_ttl: Option<Span>,
        /// How long another answer is remembered.
        negative_ttl: Option<Span>,
        /// How many answers are remembered.
        cache_capacity: Option<u64>,
        /// How large an answer may be.
        max_response_bytes: Option<Size>,
        /// How long the endpoint may take.
        timeout: Option<Span>,
        /// How many questions are under way at once.
        max_concurrent_requests: Option<usize>,
        /// How many more questions wait for their turn.
        max_queued: Option<usize>,
        /// How long they wait.
        queue_timeout: Option<Span>,
        /// How many unknown tokens are asked about in a second.
        unknown_token_rate_limit: Option<u32>,
        /// How many requests may wait.
        max_waiting_requests: Option<usize>,
    }
}

/// Where the secret of a client stands.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientSecretIn {
    /// In `Authorization: Basic`.
    #[default]
    Basic,
    /// In the form.
    Post,
}

/// Which JWTs an endpoint is asked about.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Jwts {
    /// All, after they were found good here.
    Introspect,
    /// All, and their signature is not checked: for a server that publishes no keys.
    IntrospectOnly,
}

impl IntrospectionSection {
    pub(super) fn build(
        &self,
        preset: Option<&Preset>,
        path: &str,
    ) -> Result<Introspection, ConfigError> {
        let at = |key: &str| {
            let path = format!("{path}.{key}");
            move |error: ConfigError| error.at(path)
        };
        let known = preset.and_then(Preset::introspection);
        let start = match (&self.endpoint, known) {
            (Some(endpoint), _) => Introspection::at(endpoint),
            (None, Some(known)) => known,
            (None, None) => Ok(Introspection::discovered()),
        };
        let mut asks = self.client(start.map_err(at("endpoint"))?, path)?;
        if let Some(audience) = &self.assertion_audience {
            let set = asks.assertion_audience(audience.as_str());
            asks = set.map_err(at("assertion_audience"))?;
        }
        for audience in &self.audience.0 {
            asks = asks.audience(audience.as_str()).map_err(at("audience"))?;
        }
        if self.require_signed_responses {
            asks = asks.require_signed_responses();
        }
        for prefix in &self.token_prefixes.0 {
            let set = asks.token_prefix(prefix.as_str());
            asks = set.map_err(at("token_prefixes"))?;
        }
        match (self.token_min_length, self.token_max_length) {
            (None, None) => {}
            (least, most) => {
                asks = asks.token_lengths(least.unwrap_or(16)..=most.unwrap_or(16_384));
            }
        }
        for scope in &self.jwts_with_scopes.0 {
            let set = asks.introspect_jwts_with_scope(scope);
            asks = set.map_err(at("jwts_with_scopes"))?;
        }
        asks = match self.jwts {
            None => asks,
            Some(Jwts::Introspect) => asks.introspect_jwts().map_err(at("jwts"))?,
            Some(Jwts::IntrospectOnly) => asks.introspect_jwts_only().map_err(at("jwts"))?,
        };
        if self.no_opaque_tokens {
            asks = asks.no_opaque_tokens();
        }
        self.limits(asks, path)
    }

    /// How it is proved who asks. That there is one way is judged by the settings themselves.
    fn client(&self, mut asks: Introspection, path: &str) -> Result<Introspection, ConfigError> {
        let place = |key: &str| format!("{path}.{key}");
        let key = self.private_key.is_some();
        let client = self.client_secret.is_some() || key;
        let secret = self.client_secret.is_some();
        let idle = [
            (
                "client_id",
                self.client_id.is_some() && !client,
                "client_secret",
            ),
            (
                "client_secret_in",
                self.client_secret_in.is_some() && !secret,
                "client_secret",
            ),
            (
                "private_key_algorithm",
                self.private_key_algorithm.is_some() && !key,
                "private_key",
            ),
            (
                "private_key_id",
                self.private_key_id.is_some() && !key,
                "private_key",
            ),
        ];
        for (setting, is_idle, other) in idle {
            if is_idle {
                let why = format!("it goes with `{other}`, which is not there");
                return Err(ConfigError::new(setting, why).at(place(setting)));
            }
        }
        let id = || match &self.client_id {
            Some(id) => Ok(id.as_str()),
            None => {
                let why = "it is missing, and the secret or key of a client is there";
                Err(ConfigError::new("client_id", why).at(place("client_id")))
            }
        };
        if let Some(secret) = &self.client_secret {
            let path = place("client_secret");
            let secret = secret_at(secret, &path)?;
            let secret = secret.expose();
            let set = match self.client_secret_in.unwrap_or_default() {
                ClientSecretIn::Basic => asks.client_secret_basic(id()?, secret),
                ClientSecretIn::Post => asks.client_secret_post(id()?, secret),
            };
            asks = set.map_err(|error| error.at(path))?;
        }
        if let Some(key) = &self.private_key {
            let path = place("private_key");
            let pem = secret_at(key, &path)?;
            let Some(name) = &self.private_key_algorithm else {
                let why = "it is missing; name what the private key signs with, such as `ES256`";
                let path = place("private_key_algorithm");
                return Err(ConfigError::new("algorithm", why).at(path));
            };
            let signs =
                algorithm(name).map_err(|error| error.at(place("private_key_algorithm")))?;
            let mut key = SigningKey::from_pem(signs, pem.expose())
                .map_err(|error| error.at(path.as_str()))?;
            if let Some(kid) = &self.private_key_id {
                key = key.key_id(kid.as_str());
            }
            let set = asks.private_key_jwt(id()?, key);
            asks = set.map_err(|error| error.at(path))?;
        }
        if let Some(token) = &self.bearer_token {
            let path = place("bearer_token");
            let token = secret_at(token, &path)?;
            let set = asks.bearer_token(token.expose());
            asks = set.map_err(|error| error.at(path))?;
        }
        if self.unauthenticated_on_loopback {
            let set = asks.unauthenticated_on_loopback();
            asks = set.map_err(|error| error.at(place("unauthenticated_on_loopback")))?;
        }
        if self.dangerously_unauthenticated {
            let set = asks.dangerously_unauthenticated();
            asks = set.map_err(|error| error.at(place("dangerously_unauthenticated")))?;
        }
        Ok(asks)
    }

    fn limits(&self, mut asks: Introspection, path: &str) -> Result<Introspection, ConfigError> {
        let place = |key: &str| format!("{path}.{key}");
        if let Some(Span(life)) = self.positive_ttl {
            asks = asks.positive_ttl(life);
        }
        if let Some(Span(life)) = self.negative_ttl {
            asks = asks.negative_ttl(life);
        }
        if let Some(answers) = self.cache_capacity {
            asks = asks.cache_capacity(answers);
        }
        if let Some(size) = self.max_response_bytes {
            asks = asks.max_response_bytes(size.bytes(place("max_response_bytes"))?);
        }
        if let Some(Span(timeout)) = self.timeout {
            asks = asks.timeout(timeout);
        }
        if let Some(calls) = self.max_concurrent_requests {
            let set = asks.max_concurrent_requests(calls);
            asks = set.map_err(|error| error.at(place("max_concurrent_requests")))?;
        }
        if let Some(calls) = self.max_queued {
            asks = asks.max_queued(calls);
        }
        if let Some(Span(timeout)) = self.queue_timeout {
            asks = asks.queue_timeout(timeout);
        }
        if let Some(calls) = self.unknown_token_rate_limit {
            let set = asks.unknown_token_rate_limit(calls);
            asks = set.map_err(|error| error.at(place("unknown_token_rate_limit")))?;
        }
        if let Some(requests) = self.max_waiting_requests {
            asks = asks.max_waiting_requests(requests);
        }
        Ok(asks)
    }
}
