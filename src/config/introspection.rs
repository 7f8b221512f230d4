//! How an authorization server is asked about tokens (RFC 7662).

use serde::Deserialize;

use super::SecretSource;
use super::human::{Count, Flag, List, Size, Time};
use super::preset::Preset;
use crate::error::ConfigError;
use crate::jose::{Algorithm, SigningKey};
use crate::oauth::Introspection;

/// The section `introspection` of an authorization server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IntrospectionSection {
    /// Default: that of the preset, or the one in the server's metadata.
    endpoint: Option<String>,
    client_secret_basic: Option<Client>,
    client_secret_post: Option<Client>,
    private_key_jwt: Option<Signer>,
    bearer_token: Option<SecretSource>,
    unauthenticated_on_loopback: Flag,
    dangerously_unauthenticated: Flag,
    assertion_audience: Option<String>,
    audience: List<String>,
    signed_answers: Flag,
    token_prefix: List<String>,
    min_token_length: Option<Count>,
    max_token_length: Option<Count>,
    introspect_jwts: Flag,
    introspect_jwts_with_scope: List<String>,
    instead_of_keys: Flag,
    no_opaque_tokens: Flag,
    positive_life: Option<Time>,
    negative_life: Option<Time>,
    max_answers: Option<Count>,
    max_answer_bytes: Option<Size>,
    timeout: Option<Time>,
    concurrent_calls: Option<Count>,
    queue: Option<Count>,
    queue_deadline: Option<Time>,
    new_tokens_per_second: Option<Count>,
    waiting: Option<Count>,
}

/// A client, and the secret it shares with the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    client_id: String,
    client_secret: SecretSource,
}

/// A client that signs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signer {
    client_id: String,
    algorithm: String,
    /// In PEM.
    private_key: SecretSource,
    key_id: Option<String>,
}

impl IntrospectionSection {
    pub(super) fn build(&self, preset: Option<&Preset>) -> Result<Introspection, ConfigError> {
        let place = match (&self.endpoint, preset.and_then(Preset::introspection)) {
            (Some(endpoint), _) => {
                Introspection::at(endpoint).map_err(|error| error.at("endpoint"))?
            }
            (None, Some(introspection)) => introspection?,
            (None, None) => Introspection::discovered(),
        };
        let mut asked = self.authenticated(place)?;
        if let Some(audience) = &self.assertion_audience {
            asked = asked.assertion_audience(audience.as_str())?;
        }
        for audience in &self.audience.0 {
            asked = asked.audience(audience.as_str())?;
        }
        if self.signed_answers.0 {
            asked = asked.signed_answers();
        }
        for prefix in &self.token_prefix.0 {
            asked = asked.token_prefix(prefix.as_str())?;
        }
        if self.min_token_length.is_some() || self.max_token_length.is_some() {
            let least = self.min_token_length.map_or(16, Count::number);
            let most = self.max_token_length.map_or(16 * 1024, Count::number);
            if least > most {
                return Err(ConfigError::new(
                    "min_token_length",
                    "it is more than `max_token_length`, so no token could pass",
                ));
            }
            asked = asked.token_lengths(least..=most);
        }
        if self.introspect_jwts.0 {
            asked = asked.introspect_jwts()?;
        }
        for scope in &self.introspect_jwts_with_scope.0 {
            asked = asked.introspect_jwts_with_scope(scope)?;
        }
        if self.instead_of_keys.0 {
            asked = asked.instead_of_keys()?;
        }
        if self.no_opaque_tokens.0 {
            asked = asked.no_opaque_tokens();
        }
        self.limited(asked)
    }

    /// Says who asks. That one way is said is judged where the server is known.
    fn authenticated(&self, mut asked: Introspection) -> Result<Introspection, ConfigError> {
        if let Some(client) = &self.client_secret_basic {
            let path = "client_secret_basic";
            let secret = client.client_secret.resolve().map_err(|error| error.under(path))?;
            asked = asked
                .client_secret_basic(client.client_id.as_str(), secret.expose())
                .map_err(|error| error.at(path))?;
        }
        if let Some(client) = &self.client_secret_post {
            let path = "client_secret_post";
            let secret = client.client_secret.resolve().map_err(|error| error.under(path))?;
            asked = asked
                .client_secret_post(client.client_id.as_str(), secret.expose())
                .map_err(|error| error.at(path))?;
        }
        if let Some(signer) = &self.private_key_jwt {
            let path = "private_key_jwt";
            asked = asked
                .private_key_jwt(signer.client_id.as_str(), signer.key().map_err(|error| error.under(path))?)
                .map_err(|error| error.at(path))?;
        }
        if let Some(token) = &self.bearer_token {
            let token = token.resolve().map_err(|error| error.at("bearer_token"))?;
            asked = asked.bearer_token(token.expose())?;
        }
        if self.unauthenticated_on_loopback.0 {
            asked = asked.unauthenticated_on_loopback()?;
        }
        if self.dangerously_unauthenticated.0 {
            asked = asked.dangerously_unauthenticated()?;
        }
        Ok(asked)
    }

    fn limited(&self, mut asked: Introspection) -> Result<Introspection, ConfigError> {
        if let Some(Time(life)) = self.positive_life {
            asked = asked.positive_life(life);
        }
        if let Some(Time(life)) = self.negative_life {
            asked = asked.negative_life(life);
        }
        if let Some(Count(answers)) = self.max_answers {
            asked = asked.max_answers(answers);
        }
        if let Some(size) = self.max_answer_bytes {
            asked = asked.max_answer_bytes(size.bytes());
        }
        if let Some(Time(timeout)) = self.timeout {
            asked = asked.timeout(timeout);
        }
        if let Some(calls) = self.concurrent_calls {
            asked = asked.concurrent_calls(calls.number())?;
        }
        match (self.queue, self.queue_deadline) {
            (None, None) => {}
            (Some(calls), Some(Time(deadline))) => asked = asked.queue(calls.number(), deadline),
            _ => {
                return Err(ConfigError::new(
                    "queue",
                    "`queue` and `queue_deadline` go together: give both, or none",
                ));
            }
        }
        if let Some(Count(calls)) = self.new_tokens_per_second {
            let calls = u32::try_from(calls).unwrap_or(u32::MAX);
            asked = asked.new_tokens_per_second(calls)?;
        }
        if let Some(requests) = self.waiting {
            asked = asked.waiting(requests.number());
        }
        Ok(asked)
    }
}

impl Signer {
    fn key(&self) -> Result<SigningKey, ConfigError> {
        let algorithm: Algorithm =
            (self.algorithm.parse()).map_err(|error: ConfigError| error.at("algorithm"))?;
        let pem = self.private_key.resolve().map_err(|error| error.at("private_key"))?;
        let key = SigningKey::from_pem(algorithm, pem.expose())
            .map_err(|error| error.at("private_key"))?;
        Ok(match &self.key_id {
            Some(kid) => key.key_id(kid.as_str()),
            None => key,
        })
    }
}
