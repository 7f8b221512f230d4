//! A key as it is looked up, and what a request hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use subtle::ConstantTimeEq;

use super::demand::{Demand, Proof};
use super::digest::DigestKind;
use super::expiry;
use super::format::Shape;
use super::key::ApiKey;
use super::resources::{KeyResources, Misplaced};
use crate::error::{AuthError, ConfigError, Reason};
use crate::principal::{Identity, Principal};
use crate::util::{millis, quoted};

/// When a key is good.
#[derive(Clone, Debug, Default)]
pub(super) struct Validity {
    pub(super) not_before: Option<Duration>,
    pub(super) expires_at: Option<Duration>,
    pub(super) revoked: bool,
}

impl Validity {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match (self.not_before, self.expires_at) {
            (Some(not_before), Some(expires_at)) if expires_at <= not_before => {
                Err(ConfigError::new(
                    "expires_at",
                    "the key is never good: `expires_at` is not after `not_before`",
                ))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn has_times(&self) -> bool {
        self.not_before.is_some() || self.expires_at.is_some()
    }

    /// All that stands against a key at `now`.
    fn faults(&self, now: Duration) -> Faults {
        Faults {
            revoked: self.revoked,
            expired: self.expires_at.is_some_and(|at| at <= now),
            early: self.not_before.is_some_and(|at| now < at),
            misplaced: None,
        }
    }
}

/// All that stands against a key that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    revoked: bool,
    expired: bool,
    early: bool,
    misplaced: Option<Misplaced>,
}

impl Faults {
    /// Whether the key is good.
    pub(super) fn are_none(self) -> bool {
        self == Self::default()
    }

    /// The one that a refusal names comes first.
    fn reasons(self) -> impl Iterator<Item = Reason> {
        let life = [
            (self.revoked, Reason::REVOKED_API_KEY),
            (self.expired, Reason::EXPIRED_API_KEY),
            (self.early, Reason::NOT_YET_VALID_API_KEY),
        ];
        let life = life.into_iter().filter(|(is_so, _)| *is_so);
        life.map(|(_, reason)| reason)
            .chain(self.misplaced.map(Misplaced::reason))
    }
}

/// One key, made ready for requests.
pub(super) struct Entry {
    digest: [u8; 32],
    kind: Option<DigestKind>,
    pub(super) identity: Arc<Identity>,
    validity: Validity,
    id: Option<Arc<str>>,
    name: Option<Arc<str>>,
    owner: Option<Arc<str>>,
    /// `None`: it names none.
    resources: Option<KeyResources>,
    /// How traces call it, written once: a refusal copies it, as it copies `UNKNOWN_OWNER`.
    label: Box<str>,
    /// When its use was last told, in seconds of the monotonic clock and one; 0 before the first.
    reported_at: AtomicU64,
    /// When it was last checked whether to warn of its end, in the same seconds.
    looked_at: AtomicU64,
}

impl Entry {
    pub(super) fn new(key: &ApiKey) -> Self {
        Self {
            digest: key.digest,
            kind: key.kind,
            identity: Arc::new(key.to_identity()),
            validity: key.validity.clone(),
            id: key.id.clone(),
            name: key.name.clone(),
            owner: key.owner.clone(),
            resources: key.resources.clone(),
            label: label(key),
            reported_at: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
        }
    }

    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn kind(&self) -> Option<DigestKind> {
        self.kind
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Whether it may be no good at some time.
    pub(super) fn has_limits(&self) -> bool {
        self.validity.revoked || self.validity.has_times()
    }

    pub(super) fn expires_at(&self) -> Option<Duration> {
        self.validity.expires_at
    }

    /// What stands against the key at `now`, where this is asked of it.
    pub(super) fn faults(&self, now: Duration, demand: Demand<'_>) -> Faults {
        Faults {
            misplaced: self.misplaced(demand),
            ..self.validity.faults(now)
        }
    }

    /// Why the key is not for the resource of a request.
    pub(super) fn misplaced(&self, demand: Demand<'_>) -> Option<Misplaced> {
        Misplaced::of(self.resources.as_ref(), demand)
    }

    /// Whether it is good at `now`, somewhere.
    #[cfg(feature = "api-key-store")]
    pub(super) fn is_live(&self, now: Duration) -> bool {
        self.validity.faults(now).are_none()
    }

    /// Goes on where an older entry of the same key was.
    pub(super) fn succeed(&self, older: &Self) {
        let reported_at = older.reported_at.load(Ordering::Relaxed);
        self.reported_at.store(reported_at, Ordering::Relaxed);
        let looked_at = older.looked_at.load(Ordering::Relaxed);
        self.looked_at.store(looked_at, Ordering::Relaxed);
    }

    /// Whether the use at `now` is to be told, at most one in `interval`.
    pub(super) fn is_due(&self, now: Duration, interval: Duration) -> bool {
        is_due(&self.reported_at, now, interval)
    }

    /// Whether it is to be looked at whether to warn of its end.
    pub(super) fn is_warning_due(&self, now: Duration) -> bool {
        is_due(&self.looked_at, now, expiry::EVERY)
    }
}

/// Whether the last time was this long ago, for one caller alone.
fn is_due(last_at: &AtomicU64, now: Duration, interval: Duration) -> bool {
    // Zero is before the first, and the clock can begin there.
    let now = millis(now).saturating_add(1);
    let last = last_at.load(Ordering::Relaxed);
    let due = last == 0 || now >= last.saturating_add(millis(interval));
    due && last_at
        .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// The one comparison of digests; an unknown key is compared as well, with a digest no key
/// has.
pub(super) fn is_same(found: Option<&[u8; 32]>, digest: &[u8; 32]) -> bool {
    bool::from(found.unwrap_or(&[0; 32]).ct_eq(digest))
}

/// The key is refused. Every reason takes the same work and gives the client the same
/// answer: that a key was ever good is not for others to know.
pub(super) fn refused(
    shape: Option<Shape<'_>>,
    found: Option<&Entry>,
    faults: Faults,
    demand: Demand<'_>,
) -> AuthError {
    // Of a key that is not known alone; the work is done for all.
    let mistyped = shape.is_some_and(|shape| !shape.is_whole());
    let id = shape.map_or("", |shape| shape.id);
    refused_as(id, mistyped, found, faults, demand)
}

pub(super) fn refused_as(
    id: &str,
    mistyped: bool,
    found: Option<&Entry>,
    faults: Faults,
    demand: Demand<'_>,
) -> AuthError {
    let mut reasons = faults.reasons();
    let reason = match (found, mistyped) {
        (Some(_), _) => reasons.next().unwrap_or(Reason::UNKNOWN_API_KEY),
        (None, true) => Reason::MISTYPED_API_KEY,
        (None, false) => Reason::UNKNOWN_API_KEY,
    };
    let label = found.map_or(UNKNOWN_OWNER, |entry| &entry.label);
    let asked = match demand.resource() {
        Some(url) => format!("; the request is for {}", quoted(url)),
        None => String::new(),
    };
    let hint = match (found, faults.misplaced) {
        (Some(entry), Some(misplaced)) => misplaced.hint(entry.resources.as_ref(), demand),
        _ => "",
    };
    let error = AuthError::new(reason).with_detail(match id {
        "" => {
            format!("the presented key has no id, as it is no generated one; {label}{asked}{hint}")
        }
        id => format!("presented id {}, {label}{asked}{hint}", quoted(id)),
    });
    match (demand.proof, found) {
        (Proof::Kept, Some(entry)) => {
            // A layer that lets pass what is refused for one of them may refuse another one.
            let detail = error.detail().unwrap_or_default().to_owned();
            let others = reasons.map(|reason| AuthError::new(reason).with_detail(&*detail));
            let others: Vec<_> = others.collect();
            let owner = Principal::of(Arc::clone(&entry.identity));
            error.and_also(others).proven(owner)
        }
        _ => error,
    }
}

/// The label of a key that is not known.
const UNKNOWN_OWNER: &str = "no key that is known is the same";

/// What a key is called in traces, and which resources it names.
pub(super) fn label(key: &ApiKey) -> Box<str> {
    let own = |text: &Option<Arc<str>>| quoted(text.as_deref().unwrap_or_default());
    let (id, name, owner) = (own(&key.id), own(&key.name), own(&key.owner));
    match &key.resources {
        None => format!("key {id}, name {name}, owner {owner}"),
        Some(resources) => format!("key {id}, name {name}, owner {owner}, for {resources}"),
    }
    .into()
}
