//! The keys of one layer.

use std::fmt;

use crate::error::AuthError;
use crate::jose::{
    Algorithm, Candidates, Compact, Header, KnownHeaders, VerifyingKey, check_algorithm, select,
};

/// Keys that tokens are checked with, prepared.
pub(super) struct KeyRing {
    keys: Vec<VerifyingKey>,
    /// Those of all keys together.
    algorithms: Vec<Algorithm>,
    /// Those of tokens that the keys verified.
    pub(super) headers: KnownHeaders,
}

impl KeyRing {
    pub(super) fn new(keys: Vec<VerifyingKey>, algorithms: Vec<Algorithm>) -> Self {
        Self {
            keys,
            algorithms,
            headers: KnownHeaders::default(),
        }
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
        let mut buffer = [0; 1024];
        let signature = token.signature(&mut buffer)?;
        let message = token.signing_input();
        let holds = |index: usize| self.keys[index].verify(alg, message, signature);
        if candidates.iter().any(holds) {
            return Ok(());
        }
        Err(AuthError::invalid("bad_signature")
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
