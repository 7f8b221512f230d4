//! The locks of std, which a panic poisons.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock. Nothing in this crate panics while it holds one, so what it guards is whole.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
