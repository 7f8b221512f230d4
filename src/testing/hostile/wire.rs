//! Requests over a connection, as they were written: a URL type would tidy up their paths.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Version};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, crypto};
use url::{Position, Url};

use super::super::origin::is_loopback;
use super::judge::{NoAnswer, Outcome};
use super::run::{Target, collected};
use super::shot::RequestBody;
use crate::error::ConfigError;

/// A server.
pub(super) struct Wire {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    /// Whether it may be anywhere.
    is_mine: bool,
}

/// The host of a URL, and its port if it has one: what `Host` holds.
pub(super) fn address(url: &Url) -> String {
    url[Position::BeforeHost..Position::AfterPort].to_owned()
}

impl Wire {
    pub(super) fn new(url: &Url, is_mine: bool) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError::new("url", why));
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return refuse("it needs a host, and http or https");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("it is neither http nor https");
        }
        if !is_loopback(url) {
            if !is_mine {
                return refuse(
                    "it is not of this machine: these are attacks, so call `i_run_this_server` \
                     if you do",
                );
            }
            if url.scheme() != "https" {
                return refuse("good credentials go there: it must be https");
            }
        }
        let tls = match url.scheme() {
            "https" => Some(connector().map_err(|error| {
                ConfigError::new("url", format!("TLS cannot be set up: {error}"))
            })?),
            _ => None,
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls,
            is_mine,
        })
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let mut found = lookup_host((self.host.as_str(), self.port)).await?;
        // Whatever `localhost` is said to be.
        let may = |address: &SocketAddr| self.is_mine || address.ip().is_loopback();
        let mut error = io::Error::other("the name is of no address on this machine");
        for address in found.by_ref().filter(may) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }
}

/// With the authorities of the system, by a provider that is named: the process may have none.
fn connector() -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Target for Wire {
    async fn send(&mut self, mut request: Request<Bytes>) -> Outcome {
        *request.version_mut() = Version::HTTP_11;
        let refused = |error: io::Error| NoAnswer::Other(format!("no connection: {error}"));
        let stream = self.connect().await.map_err(refused)?;
        let Some(tls) = &self.tls else {
            return exchange(TokioIo::new(stream), request).await;
        };
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|error| NoAnswer::Other(error.to_string()))?;
        let stream = tls.connect(name, stream).await.map_err(refused)?;
        exchange(TokioIo::new(stream), request).await
    }
}

async fn exchange<T>(io: T, request: Request<Bytes>) -> Outcome
where
    T: Read + Write + Unpin + Send + 'static,
{
    let shaken = http1::handshake(io).await;
    let (mut sender, connection) =
        shaken.map_err(|error| NoAnswer::Other(format!("no HTTP: {error}")))?;
    // It ends with the sender.
    let driver = tokio::spawn(connection);
    let outcome = match sender.send_request(request.map(RequestBody::new)).await {
        Ok(response) => Ok(collected(response).await),
        Err(error) => Err(NoAnswer::Closed(format!("no answer: {error}"))),
    };
    driver.abort();
    outcome
}
