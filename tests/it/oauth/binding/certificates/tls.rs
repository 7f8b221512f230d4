//! Real connections, hyper and rustls on loopback, with the verifier and the certificates of the
//! example.

#[path = "../../../../../examples/support/any_certificate.rs"]
mod any_certificate;
#[allow(dead_code)]
#[path = "../../../../../examples/support/certificate.rs"]
mod certificate;
mod under_axum;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::rustls::client::{ResolvesClientCert, Resumption};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::Layer;
use tower_mcp_auth::AuthError;
use tower_mcp_auth::oauth::binding::MtlsMode;
use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificateLayer};

use super::{Bound, cnf};
use any_certificate::AnyCertificate;
use certificate::Certificate;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn certificate(name: &str) -> Certificate {
    Certificate::self_signed(name).unwrap()
}

/// A server on loopback that binds tokens to certificates.
struct Server {
    bound: Bound,
    address: SocketAddr,
    own: Certificate,
    /// How each handshake ended.
    handshakes: UnboundedReceiver<Option<HandshakeKind>>,
}

fn config(own: &Certificate) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&VERSIONS)
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyCertificate::new()))
        .with_single_cert(
            vec![own.der.clone().into()],
            PrivatePkcs8KeyDer::from(own.key.clone()).into(),
        )
        .unwrap()
}

/// The leaf that the peer has shown in this connection, or in the one that it resumes.
fn shown(stream: &TlsStream<TcpStream>) -> Option<PeerCertificate> {
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    Some(PeerCertificate::from_der(leaf))
}

impl Server {
    async fn start(set: impl FnOnce(&mut ServerConfig)) -> Self {
        let bound = Bound::new(MtlsMode::Required);
        let own = certificate("server");
        let mut config = config(&own);
        set(&mut config);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, handshakes) = unbounded_channel();
        let layer = bound.guarded.layer.clone();
        common::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, tell, layer) = (acceptor.clone(), tell.clone(), layer.clone());
                common::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        let _ = tell.send(None);
                        return;
                    };
                    let _ = tell.send(stream.get_ref().1.handshake_kind());
                    let inner = tower::service_fn(async |_: Request<Incoming>| {
                        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
                    });
                    let service = SetPeerCertificateLayer::of_connection(shown(&stream))
                        .layer(layer.layer(inner));
                    let service = tower::util::MapResponse::new(service, with_reason);
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
                        .await;
                });
            }
        });
        Self {
            bound,
            address,
            own,
            handshakes,
        }
    }

    fn token(&self, certificate: &Certificate) -> String {
        let claims = json!({ "cnf": cnf(&certificate.der) });
        self.bound.issuer.token(claims)
    }

    /// What trusts this server, and shows what `resolver` says.
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        resolver: Arc<dyn ResolvesClientCert>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.own.der.clone().into()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(resolver);
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    }
}

/// Tells the client the reason of a refusal, which only the response's extensions have.
fn with_reason<B>(mut response: Response<B>) -> Response<B> {
    let error = response.extensions().get::<AuthError>();
    let reason = error.map_or("accepted", AuthError::reason).parse();
    response.headers_mut().insert("x-reason", reason.unwrap());
    response
}

/// Shows a certificate, and signs with a key, be it that of the certificate or another one.
#[derive(Debug)]
struct Shows {
    what: Option<Arc<CertifiedKey>>,
    asked: AtomicUsize,
}

impl Shows {
    fn nothing() -> Arc<Self> {
        Arc::new(Self {
            what: None,
            asked: AtomicUsize::new(0),
        })
    }

    fn certificate_with_key(of: &Certificate, key: &Certificate) -> Arc<Self> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.key.clone()));
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(Self {
            what: Some(Arc::new(CertifiedKey::new(
                vec![of.der.clone().into()],
                key,
            ))),
            asked: AtomicUsize::new(0),
        })
    }

    fn certificate(own: &Certificate) -> Arc<Self> {
        Self::certificate_with_key(own, own)
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.what.clone()
    }

    fn has_certs(&self) -> bool {
        self.what.is_some()
    }
}

/// Asks over a connection of its own, once for each token; the reasons of the answers.
async fn ask(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    tokens: &[&str],
) -> std::io::Result<Vec<String>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    let connection = common::spawn(connection);
    let mut reasons = Vec::new();
    for token in tokens {
        let request = Request::post("/mcp")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = sender.send_request(request).await;
        let response = response.map_err(std::io::Error::other)?;
        reasons.push(response.headers()["x-reason"].to_str().unwrap().to_owned());
    }
    drop(sender);
    let _ = connection.await;
    Ok(reasons)
}

#[tokio::test]
async fn a_token_is_good_over_connections_with_its_certificate() {
    let (own, other) = (certificate("own"), certificate("other"));
    for version in VERSIONS {
        let server = Server::start(|_| {}).await;
        let (token, foreign) = (server.token(&own), server.token(&other));
        let unbound = server.bound.issuer.token(json!({}));
        let tokens = [&*token, &foreign, &unbound, &token];
        for (shows, expected) in [
            (
                Shows::certificate(&own),
                [
                    "accepted",
                    "certificate_mismatch",
                    "unbound_token",
                    "accepted",
                ],
            ),
            (
                Shows::certificate(&other),
                [
                    "certificate_mismatch",
                    "accepted",
                    "unbound_token",
                    "certificate_mismatch",
                ],
            ),
            (
                Shows::nothing(),
                [
                    "missing_certificate",
                    "missing_certificate",
                    "unbound_token",
                    "missing_certificate",
                ],
            ),
        ] {
            let client = server.client(version, shows);
            let reasons = ask(server.address, &client, &tokens).await.unwrap();
            assert_eq!(reasons, expected, "{version:?}");
        }
    }
}

/// A certificate is public: who shows it without its key has no connection.
#[tokio::test]
async fn a_foreign_certificate_without_its_key_is_no_handshake() {
    let (victim, thief) = (certificate("victim"), certificate("thief"));
    for version in VERSIONS {
        let mut server = Server::start(|_| {}).await;
        let token = server.token(&victim);
        let shows = Shows::certificate_with_key(&victim, &thief);
        let client = server.client(version, Arc::<Shows>::clone(&shows));
        let answer = ask(server.address, &client, &[&token]).await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(shows.asked.load(Ordering::SeqCst), 1);
        assert_eq!(server.handshakes.recv().await, Some(None));
        // With the key the very same certificate is good.
        let client = server.client(version, Shows::certificate(&victim));
        let answer = ask(server.address, &client, &[&token]).await.unwrap();
        assert_eq!(answer, ["accepted"]);
    }
}

/// Whether the server keeps sessions, or hands them to its clients in tickets.
#[tokio::test]
async fn a_resumed_session_has_the_certificate_of_its_first_handshake() {
    let (own, other) = (certificate("own"), certificate("other"));
    for version in VERSIONS {
        for by_ticket in [false, true] {
            let mut server = Server::start(|config| {
                if by_ticket {
                    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
                }
            })
            .await;
            let (token, foreign) = (server.token(&own), server.token(&other));
            let tokens = [&*token, &*foreign];
            let shows = [Shows::certificate(&own), Shows::certificate(&other)];
            let clients = shows.clone().map(|shows| server.client(version, shows));
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                for (client, expected) in clients.iter().zip([
                    ["accepted", "certificate_mismatch"],
                    ["certificate_mismatch", "accepted"],
                ]) {
                    let reasons = ask(server.address, client, &tokens).await.unwrap();
                    assert_eq!(reasons, expected, "{version:?} {kind:?}");
                    assert_eq!(server.handshakes.recv().await, Some(Some(kind)));
                }
            }
            // The certificate was not shown again.
            for shows in shows {
                assert_eq!(shows.asked.load(Ordering::SeqCst), 1);
            }
        }
    }
}

/// Who resumes a session without a certificate has none, whichever others are connected.
#[tokio::test]
async fn a_resumed_session_without_a_certificate_has_none() {
    let own = certificate("own");
    let mut server = Server::start(|_| {}).await;
    let token = server.token(&own);
    let client = server.client(&TLS13, Shows::nothing());
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let other = server.client(&TLS13, Shows::certificate(&own));
        let good = ask(server.address, &other, &[&token]).await.unwrap();
        assert_eq!(good, ["accepted"]);
        let kept = server.handshakes.recv().await;
        assert_eq!(kept, Some(Some(HandshakeKind::Full)));
        let answer = ask(server.address, &client, &[&token]).await.unwrap();
        assert_eq!(answer, ["missing_certificate"]);
        assert_eq!(server.handshakes.recv().await, Some(Some(kind)));
    }
}
