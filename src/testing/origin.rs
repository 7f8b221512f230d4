//! Which web pages may use an issuer.

use http::header::{self, HeaderMap, HeaderValue};
use url::Url;

/// Whether a request comes from a page of another machine, or from one that hides where it is
/// from (`null`). Browsers say it of all that a page could read an answer of (Fetch, section
/// 3.2); programs say nothing.
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => false,
        (Some(origin), None) => !is_local(origin),
        _ => true,
    }
}

/// Whether an origin is one of this machine, written as browsers write it: what reads in two
/// ways is foreign.
fn is_local(origin: &HeaderValue) -> bool {
    let Ok(text) = origin.to_str() else {
        return false;
    };
    Url::parse(text)
        .is_ok_and(|url| is_loopback(&url) && url.origin().ascii_serialization() == *text)
}

/// Whether a URL is http or https on a loopback address or `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    let is_loopback_host = match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    is_loopback_host && matches!(url.scheme(), "http" | "https")
}
