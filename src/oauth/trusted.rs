//! One authorization server, ready to check tokens.

use std::sync::Arc;

use super::AuthorizationServer;
use super::fetch::Fetch;
use super::introspection::{Introspector, JwtIntrospection, Own};
use super::jwks_options::JwksOptions;
use super::keys::{KeyStore, Together};
use super::served::Terms;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::jose::{Compact, Header, SignatureBuffer};
use crate::scope::Scopes;
use crate::token::{Audience, ClaimReader, TokenProfile};

/// What tokens of one issuer must be, and the keys they are checked with.
pub(super) struct TrustedServer {
    /// Among those of its layer.
    pub(super) number: usize,
    pub(super) profile: TokenProfile,
    /// The audience that its tokens must have, where that is not the resource.
    audience: Option<Audience>,
    pub(super) keys: Arc<KeyStore>,
    pub(super) introspector: Option<Arc<Introspector>>,
}

/// How a server is reached.
pub(super) struct Network {
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) jwks_options: JwksOptions,
    pub(super) together: Arc<Together>,
}

impl TrustedServer {
    pub(super) fn new(
        number: usize,
        server: AuthorizationServer,
        profile: TokenProfile,
        known_as: &[Box<str>],
        network: Network,
    ) -> Result<Self, ConfigError> {
        let AuthorizationServer {
            origin,
            introspection,
            introspection_without_audience: any_audience,
            audiences,
            ..
        } = server;
        let audience = (!audiences.is_empty()).then_some(Audience::OneOf(audiences));
        let policy = origin.policy.clone();
        let keys = KeyStore::new(
            origin,
            Arc::clone(&network.fetch),
            network.clock.clone(),
            network.jwks_options.clone(),
            Arc::clone(&network.together),
        )?;
        let keys = Arc::new(keys);
        let introspector = match introspection {
            Some(settings) => {
                let own = Own {
                    profile: &profile,
                    keys: &keys,
                    policy,
                    audience: audience.as_ref(),
                    known_as,
                    fetch: network.fetch,
                    clock: network.clock,
                    jwks_options: network.jwks_options,
                    together: network.together,
                };
                Some(Arc::new(settings.wire(own, any_audience)?))
            }
            None if any_audience => {
                return Err(ConfigError::new(
                    "introspection_without_audience",
                    "there is no `introspection`",
                ));
            }
            None => None,
        };
        Ok(Self {
            number,
            profile,
            audience,
            keys,
            introspector,
        })
    }

    /// The audience that its tokens must have at a resource.
    pub(super) fn audience_at<'a>(&'a self, terms: &'a Terms) -> &'a Audience {
        self.audience.as_ref().unwrap_or(&terms.audience)
    }

    /// Whether JWTs of this server are checked with its keys.
    pub(super) fn has_keys(&self) -> bool {
        self.introspector
            .as_ref()
            .is_none_or(|introspector| *introspector.jwts() != JwtIntrospection::InsteadOfKeys)
    }

    /// Who tells whom a JWT is for that does not say so: where every JWT of this server is asked
    /// about, it may leave out what the answer has (Keycloak's lightweight access tokens do).
    pub(super) fn judges_by_answer(&self, claims: &ClaimReader<'_>) -> Option<&Arc<Introspector>> {
        let introspector = self.introspector.as_ref()?;
        let asks = *introspector.jwts() == JwtIntrospection::Always;
        (asks && !claims.has_aud && !self.profile.accepts_clients()).then_some(introspector)
    }

    /// Whether a token that is refused anyway was signed with one of the keys held. No key is
    /// fetched for it.
    #[cold]
    pub(super) fn is_proven(&self, token: &Compact<'_>, header: &Header<'_>) -> bool {
        let held = self.keys.held();
        let Some(set) = held.as_ref().filter(|_| self.has_keys()) else {
            return false;
        };
        let mut buffer = SignatureBuffer::default();
        let (alg, signature) = (
            self.profile.check_algorithm(header),
            token.signature(&mut buffer),
        );
        let (Ok(alg), Ok(signature)) = (alg, signature) else {
            return false;
        };
        let candidates = set.select(header.kid.as_deref(), alg);
        candidates.is_ok_and(|candidates| {
            let key = set.verify(&candidates, alg, token.signing_input(), signature);
            key.is_some()
        })
    }

    /// Whom to ask about a JWT of this server that was found good.
    pub(super) fn second_opinion(&self, granted: &Scopes) -> Option<&Arc<Introspector>> {
        let introspector = self.introspector.as_ref()?;
        let wanted = match introspector.jwts() {
            JwtIntrospection::Always => true,
            JwtIntrospection::WithScope(scopes) => {
                scopes.iter().any(|scope| granted.contains(scope))
            }
            JwtIntrospection::Never | JwtIntrospection::InsteadOfKeys => false,
        };
        wanted.then_some(introspector)
    }
}

/// What tokens of a server must be, as it is configured.
pub(super) fn profile(server: &AuthorizationServer) -> TokenProfile {
    TokenProfile {
        provider: "oauth",
        algorithms: server.origin.algorithms.clone(),
        require_at_jwt: server.require_at_jwt,
        accepted_types: server.accepted_types.clone(),
        issuer: Some(Arc::clone(&server.origin.issuer)),
        trust_domain: server.trust_domain.clone(),
        clock_skew: server.clock_skew,
        scope_claim: server.scope_claim.clone(),
        clients_are_principals: server.clients_are_principals,
        subject_claim: server.subject_claim.clone(),
        issues_many_kinds: true,
        from_edge: false,
        binding: server.binding,
        quirks: (!server.quirks.is_none()).then(|| Arc::new(server.quirks.clone())),
    }
}
