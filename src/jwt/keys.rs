//! The keys of one layer.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::Guard;

use super::file::FileKeys;
use crate::error::{AuthError, Reason};
use crate::jose::{
    Algorithm, Candidates, Compact, Header, KeySource, SignatureBuffer, VerifyingKey, select,
};
use crate::token::check_algorithm;

/// Where the keys are.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    Configured(Arc<KeyRing>),
    File(FileKeys),
}

/// The keys as they are now, for the length of one look.
pub(super) enum Current<'k> {
    Configured(&'k KeyRing),
    File(Guard<Arc<KeyRing>>),
}

impl Keys {
    pub(super) fn current(&self) -> Current<'_> {
        match self {
            Self::Configured(ring) => Current::Configured(ring),
            Self::File(file) => Current::File(file.watched()),
        }
    }
}

impl Deref for Current<'_> {
    type Target = KeyRing;

    fn deref(&self) -> &KeyRing {
        match self {
            Self::Configured(ring) => ring,
            Self::File(ring) => ring,
        }
    }
}

/// Keys that tokens are checked with, prepared.
#[derive(Default)]
pub(super) struct KeyRing {
    keys: Vec<VerifyingKey>,
    /// Those of all keys together.
    algorithms: Vec<Algorithm>,
}

impl KeyRing {
    /// Adds a key, for those of `algorithms` that go with it; for the one it is for where none
    /// were set.
    pub(super) fn add(
        &mut self,
        source: &KeySource,
        algorithms: Option<&[Algorithm]>,
    ) -> Result<(), String> {
        let default = [source.default_algorithm()];
        let algorithms = algorithms.unwrap_or(&default);
        let key = VerifyingKey::prepare(source, algorithms)
            .ok_or_else(|| "the key is not valid, or serves none of `algorithms`".to_owned())?;
        let served = algorithms.iter().filter(|alg| key.serves(**alg));
        for alg in served {
            if !self.algorithms.contains(alg) {
                self.algorithms.push(*alg);
            }
        }
        self.keys.push(key);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The ids of the keys, where every key has one.
    pub(super) fn ids(&self) -> Option<Vec<Arc<str>>> {
        self.keys.iter().map(VerifyingKey::shared_kid).collect()
    }

    pub(super) fn check_algorithm(&self, header: &Header<'_>) -> Result<Algorithm, AuthError> {
        check_algorithm(&self.algorithms, header)
    }

    pub(super) fn select(
        &self,
        header: &Header<'_>,
        alg: Algorithm,
    ) -> Result<Candidates, AuthError> {
        select(&self.keys, header.kid.as_deref(), alg)
    }

    /// Checks the signature.
    pub(super) fn verify(
        &self,
        token: &Compact<'_>,
        candidates: &Candidates,
        alg: Algorithm,
    ) -> Result<(), AuthError> {
        let mut buffer = SignatureBuffer::default();
        let signature = token.signature(&mut buffer)?;
        let message = token.signing_input();
        let holds = |index: usize| self.keys[index].verify(alg, message, signature);
        if candidates.iter().any(holds) {
            return Ok(());
        }
        Err(AuthError::new(Reason::INVALID_SIGNATURE)
            .with_detail(format!("the {alg} signature does not hold")))
    }

    /// Whether a token that is refused anyway was signed with one of these keys.
    #[cold]
    pub(super) fn signed(&self, token: &Compact<'_>, header: &Header<'_>) -> bool {
        let holds = || {
            let alg = self.check_algorithm(header)?;
            self.verify(token, &self.select(header, alg)?, alg)
        };
        holds().is_ok()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}
