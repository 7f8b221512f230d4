//! The same under `axum::serve`, where what is known of a connection is an extension.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::routing::post;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::server::TlsStream;
use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificateLayer};

use super::{Server, Shows, ask, certificate, config, shown, with_reason};

/// What hands connections to `axum::serve`.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[derive(Clone)]
struct Peer(Option<PeerCertificate>);

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(shown(stream.io()))
    }
}

#[tokio::test]
async fn under_axum_the_certificate_is_in_what_is_known_of_the_connection() {
    let (own, other) = (certificate("own"), certificate("other"));
    let server = Server::start(|_| {}).await;
    let listener = TlsListener {
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        acceptor: TlsAcceptor::from(Arc::new(config(&server.own))),
    };
    let address = listener.listener.local_addr().unwrap();
    let app = Router::new()
        .route("/mcp", post(async || ()))
        .layer(server.bound.guarded.layer.clone())
        .layer(SetPeerCertificateLayer::from_extension(
            |peer: &ConnectInfo<Peer>| peer.0.0,
        ))
        .layer(tower::util::MapResponseLayer::new(with_reason));
    let app = app.into_make_service_with_connect_info::<Peer>();
    common::spawn(async move { axum::serve(listener, app).await });
    let token = server.token(&own);
    for (shows, expected) in [
        (Shows::certificate(&own), "accepted"),
        (Shows::certificate(&other), "certificate_mismatch"),
        (Shows::nothing(), "missing_certificate"),
    ] {
        let client = server.client(&TLS13, shows);
        let reasons = ask(address, &client, &[&token]).await.unwrap();
        assert_eq!(reasons, [expected]);
    }
}
