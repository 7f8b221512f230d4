//! The `X-Forwarded-…` headers: lists of plain values, one for each proxy.
//!
//! They are `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use super::forwarded::is_hidden;
use crate::authority::{Authority, Host};

pub(super) const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The last value first, over all lines (RFC 9110 section 5.3). There are no quotes that could hide
/// a comma. What is not ASCII is no value, and neither is nothing.
pub(super) fn backwards<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| {
        let values = line.to_str().unwrap_or_default().rsplit(',');
        values.map(|value| value.trim_matches([' ', '\t']))
    })
}

/// An address with a port or without, IPv6 with its brackets or without. `Ok(None)`: one that is
/// not told.
pub(super) fn node(text: &str) -> Result<Option<IpAddr>, &'static str> {
    if is_hidden(text) {
        return Ok(None);
    }
    let address = match text.parse() {
        Ok(address) => Some(address),
        Err(_) => match Authority::parse(text).map(|authority| authority.host) {
            Some(Host::V4(address)) => Some(address.into()),
            Some(Host::V6(address)) => Some(address.into()),
            _ => None,
        },
    };
    let address: IpAddr = address.ok_or("it is no address")?;
    Ok(Some(address.to_canonical()))
}
