//! Headers of proofs: all proofs of a client have the same one, which is read once.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;

use super::proof::{ProofKey, malformed};
use crate::error::{AuthError, Reason};
use crate::jose::{Algorithm, Compact, SignatureBuffer, VerifyingKey};
use crate::principal::Thumbprint;

/// The longest header that is kept, in base64url: that of a 4096-bit RSA key has about 1 KiB. A client
/// could fill the memory with longer ones.
const LONGEST: usize = 2048;

/// The headers of proofs that were accepted, by the key of their tokens, which is the one in them.
pub(super) struct Headers(Option<Cache<Thumbprint, Arc<Header>>>);

/// What a header says.
pub(super) struct Header {
    /// As it was sent. Another text is read anew, whatever it says.
    text: Box<[u8]>,
    alg: Algorithm,
    key: VerifyingKey,
}

/// The header of a proof, with the key of its token in it.
pub(super) enum Found {
    Known(Arc<Header>),
    New(ProofKey),
}

impl Headers {
    /// At most so many; with zero none is kept.
    pub(super) fn new(most: usize) -> Self {
        Self((most > 0).then(|| Cache::new(most)))
    }

    /// What the header says. A key that is not that of the token is refused before anything is
    /// computed with it.
    pub(super) fn find(&self, proof: &Compact<'_>, key: &Thumbprint) -> Result<Found, AuthError> {
        let known = self.0.as_ref().and_then(|headers| headers.get(key));
        if let Some(known) = known.filter(|known| *known.text == *proof.header_part()) {
            return Ok(Found::Known(known));
        }
        let read = ProofKey::read(proof)?;
        if read.thumbprint == *key {
            return Ok(Found::New(read));
        }
        Err(
            AuthError::new(Reason::DPOP_KEY_MISMATCH).with_detail(format!(
                "the token is bound to the key {}, and the proof is of {}",
                URL_SAFE_NO_PAD.encode(key),
                URL_SAFE_NO_PAD.encode(read.thumbprint)
            )),
        )
    }

    /// Keeps the header once the signature holds.
    pub(super) fn check_signature(
        &self,
        proof: &Compact<'_>,
        found: Found,
        key: &Thumbprint,
    ) -> Result<(), AuthError> {
        let mut buffer = SignatureBuffer::default();
        let signature = proof.signature(&mut buffer);
        let signature = signature.map_err(|_| malformed("the signature is not base64url"))?;
        let (header, is_new) = match found {
            Found::Known(known) => (known, false),
            Found::New(read) => (Arc::new(Header::prepare(proof, &read)?), true),
        };
        let alg = header.alg;
        if !header.key.verify(alg, proof.signing_input(), signature) {
            return Err(AuthError::new(Reason::INVALID_DPOP_SIGNATURE)
                .with_detail(format!("the {alg} signature of the proof does not hold")));
        }
        if let Some(headers) = self
            .0
            .as_ref()
            .filter(|_| is_new && header.text.len() <= LONGEST)
        {
            headers.insert(*key, header);
        }
        Ok(())
    }
}

impl Header {
    fn prepare(proof: &Compact<'_>, read: &ProofKey) -> Result<Self, AuthError> {
        let key = VerifyingKey::prepare(&read.source, &[read.alg]);
        Ok(Self {
            text: proof.header_part().into(),
            alg: read.alg,
            key: key.ok_or_else(|| malformed("jwk is no key that verifies with alg"))?,
        })
    }
}
