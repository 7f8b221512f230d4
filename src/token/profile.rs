//! The token profile: what a JWT must be to count as an access token here.
//!
//! RFC 9068 is the strict form. Most authorization servers issue something looser, so by
//! default a missing `typ` passes, and the marks of other kinds of tokens refuse instead.

use std::sync::Arc;
use std::time::Duration;

use super::binding::BindingModes;
#[cfg(feature = "oauth")]
use super::checks::check_algorithm;
use super::checks::{
    ahead, check_audience, check_issuer, check_kind, check_required, not_evidently_access,
    wrong_kind,
};
use super::claims::{ClaimReader, ScopeClaim};
use super::quirks::{Clients, Quirks};
use super::spiffe;
use super::subject::SubjectClaim;
use super::typ::AcceptedTypes;
use crate::error::{AuthError, ConfigError, Reason};
use crate::jose::Algorithm;
use crate::jose::{Header, Typ};
use crate::principal::{
    ClaimedNames, ClaimedTimes, CredentialDigest, CredentialParts, Identity, RawClaims,
};
use crate::scope::Scopes;
use crate::util::quoted;

/// What tokens of one issuer must satisfy besides their signature.
#[derive(Clone, Debug)]
pub(crate) struct TokenProfile {
    /// `principal.provider()`.
    pub(crate) provider: &'static str,
    /// Of an authorization server's keys; keys of one's own have their own.
    #[cfg_attr(not(feature = "oauth"), allow(dead_code))]
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) require_at_jwt: bool,
    /// Besides `at+jwt`, `JWT` and none.
    pub(crate) accepted_types: AcceptedTypes,
    /// `None` where no issuer is configured.
    pub(crate) issuer: Option<Arc<str>>,
    /// The SPIFFE trust domain that subjects must be in, where the tokens are JWT-SVIDs.
    pub(crate) trust_domain: Option<Arc<str>>,
    pub(crate) clock_skew: Duration,
    pub(crate) scope_claim: ScopeClaim,
    pub(crate) clients_are_principals: bool,
    /// `None`: `sub`, if there is one.
    pub(crate) subject_claim: Option<SubjectClaim>,
    /// Whether the issuer signs ID tokens and the like with the same keys.
    pub(crate) issues_many_kinds: bool,
    /// Whether a proxy at the edge made the token for this resource, and not for a client: what it
    /// hands on is no access token, and no client can have been given it.
    pub(crate) from_edge: bool,
    /// Whether its tokens may, or must, be bound to a key or a certificate.
    pub(crate) binding: BindingModes,
    /// What the issuer's tokens say in another way. `None`: nothing.
    pub(crate) quirks: Option<Arc<Quirks>>,
}

/// What marks an access token beside its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    None,
    /// The header `typ: at+jwt`, which no other kind of token has.
    AtJwt,
    /// The type an introspection answer gives it.
    #[cfg(feature = "oauth")]
    TokenType,
}

impl Mark {
    pub(crate) fn of(header: &Header<'_>) -> Self {
        match header.typ {
            Typ::AtJwt => Self::AtJwt,
            _ => Self::None,
        }
    }
}

/// Whom a token must be meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Any of these, byte by byte.
    OneOf(Vec<Box<str>>),
    Unchecked,
}

impl TokenProfile {
    /// How far clocks may differ, unless configured.
    pub(crate) const DEFAULT_SKEW: Duration = Duration::from_secs(60);
    const MAX_SKEW: Duration = Duration::from_secs(300);

    pub(crate) fn check_skew(skew: Duration) -> Result<(), ConfigError> {
        if skew > Self::MAX_SKEW {
            return Err(ConfigError::new(
                "clock_skew",
                format!(
                    "{} s are more than {} s; set the clocks instead",
                    skew.as_secs(),
                    Self::MAX_SKEW.as_secs()
                ),
            ));
        }
        Ok(())
    }

    /// Judges the header; no key is needed for it.
    #[cfg(feature = "oauth")]
    pub(crate) fn check_header(&self, header: &Header<'_>) -> Result<Algorithm, AuthError> {
        self.check_type(header)?;
        self.check_algorithm(header)
    }

    /// Judges the kind of token the header names.
    pub(crate) fn check_type(&self, header: &Header<'_>) -> Result<(), AuthError> {
        let accepted = match &header.typ {
            // JWT-SVID section 2.3: `JWT`, `JOSE` or none.
            Typ::AtJwt => self.trust_domain.is_none(),
            Typ::Jwt | Typ::Absent => !self.require_at_jwt,
            Typ::Other(typ) => self.accepted_types.hold(typ),
        };
        if !accepted {
            let typ = match &header.typ {
                Typ::Absent => "absent".to_owned(),
                Typ::Jwt => "JWT".to_owned(),
                Typ::AtJwt => "at+jwt".to_owned(),
                Typ::Other(other) => quoted(other),
            };
            return Err(wrong_kind(format!("the header has typ {typ}")));
        }
        Ok(())
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn check_algorithm(&self, header: &Header<'_>) -> Result<Algorithm, AuthError> {
        if self.trust_domain.is_some() && header.kid.is_none() {
            return Err(AuthError::new(Reason::UNKNOWN_KEY)
                .with_detail("the token has no key id, which a JWT-SVID must have here"));
        }
        check_algorithm(&self.algorithms, header)
    }

    /// Judges the claims, all but the scopes, and returns `exp`; no key is needed for it.
    pub(crate) fn check_claims(
        &self,
        header: &Header<'_>,
        claims: &ClaimReader<'_>,
        audience: &Audience,
        now: Duration,
    ) -> Result<Duration, AuthError> {
        self.check_issuer(claims)?;
        self.check_content(Mark::of(header), claims, audience)?;
        self.check_life(claims, now)
    }

    /// The same, where what the token does not say, whom it is for above all, is judged by
    /// what its server says of it.
    #[cfg(feature = "oauth")]
    pub(crate) fn check_what_is_there(
        &self,
        header: &Header<'_>,
        claims: &ClaimReader<'_>,
        now: Duration,
    ) -> Result<Duration, AuthError> {
        if Mark::of(header) != Mark::AtJwt {
            check_kind(claims)?;
        }
        // The answer may have what the token has not.
        self.binding.check(claims.confirmation.as_ref(), false)?;
        self.check_life(claims, now)
    }

    fn check_life(&self, claims: &ClaimReader<'_>, now: Duration) -> Result<Duration, AuthError> {
        let exp = Self::exp(claims)?;
        self.check_times(exp, claims.nbf, claims.iat, now)?;
        Ok(exp)
    }

    /// Whether it is from the one issuer, where there is one.
    pub(crate) fn check_issuer(&self, claims: &ClaimReader<'_>) -> Result<(), AuthError> {
        if let Some(trust_domain) = &self.trust_domain {
            spiffe::check_workload(trust_domain, claims.sub.as_deref())?;
            // JWT-SVIDs need no `iss`: the trust domain is the issuer.
            if self.issuer.as_ref() == Some(trust_domain) {
                return Ok(());
            }
        }
        match &self.issuer {
            Some(expected) => check_issuer(expected, claims.iss.as_deref()),
            None => Ok(()),
        }
    }

    pub(crate) fn exp(claims: &ClaimReader<'_>) -> Result<Duration, AuthError> {
        claims.exp.ok_or_else(|| {
            AuthError::new(Reason::MISSING_EXP).with_detail("the token never expires")
        })
    }

    /// Judges what the claims say of the token, whatever verified them: its kind, whom it
    /// is for, and how it is bound to a key.
    pub(crate) fn check_content(
        &self,
        mark: Mark,
        claims: &ClaimReader<'_>,
        audience: &Audience,
    ) -> Result<(), AuthError> {
        if mark != Mark::AtJwt {
            check_kind(claims)?;
        }
        check_required(claims)?;
        self.check_meant_for(mark, claims, audience)?;
        self.check_binding(claims)
    }

    /// All that [`check_what_is_there`](Self::check_what_is_there) finds of the same.
    pub(crate) fn faults_of_what_is_there(
        &self,
        mark: Mark,
        claims: &ClaimReader<'_>,
    ) -> Vec<AuthError> {
        let kind = match mark {
            Mark::AtJwt => Ok(()),
            _ => check_kind(claims),
        };
        let binding = self.binding.check(claims.confirmation.as_ref(), false);
        let found = [kind, binding];
        found.into_iter().filter_map(Result::err).collect()
    }

    /// All that the same checks find.
    pub(crate) fn content_faults(
        &self,
        mark: Mark,
        claims: &ClaimReader<'_>,
        audience: &Audience,
    ) -> Vec<AuthError> {
        let kind = match mark {
            Mark::AtJwt => Ok(()),
            _ => check_kind(claims),
        };
        [
            kind,
            check_required(claims),
            self.check_meant_for(mark, claims, audience),
            self.check_binding(claims),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect()
    }

    /// Whether the token is bound as its issuer's must be, and to no key that nothing here checks.
    fn check_binding(&self, claims: &ClaimReader<'_>) -> Result<(), AuthError> {
        self.binding.check(claims.confirmation.as_ref(), true)
    }

    /// Whether this is the resource, or one of the clients, that the token is for.
    fn check_meant_for(
        &self,
        mark: Mark,
        claims: &ClaimReader<'_>,
        audience: &Audience,
    ) -> Result<(), AuthError> {
        if let Audience::OneOf(expected) = audience {
            // What `token_use` may be was checked before.
            let is_access = mark != Mark::None
                || claims.token_use.is_some()
                || claims.has_scope
                || claims.marked;
            if let Some(clients) = self.clients().filter(|_| !claims.has_aud) {
                clients.check(claims.client_id.as_deref())?;
                if !is_access {
                    return Err(not_evidently_access("the token has no audience"));
                }
            } else {
                let audience = check_audience(expected, claims)?;
                if !is_access && !self.from_edge && self.may_be_client(audience, claims) {
                    return Err(not_evidently_access(&format!(
                        "the audience {} may be a client",
                        quoted(audience)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether tokens of some clients are accepted without an audience.
    #[cfg(feature = "oauth")]
    pub(crate) fn accepts_clients(&self) -> bool {
        self.clients().is_some()
    }

    /// The clients with tokens that are accepted without an audience, if there are any.
    fn clients(&self) -> Option<&Clients> {
        let clients = &self.quirks.as_ref()?.clients;
        (*clients != Clients::None).then_some(clients)
    }

    /// Whether the audience that matched can be a client id, for which ID tokens are issued
    /// too. An authorization server's client ids are no URIs; the tokens of a key of one's
    /// own are told by what they say of their client.
    fn may_be_client(&self, audience: &str, claims: &ClaimReader<'_>) -> bool {
        let is_uri = audience.contains("://") || audience.starts_with("urn:");
        let named = [&claims.client_id, &claims.azp];
        let is_named = named
            .into_iter()
            .flatten()
            .any(|client| *client == audience);
        is_named || self.issues_many_kinds && !is_uri
    }

    /// Judges the times by `now`; for a cached token as well.
    pub(crate) fn check_times(
        &self,
        exp: Duration,
        nbf: Option<Duration>,
        iat: Option<Duration>,
        now: Duration,
    ) -> Result<(), AuthError> {
        let latest = now.saturating_add(self.clock_skew);
        let is_ahead = |at: Option<Duration>| at.is_some_and(|at| at > latest);
        if now >= self.valid_until(exp) {
            return Err(self.expired(exp, now));
        }
        if is_ahead(nbf) {
            return Err(ahead(Reason::NOT_YET_VALID, "nbf", nbf, now));
        }
        if is_ahead(iat) {
            return Err(ahead(Reason::ISSUED_IN_THE_FUTURE, "iat", iat, now));
        }
        Ok(())
    }

    #[cold]
    fn expired(&self, exp: Duration, now: Duration) -> AuthError {
        AuthError::new(Reason::EXPIRED).with_detail(format!(
            "expired {} s ago, {} s of clock skew allowed",
            now.saturating_sub(exp).as_secs(),
            self.clock_skew.as_secs()
        ))
    }

    /// When a token with this `exp` stops being accepted.
    pub(crate) fn valid_until(&self, exp: Duration) -> Duration {
        exp.saturating_add(self.clock_skew)
    }

    /// The identity of a token that passed; `claims` were read from `json`.
    pub(crate) fn identity(
        &self,
        claims: &ClaimReader<'_>,
        json: &str,
        token: &[u8],
    ) -> Result<Identity, AuthError> {
        self.identity_with(RawClaims::Json(json.into()), claims, json, token)
    }

    /// The same, which keeps its claims as `raw`.
    pub(crate) fn identity_with(
        &self,
        raw: RawClaims,
        claims: &ClaimReader<'_>,
        json: &str,
        token: &[u8],
    ) -> Result<Identity, AuthError> {
        let scopes = claims.scope.as_deref().map(Scopes::from_claim);
        let scopes = scopes.unwrap_or_default();
        let issuer = match &self.issuer {
            Some(issuer) => Some(Arc::clone(issuer)),
            None => claims.iss.as_deref().map(Arc::from),
        };
        let configured = self.subject_claim.as_ref();
        let configured = configured.map(|claim| claim.read(json)).transpose()?;
        let subject = configured.as_deref().or(claims.sub.as_deref());
        let username = claims.username.as_deref();
        let client = claims.client();
        let actors = claims.acting.actors(client)?;
        let names = ClaimedNames::new(subject, username, client).with_actors(actors);
        // Two unnamed callers with the same client are not one principal, unless machines are
        // all there is.
        let is_machine = self.clients_are_principals && client.is_some();
        let is_unnamed = !names.name_principal() && !is_machine;
        Ok(Identity::claimed(
            self.provider,
            issuer,
            scopes,
            ClaimedTimes {
                issued_at: claims.iat,
                expires_at: claims.exp,
                clock_skew: self.clock_skew,
            },
            names,
            CredentialParts {
                digest: is_unnamed.then(|| CredentialDigest::of(token)),
                bound_to: claims.bound_to(),
            },
            raw,
        ))
    }
}
