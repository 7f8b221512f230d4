//! URLs: which ones may be configured, and which ones may be called.
//!
//! Identifiers are kept as the strings they were configured as, because they compare byte
//! by byte (RFC 9728 section 6, RFC 8414 section 3.3), and a URL type would add a slash or
//! fold a host.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::ConfigError;

/// Where plain `http` is let through; `https` always is.
#[derive(Clone, Debug, Default)]
pub(crate) struct UrlPolicy {
    pub(crate) http_on_loopback: bool,
    pub(crate) http_to: Option<Box<str>>,
}

impl UrlPolicy {
    /// Whether a URL may be called; the reason, if not.
    pub(crate) fn check(&self, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|error| format!("{url:?} is no URL: {error}"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("a URL with a user name or password is not called".to_owned());
        }
        match parsed.scheme() {
            "https" => Ok(()),
            "http" if self.http_on_loopback && is_loopback(&parsed) => Ok(()),
            "http" if self.http_to.is_some() && parsed.host_str() == self.http_to.as_deref() => {
                Ok(())
            }
            "http" if is_loopback(&parsed) => Err(format!(
                "{url:?} is http: use https, or `insecure_http_on_loopback` for development"
            )),
            _ => Err(format!("{url:?} is not https")),
        }
    }
}

/// A literal loopback address, or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => Ipv4Addr::is_loopback(&address),
        Some(Host::Ipv6(address)) => Ipv6Addr::is_loopback(&address),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The parts of an identifier as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    /// `https://host:port`
    pub(crate) origin: &'a str,
    /// Empty, or with its slash.
    pub(crate) path: &'a str,
    /// Empty, or with its question mark.
    pub(crate) query: &'a str,
}

impl<'a> Written<'a> {
    /// `identifier` has a scheme and an authority, and no fragment.
    pub(crate) fn split(identifier: &'a str) -> Self {
        let authority = identifier.find("://").map_or(0, |at| at + 3);
        let path = identifier[authority..]
            .find(['/', '?', '#'])
            .map_or(identifier.len(), |at| authority + at);
        let query = identifier[path..]
            .find('?')
            .map_or(identifier.len(), |at| path + at);
        Self {
            origin: &identifier[..path],
            path: &identifier[path..query],
            query: &identifier[query..],
        }
    }
}

/// What every identifier must be: an absolute URL without fragment and user.
pub(crate) fn parse(setting: &'static str, identifier: &str) -> Result<Url, ConfigError> {
    let refuse = |why: String| Err(ConfigError::new(setting, why));
    // First, because the other refusals repeat the value.
    if Written::split(identifier).origin.contains('@') {
        return refuse("the URL has a user name or password; leave them out".to_owned());
    }
    // `Url` would quietly drop or encode these.
    if !identifier.bytes().all(|byte| byte.is_ascii_graphic()) || identifier.contains('\\') {
        return refuse(format!(
            "{identifier:?} has a space, a backslash or a character that is not ASCII; write hosts \
             in punycode and encode paths"
        ));
    }
    let url = match Url::parse(identifier) {
        Ok(url) if url.has_host() && identifier.contains("://") => url,
        _ => return refuse(format!("{identifier:?} is no absolute URL")),
    };
    if identifier.contains('#') {
        return refuse(format!("{identifier:?} has a fragment; leave it out"));
    }
    Ok(url)
}

/// Refuses a URL that clients read as another one: they would ask for what is not there.
pub(crate) fn refuse_rewritten(
    setting: &'static str,
    written: &str,
    parsed: &Url,
) -> Result<(), ConfigError> {
    let Written { path, query, .. } = Written::split(written);
    let is_kept = parsed.path() == if path.is_empty() { "/" } else { path }
        && parsed.query() == query.strip_prefix('?');
    if is_kept {
        return Ok(());
    }
    Err(ConfigError::new(
        setting,
        format!(
            "{written:?} has dot segments or characters that are encoded, so clients read it as \
             {:?}: write that",
            parsed.as_str()
        ),
    ))
}
