//! Header names a credential may be configured to travel in.

use http::HeaderName;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, ORIGIN, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::error::ConfigError;

/// The longest name: what is folded into the names forbidden in a query string.
const LONGEST: usize = 64;

pub(crate) fn check(name: &str) -> Result<HeaderName, ConfigError> {
    let refuse = |why: &str| Err(ConfigError::new("header_name", format!("{name:?} {why}")));
    let Ok(header) = HeaderName::try_from(name) else {
        return refuse("is no header name");
    };
    let taken = [
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        HOST,
        ORIGIN,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    if taken.contains(&header) {
        return refuse("has a meaning of its own; use a header made for credentials");
    }
    if name.len() > LONGEST {
        return refuse("is longer than 64 characters");
    }
    Ok(header)
}
