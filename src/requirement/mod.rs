//! What an operation requires of its caller, as a value: scopes, and the sign-in.
//!
//! What asks for it and what grants it is elsewhere.

mod acr_order;
mod asked;
mod convert;
mod hierarchy;
mod map;
mod shortfall;
mod strength;
mod value;

pub use self::acr_order::AcrOrder;
pub use self::asked::AskedScopes;
pub(crate) use self::asked::to_announce;
pub use self::hierarchy::ScopeHierarchy;
pub(crate) use self::map::UniqueMap;
pub(crate) use self::shortfall::shortfall;
pub(crate) use self::strength::EXCLUDED;
pub use self::strength::Strength;

use std::time::Duration;

use self::convert::bad_scope;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::principal::Principal;
use crate::scope::Scopes;

/// What a request needs: nothing, an authenticated caller, scopes, a strong or recent sign-in, or
/// what no caller has.
///
/// Lists of scopes convert into it, all of them needed: `["mcp:read", "mcp:write"]`,
/// `"mcp:read mcp:write"`, a [`Scopes`]. An empty list is a caller without scopes, as
/// [`authenticated`](Self::authenticated) is: [`none`](Self::none) alone opens something to
/// anonymous callers.
///
/// ```
/// use tower_mcp_auth::scopes::Requirement;
///
/// let both = Requirement::all(["mcp:read", "mcp:write"])?;
/// let either = Requirement::any(["mcp:admin", "billing:write"])?;
/// let all_in_all = both.and(&either);
/// // The user signed in with a second factor, within ten minutes.
/// let payment = all_in_all.acr(["mfa"])?.max_age(std::time::Duration::from_secs(600))?;
/// # let _ = payment;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// An empty text is an error: where no scope is needed, say so with
/// [`authenticated`](Self::authenticated) or [`none`](Self::none).
///
/// As a serde value it is a string or a list (all of them), a map with one or more of `all`, `any`,
/// `acr`, `amr` and `max_age` (whole seconds, or `"5m"`), `{"none": true}`,
/// `{"authenticated": true}` or an empty list, or `{"deny": true}`. These words alone, as in
/// `"deny"`, are an error: a scope of such a name stands in a list, `["deny"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    all: Scopes,
    /// One scope of each.
    any: Vec<Scopes>,
    /// Whether there has to be a caller, even where no scope is needed.
    authenticated: bool,
    /// Whether it was made of a list that came out empty.
    of_empty_list: bool,
    denied: bool,
    strength: Strength,
}

/// By whom a requirement is to be met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) clock: &'a Clock,
}

/// How a caller compares with what is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted,
    /// With all that is needed, minimal in the hierarchy.
    Lacking(Scopes),
    /// The user did not sign in strongly or lately enough.
    TooWeak {
        /// All that is asked of the sign-in.
        strength: Strength,
        /// All scopes that are needed, minimal in the hierarchy.
        needed: Scopes,
        /// Whether some of them are lacking as well.
        lacks_scopes: bool,
    },
    /// No scope would help.
    Denied,
    /// No sign-in would help: what is asked for together has no `acr` in common.
    Excluded,
}

static NO_SCOPES: Scopes = Scopes::none();

impl Requirement {
    /// Nothing: every request meets it, an anonymous one included.
    pub fn none() -> Self {
        Self::default()
    }

    /// An authenticated caller, and no scope. Anonymous requests are refused with 401.
    pub fn authenticated() -> Self {
        Self {
            authenticated: true,
            ..Self::default()
        }
    }

    /// What no caller meets: always refused, with a 403 that asks for no scope.
    pub fn deny() -> Self {
        Self {
            denied: true,
            ..Self::default()
        }
    }

    /// Every scope of `names`; an authenticated caller where there is none.
    ///
    /// # Errors
    /// A scope is not allowed by RFC 6749, or begins or ends with a comma.
    pub fn all<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Scopes::configured(names).map_err(bad_scope)?.into())
    }

    /// One scope of `names`, whichever. A refused client is told to ask for the first,
    /// unless it has one of them already.
    ///
    /// # Errors
    /// There is none, or a scope is not allowed by RFC 6749, or begins or ends with a comma.
    pub fn any<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names = Scopes::configured(names).map_err(bad_scope)?;
        if names.is_empty() {
            return Err(ConfigError::new(
                "scopes",
                "an empty any-of set can never be satisfied; list a scope, or use `Requirement::deny()`",
            ));
        }
        Ok(Self {
            any: vec![names],
            ..Self::default()
        })
    }

    /// The same, and one of these values of the claim `acr`, the least demanding first; of an
    /// authenticated user, whatever else is needed. See [`Strength::acr`].
    ///
    /// # Errors
    /// Those of [`Strength::acr`].
    pub fn acr<I>(mut self, values: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.strength = self.strength.acr(values)?;
        Ok(self)
    }

    /// The same, and all of these methods in the claim `amr`, beside an [`acr`](Self::acr). See
    /// [`Strength::amr`].
    ///
    /// # Errors
    /// Those of [`Strength::amr`].
    pub fn amr<I>(mut self, methods: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.strength = self.strength.amr(methods)?;
        Ok(self)
    }

    /// The same, of a user who signed in at most so long ago. See [`Strength::max_age`].
    ///
    /// # Errors
    /// Those of [`Strength::max_age`].
    pub fn max_age(mut self, age: Duration) -> Result<Self, ConfigError> {
        self.strength = self.strength.max_age(age)?;
        Ok(self)
    }

    /// What both need. Of sign-ins it accepts those that both accept: see [`Strength::and`].
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.all = self.all.union(&other.all);
        for any in &other.any {
            if !self.any.contains(any) {
                self.any.push(any.clone());
            }
        }
        self.authenticated |= other.authenticated;
        self.of_empty_list |= other.of_empty_list;
        self.denied |= other.denied;
        if !other.strength.is_none() {
            self.strength = self.strength.and(&other.strength);
        }
        self
    }

    /// Whether every request meets it.
    pub fn is_none(&self) -> bool {
        !self.denied && !self.needs_caller() && self.all.is_empty() && self.any.is_empty()
    }

    fn needs_caller(&self) -> bool {
        self.authenticated || !self.strength.is_none()
    }

    pub(crate) fn strength(&self) -> &Strength {
        &self.strength
    }

    /// The same where stronger values of `acr` stand for the weaker ones that are asked for.
    ///
    /// # Errors
    /// The value that the order does not have.
    pub(crate) fn in_order(mut self, order: &AcrOrder) -> Result<Self, String> {
        self.strength = self.strength.in_order(order)?;
        Ok(self)
    }

    /// Whether scopes were to be named, and none was: nothing to guard a route with.
    pub(crate) fn is_of_empty_list(&self) -> bool {
        self.of_empty_list && self.scopes().is_empty() && !self.denied
    }

    /// Every scope that is named, those included of which one is enough; none where no caller
    /// meets it.
    pub(crate) fn scopes(&self) -> Scopes {
        if self.denied {
            return Scopes::none();
        }
        let any = self.any.iter().flat_map(Scopes::iter);
        Scopes::unique(self.all.iter().chain(any))
    }

    /// The scopes that a caller without any is asked for.
    pub(crate) fn asked_of_anonymous(&self, hierarchy: &ScopeHierarchy) -> Scopes {
        Self::lacking(std::iter::once(self), None, hierarchy)
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.denied
    }

    /// Whether a caller with these scopes meets it, however they signed in; `None` for an anonymous
    /// one.
    pub(crate) fn is_met(&self, granted: Option<&Scopes>, hierarchy: &ScopeHierarchy) -> bool {
        let is_caller = granted.is_some();
        let granted = granted.unwrap_or(&NO_SCOPES);
        let one_of = |any: &Scopes| any.iter().any(|scope| hierarchy.grants(granted, scope));
        !self.denied
            && (is_caller || !self.needs_caller())
            && hierarchy.grants_all(granted, &self.all)
            && self.any.iter().all(one_of)
    }

    /// Judges all of `needs` together, and what the layer asks of every sign-in. Allocates only
    /// where something is lacking.
    pub(crate) fn judge<'n>(
        needs: impl Iterator<Item = &'n Self> + Clone,
        of_layer: &Strength,
        judged: Option<Judged<'_>>,
        hierarchy: &ScopeHierarchy,
    ) -> Verdict {
        let granted = judged.map(|judged| judged.principal.scopes());
        let has_scopes = needs.clone().all(|needs| needs.is_met(granted, hierarchy));
        // Who meets each of them meets what all of them accept.
        let is_strong = |needs: &Self| judged.is_none_or(|judged| needs.strength.is_met(judged));
        let is_strong = needs.clone().all(is_strong);
        if has_scopes && is_strong {
            return Verdict::Granted;
        }
        if needs.clone().any(Self::is_denied) {
            return Verdict::Denied;
        }
        let needed = Self::needed(needs.clone(), granted, hierarchy);
        if is_strong {
            return Verdict::Lacking(needed);
        }
        let strength = needs.fold(Strength::new(), |all, needs| all.and(&needs.strength));
        let strength = strength.and(of_layer);
        match strength.excludes_all() {
            true => Verdict::Excluded,
            false => Verdict::TooWeak {
                strength,
                needed,
                lacks_scopes: !has_scopes,
            },
        }
    }

    /// The scopes that are needed where these do not suffice, and none otherwise.
    fn lacking<'n>(
        needs: impl Iterator<Item = &'n Self> + Clone,
        granted: Option<&Scopes>,
        hierarchy: &ScopeHierarchy,
    ) -> Scopes {
        let mut all = needs.clone();
        match all.all(|needs| needs.is_met(granted, hierarchy))
            || needs.clone().any(Self::is_denied)
        {
            true => Scopes::none(),
            false => Self::needed(needs, granted, hierarchy),
        }
    }

    /// All scopes that are needed, minimal in the hierarchy.
    fn needed<'n>(
        needs: impl Iterator<Item = &'n Self> + Clone,
        granted: Option<&Scopes>,
        hierarchy: &ScopeHierarchy,
    ) -> Scopes {
        let granted = granted.unwrap_or(&NO_SCOPES);
        let mut asked = Scopes::default();
        for needs in needs.clone() {
            asked = asked.union(&needs.all);
        }
        for any in needs.flat_map(|needs| &needs.any) {
            let had = any
                .iter()
                .find(|scope| hierarchy.grants(granted, scope) || hierarchy.grants(&asked, scope));
            let chosen = had.or_else(|| any.iter().next());
            asked = asked.union(&Scopes::unique(chosen.into_iter()));
        }
        hierarchy.minimal(&asked)
    }
}
