//! Patterns of names and URIs in rules.

use std::cmp::Ordering;

use super::uri::{self, Unclear, VARIABLE};
use crate::error::ConfigError;

/// What a rule is for: one name, all names with a prefix, or all URIs of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Pattern {
    Exact(Box<str>),
    Form(Form),
}

/// Literal text with variables between, open at the end or not. A variable is one whole
/// segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mcp) struct Form {
    /// As it was written.
    pub(super) text: Box<str>,
    /// With a variable between each two.
    literals: Vec<Box<str>>,
    open: bool,
}

impl Pattern {
    /// A name, or a prefix of names with `*` at its end.
    pub(in crate::mcp) fn name(setting: &'static str, text: &str) -> Result<Self, ConfigError> {
        if text.is_empty() {
            return Err(ConfigError::new(
                setting,
                "a rule is for the empty name, which nothing has; `*` is every name",
            ));
        }
        if text.contains('{') && text.contains('}') {
            return Err(ConfigError::new(
                setting,
                format!(
                    "{text:?} has a variable, which only rules of resources have; end the rule \
                     in `*` before it"
                ),
            ));
        }
        if text.trim() != text {
            return Err(ConfigError::new(
                setting,
                format!("{text:?} has white space at its beginning or end; leave it out"),
            ));
        }
        let (literal, open) = open_end(setting, text)?;
        if !open {
            return Ok(Self::Exact(text.into()));
        }
        Ok(Self::Form(Form {
            text: text.into(),
            literals: vec![literal.into()],
            open,
        }))
    }

    /// A URI, or a form of URIs: `{…}` is one segment of its path, `*` at its end anything.
    pub(in crate::mcp) fn uri(setting: &'static str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |message: &str| Err(ConfigError::new(setting, format!("{text:?} {message}")));
        if text.is_empty() {
            return refuse("is no URI; `*` is every URI");
        }
        if text.contains('#') {
            return refuse("has a fragment, which URIs are compared without; leave it out");
        }
        let (literal, open) = open_end(setting, text)?;
        if !open && !literal.contains(['{', '}']) {
            return match uri::exact(literal) {
                Ok(exact) => Ok(Self::Exact(exact.as_ref().into())),
                // It has no other spelling, so it is matched as it is.
                Err(Unclear::Disputed(_)) => Ok(Self::Exact(literal.into())),
                // The plainer spelling would be found under a wider rule.
                Err(Unclear::Respelled(why)) => refuse(&format!("has a plainer spelling: {why}")),
            };
        }
        // A stand-in for each variable, so that the literals around it keep their places.
        let mut stand_in = String::new();
        let mut rest = literal;
        let mut variables = 0;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((variable, after)) = after.split_once('}') else {
                return refuse("has a `{` that is not closed");
            };
            let whole =
                before.ends_with('/') && (after.is_empty() || after.starts_with(['/', '?']));
            if !whole || variable.contains(['{', '/']) || (after.is_empty() && open) {
                return refuse("has a variable that is not one whole segment between two `/`");
            }
            stand_in.push_str(before);
            stand_in.push_str(VARIABLE);
            variables += 1;
            rest = after;
        }
        stand_in.push_str(rest);
        if rest.contains('}') || stand_in.contains('}') {
            return refuse("has a `}` without a `{`");
        }
        let form = match uri::form(&stand_in, open) {
            Ok(form) => form,
            Err(unclear) => return refuse(&format!("can match nothing: {}", unclear.why())),
        };
        let literals: Vec<Box<str>> = form.split(VARIABLE).map(Into::into).collect();
        debug_assert_eq!(literals.len(), variables + 1);
        Ok(Self::Form(Form {
            text: text.into(),
            literals,
            open,
        }))
    }
}

/// The text before a `*` at the end, and whether there is one.
fn open_end<'t>(setting: &'static str, text: &'t str) -> Result<(&'t str, bool), ConfigError> {
    let (literal, open) = match text.strip_suffix('*') {
        Some(literal) => (literal, true),
        None => (text, false),
    };
    if literal.contains('*') {
        return Err(ConfigError::new(
            setting,
            format!("{text:?} has a `*` that is not its last character"),
        ));
    }
    Ok((literal, open))
}

impl Form {
    pub(super) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.literals.split_first() else {
            return false;
        };
        let Some(mut name) = name.strip_prefix(&**first) else {
            return false;
        };
        for literal in rest {
            let end = name.find(['/', '?']).unwrap_or(name.len());
            if end == 0 {
                return false;
            }
            match name[end..].strip_prefix(&**literal) {
                Some(rest) => name = rest,
                None => return false,
            }
        }
        self.open || name.is_empty()
    }

    /// Whether it says something of the query of a URI.
    pub(super) fn names_query(&self) -> bool {
        self.literals.iter().any(|literal| literal.contains('?'))
    }

    /// The text all names begin with that it matches.
    pub(super) fn head(&self) -> &str {
        &self.literals[0]
    }

    /// Whether it matches every name that begins with `head`.
    pub(super) fn covers(&self, head: &str) -> bool {
        self.open && self.literals.len() == 1 && head.starts_with(self.head())
    }

    /// The more specific of two comes first: of two that match one name, the one with the
    /// longer literal at its beginning, then at its next place, then the one that is not open.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let lengths = |form: &Self| -> Vec<usize> {
            form.literals.iter().map(|literal| literal.len()).collect()
        };
        // Fewer variables, where all literals so far are of one length, is a `*` against a
        // variable: `a/*` comes after `a/{x}/*`.
        let (own, others) = (lengths(self), lengths(other));
        others
            .cmp(&own)
            .then(self.open.cmp(&other.open))
            .then_with(|| self.literals.cmp(&other.literals))
    }

    /// Whether they match the same names.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.literals == other.literals && self.open == other.open
    }
}
