//! Headers that are taken out of requests, or go on as secrets.

use http::{HeaderMap, HeaderName};

use crate::credential;

pub(super) fn mark_sensitive(names: &[HeaderName], headers: &mut HeaderMap) {
    for name in names {
        credential::mark_header_sensitive(name, headers);
    }
}

pub(super) fn remove(names: &[HeaderName], headers: &mut HeaderMap) {
    for name in names {
        headers.remove(name);
    }
}

/// The same, with `_` in the place of `-` as well: CGI, WSGI and their like make one name of both.
pub(super) fn remove_each_spelling(names: &[HeaderName], headers: &mut HeaderMap) {
    // As it is for nearly every layer.
    if names.is_empty() {
        return;
    }
    let is_one = |own: &&HeaderName| names.iter().any(|name| is_same(name, own));
    let found: Vec<HeaderName> = headers.keys().filter(is_one).cloned().collect();
    remove(&found, headers);
}

fn is_same(one: &HeaderName, other: &HeaderName) -> bool {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    let is_dash = |byte: u8| matches!(byte, b'-' | b'_');
    let mut bytes = one.iter().zip(other);
    one.len() == other.len() && bytes.all(|(a, b)| a == b || is_dash(*a) && is_dash(*b))
}
