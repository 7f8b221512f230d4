//! From settings to what runs: what contradicts is refused, and the rest is put together.

use std::sync::Arc;

use tokio::sync::Mutex;
use url::Url;

use super::client_auth::ClientAuth;
use super::endpoint::Endpoint;
use super::settings::{Introspection, JwtIntrospection, Place};
use super::signed::Signed;
use super::store::{Introspector, Source};
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::jose::TokenLimits;
use crate::oauth::fetch::Fetch;
use crate::oauth::jwks_options::JwksOptions;
use crate::oauth::keys::{KeyStore, Together};
use crate::oauth::url::{UrlPolicy, is_loopback};
use crate::token::{Audience, TokenProfile};

/// The server that is asked, and what asking it needs.
pub(in crate::oauth) struct Own<'a> {
    pub(in crate::oauth) profile: &'a TokenProfile,
    pub(in crate::oauth) keys: &'a Arc<KeyStore>,
    pub(in crate::oauth) policy: UrlPolicy,
    /// The audience that its tokens must have, where that is not the resource.
    pub(in crate::oauth) audience: Option<&'a Audience>,
    /// What the authorization server calls this server: its resources.
    pub(in crate::oauth) known_as: &'a [Box<str>],
    pub(in crate::oauth) fetch: Arc<dyn Fetch>,
    pub(in crate::oauth) clock: Clock,
    pub(in crate::oauth) jwks_options: JwksOptions,
    pub(in crate::oauth) together: Arc<Together>,
}

impl Introspection {
    /// What cannot be judged before the server is known.
    pub(in crate::oauth) fn check(
        &self,
        issuer: &str,
        policy: &UrlPolicy,
    ) -> Result<(), ConfigError> {
        let refuse = |setting, why: &str| Err(ConfigError::new(setting, why));
        let is_on_loopback = |url: &str| Url::parse(url).is_ok_and(|url| is_loopback(&url));
        let endpoint = match &self.place {
            Place::At(endpoint) => {
                policy
                    .check(endpoint)
                    .map_err(|why| ConfigError::new("introspection", why))?;
                Some(&**endpoint)
            }
            Place::Discovered => Some(issuer),
            Place::Custom(_) => None,
        };
        match (endpoint, &self.client_auth) {
            (Some(_), None) => {
                return refuse(
                    "introspection",
                    "an authorization server must learn who asks: set `client_secret_basic`, \
                     `client_secret_post`, `private_key_jwt` or `bearer_token`",
                );
            }
            (Some(endpoint), Some(ClientAuth::Nothing { anywhere: false }))
                if !is_on_loopback(endpoint) =>
            {
                return refuse(
                    "unauthenticated_on_loopback",
                    "the endpoint is not on loopback: configure credentials",
                );
            }
            _ => {}
        }
        if self.assertion_audience.is_some()
            && !matches!(self.client_auth, Some(ClientAuth::PrivateKeyJwt { .. }))
        {
            return refuse(
                "assertion_audience",
                "only `private_key_jwt` makes assertions",
            );
        }
        if self.require_signed_responses && endpoint.is_none() {
            return refuse(
                "require_signed_responses",
                "`custom` brings answers of its own: check signatures there",
            );
        }
        if !self.opaque_tokens && self.jwts == JwtIntrospection::Never {
            return refuse(
                "no_opaque_tokens",
                "then nothing is introspected: set `introspect_jwts`, or leave introspection out",
            );
        }
        if !self.opaque_tokens && !self.prefixes.is_empty() {
            return refuse(
                "token_prefix",
                "`no_opaque_tokens` and `token_prefix` contradict each other: keep one",
            );
        }
        if self.limits.timeout.is_zero() {
            return refuse("timeout", "with zero no call would ever succeed");
        }
        if self.limits.max_waiting_requests == 0 {
            return refuse(
                "max_waiting_requests",
                "with zero no request could wait for an answer: give 1 or more",
            );
        }
        if self.limits.max_response_bytes == 0 {
            return refuse("max_response_bytes", "with zero no answer would fit");
        }
        if self.token_lengths.is_empty() || *self.token_lengths.end() > TokenLimits::DEFAULT.token {
            return refuse(
                "token_lengths",
                "the range is empty, or ends above 16,384 bytes",
            );
        }
        Ok(())
    }

    /// What runs. `any_audience`: an answer need not say whom its token is for.
    pub(in crate::oauth) fn wire(
        self,
        own: Own<'_>,
        any_audience: bool,
    ) -> Result<Introspector, ConfigError> {
        if any_audience && !self.audiences.is_empty() {
            return Err(ConfigError::new(
                "introspection_without_audience",
                "`audience` of the introspection contradicts it: keep one",
            ));
        }
        let profile = own.profile.clone();
        let audience = match self.audiences.is_empty() {
            true => own.audience.cloned(),
            false => Some(Audience::OneOf(self.audiences.clone())),
        };
        let label = Arc::clone(&own.keys.origin.label);
        let (fetch, clock) = (Arc::clone(&own.fetch), own.clock.clone());
        let together = Arc::clone(&own.together);
        let source = self.source(own);
        let mut introspector =
            Introspector::new(&label, self, source, profile, fetch, clock, together);
        introspector.audience = audience;
        introspector.without_audience = any_audience;
        Ok(introspector)
    }

    /// Who is asked, with all that needs.
    fn source(&self, own: Own<'_>) -> Source {
        let at = match &self.place {
            Place::Custom(custom) => return Source::Custom(Arc::clone(custom)),
            Place::At(endpoint) => Some(endpoint.clone()),
            Place::Discovered => None,
        };
        let mut client_auth = self.client_auth.clone().expect("`check` asks for it");
        let issuer = Arc::clone(&own.keys.origin.metadata_of);
        client_auth.assert_for(self.assertion_audience.clone());
        let signed = self.require_signed_responses.then(|| {
            let mut audiences = own.known_as.to_vec();
            audiences.extend(client_auth.client().map(Box::from));
            Signed {
                keys: Arc::clone(own.keys),
                // An answer is the server's own, whatever its tokens call it (RFC 9701 section 5).
                profile: TokenProfile {
                    issuer: Some(Arc::clone(&issuer)),
                    ..own.profile.clone()
                },
                audiences,
            }
        });
        Source::Endpoint(Box::new(Endpoint {
            issuer,
            policy: own.policy,
            at,
            client_auth,
            signed,
            max_response_bytes: self.limits.max_response_bytes,
            jwks_options: own.jwks_options,
            discovery_deadline: self.limits.timeout / 2,
            clock: own.clock,
            found: Mutex::default(),
        }))
    }

    /// The opaque tokens the server takes: those with one of these prefixes, or, where there
    /// is none, all that no other server takes. `None`: it takes none.
    pub(super) fn opaque_prefixes(&self) -> Option<&[Box<str>]> {
        self.opaque_tokens.then_some(&*self.prefixes)
    }
}
