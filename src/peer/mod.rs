//! The address of the peer, trusted proxies, and the host a request was sent to.

mod address;
mod forwarded;
mod layer;
mod network;
mod proxies;
mod requested;
mod x_forwarded;

pub use self::address::PeerAddr;
pub use self::layer::{SetPeerAddr, SetPeerAddrLayer};
pub use self::proxies::{ProxyHeaders, TrustedProxies};
pub(crate) use self::requested::{Fault, read};
pub use self::requested::{Requested, requested};
