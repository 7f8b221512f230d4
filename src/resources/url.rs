//! What names a resource: its URL, as it was written.

use crate::authority::Authority;

/// Whether a text can be the URL of a resource. The error does not repeat it: a key may stand in
/// the wrong place.
pub(crate) fn check_url(url: &str) -> Result<(), &'static str> {
    let authority = authority(url)?;
    match authority.is_empty() || authority.starts_with(':') {
        true => Err("it names no host"),
        false => Ok(()),
    }
}

/// The same for a resource that a request is told by: of its host there is one spelling that all
/// readers read alike.
pub(crate) fn check_place(url: &str) -> Result<(), &'static str> {
    let written = authority(url)?;
    let Some(read) = Authority::parse(written) else {
        return Err("its host is no plain name and no plain address");
    };
    let host = read.host.lower();
    match written.get(..host.len()) {
        Some(written) if written.eq_ignore_ascii_case(&host) => Ok(()),
        _ => Err("its address is not written in its shortest form"),
    }
}

/// Host and port of what may be a URL.
fn authority(url: &str) -> Result<&str, &'static str> {
    let after_scheme = ["https://", "http://"].into_iter().find_map(|scheme| {
        let (begin, rest) = url.split_at_checked(scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = after_scheme.ok_or("it is no absolute https or http URL")?;
    let is_forbidden =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\' | '`');
    if rest.contains(['{', '}']) {
        return Err("it is a template: name the URL of each tenant that is meant");
    }
    if rest.contains(is_forbidden) {
        return Err("it has a character that no URL has");
    }
    if rest.contains('#') {
        return Err("it has a fragment, which no resource has: leave it out");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = &rest[..end];
    match authority.contains('@') {
        true => Err("it has a user name or a password: leave it out"),
        false => Ok(authority),
    }
}
