//! `MCP-Protocol-Version`.

use http::{HeaderMap, HeaderName};

use crate::error::AuthError;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The first revision without sessions.
const SESSIONLESS: &[u8] = b"2026-07-28";

/// Whether a request claims a revision that has sessions: none, or a date before 2026-07-28.
pub(super) fn has_sessions(headers: &HeaderMap) -> Result<bool, AuthError> {
    let mut values = headers.get_all(PROTOCOL_VERSION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(AuthError::malformed("duplicate_protocol_version")
            .with_description("The request has a header twice that can be there once"));
    }
    Ok(first.is_none_or(|version| {
        let version = version.as_bytes();
        is_date(version) && version < SESSIONLESS
    }))
}

/// Dates of one form compare as their bytes do.
fn is_date(version: &[u8]) -> bool {
    version.len() == SESSIONLESS.len()
        && version.iter().zip(SESSIONLESS).all(|(byte, form)| {
            if *form == b'-' {
                *byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
}
