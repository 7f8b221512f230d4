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

#[cfg(test)]
mod tests {
    use super::SubjectPattern;

    /// Every text of up to this many of these characters.
    fn texts(alphabet: &[char], longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..longest {
            let longer: Vec<String> = all[from..]
                .iter()
                .flat_map(|text| alphabet.iter().map(move |next| format!("{text}{next}")))
                .collect();
            from = all.len();
            all.extend(longer);
        }
        all
    }

    /// Segments, and the separators between them, each by itself.
    fn parts(text: &str) -> Vec<String> {
        let mut parts = vec![String::new()];
        for character in text.chars() {
            match character {
                ':' | '/' => parts.extend([character.to_string(), String::new()]),
                other => parts.last_mut().unwrap().push(other),
            }
        }
        parts
    }

    fn fit(pattern: &[String], subject: &[String]) -> bool {
        let is_segment = |part: &String| !part.is_empty() && part != ":" && part != "/";
        match pattern {
            [] => subject.is_empty(),
            [rest] if rest == "**" => subject.iter().step_by(2).all(is_segment),
            [one, pattern @ ..] => {
                let [part, subject @ ..] = subject else {
                    return false;
                };
                (one == part || one == "*" && is_segment(part)) && fit(pattern, subject)
            }
        }
    }

    #[test]
    fn patterns_match_what_they_say_part_by_part() {
        let subjects = texts(&['a', 'b', ':', '/'], 5);
        let subjects: Vec<_> = subjects.iter().map(|text| (text, parts(text))).collect();
        let mut matched = 0;
        for text in texts(&['a', ':', '/', '*'], 5) {
            let Ok(pattern) = SubjectPattern::new(&text) else {
                continue;
            };
            let own = parts(&text);
            for (subject, parts) in &subjects {
                let expected = fit(&own, parts);
                assert_eq!(pattern.matches(subject), expected, "{text} and {subject}");
                matched += usize::from(expected);
            }
        }
        assert!(matched > 500, "{matched}");
    }
}
