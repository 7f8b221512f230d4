//! SHA-256 and HMAC-SHA-256 by the compiled backend, and maps of digests.

use std::hash::{BuildHasherDefault, Hasher};

/// A SHA-256 digest.
pub(crate) type Digest = [u8; 32];

/// Up to this many bytes parts are put together on the stack, which is cheaper than a context.
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
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut buffer = [0; SHORT];
    if let Some(joined) = buffer.get_mut(..length) {
        let mut rest = &mut joined[..];
        for part in parts {
            let (here, after) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        }
        return sha256(&[joined]);
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

/// Hashes keys that are digests, or hashes of eight bytes.
pub(crate) type ByDigest = BuildHasherDefault<DigestHasher>;

/// A digest is as good a hash as any: eight of its bytes are taken as they are. For maps
/// with keys that no caller can choose.
#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    // The length of the array, which `Hash` writes first.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A key of HMAC-SHA-256 (RFC 2104), prepared once.
#[cfg(feature = "aws-lc-rs")]
#[derive(Clone)]
pub(crate) struct HmacKey(aws_lc_rs::hmac::Key);

#[cfg(feature = "aws-lc-rs")]
impl HmacKey {
    pub(crate) fn new(secret: &[u8]) -> Self {
        use aws_lc_rs::hmac::{HMAC_SHA256, Key};

        Self(Key::new(HMAC_SHA256, secret))
    }

    /// The authentication code of `parts`, one after the other.
    pub(crate) fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
        let mut context = aws_lc_rs::hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

/// A key of HMAC-SHA-256 (RFC 2104), prepared once: the two hashes that have taken in the
/// padded key.
///
/// Written out, because a crate for it would be in every build, and serve only this one.
#[cfg(not(feature = "aws-lc-rs"))]
#[derive(Clone)]
pub(crate) struct HmacKey {
    inner: sha2::Sha256,
    outer: sha2::Sha256,
}

#[cfg(not(feature = "aws-lc-rs"))]
impl HmacKey {
    pub(crate) fn new(secret: &[u8]) -> Self {
        use sha2::{Digest, Sha256};

        let mut block = [0; 64];
        if secret.len() > block.len() {
            block[..32].copy_from_slice(&sha256(&[secret]));
        } else {
            block[..secret.len()].copy_from_slice(secret);
        }
        Self {
            inner: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)),
            outer: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)),
        }
    }

    /// The authentication code of `parts`, one after the other.
    pub(crate) fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
        use sha2::Digest;

        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        self.outer
            .clone()
            .chain_update(inner.finalize())
            .finalize()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::HmacKey;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231 sections 4.2 to 4.8, but for 4.6, which is truncated. Public tests cannot
    /// reach this: what leaves the crate is bound to keys of at least 32 bytes.
    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let counting: Vec<u8> = (1..=25).collect();
        let vectors: [(&[u8], &[u8], &str); 6] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &counting,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size \
                  data. The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (secret, data, expected) in vectors {
            let key = HmacKey::new(secret);
            assert_eq!(hex(&key.mac([data])), expected);
            // In whatever pieces it arrives.
            assert_eq!(hex(&key.mac(data.chunks(7))), expected);
        }
    }
}
