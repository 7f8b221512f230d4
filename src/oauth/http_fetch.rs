//! `HttpFetch`: the bounded HTTP client.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use reqwest::{Certificate, Client, ClientBuilder};
use url::Url;

use super::connections::{self, WatchConnections};
use super::fetch::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT, Fetch, FetchError, FetchFuture, FetchTimeouts,
    FreshConnection, RootCertificates,
};
use super::proxy::Proxy;
use super::public_addresses::{PublicAddresses, may_be_public};
use crate::error::ConfigError;
use crate::util::locked;

/// The default [`Fetch`]: HTTPS with the system's root certificates, no proxy, no redirects, no
/// compression, no cookies; 2 s to connect, 5 s in all, and a body over its limit refused whole.
///
/// Variables such as `HTTP_PROXY` change nothing: a [`proxy`](Self::proxy) is configured here,
/// or taken from them by [`from_environment`](Self::from_environment).
///
/// A server may close a connection that is kept open while a request is on its way. Such a
/// request is sent once more, over a new connection.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::OAuthLayer;
/// use tower_mcp_auth::oauth::HttpFetch;
///
/// let client = HttpFetch::new()
///     .proxy("http://proxy.example.com:3128")?
///     .idle_timeout(Duration::from_secs(10));
/// let layer = OAuthLayer::builder("https://mcp.example.com/mcp")?
///     .authorization_server("https://auth.example.com")?
///     .fetch(client)
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct HttpFetch {
    connect_timeout: Duration,
    timeout: Duration,
    idle_timeout: Duration,
    public_addresses_only: bool,
    root_certificates: Vec<Certificate>,
    proxy: Option<Proxy>,
    direct: Clients,
    proxied: Clients,
    /// For requests that trust other authorities than the rest, the last ones made.
    trusting: Mutex<Vec<Trusting>>,
}

/// A client that trusts these authorities and no other.
#[derive(Debug)]
struct Trusting {
    roots: RootCertificates,
    proxied: bool,
    client: Client,
}

/// How many of them are kept: one for each server that asks for it, and the next one of a
/// rotation.
const MOST_TRUSTING: usize = 16;

/// Made at the first request: reading root certificates is no work for a constructor.
#[derive(Debug, Default)]
struct Clients {
    keeping_connections: OnceLock<Client>,
    closing_connections: OnceLock<Client>,
}

impl Default for HttpFetch {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpFetch {
    /// A client with the defaults.
    pub fn new() -> Self {
        Self {
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            timeout: DEFAULT_TIMEOUT,
            idle_timeout: Duration::from_secs(30),
            public_addresses_only: false,
            root_certificates: Vec::new(),
            proxy: None,
            direct: Clients::default(),
            proxied: Clients::default(),
            trusting: Mutex::default(),
        }
    }

    /// A client with the defaults, and the [`proxy`](Self::proxy) that the environment names:
    /// `HTTPS_PROXY`, else `ALL_PROXY`, but not for what `NO_PROXY` lists; or the same in lower
    /// case. Without them there is no proxy. `HTTP_PROXY` is never read.
    ///
    /// # Errors
    /// A variable is not UTF-8, or names no proxy: as for [`proxy`](Self::proxy).
    pub fn from_environment() -> Result<Self, ConfigError> {
        let proxy = Proxy::from_environment()?;
        Ok(Self {
            proxy,
            ..Self::new()
        })
    }

    /// Sends https through the proxy at this URL, `http` or `https`, by `CONNECT`; default none.
    /// A user name and a password in it are sent to the proxy.
    ///
    /// Plain http and loopback are never sent through it: a proxy could read, and forge, what is
    /// said there.
    ///
    /// # Errors
    /// The value is no absolute URL of a host, or neither http nor https; or
    /// [`public_addresses_only`](Self::public_addresses_only) was set, because a proxy would do
    /// the resolving.
    pub fn proxy(mut self, url: impl AsRef<str>) -> Result<Self, ConfigError> {
        if self.public_addresses_only {
            return Err(ConfigError::new(
                "proxy",
                "`public_addresses_only` and `proxy` contradict each other, because a proxy would \
                 do the resolving: keep one",
            ));
        }
        self.proxy = Some(Proxy::at("proxy", url.as_ref(), "")?);
        Ok(self)
    }

    /// Trusts these certificate authorities besides those of the system: a private one, say. The
    /// value is PEM, and may hold several; further calls add to it.
    ///
    /// # Errors
    /// It holds no certificate, or one that is not valid.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let refuse = |why: String| ConfigError::new("root_certificates", why);
        let found = Certificate::from_pem_bundle(pem.as_ref())
            .map_err(|_| refuse("this is not PEM".to_owned()))?;
        if found.is_empty() {
            return Err(refuse(
                "there is no certificate (`-----BEGIN CERTIFICATE-----`)".to_owned(),
            ));
        }
        // They are parsed when a client is made of them, and of them alone that is quick.
        let client = Client::builder().no_proxy().tls_certs_only(found.clone());
        if let Err(error) = client.build() {
            let why = format!("a certificate is not valid: {}", chain(&error));
            return Err(refuse(why));
        }
        self.root_certificates.extend(found);
        Ok(self)
    }

    /// How long a connection may take, as a part of the request; default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take, body included; default 5 s. See
    /// [time limits](crate::oauth#time-limits) for what is made of requests.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a connection that is not used is kept open; default 30 s. With zero, each request
    /// has a connection of its own.
    ///
    /// Less than the server keeps it, and fewer requests meet a connection that is being closed.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Refuses addresses that are not public: loopback, private and link-local ones, those
    /// of cloud metadata services among them. Default off.
    ///
    /// Meant for servers with issuers that tenants configure. Proxies are not used then,
    /// because a proxy would do the resolving.
    pub fn public_addresses_only(mut self) -> Self {
        self.public_addresses_only = true;
        self
    }

    /// The proxy of a request to `url`.
    fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        let proxy = self.proxy.as_ref();
        proxy.filter(|_| !self.public_addresses_only && Proxy::may_serve(url))
    }

    /// The client for a request to `url` that trusts these authorities alone. Such requests are
    /// seldom, so each has a connection of its own.
    fn client_trusting(&self, url: &Url, roots: &RootCertificates) -> Result<Client, FetchError> {
        let proxy = self.proxy_for(url);
        let mut trusting = locked(&self.trusting);
        let proxied = proxy.is_some();
        let is_it = |own: &&Trusting| own.proxied == proxied && own.roots == *roots;
        if let Some(own) = trusting.iter().find(is_it) {
            return Ok(own.client.clone());
        }
        let unusable = || FetchError::new("the root certificates of the request are no PEM");
        let certificates = Certificate::from_pem_bundle(&roots.0).map_err(|_| unusable())?;
        if certificates.is_empty() {
            return Err(unusable());
        }
        let mut builder = self.base().no_proxy().tls_certs_only(certificates);
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy.to_reqwest()?);
        }
        let client = builder.pool_max_idle_per_host(0).build();
        let client = client
            .map_err(|error| FetchError::new(format!("no HTTP client: {}", chain(&error))))?;
        if trusting.len() >= MOST_TRUSTING {
            trusting.remove(0);
        }
        trusting.push(Trusting {
            roots: roots.clone(),
            proxied,
            client: client.clone(),
        });
        Ok(client)
    }

    /// The client for a request to `url`, over a `fresh` connection perhaps.
    fn client(&self, url: &Url, fresh: bool) -> Result<Client, FetchError> {
        let proxy = self.proxy_for(url);
        let clients = match proxy {
            Some(_) => &self.proxied,
            None => &self.direct,
        };
        let keeps = !fresh && !self.idle_timeout.is_zero();
        let client = match keeps {
            true => &clients.keeping_connections,
            false => &clients.closing_connections,
        };
        if let Some(client) = client.get() {
            return Ok(client.clone());
        }
        let mut builder = self.builder().no_proxy();
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy.to_reqwest()?);
        }
        if !keeps {
            builder = builder.pool_max_idle_per_host(0);
        }
        let made = builder
            .build()
            .map_err(|error| FetchError::new(format!("no HTTP client: {}", chain(&error))))?;
        Ok(client.get_or_init(|| made).clone())
    }

    fn builder(&self) -> ClientBuilder {
        let builder = self.base();
        match self.root_certificates.is_empty() {
            true => builder,
            false => builder.tls_certs_merge(self.root_certificates.iter().cloned()),
        }
    }

    /// What all clients have in common.
    fn base(&self) -> ClientBuilder {
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .pool_idle_timeout(self.idle_timeout)
            .connector_layer(WatchConnections)
            .user_agent(concat!("tower-mcp-auth/", env!("CARGO_PKG_VERSION")));
        if self.public_addresses_only {
            builder = builder.dns_resolver(Arc::new(PublicAddresses));
        }
        builder
    }
}

impl Fetch for HttpFetch {
    fn timeouts(&self) -> FetchTimeouts {
        FetchTimeouts {
            connect: Some(self.connect_timeout),
            request: Some(self.timeout),
        }
    }

    fn fetch(&self, request: Request<Bytes>, max_bytes: usize) -> FetchFuture {
        let fresh = request.extensions().get::<FreshConnection>().is_some();
        let roots = request.extensions().get::<RootCertificates>().cloned();
        let request = reqwest::Request::try_from(request).map_err(fetch_error);
        let ready = request.and_then(|request| {
            if self.public_addresses_only && !may_be_public(request.url()) {
                return Err(FetchError::new("the address is not public"));
            }
            let client = match roots {
                Some(roots) => self.client_trusting(request.url(), &roots)?,
                None => self.client(request.url(), fresh)?,
            };
            Ok((client, request))
        });
        Box::pin(async move {
            let (client, request) = ready?;
            let (sent, is_new) = connections::watch(client.execute(request)).await;
            let mut response = match sent {
                Ok(response) => response,
                Err(error) if !is_new && ended_before_any_answer(&error) => {
                    let why = format!("failed: {}", chain(&error.without_url()));
                    return Err(FetchError::stale_connection(why));
                }
                Err(error) => return Err(fetch_error(error)),
            };
            if response
                .content_length()
                .is_some_and(|length| length > max_bytes as u64)
            {
                return Err(FetchError::too_large(max_bytes));
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(fetch_error)? {
                if body.len() + chunk.len() > max_bytes {
                    return Err(FetchError::too_large(max_bytes));
                }
                body.extend_from_slice(&chunk);
            }
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = response.status();
            *answer.headers_mut() = std::mem::take(response.headers_mut());
            Ok(answer)
        })
    }
}

/// Whether the other side closed the connection, and said nothing.
fn ended_before_any_answer(error: &reqwest::Error) -> bool {
    if error.is_timeout() || error.is_connect() {
        return false;
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            let ends = [
                BrokenPipe,
                ConnectionAborted,
                ConnectionReset,
                UnexpectedEof,
            ];
            if ends.contains(&error.kind()) {
                return true;
            }
        }
        cause = error.source();
    }
    false
}

fn fetch_error(error: reqwest::Error) -> FetchError {
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "no connection"
    } else {
        "failed"
    };
    // The URL is named by the caller, who knows whether it may be.
    FetchError::new(format!("{what}: {}", chain(&error.without_url())))
}

/// The innermost cause: reqwest's own text says only that something went wrong.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
