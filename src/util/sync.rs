//! What `single_flight` and `places` share between threads. Their model test puts loom's in its
//! place.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
