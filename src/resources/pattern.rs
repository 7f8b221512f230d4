//! `Pattern`: a text in which the name of a tenant can stand.

use super::tenants;
use crate::util::repeated;

/// A text with at most one `{name}`, in the place of which the name of a tenant stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    before: Box<str>,
    /// What follows the name. `None`: there is no place for one.
    after: Option<Box<str>>,
    /// What the place is called.
    place: Box<str>,
}

impl Pattern {
    /// A text in which no tenant stands, whatever is in it.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            before: text.into(),
            after: None,
            place: Box::default(),
        }
    }

    /// # Errors
    /// Braces are not those of one place, with a name of letters, digits and `_`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((before, rest)) = text.split_once('{') else {
            return match text.contains('}') {
                true => Err(format!("{} has a brace that nothing opens", repeated(text))),
                false => Ok(Self::plain(text)),
            };
        };
        let (name, after) = rest
            .split_once('}')
            .ok_or_else(|| format!("{} has a brace that nothing closes", repeated(text)))?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(format!(
                "{} has a place without a name: write `{{tenant}}`",
                repeated(text)
            ));
        }
        if before.contains('}') || after.contains(['{', '}']) {
            return Err(format!(
                "{} has more than one pair of braces: a tenant stands in one place",
                repeated(text)
            ));
        }
        Ok(Self {
            before: before.into(),
            after: Some(after.into()),
            place: name.into(),
        })
    }

    /// A text that must have a place for a tenant.
    ///
    /// # Errors
    /// It has none, or see [`parse`](Self::parse).
    pub(crate) fn template(text: &str) -> Result<Self, String> {
        match Self::parse(text)? {
            pattern if pattern.is_template() => Ok(pattern),
            _ => Err(format!(
                "{} has no place for a tenant: write `{{tenant}}` there",
                repeated(text)
            )),
        }
    }

    /// Whether a name has a place in it.
    pub(crate) fn is_template(&self) -> bool {
        self.after.is_some()
    }

    /// The text for this tenant.
    pub(crate) fn of(&self, name: &str) -> String {
        match &self.after {
            Some(after) => [&*self.before, name, after].concat(),
            None => self.before.to_string(),
        }
    }

    /// As it was written.
    pub(crate) fn text(&self) -> String {
        self.of(&format!("{{{}}}", self.place))
    }

    /// The name that makes this text of the pattern.
    pub(crate) fn name_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix(&*self.before)?;
        rest.strip_suffix(self.after.as_deref()?)
    }

    /// Whether one text can be of both, whatever tenants there are.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let covers = |one: &Self, text: &str| one.name_in(text).is_some_and(tenants::is_tenant);
        match (&self.after, &other.after) {
            (None, None) => self.before == other.before,
            (Some(_), None) => covers(self, &other.before),
            (None, Some(_)) => covers(other, &self.before),
            (Some(_), Some(_)) if self.before.len() <= other.before.len() => {
                self.meets_later(other)
            }
            (Some(_), Some(_)) => other.meets_later(self),
        }
    }

    /// The same for two with places, of which that of the other one begins no earlier.
    fn meets_later(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (&self.after, &other.after) else {
            return false;
        };
        let Some(between) = other.before.strip_prefix(&*self.before) else {
            return false;
        };
        // The names overlap: what one has more at an end is a part of the name of the other.
        if tenants::can_be_part(between) && beyond(own, others).is_some_and(tenants::can_be_part) {
            return true;
        }
        // Or the own name ends before that of the other begins, which is then behind it.
        let ends = between.char_indices().map(|(at, _)| at).skip(1);
        ends.map(|end| between.split_at(end))
            .take_while(|(name, _)| tenants::is_tenant(name))
            .any(|(_, rest)| {
                let rest = own.strip_prefix(rest);
                let name = rest.and_then(|rest| rest.strip_suffix(&**others));
                name.is_some_and(tenants::is_tenant)
            })
    }
}

/// What the longer text has more at its beginning, where the shorter one is its end.
fn beyond<'t>(one: &'t str, two: &'t str) -> Option<&'t str> {
    match one.len() >= two.len() {
        true => one.strip_suffix(two),
        false => two.strip_suffix(one),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_meet_where_one_text_is_of_both() {
        let cases = [
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example/mcp", "https://b.example/mcp", false),
            ("https://{t}.example/mcp", "https://a.example/mcp", true),
            ("https://{t}.example/mcp", "https://a.b.example/mcp", false),
            ("https://{t}.example/mcp", "https://{u}.example/mcp", true),
            (
                "https://{t}.example/mcp",
                "https://{u}.example/other",
                false,
            ),
            ("https://a.example/{t}", "https://a.example/x/{u}", false),
            ("api://mcp-{t}", "api://{u}", true),
            ("api://mcp_{t}", "api://{u}", false),
            ("api://{t}/x", "api://a/{u}", true),
            ("api://{t}/x", "api://a/{u}/x", false),
            ("api://{t}/x", "api://a/b/{u}", false),
            ("api://{t}/x", "api://A/{u}", false),
            ("{t}-b/c", "a-{u}/c", true),
            (
                "https://{t}.example/x/mcp",
                "https://a.example/{u}/mcp",
                true,
            ),
            (
                "https://{t}.example/x/mcp",
                "https://a.example/{u}/other",
                false,
            ),
        ];
        for (one, two, expected) in cases {
            let (a, b) = (Pattern::parse(one).unwrap(), Pattern::parse(two).unwrap());
            assert_eq!(a.meets(&b), expected, "{one} and {two}");
            assert_eq!(b.meets(&a), expected, "{two} and {one}");
        }
    }

    #[test]
    fn a_pattern_has_one_place_for_a_name() {
        for text in ["{", "}", "a{}b", "{a}{b}", "{a b}", "{{a}}", "}{a"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        let pattern = Pattern::parse("https://{tenant}.example/mcp").unwrap();
        assert_eq!(pattern.of("acme"), "https://acme.example/mcp");
        assert_eq!(pattern.name_in("https://acme.example/mcp"), Some("acme"));
        assert_eq!(pattern.name_in("https://acme.example"), None);
    }
}
