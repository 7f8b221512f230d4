//! Tokens that were verified: a token seen before costs a digest and a look-up.
//!
//! Only the signature and what no clock changes is remembered. Times, scopes and whether the
//! key still serves are judged at every request, so a cached token is never answered
//! otherwise than an uncached one.
//!
//! # Cache key
//!
//! An entry is found by the SHA-256 digest of the token's signature, and serves if what the
//! signature was made over, header and payload, is byte for byte what it was. The two parts
//! together are the whole token, so another token is known by mistake only where SHA-256
//! collides: as with a digest of the whole token, of which most of the work is left out.
//!
//! No usable token is in memory. Of a short token header and payload are kept, which the claims are
//! read from; of a long one the claims. Without the signature they are accepted nowhere, and of that
//! there is the digest alone. To find a signature from it is to forge one: a reader of this memory
//! is no nearer to it than a reader of the claims.
//!
//! A caller sees the time that it takes. Whether a signature is cached learns only a caller that
//! has it. How far header and payload agree learns only one that sends a signature belonging to
//! them. Neither is a step towards a token.
//!
//! This holds because the digested part is a signature. An opaque token does not belong
//! here: a dot in it may leave a short rest, which can be guessed from its digest.
//!
//! # Performance
//!
//! A look-up takes a lock that others share, and no list is kept of it. That is why the map is one
//! of `quick_cache` and not of moka, which keys and introspection use: a token seen before is what
//! nearly every request brings (bench `overhead`, rows "seen before"). A new token is put in at
//! first sight for the same reason (rows "never seen"). A token that is past its life goes when it
//! is asked for, or when others need its place: the limits of the cache bound both.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::keys::{KeySet, KeysInUse};
use crate::clock::Moment;
use crate::crypto::{ByDigest, Digest, sha256};
use crate::jose::{Algorithm, KeyIdentity, VerifyingKey};
use crate::principal::{HasIdentity, Identity, Principal, RawClaims};

/// The settings of the cache of verified tokens.
///
/// Of a token's signature it keeps the SHA-256 digest alone, so that no usable token stands
/// in memory; a refused token is not kept at all. It forgets what is used least, so that a
/// flood of tokens seen once does not push out those in use.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::oauth::TokenCacheOptions;
///
/// let cache = TokenCacheOptions::new()
///     .max_tokens(100_000)
///     .max_bytes(256 << 20)
///     .max_ttl(Duration::from_secs(60));
/// # let _ = (cache, TokenCacheOptions::disabled());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TokenCacheOptions {
    max_tokens: u64,
    max_bytes: u64,
    max_ttl: Duration,
}

impl Default for TokenCacheOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenCacheOptions {
    /// 20,000 tokens and 64 MiB at most, each for 5 minutes at most.
    pub fn new() -> Self {
        Self {
            max_tokens: 20_000,
            max_bytes: 64 << 20,
            max_ttl: Duration::from_secs(300),
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

    /// How many bytes they take up: claims, and the text they are known by (1 KiB at most),
    /// with 1 KiB a token for the rest.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a token is kept at most. It is never used past its `exp`.
    pub fn max_ttl(mut self, life: Duration) -> Self {
        self.max_ttl = life;
        self
    }
}

/// The longest header and payload that are kept as they are, in bytes.
const LONGEST_TEXT: usize = 1024;

/// What a token is known by.
#[derive(Clone, Copy)]
pub(super) struct TokenId<'t> {
    /// Header and payload; empty where they are long.
    text: &'t [u8],
    /// Of all that comes after the text.
    digest: Digest,
}

impl<'t> TokenId<'t> {
    pub(super) fn of(token: &'t [u8]) -> Self {
        let dot = memchr::memrchr(b'.', token).filter(|dot| *dot <= LONGEST_TEXT);
        let (text, rest) = token.split_at(dot.unwrap_or(0));
        let digest = sha256(&[rest]);
        Self { text, digest }
    }

    /// The claims, for keeping. Where the text is kept, they are read from it.
    pub(super) fn claims(&self, payload: &str) -> RawClaims {
        match self.text {
            [] => RawClaims::Json(payload.into()),
            text => RawClaims::signed(text.into()),
        }
    }
}

/// A token that was verified.
pub(super) struct VerifiedToken {
    /// The number of its server. Principals hold this, and may outlive their layer: a reference
    /// would keep the server's caches, and the secrets it is asked with.
    pub(super) server: usize,
    pub(super) exp: Duration,
    pub(super) nbf: Option<Duration>,
    pub(super) iat: Option<Duration>,
    pub(super) key: TokenKey,
    /// The URL of the resource it was judged for.
    pub(super) at: Arc<str>,
    /// When it was verified.
    pub(super) since: Moment,
    /// With what it is known by, besides its digest.
    pub(super) identity: Identity,
}

/// The key a token was verified with, and how it was chosen.
pub(super) struct TokenKey {
    generation: AtomicU64,
    identity: KeyIdentity,
    /// `None` where the token names none.
    kid: Option<Arc<str>>,
    alg: Algorithm,
}

impl TokenKey {
    pub(super) fn new(set: &KeySet, key: &VerifyingKey, is_named: bool, alg: Algorithm) -> Self {
        Self {
            generation: AtomicU64::new(set.generation()),
            identity: key.identity(),
            kid: key.shared_kid().filter(|_| is_named),
            alg,
        }
    }

    /// Whether the token would be checked with the same key, by its material, today.
    pub(super) fn serves_in(&self, keys: &KeysInUse) -> bool {
        let set = keys.set();
        if set.generation() == self.generation.load(Ordering::Relaxed) {
            return true;
        }
        let same = set
            .select(self.kid.as_deref(), self.alg)
            .is_ok_and(|candidates| set.holds(&candidates, self.identity));
        if same {
            self.generation.store(set.generation(), Ordering::Relaxed);
        }
        same
    }
}

/// A token that is kept.
pub(super) struct Known(Arc<VerifiedToken>);

impl Known {
    /// Its principal, which shares what the cache keeps.
    pub(super) fn into_principal(self) -> Principal {
        Principal::of(self.0)
    }
}

impl Deref for Known {
    type Target = VerifiedToken;

    fn deref(&self) -> &VerifiedToken {
        &self.0
    }
}

/// The tokens kept.
pub(super) struct Tokens {
    kept: Cache<Digest, Arc<VerifiedToken>, Weight, ByDigest>,
    max_ttl: Duration,
}

/// One weight bounds both: an entry weighs its bytes, and its share of the bytes where that is
/// more.
#[derive(Clone)]
struct Weight {
    share: u64,
}

impl Weighter<Digest, Arc<VerifiedToken>> for Weight {
    fn weight(&self, _: &Digest, kept: &Arc<VerifiedToken>) -> u64 {
        kept.weight().max(self.share)
    }
}

impl Tokens {
    /// `None` where the cache is switched off.
    pub(super) fn new(settings: &TokenCacheOptions) -> Option<Self> {
        let TokenCacheOptions {
            max_tokens,
            max_bytes,
            max_ttl,
        } = *settings;
        if max_tokens == 0 || max_ttl.is_zero() {
            return None;
        }
        // Half of the numbers there are: weights are added up.
        let max_bytes = max_bytes.min(u64::MAX / 2);
        // The cache turns away what takes more than 97 % of it.
        let share = (max_bytes / max_tokens).min(max_bytes / 8 * 7);
        let tokens = max_tokens.min(max_bytes / LEAST_WEIGHT);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(tokens).unwrap_or(usize::MAX))
            .weight_capacity(max_bytes)
            .build()
            .expect("both capacities are set");
        let hasher = ByDigest::default();
        let life = DefaultLifecycle::default();
        Some(Self {
            kept: Cache::with_options(options, Weight { share }, hasher, life),
            max_ttl,
        })
    }

    pub(super) fn get(&self, id: &TokenId<'_>, now: Moment) -> Option<Known> {
        let kept = self.kept.get(&id.digest)?;
        if now.monotonic.saturating_sub(kept.since.monotonic) >= self.max_ttl {
            self.kept
                .remove_if(&id.digest, |other| Arc::ptr_eq(other, &kept));
            return None;
        }
        // Another text under a known signature is no reason to drop the good one.
        (kept.identity.signed_text() == id.text).then_some(Known(kept))
    }

    pub(super) fn keep(&self, id: &TokenId<'_>, token: Arc<VerifiedToken>) -> Known {
        self.kept.insert(id.digest, Arc::clone(&token));
        Known(token)
    }

    pub(super) fn invalidate(&self, id: &TokenId<'_>) {
        self.kept.remove(&id.digest);
    }

    pub(super) fn invalidate_all(&self) {
        self.kept.clear();
    }
}

impl HasIdentity for VerifiedToken {
    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// What an entry takes besides its texts.
const LEAST_WEIGHT: u64 = 1024;

impl VerifiedToken {
    fn weight(&self) -> u64 {
        LEAST_WEIGHT + self.identity.weight() as u64
    }
}
