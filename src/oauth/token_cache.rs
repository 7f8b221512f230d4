//! Tokens that were verified: a token seen before costs a digest and a look-up.
//!
//! Only the signature and what no clock changes is remembered. Times, scopes and whether the
//! key still serves are judged at every request, so a cached token is never answered
//! otherwise than an uncached one.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::keys::{KeySet, KeysInUse};
use super::trusted::TrustedServer;
use crate::digest::sha256;
use crate::jose::{Algorithm, KeyIdentity};
use crate::principal::Principal;

/// The settings of the cache of verified tokens.
///
/// It is keyed by the SHA-256 digest of the whole token, never by the token; a refused
/// token is not kept. It forgets what is used least, so that a flood of tokens seen once
/// does not push out those in use.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::oauth::TokenCache;
///
/// let cache = TokenCache::new()
///     .max_tokens(100_000)
///     .max_bytes(256 << 20)
///     .max_life(Duration::from_secs(60));
/// # let _ = (cache, TokenCache::disabled());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TokenCache {
    max_tokens: u64,
    max_bytes: u64,
    max_life: Duration,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenCache {
    /// 20,000 tokens and 64 MiB at most, each for 5 minutes at most.
    pub fn new() -> Self {
        Self {
            max_tokens: 20_000,
            max_bytes: 64 << 20,
            max_life: Duration::from_secs(300),
        }
    }

    /// No cache: every request pays for the signature.
    pub fn disabled() -> Self {
        Self::new().max_tokens(0)
    }

    /// How many tokens are kept; 0 switches the cache off.
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.max_tokens = tokens;
        self
    }

    /// How many bytes their claims take up, with 1 KiB a token for the rest.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a token is kept at most. It is never used past its `exp`.
    pub fn max_life(mut self, life: Duration) -> Self {
        self.max_life = life;
        self
    }
}

/// The digest a token is known by.
pub(super) type TokenDigest = [u8; 32];

/// A token that was verified.
pub(super) struct VerifiedToken {
    pub(super) principal: Principal,
    pub(super) server: Arc<TrustedServer>,
    pub(super) exp: Duration,
    pub(super) nbf: Option<Duration>,
    pub(super) iat: Option<Duration>,
    pub(super) key: TokenKey,
    /// By the clock; set when it is kept.
    pub(super) since: Duration,
}

/// The key a token was verified with, and how it was chosen.
pub(super) struct TokenKey {
    generation: AtomicU64,
    identity: KeyIdentity,
    kid: Option<Box<str>>,
    alg: Algorithm,
}

impl TokenKey {
    pub(super) fn new(set: &KeySet, index: usize, kid: Option<Box<str>>, alg: Algorithm) -> Self {
        Self {
            generation: AtomicU64::new(set.generation()),
            identity: set.key(index).identity(),
            kid,
            alg,
        }
    }

    /// Whether the token would be checked with the same key, by id and material, today.
    pub(super) fn serves_in(&self, keys: &KeysInUse) -> bool {
        let set = keys.set();
        if set.generation() == self.generation.load(Ordering::Relaxed) {
            return true;
        }
        let same = set
            .select(self.kid.as_deref(), self.alg)
            .is_ok_and(|index| set.key(index).identity() == self.identity);
        if same {
            self.generation.store(set.generation(), Ordering::Relaxed);
        }
        same
    }
}

/// The tokens kept.
pub(super) struct Tokens {
    kept: Cache<TokenDigest, Arc<VerifiedToken>, BuildHasherDefault<DigestHasher>>,
    max_life: Duration,
}

impl Tokens {
    /// `None` where the cache is switched off.
    pub(super) fn new(settings: &TokenCache) -> Option<Self> {
        let TokenCache {
            max_tokens,
            max_bytes,
            max_life,
        } = *settings;
        if max_tokens == 0 || max_life.is_zero() {
            return None;
        }
        // One weight bounds both: an entry weighs its bytes, and its share of the bytes
        // where that is more.
        let share = u32::try_from(max_bytes / max_tokens).unwrap_or(u32::MAX);
        let weigh = move |_: &TokenDigest, token: &Arc<VerifiedToken>| weight(token).max(share);
        let kept = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .expire_after(Hygiene { max_life })
            .build_with_hasher(BuildHasherDefault::default());
        Some(Self { kept, max_life })
    }

    pub(super) fn digest(token: &str) -> TokenDigest {
        sha256(&[token.as_bytes()])
    }

    pub(super) fn get(&self, digest: &TokenDigest, now: Duration) -> Option<Arc<VerifiedToken>> {
        let token = self.kept.get(digest)?;
        // moka's clock is not ours: this is the life that counts.
        (now.saturating_sub(token.since) < self.max_life).then_some(token)
    }

    pub(super) fn keep(&self, digest: TokenDigest, token: VerifiedToken) {
        self.kept.insert(digest, Arc::new(token));
    }

    pub(super) fn forget(&self, digest: &TokenDigest) {
        self.kept.invalidate(digest);
    }

    pub(super) fn forget_all(&self) {
        self.kept.invalidate_all();
    }
}

fn weight(token: &VerifiedToken) -> u32 {
    u32::try_from(1024 + token.principal.weight()).unwrap_or(u32::MAX)
}

/// Lets moka drop what cannot be used any more; by its own clock, for memory's sake alone.
struct Hygiene {
    max_life: Duration,
}

impl Hygiene {
    fn left(&self, token: &VerifiedToken) -> Duration {
        // Past `exp` comes the clock skew, of 300 s at most.
        let to_exp = token
            .exp
            .saturating_sub(token.since)
            .saturating_add(Duration::from_secs(300));
        to_exp.min(self.max_life)
    }
}

impl Expiry<TokenDigest, Arc<VerifiedToken>> for Hygiene {
    fn expire_after_create(
        &self,
        _: &TokenDigest,
        token: &Arc<VerifiedToken>,
        _: Instant,
    ) -> Option<Duration> {
        Some(self.left(token))
    }

    fn expire_after_update(
        &self,
        _: &TokenDigest,
        token: &Arc<VerifiedToken>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.left(token))
    }
}

/// A digest is as good a hash as any: eight of its bytes are taken as they are. Nobody can
/// choose them without a token that verifies.
#[derive(Default)]
pub(super) struct DigestHasher(u64);

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
