//! The settings of a connection.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use tokio_rustls::TlsConnector;

use super::Redis;
use super::address::{Address, Node};
use super::tls::{self, Certificates};
use crate::clock::Clock;
use crate::crypto::sha256;
use crate::error::ConfigError;
use crate::util::repeated;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_millis(250);
/// What it can be set to.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(2);
/// How many revocations the engine holds at most by default.
const MAX_REVOCATIONS: usize = 1_000_000;
const MAX_PREFIX: usize = 64;
const MAX_NODES: usize = 64;

/// Makes a [`Redis`]: see [`Redis::builder`].
///
/// The first setting that is refused is the error of [`connect`](Self::connect).
#[must_use]
pub struct RedisBuilder {
    settings: Settings,
    tls: bool,
    certificates: Certificates,
    prefix: Option<String>,
    error: Option<ConfigError>,
}

pub(super) struct Settings {
    pub(super) nodes: Vec<Node>,
    pub(super) tls: Option<TlsConnector>,
    pub(super) database: u32,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    /// In braces: all keys are in one slot.
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) max_revocations: usize,
    pub(super) clock: Clock,
}

impl RedisBuilder {
    pub(super) fn new(url: &str) -> Self {
        let mut builder = Self {
            settings: Settings {
                nodes: Vec::new(),
                tls: None,
                database: 0,
                username: None,
                password: None,
                prefix: String::new(),
                timeout: TIMEOUT,
                max_revocations: MAX_REVOCATIONS,
                clock: Clock::system(),
            },
            tls: false,
            certificates: Certificates::default(),
            prefix: None,
            error: None,
        };
        match Address::parse("url", url) {
            Err(error) => builder.error = Some(error),
            Ok(address) => {
                builder.settings.nodes.push(address.node);
                builder.settings.database = address.database;
                builder.settings.username = address.username;
                builder.settings.password = address.password;
                builder.tls = address.tls;
            }
        }
        builder
    }

    fn with(mut self, edit: impl FnOnce(&mut Self) -> Result<(), ConfigError>) -> Self {
        if self.error.is_none() {
            self.error = edit(&mut self).err();
        }
        self
    }

    /// The first setting that was refused.
    #[cfg(feature = "config")]
    pub(crate) fn error(&self) -> Option<&ConfigError> {
        self.error.as_ref()
    }

    /// Another engine of the same cluster, or one that takes the place of the first.
    ///
    /// They are asked in turn until one is the primary of the keys; the nodes of a cluster name the
    /// others. User, password and database are those of the first URL.
    pub fn node(self, url: &str) -> Self {
        self.with(|builder| {
            let refuse = |why: &str| Err(ConfigError::new("node", why));
            let address = Address::parse("node", url)?;
            if address.username.is_some() || address.password.is_some() {
                return refuse("user and password are those of the first URL: leave them out here");
            }
            if address.tls != builder.tls {
                return refuse("all nodes are asked over TLS, or none: the schemes differ");
            }
            if builder.settings.nodes.len() >= MAX_NODES {
                return refuse("there are more than 64 nodes: a few of a cluster name the others");
            }
            builder.settings.nodes.push(address.node);
            Ok(())
        })
    }

    /// The user of the engine's access control list. By default that of the URL. It needs a
    /// password, here or in the URL.
    pub fn username(self, name: impl Into<String>) -> Self {
        self.with(|builder| {
            builder.settings.username = Some(name.into());
            Ok(())
        })
    }

    /// The password. By default that of the URL. `Debug`, errors and events do not hold it.
    pub fn password(self, password: impl Into<String>) -> Self {
        self.with(|builder| {
            builder.settings.password = Some(SecretString::from(password.into()));
            Ok(())
        })
    }

    /// The authorities that the engine's certificate is of, in PEM. By default those of the system.
    pub fn ca(self, pem: impl AsRef<[u8]>) -> Self {
        self.with(|builder| {
            let found = tls::certificates("ca", pem.as_ref())?;
            builder.certificates.authorities.extend(found);
            Ok(())
        })
    }

    /// The certificate chain and the private key that the engine asks for, both in PEM.
    pub fn client_certificate(self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        const SETTING: &str = "client_certificate";

        self.with(|builder| {
            let chain = tls::certificates(SETTING, chain.as_ref())?;
            let key = tls::private_key(SETTING, key.as_ref())?;
            builder.certificates.client = Some((chain, key));
            Ok(())
        })
    }

    /// What all keys begin with, in braces: up to 64 letters, digits, `.`, `_` and `-`.
    ///
    /// All replicas of a server have the same, and two servers that share an engine have different
    /// ones. It is set by hand, or made by [`resource`](Self::resource).
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.with(|builder| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(fits) {
                return Err(ConfigError::new(
                    "prefix",
                    format!(
                        "{} is none: it is 1 to {MAX_PREFIX} letters, digits, `.`, `_` and `-`",
                        repeated(&prefix)
                    ),
                ));
            }
            match builder.prefix.replace(prefix) {
                None => Ok(()),
                Some(_) => Err(ConfigError::new(
                    "prefix",
                    "`prefix` and `resource` both say what keys begin with: set one of them",
                )),
            }
        })
    }

    /// Makes the prefix of a digest of the resource's URL.
    pub fn resource(self, url: &str) -> Self {
        let digest = sha256(&[b"tower-mcp-auth redis prefix 1", url.as_bytes()]);
        let digits: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.prefix(format!("mcp-{digits}"))
    }

    /// How long an answer may take, 10 ms to 2 s. By default 250 ms.
    ///
    /// A request waits no longer than this. It is also how long each waits while an engine that has
    /// stopped is not yet known to be down, which takes 2 seconds.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|builder| {
            if !TIMEOUTS.contains(&timeout) {
                return Err(ConfigError::new(
                    "timeout",
                    format!("{timeout:?} is none: it is 10 ms to 2 s, and 250 ms by default"),
                ));
            }
            builder.settings.timeout = timeout;
            Ok(())
        })
    }

    /// How many records of revocations the engine holds at most. By default 1,000,000, which take
    /// about 150 MB.
    ///
    /// Beyond that it is [full](crate::store::Appended::Full); those that have ended make room.
    /// Each replica counts by its own setting.
    pub fn max_revocations(self, max: usize) -> Self {
        self.with(|builder| {
            if max == 0 {
                let why = "with zero nothing could be revoked: it is 1 or more, and 1,000,000 by \
                           default";
                return Err(ConfigError::new("max_revocations", why));
            }
            builder.settings.max_revocations = max;
            Ok(())
        })
    }

    /// Replaces the clock; for tests.
    pub fn clock(self, clock: Clock) -> Self {
        self.with(|builder| {
            builder.settings.clock = clock;
            Ok(())
        })
    }

    /// Connects, and reads what the engine says of itself.
    ///
    /// An engine that cannot be reached now is no error, so that a server starts while its engine
    /// does: [`Redis::health`] and an event say so, and each question to the store fails until it
    /// is there.
    ///
    /// # Errors
    /// - A setting was refused, or neither `prefix` nor `resource` is set.
    /// - There is a user and no password.
    /// - The engine refuses the user or the password, or a command of
    ///   [the list](crate::redis#access-control).
    /// - Its certificate is not trusted.
    /// - Its `maxmemory-policy` is not `noeviction`.
    /// - There is no Tokio runtime with a timer and I/O.
    pub async fn connect(self) -> Result<Redis, ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut settings = self.settings;
        let prefix = self.prefix.ok_or_else(|| {
            let why = "not set: replicas need to have one that no other server has; name it, or \
                       set `resource` to the URL of the MCP server";
            ConfigError::new("prefix", why)
        })?;
        settings.prefix = format!("{{{prefix}}}");
        // Nothing would be said to the engine, which then takes it for its default user.
        if settings.username.is_some() && settings.password.is_none() {
            let why = "a user is set, and no password: set that as well; for a user with `nopass` \
                       any will do";
            return Err(ConfigError::new("password", why));
        }
        let has_certificates =
            !self.certificates.authorities.is_empty() || self.certificates.client.is_some();
        if has_certificates && !self.tls {
            let why = "certificates are set, and the scheme `redis` has no TLS: use `rediss`";
            return Err(ConfigError::new("url", why));
        }
        if self.tls {
            settings.tls = Some(tls::connector(self.certificates)?);
        }
        if tokio::runtime::Handle::try_current().is_err() {
            let why = "there is no Tokio runtime to connect in: call `connect` inside one";
            return Err(ConfigError::new("url", why));
        }
        Redis::start(settings).await
    }
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("settings", &self.settings)
            .field("prefix", &self.prefix)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("nodes", &self.nodes)
            .field("database", &self.database)
            .field("username", &self.username)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("max_revocations", &self.max_revocations)
            .finish_non_exhaustive()
    }
}
