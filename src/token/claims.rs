//! The claims of a JWT (RFC 7519 section 4), read once and strictly.

use std::borrow::Cow;
use std::time::Duration;

use super::actors::{self, Acting};
use super::kinds::{self, OtherKind};
use crate::error::{AuthError, ConfigError};
use crate::jose;
use crate::json::object::{Refused, Value, read_object};
use crate::principal::BoundTo;
use crate::scope::Scopes;

/// The claims this crate judges, borrowed from the payload. A claim of the wrong type was
/// refused, so `None` means absent, or `null`, which servers write for what they have not.
#[derive(Debug, Default)]
pub(crate) struct ClaimReader<'p> {
    pub(crate) iss: Option<Cow<'p, str>>,
    pub(crate) sub: Option<Cow<'p, str>>,
    pub(crate) aud: Audiences<'p>,
    pub(crate) has_aud: bool,
    pub(crate) exp: Option<Duration>,
    pub(crate) nbf: Option<Duration>,
    pub(crate) iat: Option<Duration>,
    pub(crate) client_id: Option<Cow<'p, str>>,
    pub(crate) azp: Option<Cow<'p, str>>,
    pub(crate) username: Option<Cow<'p, str>>,
    /// The configured scope claim, its scopes separated by spaces.
    pub(crate) scope: Option<Cow<'p, str>>,
    /// Whether `scope` or `scp` names any.
    pub(crate) has_scope: bool,
    pub(crate) token_use: Option<Cow<'p, str>>,
    pub(crate) has_nonce: bool,
    /// The first claim found that says that this is another kind of token.
    pub(crate) other_kind: Option<OtherKind>,
    pub(crate) confirmation: Option<Confirmation<'p>>,
    pub(super) acting: Acting<'p>,
    /// Whether one of the marks of an access token is there, where the issuer has such.
    pub(crate) marked: bool,
    /// The required claim that is missing or another, where the issuer's tokens have such.
    pub(crate) unmet: Option<String>,
}

/// The audiences. One is the rule, and costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Audiences<'p> {
    first: Option<Cow<'p, str>>,
    others: Vec<Cow<'p, str>>,
}

impl<'p> Audiences<'p> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.first.iter().chain(&self.others).map(|aud| &**aud)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let all = self.first.take().into_iter().chain(self.others.drain(..));
        let kept: Vec<Cow<'p, str>> = all.filter(|aud| keep(aud)).collect();
        kept.into_iter().for_each(|aud| self.push(aud));
    }

    fn push(&mut self, aud: Cow<'p, str>) {
        match self.first {
            None => self.first = Some(aud),
            Some(_) => self.others.push(aud),
        }
    }
}

/// The `cnf` claim (RFC 7800): what the token is bound to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Confirmation<'p> {
    /// RFC 9449 section 6.1.
    pub(crate) jkt: Option<Cow<'p, str>>,
    /// RFC 8705 section 3.1.
    pub(crate) x5t_s256: Option<Cow<'p, str>>,
}

/// Which claim holds the scopes: one string with spaces (RFC 9068 section 2.2.3), or an array
/// of strings, as some servers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeClaim {
    pub(crate) name: Cow<'static, str>,
}

impl ScopeClaim {
    /// The claims that are judged for themselves: read as scopes, they would not be.
    const JUDGED: [&'static str; 13] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "client_id",
        "azp",
        "username",
        "token_use",
        "cnf",
        "nonce",
        "",
    ];

    /// A claim of another name.
    pub(crate) fn named(name: Cow<'static, str>) -> Result<Self, ConfigError> {
        if Self::JUDGED.contains(&&*name) || kinds::is_mark(&name) {
            return Err(ConfigError::new(
                "scope_claim",
                format!("{name:?} cannot hold scopes: it is empty, or has a meaning of its own"),
            ));
        }
        if name.contains(|c: char| c.is_whitespace() || c == ',') {
            return Err(ConfigError::new(
                "scope_claim",
                format!("{name:?} has white space or a comma; name one claim"),
            ));
        }
        Ok(Self { name })
    }
}

impl Default for ScopeClaim {
    fn default() -> Self {
        Self {
            name: Cow::Borrowed("scope"),
        }
    }
}

impl<'p> ClaimReader<'p> {
    /// Reads them to where they are judged, where there must be none yet: there are many, and
    /// moving them takes time.
    pub(crate) fn read(&mut self, payload: &'p str, scope: &ScopeClaim) -> Result<(), AuthError> {
        read_object(payload, |name, value| self.take(name, value, scope))
            .map_err(|refused| jose::refused(refused, "claims"))
    }

    /// The client: `client_id` (RFC 9068), or `azp`. An empty one is none: it would make one of
    /// all who have it.
    pub(crate) fn client(&self) -> Option<&str> {
        let named = [self.client_id.as_deref(), self.azp.as_deref()];
        named.into_iter().flatten().find(|name| !name.is_empty())
    }

    /// What the token is bound to.
    pub(crate) fn bound_to(&self) -> BoundTo {
        let confirmation = self.confirmation.as_ref();
        confirmation.map_or_else(BoundTo::default, Confirmation::bound_to)
    }

    fn take(&mut self, name: &str, value: Value<'p>, scope: &ScopeClaim) -> Result<(), Refused> {
        if let Value::Null = value {
            return Ok(());
        }
        let is_scope_name = matches!(name, "scope" | "scp");
        if *name == *scope.name {
            let scopes = space_separated(value)?;
            self.has_scope |= is_scope_name && Scopes::are_named_in(&scopes);
            self.scope = Some(scopes);
            return Ok(());
        }
        // Not where scopes are read from; that there are some says what the token is.
        if is_scope_name {
            self.has_scope |= Scopes::are_named_in(&space_separated(value)?);
            return Ok(());
        }
        match name {
            "iss" => self.iss = Some(value.text("iss")?),
            "sub" => self.sub = Some(value.text("sub")?),
            "aud" => {
                self.has_aud = true;
                self.aud = one_or_many(value, "aud")?;
            }
            "exp" => self.exp = Some(numeric_date(value, "exp")?),
            "nbf" => self.nbf = Some(numeric_date(value, "nbf")?),
            "iat" => self.iat = Some(numeric_date(value, "iat")?),
            "client_id" => self.client_id = Some(value.text("client_id")?),
            "azp" => self.azp = Some(value.text("azp")?),
            "username" => self.username = Some(value.text("username")?),
            "token_use" => self.token_use = Some(value.text("token_use")?),
            "cnf" => self.confirmation = Some(Confirmation::read(value)?),
            "nonce" => self.has_nonce = true,
            "act" => self.acting.read_act(value)?,
            _ if name.starts_with(actors::ENTRA) => self.acting.read_entra(name, value)?,
            _ if self.other_kind.is_none() => self.other_kind = kinds::judge(name, &value),
            _ => {}
        }
        Ok(())
    }
}

impl<'p> Confirmation<'p> {
    fn read(cnf: Value<'p>) -> Result<Self, Refused> {
        let mut confirmation = Self::default();
        cnf.object("cnf", |name, value| {
            match name {
                _ if matches!(value, Value::Null) => {}
                "jkt" => confirmation.jkt = Some(value.text("jkt")?),
                "x5t#S256" => confirmation.x5t_s256 = Some(value.text("x5t#S256")?),
                // Keycloak adds members; those beside a known one change nothing.
                _ => {}
            }
            Ok(())
        })?;
        Ok(confirmation)
    }
}

/// RFC 7519 section 2, NumericDate: seconds since 1970, fractions allowed, never negative.
pub(crate) fn numeric_date(value: Value<'_>, name: &'static str) -> Result<Duration, Refused> {
    let seconds = value.number(name)?;
    if let Ok(whole) = seconds.parse() {
        return Ok(Duration::from_secs(whole));
    }
    match seconds.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(date)) => Ok(date),
        _ => Err(Refused::WrongType(name)),
    }
}

/// RFC 7519 section 4.1.3: one string, or an array of strings.
fn one_or_many<'p>(value: Value<'p>, name: &'static str) -> Result<Audiences<'p>, Refused> {
    let mut all = Audiences::default();
    if let Value::Text(one) = value {
        all.push(one);
        return Ok(all);
    }
    value.texts(name, |text| {
        all.push(text);
        Ok(())
    })?;
    Ok(all)
}

/// A string, or an array of strings joined by spaces.
fn space_separated(value: Value<'_>) -> Result<Cow<'_, str>, Refused> {
    let name = "scope";
    if !matches!(value, Value::Array(_) | Value::ArrayOf(_)) {
        return value.text(name);
    }
    let mut joined = String::new();
    value.texts(name, |scope| {
        // One element is one scope. One with a space is none: joined, it would be two.
        if scope.contains(' ') {
            return Ok(());
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(&scope);
        Ok(())
    })?;
    Ok(Cow::Owned(joined))
}
