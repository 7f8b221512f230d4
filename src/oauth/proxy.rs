//! The proxy that https is sent through, where there is one.

use std::env::{self, VarError};
use std::fmt;

use url::{Host, Url};

use super::fetch::FetchError;
use super::http_fetch::chain;
use crate::error::ConfigError;

/// Where it is, and what does not go through it. `Debug` prints no password.
#[derive(Clone)]
pub(super) struct Proxy {
    url: Url,
    /// Hosts, as `NO_PROXY` lists them.
    not_for: Box<str>,
}

impl Proxy {
    /// The proxy at a URL; `setting` is who names it.
    pub(super) fn at(setting: &'static str, url: &str, not_for: &str) -> Result<Self, ConfigError> {
        // The value is not repeated: it may hold a password.
        let refuse = |why: &str| Err(ConfigError::new(setting, why));
        let url = match Url::parse(url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            Ok(url) if url.has_host() => {
                return refuse("the proxy is reached by neither http nor https");
            }
            _ => return refuse("the value is no URL of a proxy, such as `http://proxy:3128`"),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return refuse("the URL of a proxy has no path, no query and no fragment");
        }
        Ok(Self {
            url,
            not_for: not_for.into(),
        })
    }

    /// The one the environment names, if it names one.
    pub(super) fn from_environment() -> Result<Option<Self>, ConfigError> {
        let url = match variable(["HTTPS_PROXY", "https_proxy"])? {
            Some(url) => Some(url),
            None => variable(["ALL_PROXY", "all_proxy"])?,
        };
        let Some((name, url)) = url else {
            return Ok(None);
        };
        // As other programs read these variables.
        let url = match url.contains("://") {
            true => url,
            false => format!("http://{url}"),
        };
        let not_for = variable(["NO_PROXY", "no_proxy"])?;
        let not_for = not_for.map(|(_, hosts)| hosts).unwrap_or_default();
        Self::at(name, &url, &not_for).map(Some)
    }

    /// Whether requests to `url` may go through a proxy. What one is not for is left to reqwest.
    pub(super) fn may_serve(url: &Url) -> bool {
        url.scheme() == "https" && !is_this_machine(url)
    }

    pub(super) fn to_reqwest(&self) -> Result<reqwest::Proxy, FetchError> {
        let proxy = reqwest::Proxy::https(self.url.clone())
            .map_err(|error| FetchError::new(format!("no proxy: {}", chain(&error))))?;
        Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&self.not_for)))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.url.host_str())
            .field("port", &self.url.port_or_known_default())
            .field("not_for", &self.not_for)
            .finish_non_exhaustive()
    }
}

/// The first of these variables that says something.
fn variable(names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, ConfigError> {
    for name in names {
        match env::var(name) {
            Ok(value) if !value.trim().is_empty() => {
                return Ok(Some((name, value.trim().to_owned())));
            }
            Ok(_) | Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => {
                return Err(ConfigError::new(name, "the variable is not UTF-8"));
            }
        }
    }
    Ok(None)
}

/// Whether a URL leads to this machine by its name or address. Wider than where plain http is
/// let through: what is taken for loopback by mistake is only not sent through a proxy.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.is_loopback() || address.is_unspecified(),
            None => address.is_loopback() || address.is_unspecified(),
        },
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            // RFC 6761 section 6.3.
            name == "localhost" || name.ends_with(".localhost")
        }
        None => true,
    }
}
