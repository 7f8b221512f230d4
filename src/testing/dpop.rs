//! DPoP proofs of a client (RFC 9449), good or faulty.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::keys::{Key, random_name};
use crate::clock::Clock;
use crate::crypto::sha256;
use crate::jose::Algorithm;

/// The key of a client that proves with DPoP that its tokens are its own
/// ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
///
/// A token is bound to it by [`TokenBuilder::bound_to`](super::TokenBuilder::bound_to). Each request
/// then needs a proof of its own.
///
/// ```
/// # use tower_mcp_auth::jose::Algorithm;
/// # use tower_mcp_auth::testing::Issuer;
/// use tower_mcp_auth::testing::DpopKey;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let issuer = Issuer::builder().algorithms([Algorithm::ES256]).start().await?;
/// let key = DpopKey::generate();
/// let token = issuer.token().audience("https://mcp.example.com/mcp").bound_to(&key).sign();
/// let proof = key.proof("POST", "https://mcp.example.com/mcp").access_token(&token).sign();
/// let headers = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
///
/// // A lie for every check of yours to find.
/// let late = key.proof("GET", "https://mcp.example.com/mcp").claim("iat", 1).sign();
/// # let _ = (headers, late);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DpopKey(Arc<Key>);

impl DpopKey {
    /// A new key on P-256, for ES256.
    ///
    /// # Panics
    /// The backend makes no key.
    pub fn generate() -> Self {
        Self::for_algorithm(Algorithm::ES256)
    }

    /// A new key for this algorithm.
    ///
    /// # Panics
    /// The backend makes no key for it, as for HMAC.
    pub fn for_algorithm(algorithm: Algorithm) -> Self {
        Self(Arc::new(
            Key::generate(algorithm).expect("the backend makes a key"),
        ))
    }

    /// The thumbprint that tokens name it by: `jkt` of `cnf`.
    pub fn thumbprint(&self) -> &str {
        &self.0.kid
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        self.0.members()
    }

    /// A proof for a request with this method to this URL.
    pub fn proof(&self, method: &str, url: &str) -> DpopProofBuilder {
        let mut header = Map::new();
        header.insert("typ".to_owned(), "dpop+jwt".into());
        header.insert("alg".to_owned(), self.0.algorithm.name().into());
        header.insert("jwk".to_owned(), self.jwk());
        let mut claims = Map::new();
        claims.insert("jti".to_owned(), random_name().into());
        claims.insert("htm".to_owned(), method.into());
        claims.insert("htu".to_owned(), url.into());
        let now = Clock::system().now();
        DpopProofBuilder {
            signer: self.clone(),
            header,
            claims,
            raw_header: None,
            raw_payload: None,
        }
        .issued_at(now)
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DpopKey").field(&self.thumbprint()).finish()
    }
}

/// Makes one proof: a good one, until told to lie.
///
/// Without any call it has the header members `typ` (`dpop+jwt`), `alg` and `jwk`, and the claims
/// `jti` (random), `htm`, `htu` and `iat` (now). There is no `ath` until
/// [`access_token`](Self::access_token) names a token.
#[derive(Clone)]
#[must_use]
pub struct DpopProofBuilder {
    signer: DpopKey,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<String>,
    raw_payload: Option<String>,
}

impl DpopProofBuilder {
    /// Sets `ath` to the hash of the token that the proof goes with.
    pub fn access_token(self, token: &str) -> Self {
        let hash = URL_SAFE_NO_PAD.encode(sha256(&[token.as_bytes()]));
        self.claim("ath", hash)
    }

    /// Sets the nonce that the server asked for.
    pub fn nonce(self, nonce: &str) -> Self {
        self.claim("nonce", nonce)
    }

    /// Sets `iat`, as time since 1970-01-01 UTC, in whole seconds.
    pub fn issued_at(self, since_epoch: Duration) -> Self {
        self.claim("iat", since_epoch.as_secs())
    }

    /// Sets any claim to any value.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets any header member to any value. `alg` and `jwk` may lie: they say nothing about how
    /// the proof is signed.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a header member out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Replaces the JSON of the header by `text` as it is.
    pub fn raw_header(mut self, text: &str) -> Self {
        self.raw_header = Some(text.to_owned());
        self
    }

    /// Replaces the JSON of the payload by `text` as it is.
    pub fn raw_payload(mut self, text: &str) -> Self {
        self.raw_payload = Some(text.to_owned());
        self
    }

    /// Signs with another key than the one in the header.
    pub fn signed_with(mut self, key: &DpopKey) -> Self {
        self.signer = key.clone();
        self
    }

    /// The proof, in the compact serialization.
    ///
    /// # Panics
    /// The backend cannot sign, which happens only where the system has no random numbers.
    pub fn sign(self) -> String {
        let json = |raw: Option<String>, members: Map<String, Value>| {
            raw.unwrap_or_else(|| Value::Object(members).to_string())
        };
        let mut proof = URL_SAFE_NO_PAD.encode(json(self.raw_header, self.header));
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(json(self.raw_payload, self.claims), &mut proof);
        let key = &self.signer.0;
        let signature = key
            .sign(key.algorithm, proof.as_bytes())
            .expect("the backend signs");
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut proof);
        proof
    }
}

impl fmt::Debug for DpopProofBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopProofBuilder")
            .field("signer", &self.signer)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}
