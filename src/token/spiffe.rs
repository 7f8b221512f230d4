//! SPIFFE IDs, the subjects of JWT-SVIDs: they name their issuer, a trust domain.

use crate::error::{AuthError, Reason};
use crate::util::quoted;

const SCHEME: &str = "spiffe://";

/// SPIFFE-ID sections 2.1 and 2.4.
const LONGEST: usize = 2048;
#[cfg(feature = "oauth")]
const LONGEST_TRUST_DOMAIN: usize = 255;

/// Whether this is the name of a trust domain: `example.org`.
#[cfg(feature = "oauth")]
pub(crate) fn is_trust_domain(name: &str) -> bool {
    let is_right = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (1..=LONGEST_TRUST_DOMAIN).contains(&name.len()) && name.bytes().all(is_right)
}

/// The id of a trust domain.
#[cfg(feature = "oauth")]
pub(crate) fn trust_domain_id(name: &str) -> String {
    format!("{SCHEME}{name}")
}

/// The id of the trust domain that a subject says it is in: `spiffe://example.org`.
pub(crate) fn trust_domain_of(subject: &str) -> Option<&str> {
    let rest = subject.strip_prefix(SCHEME)?;
    let name = rest.split('/').next()?;
    Some(&subject[..SCHEME.len() + name.len()])
}

/// Whether a subject is a workload of this trust domain.
pub(crate) fn check_workload(trust_domain: &str, subject: Option<&str>) -> Result<(), AuthError> {
    let Some(subject) = subject.filter(|subject| !subject.is_empty()) else {
        return Err(AuthError::new(Reason::MISSING_SUBJECT)
            .with_detail("the token has no sub, which is the SPIFFE ID of a workload"));
    };
    if trust_domain_of(subject) != Some(trust_domain) {
        return Err(AuthError::new(Reason::ISSUER_MISMATCH).with_detail(format!(
            "the sub {} is not in the trust domain {trust_domain:?}",
            quoted(subject)
        )));
    }
    let path = subject[trust_domain.len()..].strip_prefix('/');
    let is_segment = |segment: &str| {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_right)
    };
    let is_workload = path.is_some_and(|path| path.split('/').all(is_segment));
    if is_workload && subject.len() <= LONGEST {
        return Ok(());
    }
    Err(AuthError::new(Reason::CLAIM_MISMATCH).with_detail(format!(
        "the sub {} is no SPIFFE ID of a workload",
        quoted(subject)
    )))
}
