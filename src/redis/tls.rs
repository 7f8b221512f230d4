//! TLS to an engine, by the backend that `oauth` uses for its own connections.

use std::io;
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_rustls::{TlsConnector, rustls};

use crate::error::ConfigError;

/// The certificates that are set.
#[derive(Default)]
pub(super) struct Certificates {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

pub(super) fn certificates(
    setting: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let refuse = |why: String| ConfigError::new(setting, why);
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| refuse(format!("no certificates in PEM: {error}")))?;
    match all.is_empty() {
        true => Err(refuse(
            "there is no `BEGIN CERTIFICATE`: name a file of certificates in PEM".to_owned(),
        )),
        false => Ok(all),
    }
}

pub(super) fn private_key(
    setting: &'static str,
    pem: &[u8],
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    // The error of the reader may hold a piece of the key.
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| ConfigError::new(setting, "there is no private key in PEM"))
}

/// By a provider that is named: the process may have none, or two.
pub(super) fn connector(certificates: Certificates) -> Result<TlsConnector, ConfigError> {
    let refuse = |setting, error: rustls::Error| ConfigError::new(setting, error.to_string());
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("url", error))?;
    let builder = match certificates.authorities.is_empty() {
        true => builder
            .with_platform_verifier()
            .map_err(|error| refuse("url", error))?,
        false => {
            let mut roots = RootCertStore::empty();
            for authority in certificates.authorities {
                roots.add(authority).map_err(|error| refuse("ca", error))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let config = match certificates.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| refuse("client_certificate", error))?,
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

pub(super) async fn connect(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    connector.connect(name, stream).await
}
