//! A key as it is looked up, and what a request hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use subtle::ConstantTimeEq;

use super::digest::DigestKind;
use super::format::Shape;
use super::key::ApiKey;
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::principal::{Identity, Principal};
use crate::util::quoted;

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

    fn fault(&self, now: Duration) -> Option<Reason> {
        if self.revoked {
            return Some(Reason::REVOKED_API_KEY);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Some(Reason::EXPIRED_API_KEY);
        }
        if self.not_before.is_some_and(|at| now < at) {
            return Some(Reason::NOT_YET_VALID_API_KEY);
        }
        None
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
    /// How traces call it, written once: a refusal copies it, as it copies `UNKNOWN_OWNER`.
    label: Box<str>,
    /// When its use was last told, in seconds since 1970.
    reported_at: AtomicU64,
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
            label: label(key),
            reported_at: AtomicU64::new(0),
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

    /// Why the key is refused at `now`, as a reason code.
    pub(super) fn fault(&self, now: Duration) -> Option<Reason> {
        self.validity.fault(now)
    }

    /// Goes on where an older entry of the same key was.
    pub(super) fn succeed(&self, older: &Self) {
        let reported_at = older.reported_at.load(Ordering::Relaxed);
        self.reported_at.store(reported_at, Ordering::Relaxed);
    }

    /// Whether the use at `now` is to be told, at most one in `interval`.
    pub(super) fn is_due(&self, now: Duration, interval: Duration) -> bool {
        let reported_at = &self.reported_at;
        let (now, last) = (now.as_secs(), reported_at.load(Ordering::Relaxed));
        let due = last == 0 || now >= last.saturating_add(interval.as_secs());
        due && reported_at
            .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// The one comparison of digests; an unknown key is compared as well, with a digest no key
/// has.
pub(super) fn is_same(found: Option<&[u8; 32]>, digest: &[u8; 32]) -> bool {
    bool::from(found.unwrap_or(&[0; 32]).ct_eq(digest))
}

/// Whether a refusal names the key's owner: to a layer that may let it pass, and to no other,
/// because then it is less work to refuse a key that never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Dropped,
    Kept,
}

impl Proof {
    pub(super) fn of(head: RequestHead<'_>) -> Self {
        match head.needs_proof() {
            true => Self::Kept,
            false => Self::Dropped,
        }
    }
}

/// The key is refused. Every reason takes the same work and gives the client the same
/// answer: that a key was ever good is none of a stranger's business.
pub(super) fn refused(
    shape: Option<Shape<'_>>,
    found: Option<&Entry>,
    fault: Option<Reason>,
    proof: Proof,
) -> AuthError {
    // Of a key that is not known alone; the work is done for all.
    let mistyped = shape.is_some_and(|shape| !shape.is_whole());
    let id = shape.map_or("", |shape| shape.id);
    refused_as(id, mistyped, found, fault, proof)
}

pub(super) fn refused_as(
    id: &str,
    mistyped: bool,
    found: Option<&Entry>,
    fault: Option<Reason>,
    proof: Proof,
) -> AuthError {
    let reason = match (found, mistyped) {
        (Some(_), _) => fault.unwrap_or(Reason::UNKNOWN_API_KEY),
        (None, true) => Reason::MISTYPED_API_KEY,
        (None, false) => Reason::UNKNOWN_API_KEY,
    };
    let label = found.map_or(UNKNOWN_OWNER, |entry| &entry.label);
    let error = AuthError::new(reason).with_detail(match id {
        "" => format!("the presented key has no id, as it is no generated one; {label}"),
        id => format!("presented id {}, {label}", quoted(id)),
    });
    match (proof, found) {
        (Proof::Kept, Some(entry)) => error.proven(Principal::of(Arc::clone(&entry.identity))),
        _ => error,
    }
}

/// The label of a key that is not known.
const UNKNOWN_OWNER: &str = "no key that is known is the same";

fn label(key: &ApiKey) -> Box<str> {
    let own = |text: &Option<Arc<str>>| quoted(text.as_deref().unwrap_or_default());
    let (id, name, owner) = (own(&key.id), own(&key.name), own(&key.owner));
    format!("key {id}, name {name}, owner {owner}").into()
}
