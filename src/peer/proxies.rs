//! `TrustedProxies`: which proxies count, and what they say.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::FORWARDED;

use super::PeerAddr;
use super::forwarded::{self, Element, Last, MAX_HOPS};
use super::network::Networks;
use super::x_forwarded::{self, FOR, HOST, PROTO};
use crate::authority::{Authority, without_user};
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::telemetry;
use crate::util::quoted;

/// The headers in which proxies say whom and what they forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyHeaders {
    /// `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)).
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`.
    XForwarded,
}

/// The proxies in front of this server, and the headers they write.
///
/// See the [module docs](crate::peer) for what counts, and for what a proxy must do.
#[derive(Clone, Debug)]
#[must_use]
pub struct TrustedProxies {
    state: Arc<State>,
}

#[derive(Clone, Debug)]
struct State {
    headers: ProxyHeaders,
    peers: Peers,
    hops: usize,
    host: bool,
}

#[derive(Clone, Debug)]
enum Peers {
    Listed(Networks),
    Any,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks, which write these headers.
    ///
    /// The other headers are never read. A network is written as `10.0.0.0/8`, `fd00::/8` or a
    /// single address. IPv4 mapped into IPv6 (`::ffff:10.0.0.0/104`) is the IPv4 network.
    ///
    /// # Errors
    /// There is no network, one cannot be read, has bits beyond its prefix, or is every address.
    pub fn new<N>(headers: ProxyHeaders, networks: N) -> Result<Self, ConfigError>
    where
        N: IntoIterator,
        N::Item: AsRef<str>,
    {
        let instead = "list the addresses of your proxies, or say so with `dangerously_any_peer`";
        let networks = Networks::parse(networks, instead)?;
        Ok(Self::of(headers, Peers::Listed(networks)))
    }

    /// Trusts every peer, known or not, with a warning.
    ///
    /// It is for servers that only a proxy reaches, from addresses not known in advance. A client
    /// that gets past that proxy chooses its address, and the host that it is served.
    pub fn dangerously_any_peer(headers: ProxyHeaders) -> Self {
        telemetry::weakened(
            "dangerously_any_peer",
            "the headers of proxies count whoever sends them",
        );
        Self::of(headers, Peers::Any)
    }

    fn of(headers: ProxyHeaders, peers: Peers) -> Self {
        Self {
            state: Arc::new(State {
                headers,
                peers,
                hops: 1,
                host: true,
            }),
        }
    }

    /// How many proxies stand one behind the other; default 1.
    ///
    /// Of each list the element this far from its end counts, as long as all behind it name trusted
    /// proxies: the first one that does not is the client, however few there were. At most 16.
    ///
    /// # Errors
    /// The number is 0, or more than 16.
    pub fn hops(mut self, hops: usize) -> Result<Self, ConfigError> {
        if !(1..=MAX_HOPS).contains(&hops) {
            let why = format!("{hops} is none of 1 to {MAX_HOPS}: count your proxies");
            return Err(ConfigError::new("hops", why));
        }
        Arc::make_mut(&mut self.state).hops = hops;
        Ok(self)
    }

    /// Whether a host that a proxy names counts; default true.
    ///
    /// Turn it off where the proxy passes `Host` on and leaves `X-Forwarded-Host` to the client,
    /// as nginx does unless it is told otherwise.
    pub fn forwarded_host(mut self, counts: bool) -> Self {
        Arc::make_mut(&mut self.state).host = counts;
        self
    }

    /// The address of the client, as a trusted proxy tells it.
    ///
    /// From any other peer the headers are ignored, and the peer is the client. `None`: the address
    /// of the peer is not known, or the proxy does not tell that of its client. A peer that is
    /// trusted and sends none of the headers is itself the client.
    ///
    /// # Errors
    /// A trusted proxy sent a header that cannot be read: 400.
    pub fn client(&self, head: RequestHead<'_>) -> Result<Option<IpAddr>, AuthError> {
        match self.said(head)? {
            Some(said) => Ok(said.client),
            None => Ok(PeerAddr::of(head)),
        }
    }

    /// What the trusted proxies say of a request. `None`: nothing that counts.
    pub(super) fn said<'a>(&self, head: RequestHead<'a>) -> Result<Option<Said<'a>>, AuthError> {
        if !self.trusts(PeerAddr::of(head)) {
            return Ok(None);
        }
        match self.state.headers {
            ProxyHeaders::Forwarded => self.forwarded(head),
            ProxyHeaders::XForwarded => self.x_forwarded(head),
        }
    }

    /// Why what a proxy may have said of this request was not asked for; for the operator.
    pub(crate) fn why_not_asked(&self, head: RequestHead<'_>) -> Option<String> {
        let peer = PeerAddr::of(head);
        if self.trusts(peer) {
            return None;
        }
        Some(match peer {
            Some(peer) => format!("the peer, {peer}, is none of the trusted proxies"),
            None => "the address of the peer is not known, so that no proxy is trusted: set it \
                     further out (`SetPeerAddrLayer`)"
                .to_owned(),
        })
    }

    fn trusts(&self, address: Option<IpAddr>) -> bool {
        match &self.state.peers {
            Peers::Any => true,
            Peers::Listed(networks) => address.is_some_and(|address| networks.contain(address)),
        }
    }

    fn forwarded<'a>(&self, head: RequestHead<'a>) -> Result<Option<Said<'a>>, AuthError> {
        if !head.headers().contains_key(FORWARDED) {
            return Ok(None);
        }
        // The line is not repeated: a proxy may prove itself by a parameter of its own.
        let last = Last::of(head.headers()).map_err(|why| unreadable("Forwarded", why))?;
        let mut counted = Element::default();
        let mut client = None;
        for element in last.backwards().take(self.state.hops) {
            counted = element;
            client = match element.client {
                Some(text) => {
                    forwarded::node(text).map_err(|why| malformed("Forwarded", text, why))?
                }
                None => None,
            };
            if !self.trusts(client) {
                break;
            }
        }
        Ok(Some(Said {
            client,
            host: counted.host,
            scheme: counted.scheme,
            names: ["Forwarded"; 2],
            host_counts: self.state.host,
        }))
    }

    fn x_forwarded<'a>(&self, head: RequestHead<'a>) -> Result<Option<Said<'a>>, AuthError> {
        let headers = head.headers();
        if ![FOR, HOST, PROTO]
            .iter()
            .any(|name| headers.contains_key(name))
        {
            return Ok(None);
        }
        let mut depth = 1;
        let mut client = None;
        for (index, text) in x_forwarded::backwards(headers, &FOR)
            .take(self.state.hops)
            .enumerate()
        {
            depth = index + 1;
            let node = x_forwarded::node(text);
            client = node.map_err(|why| malformed("X-Forwarded-For", text, why))?;
            if !self.trusts(client) {
                break;
            }
        }
        // Where a proxy further in leaves a list as it is, the list is shorter.
        let at = |name| x_forwarded::backwards(headers, name).take(depth).last();
        Ok(Some(Said {
            client,
            host: at(&HOST),
            scheme: at(&PROTO),
            names: ["X-Forwarded-Host", "X-Forwarded-Proto"],
            host_counts: self.state.host,
        }))
    }
}

/// What a trusted proxy says. Host and scheme are read when they are asked for.
pub(super) struct Said<'a> {
    client: Option<IpAddr>,
    host: Option<&'a str>,
    scheme: Option<&'a str>,
    /// The headers of both.
    names: [&'static str; 2],
    host_counts: bool,
}

impl<'a> Said<'a> {
    pub(super) fn host(&self) -> Result<Option<Authority<'a>>, AuthError> {
        let read = |text: &'a str| {
            let why = "the host cannot be read in one way";
            Authority::parse(text).ok_or_else(|| malformed(self.names[0], text, why))
        };
        self.host.filter(|_| self.host_counts).map(read).transpose()
    }

    pub(super) fn scheme(&self) -> Result<Option<&'static str>, AuthError> {
        let read = |text: &str| {
            let is = |name: &&str| name.eq_ignore_ascii_case(text);
            let known = ["https", "http"].into_iter().find(is);
            known.ok_or_else(|| malformed(self.names[1], text, "it is neither http nor https"))
        };
        self.scheme.map(read).transpose()
    }
}

/// For traces, without the name and password that may stand in front of a host.
fn malformed(header: &str, value: &str, why: &str) -> AuthError {
    unreadable(header, &format!("{}: {why}", quoted(without_user(value))))
}

fn unreadable(header: &str, why: &str) -> AuthError {
    AuthError::new(Reason::MALFORMED_FORWARDED)
        .with_detail(format!("a trusted proxy sent a bad `{header}`: {why}"))
}
