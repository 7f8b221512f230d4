//! How long a key set is fresh: what the server says, within limits (RFC 9111).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

use super::Times;
use crate::oauth::key_limits::KeyLimits;
use crate::oauth::key_limits::LEAST_LIFETIME;

/// The lifetime of a response that arrived at `now`.
pub(super) fn lifetime(headers: &HeaderMap, now: Duration, limits: &KeyLimits) -> Duration {
    // The limits bind what a server says, not what the operator set.
    let (least, most) = (*limits.lifetimes.start(), *limits.lifetimes.end());
    said(headers, now)
        .map_or(limits.lifetime, |said| said.max(least).min(most))
        .max(LEAST_LIFETIME)
}

/// How long before the end of their lifetime keys are refreshed at least, where that is not more
/// than half of it: enough for a fetch that fails, and one more.
const AHEAD: Duration = Duration::from_secs(10);

/// How far apart refreshes in the background are at least.
const APART: Duration = Duration::from_secs(1);

impl Times {
    /// Of keys that were asked for when the fetch `began`, and arrived `now`.
    pub(super) fn new(
        began: Duration,
        now: Duration,
        lifetime: Duration,
        limits: &KeyLimits,
        is_discovered: bool,
    ) -> Self {
        let fresh_until = now.saturating_add(lifetime);
        let ahead = (lifetime / 5).max(AHEAD.min(lifetime / 2));
        let (mut wanted_at, mut apart) = (fresh_until.saturating_sub(ahead), lifetime / 2);
        if is_discovered {
            // Keys that live longer are looked for where they may be by then.
            wanted_at = wanted_at.min(began.saturating_add(limits.rediscovery));
            apart = apart.min(limits.rediscovery);
        }
        let refresh_at = wanted_at.max(began.saturating_add(apart.max(APART)));
        Self {
            wanted_at,
            refresh_at,
            fresh_until,
            stale_until: fresh_until.saturating_add(limits.stale),
        }
    }
}

fn said(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let directives: Vec<&str> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let is = |name: &str| directives.iter().any(|own| own.eq_ignore_ascii_case(name));
    if is("no-store") || is("no-cache") {
        return Some(Duration::ZERO);
    }
    let max_age = directives.iter().find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let is_max_age = name.trim().eq_ignore_ascii_case("max-age");
        is_max_age.then(|| value.trim().trim_matches('"').parse().ok())?
    });
    if let Some(seconds) = max_age {
        let age = headers
            .get(AGE)
            .and_then(|age| age.to_str().ok()?.trim().parse().ok());
        let age = Duration::from_secs(age.unwrap_or(0));
        return Some(Duration::from_secs(seconds).saturating_sub(age));
    }
    let expires = headers.get(http::header::EXPIRES)?.to_str().ok()?;
    // An invalid date, "0" above all, means expired (RFC 9111 section 5.3).
    Some(http_date(expires).map_or(Duration::ZERO, |at| at.saturating_sub(now)))
}

/// An IMF-fixdate (RFC 9110 section 5.6.7), `Sun, 06 Nov 1994 08:49:37 GMT`, as time since
/// 1970. The obsolete forms count as invalid.
pub(in crate::oauth) fn http_date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split(' ').skip(1);
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|own| *own == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let valid = words.next()? == "GMT"
        && (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    // Days since 1970 by the civil calendar, counting years from March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(Duration::from_secs(
        days * 86_400 + hour * 3_600 + minute * 60 + second,
    ))
}
