//! The provider of JWTs: verifies the signature, checks the profile.

use std::fmt;
use std::sync::Arc;

use super::audience::Expected;
use super::keys::Keys;
use crate::auth::{
    Authenticate, Authenticated, Authentication, CredentialMatcher, ProviderInfo, Route,
};
use crate::clock::Clock;
use crate::credential::{Credential, Location, RequestHead};
use crate::error::AuthError;
use crate::jose::{Compact, HeaderBuffer, PayloadBuffer, TokenLimits};
use crate::principal::Principal;
use crate::refusal::Challenge;
use crate::scope::Scopes;
use crate::token::{Audience, ClaimReader, Proven, TokenProfile, check_scopes};

/// The provider of [`JwtLayer`](super::JwtLayer).
#[derive(Clone)]
pub struct JwtProvider {
    pub(super) keys: Keys,
    pub(super) profile: TokenProfile,
    pub(super) audience: Expected,
    pub(super) limits: TokenLimits,
    pub(super) required_scopes: Scopes,
    pub(super) location: Location,
    pub(super) realm: Box<str>,
    pub(super) clock: Clock,
}

impl JwtProvider {
    fn verify(
        &self,
        token: &[u8],
        audience: &Audience,
        needs_proof: bool,
    ) -> Result<Authenticated, AuthError> {
        let mut proven = false;
        let accepted = self.judge(token, audience, needs_proof, &mut proven);
        // What is accepted here is not the business of who has no token of ours.
        accepted.map_err(|error| if proven { error } else { error.unproven() })
    }

    /// `proven` is set where the signature holds.
    fn judge(
        &self,
        token: &[u8],
        audience: &Audience,
        needs_proof: bool,
        proven: &mut bool,
    ) -> Result<Authenticated, AuthError> {
        let compact = Compact::parse(token, self.limits)?;
        let keys = self.keys.current();
        let mut buffer = HeaderBuffer::default();
        let header = compact.header(&mut buffer)?;
        if !needs_proof && let Err(error) = self.profile.check_type(&header) {
            *proven = keys.signed(&compact, &header);
            return Err(error);
        }
        let alg = keys.check_algorithm(&header)?;
        let candidates = keys.select(&header, alg)?;
        let mut payload = PayloadBuffer::default();
        let payload = compact.payload(&mut payload)?;
        let mut claims = ClaimReader::default();
        claims.read(payload, &self.profile.scope_claim)?;
        keys.verify(&compact, &candidates, alg)?;
        *proven = true;
        let now = self.clock.now();
        let exp = if needs_proof {
            let token = Proven {
                claims: &claims,
                json: payload,
                token,
                audience,
                required_scopes: &self.required_scopes,
                now,
            };
            self.profile.judge_all(&header, &token, false, |_| false)?
        } else {
            self.profile.check_claims(&header, &claims, audience, now)?
        };
        let identity = self.profile.identity(&claims, payload, token)?;
        let principal = Principal::of(Arc::new(identity));
        check_scopes(&self.required_scopes, &principal)?;
        let valid_until = self.profile.valid_until(exp);
        Ok(Authenticated::until(principal, Some(valid_until)))
    }
}

impl Authenticate for JwtProvider {
    fn describe(&self) -> ProviderInfo {
        let location = self.location.clone();
        let matcher = match &self.profile.issuer {
            Some(issuer) => CredentialMatcher::jwt_from(location, [Arc::clone(issuer)]),
            None => CredentialMatcher::any_jwt(location),
        };
        let matcher = matcher.within(self.limits);
        // The keys of a file are others tomorrow.
        let matcher = match &self.keys {
            Keys::Configured(ring) => matcher.with_key_ids(ring.ids()),
            Keys::File(_) => matcher,
        };
        let challenge = Challenge::bearer()
            .realm(self.realm.to_string())
            .scopes(self.required_scopes.clone())
            .message("Invalid or expired JWT token");
        let info = ProviderInfo::new("jwt")
            .matcher(matcher)
            .challenge(challenge)
            .clock(self.clock.clone());
        self.audience.describe(info)
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        self.audience.route(head)
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        let accepted = self
            .audience
            .of(head)
            .and_then(|audience| self.verify(credential.as_bytes(), &audience, head.needs_proof()));
        Authentication::Ready(accepted)
    }
}

impl fmt::Debug for JwtProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtProvider")
            .field("keys", &self.keys)
            .field("issuer", &self.profile.issuer)
            .field("audience", &self.audience)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
