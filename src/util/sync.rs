//! What `places`, `single_flight` and `tenure` share between threads. Their model test has loom's
//! instead.

#[cfg(feature = "oauth")]
pub(super) use std::sync::atomic::AtomicU64;
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
