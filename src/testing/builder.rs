//! The settings of an issuer before it starts.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;

use super::behaviour::Faults;
use super::endpoint::Paths;
use super::introspection::{Introspection, IntrospectionAuth};
use super::issuer::Issuer;
use super::keys::KeyRing;
use super::request::Recorder;
use super::server;
use super::shared::Shared;
use super::store::Store;
use crate::clock::Clock;
use crate::jose::Algorithm;
use crate::scope::Scopes;

/// Settings of an [`Issuer`].
#[derive(Clone)]
#[must_use]
pub struct IssuerBuilder {
    address: SocketAddr,
    path: String,
    algorithms: Vec<Algorithm>,
    clock: Clock,
    scopes_supported: Vec<String>,
    token_lifetime: Duration,
    clients: Vec<(String, String)>,
    introspection: Introspection,
    opaque_tokens: Option<String>,
}

impl IssuerBuilder {
    pub(super) fn new() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            path: String::new(),
            algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
            clock: Clock::system(),
            scopes_supported: Vec::new(),
            token_lifetime: Duration::from_secs(3600),
            clients: Vec::new(),
            introspection: Introspection::default(),
            opaque_tokens: None,
        }
    }

    /// Sets the address, which must be a loopback one. The default is 127.0.0.1 and a free
    /// port.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// Gives the issuer identifier a path, `/tenant` for example. All endpoints move below
    /// it, and the metadata have two places each, inserted and appended. `/` makes an
    /// identifier that ends with a slash.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the algorithms there are keys for; the first signs by default. The default is
    /// RS256, ES256 and EdDSA.
    ///
    /// RSA keys have 2048 bits and take longest to make: with `rust-crypto` alone and without
    /// optimization, seconds each. Tests that need no RSA are quicker with ES256 alone.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Sets the clock. The default is the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets `scopes_supported`, which is also what a client is granted that asks for no
    /// scope. The default is none; a client that asks is granted any scope.
    pub fn scopes_supported<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes_supported = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long access tokens are valid, in whole seconds. The default is an hour.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Adds a confidential client that needs no registration, with any redirect URI on a
    /// loopback host.
    pub fn client(mut self, client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.clients.push((client_id.into(), secret.into()));
        self
    }

    /// Sets how resource servers prove to the introspection endpoint who they are. The
    /// default is `client_secret_basic` and `client_secret_post`, by any client with a
    /// secret.
    ///
    /// ```
    /// use tower_mcp_auth::testing::{IntrospectionAuth, Issuer};
    ///
    /// let builder = Issuer::builder()
    ///     .client("mcp@example.com:1", "s3cret")
    ///     .introspection_auth([IntrospectionAuth::client_secret_post()]);
    /// ```
    pub fn introspection_auth(
        mut self,
        methods: impl IntoIterator<Item = IntrospectionAuth>,
    ) -> Self {
        self.introspection.auth = methods.into_iter().collect();
        self
    }

    /// Signs the answers of introspection for those who ask with
    /// `Accept: application/token-introspection+jwt`
    /// ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)); `audience` is their `aud`. By
    /// default nothing is signed, whichever client asks.
    pub fn signed_introspection(mut self, audience: impl Into<String>) -> Self {
        self.introspection.signed_for = Some(audience.into());
        self
    }

    /// Makes the token endpoint issue [opaque](super::TokenBuilder::opaque) access tokens,
    /// which start with `prefix` (it may be empty). By default they are signed.
    pub fn opaque_tokens(mut self, prefix: impl Into<String>) -> Self {
        self.opaque_tokens = Some(prefix.into());
        self
    }

    /// Makes the keys, opens the port and starts to serve.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the address is not a loopback one,
    /// the path is not one, a scope has characters no scope may have, there is no
    /// algorithm, or one of HMAC, introspection has no way to authenticate or one with an
    /// empty client id or token; else the port cannot be opened, or the keys cannot be made.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub async fn start(self) -> io::Result<Issuer> {
        self.check()
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let listener = TcpListener::bind(self.address).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let algorithms = self.algorithms;
        let keys = tokio::task::spawn_blocking(|| KeyRing::generate(algorithms))
            .await
            .map_err(io::Error::other)??;
        let shared = Arc::new(Shared {
            url: format!("{origin}{}", self.path),
            paths: Paths::new(&origin, &self.path),
            keys,
            faults: Faults::default(),
            recorder: Recorder::default(),
            clock: self.clock,
            scopes_supported: self.scopes_supported,
            token_lifetime: self.token_lifetime,
            introspection: self.introspection,
            opaque_tokens: self.opaque_tokens,
            store: Mutex::new(Store::new(self.clients)),
        });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Issuer::new(shared, server.abort_handle()))
    }

    fn check(&self) -> Result<(), &'static str> {
        if !self.address.ip().is_loopback() {
            return Err("listen: this issuer gives a token to whoever asks; loopback only");
        }
        let segments_are_plain = self.path.split('/').skip(1).all(|segment| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !segment.starts_with('.') && segment.bytes().all(plain)
        });
        let is_path = self.path.is_empty() || self.path.starts_with('/');
        if !is_path || self.path.contains("//") || !segments_are_plain {
            return Err("path: it starts with a slash, and has plain segments");
        }
        if self.algorithms.is_empty() {
            return Err("algorithms: there must be one to sign with");
        }
        if self
            .algorithms
            .iter()
            .any(|alg| alg.name().starts_with("HS"))
        {
            return Err("algorithms: an authorization server publishes its keys, so not HS*");
        }
        if Scopes::from_names(&self.scopes_supported).is_err() {
            return Err("scopes_supported: a scope has characters no scope may have");
        }
        self.introspection.check()
    }
}

impl fmt::Debug for IssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients: Vec<&str> = self.clients.iter().map(|(id, _)| id.as_str()).collect();
        f.debug_struct("IssuerBuilder")
            .field("address", &self.address)
            .field("path", &self.path)
            .field("algorithms", &self.algorithms)
            .field("clock", &self.clock)
            .field("scopes_supported", &self.scopes_supported)
            .field("token_lifetime", &self.token_lifetime)
            .field("clients", &clients)
            .field("introspection", &self.introspection)
            .field("opaque_tokens", &self.opaque_tokens)
            .finish()
    }
}
