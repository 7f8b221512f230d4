//! `PeerAddr`: the address at the other end of the connection.

use std::net::{IpAddr, SocketAddr};

use crate::credential::RequestHead;

/// The address of the peer, in the extensions of a request.
///
/// The peer is the other end of the connection: this is what the network says, never what a header
/// says. Who accepts connections puts it there, or a
/// [`SetPeerAddrLayer`](super::SetPeerAddrLayer). An IPv4 address mapped into IPv6
/// (`::ffff:192.0.2.1`) is the IPv4 address.
///
/// A connection over a Unix socket has no address. Where only a proxy of this machine can open
/// that socket, put a loopback address in, and trust that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr(IpAddr);

impl PeerAddr {
    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    pub(crate) fn of(head: RequestHead<'_>) -> Option<IpAddr> {
        head.extensions().get().map(|peer: &Self| peer.0)
    }
}

impl From<IpAddr> for PeerAddr {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}
