//! `RevocationHealth`: how well a replica knows what is revoked.

use std::time::Duration;

/// How well a [`Revocation`](super::Revocation) knows what other replicas have revoked.
#[derive(Clone, Debug)]
pub struct RevocationHealth {
    pub(super) is_ready: bool,
    pub(super) age: Option<Duration>,
    pub(super) unsent: usize,
    pub(super) error: Option<Box<str>>,
}

impl RevocationHealth {
    /// Whether requests are judged. While they are not, those with a credential are 503.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// How old what is known may be. It is below a second while the store answers, and `None` where
    /// nothing was read yet. One of a single process knows everything at once.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// How many entries of this replica the store has not acknowledged. They hold here, and are
    /// written when it is back.
    pub fn not_shared(&self) -> usize {
        self.unsent
    }

    /// Why requests are not judged.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
