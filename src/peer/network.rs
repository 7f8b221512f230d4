//! Networks of addresses, as operators write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::ConfigError;
use crate::util::quoted;

/// Networks that peers are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Networks(Vec<Network>);

impl Networks {
    /// `instead` is what to do instead of listing every address.
    pub(super) fn parse<N>(networks: N, instead: &str) -> Result<Self, ConfigError>
    where
        N: IntoIterator,
        N::Item: AsRef<str>,
    {
        let refuse = |why: String| ConfigError::new("networks", why);
        let read = |text: N::Item| Network::parse(text.as_ref(), instead).map_err(refuse);
        let networks: Vec<_> = networks.into_iter().map(read).collect::<Result<_, _>>()?;
        match networks.is_empty() {
            false => Ok(Self(networks)),
            true => Err(refuse(
                "no proxy is trusted: list the networks of your proxies, such as `10.0.0.0/8`"
                    .to_owned(),
            )),
        }
    }

    /// `address` is canonical.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// An address, or all that share its first bits. IPv4 is never written as IPv6.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// How many bits count, never none.
    prefix: u8,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or a single address. Or why it is none, and what to write.
    fn parse(text: &str, instead: &str) -> Result<Self, String> {
        let none = || {
            format!(
                "{} is no network: write `10.0.0.0/8`, `fd00::/8`, or an address, `10.0.0.7`",
                quoted(text)
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(number(prefix).ok_or_else(none)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| none())?;
        let prefix = prefix.unwrap_or(width(address));
        if prefix > width(address) {
            return Err(none());
        }
        let written = Self { address, prefix };
        let network = written.canonical().ok_or_else(|| {
            format!(
                "{} holds more than IPv4: write the IPv4 network",
                quoted(text)
            )
        })?;
        if network.prefix == 0 {
            return Err(format!("{} is everybody: {instead}", quoted(text)));
        }
        if network.first() != network.address {
            let whole = Self {
                address: network.first(),
                ..network
            };
            return Err(format!(
                "{} has bits beyond its prefix: write `{whole}` for the network, or `{}` for the \
                 address",
                quoted(text),
                network.address
            ));
        }
        Ok(network)
    }

    /// IPv4 mapped into IPv6 as what it is. `None`: not IPv4 alone.
    fn canonical(self) -> Option<Self> {
        match self.address.to_canonical() {
            address @ IpAddr::V4(_) if self.address.is_ipv6() => Some(Self {
                address,
                prefix: self.prefix.checked_sub(96)?,
            }),
            _ => Some(self),
        }
    }

    fn first(self) -> IpAddr {
        let rest = u32::from(width(self.address) - self.prefix);
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }

    /// `address` is canonical.
    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Self { address, ..self }.first() == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Digits that are the shortest form of a number: `parse` would let `+8` and `08` in.
fn number(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = digits && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| shortest)
}
