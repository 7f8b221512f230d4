//! The keys of one issuer.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::{Failed, Key, is_hmac};
use crate::jose::{Algorithm, Compact, HeaderBuffer, PayloadBuffer, SignatureBuffer, TokenLimits};
use crate::util::locked;

/// The most keys that are published at once; the oldest go first.
const MAX_KEYS: usize = 100;

/// The keys of one issuer: those that sign, and the older ones that are still published.
pub(in super::super) struct KeyRing {
    algorithms: Vec<Algorithm>,
    state: Mutex<State>,
}

struct State {
    /// In order of age. The newest of an algorithm signs.
    published: Vec<Arc<Key>>,
    /// Never published: made when first asked for.
    unpublished: Vec<Arc<Key>>,
}

impl KeyRing {
    /// Makes a key for each of `algorithms`, of which there is at least one and none is
    /// symmetric.
    pub(in super::super) fn generate(algorithms: Vec<Algorithm>) -> Result<Self, Failed> {
        let published = fresh(&algorithms)?;
        Ok(Self {
            algorithms,
            state: Mutex::new(State {
                published,
                unpublished: Vec::new(),
            }),
        })
    }

    pub(in super::super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Publishes a new key for each algorithm; from now on they sign.
    pub(in super::super) fn rotate(&self) -> Result<(), Failed> {
        // Made without the lock: an RSA key takes a while.
        let keys = fresh(&self.algorithms)?;
        let published = &mut self.state().published;
        published.extend(keys);
        let surplus = published.len().saturating_sub(MAX_KEYS);
        published.drain(..surplus);
        Ok(())
    }

    /// Stops publishing all keys but those that sign.
    pub(in super::super) fn withdraw_old(&self) {
        let published = &mut self.state().published;
        let mut signing = Vec::new();
        for key in published.iter().rev() {
            if !signing
                .iter()
                .any(|own: &Arc<Key>| own.algorithm == key.algorithm)
            {
                signing.push(Arc::clone(key));
            }
        }
        signing.reverse();
        *published = signing;
    }

    /// Stops publishing one key; whether it was published.
    pub(in super::super) fn withdraw(&self, kid: &str) -> bool {
        let published = &mut self.state().published;
        let before = published.len();
        published.retain(|key| key.kid != kid);
        published.len() != before
    }

    pub(in super::super) fn jwks(&self) -> Value {
        let state = self.state();
        let keys: Vec<&Value> = state.published.iter().map(|key| &key.jwk).collect();
        json!({ "keys": keys })
    }

    /// The key that signs with `algorithm`; or one of its kind; or an unpublished one.
    /// For an HMAC algorithm, the key with the public half that serves as the secret.
    pub(in super::super) fn signer(&self, algorithm: Algorithm) -> Result<Arc<Key>, Failed> {
        let state = self.state();
        let mut newest_first = state.published.iter().rev();
        let found = if is_hmac(algorithm) {
            newest_first.next()
        } else {
            newest_first
                .clone()
                .find(|key| key.algorithm == algorithm)
                .or_else(|| newest_first.find(|key| key.algorithm.family() == algorithm.family()))
        };
        match found {
            Some(key) => Ok(Arc::clone(key)),
            None => wrong_key(state, algorithm),
        }
    }

    /// A key of the kind `algorithm` needs that is never published.
    pub(in super::super) fn wrong_key(&self, algorithm: Algorithm) -> Result<Arc<Key>, Failed> {
        wrong_key(self.state(), algorithm)
    }

    /// The payload of a token that a published key signed.
    pub(in super::super) fn verified_payload(&self, token: &str) -> Option<String> {
        let mut header = HeaderBuffer::default();
        let compact = Compact::parse(token.as_bytes(), TokenLimits::DEFAULT).ok()?;
        let header = compact.header(&mut header).ok()?;
        let kid = header.kid.as_deref();
        let mut buffer = SignatureBuffer::default();
        let signature = compact.signature(&mut buffer).ok()?;
        let state = self.state();
        // By the key's algorithm, whatever the header says: these are our own tokens.
        let verifies = |key: &Arc<Key>| {
            let own = key.algorithm;
            key.verifying
                .verify(own, compact.signing_input(), signature)
        };
        state
            .published
            .iter()
            .filter(|key| kid.is_none_or(|kid| kid == key.kid))
            .any(verifies)
            .then(|| {
                compact
                    .payload(&mut PayloadBuffer::default())
                    .map(str::to_owned)
                    .ok()
            })?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl Key {
    /// Signs `message`, honestly or, with an HMAC algorithm, as an attacker would.
    pub(in super::super) fn signature(
        &self,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        if is_hmac(algorithm) {
            self.confuse(algorithm, message)
        } else {
            self.sign(algorithm, message)
        }
    }
}

fn fresh(algorithms: &[Algorithm]) -> Result<Vec<Arc<Key>>, Failed> {
    algorithms
        .iter()
        .map(|algorithm| Key::generate(*algorithm).map(Arc::new))
        .collect()
}

fn wrong_key(mut state: MutexGuard<'_, State>, algorithm: Algorithm) -> Result<Arc<Key>, Failed> {
    let fits = |key: &&Arc<Key>| key.algorithm.family() == algorithm.family() || is_hmac(algorithm);
    if let Some(key) = state.unpublished.iter().find(fits) {
        return Ok(Arc::clone(key));
    }
    let algorithm = if is_hmac(algorithm) {
        Algorithm::ES256
    } else {
        algorithm
    };
    let key = Arc::new(Key::generate(algorithm)?);
    state.unpublished.push(Arc::clone(&key));
    Ok(key)
}
