//! `WWW-Authenticate`, read as RFC 9110 section 11.6.1 has it, and as clients misread it.

/// Of a line: more of them take long to compare, and serve no client.
const MOST_PARTS: usize = 100;

/// One challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    /// Names in lower case, in the order they came.
    params: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        params.find(|(own, _)| own == name).map(|(_, v)| &**v)
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

/// All challenges of a response, and what is wrong with their form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenges {
    pub(super) list: Vec<Challenge>,
    pub(super) fault: Option<String>,
}

impl Challenges {
    /// Reads the lines of the header.
    pub(super) fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Self {
        let mut all = Self::default();
        for line in lines {
            let mut reader = Reader { rest: line.trim() };
            if let Err(fault) = reader.line(&mut all.list) {
                all.fault.get_or_insert(fault);
            }
        }
        all
    }

    pub(super) fn bearer(&self) -> Option<&Challenge> {
        self.list.iter().find(|challenge| challenge.is("Bearer"))
    }

    pub(super) fn schemes(&self) -> Vec<&str> {
        self.list.iter().map(|own| &*own.scheme).collect()
    }
}

struct Reader<'l> {
    rest: &'l str,
}

impl<'l> Reader<'l> {
    /// Appends what was read, up to the fault where there is one.
    fn line(&mut self, list: &mut Vec<Challenge>) -> Result<(), String> {
        let mut is_first = true;
        let mut parts = 0;
        while self.skip_commas() {
            parts += 1;
            if parts > MOST_PARTS {
                return Err(format!("more than {MOST_PARTS} parts"));
            }
            let name = self.token();
            if name.is_empty() {
                return Err(format!("no scheme at {:?}", start(self.rest)));
            }
            let after = self.rest.trim_start_matches([' ', '\t']);
            if let Some(value) = after.strip_prefix('=').filter(|_| !is_first) {
                self.rest = value;
                let value = self.value(name)?;
                let current = list.last_mut().ok_or("a parameter before any scheme")?;
                add(current, name, value)?;
                self.comma()?;
                continue;
            }
            is_first = false;
            list.push(Challenge {
                scheme: name.to_owned(),
                params: Vec::new(),
            });
            self.rest = after;
            self.token68();
        }
        Ok(())
    }

    /// Whether anything is left.
    fn skip_commas(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        !self.rest.is_empty()
    }

    fn token(&mut self) -> &'l str {
        let end = self.rest.find(|c: char| !is_tchar(c));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// Passes by what Negotiate and Basic write.
    fn token68(&mut self) {
        let is_68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let end = self.rest.find(|c| !is_68(c)).unwrap_or(self.rest.len());
        let after = self.rest[end..].trim_start_matches('=');
        let is_alone = after.is_empty() || after.starts_with(',');
        if end > 0 && is_alone {
            self.rest = after;
        }
    }

    fn value(&mut self, name: &str) -> Result<String, String> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return match !value.is_empty() && value.chars().all(is_tchar) {
                true => Ok(value.to_owned()),
                false => Err(format!("the value of {name} is not in double quotes")),
            };
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, character)) = chars.next() {
            match character {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Ok(value);
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        Err(format!("the value of {name} has no closing quote"))
    }

    fn comma(&mut self) -> Result<(), String> {
        let rest = self.rest.trim_start_matches([' ', '\t']);
        match rest.is_empty() || rest.starts_with(',') {
            true => Ok(()),
            false => Err(format!("no comma before {:?}", start(rest))),
        }
    }
}

fn add(challenge: &mut Challenge, name: &str, value: String) -> Result<(), String> {
    let name = name.to_ascii_lowercase();
    if challenge.param(&name).is_some() {
        return Err(format!("{name} is there twice"));
    }
    challenge.params.push((name, value));
    Ok(())
}

fn start(text: &str) -> String {
    text.chars().take(16).collect()
}

/// RFC 9110 section 5.6.2.
fn is_tchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
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

    fn read(line: &str) -> Challenges {
        Challenges::read([line])
    }

    #[test]
    fn well_formed_challenges_are_read_in_full() {
        let line = "Negotiate abc==, bearer realm=x, Scope = \"a b\" , \
                    error_description=\"say \\\"x\\\", y=z\", DPoP algs=\"ES256\",Basic";
        let all = read(line);
        assert_eq!(all.fault, None);
        assert_eq!(all.schemes(), ["Negotiate", "bearer", "DPoP", "Basic"]);
        let bearer = all.bearer().unwrap();
        assert_eq!(bearer.param("realm"), Some("x"));
        assert_eq!(bearer.param("scope"), Some("a b"));
        assert_eq!(bearer.param("error_description"), Some("say \"x\", y=z"));
        assert_eq!(all.list[2].param("algs"), Some("ES256"));
        assert_eq!(read("Bearer").schemes(), ["Bearer"]);
        let two = Challenges::read(["Basic realm=\"x\"", "Bearer error=\"y\""]);
        assert_eq!(two.schemes(), ["Basic", "Bearer"]);
    }

    #[test]
    fn what_is_malformed_says_where() {
        for (line, fault) in [
            (
                "Bearer resource_metadata=https://a",
                "resource_metadata is not in double quotes",
            ),
            (
                "Bearer resource_metadata='https://a'",
                "resource_metadata is not in double quotes",
            ),
            ("Bearer scope=\"a", "scope has no closing quote"),
            ("Bearer scope=\"a\" error=\"b\"", "no comma before"),
            ("Bearer scope=\"a\", scope=\"b\"", "scope is there twice"),
            ("\"Bearer\"", "no scheme"),
            (
                "Bearer error=\"x\", scope=",
                "scope is not in double quotes",
            ),
        ] {
            let found = read(line).fault.unwrap_or_default();
            assert!(found.contains(fault), "{line}: {found}");
        }
    }

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
                read(line).bearer().unwrap().misread().is_some(),
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
