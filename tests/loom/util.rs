//! The files of the library, with loom's primitives in place of the standard library's.

#[path = "../../src/util/places.rs"]
#[expect(dead_code, reason = "what needs a runtime is not modelled")]
pub(crate) mod places;
#[path = "../../src/util/single_flight.rs"]
#[expect(dead_code, reason = "what needs a runtime is not modelled")]
pub(crate) mod single_flight;
#[path = "../../src/util/tenure.rs"]
pub(crate) mod tenure;

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
}
