//! Keys, and tokens of about 900 bytes signed with them: each with another `jti`.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::oauth::{AuthorizationServer, TokenCacheOptions};
use tower_mcp_auth::{JwtLayer, OAuthLayer};

pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com/tenants/contoso";
const KID: &str = "2026-11-signing-key";
pub(crate) const SECRET: &[u8] = b"only for the benchmark, and no secret to anybody";
/// What a token should have, header, dots and signature included.
const BYTES: usize = 900;

/// A key that signs, of one of the algorithms compared.
pub(crate) enum Key {
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Hs256,
}

impl Key {
    pub(crate) fn rs256() -> Self {
        Self::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn es256() -> Self {
        let key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::Es256(key.unwrap())
    }

    pub(crate) fn eddsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn alg(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// `count` tokens that differ, the first of them numbered `first`.
    pub(crate) fn tokens(&self, first: usize, count: usize) -> Vec<String> {
        let numbers: Vec<usize> = (first..first + count).collect();
        // RSA signatures take their time.
        let sign = |part: &[usize]| part.iter().map(|number| self.token(*number)).collect();
        let (one, other) = numbers.split_at(count / 2);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| -> Vec<String> { sign(other) });
            let mut tokens: Vec<String> = sign(one);
            tokens.extend(beside.join().expect("signing does not panic"));
            tokens
        })
    }

    /// A good token for an hour.
    pub(crate) fn token(&self, number: usize) -> String {
        self.token_for(number, RESOURCE)
    }

    /// The same for this audience.
    pub(crate) fn token_for(&self, number: usize, audience: &str) -> String {
        self.token_with(number, audience, None)
    }

    /// The same, bound by this member of `cnf`.
    pub(crate) fn bound_token(&self, number: usize, member: &str, thumbprint: &str) -> String {
        self.token_with(number, RESOURCE, Some((member, thumbprint)))
    }

    fn token_with(&self, number: usize, audience: &str, bound: Option<(&str, &str)>) -> String {
        let message = self.message(number, audience, bound);
        let signature = B64.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn message(&self, number: usize, audience: &str, bound: Option<(&str, &str)>) -> String {
        let header = json!({"alg": self.alg(), "typ": "at+jwt", "kid": KID});
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": ISSUER,
            "aud": [audience],
            "sub": format!("248289761001-{number:08}"),
            "client_id": "s6BhdRkqt3",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "jti": format!("8d7c3a61-6d2f-4f0c-9c5b-{number:012}"),
            "scope": "mcp:read mcp:write",
            "auth_time": now,
            "acr": "urn:mace:incommon:iap:silver",
            "roles": ["reader", "writer"],
        });
        if let Some((member, thumbprint)) = bound {
            claims["cnf"] = json!({ member: thumbprint });
        }
        let signature = match self {
            Self::Rs256(_) => 342,
            Self::Es256(_) | Self::EdDsa(_) => 86,
            Self::Hs256 => 43,
        };
        let coded = |value: &Value| B64.encode(value.to_string());
        let so_far = coded(&header).len() + coded(&claims).len() + signature + 2;
        // Other claims fill up what is left: three bytes are four characters.
        let left = BYTES.saturating_sub(so_far) * 3 / 4;
        let member = r#","entitlements":"""#.len();
        claims["entitlements"] = json!("a".repeat(left.saturating_sub(member)));
        format!("{}.{}", coded(&header), coded(&claims))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &random,
                    message,
                    &mut signature,
                )
                .unwrap();
                signature
            }
            Self::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::EdDsa(key) => key.sign(message).as_ref().to_vec(),
            Self::Hs256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
                hmac::sign(&key, message).as_ref().to_vec()
            }
        }
    }

    fn key_set(&self) -> Value {
        let mut jwk = match self {
            Self::Rs256(key) => {
                let public = key.public_key();
                json!({
                    "kty": "RSA",
                    "n": B64.encode(public.modulus().big_endian_without_leading_zero()),
                    "e": B64.encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                json!({
                    "kty": "EC", "crv": "P-256",
                    "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..]),
                })
            }
            Self::EdDsa(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(key.public_key().as_ref())})
            }
            Self::Hs256 => unreachable!("a secret is never published"),
        };
        jwk["alg"] = self.alg().into();
        jwk["kid"] = KID.into();
        json!({"keys": [jwk]})
    }

    /// The server of these tokens, with its keys.
    pub(crate) fn server(&self) -> AuthorizationServer {
        AuthorizationServer::new(ISSUER)
            .unwrap()
            .jwks(self.key_set().to_string())
            .unwrap()
    }

    /// The layer for the tokens of this key, which it holds from the start.
    pub(crate) fn oauth_layer(&self, cache: TokenCacheOptions) -> OAuthLayer {
        OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(self.server())
            .unwrap()
            .token_cache(cache)
            .build()
            .unwrap()
    }

    /// The layer for tokens signed with the secret.
    pub(crate) fn jwt_layer() -> JwtLayer {
        JwtLayer::builder(Secret::new(SECRET).unwrap())
            .key_id(KID)
            .issuer(ISSUER)
            .audience(RESOURCE)
            .build()
            .unwrap()
    }
}
