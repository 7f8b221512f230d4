//! What converts into a requirement: lists of scopes, and a strength.

use super::{Requirement, Strength};
use crate::error::ConfigError;
use crate::scope::{ConfiguredError, Scopes};

pub(super) fn bad_scope(error: ConfiguredError) -> ConfigError {
    let why = match error {
        ConfiguredError::Empty => format!("{error}; {EMPTY}"),
        _ => error.to_string(),
    };
    ConfigError::new("scopes", why)
}

/// An empty text is what a variable that is not set leaves behind.
const EMPTY: &str = "where a caller without scopes is enough, say `Requirement::authenticated()`, \
                     or `{\"authenticated\": true}` in a configuration; where anonymous callers \
                     are, `Requirement::none()` or `{\"none\": true}`";

impl From<Scopes> for Requirement {
    fn from(all: Scopes) -> Self {
        Self {
            // A list that came out empty must not open anything to anonymous callers.
            authenticated: all.is_empty(),
            of_empty_list: all.is_empty(),
            all,
            ..Self::default()
        }
    }
}

impl From<Strength> for Requirement {
    fn from(strength: Strength) -> Self {
        Self {
            authenticated: strength.is_none(),
            strength,
            ..Self::default()
        }
    }
}

impl TryFrom<&str> for Requirement {
    type Error = ConfigError;

    fn try_from(joined: &str) -> Result<Self, ConfigError> {
        Ok(Scopes::configured_text(joined).map_err(bad_scope)?.into())
    }
}

impl<const N: usize> TryFrom<[&str; N]> for Requirement {
    type Error = ConfigError;

    fn try_from(names: [&str; N]) -> Result<Self, ConfigError> {
        Self::all(names)
    }
}

impl TryFrom<&[&str]> for Requirement {
    type Error = ConfigError;

    fn try_from(names: &[&str]) -> Result<Self, ConfigError> {
        Self::all(names)
    }
}

impl TryFrom<Vec<String>> for Requirement {
    type Error = ConfigError;

    fn try_from(names: Vec<String>) -> Result<Self, ConfigError> {
        Self::all(names)
    }
}
