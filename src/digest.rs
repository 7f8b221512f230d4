//! SHA-256, by the backend that is compiled in, and maps of its digests.

use std::hash::{BuildHasherDefault, Hasher};

/// Up to this many bytes two parts are put together on the stack, which is cheaper than a
/// context.
#[cfg(feature = "aws-lc-rs")]
const SHORT: usize = 1024;

/// The SHA-256 digest of `parts`, one after the other.
#[cfg(feature = "aws-lc-rs")]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use aws_lc_rs::digest;

    // In one piece it needs no context, which aws-lc would allocate.
    if let [part] = parts {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, part).as_ref());
        return out;
    }
    if let [first, second] = parts
        && first.len() + second.len() <= SHORT
    {
        let mut buffer = [0; SHORT];
        let length = first.len() + second.len();
        let (one, other) = buffer[..length].split_at_mut(first.len());
        one.copy_from_slice(first);
        other.copy_from_slice(second);
        return sha256(&[&buffer[..length]]);
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The SHA-256 digest of `parts`, one after the other.
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Hashes keys that are digests.
pub(crate) type ByDigest = BuildHasherDefault<DigestHasher>;

/// A digest is as good a hash as any: eight of its bytes are taken as they are. For maps
/// into which no stranger puts what he likes.
#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    // The length of the array, which `Hash` writes first.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
