//! What several sections read alike.

use super::secret::{SecretSource, SecretText};
#[cfg(feature = "jwt")]
use super::units::Texts;
use crate::error::ConfigError;
#[cfg(feature = "jwt")]
use crate::jose::Algorithm;

#[cfg(feature = "jwt")]
pub(super) fn algorithm(name: &str) -> Result<Algorithm, ConfigError> {
    name.parse()
}

#[cfg(feature = "jwt")]
pub(super) fn algorithms(names: &Texts) -> Result<Vec<Algorithm>, ConfigError> {
    names.0.iter().map(|name| algorithm(name)).collect()
}

pub(super) fn not_both(
    earlier_is_set: bool,
    earlier: &str,
    later: &'static str,
) -> Result<(), ConfigError> {
    if !earlier_is_set {
        return Ok(());
    }
    let why = format!("`{earlier}` and `{later}` contradict each other: keep one");
    Err(ConfigError::new(later, why))
}

#[cfg(feature = "oauth")]
pub(super) fn together(one: &'static str, other: &str, path: String) -> ConfigError {
    ConfigError::new(one, format!("`{one}` and `{other}` go together: give both")).at(path)
}

pub(super) fn missing(setting: &'static str, path: &str, why: &str) -> ConfigError {
    ConfigError::new(setting, format!("it is missing; {why}")).at(path)
}

/// The secret of the setting at `path`.
pub(super) fn secret_at(source: &SecretSource, path: &str) -> Result<SecretText, ConfigError> {
    source.resolve().map_err(|error| error.at(path))
}
