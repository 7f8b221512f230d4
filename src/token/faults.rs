//! All that stands against a token, not the first thing alone.
//!
//! It is for a layer that lets pass what is refused for some reasons, and only for these.

use std::sync::Arc;
use std::time::Duration;

use super::checks::check_scopes;
use super::claims::ClaimReader;
use super::profile::{Audience, Mark, TokenProfile};
use crate::error::AuthError;
use crate::jose::Header;
use crate::principal::Principal;
use crate::scope::Scopes;

/// A token that its issuer was proven to issue, and what else decides on it.
pub(crate) struct Proven<'t> {
    pub(crate) claims: &'t ClaimReader<'t>,
    /// What the claims were read from.
    pub(crate) json: &'t str,
    pub(crate) token: &'t [u8],
    /// Whom it must be for.
    pub(crate) audience: &'t Audience,
    pub(crate) required_scopes: &'t Scopes,
    pub(crate) now: Duration,
}

impl TokenProfile {
    /// Judges a JWT with a good signature, all but its scopes, and returns `exp`. An error has
    /// with it what else stands against the token, its scopes included, and its principal, unless
    /// another server has a say in that, which is not asked about a bad token. `by_answer`: whom it
    /// is for is judged by what its server says of it.
    pub(crate) fn judge_all(
        &self,
        header: &Header<'_>,
        token: &Proven<'_>,
        by_answer: bool,
        others_decide: impl Fn(&Scopes) -> bool,
    ) -> Result<Duration, AuthError> {
        let claims = token.claims;
        let kind = self.check_type(header).err();
        let mark = Mark::of(header);
        let (issuer, content) = match by_answer {
            true => (None, self.faults_of_what_is_there(mark, claims)),
            false => (
                self.check_issuer(claims).err(),
                self.content_faults(mark, claims, token.audience),
            ),
        };
        let exp = Self::exp(claims);
        let times = self.time_faults(claims, token.now);
        let faults: Vec<_> = kind
            .into_iter()
            .chain(issuer)
            .chain(content)
            .chain(exp.as_ref().err().cloned())
            .chain(times)
            .collect();
        if faults.is_empty() {
            return exp;
        }
        let others_decide = |scopes: &Scopes| by_answer || others_decide(scopes);
        Err(self.settled(faults, token, others_decide))
    }

    /// The first of these faults, with the others and the principal of the token. There is at least
    /// one.
    pub(crate) fn settled(
        &self,
        mut faults: Vec<AuthError>,
        token: &Proven<'_>,
        others_decide: impl Fn(&Scopes) -> bool,
    ) -> AuthError {
        let mut owner = None;
        match self.identity(token.claims, token.json, token.token) {
            Err(fault) => faults.push(fault),
            Ok(identity) => {
                let decided = !others_decide(&identity.scopes);
                let principal = Principal::of(Arc::new(identity));
                let lacking = check_scopes(token.required_scopes, &principal).err();
                faults.extend(lacking.map(AuthError::alone));
                owner = decided.then_some(principal);
            }
        }
        let first = faults.remove(0).and_also(faults);
        match owner {
            Some(owner) => first.proven(owner),
            None => first,
        }
    }

    /// All that times say against a token, each by itself.
    pub(crate) fn time_faults(&self, claims: &ClaimReader<'_>, now: Duration) -> Vec<AuthError> {
        const NEVER: Duration = Duration::MAX;
        let exp = claims.exp.unwrap_or(NEVER);
        [
            self.check_times(exp, None, None, now),
            self.check_times(NEVER, claims.nbf, None, now),
            self.check_times(NEVER, None, claims.iat, now),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect()
    }
}
