//! Subjects by pattern: whole segments, never a prefix.

use crate::error::ConfigError;

/// A pattern of subjects, such as `repo:acme/widgets:ref:refs/heads/*`.
///
/// A subject that begins like another one is another one: `repo:acme/widgets-evil` is not
/// `repo:acme/widgets`. So segments compare as wholes, and what stands between them does too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectPattern(Box<str>);

/// What stands for one segment, and, at the end, for one or more.
const ONE: &str = "*";
const REST: &str = "**";

impl SubjectPattern {
    pub(crate) const SETTING: &'static str = "require_subject";

    pub(crate) fn new(pattern: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| {
            let why = format!("{pattern:?} is no pattern of subjects: {why}");
            Err(ConfigError::new(Self::SETTING, why))
        };
        let mut has_fixed = false;
        let mut segments = pattern.split(is_separator).peekable();
        while let Some(segment) = segments.next() {
            match segment {
                ONE => {}
                REST if segments.peek().is_some() => {
                    return refuse("`**` stands at the end alone; use `*` for each segment");
                }
                REST => {}
                other if other.contains('*') => {
                    return refuse(
                        "`*` stands for a whole segment between `:` and `/`, and for no part of one",
                    );
                }
                fixed => has_fixed |= !fixed.is_empty(),
            }
        }
        if !has_fixed {
            return refuse("no segment is fixed, so every subject of that form would match");
        }
        Ok(Self(pattern.into()))
    }

    pub(crate) fn matches(&self, subject: &str) -> bool {
        let (mut pattern, mut subject) = (&*self.0, subject);
        loop {
            let (own, own_rest) = first_segment(pattern);
            if own == REST {
                return !subject.split(is_separator).any(str::is_empty);
            }
            let (segment, rest) = first_segment(subject);
            let fits = match own {
                ONE => !segment.is_empty(),
                fixed => fixed == segment,
            };
            match (own_rest, rest) {
                _ if !fits => return false,
                (None, None) => return true,
                (Some((own, own_rest)), Some((separator, rest))) if own == separator => {
                    (pattern, subject) = (own_rest, rest);
                }
                _ => return false,
            }
        }
    }
}

fn is_separator(character: char) -> bool {
    matches!(character, ':' | '/')
}

/// What comes before the first separator; that, and what comes after it.
fn first_segment(text: &str) -> (&str, Option<(u8, &str)>) {
    match text.find(is_separator) {
        None => (text, None),
        Some(at) => (&text[..at], Some((text.as_bytes()[at], &text[at + 1..]))),
    }
}
