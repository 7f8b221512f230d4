//! Where an engine is, and who asks: what a URL says.

use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::error::ConfigError;

const PORT: u16 = 6379;

/// One engine.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a URL says.
pub(super) struct Address {
    pub(super) node: Node,
    pub(super) tls: bool,
    pub(super) database: u32,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
}

impl Address {
    /// The URL itself is in no error: it may hold a password.
    pub(super) fn parse(setting: &'static str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| {
            let why =
                format!("{why}: it is like `rediss://user:password@redis.example.com:6379/0`");
            ConfigError::new(setting, why)
        };
        let url = Url::parse(text).map_err(|error| refuse(&format!("no URL ({error})")))?;
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(refuse("the scheme is none of `redis` and `rediss`")),
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(refuse("there is no host"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("a query or a fragment says nothing here"));
        }
        let database = url.path().trim_start_matches('/');
        let database = match database {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| refuse("the path is no number of a database"))?,
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(|text| text.into_owned())
                .map_err(|_| refuse("user and password are percent-encoded UTF-8"))
        };
        let username = match url.username() {
            "" => None,
            name => Some(decoded(name)?),
        };
        let password = url.password().filter(|password| !password.is_empty());
        let password = password.map(decoded).transpose()?;
        Ok(Self {
            node: Node {
                host: host.into(),
                port: url.port().unwrap_or(PORT),
            },
            tls,
            database,
            username,
            password: password.map(SecretString::from),
        })
    }
}
