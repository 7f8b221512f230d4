//! The synchronization primitives of `places`, `single_flight` and `tenure`, of std.
//!
//! Their model test has loom's instead.

#[cfg(feature = "oauth")]
pub(super) use std::sync::atomic::AtomicU64;
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
