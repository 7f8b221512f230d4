//! `Forwarded` (RFC 7239), read strictly.
//!
//! The list is read from its beginning: a client that leaves a quote open would otherwise hide
//! what the proxy wrote behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderMap;
use http::header::FORWARDED;

use crate::util::is_tchar;

/// The most proxies one behind the other.
pub(super) const MAX_HOPS: usize = 16;

/// What one proxy says. Values stand as they were written, without quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) client: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) scheme: Option<&'a str>,
    by: Option<&'a str>,
}

/// The last elements of the list; no more of them count.
pub(super) struct Last<'a> {
    elements: [Element<'a>; MAX_HOPS],
    count: usize,
}

impl<'a> Last<'a> {
    /// Of all lines, in their order (RFC 9110 section 5.3). No quoted string goes on in the next
    /// line: who reads the lines one by one would see another list.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, &'static str> {
        let mut last = Self {
            elements: [Element::default(); MAX_HOPS],
            count: 0,
        };
        for line in headers.get_all(FORWARDED) {
            let line = line.to_str().map_err(|_| "it is not ASCII")?;
            last.read(line)?;
        }
        Ok(last)
    }

    /// The list of one line, behind those before it.
    fn read(&mut self, mut line: &'a str) -> Result<(), &'static str> {
        loop {
            let (element, rest) = element(line)?;
            self.elements[self.count % MAX_HOPS] = element;
            self.count += 1;
            match rest {
                Some(rest) => line = rest,
                None => return Ok(()),
            }
        }
    }

    /// The last one first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = Element<'a>> {
        (1..=self.count.min(MAX_HOPS)).map(|back| self.elements[(self.count - back) % MAX_HOPS])
    }
}

/// One element, and what stands behind its comma. Around `;` there may be white space, as some
/// proxies write it.
fn element(mut rest: &str) -> Result<(Element<'_>, Option<&str>), &'static str> {
    let mut element = Element::default();
    let mut is_empty = true;
    loop {
        rest = skip_space(rest);
        let end = rest
            .bytes()
            .position(|byte| !is_tchar(byte))
            .unwrap_or(rest.len());
        let (name, value) = rest.split_at(end);
        if !name.is_empty() {
            is_empty = false;
            let value = value
                .strip_prefix('=')
                .ok_or("a parameter has no `=` behind its name")?;
            let (value, behind) = read_value(value)?;
            rest = skip_space(behind);
            let own = match () {
                () if name.eq_ignore_ascii_case("for") => Some(&mut element.client),
                () if name.eq_ignore_ascii_case("host") => Some(&mut element.host),
                () if name.eq_ignore_ascii_case("proto") => Some(&mut element.scheme),
                () if name.eq_ignore_ascii_case("by") => Some(&mut element.by),
                () => None,
            };
            if own.is_some_and(|own| own.replace(value).is_some()) {
                return Err("an element has a parameter twice");
            }
        }
        let next = match rest.strip_prefix(';') {
            Some(next) => {
                rest = next;
                continue;
            }
            None if rest.is_empty() => None,
            None => Some(
                rest.strip_prefix(',')
                    .ok_or("it does not follow the grammar")?,
            ),
        };
        // A proxy that had nothing to say must not give its place to what the client wrote.
        if is_empty {
            return Err("it has an empty element");
        }
        return Ok((element, next));
    }
}

/// A token or a quoted string, and what stands behind it. Escapes stay: no value that counts can
/// have one.
fn read_value(text: &str) -> Result<(&str, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .bytes()
            .position(|byte| !is_tchar(byte))
            .unwrap_or(text.len());
        return match end {
            0 => Err("a parameter has no value"),
            _ => Ok(text.split_at(end)),
        };
    };
    let mut bytes = quoted.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((&quoted[..at], &quoted[at + 1..])),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    Err("a quoted string has no end")
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The address of a node (RFC 7239 section 6): `Ok(None)` where it has one that is not told.
pub(super) fn node(text: &str) -> Result<Option<IpAddr>, &'static str> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(NODE)?;
            let address: Ipv6Addr = address.parse().map_err(|_| NODE)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(NODE)?),
            };
            (Some(IpAddr::V6(address)), port)
        }
        None => {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            match name.parse::<Ipv4Addr>() {
                Ok(address) => (Some(IpAddr::V4(address)), port),
                Err(_) if is_hidden(name) => (None, port),
                Err(_) => return Err(NODE),
            }
        }
    };
    let is_number =
        |port: &str| matches!(port.len(), 1..=5) && port.bytes().all(|byte| byte.is_ascii_digit());
    if port.is_some_and(|port| !is_number(port) && !is_obfuscated(port)) {
        return Err(NODE);
    }
    Ok(name.map(|address| address.to_canonical()))
}

const NODE: &str = "`for` names no node";

/// A node without an address.
pub(super) fn is_hidden(name: &str) -> bool {
    name.eq_ignore_ascii_case("unknown") || is_obfuscated(name)
}

/// RFC 7239 section 6.3.
fn is_obfuscated(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.strip_prefix('_')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_plain))
}
