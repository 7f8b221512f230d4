//! The caller of a request, as a layer further in sees it.

use std::sync::Arc;

use http::Extensions;

use super::RefusalContext;
use crate::error::{AuthError, AuthErrorKind, Reason};
use crate::principal::Principal;
use crate::requirement::Judged;
use crate::scope::Scopes;

/// The mark an auth layer leaves on a request it let through without a principal.
#[derive(Clone, Debug)]
pub(crate) struct NoPrincipal {
    pub(crate) context: Arc<RefusalContext>,
    pub(crate) cause: Cause,
    /// What the request would have been refused for.
    pub(crate) error: Option<AuthError>,
    /// The owner of that credential, where it was proven. It is no `Principal` of the request,
    /// which a handler would take for an accepted one: layers further in judge by it.
    pub(crate) proven: Option<Principal>,
}

/// Why a request was let through without a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It needed no credential, and had none.
    Anonymous,
    /// It was not asked who it is from: its path is public, or that of a document.
    Exempt,
    /// Its credential is not accepted, which is only reported.
    Reported,
}

/// The caller of a request, as a layer further in sees it.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Who was accepted. `None` for a request that was let through without a principal.
    pub(crate) principal: Option<&'a Principal>,
    /// The owner of a credential that was proven and let pass all the same.
    proven: Option<&'a Principal>,
    pub(crate) context: &'a RefusalContext,
    /// Why there is no principal, where a bad credential was only reported.
    pub(crate) reported: Option<&'a AuthError>,
    /// Whether the request was not asked who it is from.
    pub(crate) is_exempt: bool,
}

impl<'a> Caller<'a> {
    /// Of a principal that a handler holds.
    pub(crate) fn accepted(principal: &'a Principal) -> Self {
        Self {
            principal: Some(principal),
            proven: None,
            context: RefusalContext::of(principal),
            reported: None,
            is_exempt: false,
        }
    }

    /// `None` where no auth layer ran.
    pub(crate) fn of(extensions: &'a Extensions) -> Option<Self> {
        if let Some(principal) = extensions.get::<Principal>() {
            return Some(Self::accepted(principal));
        }
        let mark: &NoPrincipal = extensions.get()?;
        Some(Self {
            principal: None,
            proven: mark.proven.as_ref(),
            context: &mark.context,
            reported: match mark.cause {
                Cause::Anonymous | Cause::Exempt => None,
                Cause::Reported => mark.error.as_ref(),
            },
            is_exempt: mark.cause == Cause::Exempt,
        })
    }

    /// By whom the request is judged: the accepted caller, or the owner of a proven credential.
    pub(crate) fn known(self) -> Option<&'a Principal> {
        self.principal.or(self.proven)
    }

    /// What was reported of a credential that was not proven.
    fn unproven(self) -> Option<&'a AuthError> {
        self.reported.filter(|_| self.known().is_none())
    }

    /// Whether a request is let pass that is to be refused for this. What was reported of its
    /// credential opens nothing further in: only a gate does, if its own reason is reported.
    fn reports(self, error: &AuthError) -> bool {
        // To an unproven caller a gate says that the credential is missing, where it would say
        // to a proven one that scopes are.
        let asks_for_scopes =
            || self.unproven().is_some() && error.kind() == AuthErrorKind::Missing;
        self.context.reports(error.as_reason())
            || asks_for_scopes() && self.context.reports(Reason::INSUFFICIENT_SCOPE)
    }

    /// What of an error, and of what it adds, a request is refused for; `None` where all of it is
    /// only reported.
    pub(crate) fn carried_out(self, error: &AuthError) -> Option<AuthError> {
        let mut all = std::iter::once(error).chain(error.also());
        all.find(|error| !self.reports(error)).cloned()
    }

    /// Whether scopes that were not granted are only reported. An anonymous caller is refused
    /// for the missing credential before scopes are looked at.
    pub(crate) fn reports_scopes(self) -> bool {
        let reports = |reason| self.context.reports(reason);
        match (self.known(), self.unproven()) {
            (Some(_), _) => reports(Reason::INSUFFICIENT_SCOPE),
            (None, Some(_)) => {
                reports(Reason::MISSING_CREDENTIAL) || reports(Reason::INSUFFICIENT_SCOPE)
            }
            (None, None) => reports(Reason::MISSING_CREDENTIAL),
        }
    }

    /// Whether this error says again what was reported before.
    pub(crate) fn repeats(self, error: &AuthError) -> bool {
        self.unproven().is_some() && error.kind() == AuthErrorKind::Missing
    }

    /// What a request is refused for. Who brought a bad credential that was let pass this far
    /// is told what is wrong with it, and not that it is missing.
    pub(crate) fn refused_for(self, error: AuthError) -> AuthError {
        match self.unproven() {
            Some(reported) if error.kind() == AuthErrorKind::Missing => {
                reported.clone().with_scopes(error.scopes().clone())
            }
            _ => error.asked_by(self.known()),
        }
    }

    /// The scopes granted; `None` to an anonymous or unproven caller.
    pub(crate) fn granted(self) -> Option<&'a Scopes> {
        self.known().map(Principal::scopes)
    }

    /// By whom a requirement is to be met; `None` for an anonymous or unproven caller.
    pub(crate) fn judged(self) -> Option<Judged<'a>> {
        let clock = &self.context.clock;
        self.known().map(|principal| Judged { principal, clock })
    }
}
