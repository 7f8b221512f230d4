//! Certificates of a private authority.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_mcp_auth::oauth::{Fetch, HttpFetch};

pub const AUTHORITY: &str = include_str!("fixtures/ca.pem");
const CERTIFICATE: &str = include_str!("fixtures/server.pem");
pub const KEY: &str = include_str!("fixtures/server.key");

/// Shows a certificate of the private authority, for `localhost` and 127.0.0.1, that is valid from
/// 2026 to 2126.
pub fn acceptor() -> TlsAcceptor {
    acceptor_with(CERTIFICATE, KEY)
}

/// Shows this certificate; both in PEM.
pub fn acceptor_with(certificate: &str, key: &str) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A server on loopback with a certificate of the private authority, which answers with this
/// document; its port.
pub async fn serve_https(document: String) -> u16 {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    common::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, document) = (acceptor.clone(), document.clone());
            common::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let length = document.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all((head + &document).as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

async fn get(client: &HttpFetch, url: &str) -> Result<u16, String> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    match client.fetch(request, 1024).await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_set() {
    let port = serve_https("{}".to_owned()).await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{port}/");
        let client = HttpFetch::new().root_certificates(AUTHORITY).unwrap();
        assert_eq!(get(&client, &url).await, Ok(200));
        let error = get(&HttpFetch::new(), &url).await.unwrap_err();
        assert!(error.starts_with("no connection"), "{error}");
    }
    // Whom it vouches for is still checked.
    let client = HttpFetch::new().root_certificates(AUTHORITY).unwrap();
    let other = format!("https://127.0.0.2:{port}/");
    assert!(get(&client, &other).await.is_err());
    // Several in one text, and in several calls.
    let two = format!("{AUTHORITY}{AUTHORITY}");
    let client = HttpFetch::new().root_certificates(two).unwrap();
    let client = client.root_certificates(AUTHORITY).unwrap();
    assert_eq!(
        get(&client, &format!("https://127.0.0.1:{port}/")).await,
        Ok(200)
    );
}

#[test]
fn what_is_no_certificate_is_refused_before_serving() {
    let cut = AUTHORITY.replace("MII", "MIA");
    for pem in ["", "no PEM", KEY, &cut, "-----BEGIN CERTIFICATE-----\nAAAA"] {
        let error = HttpFetch::new().root_certificates(pem).unwrap_err();
        assert_eq!(error.setting(), "root_certificates", "{pem}: {error}");
    }
}
