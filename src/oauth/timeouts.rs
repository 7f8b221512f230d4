//! The time limits of requests, and of what is made of requests.
//!
//! The smaller of two that meet wins, and a warning at start names what was set in vain.

use std::time::Duration;

use super::AuthorizationServer;
use super::fetch::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT, Fetch};
use super::jwks_options::JwksOptions;
use crate::error::ConfigError;
use crate::telemetry;

/// A time limit that can be set.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Limit {
    setting: &'static str,
    value: Duration,
    default: Duration,
}

impl Limit {
    const fn new(setting: &'static str, value: Duration) -> Self {
        Self {
            setting,
            value,
            default: DEFAULT_TIMEOUT,
        }
    }

    fn is_set(&self) -> bool {
        self.value != self.default
    }
}

/// Refuses a client with which no request would succeed, and tells of time limits that were set
/// and that a smaller one wins over. A smaller one may be meant; a larger one that is never reached
/// is not.
pub(super) fn check(
    fetch: &dyn Fetch,
    jwks_options: &JwksOptions,
    servers: &[AuthorizationServer],
    copies_metadata: bool,
) -> Result<(), ConfigError> {
    let own = fetch.timeouts();
    for (setting, own) in [("connect_timeout", own.connect), ("timeout", own.request)] {
        if own.is_some_and(|own| own.is_zero()) {
            return Err(ConfigError::new(
                setting,
                "with zero no request would ever succeed; leave the setting out for its default",
            ));
        }
    }
    let Some(request) = own.request else {
        return Ok(());
    };
    let request = Limit::new("HttpFetch::timeout", request);
    let connect = own.connect.map(|value| Limit {
        default: DEFAULT_CONNECT_TIMEOUT,
        ..Limit::new("HttpFetch::connect_timeout", value)
    });
    // It never takes a whole request.
    if let Some(connect) = connect.filter(|connect| connect.value > request.value) {
        warn(connect, request);
    }
    let fetches = copies_metadata || servers.iter().any(AuthorizationServer::fetches_keys);
    let keys = Limit::new("JwksOptions::fetch_timeout", jwks_options.fetch_timeout);
    let asked = servers.iter().filter_map(|server| {
        let timeout = server.introspection.as_ref()?.timeout_of_requests()?;
        Some(Limit::new("Introspection::timeout", timeout))
    });
    let mut warned: Vec<Limit> = Vec::new();
    for limit in fetches.then_some(keys).into_iter().chain(asked) {
        // Many servers are set alike.
        if !warned.contains(&limit) {
            warn(limit, request);
            warned.push(limit);
        }
    }
    Ok(())
}

/// Warns of the larger of two, if it was set.
fn warn(one: Limit, other: Limit) {
    let (smaller, larger) = match one.value < other.value {
        true => (one, other),
        false => (other, one),
    };
    if larger.value > smaller.value && larger.is_set() {
        telemetry::time_limit_in_vain(
            (larger.setting, larger.value),
            (smaller.setting, smaller.value),
        );
    }
}
