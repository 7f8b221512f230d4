//! Readers of values that several sections have.

#[cfg(any(feature = "oauth", feature = "redis"))]
use std::path::Path;

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

/// How large a file of keys or certificates may be: far larger than any that is used.
#[cfg(any(feature = "oauth", feature = "redis"))]
const MAX_FILE: u64 = 1 << 20;

/// What is in a file of keys or certificates; the errors follow its name.
#[cfg(any(feature = "oauth", feature = "redis"))]
pub(super) fn whole_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;

    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    // Opening a pipe would wait for a writer, and some devices never end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    match content.len() as u64 {
        ..=MAX_FILE => Ok(content),
        _ => Err(format!("has more than {MAX_FILE} bytes")),
    }
}
