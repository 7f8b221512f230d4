//! Hosts and ports of URIs, in the one spelling that is not taken for another.
//!
//! The rules are those of the WHATWG URL Standard for its special schemes, and stricter:
//! what is not known to be the plainest spelling is refused, so that no tables of IDNA are
//! needed.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What is known of a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// A special scheme of the URL Standard, with its default port.
    Web(&'static str),
    /// Special too, and without a port.
    File,
    /// A server may know such a URI by any text.
    Other,
}

impl Scheme {
    /// The scheme that is written like this, with its colon.
    pub(super) fn of(text: &str) -> Self {
        const SPECIAL: [(&str, Scheme); 6] = [
            ("file:", Scheme::File),
            ("https:", Scheme::Web("443")),
            ("http:", Scheme::Web("80")),
            ("wss:", Scheme::Web("443")),
            ("ws:", Scheme::Web("80")),
            ("ftp:", Scheme::Web("21")),
        ];
        let mut special = SPECIAL.iter();
        special
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map_or(Self::Other, |(_, scheme)| *scheme)
    }

    pub(super) fn is_special(self) -> bool {
        self != Self::Other
    }
}

/// What stands between `//` and the path, decoded.
pub(super) struct Server<'t> {
    pub(super) scheme: Scheme,
    pub(super) text: &'t str,
}

const HOST: &str = "the host has a plainer spelling";
const PORT: &str = "the port has a plainer spelling, or is the default one";
const FILE: &str = "a file's host has no port and no user";

impl Server<'_> {
    /// Why it has a plainer spelling; where it has none, why servers may not agree about it.
    pub(super) fn check(&self) -> Result<Option<&'static str>, &'static str> {
        let (disputed, server) = self.user()?;
        let (host, port) = split(server).ok_or(HOST)?;
        match self.scheme {
            Scheme::File => match port {
                Some(_) => Err(FILE),
                None if host.eq_ignore_ascii_case("localhost") => Err(HOST),
                None if host.is_empty() || is_plain(host) => Ok(None),
                None => Err(HOST),
            },
            Scheme::Web(_) if !is_plain(host) => Err(HOST),
            Scheme::Web(default) => match port {
                Some(port) if port == default || !is_port(port) => Err(PORT),
                _ => Ok(disputed),
            },
            Scheme::Other => match port {
                _ if !is_own(host) => Err(HOST),
                // Colons before the last one were encoded.
                Some(port) if has_other_spelling(port) => Err(PORT),
                _ => Ok(disputed),
            },
        }
    }

    /// The same of one that more may follow.
    pub(super) fn check_beginning(&self) -> Result<Option<&'static str>, &'static str> {
        let (disputed, server) = self.user()?;
        let Some((host, port)) = split(server) else {
            // Up to its end an address is not known to be plain.
            return match server.contains(']') {
                true => Err(HOST),
                false => Ok(disputed),
            };
        };
        let is_bracketed = host.starts_with('[');
        let has_zeros = |port: &str| port.len() > 1 && port.starts_with('0');
        match (self.scheme, port) {
            (Scheme::File, Some(_)) => Err(FILE),
            (Scheme::Other, _) if !is_own(host) => Err(HOST),
            (Scheme::Other, Some(port)) if is_digits(port) && has_zeros(port) => Err(PORT),
            (Scheme::Other, _) => Ok(disputed),
            (_, None) if !is_bracketed && host.bytes().all(is_host_byte) => Ok(disputed),
            _ if !is_plain(host) => Err(HOST),
            (_, Some(port)) if !is_digits(port) || has_zeros(port) => Err(PORT),
            _ => Ok(disputed),
        }
    }

    /// What is to be said of the user, and what follows it.
    fn user(&self) -> Result<(Option<&'static str>, &str), &'static str> {
        let Some((user, server)) = self.text.rsplit_once('@') else {
            return Ok((None, self.text));
        };
        match self.scheme {
            Scheme::File => Err(FILE),
            // Some of these `@` and `:` were encoded, and it is not known any more which.
            _ if user.split('@').any(is_left_out) => {
                Err("an empty user name or password is left out")
            }
            Scheme::Web(_) => Ok((Some("a user name is sent along, or is not"), server)),
            Scheme::Other => Ok((None, server)),
        }
    }
}

/// The host, and the port behind its colon; `None` where brackets are not closed, or
/// something else than a port follows them.
fn split(server: &str) -> Option<(&str, Option<&str>)> {
    if server.starts_with('[') {
        let (host, after) = server.split_at(server.find(']')? + 1);
        return match after.strip_prefix(':') {
            None if !after.is_empty() => None,
            port => Some((host, port)),
        };
    }
    Some(match server.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (server, None),
    })
}

/// Whether what stands before an `@` is an empty name, or ends in an empty password.
fn is_left_out(user: &str) -> bool {
    user.is_empty() || user.ends_with(':')
}

fn has_other_spelling(port: &str) -> bool {
    let port = port.rsplit(':').next().unwrap_or_default();
    is_digits(port) && !has_one_spelling(port)
}

fn is_port(port: &str) -> bool {
    is_digits(port) && port.parse::<u16>().is_ok() && has_one_spelling(port)
}

fn is_digits(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number without zeros before it.
fn has_one_spelling(port: &str) -> bool {
    !port.is_empty() && (port == "0" || !port.starts_with('0'))
}

/// Whether a host is not taken for another: a name in ASCII, or an address as it is printed.
fn is_plain(host: &str) -> bool {
    if host.starts_with('[') {
        return address_v6(host).is_some_and(|plain| plain.eq_ignore_ascii_case(inside(host)));
    }
    if host.is_empty() || host.ends_with('.') || !host.bytes().all(is_host_byte) {
        return false;
    }
    // Punycode of nothing but ASCII is the plain name to some readers.
    let is_decoded = |label: &str| {
        let encoded = label
            .get(..4)
            .filter(|own| own.eq_ignore_ascii_case("xn--"));
        encoded.is_some() && label.ends_with('-')
    };
    if host.split('.').any(is_decoded) {
        return false;
    }
    match is_number(host.rsplit('.').next().unwrap_or_default()) {
        // The same text again: no hexadecimal, no zeros before a number, all four of them.
        true => host
            .parse::<Ipv4Addr>()
            .is_ok_and(|own| own.to_string() == host),
        false => true,
    }
}

/// Whether a host that ends in this label is an IPv4 address, if it is anything.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or(label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Letters of a name that stand for themselves (RFC 3986 section 3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Whether a host of a scheme that is not special is not taken for another. What is no
/// address in brackets is no URL, and a name of the server's own.
fn is_own(host: &str) -> bool {
    let is_address_byte = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    !host.starts_with('[') || is_plain(host) || !inside(host).bytes().all(is_address_byte)
}

/// How the address in brackets is printed, if it is one.
fn address_v6(host: &str) -> Option<String> {
    let address: Ipv6Addr = inside(host).parse().ok()?;
    // RFC 5952 has a dotted form for these; the URL Standard does not.
    Some(match address.to_ipv4_mapped() {
        Some(_) => {
            let [.., high, low] = address.segments();
            format!("::ffff:{high:x}:{low:x}")
        }
        None => address.to_string(),
    })
}

fn inside(host: &str) -> &str {
    let host = host.strip_prefix('[').unwrap_or(host);
    host.strip_suffix(']').unwrap_or(host)
}
