//! The floor under a token seen before: SHA-256 of the token, and a look-up of the digest in
//! a moka cache built as the layer builds its own.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::sync::Cache;

type Digest = [u8; 32];
type Kept = Arc<Duration>;

pub(crate) struct Floor(Cache<Digest, Kept, BuildHasherDefault<DigestHasher>>);

impl Floor {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(1 << 30)
            .weigher(|_, life: &Kept| 2048 + u32::from(life.is_zero()))
            .expire_after(Life)
            .build_with_hasher(BuildHasherDefault::default());
        Self(cache)
    }

    pub(crate) fn digest(token: &[u8]) -> Digest {
        digest(&SHA256, token).as_ref().try_into().unwrap()
    }

    pub(crate) fn look_up(&self, digest: &Digest) -> Option<Kept> {
        self.0.get(digest)
    }

    pub(crate) fn insert(&self, digest: Digest) {
        self.0.insert(digest, Arc::new(Duration::from_secs(300)));
    }
}

struct Life;

impl Expiry<Digest, Kept> for Life {
    fn expire_after_create(&self, _: &Digest, life: &Kept, _: Instant) -> Option<Duration> {
        Some(**life)
    }
}

#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
