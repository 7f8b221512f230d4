//! The settings of a `Revocation`.

use std::sync::Arc;
use std::time::Duration;

use super::Revocation;
use super::replicas::Replicas;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::telemetry;

/// The most that the clocks of an issuer and of a layer may differ.
pub(super) const MAX_SKEW: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) max_entries: usize,
    pub(super) lifetime: Lifetime,
    pub(super) skew: Duration,
    pub(super) trust_fresh: bool,
    pub(super) grant_claim: Option<Box<str>>,
    pub(super) session_claim: Box<str>,
    pub(super) max_staleness: Duration,
    pub(super) allow_on_outage: bool,
    pub(super) clock: Clock,
}

/// How long a token lives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lifetime {
    AtMost(Duration),
    /// Entries are never forgotten.
    Unlimited,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_entries: Revocation::MAX_ENTRIES,
            lifetime: Lifetime::AtMost(Duration::from_secs(24 * 3600)),
            skew: Duration::from_secs(5),
            trust_fresh: false,
            grant_claim: None,
            session_claim: "sid".into(),
            max_staleness: Duration::from_secs(60),
            allow_on_outage: false,
            clock: Clock::system(),
        }
    }
}

/// Settings come first: each begins anew, without entries, and earlier clones are another
/// `Revocation`.
impl Revocation {
    /// How many entries there are by default.
    pub const MAX_ENTRIES: usize = 1_000_000;

    fn edit(self, edit: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        edit(&mut settings);
        Self::with(
            settings,
            self.shared.replicas.as_ref().map(Replicas::unread),
        )
    }

    /// How many entries there are at most; default [`MAX_ENTRIES`](Self::MAX_ENTRIES). A million
    /// takes about 90 MB.
    ///
    /// Entries that are needed are never dropped for others: where there is no room,
    /// [`revoke`](Self::revoke) is an error.
    pub fn max_entries(self, entries: usize) -> Self {
        self.edit(|settings| settings.max_entries = entries)
    }

    /// How long a token lives at most, from `iat` to `exp`; default 24 hours.
    ///
    /// Entries for tokens are kept as long as this, and 10 minutes for clocks that differ. A token
    /// that lives longer is refused with `token_lives_too_long`: its entry would be forgotten before
    /// it. Without `iat` its life begins now, so that a long one passes in the end, when an entry for
    /// it may be gone: have the authorization server write `iat`. Without `exp` it ends this long
    /// after `iat`; with neither it is refused.
    ///
    /// An entry keeps the end that it had when it was made. Where entries outlive the process, in a
    /// store that replicas share, revoke again after this was raised: tokens that were refused as too
    /// long are accepted from then on, and may outlive the entries for them.
    ///
    /// # Errors
    /// The time is zero.
    pub fn max_token_lifetime(self, lifetime: Duration) -> Result<Self, ConfigError> {
        if lifetime.is_zero() {
            return Err(ConfigError::new(
                "max_token_lifetime",
                "every token would be refused; set the longest life that the issuers give tokens",
            ));
        }
        Ok(self.edit(|settings| settings.lifetime = Lifetime::AtMost(lifetime)))
    }

    /// Accepts tokens of any life, and those without an end. Entries for tokens are then kept as
    /// long as the process runs, but for those of a token that [says](super::Entry::expires_at)
    /// when it expires.
    ///
    /// For opaque tokens of which their server says no more than that they are active, and for
    /// credentials of a provider of your own.
    pub fn unlimited_token_lifetime(self) -> Self {
        self.edit(|settings| settings.lifetime = Lifetime::Unlimited)
    }

    /// By how much the clock of an issuer may be ahead of the one that a
    /// [moment](super::Entry::issued_before) was taken from; default 5 seconds.
    ///
    /// A token that is issued within it after the moment is refused as well.
    ///
    /// # Errors
    /// It is more than 300 seconds.
    pub fn revocation_skew(self, skew: Duration) -> Result<Self, ConfigError> {
        if skew > MAX_SKEW {
            return Err(ConfigError::new(
                "revocation_skew",
                "clocks may differ by 300 s at most; mend the clock instead",
            ));
        }
        Ok(self.edit(|settings| settings.skew = skew))
    }

    /// Accepts a token without `iat` that its authorization server calls active after the
    /// [moment](super::Entry::issued_before) before which tokens are revoked; default false.
    ///
    /// Such a token may have been issued before, so the server must know of the revocation
    /// itself. It counts when the server was asked. Nothing changes for a JWT with a signature
    /// that is checked here: it is known by its own claims.
    pub fn trust_fresh_introspection(self, trust: bool) -> Self {
        self.edit(|settings| settings.trust_fresh = trust)
    }

    /// Names the claim that has the grant of a token; default none, for there is no standard.
    ///
    /// # Errors
    /// The name is empty.
    pub fn grant_claim(self, claim: &str) -> Result<Self, ConfigError> {
        let claim = claim_name("grant_claim", claim)?;
        Ok(self.edit(|settings| settings.grant_claim = Some(claim)))
    }

    /// Names the claim that has the session of a token; default `sid`.
    ///
    /// # Errors
    /// The name is empty.
    pub fn session_claim(self, claim: &str) -> Result<Self, ConfigError> {
        let claim = claim_name("session_claim", claim)?;
        Ok(self.edit(|settings| settings.session_claim = claim))
    }

    /// How long requests go on by what is known while the store does not answer; default 60
    /// seconds, and zero is possible.
    ///
    /// It is counted from the moment the store is down: 2 seconds after its last answer. Then
    /// requests with a credential are 503, and streams end. It is of no use without a
    /// [store](Self::shared).
    pub fn max_staleness(self, time: Duration) -> Self {
        self.edit(|settings| settings.max_staleness = time)
    }

    /// Goes on by what is known for as long as the store does not answer, and by nothing where it
    /// has never answered. By default requests are then refused. It is logged as a weakening.
    ///
    /// What other replicas have revoked since, or what was revoked before this process began, is
    /// then accepted here.
    pub fn dangerously_allow_on_outage(self) -> Self {
        telemetry::weakened(
            "dangerously_allow_on_outage",
            "revoked credentials are accepted while the store of revocations is down",
        );
        self.edit(|settings| settings.allow_on_outage = true)
    }

    /// Replaces the clock; for tests. It should be that of the layers.
    pub fn clock(self, clock: Clock) -> Self {
        self.edit(|settings| settings.clock = clock)
    }

    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

fn claim_name(setting: &'static str, claim: &str) -> Result<Box<str>, ConfigError> {
    match claim {
        "" => Err(ConfigError::new(
            setting,
            "the name of a claim is not empty; leave the setting out where there is none",
        )),
        claim => Ok(claim.into()),
    }
}
