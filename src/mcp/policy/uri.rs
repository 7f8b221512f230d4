//! URIs of resources, in the one form rules are compared in.
//!
//! A server may resolve a URI before it opens what it names. So that no other spelling of it
//! slips past a rule, both are brought into the form of RFC 3986 section 6.2.2, and what
//! servers resolve in different ways is in no form at all.

use std::borrow::Cow;

/// The URI without its fragment, with scheme and host in lower case, and nothing encoded
/// that needs no encoding; `None` where servers could disagree about what it names.
pub(super) fn canonical(uri: &str) -> Option<Cow<'_, str>> {
    // A fragment names a part of the same resource.
    let uri = uri.split_once('#').map_or(uri, |(uri, _)| uri);
    // Some readers trim what others take for a part of a name, a byte order mark included.
    let unclear = |character: char| {
        character.is_control()
            || character.is_whitespace()
            || matches!(character, '\\' | '\u{feff}')
    };
    if uri.chars().any(unclear) {
        return None;
    }
    let uri = decode(uri)?;
    let scheme = scheme(&uri).unwrap_or(0);
    let rest = &uri[scheme..];
    let authority = match rest.strip_prefix("//") {
        Some(rest) => 2 + rest.find(['/', '?']).unwrap_or(rest.len()),
        None => 0,
    };
    if has_other_names(&uri[..scheme], rest, &rest[..authority]) {
        return None;
    }
    let path = rest[authority..].split('?').next().unwrap_or_default();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if matches!(segment, "." | "..") || segment.is_empty() && !is_last {
            return None;
        }
    }
    // Without a leading `/` the first segment was not looked at.
    if matches!(path.split('/').next(), Some("." | "..")) {
        return None;
    }
    let folded = scheme + authority;
    if uri.as_bytes()[..folded].iter().any(u8::is_ascii_uppercase) {
        let mut owned = uri.into_owned();
        owned[..folded].make_ascii_lowercase();
        return Some(owned.into());
    }
    Some(uri)
}

/// Whether what readers of these schemes take for one host is written in a way that has a
/// plainer one (RFC 3986 section 6.2.3, RFC 8089 section 2). A server may know a scheme of
/// its own by any text.
fn has_other_names(scheme: &str, rest: &str, authority: &str) -> bool {
    let is_one_of = |known: &[&str]| known.iter().any(|own| own.eq_ignore_ascii_case(scheme));
    // The beginning of a form may be cut short.
    let no_authority = !rest.starts_with("//") && !"//".starts_with(rest);
    let authority = authority.strip_prefix("//").unwrap_or(authority);
    if is_one_of(&["file:"]) {
        return no_authority || authority.eq_ignore_ascii_case("localhost");
    }
    let default_port = match () {
        () if is_one_of(&["http:", "ws:"]) => "80",
        () if is_one_of(&["https:", "wss:"]) => "443",
        () => return false,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    no_authority
        || host.ends_with('.')
        || authority.contains(['@', '%'])
        || port.is_some_and(|port| port.is_empty() || port.starts_with('0') || port == default_port)
}

/// How long the scheme is, with its colon.
fn scheme(uri: &str) -> Option<usize> {
    let (scheme, _) = uri.split_once(':')?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(allowed);
    is_scheme.then_some(scheme.len() + 1)
}

/// Decodes what a server may decode before it looks, and encodes what it may encode. An
/// encoded `/` or `\` is part of a name to one server and the end of it to another.
fn decode(uri: &str) -> Option<Cow<'_, str>> {
    if uri.is_ascii() && !uri.contains('%') {
        return Some(uri.into());
    }
    let mut decoded = String::with_capacity(uri.len());
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        let (byte, was_encoded) = match byte {
            b'%' => (hex(bytes.next()?)? << 4 | hex(bytes.next()?)?, true),
            plain => (plain, false),
        };
        match byte {
            b'/' | b'\\' | b'%' | 0..=0x1F | 0x7F if was_encoded => return None,
            b' ' | b'?' | b'#' if was_encoded => push_encoded(&mut decoded, byte),
            0x80.. => push_encoded(&mut decoded, byte),
            _ => decoded.push(char::from(byte)),
        }
    }
    Some(decoded.into())
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

fn push_encoded(uri: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    uri.push('%');
    uri.push(char::from(DIGITS[usize::from(byte >> 4)]));
    uri.push(char::from(DIGITS[usize::from(byte & 0xF)]));
}
