//! `SetPeerCertificateLayer`: puts the peer's certificate where layers look for it.

use std::sync::Arc;

use super::PeerCertificate;
use super::set::{Find, setting_service};
use crate::credential::RequestHead;

/// A layer that puts [`PeerCertificate`] into the extensions of every request.
///
/// It goes outside every layer that asks for the certificate. A server with an accept loop of its
/// own wraps the service of each connection:
///
/// ```
/// use tokio::net::TcpStream;
/// use tokio_rustls::server::TlsStream;
/// use tower_layer::Layer;
/// use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificate, SetPeerCertificateLayer};
///
/// /// Called once for each connection, after its handshake.
/// fn wrap<S: Clone>(service: &S, stream: &TlsStream<TcpStream>) -> SetPeerCertificate<S> {
///     let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
///     let certificate = leaf.map(|leaf| PeerCertificate::from_der(leaf));
///     SetPeerCertificateLayer::of_connection(certificate).layer(service.clone())
/// }
/// ```
///
/// Under `axum::serve`, a [`Listener`] hands out `TlsStream`s, and what it knows of a connection is
/// an extension of each request:
///
/// ```
/// # use std::net::SocketAddr;
/// use axum::Router;
/// use axum::extract::ConnectInfo;
/// use axum::extract::connect_info::Connected;
/// use axum::serve::{IncomingStream, Listener};
/// use tokio::net::TcpStream;
/// use tokio_rustls::server::TlsStream;
/// use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificateLayer};
///
/// # struct TlsListener(tokio::net::TcpListener, tokio_rustls::TlsAcceptor);
/// # impl Listener for TlsListener {
/// #     type Io = TlsStream<TcpStream>;
/// #     type Addr = SocketAddr;
/// #     async fn accept(&mut self) -> (Self::Io, Self::Addr) {
/// #         loop {
/// #             let Ok((stream, peer)) = self.0.accept().await else { continue };
/// #             if let Ok(stream) = self.1.accept(stream).await {
/// #                 return (stream, peer);
/// #             }
/// #         }
/// #     }
/// #     fn local_addr(&self) -> std::io::Result<SocketAddr> {
/// #         self.0.local_addr()
/// #     }
/// # }
/// #[derive(Clone)]
/// struct Peer {
///     certificate: Option<PeerCertificate>,
/// }
///
/// impl Connected<IncomingStream<'_, TlsListener>> for Peer {
///     fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
///         let leaf = stream.io().get_ref().1.peer_certificates().and_then(|chain| chain.first());
///         Self {
///             certificate: leaf.map(|leaf| PeerCertificate::from_der(leaf)),
///         }
///     }
/// }
///
/// let found = |peer: &ConnectInfo<Peer>| peer.0.certificate;
/// let layer = SetPeerCertificateLayer::from_extension(found);
/// let app: Router = Router::new().layer(layer);
/// let app = app.into_make_service_with_connect_info::<Peer>();
/// # let _ = app;
/// ```
///
/// [`Listener`]: https://docs.rs/axum/0.8/axum/serve/trait.Listener.html
#[derive(Clone)]
#[must_use]
pub struct SetPeerCertificateLayer {
    find: Arc<Find<PeerCertificate>>,
}

impl SetPeerCertificateLayer {
    /// The certificate that `certificate_of` finds in a request. Where it finds none, one that was
    /// set before is removed.
    ///
    /// It must find what TLS verified at the other end of the connection, never what a header says:
    /// for headers of proxies there is [`ForwardedCertificates`](super::ForwardedCertificates).
    pub fn new(
        certificate_of: impl Fn(RequestHead<'_>) -> Option<PeerCertificate> + Send + Sync + 'static,
    ) -> Self {
        Self {
            find: Arc::new(certificate_of),
        }
    }

    /// The certificate of one connection: all requests that pass are of it. `None`: the peer
    /// showed none.
    pub fn of_connection(certificate: Option<PeerCertificate>) -> Self {
        Self::new(move |_| certificate)
    }

    /// The certificate that is in an extension of this type, if there is one.
    pub fn from_extension<E>(
        certificate_in: impl Fn(&E) -> Option<PeerCertificate> + Send + Sync + 'static,
    ) -> Self
    where
        E: Clone + Send + Sync + 'static,
    {
        Self::new(move |head| certificate_in(head.extensions().get::<E>()?))
    }
}

setting_service!(SetPeerCertificateLayer, SetPeerCertificate, PeerCertificate);
