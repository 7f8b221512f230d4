//! What an answer must say for its token to be accepted (RFC 7662 sections 2.2 and 4).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{AuthError, Reason};
use crate::json::{self, object::read_object};
use crate::principal::{BoundTo, HasIdentity, Identity, Principal};
use crate::scope::Scopes;
use crate::token::binding::DpopMode;
use crate::token::{
    Audience, ClaimReader, Mark, Proven, ScopeClaim, TokenProfile, is_other_kind, mismatch,
    wrong_kind,
};
use crate::util::quoted;

/// What vouches for a token before its server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum Vouched {
    No,
    /// Its signature, and all checks that go with it.
    BySignature,
}

/// An answer that was found good at a resource.
pub(in crate::oauth) struct Judged {
    pub(super) exp: Option<Duration>,
    pub(super) identity: Identity,
    /// The URL of the resource.
    pub(super) at: Arc<str>,
}

impl Judged {
    /// By an answer that was asked for then.
    pub(super) fn vouched_for(self, asked_at: Duration) -> Self {
        let identity = self.identity.vouched_for(asked_at);
        Self { identity, ..self }
    }
}

/// Why a token is refused that was asked about.
#[derive(Clone)]
pub(in crate::oauth) struct Refusal {
    pub(super) error: AuthError,
    /// Where the answer was judged, if another resource could judge it otherwise.
    pub(super) at: Option<JudgedAt>,
}

/// A resource that refused a token, by its URL, and what was said of the token.
#[derive(Clone)]
pub(in crate::oauth) struct JudgedAt {
    pub(super) url: Arc<str>,
    /// `None` where that was too long to be kept.
    pub(super) said: Option<Arc<str>>,
}

/// The most bytes of claims that are kept with a refusal, as these are kept by their number. Of a
/// token with more, nothing is known to those who would let it pass.
pub(super) const MAX_KEPT: usize = 4 * 1024;

impl Refusal {
    /// As much of it as may be remembered.
    pub(super) fn kept(self) -> Self {
        let at = self.at.map(|at| JudgedAt {
            said: at.said.filter(|said| said.len() <= MAX_KEPT),
            url: at.url,
        });
        Self { at, ..self }
    }

    /// The same of a token that its server called active.
    pub(super) fn of_issued(self) -> Self {
        Self {
            error: self.error.of_issued(),
            at: self.at,
        }
    }

    /// The same wherever the token is presented.
    pub(super) fn everywhere(error: AuthError) -> Self {
        Self { error, at: None }
    }
}

/// What is remembered of such an answer.
pub(in crate::oauth) struct Active {
    /// By the monotonic clock.
    pub(super) until: Duration,
    pub(super) judged: Judged,
    /// Until then the token is one that was good lately; by the same clock.
    pub(super) known_until: Duration,
}

impl HasIdentity for Active {
    fn identity(&self) -> &Identity {
        &self.judged.identity
    }
}

/// A token that is good.
pub(in crate::oauth) struct Good {
    pub(in crate::oauth) principal: Principal,
    /// Where it says so.
    pub(in crate::oauth) valid_until: Option<Duration>,
    /// What it is bound to by something else than the claims of the principal.
    pub(in crate::oauth) also_bound_to: Option<Box<BoundTo>>,
}

impl Good {
    /// What the token is bound to. Token and answer may each name a part, and must name the same
    /// key and the same certificate.
    pub(in crate::oauth) fn bound_to(&self) -> Result<BoundTo, AuthError> {
        let own = self.principal.identity().bound_to();
        let Some(also) = self.also_bound_to.as_deref() else {
            return Ok(own);
        };
        own.and(*also).ok_or_else(|| {
            AuthError::new(Reason::BOUND_TOKEN).with_detail(
                "the token is bound to one key or certificate, and the answer about it names \
                 another one",
            )
        })
    }

    /// For one request.
    pub(super) fn of(active: Arc<Active>, profile: &TokenProfile) -> Self {
        let exp = active.judged.exp;
        Self {
            valid_until: exp.map(|exp| profile.valid_until(exp)),
            also_bound_to: None,
            principal: Principal::of(active),
        }
    }
}

/// What answers must fit.
pub(super) struct Expected<'p> {
    pub(super) profile: &'p TokenProfile,
    pub(super) audience: &'p Audience,
    /// Whether one without an audience passes.
    pub(super) without_audience: bool,
    /// The URL of the resource.
    pub(super) at: &'p Arc<str>,
}

/// Judges what is said of an active token. What is odd about it concerns that token: the
/// server answered.
pub(super) fn judge(
    mut said: Map<String, Value>,
    token: &str,
    vouched: Vouched,
    expected: &Expected<'_>,
    now: Duration,
) -> Result<Judged, Refusal> {
    let profile = expected.profile;
    let (json, kind) = read(&mut said, profile).map_err(Refusal::everywhere)?;
    let refused = |error: AuthError| Refusal {
        error,
        at: Some(JudgedAt {
            url: Arc::clone(expected.at),
            said: Some(json.as_str().into()),
        }),
    };
    // Servers with `scp` in their tokens have the `scope` of RFC 7662 here.
    let standard = ScopeClaim::default();
    let own = &profile.scope_claim;
    let scope_claim = match &*own.name {
        "scp" if !said.contains_key("scp") => &standard,
        _ => own,
    };
    let mut claims = ClaimReader::default();
    claims
        .read(&json, scope_claim)
        .map_err(Refusal::everywhere)?;
    if let Some(quirks) = &profile.quirks {
        let client = claims.client_id.clone();
        quirks
            .amend(&mut claims, &said)
            .map_err(Refusal::everywhere)?;
        // So do servers that name the client otherwise in their tokens (section 2.2).
        claims.client_id = claims.client_id.or(client);
    }
    // RFC 9449 section 6.2: such an answer says which key the token is bound to.
    if kind == TokenKind::Dpop && claims.bound_to().key.is_none() {
        let error = AuthError::new(Reason::UNBOUND_TOKEN)
            .with_detail("token_type is DPoP, and the answer has no cnf with jkt");
        return Err(Refusal::everywhere(error));
    }
    let mark = kind.mark();
    let audience = match expected.without_audience && !claims.has_aud {
        true => &Audience::Unchecked,
        false => expected.audience,
    };
    let faults = faults(&claims, mark, vouched, (profile, audience), now);
    if !faults.is_empty() {
        let proven = Proven {
            claims: &claims,
            json: &json,
            token: token.as_bytes(),
            audience,
            required_scopes: &Scopes::none(),
            now,
        };
        let named = faults
            .into_iter()
            .map(|fault| name_settings(fault, &claims));
        let error = profile.settled(named.collect(), &proven, |_| false);
        return Err(refused(error));
    }
    let exp = claims.exp;
    let identity = profile
        .identity(&claims, &json, token.as_bytes())
        .map_err(Refusal::everywhere)?;
    let at = Arc::clone(expected.at);
    Ok(Judged { identity, exp, at })
}

/// The claims of an answer as text, and what marks an access token beside them.
fn read(
    said: &mut Map<String, Value>,
    profile: &TokenProfile,
) -> Result<(String, TokenKind), AuthError> {
    // A handler cannot tell where claims come from: `active` is no claim, and some servers
    // write null for what they have not.
    said.retain(|name, value| name != "active" && !value.is_null());
    read_what_is_clear(said)?;
    let text = |name: &str| match said.get(name) {
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => Err(malformed(format!("{name} is not a string"))),
        None => Ok(None),
    };
    let kind = check_types(text("token_type")?, text("typ")?, profile.binding.dpop)?;
    let json = serde_json::to_string(said)
        .map_err(|_| malformed("the claims cannot be written".to_owned()))?;
    Ok((json, kind))
}

fn malformed(detail: String) -> AuthError {
    AuthError::new(Reason::MALFORMED_TOKEN).with_detail(detail)
}

/// The members that name a user or a client.
const NAMES: [&str; 4] = ["sub", "client_id", "azp", "username"];

/// Puts the text of a whole number in the place of a name that is one, and of any other that does
/// not fit 64 bits: that is rounded when it is read, and would be the same for two names, or two
/// ids of tokens or sessions. `json` is what `said` was read from.
pub(super) fn keep_long_names(json: &str, said: &mut Map<String, Value>) {
    // What is no object was refused before.
    let _ = read_object(json, |name, value| {
        if let json::object::Value::Number(text) = value
            && is_whole(text)
            && (NAMES.contains(&name) || is_long(text))
        {
            said.insert(name.to_owned(), text.into());
        }
        Ok(())
    });
}

/// Reads members of another type than RFC 7662 section 2.2 gives them, where only one thing
/// can be meant: a time as a string of digits, and a name that is a whole number.
fn read_what_is_clear(said: &mut Map<String, Value>) -> Result<(), AuthError> {
    for name in ["exp", "iat", "nbf"] {
        let Some(Value::String(text)) = said.get(name) else {
            continue;
        };
        let is_time = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(seconds) if is_time => said.insert(name.to_owned(), seconds.into()),
            _ => {
                let why = format!("{name} is {}, and no time in seconds", quoted(text));
                return Err(malformed(why));
            }
        };
    }
    // Of this one nothing is asked unless a requirement does, which then finds it missing.
    if let Some(Value::String(text)) = said.get("auth_time")
        && let Ok(seconds) = text.parse::<u64>()
    {
        said.insert("auth_time".to_owned(), seconds.into());
    }
    for name in NAMES {
        let Some(Value::Number(number)) = said.get(name) else {
            continue;
        };
        // Of an answer that was not read from a text: what fits 64 bits was not rounded.
        let text = number.to_string();
        if !is_whole(&text) {
            return Err(malformed(format!(
                "{name} is a number, and not a whole one"
            )));
        }
        said.insert(name.to_owned(), text.into());
    }
    Ok(())
}

/// Whether it is written without a fraction and an exponent.
fn is_whole(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a whole number does not fit 64 bits.
fn is_long(number: &str) -> bool {
    number.parse::<u64>().is_err() && number.parse::<i64>().is_err()
}

/// Names the settings for an authorization server that says less, or says it otherwise.
fn name_settings(error: AuthError, claims: &ClaimReader<'_>) -> AuthError {
    match error.as_reason() {
        Reason::MISSING_AUDIENCE => {
            let client = match claims.client() {
                Some(client) => format!(" (this one: {})", quoted(client)),
                None => String::new(),
            };
            error.with_detail(format!(
                "the answer has no aud: have the authorization server say whom its tokens are \
                 for, accept the tokens of some clients without one by `client_ids`{client}, or, \
                 where all its tokens are for this resource, set `introspection_without_audience`"
            ))
        }
        Reason::AUDIENCE_MISMATCH => {
            let detail = error.detail().unwrap_or_default();
            let detail = format!(
                "{detail}; where answers name something else on purpose, set `audience` of the \
                 introspection"
            );
            error.with_detail(detail)
        }
        _ => error,
    }
}

/// All that stands against it.
fn faults(
    claims: &ClaimReader<'_>,
    mark: Mark,
    vouched: Vouched,
    (profile, audience): (&TokenProfile, &Audience),
    now: Duration,
) -> Vec<AuthError> {
    let mut faults = Vec::new();
    // It may be absent, because the endpoint is the issuer's; another one never is right.
    if let (Some(expected), Some(got)) = (&profile.issuer, claims.iss.as_deref())
        && **expected != *got
    {
        let error = AuthError::new(Reason::ISSUER_MISMATCH).with_detail(mismatch(expected, got));
        faults.push(error);
    }
    // What a signature vouches for was judged with it.
    match vouched {
        Vouched::No => faults.extend(profile.content_faults(mark, claims, audience)),
        // What the answer alone names binds the token as well.
        Vouched::BySignature => {
            let binding = profile.binding.check(claims.confirmation.as_ref(), false);
            faults.extend(binding.err());
        }
    }
    // Without `exp` the life of the answer is the bound.
    faults.extend(profile.time_faults(claims, now));
    faults
}

/// Refuses what is known to be no access token; an unknown type is let through, because
/// servers name theirs as they like.
fn check_types(
    token_type: Option<&str>,
    typ: Option<&str>,
    dpop: DpopMode,
) -> Result<TokenKind, AuthError> {
    for (name, value) in [("token_type", token_type), ("typ", typ)] {
        if let Some(value) = value.filter(|value| is_other_kind(value)) {
            return Err(wrong_kind(format!("{name} is {}", quoted(value))));
        }
    }
    let is = |name: &str| token_type.is_some_and(|own| own.eq_ignore_ascii_case(name));
    // RFC 9449 section 6.2: such a token needs a proof.
    if is("DPoP") {
        return match dpop {
            DpopMode::Off => Err(AuthError::new(Reason::BOUND_TOKEN)
                .with_detail("token_type is DPoP, and `dpop` of the authorization server is off")),
            _ => Ok(TokenKind::Dpop),
        };
    }
    Ok(if is("Bearer") || is("access_token") {
        TokenKind::Access
    } else {
        TokenKind::Unknown
    })
}

/// What the types of an answer say of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Unknown,
    Access,
    /// An access token that is bound to a key.
    Dpop,
}

impl TokenKind {
    fn mark(self) -> Mark {
        match self {
            Self::Unknown => Mark::None,
            Self::Access | Self::Dpop => Mark::TokenType,
        }
    }
}
