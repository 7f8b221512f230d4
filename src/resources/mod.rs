//! Several resources behind one layer: which of them a request is for.

mod address;
mod behind;
mod hosts;
mod map;
mod pattern;
mod set;
mod tenants;
mod url;

pub use self::hosts::Hosts;
pub use self::set::ResourceSet;
pub use self::tenants::{Tenant, Tenants};
#[cfg(feature = "oauth")]
pub(crate) use self::url::check_place;
pub(crate) use self::url::check_url;
#[cfg(feature = "oauth")]
pub(crate) use self::{
    address::{Address, is_unambiguous},
    behind::{Behind, STRIPPED_PREFIX},
    map::{Asked, Found, Reach, ResourceMap},
    pattern::Pattern,
    set::{at_one_address, unknown_host, unknown_path},
};
use crate::error::ConfigError;
use crate::scope::Scopes;

/// Scopes that may stand in a challenge or in the metadata.
pub(crate) fn checked_scopes<I>(setting: &'static str, scopes: I) -> Result<Scopes, ConfigError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let scopes =
        Scopes::configured(scopes).map_err(|error| ConfigError::new(setting, error.to_string()))?;
    if scopes.contains("offline_access") {
        return Err(ConfigError::new(
            setting,
            "`offline_access` is a matter between client and authorization server; leave it out",
        ));
    }
    Ok(scopes)
}
