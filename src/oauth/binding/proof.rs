//! A proof as RFC 9449 section 4.2 has it, read strictly: nothing of it is verified here.

use std::borrow::Cow;
use std::time::Duration;

use crate::crypto::sha256;
use crate::error::{AuthError, Reason};
use crate::jose::{
    self, Alg, Algorithm, Compact, Family, Header, HeaderBuffer, JwkParts, KeySource, KeyUse,
    PayloadBuffer, PublicKey, TokenLimits, Typ,
};
use crate::json::object::{self, Refused, Value, read_object};
use crate::principal::Thumbprint;
use crate::token::numeric_date;
use crate::util::quoted;

const TYP: &str = "dpop+jwt";

/// The longest `jti`, in bytes.
const MAX_ID: usize = 256;

/// The longest proof and its longest header, in bytes. An RSA key of 8192 bits and a signature with
/// it take 4,400 of them.
const LIMITS: TokenLimits = TokenLimits {
    token: 8 * 1024,
    header: 4 * 1024,
};

/// The key of a proof, and the algorithm it was signed with.
pub(super) struct ProofKey {
    pub(super) alg: Algorithm,
    pub(super) thumbprint: Thumbprint,
    pub(super) source: KeySource,
}

/// What a proof says.
#[derive(Debug)]
pub(super) struct ProofClaims<'p> {
    pub(super) jti: Cow<'p, str>,
    pub(super) htm: Cow<'p, str>,
    pub(super) htu: Cow<'p, str>,
    /// In whole seconds since 1970.
    pub(super) iat: Duration,
    pub(super) ath: Cow<'p, str>,
    pub(super) nonce: Option<Cow<'p, str>>,
    pub(super) exp: Option<Duration>,
    pub(super) nbf: Option<Duration>,
}

/// Takes a proof apart. Sizes and dots are judged before anything is decoded.
pub(super) fn parse(proof: &[u8]) -> Result<Compact<'_>, AuthError> {
    Compact::parse(proof, LIMITS).map_err(|error| as_proof(&error))
}

pub(super) fn read_claims<'b>(
    proof: &Compact<'_>,
    buffer: &'b mut PayloadBuffer,
) -> Result<ProofClaims<'b>, AuthError> {
    ProofClaims::read(proof.payload(buffer).map_err(|error| as_proof(&error))?)
}

impl ProofKey {
    /// The key in the header of a proof.
    pub(super) fn read(proof: &Compact<'_>) -> Result<Self, AuthError> {
        let mut buffer = HeaderBuffer::default();
        let text = proof
            .header_text(&mut buffer)
            .map_err(|error| as_proof(&error))?;
        let header = Header::read(text).map_err(|error| as_proof(&error))?;
        let is_proof = matches!(&header.typ, Typ::Other(typ)
            if Typ::short(typ).eq_ignore_ascii_case(TYP));
        if !is_proof {
            return Err(malformed("typ is not dpop+jwt"));
        }
        let alg = match header.alg {
            Alg::Known(alg) if alg.family() != Family::Hmac && alg.check_backend().is_ok() => alg,
            Alg::Known(alg) => return Err(malformed(&format!("alg {alg} is not accepted"))),
            Alg::Unknown(alg) => {
                return Err(malformed(&format!("alg {} is not accepted", quoted(&alg))));
            }
            Alg::Absent => return Err(malformed("alg is missing")),
        };
        let mut jwk = None;
        let read = read_object(text, |name, value| {
            if name == "jwk" {
                let Value::Object(text) = value else {
                    return Err(Refused::WrongType("jwk"));
                };
                jwk = Some(text);
            }
            Ok(())
        });
        read.map_err(|fault| as_proof(&jose::refused(fault, "header")))?;
        let jwk = jwk.ok_or_else(|| malformed("jwk is missing"))?;
        let unusable = |why: String| malformed(&format!("jwk cannot be used: {why}"));
        let jwk = object::object(jwk.as_bytes()).map_err(unusable)?;
        let parts = JwkParts::read(&jwk, KeyUse::Signatures).map_err(unusable)?;
        let thumbprint = thumbprint(&jwk).ok_or_else(|| malformed("jwk has no thumbprint"))?;
        let source = KeySource::Public(PublicKey::from_parts(parts));
        let declared = source.declared_algorithm();
        if source.family() != alg.family() || declared.is_some_and(|declared| declared != alg) {
            return Err(malformed(&format!("alg {alg} does not fit the key")));
        }
        Ok(Self {
            alg,
            thumbprint,
            source,
        })
    }
}

/// The thumbprint of RFC 7638 section 3, of a key from the members that were read: their texts are
/// of base64url, and need no escapes.
fn thumbprint(jwk: &serde_json::Map<String, serde_json::Value>) -> Option<Thumbprint> {
    let text = |name: &str| jwk.get(name)?.as_str();
    // The members that the kind of key requires, in the order of their names.
    let members: &[&str] = match text("kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let mut json = String::with_capacity(512);
    for name in members {
        json.push_str(if json.is_empty() { "{\"" } else { "\",\"" });
        json.push_str(name);
        json.push_str("\":\"");
        json.push_str(text(name)?);
    }
    json.push_str("\"}");
    Some(sha256(&[json.as_bytes()]))
}

impl<'p> ProofClaims<'p> {
    fn read(payload: &'p str) -> Result<Self, AuthError> {
        let (mut jti, mut htm, mut htu, mut iat) = (None, None, None, None);
        let (mut ath, mut nonce, mut exp, mut nbf) = (None, None, None, None);
        let read = read_object(payload, |name, value| {
            match name {
                _ if matches!(value, Value::Null) => {}
                "jti" => jti = Some(value.text("jti")?),
                "htm" => htm = Some(value.text("htm")?),
                "htu" => htu = Some(value.text("htu")?),
                "iat" => iat = Some(whole_seconds(value.number("iat")?)?),
                "ath" => ath = Some(value.text("ath")?),
                "nonce" => nonce = Some(value.text("nonce")?),
                // Not of RFC 9449, and some clients write them.
                "exp" => exp = Some(numeric_date(value, "exp")?),
                "nbf" => nbf = Some(numeric_date(value, "nbf")?),
                _ => {}
            }
            Ok(())
        });
        read.map_err(|fault| as_proof(&jose::refused(fault, "claims")))?;
        let needed = |claim: Option<Cow<'p, str>>, name: &str| {
            claim.ok_or_else(|| malformed(&format!("{name} is missing")))
        };
        let jti = needed(jti, "jti")?;
        if jti.is_empty() || jti.len() > MAX_ID {
            let why = format!("jti has {} bytes, of 1 to {MAX_ID}", jti.len());
            return Err(malformed(&why));
        }
        Ok(Self {
            jti,
            htm: needed(htm, "htm")?,
            htu: needed(htu, "htu")?,
            iat: iat.ok_or_else(|| malformed("iat is missing"))?,
            ath: needed(ath, "ath")?,
            nonce,
            exp,
            nbf,
        })
    }
}

/// Digits alone: a fraction has no place in a time that is compared in seconds.
fn whole_seconds(number: &str) -> Result<Duration, Refused> {
    let seconds = number.parse().map(Duration::from_secs);
    seconds.map_err(|_| Refused::Says("iat is no whole number of seconds"))
}

pub(super) fn malformed(why: &str) -> AuthError {
    AuthError::new(Reason::MALFORMED_DPOP_PROOF).with_detail(format!("the DPoP proof: {why}"))
}

/// What is said of tokens, of a proof.
fn as_proof(error: &AuthError) -> AuthError {
    malformed(error.detail().unwrap_or(error.reason()))
}
