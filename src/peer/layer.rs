//! `SetPeerAddrLayer`: puts the peer's address where the layers of this crate look for it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::PeerAddr;
use crate::credential::RequestHead;

type AddressOf = dyn Fn(RequestHead<'_>) -> Option<IpAddr> + Send + Sync;

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
    address_of: Arc<AddressOf>,
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
            address_of: Arc::new(address_of),
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

impl<S> Layer<S> for SetPeerAddrLayer {
    type Service = SetPeerAddr<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SetPeerAddr {
            inner,
            address_of: Arc::clone(&self.address_of),
        }
    }
}

impl fmt::Debug for SetPeerAddrLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPeerAddrLayer").finish_non_exhaustive()
    }
}

/// The service made by a [`SetPeerAddrLayer`].
#[derive(Clone)]
pub struct SetPeerAddr<S> {
    inner: S,
    address_of: Arc<AddressOf>,
}

impl<S> SetPeerAddr<S> {
    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, taken out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: fmt::Debug> fmt::Debug for SetPeerAddr<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPeerAddr")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for SetPeerAddr<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match (self.address_of)(RequestHead::of(&request)) {
            Some(address) => {
                request.extensions_mut().insert(PeerAddr::from(address));
            }
            // One that a layer further out took from elsewhere is not the one asked for here.
            None => {
                request.extensions_mut().remove::<PeerAddr>();
            }
        }
        self.inner.call(request)
    }
}
