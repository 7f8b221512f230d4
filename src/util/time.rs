//! Times on the wire, and times that must not coincide.

use std::time::{Duration, UNIX_EPOCH};

/// A date of HTTP (RFC 9110 section 5.6.7) as time since 1970.
pub(crate) fn http_date(text: &str) -> Option<Duration> {
    let at = httpdate::parse_http_date(text).ok()?;
    at.duration_since(UNIX_EPOCH).ok()
}

/// Between half of `full` and all of it, so that replicas do not come back in step.
pub(crate) fn with_jitter(full: Duration) -> Duration {
    full.mul_f64(0.5 + jitter() / 2.0)
}

/// Between 0 and 1. Not for secrets: the standard library's hasher is seeded at random.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
