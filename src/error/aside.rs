//! What an error tells the auth layer alone: the principal, and the further faults.

use super::AuthError;
use super::reason::Standing;
#[cfg(feature = "oauth")]
use crate::principal::BoundTo;
use crate::principal::Principal;

/// What an error tells the auth layer alone, for a request that may be let pass.
#[derive(Clone, Default)]
pub(super) struct Aside {
    /// The owner of the credential, as far as it is known.
    owner: Option<Principal>,
    /// What the credential is bound to and the owner's claims do not name.
    #[cfg(feature = "oauth")]
    bound_to: BoundTo,
    /// What else stands against the credential.
    also: Vec<AuthError>,
}

impl PartialEq for Aside {
    fn eq(&self, other: &Self) -> bool {
        let owner = |aside: &Self| aside.owner.as_ref().map(|owner| owner.id().clone());
        self.also == other.also && owner(self) == owner(other)
    }
}

impl Eq for Aside {}

impl AuthError {
    /// Says that the credential was issued to this principal, which was proven, and that only
    /// its time, or the scopes granted with it, are at fault.
    ///
    /// Where a layer [only reports](crate::AuthLayer::dangerously_report_only_for) the reason,
    /// layers for scopes then let the request do what the principal may do, and no more. Without
    /// this they let it do what needs no scope. For reasons of this crate that say anything else
    /// of a credential (`audience_mismatch`, `invalid_signature`, …) it changes nothing.
    ///
    /// ```
    /// use tower_mcp_auth::{AuthError, AuthErrorKind, Principal, Reason};
    ///
    /// let alice = Principal::builder("badge").subject("alice").build();
    /// let expired = Reason::custom(AuthErrorKind::Invalid, "badge_expired");
    /// let error = AuthError::new(expired).proven(alice);
    /// assert_eq!(error.principal_id().unwrap().to_string(), "badge|sub=alice");
    /// ```
    #[must_use]
    pub fn proven(mut self, principal: Principal) -> Self {
        self.aside().owner = Some(principal);
        self
    }

    /// Adds what else the credential would be refused for.
    pub(crate) fn and_also(mut self, others: impl IntoIterator<Item = Self>) -> Self {
        let mut others = others.into_iter().peekable();
        if others.peek().is_some() {
            self.aside().also.extend(others);
        }
        self
    }

    /// Adds another one, with what else that says of the credential.
    pub(crate) fn and_all_of(self, other: Self) -> Self {
        let more = other.also().to_vec();
        self.and_also(std::iter::once(other.alone()).chain(more))
    }

    fn aside(&mut self) -> &mut Aside {
        self.0.aside.get_or_insert_default()
    }

    /// What else the credential would be refused for.
    pub(crate) fn also(&self) -> &[Self] {
        self.0.aside.as_ref().map_or(&[], |aside| &aside.also)
    }

    /// The owner the credential claims, proven or not.
    #[cfg(feature = "oauth")]
    pub(crate) fn owner(&self) -> Option<&Principal> {
        self.0.aside.as_ref()?.owner.as_ref()
    }

    /// Says that the credential is bound to this, whatever the claims of its owner name.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_bound_to(mut self, bound_to: BoundTo) -> Self {
        self.aside().bound_to = bound_to;
        self
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn bound_to(&self) -> BoundTo {
        let aside = self.0.aside.as_ref();
        aside.map_or_else(BoundTo::default, |aside| aside.bound_to)
    }

    /// The same without an owner.
    pub(crate) fn without_owner(mut self) -> Self {
        self.aside().owner = None;
        self
    }

    /// The owner of the credential, where that was proven.
    pub(crate) fn proven_owner(&self) -> Option<&Principal> {
        let aside = self.0.aside.as_ref()?;
        let owner = aside.owner.as_ref()?;
        let allows = |error: &Self| {
            matches!(
                error.0.reason.standing(),
                Standing::Proven | Standing::Custom
            )
        };
        (allows(self) && aside.also.iter().all(allows)).then_some(owner)
    }

    /// Without what only the auth layer needs to know.
    pub(crate) fn alone(mut self) -> Self {
        if self.0.aside.is_some() {
            self.0.principal = self.principal_id().cloned();
            self.0.aside = None;
        }
        self
    }
}
