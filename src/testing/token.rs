//! Making tokens, good or faulty.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::dpop::DpopKey;
use super::keys::random_name;
use super::shared::Shared;
use crate::crypto::sha256;
use crate::jose::Algorithm;

/// Makes one token of an [`Issuer`](super::Issuer): a good access token
/// ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)), until told to lie.
///
/// Without any call it has the header members `typ` (`at+jwt`), `alg` and `kid`, and the
/// claims `iss`, `sub` (`alice`), `client_id` (`test-client`), `iat`, `exp` (the issuer's
/// token lifetime, an hour by default) and a random `jti`. There is no `aud` until
/// [`audience`](Self::audience) names one.
///
/// ```
/// # use tower_mcp_auth::testing::Issuer;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let issuer = Issuer::builder().algorithms([tower_mcp_auth::jose::Algorithm::ES256]).start().await?;
/// let good = issuer.token().audience("https://mcp.example.com/mcp").scope("mcp:read").sign();
/// let late = issuer.token().audience("https://mcp.example.com/mcp").expired().sign();
/// let forged = issuer.token().with_wrong_key().sign();
/// let nonsense = issuer.token().claim("exp", "tomorrow").header("crit", ["b64"].as_slice()).sign();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct TokenBuilder {
    issuer: Arc<Shared>,
    algorithm: Algorithm,
    signer: Signer,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    audience: Vec<String>,
    /// Header members that are not filled in.
    omitted: Vec<String>,
    raw_header: Option<String>,
    raw_payload: Option<String>,
    is_bound: bool,
}

#[derive(Clone, Copy, Debug)]
enum Signer {
    Issuer,
    WrongKey,
    None,
}

impl TokenBuilder {
    pub(super) fn new(issuer: Arc<Shared>) -> Self {
        let algorithm = issuer.keys.algorithms()[0];
        let lifetime = issuer.token_lifetime;
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), issuer.url.clone().into());
        claims.insert("sub".to_owned(), "alice".into());
        claims.insert("client_id".to_owned(), "test-client".into());
        claims.insert("jti".to_owned(), random_name().into());
        let mut header = Map::new();
        header.insert("typ".to_owned(), "at+jwt".into());
        Self {
            issuer,
            algorithm,
            signer: Signer::Issuer,
            header,
            claims,
            audience: Vec::new(),
            omitted: Vec::new(),
            raw_header: None,
            raw_payload: None,
            is_bound: false,
        }
        .expires_in(lifetime)
    }

    /// A logout token instead: without what only access tokens have.
    pub(super) fn for_logout(self) -> Self {
        const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
        let mut events = Map::new();
        events.insert(EVENT.to_owned(), Map::new().into());
        self.header("typ", "logout+jwt")
            .without_claim("client_id")
            .claim("events", events)
            .expires_in(Duration::from_secs(120))
    }

    /// Sets `sub`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// Adds an audience: one becomes a string, several an array.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience.push(audience.to_owned());
        self.claims.remove("aud");
        self
    }

    /// Sets `scope`: scopes with single spaces between.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets `client_id`.
    pub fn client_id(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// Sets `iat` to the issuer's time, and `exp` to so much later, in whole seconds.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        let now = self.issuer.clock.now();
        self.claim("iat", now.as_secs())
            .claim("exp", now.saturating_add(lifetime).as_secs())
    }

    /// A token that was issued two hours ago and expired one hour ago.
    pub fn expired(self) -> Self {
        let now = self.issuer.clock.now().as_secs();
        self.claim("iat", now.saturating_sub(7200))
            .claim("exp", now.saturating_sub(3600))
    }

    /// Sets any claim to any value, those that have setters of their own included.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        if name == "aud" {
            self.audience.clear();
        }
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Binds the token to the key of a client (RFC 9449): sets `cnf`, with the thumbprint of the key,
    /// and `token_type` of an [opaque](Self::opaque) one.
    pub fn bound_to(mut self, key: &DpopKey) -> Self {
        self.is_bound = true;
        self.confirmed_by("jkt", key.thumbprint())
    }

    /// Binds the token to the certificate of a client (RFC 8705): sets `cnf`, with the thumbprint
    /// of this DER. A request shows the certificate by the extension
    /// [`PeerCertificate::from_der`](crate::peer::PeerCertificate::from_der).
    pub fn bound_to_certificate(self, der: &[u8]) -> Self {
        self.confirmed_by("x5t#S256", &URL_SAFE_NO_PAD.encode(sha256(&[der])))
    }

    /// Adds a member to `cnf`.
    fn confirmed_by(self, member: &str, value: &str) -> Self {
        let mut cnf = match self.claims.get("cnf") {
            Some(Value::Object(cnf)) => cnf.clone(),
            _ => Map::new(),
        };
        cnf.insert(member.to_owned(), value.into());
        self.claim("cnf", cnf)
    }

    /// Leaves a claim out.
    pub fn without_claim(mut self, name: &str) -> Self {
        if name == "aud" {
            self.audience.clear();
        }
        self.claims.remove(name);
        self
    }

    /// Sets any header member to any value. `alg` and `kid` may lie: they say nothing
    /// about how the token is signed.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.omitted.retain(|omitted| omitted != name);
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a header member out, `alg` and `kid` included.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self.omitted.push(name.to_owned());
        self
    }

    /// Sets `kid`, whichever key signs.
    pub fn key_id(self, kid: &str) -> Self {
        self.header("kid", kid)
    }

    /// Signs with `algorithm` instead of the issuer's first.
    ///
    /// If no key of the issuer is for it, another of the same kind signs (an RS256 key for
    /// PS256, say), else an unpublished key. With HS256, HS384 or HS512 the secret is
    /// the newest public key, as its JWK has it in the key set: the classic confusion of algorithms.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Replaces the JSON of the header by `text` as it is: duplicate members, broken JSON.
    pub fn raw_header(mut self, text: &str) -> Self {
        self.raw_header = Some(text.to_owned());
        self
    }

    /// Replaces the JSON of the payload by `text` as it is: duplicate members, broken JSON.
    pub fn raw_payload(mut self, text: &str) -> Self {
        self.raw_payload = Some(text.to_owned());
        self
    }

    /// Signs with a key the issuer never published; `kid` still names the issuer's.
    pub fn with_wrong_key(mut self) -> Self {
        self.signer = Signer::WrongKey;
        self
    }

    /// Leaves the signature empty and says `"alg": "none"`.
    pub fn unsigned(mut self) -> Self {
        self.signer = Signer::None;
        self
    }

    /// An opaque token: a random name of 32 characters without a dot. Its claims stay with
    /// the issuer. [Introspection](super::Endpoint::Introspect) answers with them, until
    /// `exp` or [`Issuer::revoke`](super::Issuer::revoke).
    ///
    /// All claims count, `token_type` (`Bearer` unless set) and even `active` included; what
    /// concerns headers, signatures and raw texts does not. The last 100,000 opaque tokens
    /// are remembered.
    pub fn opaque(self) -> String {
        self.opaque_with_prefix("")
    }

    /// An [`opaque`](Self::opaque) token that starts with `prefix`, as some servers mark
    /// their tokens with: `ops_`, say. It is not checked.
    pub fn opaque_with_prefix(mut self, prefix: &str) -> String {
        let token = format!("{prefix}{}", random_name());
        let mut claims = self.take_claims();
        if self.is_bound {
            claims.entry("token_type").or_insert_with(|| "DPoP".into());
        }
        let mut store = self.issuer.store();
        store.opaque_tokens.insert(token.clone(), claims);
        token
    }

    /// The token, in the compact serialization.
    ///
    /// # Panics
    /// The backend cannot sign, which happens only where the system has no random numbers.
    pub fn sign(mut self) -> String {
        let claims = self.take_claims();
        let keys = &self.issuer.keys;
        let own = keys.signer(self.algorithm).expect("the issuer has keys");
        let signer = match self.signer {
            Signer::Issuer => Some(Arc::clone(&own)),
            Signer::WrongKey => Some(keys.wrong_key(self.algorithm).expect("a key is made")),
            Signer::None => None,
        };

        let mut header = self.header;
        header.entry("alg").or_insert_with(|| match signer {
            Some(_) => self.algorithm.name().into(),
            None => "none".into(),
        });
        header
            .entry("kid")
            .or_insert_with(|| own.kid.clone().into());
        header.retain(|name, _| !self.omitted.contains(name));
        let header = self
            .raw_header
            .unwrap_or_else(|| Value::Object(header).to_string());

        let payload = self
            .raw_payload
            .unwrap_or_else(|| Value::Object(claims).to_string());

        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = signer.map(|key| {
            key.signature(self.algorithm, token.as_bytes())
                .expect("the backend signs")
        });
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.unwrap_or_default(), &mut token);
        token
    }

    /// The issuer, the algorithm, and the header and the claims of the token as it would be.
    pub(super) fn into_parts(
        mut self,
    ) -> (
        Arc<Shared>,
        Algorithm,
        Map<String, Value>,
        Map<String, Value>,
    ) {
        let claims = self.take_claims();
        let own = self.issuer.keys.signer(self.algorithm);
        let own = own.expect("the issuer has keys");
        let mut header = self.header;
        header
            .entry("alg")
            .or_insert_with(|| self.algorithm.name().into());
        header
            .entry("kid")
            .or_insert_with(|| own.kid.clone().into());
        header.retain(|name, _| !self.omitted.contains(name));
        (self.issuer, self.algorithm, header, claims)
    }

    fn take_claims(&mut self) -> Map<String, Value> {
        let mut claims = std::mem::take(&mut self.claims);
        match <[String; 1]>::try_from(std::mem::take(&mut self.audience)) {
            Ok([one]) => claims.insert("aud".to_owned(), one.into()),
            Err(none) if none.is_empty() => None,
            Err(several) => claims.insert("aud".to_owned(), several.into()),
        };
        claims
    }
}

impl fmt::Debug for TokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBuilder")
            .field("issuer", &self.issuer.url)
            .field("algorithm", &self.algorithm)
            .field("signer", &self.signer)
            .field("claims", &self.claims)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
