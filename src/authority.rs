//! Strict readers of the authorities in `Host`, `Origin` and the headers of proxies.
//!
//! A spelling that two readers could take for two hosts is rejected.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A host as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            return rest.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(plain)
        };
        // What ends in a number is an IPv4 address to a browser (`127.1`, `0x7f000001`).
        let last = text.rsplit('.').next()?;
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
            || matches!(last.as_bytes(), [b'0', b'x' | b'X', ..]);
        (text.split('.').all(is_label) && !is_number).then_some(Self::Name(text))
    }

    pub(crate) fn is(self, other: Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
            (Self::V4(one), Host::V4(other)) => one == other,
            (Self::V6(one), Host::V6(other)) => one == other,
            _ => false,
        }
    }

    /// In lower case; an address in its shortest form.
    pub(crate) fn lower(self) -> Cow<'a, str> {
        match self {
            Self::Name(name) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(name.to_ascii_lowercase())
            }
            Self::Name(name) => Cow::Borrowed(name),
            Self::V4(address) => Cow::Owned(address.to_string()),
            Self::V6(address) => Cow::Owned(format!("[{address}]")),
        }
    }

    /// An IP address, as it is written.
    pub(crate) fn is_address(self) -> bool {
        matches!(self, Self::V4(_) | Self::V6(_))
    }

    /// `localhost` or a loopback address.
    pub(crate) fn is_loopback(self) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }

    /// One of the three names of loopback that are in use.
    pub(crate) fn is_common_loopback(self) -> bool {
        self.is_loopback() && !matches!(self, Self::V4(address) if address != Ipv4Addr::LOCALHOST)
    }
}

/// `host` or `host:port`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority<'a> {
    pub(crate) host: Host<'a>,
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        // The colons of an IPv6 address are inside its brackets.
        let (host, port) = match text.rfind(':') {
            Some(at) if !text.ends_with(']') => (&text[..at], Some(port(&text[at + 1..])?)),
            _ => (text, None),
        };
        Host::parse(host).map(|host| Self { host, port })
    }

    /// The port, unless it is the default one of `scheme`.
    pub(crate) fn port_beyond(self, scheme: &str) -> Option<u16> {
        self.port.filter(|port| default_port(scheme) != Some(*port))
    }
}

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host.lower())?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Digits that are the shortest form of a number: `parse` would let `+80` and `080` in.
fn port(text: &str) -> Option<u16> {
    let shortest = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| shortest)
}

/// `scheme://host` or `scheme://host:port`, with nothing behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_scheme || !scheme.bytes().all(plain) {
            return None;
        }
        let authority = Authority::parse(authority)?;
        Some(Self { scheme, authority })
    }

    pub(crate) fn is(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.authority.host.is(other.authority.host)
            && self.port() == other.port()
    }

    pub(crate) fn port(&self) -> Option<u16> {
        self.authority.port.or_else(|| default_port(self.scheme))
    }
}

/// A host as it may be traced: without the name and password that may stand in front of it.
pub(crate) fn without_user(host: &str) -> &str {
    host.rsplit('@').next().unwrap_or_default()
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    [("http", 80), ("https", 443)]
        .into_iter()
        .find_map(|(name, port)| name.eq_ignore_ascii_case(scheme).then_some(port))
}
