//! Tokens that are nearly good: a good one, with one thing changed.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::super::keys::{Key, hmac};
use super::super::shared::Shared;
use super::super::token::TokenBuilder;
use crate::jose::Algorithm;

type Members = Map<String, Value>;

/// How old tokens are, in seconds.
const AGE: u64 = 600;

/// What a good token is made of.
pub(super) struct Forge {
    source: Source,
    header: Members,
    claims: Members,
    /// The time that tokens are judged by, in seconds since 1970.
    now: u64,
    /// It is not published.
    attacker: Arc<Key>,
}

enum Source {
    Issuer(Arc<Shared>, Algorithm),
    Secret(Vec<u8>),
}

/// Who signs.
#[derive(Clone)]
pub(super) enum Signer {
    /// The one whom the service trusts.
    Good,
    /// A key of the same kind that is not published.
    Attacker,
    /// None: the signature is empty.
    None,
    /// HMAC with this secret.
    Hmac(Algorithm, Vec<u8>),
    /// The good signature, changed.
    Changed(fn(Vec<u8>) -> Vec<u8>),
}

impl Forge {
    pub(super) fn issuer(token: TokenBuilder) -> Self {
        let (shared, algorithm, header, mut claims) = token.into_parts();
        // Issued before the service last asked for keys, as far as can be: a token of an unknown
        // key that is newer than the known ones may be good, and is answered with 503.
        if let Some(issued) = claims.get("iat").and_then(Value::as_u64) {
            claims.insert("iat".to_owned(), issued.saturating_sub(AGE).into());
        }
        let attacker = shared.keys.wrong_key(algorithm).expect("a key is made");
        Self {
            now: shared.clock.now().as_secs(),
            source: Source::Issuer(shared, algorithm),
            header,
            claims,
            attacker,
        }
    }

    /// Of HS256, by this secret.
    pub(super) fn secret(secret: &[u8], claims: Members) -> Self {
        let mut header = Map::new();
        header.insert("alg".to_owned(), "HS256".into());
        header.insert("typ".to_owned(), "JWT".into());
        let exp = claims.get("exp").and_then(Value::as_u64);
        let attacker = Key::generate(Algorithm::ES256).expect("a key is made");
        Self {
            source: Source::Secret(secret.to_vec()),
            header,
            // An hour before the good token ends, which is when it is good.
            now: exp.unwrap_or_default().saturating_sub(3600),
            claims,
            attacker: Arc::new(attacker),
        }
    }

    /// Binds the good token to a key (RFC 9449 section 6.1).
    pub(super) fn bind(&mut self, thumbprint: &str) {
        let cnf = json!({ "jkt": thumbprint });
        self.claims.insert("cnf".to_owned(), cnf);
    }

    pub(super) fn draft(&self) -> Draft<'_> {
        Draft {
            forge: self,
            header: self.header.clone(),
            claims: self.claims.clone(),
            raw_header: None,
            raw_claims: None,
            signer: Signer::Good,
        }
    }

    pub(super) fn good(&self) -> String {
        self.draft().sign()
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    pub(super) fn has_key_id(&self) -> bool {
        self.header.contains_key("kid")
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match &self.source {
            Source::Issuer(_, algorithm) => *algorithm,
            Source::Secret(_) => Algorithm::HS256,
        }
    }

    /// The public key that verifies the good token. `None`: it is a secret.
    pub(super) fn public_key(&self) -> Option<Value> {
        match &self.source {
            Source::Issuer(shared, algorithm) => {
                let signer = shared.keys.signer(*algorithm).ok()?;
                Some(signer.published().clone())
            }
            Source::Secret(_) => None,
        }
    }

    /// The public key of the attacker, without an id.
    pub(super) fn attacker_key(&self) -> Value {
        self.attacker.members()
    }

    /// What the attacker signs with.
    pub(super) fn attacker_algorithm(&self) -> Algorithm {
        match &self.source {
            Source::Issuer(_, algorithm) => *algorithm,
            Source::Secret(_) => Algorithm::ES256,
        }
    }

    fn good_signature(&self, message: &[u8]) -> Vec<u8> {
        let signature = match &self.source {
            Source::Issuer(shared, algorithm) => {
                let key = shared.keys.signer(*algorithm);
                key.and_then(|key| key.signature(*algorithm, message))
            }
            Source::Secret(secret) => hmac(Algorithm::HS256, secret, message),
        };
        signature.expect("the backend signs")
    }
}

/// A token of an attack, and what is said of it.
pub(super) type Row<'f> = (String, Draft<'f>);

/// A token in the making: a good one, until it is changed.
#[derive(Clone)]
pub(super) struct Draft<'f> {
    forge: &'f Forge,
    header: Members,
    claims: Members,
    raw_header: Option<Vec<u8>>,
    raw_claims: Option<Vec<u8>>,
    signer: Signer,
}

impl Draft<'_> {
    pub(super) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    pub(super) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn without_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Puts `members`, which end with a comma, before the others of the header.
    pub(super) fn header_starts(mut self, members: &str) -> Self {
        let text = Value::Object(self.header.clone()).to_string();
        self.raw_header = Some(format!("{{{members}{}", &text[1..]).into_bytes());
        self
    }

    /// Puts `members`, which begin with a comma, after the other claims.
    pub(super) fn claims_end(mut self, members: &str) -> Self {
        let text = Value::Object(self.claims.clone()).to_string();
        self.raw_claims = Some(format!("{}{members}}}", &text[..text.len() - 1]).into_bytes());
        self
    }

    /// Puts `members`, which end with a comma, before the other claims.
    pub(super) fn claims_start(mut self, members: &str) -> Self {
        let text = Value::Object(self.claims.clone()).to_string();
        self.raw_claims = Some(format!("{{{members}{}", &text[1..]).into_bytes());
        self
    }

    /// Changes the JSON of the header as text.
    pub(super) fn edit_header(mut self, edit: impl FnOnce(String) -> Vec<u8>) -> Self {
        self.raw_header = Some(edit(Value::Object(self.header.clone()).to_string()));
        self
    }

    /// Changes the JSON of the claims as text.
    pub(super) fn edit_claims(mut self, edit: impl FnOnce(String) -> Vec<u8>) -> Self {
        self.raw_claims = Some(edit(Value::Object(self.claims.clone()).to_string()));
        self
    }

    pub(super) fn by(mut self, signer: Signer) -> Self {
        self.signer = signer;
        self
    }

    /// Signed by the attacker, with an algorithm that fits its key.
    pub(super) fn by_attacker(self) -> Self {
        let algorithm = self.forge.attacker_algorithm();
        self.header("alg", algorithm.name()).by(Signer::Attacker)
    }

    pub(super) fn sign(&self) -> String {
        let json = |raw: &Option<Vec<u8>>, members: &Members| match raw {
            Some(raw) => raw.clone(),
            None => Value::Object(members.clone()).to_string().into_bytes(),
        };
        let mut token = URL_SAFE_NO_PAD.encode(json(&self.raw_header, &self.header));
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(json(&self.raw_claims, &self.claims), &mut token);
        let signature = self.signature(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let forge = self.forge;
        match &self.signer {
            Signer::Good => forge.good_signature(message),
            Signer::Changed(change) => change(forge.good_signature(message)),
            Signer::None => Vec::new(),
            Signer::Hmac(algorithm, secret) => {
                hmac(*algorithm, secret, message).expect("the backend signs")
            }
            Signer::Attacker => {
                let signed = forge.attacker.sign(forge.attacker_algorithm(), message);
                signed.expect("the backend signs")
            }
        }
    }
}
