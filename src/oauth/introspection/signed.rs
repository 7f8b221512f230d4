//! Signed answers: RFC 9701.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::answer::keep_long_names;
use crate::error::AuthError;
use crate::jose::{Compact, HeaderBuffer, PayloadBuffer, SignatureBuffer, TokenLimits, Typ};
use crate::json::{self, object, object::read_object};
use crate::oauth::keys::{KeyHint, KeyStore};
use crate::token::{ClaimReader, ScopeClaim, TokenProfile, mismatch};

/// What signed answers must be.
pub(super) struct Signed {
    pub(super) keys: Arc<KeyStore>,
    /// The issuer, its algorithms and the clock skew; what is said of tokens is not for an
    /// answer.
    pub(super) profile: TokenProfile,
    /// What we are called: the resource, and the client that asks.
    pub(super) audiences: Vec<Box<str>>,
}

/// An answer is made for one question: an old one is a replay.
const OLDEST: Duration = Duration::from_secs(300);

impl Signed {
    pub(super) const MEDIA_TYPE: &'static str = "application/token-introspection+jwt";
    const TYP: &'static str = "token-introspection+jwt";

    /// The member `token_introspection` of an answer that is signed, fresh and for us.
    pub(super) async fn open(
        &self,
        body: &[u8],
        now: Duration,
    ) -> Result<Map<String, Value>, String> {
        let mut buffer = HeaderBuffer::default();
        // An answer may be longer than a token, and how long it may be was judged.
        let limits = TokenLimits {
            token: body.len(),
            ..TokenLimits::DEFAULT
        };
        let compact = Compact::parse(body.trim_ascii(), limits).map_err(said)?;
        let header = compact.header(&mut buffer).map_err(said)?;
        // The same keys sign access tokens, so the type is all that tells them apart.
        let is_answer = match &header.typ {
            Typ::Other(typ) => Typ::short(typ).eq_ignore_ascii_case(Self::TYP),
            _ => false,
        };
        if !is_answer {
            return Err(format!("its typ is not {}", Self::TYP));
        }
        let alg = self.profile.check_algorithm(&header).map_err(said)?;
        let mut payload = PayloadBuffer::default();
        let payload = compact.payload(&mut payload).map_err(said)?;
        let mut claims = ClaimReader::default();
        claims.read(payload, &ScopeClaim::default()).map_err(said)?;
        self.check(&claims, now)?;

        let mut buffer = SignatureBuffer::default();
        let signature = compact.signature(&mut buffer).map_err(said)?;
        let hint = KeyHint {
            kid: header.kid.as_deref(),
            alg,
            iat: claims.iat,
        };
        let (set, candidates) = self.keys.settled(hint).await.map_err(said)?;
        let key = set.verify(&candidates, alg, compact.signing_input(), signature);
        if key.is_none() {
            return Err("its signature does not hold".to_owned());
        }
        let Some(Value::Object(mut said)) =
            object(payload.as_bytes())?.remove("token_introspection")
        else {
            return Err("it has no object `token_introspection`".to_owned());
        };
        let _ = read_object(payload, |name, value| {
            if let json::object::Value::Object(json) = value
                && name == "token_introspection"
            {
                keep_long_names(json, &mut said);
            }
            Ok(())
        });
        Ok(said)
    }

    fn check(&self, claims: &ClaimReader<'_>, now: Duration) -> Result<(), String> {
        let issuer = self.profile.issuer.as_deref().unwrap_or_default();
        match claims.iss.as_deref() {
            Some(iss) if iss == issuer => {}
            iss => {
                return Err(format!(
                    "its iss: {}",
                    mismatch(issuer, iss.unwrap_or_default())
                ));
            }
        }
        let is_ours = |aud: &str| self.audiences.iter().any(|own| **own == *aud);
        if !claims.aud.iter().any(is_ours) {
            let first = claims.aud.iter().next().unwrap_or_default();
            let own = self.audiences.first().map_or("", |own| &**own);
            return Err(format!("its aud: {}", mismatch(own, first)));
        }
        let iat = claims.iat.ok_or("it has no iat")?;
        let skew = self.profile.clock_skew;
        if now > iat.saturating_add(OLDEST).saturating_add(skew) {
            return Err(format!("it was made {} s ago", (now - iat).as_secs()));
        }
        let exp = claims.exp.unwrap_or(Duration::MAX);
        self.profile
            .check_times(exp, claims.nbf, Some(iat), now)
            .map_err(said)
    }
}

/// Why, for the operator.
// By value, as `map_err` hands it over.
#[allow(clippy::needless_pass_by_value)]
fn said(error: AuthError) -> String {
    error.detail().unwrap_or(error.description()).to_owned()
}
