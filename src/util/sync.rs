//! What `places`, `single_flight` and `tenure` share between threads. Their model test has loom's
//! instead.

pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
