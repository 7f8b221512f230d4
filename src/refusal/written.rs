//! What refusals over HTTP say, written once and cached.
//!
//! Body and challenges depend on kind and description, unless a refusal names scopes, asks for a
//! sign-in or has a text of its own.
//!
//! Bad credentials can come in floods; bench `overhead`, row "refused".

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http::HeaderValue;

use super::{Challenge, code, json, www_authenticate};
use crate::error::{AuthError, AuthErrorKind};

/// More than there are reasons; those of providers outside this crate are constants too.
const MOST: usize = 512;

/// Of what the texts are made: a kind, a code, a description, and whether a proof came along.
type Key = (AuthErrorKind, Option<&'static str>, &'static str, bool);

/// What one refusal says.
#[derive(Clone)]
pub(super) struct Texts {
    pub(super) body: Bytes,
    pub(super) challenges: Vec<HeaderValue>,
}

impl Texts {
    fn write(error: &AuthError, challenges: &[Challenge]) -> Self {
        Self {
            body: json::body(error, challenges.first()),
            challenges: www_authenticate::lines(error, challenges),
        }
    }
}

/// The texts that were written, for one set of challenges. A copy begins with none.
#[derive(Default)]
pub(crate) struct Written(RwLock<HashMap<Key, Texts>>);

impl Written {
    pub(super) fn texts(&self, error: &AuthError, challenges: &[Challenge]) -> Texts {
        let key = error
            .static_description()
            .filter(|_| !error.asks_for_more());
        let key = key.map(|description| {
            let by_proof = error.is_by_proof();
            (error.kind(), code(error), description, by_proof)
        });
        let Some(key) = key else {
            return Texts::write(error, challenges);
        };
        let written = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(texts) = written.get(&key) {
            return texts.clone();
        }
        drop(written);
        let texts = Texts::write(error, challenges);
        let mut written = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if written.len() < MOST {
            written.insert(key, texts.clone());
        }
        texts
    }
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What was written is no setting.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}
