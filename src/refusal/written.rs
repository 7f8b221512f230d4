//! What refusals over HTTP say, written once: body and challenges depend on kind and description,
//! unless a refusal names scopes, asks for a sign-in or has a text of its own.
//!
//! Bad credentials can come in floods; bench `overhead`, row "refused".

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http::HeaderValue;

use super::{Challenge, json, www_authenticate};
use crate::error::{AuthError, AuthErrorKind};

/// More than there are reasons; those of providers outside this crate are constants too.
const MOST: usize = 256;

/// A kind and a description, of which the texts are made.
type Key = (AuthErrorKind, &'static str);

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
        let Some(key) = key.map(|description| (error.kind(), description)) else {
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
