//! Tokens of a key, and the floor under one never seen: the bare check of its signature.

use std::cell::RefCell;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, KeyPair, ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use super::measure::timed;
use super::tokens::{Key, SECRET};

/// A key, and the tokens made with it: to sign 100,000 with RSA takes a minute.
pub(crate) struct TokenStore {
    key: Key,
    made: RefCell<Vec<String>>,
}

impl TokenStore {
    pub(crate) fn new(key: Key) -> Self {
        let made = RefCell::default();
        Self { key, made }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The first `count` tokens of the key.
    pub(crate) fn tokens(&self, count: usize) -> Vec<String> {
        let mut made = self.made.borrow_mut();
        let missing = count.saturating_sub(made.len());
        let more = self.key.tokens(made.len(), missing);
        made.extend(more);
        made[..count].to_vec()
    }
}

/// A token taken apart once, for the raw check of its signature.
pub(crate) struct Signed {
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// The floor under a token never seen: the signature's check, its key parsed once.
pub(crate) enum RawCheck {
    Public(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

impl RawCheck {
    pub(crate) fn new(key: &Key) -> Self {
        Self::Public(match key {
            Key::Rs256(key) => {
                let public = key.public_key();
                RsaPublicKeyComponents {
                    n: public.modulus().big_endian_without_leading_zero(),
                    e: public.exponent().big_endian_without_leading_zero(),
                }
                .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)
                .unwrap()
            }
            Key::Es256(key) => {
                let public = key.public_key().as_ref();
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, public).unwrap()
            }
            Key::EdDsa(key) => {
                ParsedPublicKey::new(&signature::ED25519, key.public_key().as_ref()).unwrap()
            }
            Key::Hs256 => {
                return Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET)));
            }
        })
    }

    pub(crate) fn check(&self, token: &Signed) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(&token.message, &token.signature).is_ok(),
            Self::Hmac(key) => hmac::verify(key, &token.message, &token.signature).is_ok(),
        }
    }

    /// Checks the next `count` of these, nanoseconds per token.
    pub(crate) fn check_next<'s>(
        &self,
        count: usize,
        tokens: &mut impl Iterator<Item = &'s Signed>,
    ) -> f64 {
        let tokens = tokens.take(count).collect();
        timed(tokens, |token| assert!(self.check(token)))
    }
}

impl Signed {
    pub(crate) fn new(token: &str) -> Self {
        let (message, signature) = token.rsplit_once('.').unwrap();
        Self {
            message: message.into(),
            signature: B64.decode(signature).unwrap(),
        }
    }
}
