//! The fields `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10 has them.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::util::seconds_up;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Where a limit stands for the caller of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit<'a> {
    /// Letters, digits and marks that need no escape in a string of Structured Fields.
    pub(crate) name: &'a str,
    pub(crate) quota: u32,
    pub(crate) window: Duration,
    pub(crate) remaining: u32,
    /// Until when more is there: the time of `Retry-After` where it is refused.
    pub(crate) resets_in: Duration,
}

/// Adds both fields, with one member for each limit. The key that tells callers apart is not
/// for clients, so there is no `pk`.
pub(crate) fn show_rate_limits<'a>(
    headers: &mut HeaderMap,
    limits: impl Iterator<Item = RateLimit<'a>>,
) {
    let (mut policy, mut state) = (String::new(), String::new());
    for limit in limits {
        let comma = if policy.is_empty() { "" } else { ", " };
        let RateLimit {
            name,
            quota,
            remaining,
            ..
        } = limit;
        let window = seconds_up(limit.window);
        let seconds = seconds_up(limit.resets_in);
        let _ = write!(policy, "{comma}\"{name}\";q={quota};w={window}");
        let _ = write!(state, "{comma}\"{name}\";r={remaining};t={seconds}");
    }
    for (name, text) in [(POLICY, policy), (LIMIT, state)] {
        if let Ok(value) = HeaderValue::try_from(text)
            && !value.is_empty()
        {
            headers.append(name, value);
        }
    }
}
