//! What the doctor asks of challenges, and how clients misread them.

use crate::util::challenges::{Challenge, Challenges};

impl Challenge {
    pub(super) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter that readers with regular expressions find inside another one's value, which
    /// stands before it.
    pub(super) fn misread(&self) -> Option<(&str, &'static str)> {
        for name in ["scope", "resource_metadata"] {
            let mark = format!("{name}=");
            for (own, value) in &self.params {
                if own == name {
                    break;
                }
                if value.contains(&mark) {
                    return Some((own, name));
                }
            }
        }
        None
    }
}

impl Challenges {
    pub(super) fn bearer(&self) -> Option<&Challenge> {
        self.list.iter().find(|challenge| challenge.is("Bearer"))
    }

    pub(super) fn schemes(&self) -> Vec<&str> {
        self.list.iter().map(|own| &*own.scheme).collect()
    }
}

/// Whether these are scopes with single spaces between (RFC 6750 section 3).
pub(super) fn are_scopes(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    text.split(' ')
        .all(|scope| !scope.is_empty() && scope.bytes().all(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::challenges::headers;

    #[test]
    fn a_description_that_looks_like_a_parameter_is_found() {
        for (line, found) in [
            (
                "Bearer error_description=\"need scope=x\", scope=\"y\"",
                true,
            ),
            (
                "Bearer scope=\"y\", error_description=\"need scope=x\"",
                false,
            ),
            ("Bearer error_description=\"see resource_metadata=x\"", true),
            ("Bearer error_description=\"need scope x\"", false),
        ] {
            assert_eq!(
                Challenges::of(&headers(&[line]))
                    .bearer()
                    .unwrap()
                    .misread()
                    .is_some(),
                found,
                "{line}"
            );
        }
    }

    #[test]
    fn scopes_have_single_spaces_and_no_quotes() {
        for (text, good) in [
            ("mcp:read mcp:write", true),
            ("a", true),
            ("", false),
            ("a  b", false),
            (" a", false),
            ("a\"b", false),
            ("a\\b", false),
            ("\u{e4}", false),
        ] {
            assert_eq!(are_scopes(text), good, "{text:?}");
        }
    }
}
