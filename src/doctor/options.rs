//! What to look at, and with what.

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use url::Url;

use crate::clock::Clock;
use crate::config::Config;
use crate::error::ConfigError;
use crate::oauth::{Expected, Written, parse_url};

/// The page that browser clients come from unless another one is named: that of MCP Inspector.
const INSPECTOR: &str = "http://localhost:6274";

/// How a certificate in DER begins: a sequence of more than 255 bytes.
const DER_SEQUENCE: &[u8] = &[0x30, 0x82];

/// What [`examine`](super::examine) looks at, and with what.
#[derive(Clone)]
#[must_use]
pub struct Options {
    /// As it was written, but for upper case in its origin; `resource` is compared with it.
    pub(super) written: String,
    pub(super) url: Url,
    pub(super) token: Option<SecretString>,
    pub(super) expected: Option<Expected>,
    /// Where it was named.
    origin: Option<String>,
    pub(super) is_mixed: bool,
    pub(super) may_follow_private: bool,
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) clock: Clock,
}

impl Options {
    /// Looks at the MCP endpoint at this URL, as clients are given it.
    ///
    /// # Errors
    /// The value is no absolute http or https URL, or has a fragment, a user name or a password.
    pub fn new(url: impl Into<String>) -> Result<Self, ConfigError> {
        let written = url.into();
        // Not repeated: it may be a token in the wrong place.
        if !written.contains("://") {
            let why = "it is no absolute URL, `https://mcp.example.com/mcp` say";
            return Err(ConfigError::new("url", why));
        }
        let url = parse_url("url", &written)?;
        if !matches!(url.scheme(), "http" | "https") {
            let why = format!("{written:?} is neither https nor http");
            return Err(ConfigError::new("url", why));
        }
        // As clients send it: they read a URL before they compare it.
        let origin = Written::split(&written).origin;
        let written = format!(
            "{}{}",
            origin.to_ascii_lowercase(),
            &written[origin.len()..]
        );
        Ok(Self {
            written,
            url,
            token: None,
            expected: None,
            origin: None,
            is_mixed: false,
            may_follow_private: false,
            roots: Vec::new(),
            clock: Clock::system(),
        })
    }

    /// Judges this access token, and presents it to the server. It is sent to that origin alone,
    /// over https or loopback, and nothing of it is in the report but the claims that matter.
    ///
    /// White space around it is dropped. Default: none.
    ///
    /// # Errors
    /// It is empty, longer than 64 KiB, or has characters that no access token has.
    pub fn token(mut self, token: impl AsRef<str>) -> Result<Self, ConfigError> {
        let token = token.as_ref().trim();
        let refuse = |why: &str| Err(ConfigError::new("token", why));
        if token.is_empty() {
            return refuse("it is empty");
        }
        if token.len() > 64 * 1024 {
            return refuse("it is longer than 64 KiB");
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse(
                "it has a space or a character that no access token has: give the token alone, \
                 without `Bearer`",
            );
        }
        self.token = Some(token.into());
        Ok(self)
    }

    /// Compares with what a server made from this configuration says and expects: its resources,
    /// issuers, audiences and required scopes. Default: what the server says of itself.
    ///
    /// # Errors
    /// A setting for access tokens is refused, or there are no authorization servers.
    pub fn config(mut self, config: &Config) -> Result<Self, ConfigError> {
        self.expected = Some(config.expected(&self.written)?);
        Ok(self)
    }

    /// Asks as a page of this origin does; clients in it must get through. Default: as a page of
    /// MCP Inspector (`http://localhost:6274`), and that it does not get through is a note.
    ///
    /// # Errors
    /// It is no `scheme://host:port`.
    pub fn origin(mut self, origin: impl Into<String>) -> Result<Self, ConfigError> {
        let origin = origin.into();
        let parsed = parse_url("origin", &origin)?;
        if parsed.origin().ascii_serialization() != origin {
            let why = format!("{origin:?} is no origin: write `https://app.example.com`");
            return Err(ConfigError::new("origin", why));
        }
        self.origin = Some(origin);
        Ok(self)
    }

    /// Says that requests without a token are served on purpose, because some tools are free.
    pub fn mixed(mut self) -> Self {
        self.is_mixed = true;
        self
    }

    /// Follows documents of a public server to private addresses and to this machine. Default: a
    /// hostile server cannot make the doctor ask there.
    pub fn follow_private(mut self) -> Self {
        self.may_follow_private = true;
        self
    }

    /// Trusts these certificate authorities besides those of the system, as PEM.
    ///
    /// # Errors
    /// It holds no certificate, or one that is not valid.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let refuse = |why: String| Err(ConfigError::new("root_certificates", why));
        let pem = pem.as_ref();
        let fix = "give certificates in PEM, from `-----BEGIN CERTIFICATE-----` on";
        if pem.trim_ascii().is_empty() {
            return refuse(format!("there is nothing in it: {fix}"));
        }
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = match found {
            Ok(found) if !found.is_empty() => found,
            Ok(_) if pem.starts_with(DER_SEQUENCE) => {
                return refuse(format!(
                    "this is DER, it seems: {fix} (`openssl x509` writes it)"
                ));
            }
            Ok(_) => return refuse(format!("there is no certificate in it: {fix}")),
            Err(_) => return refuse(format!("this is not PEM: {fix}")),
        };
        let mut store = RootCertStore::empty();
        for (number, certificate) in (1..).zip(&found) {
            if store.add(certificate.clone()).is_err() {
                return refuse(format!("certificate {number} in it is not valid: {fix}"));
            }
        }
        self.roots.extend(found);
        Ok(self)
    }

    /// Goes by this clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn page(&self) -> &str {
        self.origin.as_deref().unwrap_or(INSPECTOR)
    }

    /// Whether clients in a browser were asked about.
    pub(super) fn is_for_pages(&self) -> bool {
        self.origin.is_some()
    }

    /// What goes with the request that presents the token.
    pub(super) fn bearer(&self) -> Option<HeaderValue> {
        let token = self.token.as_ref()?.expose_secret();
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &self.written)
            .field("token", &self.token.as_ref().map(|_| "[redacted]"))
            .finish_non_exhaustive()
    }
}
