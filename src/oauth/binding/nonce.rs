//! Nonces of the server (RFC 9449 section 9): codes of the time, so that nothing is kept of them.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::crypto::HmacKey;

const DOMAIN: &[u8] = b"tower-mcp-auth DPoP nonce 1";

/// How long a nonce is the current one, in seconds. It is good as long again.
const EPOCH: u64 = 150;

/// How many bytes a nonce has: too many to be guessed.
const BYTES: usize = 18;

/// Makes nonces and knows them again. Replicas with the same secret have the same ones.
#[derive(Clone)]
pub(super) struct Nonces(HmacKey);

/// A nonce that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Whether the client should take the next one.
    pub(super) is_old: bool,
    /// No proof with it is older; time since 1970.
    pub(super) given_at: Duration,
    /// Until then it is good; time since 1970.
    pub(super) good_until: Duration,
}

impl Nonces {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(HmacKey::new(secret))
    }

    /// The nonce to give out now at a resource.
    pub(super) fn current(&self, resource: &str, now: Duration) -> String {
        self.of(resource, now.as_secs() / EPOCH)
    }

    /// The nonce of a proof, if it is one of the two that are good.
    pub(super) fn know(&self, nonce: &str, resource: &str, now: Duration) -> Option<Known> {
        let current = now.as_secs() / EPOCH;
        let of = |epoch: Option<u64>, is_old| {
            let epoch = epoch?;
            let is_it = self.of(resource, epoch).as_bytes().ct_eq(nonce.as_bytes());
            bool::from(is_it).then(|| Known {
                is_old,
                given_at: Duration::from_secs(epoch.saturating_mul(EPOCH)),
                good_until: Duration::from_secs(epoch.saturating_add(2).saturating_mul(EPOCH)),
            })
        };
        of(Some(current), false).or_else(|| of(current.checked_sub(1), true))
    }

    fn of(&self, resource: &str, epoch: u64) -> String {
        let length = (resource.len() as u64).to_be_bytes();
        let epoch = epoch.to_be_bytes();
        let code = self
            .0
            .mac([DOMAIN, &length[..], resource.as_bytes(), &epoch[..]]);
        URL_SAFE_NO_PAD.encode(&code[..BYTES])
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces")
    }
}
