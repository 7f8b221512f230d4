//! What scopes something needs, as a value; what asks for them and what grants them is elsewhere.

mod asked;
mod hierarchy;
mod map;
mod shortfall;

pub use self::asked::AskedScopes;
pub(crate) use self::asked::to_announce;
pub use self::hierarchy::ScopeHierarchy;
pub(crate) use self::map::UniqueMap;
pub(crate) use self::shortfall::shortfall;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::error::ConfigError;
use crate::scope::ConfiguredError;
use crate::scope::Scopes;

/// What a request needs: nothing, an authenticated caller, scopes, or what no caller has.
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
/// # let _ = all_in_all;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// An empty text is an error: where no scope is needed, say so with
/// [`authenticated`](Self::authenticated) or [`none`](Self::none).
///
/// As a serde value it is a string or a list (all of them), a map with `all`, `any` or both,
/// `{"none": true}`, `{"authenticated": true}` or an empty list, or `{"deny": true}`. These words
/// alone, as in `"deny"`, are an error: a scope of such a name stands in a list, `["deny"]`.
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
}

/// How the scopes granted compare with those needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted,
    /// With all that is needed, minimal in the hierarchy.
    Lacking(Scopes),
    /// No scope would help.
    Denied,
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

    /// What both need.
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
        self
    }

    /// Whether every request meets it.
    pub fn is_none(&self) -> bool {
        !self.denied && !self.authenticated && self.all.is_empty() && self.any.is_empty()
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
        match Self::judge(std::iter::once(self), None, hierarchy) {
            Verdict::Lacking(needed) => needed,
            Verdict::Granted | Verdict::Denied => Scopes::none(),
        }
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.denied
    }

    /// Whether a caller with these scopes meets it; `None` for an anonymous one.
    pub(crate) fn is_met(&self, granted: Option<&Scopes>, hierarchy: &ScopeHierarchy) -> bool {
        let is_caller = granted.is_some();
        let granted = granted.unwrap_or(&NO_SCOPES);
        let one_of = |any: &Scopes| any.iter().any(|scope| hierarchy.grants(granted, scope));
        !self.denied
            && (is_caller || !self.authenticated)
            && hierarchy.grants_all(granted, &self.all)
            && self.any.iter().all(one_of)
    }

    /// Judges all of `needs` together. Allocates only where something is lacking.
    pub(crate) fn judge<'n>(
        needs: impl Iterator<Item = &'n Self> + Clone,
        granted: Option<&Scopes>,
        hierarchy: &ScopeHierarchy,
    ) -> Verdict {
        if needs.clone().all(|needs| needs.is_met(granted, hierarchy)) {
            return Verdict::Granted;
        }
        if needs.clone().any(Self::is_denied) {
            return Verdict::Denied;
        }
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
        Verdict::Lacking(hierarchy.minimal(&asked))
    }
}

fn bad_scope(error: ConfiguredError) -> ConfigError {
    let why = match error {
        ConfiguredError::Empty => format!("{error}; {EMPTY}"),
        _ => error.to_string(),
    };
    ConfigError::new("scopes", why)
}

/// What a serde value says with a flag.
const WORDS: [&str; 3] = ["none", "authenticated", "deny"];

/// An empty text is what a variable that is not set leaves behind.
const EMPTY: &str = "where a caller without scopes is enough, say `Requirement::authenticated()`, \
                     or `{\"authenticated\": true}` in a configuration; where anonymous callers \
                     are, `Requirement::none()` or `{\"none\": true}`";

impl From<Scopes> for Requirement {
    fn from(all: Scopes) -> Self {
        Self {
            // A list that came out empty must not open anything to anonymous callers.
            authenticated: all.is_empty(),
            of_empty_list: all.is_empty(),
            all,
            ..Self::default()
        }
    }
}

impl TryFrom<&str> for Requirement {
    type Error = ConfigError;

    fn try_from(joined: &str) -> Result<Self, ConfigError> {
        Ok(Scopes::configured_text(joined).map_err(bad_scope)?.into())
    }
}

impl<const N: usize> TryFrom<[&str; N]> for Requirement {
    type Error = ConfigError;

    fn try_from(names: [&str; N]) -> Result<Self, ConfigError> {
        Self::all(names)
    }
}

impl TryFrom<&[&str]> for Requirement {
    type Error = ConfigError;

    fn try_from(names: &[&str]) -> Result<Self, ConfigError> {
        Self::all(names)
    }
}

impl TryFrom<Vec<String>> for Requirement {
    type Error = ConfigError;

    fn try_from(names: Vec<String>) -> Result<Self, ConfigError> {
        Self::all(names)
    }
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Joined(String),
            All(Vec<String>),
            Map(Map),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Map {
            #[serde(default, deserialize_with = "given")]
            all: Option<Vec<String>>,
            #[serde(default, deserialize_with = "given")]
            any: Option<Vec<String>>,
            #[serde(default)]
            none: Flag,
            #[serde(default)]
            authenticated: Flag,
            #[serde(default)]
            deny: Flag,
        }
        /// What came out empty is no list left out: the other one alone would need less.
        fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
            Vec::deserialize(value).map(Some)
        }
        // Variables of the environment hold nothing but texts.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Flag {
            Is(bool),
            Says(Word),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            True,
            False,
        }
        impl Default for Flag {
            fn default() -> Self {
                Self::Is(false)
            }
        }
        impl Flag {
            fn is_set(&self) -> bool {
                matches!(self, Self::Is(true) | Self::Says(Word::True))
            }
        }

        let read = || match Value::deserialize(deserializer) {
            // It would be a scope, which clients are told to ask for.
            Ok(Value::Joined(word)) if WORDS.contains(&word.trim()) => {
                let word = word.trim();
                Err(D::Error::custom(format!(
                    "{word:?} would be a scope: write `{{\"{word}\": true}}`, or `[\"{word}\"]` \
                     for a scope of that name"
                )))
            }
            Ok(Value::Joined(joined)) => Self::try_from(&*joined).map_err(D::Error::custom),
            Ok(Value::All(names)) => Self::all(names).map_err(D::Error::custom),
            Ok(Value::Map(Map {
                all,
                any,
                none,
                authenticated,
                deny,
            })) => {
                let [none, authenticated, deny] =
                    [none, authenticated, deny].map(|flag| flag.is_set());
                let names_scopes = all.is_some() || any.is_some();
                if none && (deny || authenticated || names_scopes) {
                    return Err(D::Error::custom(
                        "`none` needs nothing, so `all`, `any`, `authenticated` and `deny` contradict it",
                    ));
                }
                if deny && (authenticated || names_scopes) {
                    return Err(D::Error::custom(
                        "`deny` refuses every caller, so `all`, `any` and `authenticated` beside it have no \
                         effect",
                    ));
                }
                // What was to be filled in must not open an operation to everybody.
                if !deny && !none && !authenticated && !names_scopes {
                    return Err(D::Error::custom(
                        "a map gives `all`, `any`, or one of `none`, `authenticated` and `deny` as true",
                    ));
                }
                let mut needs = Self {
                    authenticated,
                    denied: deny,
                    ..Self::none()
                };
                if let Some(all) = all {
                    needs = needs.and(&Self::all(all).map_err(D::Error::custom)?);
                }
                if let Some(any) = any {
                    needs = needs.and(&Self::any(any).map_err(D::Error::custom)?);
                }
                Ok(needs)
            }
            Err(_) => Err(D::Error::custom(
                "scopes are a string, a list, or a map with `all`, `any`, `none`, `authenticated` or \
                 `deny`",
            )),
        };
        read()
    }
}
