//! A layer, a clock that stands still, and signers.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{hmac, signature::RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};
use tower_mcp_auth::jwt::{JwtKey, JwtLayerBuilder};
use tower_mcp_auth::{AuthError, AuthErrorKind, Clock, JwtLayer, Principal};

/// With both backends on, aws-lc verifies.
pub(crate) fn aws_lc() -> bool {
    cfg!(feature = "aws-lc-rs")
}

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://idp.example.com";
pub(crate) const AUDIENCE: &str = "https://mcp.example.com/mcp";

/// Long enough for HS512.
pub(crate) const SECRET: &[u8] =
    b"kT9#vQ2!mX7@pL4$zR8%wN3^bF6&yJ1*cH5(gD0)sA-eU+iOq~xVnB=tKrMwZjPL";

/// Header and claims that pass every layer of this module.
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;
pub(crate) const CLAIMS: &str = r#"{"iss":"https://idp.example.com","sub":"alice","aud":"https://mcp.example.com/mcp","exp":1800003600,"scope":"read"}"#;

/// All that the backend verifies.
#[cfg(feature = "aws-lc-rs")]
pub(crate) const ALL: [Algorithm; 13] = with_those_of_both([Algorithm::ES512; 13]);
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) const ALL: [Algorithm; 12] = with_those_of_both([Algorithm::HS256; 12]);

/// Puts what both backends verify before the rest.
const fn with_those_of_both<const N: usize>(mut all: [Algorithm; N]) -> [Algorithm; N] {
    let mut at = 0;
    while at < OF_BOTH.len() {
        all[at] = OF_BOTH[at];
        at += 1;
    }
    all
}

const OF_BOTH: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

pub(crate) fn secret() -> Secret {
    Secret::new(SECRET).expect("a secret")
}

pub(crate) fn at(seconds: u64) -> Clock {
    Clock::manual(Duration::from_secs(seconds))
}

pub(crate) fn builder(key: impl Into<JwtKey>) -> JwtLayerBuilder {
    JwtLayer::builder(key).clock(at(NOW))
}

/// HS256, neither issuer nor audience checked.
pub(crate) fn lax() -> JwtLayer {
    builder(secret()).build().expect("a layer")
}

/// HS256, issuer and audience checked.
pub(crate) fn strict() -> JwtLayer {
    builder(secret())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .build()
        .expect("a layer")
}

/// Asks the layer with `Authorization: Bearer {token}`.
///
/// A refusal is checked for what every refusal promises: a fitting status, an inner service
/// that saw nothing, texts that can break neither a header nor a log.
pub(crate) fn ask(layer: &JwtLayer, token: &str) -> Result<Principal, AuthError> {
    crate::jose::oracle::guard();
    let reached = AtomicBool::new(false);
    let inner = service_fn(async |request: Request<Full<Bytes>>| {
        reached.store(true, Ordering::SeqCst);
        let mut response = Response::new(Full::<Bytes>::default());
        if let Some(principal) = Principal::from_extensions(request.extensions()) {
            response.extensions_mut().insert(principal.clone());
        }
        Ok::<_, std::convert::Infallible>(response)
    });
    let mut request = Request::new(Full::default());
    let value = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes());
    request
        .headers_mut()
        .insert("authorization", value.expect("a header value"));
    let mut answer = tokio_test::task::spawn(layer.layer(inner).oneshot(request));
    let std::task::Poll::Ready(Ok(response)) = answer.poll() else {
        panic!("a JWT is judged without waiting");
    };
    drop(answer);
    let reached = reached.load(Ordering::SeqCst);
    if let Some(principal) = response.extensions().get::<Principal>() {
        assert!(reached && response.status() == StatusCode::OK);
        return Ok(principal.clone());
    }
    let error = response.extensions().get::<AuthError>();
    error.inspect(|error| common::assert_explained(error));
    let error = error.expect("a refusal carries its error").clone();
    assert!(!reached, "a refused request reached the inner service");
    let status = match error.kind() {
        AuthErrorKind::Malformed => StatusCode::BAD_REQUEST,
        AuthErrorKind::Invalid | AuthErrorKind::Missing => StatusCode::UNAUTHORIZED,
        AuthErrorKind::InsufficientScope => StatusCode::FORBIDDEN,
        other => panic!("a JWT is refused as {other:?}"),
    };
    assert_eq!(response.status(), status);
    let challenge = response.headers()["www-authenticate"].to_str();
    let challenge = challenge.expect("an ASCII challenge");
    assert!(challenge.len() < 400, "{challenge}");
    if error.kind() == AuthErrorKind::Missing {
        return Err(error);
    }
    let detail = error.detail().expect("an operator learns why");
    assert!(detail.len() < 1600, "{detail}");
    assert!(!detail.chars().any(char::is_control), "{detail:?}");
    Err(error)
}

/// `"accepted"`, or the reason of the refusal.
pub(crate) fn outcome(layer: &JwtLayer, token: &str) -> &'static str {
    match ask(layer, token) {
        Ok(_) => "accepted",
        Err(error) => error.reason(),
    }
}

/// Asks once for every row and reports all that differ at once.
pub(crate) fn table<'t>(
    layer: &JwtLayer,
    rows: impl IntoIterator<Item = (&'t str, String, &'t str)>,
) {
    let mut wrong = String::new();
    let mut count = 0;
    for (name, token, expected) in rows {
        count += 1;
        let got = outcome(layer, &token);
        if got != expected {
            let _ = writeln!(wrong, "{name}: expected {expected}, got {got}");
        }
    }
    assert!(count > 0);
    assert!(wrong.is_empty(), "\n{wrong}");
}

pub(crate) fn signing_input(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", b64(header), b64(claims))
}

/// A token signed with [`SECRET`] under HS256, whatever its header says.
pub(crate) fn token(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    sealed(&signing_input(header, claims))
}

/// Appends the HS256 signature of anything.
pub(crate) fn sealed(input: &str) -> String {
    format!("{input}.{}", b64(hs256(SECRET, input)))
}

pub(crate) fn hs256(secret: &[u8], input: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
}

/// One key pair a family, made when first used.
pub(crate) struct Pairs {
    pub(crate) rsa: RsaKeyPair,
    pub(crate) p256: EcdsaKeyPair,
    pub(crate) p384: EcdsaKeyPair,
    pub(crate) p521: EcdsaKeyPair,
    pub(crate) ed25519: Ed25519KeyPair,
}

pub(crate) static PAIRS: LazyLock<Pairs> = LazyLock::new(Pairs::generate);

impl Pairs {
    pub(crate) fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key pair"),
            p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)
                .expect("a key pair"),
            p384: EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)
                .expect("a key pair"),
            p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING)
                .expect("a key pair"),
            ed25519: Ed25519KeyPair::generate().expect("a key pair"),
        }
    }

    /// The SubjectPublicKeyInfo of the key for `alg`.
    pub(crate) fn spki(&self, alg: Algorithm) -> Vec<u8> {
        use aws_lc_rs::encoding::PublicKeyX509Der;
        let der: PublicKeyX509Der<'_> = match alg {
            Algorithm::ES256 => self.p256.public_key().as_der(),
            Algorithm::ES384 => self.p384.public_key().as_der(),
            Algorithm::ES512 => self.p521.public_key().as_der(),
            Algorithm::EdDSA => self.ed25519.public_key().as_der(),
            _ => self.rsa.public_key().as_der(),
        }
        .expect("DER");
        der.as_ref().to_vec()
    }

    pub(crate) fn pem(&self, alg: Algorithm) -> String {
        pem("PUBLIC KEY", &self.spki(alg))
    }

    pub(crate) fn public(&self, alg: Algorithm) -> PublicKey {
        PublicKey::from_der(self.spki(alg)).expect("a public key")
    }

    /// The JWK of the key for `alg`, without `kid`, `alg` or `use`.
    pub(crate) fn jwk(&self, alg: Algorithm) -> serde_json::Value {
        let ec = |crv: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            serde_json::json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
        };
        match alg {
            Algorithm::ES256 => ec("P-256", self.p256.public_key().as_ref()),
            Algorithm::ES384 => ec("P-384", self.p384.public_key().as_ref()),
            Algorithm::ES512 => ec("P-521", self.p521.public_key().as_ref()),
            Algorithm::EdDSA => serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": b64(self.ed25519.public_key()),
            }),
            _ => serde_json::json!({
                "kty": "RSA",
                "n": b64(self.rsa.public_key().modulus().big_endian_without_leading_zero()),
                "e": b64(self.rsa.public_key().exponent().big_endian_without_leading_zero()),
            }),
        }
    }

    pub(crate) fn sign(&self, alg: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let mac = |hash| {
            let key = hmac::Key::new(hash, SECRET);
            hmac::sign(&key, message).as_ref().to_vec()
        };
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut out = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(encoding, &random, message, &mut out)
                .expect("a signature");
            out
        };
        let ec = |pair: &EcdsaKeyPair| {
            let signature = pair.sign(&random, message).expect("a signature");
            signature.as_ref().to_vec()
        };
        match alg {
            Algorithm::HS256 => mac(hmac::HMAC_SHA256),
            Algorithm::HS384 => mac(hmac::HMAC_SHA384),
            Algorithm::HS512 => mac(hmac::HMAC_SHA512),
            Algorithm::RS256 => rsa(&signature::RSA_PKCS1_SHA256),
            Algorithm::RS384 => rsa(&signature::RSA_PKCS1_SHA384),
            Algorithm::RS512 => rsa(&signature::RSA_PKCS1_SHA512),
            Algorithm::PS256 => rsa(&signature::RSA_PSS_SHA256),
            Algorithm::PS384 => rsa(&signature::RSA_PSS_SHA384),
            Algorithm::PS512 => rsa(&signature::RSA_PSS_SHA512),
            Algorithm::ES256 => ec(&self.p256),
            Algorithm::ES384 => ec(&self.p384),
            Algorithm::ES512 => ec(&self.p521),
            Algorithm::EdDSA => self.ed25519.sign(message).as_ref().to_vec(),
            other => panic!("no signer for {other}"),
        }
    }

    /// A token with this header, which need not name `alg`.
    pub(crate) fn token(&self, alg: Algorithm, header: &str, claims: &str) -> String {
        let input = signing_input(header, claims);
        format!("{input}.{}", b64(self.sign(alg, input.as_bytes())))
    }
}

/// A layer for tokens of [`PAIRS`] under exactly this algorithm.
pub(crate) fn layer_for(alg: Algorithm) -> JwtLayer {
    let builder = if alg.name().starts_with("HS") {
        builder(secret())
    } else {
        builder(PAIRS.public(alg))
    };
    builder
        .algorithms([alg])
        .audience(AUDIENCE)
        .build()
        .expect("a layer")
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
