//! `SetPeerAddrLayer`: puts the peer's address where the layers of this crate look for it.

use std::net::IpAddr;
use std::sync::Arc;

use super::PeerAddr;
use super::set::{Find, setting_service};
use crate::credential::RequestHead;

/// A layer that puts [`PeerAddr`] into the extensions of every request.
///
/// It goes outside every layer that asks for the address. Servers put the address of the peer into
/// the extensions in types of their own; this layer is told where:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::Router;
/// use axum::extract::ConnectInfo;
/// use tower_mcp_auth::peer::SetPeerAddrLayer;
///
/// let app: Router = Router::new()
///     .layer(SetPeerAddrLayer::from_extension(|peer: &ConnectInfo<SocketAddr>| peer.0));
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// # let _ = app;
/// ```
///
/// In tonic the type is `TcpConnectInfo`, and [`new`](Self::new) takes its `Option`.
#[derive(Clone)]
#[must_use]
pub struct SetPeerAddrLayer {
    find: Arc<Find<PeerAddr>>,
}

impl SetPeerAddrLayer {
    /// The address that `address_of` finds in a request. Where it finds none, an address that was
    /// set before is removed.
    ///
    /// It must find the other end of the connection, never what a header says: for headers of
    /// proxies there is [`TrustedProxies`](super::TrustedProxies), which builds on this address.
    pub fn new(
        address_of: impl Fn(RequestHead<'_>) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self {
            find: Arc::new(move |head| address_of(head).map(PeerAddr::from)),
        }
    }

    /// The address that is in an extension of this type.
    pub fn from_extension<E, A>(address_in: impl Fn(&E) -> A + Send + Sync + 'static) -> Self
    where
        E: Clone + Send + Sync + 'static,
        A: Into<PeerAddr>,
    {
        Self::new(move |head| {
            let found = head.extensions().get::<E>()?;
            Some(address_in(found).into().ip())
        })
    }
}

setting_service!(SetPeerAddrLayer, SetPeerAddr, PeerAddr);
