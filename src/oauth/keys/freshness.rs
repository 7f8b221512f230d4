//! How long a key set is fresh: what the server says, within limits (RFC 9111).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

use super::Times;
use crate::oauth::jwks_options::JwksOptions;
use crate::oauth::jwks_options::LEAST_LIFETIME;
use crate::util::http_date;

/// The lifetime of a response that arrived at `now`. What the set says itself counts before what
/// the headers say: a proxy writes those.
pub(super) fn lifetime(
    headers: &HeaderMap,
    refresh_hint: Option<Duration>,
    now: Duration,
    limits: &JwksOptions,
) -> Duration {
    // The limits bind what a server says, not what the operator set.
    let (least, most) = (*limits.ttl_bounds.start(), *limits.ttl_bounds.end());
    refresh_hint
        .or_else(|| said(headers, now))
        .map_or(limits.default_ttl, |said| said.max(least).min(most))
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
        limits: &JwksOptions,
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
            stale_until: fresh_until.saturating_add(limits.stale_if_error),
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
