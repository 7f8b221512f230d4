//! What the replicas of a server share: the settings of the engine, and its connection.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Deserialize;

use super::Config;
use super::common::{missing, secret_at, whole_file};
use super::secret::SecretSource;
use super::sections::{Sections, section};
use super::units::{Name, Span, Texts};
use crate::crypto::{Digest, sha256};
use crate::error::ConfigError;
use crate::redis::{Redis, RedisBuilder, WeakRedis};
use crate::util::locked;

section! {
    /// What the replicas of this server share.
    Shared {
        /// The engine: a Redis or Valkey.
        redis: Option<RedisSection>,
    }
}

section! {
    /// A Redis or Valkey.
    RedisSection {
        /// Where it is: `redis://`, or with TLS `rediss://`.
        url: Option<SecretSource>,
        /// More nodes of the cluster, or engines that take the place of the first.
        nodes: Texts,
        /// The user; by default that of the URL.
        username: Option<Name>,
        /// The password; by default that of the URL.
        password: Option<SecretSource>,
        /// A file with the certificate authorities that are trusted, as PEM; by default those of
        /// the system.
        ca: Option<PathBuf>,
        /// A file with the certificate chain that the engine asks for, as PEM.
        client_certificate: Option<PathBuf>,
        /// The private key of that, as PEM.
        client_key: Option<SecretSource>,
        /// What all keys begin with; by default made of the resource.
        prefix: Option<Name>,
        /// How long an answer may take.
        timeout: Option<Span>,
        /// How many revocations it holds at most.
        max_revocations: Option<usize>,
    }
}

/// The connections that configurations and layers have. A reload connects while the old layers are
/// in force, and finds theirs.
static KEPT: Mutex<Vec<(Digest, WeakRedis)>> = Mutex::new(Vec::new());

impl Config {
    /// Connects to the engine of `shared`. The layers are made of what this gives:
    /// `Config::from_toml(&text)?.connect().await?.stack()?`, at each reload as well. Without that
    /// section nothing happens.
    ///
    /// Clones have the same connection, and so has a configuration with the same settings of the
    /// engine, as long as one of them or their layers is there: a reload goes on with it.
    ///
    /// An engine that cannot be reached now is no error, so that a server starts while its engine
    /// does: what needs it is 503 until then, and [`redis`](Self::redis) says why.
    ///
    /// # Errors
    /// A setting is refused, or a secret or a file cannot be read; or the engine refuses what
    /// [`RedisBuilder::connect`] says.
    pub async fn connect(mut self) -> Result<Self, ConfigError> {
        if let (Some(shared), None) = (&self.sections.shared, &self.engine) {
            let made = shared.connect(&self.sections).await;
            self.engine = Some(self.applied.settle(&["shared"], made)?);
        }
        Ok(self)
    }

    /// The engine of `shared`, if this configuration is [connected](Self::connect).
    ///
    /// A readiness check asks it for its [`health`](Redis::health), and
    /// [`init`](Redis::init) is called once for a new one.
    pub fn redis(&self) -> Option<&Redis> {
        self.engine.as_ref()
    }
}

impl Shared {
    async fn connect(&self, sections: &Sections) -> Result<Redis, ConfigError> {
        let why = "say where the engine is";
        let redis = self.redis.as_ref();
        let redis = redis.ok_or_else(|| missing("redis", "shared.redis", why))?;
        let (builder, digest) = redis.builder(sections)?;
        if let Some(redis) = kept(&digest) {
            return Ok(redis);
        }
        let connected = builder.connect().await.map_err(placed)?;
        let mut all = locked(&KEPT);
        // Another one may have been faster.
        let faster = all.iter().find(|(known, _)| *known == digest);
        if let Some(redis) = faster.and_then(|(_, redis)| redis.upgrade()) {
            return Ok(redis);
        }
        all.push((digest, connected.downgrade()));
        Ok(connected)
    }
}

/// The connection with these settings, if it is still in use.
fn kept(digest: &Digest) -> Option<Redis> {
    let mut all = locked(&KEPT);
    all.retain(|(_, redis)| redis.upgrade().is_some());
    let found = all.iter().find(|(known, _)| known == digest);
    found.and_then(|(_, redis)| redis.upgrade())
}

/// The setting of the builder that was refused, by its place here.
fn placed(error: ConfigError) -> ConfigError {
    match error.setting() {
        "node" => error.at("shared.redis.nodes"),
        setting => error.at(format!("shared.redis.{setting}")),
    }
}

fn file(path: &Path, setting: &'static str) -> Result<Vec<u8>, ConfigError> {
    whole_file(path).map_err(|why| {
        let why = format!("{}: it {why}", path.display());
        placed(ConfigError::new(setting, why))
    })
}

/// Everything that makes one connection another one.
#[derive(Default)]
struct Identity(Vec<u8>);

impl Identity {
    fn add(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.extend_from_slice(&part.len().to_be_bytes());
            self.0.extend_from_slice(part);
        }
    }
}

impl RedisSection {
    /// The builder, and what tells its connection from others.
    fn builder(&self, sections: &Sections) -> Result<(RedisBuilder, Digest), ConfigError> {
        let mut identity = Identity::default();
        let secret = |source: &SecretSource, setting: &str| {
            secret_at(source, &format!("shared.redis.{setting}"))
        };
        let why = "say where the engine is: `rediss://redis.example.com`";
        let url = self.url.as_ref();
        let url = url.ok_or_else(|| missing("url", "shared.redis.url", why))?;
        let url = secret(url, "url")?;
        identity.add("url", url.expose().as_bytes());
        let mut builder = Redis::builder(url.expose());
        for (index, node) in self.nodes.0.iter().enumerate() {
            identity.add("node", node.as_bytes());
            let is_good = builder.error().is_none();
            builder = builder.node(node);
            if let Some(error) = builder.error().filter(|_| is_good) {
                let path = format!("shared.redis.nodes[{index}]");
                return Err(error.clone().at(path));
            }
        }
        if let Some(name) = &self.username {
            identity.add("username", name.as_str().as_bytes());
            builder = builder.username(name.as_str());
        }
        if let Some(source) = &self.password {
            let password = secret(source, "password")?;
            identity.add("password", password.expose().as_bytes());
            builder = builder.password(password.expose());
        }
        if let Some(path) = &self.ca {
            let pem = file(path, "ca")?;
            identity.add("ca", &pem);
            builder = builder.ca(pem);
        }
        match (&self.client_certificate, &self.client_key) {
            (Some(path), Some(source)) => {
                let chain = file(path, "client_certificate")?;
                let key = secret(source, "client_key")?;
                identity.add("client_certificate", &chain);
                identity.add("client_key", key.expose().as_bytes());
                builder = builder.client_certificate(chain, key.expose());
            }
            (None, None) => {}
            (Some(_), None) => {
                let why = "the certificate is of no use without its key";
                return Err(missing("client_key", "shared.redis.client_key", why));
            }
            (None, Some(_)) => {
                let path = "shared.redis.client_certificate";
                let why = "the key is of no use without its certificate";
                return Err(missing("client_certificate", path, why));
            }
        }
        builder = match &self.prefix {
            Some(prefix) => {
                identity.add("prefix", prefix.as_str().as_bytes());
                builder.prefix(prefix.as_str())
            }
            None => {
                let url = sections.one_resource()?.ok_or_else(|| {
                    let why = "it is made of the `resource` where there is one; name it here, the \
                               same at all replicas, and another one for each server";
                    missing("prefix", "shared.redis.prefix", why)
                })?;
                identity.add("resource", url.as_bytes());
                builder.resource(url)
            }
        };
        if let Some(Span(timeout)) = self.timeout {
            identity.add("timeout", &timeout.as_nanos().to_be_bytes());
            builder = builder.timeout(timeout);
        }
        if let Some(most) = self.max_revocations {
            identity.add("max_revocations", &most.to_be_bytes());
            builder = builder.max_revocations(most);
        }
        if let Some(error) = builder.error() {
            return Err(placed(error.clone()));
        }
        Ok((builder, sha256(&[&identity.0])))
    }
}

impl Sections {
    /// The URL of the resource, unless there are several.
    fn one_resource(&self) -> Result<Option<&str>, ConfigError> {
        #[cfg(feature = "oauth")]
        let url = self.only_resource()?.map(|(url, _)| url);
        #[cfg(not(feature = "oauth"))]
        let url = self.resource.as_deref();
        Ok(url)
    }
}
