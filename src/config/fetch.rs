//! How a configuration has requests to authorization servers made.

use serde::Deserialize;

use super::common::{secret_at, whole_file};
use super::secret::SecretSource;
use super::sections::section;
use super::units::Span;
use crate::error::ConfigError;
use crate::oauth::HttpFetch;

section! {
    /// How requests to authorization servers are made.
    FetchSection {
        /// How long connecting may take.
        connect_timeout: Option<Span>,
        /// How long a request may take.
        timeout: Option<Span>,
        /// How long a connection that is not used is kept open.
        idle_timeout: Option<Span>,
        /// Certificate authorities that are trusted besides those of the system, as PEM.
        root_certificates_file: Option<std::path::PathBuf>,
        /// Sends https through the proxy at this URL, but not to this machine.
        proxy: Option<SecretSource>,
        /// Sends https through the proxy that HTTPS_PROXY or ALL_PROXY names, but for NO_PROXY.
        proxy_from_environment: bool,
        /// Connects to public addresses alone.
        public_addresses_only: bool,
    }
}

impl FetchSection {
    pub(super) fn client(&self) -> Result<HttpFetch, ConfigError> {
        let path = |key: &str| format!("oauth.fetch.{key}");
        let contradicts = |key: &str, other: &str| {
            let why = format!("`{other}` and `{key}` contradict each other: keep one");
            ConfigError::new("proxy", why).at(path(key))
        };
        let mut client = HttpFetch::new();
        if self.proxy_from_environment {
            if self.proxy.is_some() {
                return Err(contradicts("proxy_from_environment", "proxy"));
            }
            if self.public_addresses_only {
                return Err(contradicts(
                    "proxy_from_environment",
                    "public_addresses_only",
                ));
            }
            let from = HttpFetch::from_environment();
            client = from.map_err(|error| error.at(path("proxy_from_environment")))?;
        }
        if let Some(proxy) = &self.proxy {
            if self.public_addresses_only {
                return Err(contradicts("proxy", "public_addresses_only"));
            }
            let url = secret_at(proxy, &path("proxy"))?;
            let set = client.proxy(url.expose());
            client = set.map_err(|error| error.at(path("proxy")))?;
        }
        if let Some(file) = &self.root_certificates_file {
            let place = || path("root_certificates_file");
            let pem = whole_file(file).map_err(|why| {
                let why = format!("{}: it {why}", file.display());
                ConfigError::new("root_certificates", why).at(place())
            })?;
            let set = client.root_certificates(pem);
            client = set.map_err(|error| error.at(place()))?;
        }
        if let Some(Span(timeout)) = self.connect_timeout {
            client = client.connect_timeout(timeout);
        }
        if let Some(Span(timeout)) = self.timeout {
            client = client.timeout(timeout);
        }
        if let Some(Span(timeout)) = self.idle_timeout {
            client = client.idle_timeout(timeout);
        }
        if self.public_addresses_only {
            client = client.public_addresses_only();
        }
        Ok(client)
    }
}
