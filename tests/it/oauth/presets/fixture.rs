//! A provider as it is documented, and what is asked of its preset.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use tower_mcp_auth::Principal;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::presets::support::{Answer, Guarded, Page, START, Web, changed};

pub enum Signer {
    Rs256(KeyPair),
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    Es512(EcdsaKeyPair),
}

pub static RS256: LazyLock<Signer> =
    LazyLock::new(|| Signer::Rs256(KeyPair::generate(KeySize::Rsa2048).unwrap()));
pub static ES256: LazyLock<Signer> = LazyLock::new(|| {
    Signer::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
});
pub static ES384: LazyLock<Signer> = LazyLock::new(|| {
    Signer::Es384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
});

pub static ES512: LazyLock<Signer> = LazyLock::new(|| {
    Signer::Es512(EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap())
});

impl Signer {
    pub fn jwk(&self, kid: &str) -> Value {
        let point = |key: &EcdsaKeyPair| {
            let point = key.public_key().as_ref()[1..].to_vec();
            let (x, y) = point.split_at(point.len() / 2);
            (B64.encode(x), B64.encode(y))
        };
        match self {
            Self::Rs256(key) => {
                let (n, e) = (key.public_key().modulus(), key.public_key().exponent());
                let n = B64.encode(n.big_endian_without_leading_zero());
                let e = B64.encode(e.big_endian_without_leading_zero());
                json!({"kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e})
            }
            Self::Es256(key) => {
                let (x, y) = point(key);
                json!({"kty": "EC", "use": "sig", "kid": kid, "crv": "P-256", "x": x, "y": y})
            }
            Self::Es384(key) => {
                let (x, y) = point(key);
                json!({"kty": "EC", "use": "sig", "kid": kid, "crv": "P-384", "x": x, "y": y})
            }
            Self::Es512(key) => {
                let (x, y) = point(key);
                json!({"kty": "EC", "use": "sig", "kid": kid, "crv": "P-521", "x": x, "y": y})
            }
        }
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::Es384(_) => "ES384",
            Self::Es512(_) => "ES512",
        }
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let header = changed(json!({"alg": self.alg()}), header);
        let input = format!(
            "{}.{}",
            B64.encode(header.to_string()),
            B64.encode(claims.to_string()),
        );
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Self::Es256(key) | Self::Es384(key) | Self::Es512(key) => key
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
        };
        format!("{input}.{}", B64.encode(signature))
    }
}

/// A provider as it is documented.
pub struct Provider {
    pub signer: &'static Signer,
    /// Where its discovery document is, and the document.
    pub document: (&'static str, Value),
    /// What its keys say besides.
    pub key: Value,
    /// The header and the claims of an access token, without its times.
    pub header: Value,
    pub claims: Value,
}

impl Provider {
    pub fn jwks_uri(&self) -> &str {
        self.document.1["jwks_uri"].as_str().unwrap()
    }

    pub fn kid(&self) -> &str {
        self.header["kid"].as_str().unwrap()
    }

    /// The provider on the network: nothing but what is documented.
    pub fn web(&self) -> Web {
        let web = Web::new();
        let (place, document) = &self.document;
        web.set(place, Page::Json(document.clone()));
        let key = changed(self.signer.jwk(self.kid()), &self.key);
        web.set(self.jwks_uri(), Page::Json(json!({"keys": [key]})));
        web
    }

    pub fn guard(&self, server: AuthorizationServer) -> Guarded {
        Guarded::with_server(&self.web(), server)
    }

    /// The documented token, with changes to its claims (`null` takes one out).
    pub fn token(&self, changes: &Value) -> String {
        self.token_with_header(&json!({}), changes)
    }

    pub fn token_with_header(&self, header: &Value, changes: &Value) -> String {
        let now = START.as_secs();
        let times = json!({"iat": now - 60, "exp": now + 3540});
        let claims = changed(changed(self.claims.clone(), &times), changes);
        self.signer
            .sign(&changed(self.header.clone(), header), &claims)
    }

    /// The preset finds this provider and takes the documented token.
    pub async fn is_accepted_by(&self, server: AuthorizationServer) -> Principal {
        let (issuer, guarded) = (server.issuer().to_owned(), self.guard(server));
        assert_eq!(self.document.1["issuer"], *issuer, "the documented issuer");
        let answer = guarded.bearer(&self.token(&json!({}))).await;
        answer.assert(200, "accepted");
        let who = answer.who.unwrap();
        assert_eq!(who.issuer(), Some(&*issuer));
        who
    }

    /// What becomes of the token with each of these changes.
    pub async fn judge(&self, server: AuthorizationServer, table: Vec<(&str, Value, &str)>) {
        let guarded = self.guard(server);
        for (name, changes, reason) in table {
            let answer = guarded.bearer(&self.token(&changes)).await;
            expect(name, &answer, reason);
        }
    }

    /// The same, where the header is another one too.
    pub async fn judge_with_header(
        &self,
        server: AuthorizationServer,
        table: Vec<(&str, Value, Value, &str)>,
    ) {
        let guarded = self.guard(server);
        for (name, header, changes, reason) in table {
            let answer = guarded
                .bearer(&self.token_with_header(&header, &changes))
                .await;
            expect(name, &answer, reason);
        }
    }
}

#[track_caller]
fn expect(name: &str, answer: &Answer, reason: &str) {
    assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
    let status = if reason == "accepted" { 200 } else { 401 };
    assert_eq!(answer.status.as_u16(), status, "{name}");
}
