//! The identity in a principal: all of it that depends on no request.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::actor::Actor;
use super::bound::BoundTo;
use super::id::{CredentialDigest, PrincipalId};
use super::login::Login;
use super::raw_claims::RawClaims;
use crate::scope::Scopes;

/// The identity in a principal: all of it that depends on no request.
pub(crate) struct Identity {
    pub(super) provider: Cow<'static, str>,
    pub(crate) scopes: Scopes,
    pub(super) issued_at: Option<Duration>,
    pub(super) expires_at: Option<Duration>,
    /// When an authorization server was asked that vouched for it.
    pub(super) asked_at: Option<Duration>,
    pub(super) issuer: Option<Arc<str>>,
    pub(super) subject: Option<Box<str>>,
    pub(super) username: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) actors: Box<[Actor]>,
    pub(super) credential_digest: Option<CredentialDigest>,
    /// What the token is bound to.
    #[cfg_attr(not(feature = "oauth"), allow(dead_code))]
    pub(super) bound_to: Option<Box<BoundTo>>,
    pub(super) raw_claims: Option<RawClaims>,
    /// How far the clock of the issuer may differ.
    pub(super) clock_skew: Duration,
    pub(super) id: OnceLock<PrincipalId>,
    pub(super) login: OnceLock<Box<Login>>,
    /// The generation of revocations under which the credential was last found good.
    pub(super) found_good: AtomicU64,
}

impl Identity {
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Of an API key when it was made.
    pub(crate) fn issued_at(&self) -> Option<Duration> {
        self.issued_at
    }

    pub(crate) fn expires_at(&self) -> Option<Duration> {
        self.expires_at
    }

    pub(crate) fn asked_at(&self) -> Option<Duration> {
        self.asked_at
    }

    /// Whether the credential was found good under this generation of revocations. No two are
    /// the same for all that count them; zero is none.
    pub(crate) fn was_good_under(&self, generation: u64) -> bool {
        self.found_good.load(Ordering::Relaxed) == generation
    }

    pub(crate) fn is_good_under(&self, generation: u64) {
        self.found_good.store(generation, Ordering::Relaxed);
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub(crate) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    pub(crate) fn clock_skew(&self) -> Duration {
        self.clock_skew
    }

    /// What the token is bound to.
    #[cfg(feature = "oauth")]
    pub(crate) fn bound_to(&self) -> BoundTo {
        self.bound_to.as_deref().copied().unwrap_or_default()
    }

    /// The claims as text.
    pub(crate) fn raw_claims(&self) -> Option<&str> {
        self.raw_claims.as_ref().map(RawClaims::json)
    }

    /// Header and payload of its token, where the claims are read from these.
    #[cfg(feature = "oauth")]
    pub(crate) fn signed_text(&self) -> &[u8] {
        let claims = self.raw_claims.as_ref();
        claims.map_or(&[], RawClaims::signed_text)
    }

    /// The most bytes of its claims, and of what was copied from them.
    #[cfg(feature = "oauth")]
    pub(crate) fn weight(&self) -> usize {
        let copies = [&self.subject, &self.username, &self.client_id];
        let copied: usize = copies.into_iter().flatten().map(|name| name.len()).sum();
        let claims = self.raw_claims.as_ref().map_or(0, RawClaims::weight);
        let actors: usize = self.actors.iter().map(Actor::weight).sum();
        claims + copied + actors + self.scopes.as_str().len()
    }
}

/// What has an identity: the identity itself, or what a cache keeps with it. Principals share
/// it with the cache, so that a known credential costs one reference count and not two, each
/// in a line of memory of its own (bench `overhead`, rows "seen before").
pub(crate) trait HasIdentity: Send + Sync + 'static {
    fn identity(&self) -> &Identity;
}

impl HasIdentity for Identity {
    fn identity(&self) -> &Identity {
        self
    }
}
