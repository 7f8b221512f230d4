//! How strongly, and how lately, a user must have signed in (RFC 9470).

use std::time::Duration;

use super::Judged;
use crate::error::{AuthError, ConfigError, Reason};
use crate::scope::Scopes;
use crate::util::quoted;

/// How strongly and how lately the user must have signed in
/// ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)).
///
/// A caller with a sign-in that does not suffice is refused with 401
/// `insufficient_user_authentication`, and the challenge says what does, in `acr_values` and
/// `max_age`. A caller that is no user, with an API key or a token that a client got for itself, is
/// refused with 403 `missing_user`, since no sign-in can help.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_auth::scopes::Strength;
///
/// // Within five minutes, by a method that cannot be phished.
/// let payments = Strength::new()
///     .acr(["phr", "phrh"])?
///     .max_age(Duration::from_secs(300))?;
/// # let _ = payments;
/// assert!(Strength::new().max_age(Duration::ZERO).is_err());
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// As a serde value it is a map with `acr`, `amr` and `max_age`, of which `acr` or `max_age` is
/// there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strength {
    /// One of these, the least demanding first; none of them where sets were joined that exclude
    /// each other. `None`: any, or none.
    acr: Option<Vec<Box<str>>>,
    /// All of these.
    amr: Vec<Box<str>>,
    max_age: Option<Duration>,
}

impl Strength {
    /// What every authenticated user has.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for one of these values of the claim `acr`, the least demanding first: so the challenge
    /// lists them, and an authorization server tries the first one first.
    ///
    /// Values compare byte by byte, and none stands for another; [`AcrOrder`](super::AcrOrder)
    /// lists a value and all that are stronger. A second call leaves the values that both name.
    ///
    /// # Errors
    /// There is none; one is empty, is not printable ASCII, or has a space, a quote or a backslash,
    /// or a comma at an end; or the calls name no value in common.
    pub fn acr<I>(mut self, values: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let values = listed("acr", values)?;
        self.acr = joined_acr(self.acr.as_deref(), Some(&values));
        match self.excludes_all() {
            true => Err(ConfigError::new("acr", EXCLUDED)),
            false => Ok(self),
        }
    }

    /// Asks for all of these methods in the claim `amr`
    /// ([RFC 8176](https://www.rfc-editor.org/rfc/rfc8176#section-2)), beside an
    /// [`acr`](Self::acr).
    ///
    /// A challenge has no parameter for methods. A client that is refused for them alone is told
    /// the values of `acr`, and these must be ones for which the authorization server uses the
    /// methods.
    ///
    /// # Errors
    /// No `acr` is asked for; there is no method; or one has characters that
    /// [`acr`](Self::acr) refuses.
    pub fn amr<I>(mut self, methods: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        if self.acr.is_none() {
            return Err(ConfigError::new(
                "amr",
                "no challenge can ask for a method: name the values of `acr` first for which the \
                 authorization server uses it",
            ));
        }
        let methods = listed("amr", methods)?;
        add_new(&mut self.amr, &methods);
        Ok(self)
    }

    /// Asks for a sign-in, told by the claim `auth_time`, that is at most so long ago, in whole
    /// seconds; a fraction is dropped. Of several calls the shortest time counts.
    ///
    /// A token without `auth_time` does not suffice, and neither does one with an `auth_time`
    /// further ahead than clocks may differ: `clock_skew` of its authorization server, 60 s
    /// elsewhere. The age itself is compared exactly, so give clients some minutes.
    ///
    /// # Errors
    /// The time is below 1 s: no token is ever that fresh.
    pub fn max_age(mut self, age: Duration) -> Result<Self, ConfigError> {
        let age = Duration::from_secs(age.as_secs());
        if age.is_zero() {
            return Err(ConfigError::new(
                "max_age",
                "no sign-in is 0 s ago when its token arrives: give it some minutes",
            ));
        }
        self.max_age = shortest(self.max_age, Some(age));
        Ok(self)
    }

    /// What suffices for both: the values of `acr` that both accept, all methods, and the shorter
    /// `max_age`.
    ///
    /// Where both accept no value in common, no caller meets it: layers and policies refuse to be
    /// built with such a one, and requests are refused with 403.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.acr = joined_acr(self.acr.as_deref(), other.acr.as_deref());
        add_new(&mut self.amr, &other.amr);
        self.max_age = shortest(self.max_age, other.max_age);
        self
    }

    /// Whether it asks for nothing.
    pub fn is_none(&self) -> bool {
        self.acr.is_none() && self.max_age.is_none()
    }

    /// Whether sets of `acr` values were joined that exclude each other, so that no caller meets
    /// it.
    pub(crate) fn excludes_all(&self) -> bool {
        self.acr.as_ref().is_some_and(Vec::is_empty)
    }

    /// The same where stronger values stand for the weaker ones that are asked for.
    ///
    /// # Errors
    /// One that the order does not have.
    pub(super) fn in_order(mut self, order: &super::AcrOrder) -> Result<Self, String> {
        if let Some(values) = &self.acr {
            let widened = order.widened(values).map_err(str::to_owned)?;
            self.acr = Some(widened);
        }
        Ok(self)
    }

    /// Whether the user signed in like this.
    pub(crate) fn is_met(&self, judged: Judged<'_>) -> bool {
        self.is_none() || self.unmet(judged).is_none()
    }

    fn unmet(&self, judged: Judged<'_>) -> Option<Unmet> {
        let Judged { principal, .. } = judged;
        if !principal.has_user() {
            return Some(Unmet::NoUser);
        }
        let is_accepted = |values: &Vec<Box<str>>| {
            let own = principal.acr();
            own.is_some_and(|own| values.iter().any(|value| **value == *own))
        };
        if !self.acr.as_ref().is_none_or(is_accepted) {
            return Some(Unmet::Acr);
        }
        let is_used = |method: &str| principal.amr().any(|own| own == method);
        if !self.amr.iter().all(|method| is_used(method)) {
            return Some(Unmet::Amr);
        }
        let max_age = self.max_age?;
        let Some(at) = principal.auth_time_since_epoch() else {
            return Some(Unmet::NoTime);
        };
        let now = judged.clock.now();
        let ahead = at.saturating_sub(now);
        if ahead > principal.identity().clock_skew() {
            return Some(Unmet::Ahead(ahead));
        }
        let age = now.saturating_sub(at);
        (age > max_age).then_some(Unmet::TooOld(age))
    }

    /// Why a principal is refused that does not meet it. `needed` are the scopes that the new token
    /// must have, and `lacking` is what else stands against the one there is.
    pub(crate) fn refusal(
        &self,
        judged: Judged<'_>,
        needed: Scopes,
        lacking: Option<AuthError>,
    ) -> AuthError {
        let error = match self.unmet(judged) {
            Some(Unmet::NoUser) => AuthError::new(Reason::MISSING_USER),
            _ => AuthError::new(Reason::INSUFFICIENT_USER_AUTHENTICATION)
                .with_scopes(needed)
                .asking_for(self.acr.as_deref().unwrap_or_default(), self.max_age),
        };
        let detail = self.detail(judged);
        error.with_detail(detail).and_also(lacking)
    }

    /// What the operator reads.
    fn detail(&self, judged: Judged<'_>) -> String {
        let Judged { principal, .. } = judged;
        let all = |texts: &[Box<str>]| quoted(&texts.join(" "));
        match self.unmet(judged) {
            Some(Unmet::NoUser) => {
                "an `acr` or a `max_age` asks for a user, and the credential is \
                                    an API key, or a token that a client got for itself"
                    .to_owned()
            }
            Some(Unmet::Acr) => {
                let needed = all(self.acr.as_deref().unwrap_or_default());
                match principal.acr() {
                    Some(own) => format!("needed one acr of {needed}, got {}", quoted(own)),
                    None => format!("needed one acr of {needed}, and the token has none"),
                }
            }
            Some(Unmet::Amr) => {
                let own: Vec<&str> = principal.amr().collect();
                format!(
                    "needed amr {}, got {}; the authorization server does not use these methods \
                     for that acr",
                    all(&self.amr),
                    quoted(&own.join(" "))
                )
            }
            Some(Unmet::NoTime) => {
                "a `max_age` needs the claim auth_time, and the token has none: \
                                    have the authorization server write it"
                    .to_owned()
            }
            Some(Unmet::Ahead(by)) => format!(
                "auth_time is {} s ahead: one of the clocks is wrong",
                by.as_secs()
            ),
            Some(Unmet::TooOld(age)) => format!(
                "the user signed in {} s ago, and {} s are the most",
                age.as_secs(),
                self.max_age.unwrap_or_default().as_secs()
            ),
            None => "the sign-in sufficed a moment before".to_owned(),
        }
    }
}

/// Why a sign-in does not suffice.
enum Unmet {
    NoUser,
    Acr,
    Amr,
    NoTime,
    Ahead(Duration),
    TooOld(Duration),
}

/// What is wrong with values of `acr` that have none in common.
pub(crate) const EXCLUDED: &str = "the values that are asked for together have none in common, so \
                                   no caller could meet both: let one list a value of the other, or \
                                   name the stronger ones with an `AcrOrder`";

/// Those of the first that the second accepts as well, in the order of the first.
fn joined_acr(first: Option<&[Box<str>]>, second: Option<&[Box<str>]>) -> Option<Vec<Box<str>>> {
    match (first, second) {
        (Some(first), Some(second)) => {
            let both = first.iter().filter(|value| second.contains(value));
            Some(both.cloned().collect())
        }
        (one, other) => one.or(other).map(<[_]>::to_vec),
    }
}

fn shortest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

fn add_new(all: &mut Vec<Box<str>>, more: &[Box<str>]) {
    for text in more {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
}

/// Values of a list, each once.
pub(super) fn listed<I>(setting: &'static str, values: I) -> Result<Vec<Box<str>>, ConfigError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    // They stand in a challenge as scopes do, with spaces between them.
    let values = Scopes::configured(values).map_err(|_| {
        ConfigError::new(
            setting,
            "a value is printable ASCII without space, quote and backslash, and neither begins \
             nor ends with a comma: write several as a list",
        )
    })?;
    if values.is_empty() {
        return Err(ConfigError::new(
            setting,
            "no value is accepted: list some, or leave it out",
        ));
    }
    Ok(values.iter().map(Into::into).collect())
}
