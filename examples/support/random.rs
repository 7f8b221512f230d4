//! Keys and secrets made at start, so that none stands in a file.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// 256 random bits, written in 43 characters.
pub(crate) fn random() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(BASE64URL.encode(bytes))
}
