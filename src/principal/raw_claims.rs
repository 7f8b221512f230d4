//! The claims of a credential as text.

#[cfg(feature = "oauth")]
use std::sync::OnceLock;

#[cfg(feature = "oauth")]
use crate::util::base64url;

/// The claims of a credential as text.
pub(crate) enum RawClaims {
    /// As JSON.
    Json(Box<str>),
    /// Header and payload of a token. Most requests ask for no claim; what is decoded is kept.
    #[cfg(feature = "oauth")]
    Signed {
        text: Box<[u8]>,
        json: OnceLock<Box<str>>,
    },
}

impl RawClaims {
    /// The claims of a token that was verified. `text` is its header, a dot and its payload.
    #[cfg(feature = "oauth")]
    pub(crate) fn signed(text: Box<[u8]>) -> Self {
        let json = OnceLock::new();
        Self::Signed { text, json }
    }

    /// What they are read from in a token. Empty where that was not kept.
    #[cfg(feature = "oauth")]
    pub(super) fn signed_text(&self) -> &[u8] {
        match self {
            Self::Json(_) => &[],
            Self::Signed { text, .. } => text,
        }
    }

    /// The claims as JSON.
    pub(super) fn json(&self) -> &str {
        match self {
            Self::Json(json) => json,
            #[cfg(feature = "oauth")]
            Self::Signed { text, json } => json.get_or_init(|| decoded(text)),
        }
    }

    /// The most bytes that they ever take. A cache asks again, and must be told the same.
    #[cfg(feature = "oauth")]
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Json(json) => json.len(),
            Self::Signed { text, .. } => text.len() + base64url::decoded_len(text.len()),
        }
    }
}

/// The payload, which was decoded before, when the token was judged. If it did not decode, the text
/// would be empty, which is no JSON: revocations refuse then, and others find no claims.
#[cfg(feature = "oauth")]
fn decoded(text: &[u8]) -> Box<str> {
    let payload = text.rsplit(|byte| *byte == b'.').next();
    let payload = payload.unwrap_or_default();
    let json = base64url::decode_to_vec(payload);
    let json = json.and_then(|json| String::from_utf8(json).ok());
    json.unwrap_or_default().into()
}
