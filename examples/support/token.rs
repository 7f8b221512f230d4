//! What an authorization server would do for these examples: sign tokens.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
// Named, because the process-wide default of jsonwebtoken panics where both backends are on.
#[cfg(feature = "aws-lc-rs")]
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
#[cfg(not(feature = "aws-lc-rs"))]
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

/// A JWT with these claims.
pub(crate) fn sign(
    algorithm: Algorithm,
    key: &EncodingKey,
    claims: &Value,
) -> Result<String, Box<dyn std::error::Error>> {
    let header = serde_json::to_vec(&Header::new(algorithm))?;
    let message = format!(
        "{}.{}",
        BASE64URL.encode(header),
        BASE64URL.encode(claims.to_string())
    );
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key)?;
    let signature = BASE64URL.encode(signer.try_sign(message.as_bytes())?);
    Ok(format!("{message}.{signature}"))
}

/// Seconds since 1970, as in `exp`.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
