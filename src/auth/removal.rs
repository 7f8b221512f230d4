//! Headers that are taken out of requests.

use http::{HeaderMap, HeaderName};

pub(super) fn remove(names: &[HeaderName], headers: &mut HeaderMap) {
    for name in names {
        headers.remove(name);
    }
}

/// The same, with `_` in the place of `-` as well: CGI, WSGI and their like make one name of both.
pub(super) fn remove_each_spelling(names: &[HeaderName], headers: &mut HeaderMap) {
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
