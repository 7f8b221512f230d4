//! Errors of reading a value, which never repeat it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use serde_path_to_error::{Path, Segment};

use super::applied::needed_feature;

/// Why a value was not what was expected, without the value.
#[derive(Debug)]
pub(super) struct Fault {
    text: String,
    /// The last step of its path is a name that is no setting.
    of_name: bool,
}

impl Fault {
    fn new(text: String) -> Self {
        Self {
            text,
            of_name: false,
        }
    }

    /// The way to what is wrong, without names that may be secrets in the wrong place.
    pub(super) fn path(&self, path: &Path) -> String {
        let mut steps: Vec<_> = path.iter().collect();
        if self.of_name {
            steps.pop();
        }
        // Patterns for tools and URIs are no secrets, and look like anything.
        let is_policy = steps
            .first()
            .is_some_and(|step| step.to_string() == "policy");
        let mut shown = String::new();
        for segment in steps {
            let name = match segment {
                Segment::Seq { index } => {
                    shown.push_str(&format!("[{index}]"));
                    continue;
                }
                Segment::Map { key } => key,
                Segment::Enum { variant } => variant,
                Segment::Unknown => "?",
            };
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(if is_policy { name } else { step(name) });
        }
        shown
    }
}

/// What was expected. Of a number serde has the name of the type.
fn in_words(expected: &dyn Expected) -> String {
    match &*expected.to_string() {
        "u8" => format!("a whole number up to {}", u8::MAX),
        "u16" => format!("a whole number up to {}", u16::MAX),
        "u32" => format!("a whole number up to {}", u32::MAX),
        "u64" | "usize" => "a whole number, not negative".to_owned(),
        words => words.to_owned(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "`true` or `false`",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
            Unexpected::Float(_) => "a number with a point",
            Unexpected::Char(_) | Unexpected::Str(_) => "a text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a map",
            _ => "something else",
        };
        Self::new(format!("expected {}, found {found}", in_words(expected)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}", in_words(expected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected {}", one_of(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let off = needed_feature(field);
        let off = off.map_or(String::new(), |name| {
            format!(" without the feature `{name}`")
        });
        let field = shown(field);
        Self {
            text: format!("{field} is no setting{off}; there are {}", list(expected)),
            of_name: true,
        }
    }
}

/// The name may be a secret in the wrong place, so only what looks like one of ours is told.
pub(super) fn shown(name: &str) -> String {
    if name.len() <= 24 && is_plain(name, b"") {
        format!("`{name}`")
    } else {
        "a name".to_owned()
    }
}

/// A name on the way to a setting: one of ours, or a short one of the user's. Any other
/// may be a secret that was taken for the name of what it is.
pub(super) fn step(name: &str) -> &str {
    let is_short = name.len() <= 24 && is_plain(name, b"-0123456789");
    if is_short || is_plain(name, b"") {
        name
    } else {
        "…"
    }
}

fn is_plain(name: &str, also: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || also.contains(&byte);
    name.len() <= 48 && name.bytes().all(plain)
}

pub(super) fn one_of(names: &[&str]) -> String {
    format!("one of {}", list(names))
}

fn list(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
