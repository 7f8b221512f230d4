//! How a token that is good, or was refused, is presented.

use super::binding::{Checked, Expected, Shown};
use super::introspection::Good;
use super::provider::OAuthProvider;
use super::served::Terms;
use crate::error::AuthError;

impl OAuthProvider {
    /// Judges how a good token is presented.
    pub(super) fn present(
        &self,
        good: &Good,
        shown: &Shown,
        token: &[u8],
        terms: &Terms,
    ) -> Result<Checked, AuthError> {
        let judged = good.bound_to().and_then(|bound_to| {
            let expected = Expected {
                token,
                bound_to: &bound_to,
                resource: &terms.url,
            };
            let (bindings, clock) = (&self.inner.bindings, &self.inner.clock);
            bindings.check(shown, expected, &good.principal, clock)
        });
        judged.map_err(|error| said_to(shown, error))
    }

    /// What a token is refused for. Where its owner is known, the request may be let pass, and is
    /// judged by the owner then: but not without what the token is bound to, nor without the proof
    /// that is used up by it.
    pub(super) fn refused(
        &self,
        error: AuthError,
        shown: &Shown,
        token: &[u8],
        terms: &Terms,
    ) -> AuthError {
        let bindings = &self.inner.bindings;
        let Some(owner) = error.owner().filter(|_| bindings.are_checked()) else {
            return said_to(shown, error);
        };
        let good = Good {
            principal: owner.clone(),
            valid_until: None,
            also_bound_to: error.bound_to().kept(),
        };
        let judged = good.bound_to().and_then(|bound_to| {
            let expected = Expected {
                token,
                bound_to: &bound_to,
                resource: &terms.url,
            };
            let judged = bindings.judge(shown, expected, &self.inner.clock);
            judged.map(|()| bound_to.key.is_some())
        });
        let error = match judged {
            Ok(false) => error,
            Ok(true) => error.without_owner(),
            Err(fault) => error.without_owner().and_also([fault]),
        };
        said_to(shown, error)
    }
}

/// The challenge of the scheme that was used has the code.
pub(super) fn said_to(shown: &Shown, error: AuthError) -> AuthError {
    error.by_proof(shown.is_by_proof())
}
