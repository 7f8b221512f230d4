//! `Address`: where a resource is, as requests name it.

use super::pattern::Pattern;
use crate::authority::default_port;
use crate::util::repeated;

/// Host, port and path of a URL, with a place for a tenant in one of them.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// In lower case.
    pub(super) host: Pattern,
    /// `None`: that of the scheme.
    pub(super) port: Option<u16>,
    /// That of the scheme.
    pub(super) default_port: u16,
    /// Without a slash at its end.
    pub(super) path: Pattern,
}

impl Address {
    /// The address of an http or https URL, or of a template of such.
    ///
    /// # Errors
    /// The URL has a query, or a tenant would be neither a whole label nor a whole segment.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        Pattern::parse(url)?;
        let shown = repeated(url);
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| format!("{shown} is no absolute URL"))?;
        let default_port =
            default_port(scheme).ok_or_else(|| format!("{shown} is neither http nor https"))?;
        if rest.contains(['?', '#']) {
            return Err(format!(
                "{shown} has a query or a fragment, by which resources are not told apart: leave \
                 it out"
            ));
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority.ends_with(']') => {
                let (host, port) = authority.split_at(at);
                let port: u16 = port[1..]
                    .parse()
                    .map_err(|_| format!("the port of {shown} is no number from 1 to 65535"))?;
                (host, Some(port))
            }
            _ => (authority, None),
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        if !is_unambiguous(path) {
            return Err(format!(
                "the path of {shown} is none that requests are told apart by: it has an empty \
                 segment, dots, or an encoded separator"
            ));
        }
        if has_part_of_a_place(host, '.') || has_part_of_a_place(path, '/') {
            return Err(format!(
                "a tenant of {shown} is no whole label and no whole segment"
            ));
        }
        if host.ends_with('}') {
            return Err(format!(
                "a tenant of {shown} would be the whole end of its host"
            ));
        }
        Ok(Self {
            host: Pattern::parse(&host.to_ascii_lowercase())?,
            port: port.filter(|port| *port != default_port),
            default_port,
            path: Pattern::parse(path)?,
        })
    }

    /// Its port, and that of its scheme.
    pub(super) fn ports(&self) -> (Option<u16>, u16) {
        (self.port, self.default_port)
    }
}

/// Whether a request that names this port, or none, is for that port of a URL.
pub(super) fn same_port((own, default): (Option<u16>, u16), asked: Option<u16>) -> bool {
    match own {
        Some(own) => asked == Some(own),
        None => asked.is_none_or(|asked| asked == default),
    }
}

/// Whether one request can be for both ports: it may leave out, or write, what is the default of
/// one scheme and not of the other.
pub(super) fn ports_meet(one: (Option<u16>, u16), other: (Option<u16>, u16)) -> bool {
    match (one, other) {
        ((None, _), (None, _)) => true,
        ((None, default), (Some(port), _)) | ((Some(port), _), (None, default)) => port == default,
        ((Some(one), _), (Some(other), _)) => one == other,
    }
}

/// Whether the name of a tenant would be a part of what stands between two separators.
fn has_part_of_a_place(text: &str, separator: char) -> bool {
    let is_part = |part: &str| {
        let is_whole = part.starts_with('{') && part.ends_with('}');
        part.contains(['{', '}']) && !is_whole
    };
    text.split(separator).any(is_part)
}

/// Whether every reader takes a path for the same one: no dot segments, no empty ones, and
/// nothing encoded that could make one.
pub(crate) fn is_unambiguous(path: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    let encodes = |code: &str| {
        let (first, rest) = (code.as_bytes()[0], &code.as_bytes()[1..]);
        matches!(
            (first, rest.first().map(u8::to_ascii_lowercase)),
            (b'2', Some(b'e' | b'f' | b'5')) | (b'5', Some(b'c')) | (b'0', _) | (b'3', Some(b'b'))
        )
    };
    let has_code = path.match_indices('%').any(|(at, _)| {
        let code = path.get(at + 1..at + 3);
        code.is_none_or(encodes)
    });
    !path.contains("..")
        && !path.contains("//")
        && !path.contains(['\\', ';'])
        && !path.split('/').any(is_dots)
        && !has_code
}
