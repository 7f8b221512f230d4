//! What an answer must say for its token to be accepted (RFC 7662 sections 2.2 and 4).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{AuthError, quoted};
use crate::jose::{Claims, Mark, ScopeClaim, TokenProfile, is_other_kind, mismatch, wrong_kind};
use crate::oauth::remembered::Entry;
use crate::principal::{Holder, Identity, Principal};

/// What vouches for a token before anybody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum Vouched {
    ByNobody,
    /// Its signature, and all checks that go with it.
    BySignature,
}

/// An answer that was found good.
// In this order, because what every use needs is then side by side.
#[repr(C)]
pub(super) struct Judged {
    pub(super) exp: Option<Duration>,
    pub(super) identity: Identity,
}

/// What is remembered of such an answer.
#[repr(C)]
pub(super) struct Active {
    /// By the monotonic clock.
    pub(super) until: Duration,
    pub(super) judged: Judged,
}

impl Holder for Active {
    fn identity(&self) -> &Identity {
        &self.judged.identity
    }
}

/// A token that is good.
pub(in crate::oauth) struct Good {
    pub(in crate::oauth) principal: Principal,
    /// Where it says so.
    pub(in crate::oauth) valid_until: Option<Duration>,
}

impl Good {
    /// For one request.
    pub(super) fn of(active: Arc<Entry<Active>>, profile: &TokenProfile) -> Self {
        let exp = active.value().judged.exp;
        Self {
            valid_until: exp.map(|exp| profile.valid_until(exp)),
            principal: Principal::of(active),
        }
    }
}

/// Why a token is not accepted.
pub(super) enum Refusal {
    /// It is not good, or not good here.
    Token(AuthError),
    /// Nobody can tell: the answer is not one.
    Answer(String),
}

/// Judges what is said of an active token.
pub(super) fn judge(
    mut said: Map<String, Value>,
    token: &str,
    vouched: Vouched,
    profile: &TokenProfile,
    now: Duration,
) -> Result<Judged, Refusal> {
    // A handler cannot tell where claims come from: `active` is no claim, and some servers
    // write null for what they have not.
    said.retain(|name, value| name != "active" && !value.is_null());
    let text = |name: &str| match said.get(name) {
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => Err(Refusal::Answer(format!("{name} is not a string"))),
        None => Ok(None),
    };
    let mark = check_types(text("token_type")?, text("typ")?).map_err(Refusal::Token)?;
    let json = serde_json::to_string(&said)
        .map_err(|_| Refusal::Answer("the claims cannot be written".to_owned()))?;
    let unusable = |error: AuthError| {
        Refusal::Answer(error.detail().unwrap_or(error.description()).to_owned())
    };
    // Servers with `scp` in their tokens have the `scope` of RFC 7662 here.
    let standard = ScopeClaim::default();
    let own = &profile.scope_claim;
    let scope_claim = match &*own.name {
        "scp" if !said.contains_key("scp") => &standard,
        _ => own,
    };
    let mut claims = Claims::default();
    claims.read(&json, scope_claim).map_err(unusable)?;
    if let Some(quirks) = &profile.quirks {
        quirks.amend(&mut claims, &said).map_err(unusable)?;
    }
    check_claims(&claims, mark, vouched, profile, now).map_err(Refusal::Token)?;
    let exp = claims.exp;
    let identity = profile.identity(&claims, &json, token.as_bytes());
    Ok(Judged {
        identity: identity.map_err(unusable)?,
        exp,
    })
}

fn check_claims(
    claims: &Claims<'_>,
    mark: Mark,
    vouched: Vouched,
    profile: &TokenProfile,
    now: Duration,
) -> Result<(), AuthError> {
    // It may be absent, because the endpoint is the issuer's; another one never is right.
    if let (Some(expected), Some(got)) = (&profile.issuer, claims.iss.as_deref())
        && **expected != *got
    {
        return Err(AuthError::invalid("issuer_mismatch")
            .with_description("The access token is from another issuer")
            .with_detail(mismatch(expected, got)));
    }
    // What a signature vouches for was judged with it.
    if vouched == Vouched::ByNobody {
        profile.check_content(mark, claims)?;
    }
    // Without `exp` the life of the answer is the bound.
    let exp = claims.exp.unwrap_or(Duration::MAX);
    profile.check_times(exp, claims.nbf, claims.iat, now)
}

/// Refuses what is known to be no access token; a type nobody knows is let through, because
/// servers name theirs as they like.
fn check_types(token_type: Option<&str>, typ: Option<&str>) -> Result<Mark, AuthError> {
    for (name, value) in [("token_type", token_type), ("typ", typ)] {
        if let Some(value) = value.filter(|value| is_other_kind(value)) {
            return Err(wrong_kind(format!("{name} is {}", quoted(value))));
        }
    }
    let is = |name: &str| token_type.is_some_and(|own| own.eq_ignore_ascii_case(name));
    // RFC 9449 section 6.2: such a token needs a proof, which no plain bearer request has.
    if is("DPoP") {
        return Err(AuthError::invalid("bound_token")
            .with_detail("token_type is DPoP, and the token came as a plain bearer token"));
    }
    Ok(if is("Bearer") || is("access_token") {
        Mark::TokenType
    } else {
        Mark::None
    })
}
