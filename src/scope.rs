//! A set of OAuth scopes (RFC 6749 section 3.3).

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A set of OAuth scopes ([RFC 6749 section 3.3]), in the order they were given.
///
/// Scopes compare byte by byte: case matters, and no scope implies another unless a
/// [`ScopeHierarchy`](crate::scopes::ScopeHierarchy) says so.
///
/// ```
/// use tower_mcp_auth::scopes::Scopes;
///
/// let scopes: Scopes = "mcp:read mcp:write".parse()?;
/// assert!(scopes.contains("mcp:read"));
/// assert!(!scopes.contains("mcp"));
/// # Ok::<(), tower_mcp_auth::scopes::ScopeError>(())
/// ```
///
/// [RFC 6749 section 3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scopes {
    /// Single spaces between scopes, no duplicates; `None` when empty.
    joined: Option<Arc<str>>,
}

impl Scopes {
    /// Collects single scopes. Duplicates are dropped.
    ///
    /// # Errors
    /// A scope is empty or contains a character outside `%x21 / %x23-5B / %x5D-7E`
    /// (a space, a quote, a backslash, anything that is not ASCII).
    pub fn from_names<I>(names: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let names: Vec<I::Item> = names.into_iter().collect();
        let names = || names.iter().map(AsRef::as_ref);
        if !names().all(|name| !name.is_empty() && name.bytes().all(is_scope_byte)) {
            return Err(ScopeError(()));
        }
        Ok(Self::unique(names()))
    }

    /// Scopes that a configuration names one by one.
    pub(crate) fn configured<I>(names: I) -> Result<Self, ConfiguredError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::from_names(names)
            .map_err(|_| ConfiguredError::Malformed)?
            .without_commas()
    }

    /// Scopes that a configuration names in one text, at least one: what was to be filled in
    /// and came out empty must not open anything.
    pub(crate) fn configured_text(joined: &str) -> Result<Self, ConfiguredError> {
        let scopes: Self = joined.parse().map_err(|_| match joined.trim().is_empty() {
            true => ConfiguredError::Empty,
            false => ConfiguredError::Malformed,
        })?;
        match scopes.is_empty() {
            true => Err(ConfiguredError::Empty),
            false => scopes.without_commas(),
        }
    }

    /// RFC 6749 allows a comma in a scope. One at its end or beginning was meant to separate it
    /// from the next.
    fn without_commas(self) -> Result<Self, ConfiguredError> {
        let is_listed = |name: &str| name.starts_with(',') || name.ends_with(',');
        let listed = self.iter().any(is_listed);
        match listed {
            true => Err(ConfiguredError::Comma),
            false => Ok(self),
        }
    }

    /// The empty set.
    pub(crate) const fn none() -> Self {
        Self { joined: None }
    }

    /// These, and after them those of `other` that are not among these.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::unique(self.iter().chain(other.iter()))
    }

    pub(crate) fn unique<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut seen = HashSet::new();
        let unique: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
        Self {
            joined: (!unique.is_empty()).then(|| unique.join(" ").into()),
        }
    }

    /// The scopes of a claim, separated by spaces. What is no scope by its characters is left
    /// out: it can be neither required nor granted, and says nothing of the others.
    #[cfg(feature = "jwt")]
    pub(crate) fn from_claim(joined: &str) -> Self {
        joined
            .parse()
            .unwrap_or_else(|_| Self::unique(named(joined)))
    }

    /// Whether there is any scope in a claim.
    #[cfg(feature = "jwt")]
    pub(crate) fn are_named_in(joined: &str) -> bool {
        named(joined).next().is_some()
    }

    /// Whether `scope` is one of them.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|own| own == scope)
    }

    /// Whether every scope of `needed` is one of them.
    pub fn contains_all(&self, needed: &Self) -> bool {
        needed.is_empty() || needed.iter().all(|scope| self.contains(scope))
    }

    /// The scopes, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // By hand: a search for a pattern costs more than the few bytes of a scope.
        let mut rest = self.as_str();
        std::iter::from_fn(move || {
            let end = rest.bytes().position(|byte| byte == b' ');
            let (scope, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, ""),
            };
            rest = after;
            (!scope.is_empty()).then_some(scope)
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.joined.is_none()
    }

    /// The scopes as one string, separated by single spaces, as in a `scope` parameter.
    pub fn as_str(&self) -> &str {
        self.joined.as_deref().unwrap_or_default()
    }
}

impl std::str::FromStr for Scopes {
    type Err = ScopeError;

    /// Reads scopes separated by spaces.
    fn from_str(joined: &str) -> Result<Self, ScopeError> {
        if !joined
            .bytes()
            .all(|byte| byte == b' ' || is_scope_byte(byte))
        {
            return Err(ScopeError(()));
        }
        // The usual list is one allocation: it is short, and nothing in it is empty or twice.
        let names = || joined.as_bytes().split(|byte| *byte == b' ').enumerate();
        let tidy = names().all(|(index, name)| {
            index < FEW && !name.is_empty() && names().take(index).all(|(_, other)| other != name)
        });
        if tidy {
            return Ok(Self {
                joined: Some(joined.into()),
            });
        }
        Ok(Self::unique(
            joined.split(' ').filter(|name| !name.is_empty()),
        ))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A scope that [RFC 6749 section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)
/// does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeError(());

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a scope is one or more printable ASCII characters without space, quote and backslash",
        )
    }
}

impl Error for ScopeError {}

/// Why what a configuration names are no scopes. It does not repeat them: a secret may stand in
/// the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfiguredError {
    Empty,
    Comma,
    Malformed,
}

impl fmt::Display for ConfiguredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the text names no scope"),
            Self::Comma => f.write_str(
                "a scope begins or ends with a comma: write several as `\"a b\"`, with spaces \
                 between them, or as the list `[\"a\", \"b\"]`",
            ),
            Self::Malformed => fmt::Display::fmt(&ScopeError(()), f),
        }
    }
}

/// Up to this many scopes, looking for a duplicate is cheaper without a hash.
const FEW: usize = 32;

/// What is a scope by its characters.
pub(crate) fn named(joined: &str) -> impl Iterator<Item = &str> {
    let names = joined.split(' ');
    names.filter(|name| !name.is_empty() && name.bytes().all(is_scope_byte))
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}
