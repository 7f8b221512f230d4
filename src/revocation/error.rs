//! `RevokeError`: why something is not revoked.

use std::error::Error;
use std::fmt;

/// Why [`revoke`](super::Revocation::revoke) did nothing, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeError {
    kind: RevokeErrorKind,
    text: String,
}

/// The category of a [`RevokeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeErrorKind {
    /// There are as many entries as there may be, and all are needed; or the store is full.
    Full,
    /// The moment before which credentials are revoked lies in the future.
    InTheFuture,
    /// The entry names nothing, or what is not read from tokens.
    Invalid,
    /// The store did not answer: the entry holds at this replica, and others hear of it when the
    /// store is back.
    NotShared,
}

impl RevokeError {
    pub(super) fn new(kind: RevokeErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// The category.
    pub fn kind(&self) -> RevokeErrorKind {
        self.kind
    }
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RevokeError {}
