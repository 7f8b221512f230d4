//! Which sections of a configuration became layers.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::ConfigError;
use crate::telemetry;

/// Every section, and what makes something of it.
const SECTIONS: [(&str, &str); 19] = [
    ("resource", "origin_layer"),
    ("resources", "oauth_layer"),
    ("metadata", "oauth_layer"),
    ("authorization_servers", "oauth_layer"),
    ("oauth", "oauth_layer"),
    ("jwt", "jwt_layer"),
    ("api_keys", "api_key_layer"),
    ("auth", "apply_auth_settings"),
    ("proxies", "origin_layer"),
    ("origin", "origin_layer"),
    ("session", "session_layer"),
    ("quotas", "quota_layer"),
    ("policy", "policy_layers"),
    ("operations", "policy_layers"),
    ("lists", "policy_layers"),
    ("sealer", "sealer"),
    ("failed_attempts", "failed_attempts"),
    ("revocation", "apply_auth_settings"),
    ("shared", "connect"),
];

/// The sections that are there and those that were asked for. A section that is there protects
/// nothing by itself, so those that are left over are told of: by a stack, which is said to be
/// everything, and at the latest when the configuration is dropped.
#[derive(Debug, Default)]
pub(super) struct Applied {
    present: u32,
    settled: AtomicU32,
}

/// No section: something was made.
const USED: u32 = 1 << 30;
/// No section: something could not be made, so what is missing besides is of no interest.
const FAILED: u32 = 1 << 31;

impl Applied {
    pub(super) fn new<'n>(present: impl Iterator<Item = &'n str>) -> Self {
        Self {
            present: bits(present),
            settled: AtomicU32::new(0),
        }
    }

    /// Something was made of these sections, or could not be made.
    pub(super) fn settle<T>(
        &self,
        sections: &[&str],
        made: Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let settled = match &made {
            Ok(_) => USED | bits(sections.iter().copied()),
            Err(_) => FAILED,
        };
        self.settled.fetch_or(settled, Ordering::Relaxed);
        made
    }

    /// Tells of sections that nothing was made of, each once.
    pub(super) fn report(&self) {
        let settled = self.settled.fetch_or(self.present, Ordering::Relaxed);
        for (index, (section, maker)) in SECTIONS.iter().enumerate() {
            let bit = 1 << index;
            if self.present & bit != 0 && settled & bit == 0 {
                telemetry::section_not_applied(section, maker);
            }
        }
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        let settled = *self.settled.get_mut();
        if settled & USED != 0 && settled & FAILED == 0 {
            self.report();
        }
    }
}

fn bits<'n>(names: impl Iterator<Item = &'n str>) -> u32 {
    let bit = |name: &str| {
        let row = SECTIONS.iter().position(|(section, _)| *section == name);
        debug_assert!(row.is_some(), "{name} has no row in SECTIONS");
        row
    };
    names
        .filter_map(bit)
        .fold(0, |bits, index| bits | 1 << index)
}

/// The sections of features that are off.
const OFF: &[(&str, &str)] = &[
    #[cfg(not(feature = "redis"))]
    ("shared", "redis"),
    #[cfg(not(feature = "jwt"))]
    ("jwt", "jwt"),
    #[cfg(not(feature = "oauth"))]
    ("authorization_servers", "oauth"),
    #[cfg(not(feature = "oauth"))]
    ("resources", "oauth"),
];

/// The feature that a section needs, where that is off.
pub(super) fn needed_feature(section: &str) -> Option<&'static str> {
    let off = OFF.iter().find(|(name, _)| *name == section);
    off.map(|(_, feature)| *feature)
}
