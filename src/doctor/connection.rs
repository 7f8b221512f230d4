//! One request on a connection of its own, and bounds for what comes back on it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{self, ClientConfig, crypto};
use tower_service::Service;
use url::{Host, Url};

use super::failure::Failure;
use crate::clock::Clock;
use crate::oauth::public_addresses;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of interim responses before an answer.
const MOST_INTERIM: usize = 32;
/// Of what comes before the answer, the handshake and interim responses among it, in bytes.
const MOST_BEFORE: usize = 256 * 1024;
/// Of a head, and of what is read at once.
const BUFFER: usize = 64 * 1024;

/// How to get a connection.
pub(super) struct Connector {
    any: HttpConnector<Names>,
    public: HttpConnector<Names>,
    /// Or why there is no TLS here.
    tls: Result<TlsConnector, String>,
}

impl Connector {
    pub(super) fn new(clock: &Clock, roots: &[CertificateDer<'static>]) -> Self {
        let connector = |public_only| {
            let mut connector = HttpConnector::new_with_resolver(Names { public_only });
            connector.enforce_http(false);
            connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
            connector
        };
        Self {
            any: connector(false),
            public: connector(true),
            tls: tls(clock, roots).map_err(|error| error.to_string()),
        }
    }

    /// Connects; `public_only`: to addresses that are public.
    pub(super) async fn connect(&self, url: &Url, public_only: bool) -> Result<TcpStream, Failure> {
        let uri: Uri = url.as_str().parse().map_err(|error| Failure::of(&error))?;
        let mut connector = match public_only {
            true => self.public.clone(),
            false => self.any.clone(),
        };
        let stream = connector.call(uri).await;
        stream
            .map(TokioIo::into_inner)
            .map_err(|error| Failure::of(&error))
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        stream: TcpStream,
        url: &Url,
        request: Request<Full<Bytes>>,
        meter: &Arc<Meter>,
    ) -> Result<(Response<Incoming>, JoinSet<()>), Failure> {
        let stream = Metered {
            stream,
            meter: Arc::clone(meter),
        };
        if url.scheme() == "http" {
            let answer = exchange(stream, request, meter).await;
            return answer.map_err(|failure| match failure {
                Failure::Answer(why) => Failure::Answer(format!("{why} (is it a port of https?)")),
                other => other,
            });
        }
        let tls = self.tls.as_ref().map_err(|why| Failure::no_tls(why))?;
        let stream = tls.connect(server_name(url)?, stream).await;
        let stream = stream.map_err(|error| meter.failure(&error))?;
        exchange(stream, request, meter).await
    }
}

/// The connection runs in the set of tasks, and ends with it.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    mut request: Request<Full<Bytes>>,
    meter: &Arc<Meter>,
) -> Result<(Response<Incoming>, JoinSet<()>), Failure> {
    let counted = Arc::clone(meter);
    hyper::ext::on_informational(&mut request, move |response| {
        counted.interims.fetch_add(1, Ordering::Relaxed);
        counted
            .status
            .store(response.status().as_u16(), Ordering::Relaxed);
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER);
    let opened = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(|error| meter.failure(&error))?;
    let mut driver = JoinSet::new();
    // What goes wrong on it, the request is told.
    driver.spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| meter.failure(&error))?;
    meter.has_answer.store(true, Ordering::Relaxed);
    Ok((response, driver))
}

fn server_name(url: &Url) -> Result<ServerName<'static>, Failure> {
    match url.host() {
        Some(Host::Ipv4(address)) => {
            Ok(ServerName::IpAddress(std::net::IpAddr::V4(address).into()))
        }
        Some(Host::Ipv6(address)) => {
            Ok(ServerName::IpAddress(std::net::IpAddr::V6(address).into()))
        }
        host => {
            let name = host.map(|host| host.to_string()).unwrap_or_default();
            ServerName::try_from(name).map_err(|error| Failure::Tls(error.to_string()))
        }
    }
}

/// By a provider that is named: the process may have none, or two.
fn tls(clock: &Clock, roots: &[CertificateDer<'static>]) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let verifier = match roots.is_empty() {
        true => Verifier::new(Arc::clone(&provider))?,
        false => Verifier::new_with_extra_roots(roots.iter().cloned(), Arc::clone(&provider))?,
    };
    let time = Arc::new(Time(clock.clone()));
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Certificates are judged by the clock that tokens are judged by.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.now()))
    }
}

/// Resolves names.
#[derive(Clone)]
struct Names {
    public_only: bool,
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let public_only = self.public_only;
        Box::pin(async move {
            let found = match public_only {
                true => public_addresses(name.as_str()).await?,
                false => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            Ok(found.into_iter())
        })
    }
}

/// What came on a connection so far.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: AtomicUsize,
    /// What comes from now on is of its body, which is bounded where it is read.
    has_answer: AtomicBool,
    interims: AtomicUsize,
    /// Of the last interim response.
    status: AtomicU16,
}

impl Meter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            has_answer: AtomicBool::new(false),
            interims: AtomicUsize::new(0),
            status: AtomicU16::new(0),
        })
    }

    fn is_over(&self) -> bool {
        !self.has_answer.load(Ordering::Relaxed) && self.bytes.load(Ordering::Relaxed) > MOST_BEFORE
    }

    fn is_flooded(&self) -> bool {
        self.interims.load(Ordering::Relaxed) > MOST_INTERIM
    }

    /// What is said where interim responses came, and this instead of an answer.
    pub(super) fn interim(&self, why: &str) -> Option<Failure> {
        let count = self.interims.load(Ordering::Relaxed);
        let status = self.status.load(Ordering::Relaxed);
        (count > 0).then(|| Failure::Interim(count, status, why.to_owned()))
    }

    /// What is said of an error on the connection.
    pub(super) fn failure(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        if self.is_flooded() {
            let status = self.status.load(Ordering::Relaxed);
            let why = "no end of them was seen".to_owned();
            return Failure::Interim(self.interims.load(Ordering::Relaxed), status, why);
        }
        match self.is_over() {
            true => Failure::Answer(format!("{} KiB came, and no end", MOST_BEFORE / 1024)),
            false => match Failure::of(error) {
                Failure::Connection(why) => Failure::Answer(why),
                other => other,
            },
        }
    }
}

pin_project! {
    /// Counts what comes, and ends at the bound.
    struct Metered {
        #[pin]
        stream: TcpStream,
        meter: Arc<Meter>,
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        if this.meter.is_flooded() || this.meter.is_over() {
            return Poll::Ready(Err(io::Error::other("more came than is read")));
        }
        let before = buffer.filled().len();
        let read = this.stream.poll_read(cx, buffer);
        let came = buffer.filled().len() - before;
        this.meter.bytes.fetch_add(came, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}
