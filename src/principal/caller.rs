//! Whose request it is, as a layer further in sees it.

use std::sync::Arc;

use http::Extensions;

use super::Principal;
use crate::challenge::RefusalContext;
use crate::error::{AuthError, AuthErrorKind};
use crate::scopes::Scopes;

/// The mark an auth layer leaves on a request it let through without a principal.
#[derive(Clone, Debug)]
pub(crate) struct NoPrincipal {
    pub(crate) context: Arc<RefusalContext>,
    /// What the request would have been refused for.
    pub(crate) observed: Option<AuthError>,
}

/// Whose request it is, as a layer further in sees it.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// `None` for a request that was let through without a credential.
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) context: &'a RefusalContext,
    /// Why there is no principal, where a bad credential was only observed.
    pub(crate) observed: Option<&'a AuthError>,
}

impl<'a> Caller<'a> {
    /// `None` where no auth layer ran.
    pub(crate) fn of(extensions: &'a Extensions) -> Option<Self> {
        if let Some(principal) = extensions.get::<Principal>() {
            return Some(Self {
                principal: Some(principal),
                context: principal.context(),
                observed: None,
            });
        }
        let mark: &NoPrincipal = extensions.get()?;
        Some(Self {
            principal: None,
            context: &mark.context,
            observed: mark.observed.as_ref(),
        })
    }

    /// Whether a request is let pass that is to be refused for this: where refusals like it
    /// are observed, or where it follows from one that was.
    pub(crate) fn observes(self, error: &AuthError) -> bool {
        let follows = || {
            matches!(
                error.kind(),
                AuthErrorKind::Missing | AuthErrorKind::UnknownSession
            )
        };
        self.observed.is_some() && follows() || self.context.observes(error.reason())
    }

    /// Whether scopes that were not granted are only observed. Who is nobody is refused for
    /// the missing credential before scopes are looked at.
    pub(crate) fn observes_scopes(self) -> bool {
        let reason = match self.principal {
            Some(_) => "insufficient_scope",
            None => "missing_credential",
        };
        self.observed.is_some() || self.context.observes(reason)
    }

    /// Whether this error says again what was observed before.
    pub(crate) fn repeats(self, error: &AuthError) -> bool {
        self.observed.is_some() && error.kind() == AuthErrorKind::Missing
    }

    /// The scopes granted; none to nobody.
    pub(crate) fn scopes(self) -> &'a Scopes {
        static NONE: Scopes = Scopes::none();
        self.principal.map_or(&NONE, Principal::scopes)
    }
}
