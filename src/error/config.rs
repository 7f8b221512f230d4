//! Why a layer cannot be built.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

/// Why a layer, a provider or a setting was refused before serving.
///
/// The message names the setting and the fix. It never contains a secret.
///
/// `Debug` is `Display`, because that is what `fn main() -> Result<(), Box<dyn Error>>` prints.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    /// Where the setting stands, if it comes from a configuration.
    path: Option<Box<str>>,
    message: String,
}

impl ConfigError {
    /// An error about `setting`; for implementors of
    /// [`Authenticate`](crate::auth::Authenticate) with settings of its own that can be refused.
    ///
    /// The message says what is wrong and how to mend it, without repeating a secret.
    pub fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self {
            setting,
            path: None,
            message: message.into(),
        }
    }

    /// The same error, of a setter that calls another one.
    #[cfg(feature = "oauth")]
    pub(crate) fn of(self, setting: &'static str) -> Self {
        Self { setting, ..self }
    }

    /// The setting that was refused, by the name of its setter.
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Where the setting stands in a configuration: `authorization_servers[1].issuer`. The
    /// name of the setting, where it does not come from one.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(self.setting)
    }

    #[cfg(all(feature = "config", feature = "oauth"))]
    pub(crate) fn has_path(&self) -> bool {
        self.path.is_some()
    }

    /// The same error, of a setting that stands here.
    #[cfg(feature = "config")]
    pub(crate) fn at(self, path: impl Into<Box<str>>) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }

    /// The same error, of a setting in this section.
    #[cfg(feature = "config")]
    pub(crate) fn under(self, section: &str) -> Self {
        let path = format!("{section}.{}", self.path());
        self.at(path)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path(), self.message)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

/// Lets `impl TryInto<T>` parameters accept the finished type itself.
impl From<Infallible> for ConfigError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
