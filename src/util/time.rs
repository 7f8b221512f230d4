//! Times on the wire, and times that must not coincide.

use std::time::Duration;

/// In whole milliseconds; 584 million years at most.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// In seconds, a part of which counts as a whole one.
pub(crate) fn seconds_up(time: Duration) -> u64 {
    let part = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(part)
}

/// A time of [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6) as whole seconds since
/// 1970, before which there is none.
#[cfg(any(feature = "api-key-store", feature = "config"))]
pub(crate) fn rfc3339_time(text: &str) -> Option<Duration> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    // The parser takes any character between date and time.
    let (b'T' | b't' | b' ') = text.as_bytes().get(10)? else {
        return None;
    };
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp())
        .ok()
        .map(Duration::from_secs)
}

/// A date of HTTP (RFC 9110 section 5.6.7) as time since 1970.
#[cfg(feature = "oauth")]
pub(crate) fn http_date(text: &str) -> Option<Duration> {
    let at = httpdate::parse_http_date(text).ok()?;
    at.duration_since(std::time::UNIX_EPOCH).ok()
}

/// Between half of `full` and all of it, so that replicas do not come back in step.
#[cfg(feature = "oauth")]
pub(crate) fn with_jitter(full: Duration) -> Duration {
    full.mul_f64(0.5 + jitter() / 2.0)
}

/// Between 0 and 1. Not for secrets: the standard library's hasher is seeded at random.
#[cfg(feature = "oauth")]
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
