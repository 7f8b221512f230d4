//! What may be shown of a configuration.

use std::fmt;

use super::fault::step;
use super::tree::Tree;

/// The settings that were given, without texts: any of them may be a secret in the wrong place.
#[derive(Clone, Default)]
pub(super) struct Outline(Shape);

#[derive(Clone)]
enum Shape {
    /// As it was written.
    Value(String),
    /// A text that is not shown.
    Hidden,
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Map(Vec::new())
    }
}

impl Outline {
    pub(super) fn of(tree: &Tree) -> Self {
        Self(Shape::of(tree))
    }

    /// The names of the sections that were given.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.0 {
            Shape::Map(entries) => &entries[..],
            _ => &[],
        };
        entries.iter().map(|(name, _)| &**name)
    }
}

impl Shape {
    fn of(tree: &Tree) -> Self {
        match tree {
            Tree::Nothing => Self::Value("null".to_owned()),
            Tree::Flag(flag) => Self::Value(flag.to_string()),
            Tree::Integer(number) => Self::Value(number.to_string()),
            Tree::Natural(number) => Self::Value(number.to_string()),
            Tree::Float(number) => Self::Value(number.to_string()),
            Tree::Moment(time) => Self::Value(time.clone()),
            Tree::Text(text) if is_shown(text) => Self::Value(format!("{text:?}")),
            Tree::Text(_) | Tree::Strange => Self::Hidden,
            Tree::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Tree::Map(entries) => {
                let of = |(name, value): &(String, Tree)| (step(name).to_owned(), Self::of(value));
                Self::Map(entries.iter().map(of).collect())
            }
        }
    }
}

/// A URL in which there is no place for a secret.
fn is_shown(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let rest = rest.or_else(|| text.strip_prefix("http://"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:[]{}".contains(&byte);
    rest.is_some_and(|rest| rest.bytes().all(is_plain))
}

impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(value),
            Self::Hidden => f.write_str("…"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(name, value)| (Plain(name), value));
                f.debug_map().entries(entries).finish()
            }
        }
    }
}

struct Plain<'n>(&'n str);

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
