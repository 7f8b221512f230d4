//! Handles of a `Revocation` that outlive reloads, and whether others are left.

use std::sync::{Arc, Weak};

use super::{Revocation, Shared};

/// A [`Revocation`] that is there as long as others keep it.
pub(crate) struct WeakRevocation(Weak<Shared>);

impl WeakRevocation {
    pub(crate) fn upgrade(&self) -> Option<Revocation> {
        let shared = self.0.upgrade()?;
        Some(Revocation { shared })
    }
}

impl Revocation {
    pub(crate) fn downgrade(&self) -> WeakRevocation {
        WeakRevocation(Arc::downgrade(&self.shared))
    }

    /// Whether there is no other clone.
    pub(crate) fn is_unshared(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// How many entries no store has taken.
    pub(crate) fn unsent(&self) -> usize {
        let replicas = self.shared.replicas.as_ref();
        replicas.map_or(0, |replicas| replicas.unsent().len())
    }
}
