//! `Behind`: what stands between clients and a layer.

use std::borrow::Cow;

use super::address::is_unambiguous;
use crate::error::ConfigError;
use crate::peer::TrustedProxies;

/// What stands between clients and a layer, and what it makes of their requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behind {
    pub(crate) proxies: Option<TrustedProxies>,
    /// Without a slash at its end.
    stripped_prefix: Option<Box<str>>,
}

/// The setting that names what is taken off paths.
pub(crate) const STRIPPED_PREFIX: &str = "stripped_prefix";

impl Behind {
    /// # Errors
    /// The prefix is no path, or could be several.
    #[cfg(feature = "oauth")]
    pub(crate) fn new(
        proxies: Option<TrustedProxies>,
        prefix: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut behind = Self {
            proxies,
            stripped_prefix: None,
        };
        match prefix {
            Some(prefix) => behind.set_prefix(prefix).map(|()| behind),
            None => Ok(behind),
        }
    }

    pub(crate) fn set_prefix(&mut self, prefix: &str) -> Result<(), ConfigError> {
        let is_path = prefix.len() > 1 && prefix.starts_with('/') && !prefix.ends_with('/');
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#{}".contains(&byte);
        if !is_path || !prefix.bytes().all(is_plain) || !is_unambiguous(prefix) {
            return Err(ConfigError::new(
                STRIPPED_PREFIX,
                format!(
                    "{prefix:?} is no prefix of paths: write `/team`, without a slash at its end"
                ),
            ));
        }
        self.stripped_prefix = Some(prefix.into());
        Ok(())
    }

    /// The setting that says something of it.
    #[cfg(feature = "oauth")]
    pub(crate) fn setting(&self) -> Option<&'static str> {
        let proxies = self.proxies.as_ref().map(|_| "trusted_proxies");
        proxies.or(self.stripped_prefix.as_ref().map(|_| STRIPPED_PREFIX))
    }

    /// The path as the client sent it. The target of `OPTIONS *` is none.
    pub(crate) fn whole<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match &self.stripped_prefix {
            Some(prefix) if path != "*" => Cow::Owned([prefix, path].concat()),
            _ => Cow::Borrowed(path),
        }
    }
}
