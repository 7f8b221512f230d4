//! Records for a store: sealed, so that a reader learns no names, and a writer revokes nothing.

use subtle::ConstantTimeEq;

use super::index::{Key, Record};
use crate::crypto::HmacKey;
use crate::error::ConfigError;
use crate::secret::check_strength;
use crate::store::RevocationRecord;

const LENGTH: usize = RevocationRecord::LENGTH;
/// The key, masked.
const KEY: usize = 16;
/// Three times of eight bytes.
const TIMES: usize = 24;
const CODE: usize = LENGTH - KEY - TIMES;

/// Seals records, and opens those of other replicas.
///
/// It is deterministic, as a store tells records apart by their bytes: the code of a record is the
/// nonce of its mask (RFC 5297 does the same with a block cipher).
#[derive(Clone)]
pub(super) struct Sealer {
    codes: HmacKey,
    masks: HmacKey,
}

/// Why a record cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign;

impl Sealer {
    pub(super) fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        check_strength("secret", "secret", secret)?;
        let secret = HmacKey::new(secret);
        let derived = |label: &str| HmacKey::new(&secret.mac([label.as_bytes()]));
        Ok(Self {
            codes: derived("tower-mcp-auth revocation code 1"),
            masks: derived("tower-mcp-auth revocation mask 1"),
        })
    }

    pub(super) fn seal(&self, key: Key, record: Record) -> RevocationRecord {
        let mut bytes = [0; LENGTH];
        bytes[..KEY].copy_from_slice(&key.to_bytes());
        let times = [record.all_until, record.before, record.before_until];
        for (place, time) in bytes[KEY..].chunks_exact_mut(8).zip(times) {
            place.copy_from_slice(&time.to_be_bytes());
        }
        let code = self.code(&bytes);
        bytes[KEY + TIMES..].copy_from_slice(&code);
        self.mask(&mut bytes);
        RevocationRecord::new(bytes)
    }

    pub(super) fn open(&self, sealed: &RevocationRecord) -> Result<(Key, Record), Foreign> {
        let mut bytes = *sealed.as_bytes();
        self.mask(&mut bytes);
        let is_ours: bool = self.code(&bytes).ct_eq(&bytes[KEY + TIMES..]).into();
        let key = bytes.first_chunk().copied().and_then(Key::from_bytes);
        let mut times = bytes[KEY..KEY + TIMES].chunks_exact(8).map(|time| {
            let time = time.first_chunk().copied().unwrap_or_default();
            u64::from_be_bytes(time)
        });
        let mut time = || times.next().unwrap_or_default();
        match key {
            Some(key) if is_ours => Ok((
                key,
                Record {
                    all_until: time(),
                    before: time(),
                    before_until: time(),
                },
            )),
            _ => Err(Foreign),
        }
    }

    fn code(&self, bytes: &[u8; LENGTH]) -> [u8; CODE] {
        let mut code = [0; CODE];
        code.copy_from_slice(&self.codes.mac([&bytes[..KEY + TIMES]])[..CODE]);
        code
    }

    fn mask(&self, bytes: &mut [u8; LENGTH]) {
        let (rest, code) = bytes.split_at_mut(KEY + TIMES);
        let mask = self.masks.mac([&*code]);
        for (byte, mask) in rest[..KEY].iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Kind;
    use super::*;

    const SECRETS: [&str; 2] = [
        "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5",
        "tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E",
    ];

    #[test]
    fn a_record_is_opened_with_its_secret_and_with_no_other_and_not_when_a_bit_is_changed() {
        let [one, other] = SECRETS.map(|secret| Sealer::new(secret.as_bytes()).unwrap());
        for kind in Kind::ALL {
            let key = Key::of(kind, Some("https://auth.example.com"), "alice");
            let record = Record {
                all_until: 1_800_000_000,
                before: 1_700_000_000,
                before_until: u64::MAX,
            };
            let sealed = one.seal(key, record);
            assert_eq!(sealed, one.seal(key, record));
            assert_eq!(one.open(&sealed), Ok((key, record)));
            assert_eq!(other.open(&sealed), Err(Foreign));
            for bit in 0..LENGTH * 8 {
                let mut bytes = *sealed.as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(one.open(&RevocationRecord::new(bytes)), Err(Foreign));
            }
            // A reader that knows the name finds no digest of it.
            let digest = key.to_bytes();
            let bytes = sealed.as_bytes();
            assert!(!bytes.windows(8).any(|part| digest.starts_with(part)));
            // Two records of one name have nothing in common to tell it by.
            let again = one.seal(
                key,
                Record {
                    before: 1,
                    ..record
                },
            );
            assert_ne!(again.as_bytes()[..KEY], bytes[..KEY]);
        }
    }
}
