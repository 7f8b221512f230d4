//! Reads challenges, `WWW-Authenticate`, by the grammar of RFC 9110 section 11.6.1.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use super::is_tchar;

/// Of a line: more of them take long to compare, and serve no client.
const MOST_PARTS: usize = 100;

/// One challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    /// Names in lower case, in the order they came.
    pub(crate) params: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, by its name in lower case.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        params.find(|(own, _)| own == name).map(|(_, v)| &**v)
    }
}

/// All challenges of a response, and what is wrong with their form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenges {
    /// What was read before a fault is there.
    pub(crate) list: Vec<Challenge>,
    /// The first one.
    pub(crate) fault: Option<String>,
}

impl Challenges {
    /// Of a response.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for line in headers.get_all(WWW_AUTHENTICATE) {
            // Quoted text may have any bytes above those of ASCII.
            let line = String::from_utf8_lossy(line.as_bytes());
            let mut reader = Reader { rest: &line };
            if let Err(fault) = reader.line(&mut all.list) {
                all.fault.get_or_insert(fault);
            }
        }
        all
    }
}

struct Reader<'l> {
    rest: &'l str,
}

impl<'l> Reader<'l> {
    /// Appends what was read, up to the fault where there is one.
    fn line(&mut self, list: &mut Vec<Challenge>) -> Result<(), String> {
        let mut parts = 0;
        // Whether the last scheme can have parameters: it has no token68, and a space follows it.
        let mut takes_params = false;
        let mut is_after_comma = true;
        loop {
            is_after_comma |= self.skip_commas();
            if self.rest.is_empty() {
                return Ok(());
            }
            parts += 1;
            if parts > MOST_PARTS {
                return Err(format!("more than {MOST_PARTS} parts"));
            }
            let at = self.rest;
            let name = self.token();
            if name.is_empty() {
                return Err(format!("no scheme at {:?}", start(at)));
            }
            let is_spaced = self.skip_spaces();
            if let Some(value) = self.rest.strip_prefix('=') {
                let current = list.last_mut().filter(|_| takes_params);
                let current = current.ok_or_else(|| format!("no scheme before {:?}", start(at)))?;
                self.rest = value;
                let value = self.value(name)?;
                add(current, name, value)?;
                self.comma()?;
            } else if is_after_comma {
                list.push(Challenge {
                    scheme: name.to_owned(),
                    params: Vec::new(),
                });
                takes_params = is_spaced && !self.token68();
            } else {
                return Err(format!("no comma before {:?}", start(at)));
            }
            is_after_comma = false;
        }
    }

    /// Whether there was one.
    fn skip_commas(&mut self) -> bool {
        let before = self.rest;
        self.rest = before.trim_start_matches([' ', '\t', ',']);
        before[..before.len() - self.rest.len()].contains(',')
    }

    /// Whether there was one.
    fn skip_spaces(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.rest.len() < before
    }

    fn token(&mut self) -> &'l str {
        let end = self.rest.bytes().position(|byte| !is_tchar(byte));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// Passes by what Negotiate and Basic write, and says whether there is such.
    fn token68(&mut self) -> bool {
        let is_68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let end = self.rest.find(|c| !is_68(c)).unwrap_or(self.rest.len());
        let after = self.rest[end..].trim_start_matches('=');
        let after = after.trim_start_matches([' ', '\t']);
        let is_alone = end > 0 && (after.is_empty() || after.starts_with(','));
        if is_alone {
            self.rest = after;
        }
        is_alone
    }

    fn value(&mut self, name: &str) -> Result<String, String> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return match !value.is_empty() && value.bytes().all(is_tchar) {
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

/// The header with these lines.
#[cfg(test)]
pub(crate) fn headers(lines: &[&str]) -> HeaderMap {
    let lines = lines.iter().map(|line| line.parse().unwrap());
    HeaderMap::from_iter(lines.map(|line| (WWW_AUTHENTICATE, line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemes(all: &Challenges) -> Vec<&str> {
        all.list.iter().map(|own| &*own.scheme).collect()
    }

    fn read(lines: &[&str]) -> Challenges {
        Challenges::of(&headers(lines))
    }

    #[test]
    fn well_formed_challenges_are_read_in_full() {
        let line = "Negotiate abc==, bearer realm=x, Scope = \"a b\" , \
                    error_description=\"say \\\"x\\\", y=z\", DPoP algs=\"ES256\",Basic";
        let all = read(&[line]);
        assert_eq!(all.fault, None);
        assert_eq!(schemes(&all), ["Negotiate", "bearer", "DPoP", "Basic"]);
        let bearer = &all.list[1];
        assert_eq!(bearer.param("realm"), Some("x"));
        assert_eq!(bearer.param("scope"), Some("a b"));
        assert_eq!(bearer.param("error_description"), Some("say \"x\", y=z"));
        assert_eq!(all.list[2].param("algs"), Some("ES256"));
        assert_eq!(schemes(&read(&["Bearer"])), ["Bearer"]);
        let spaced = read(&["Negotiate abc== , Bearer , scope=\"a\""]);
        assert_eq!(spaced.fault, None);
        assert_eq!(spaced.list[1].param("scope"), Some("a"));
        let two = read(&["Basic realm=\"x\"", "Bearer error=\"y\""]);
        assert_eq!(schemes(&two), ["Basic", "Bearer"]);
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
            ("Bearer, scope=\"a\"", "no scheme before"),
            ("Bearer abc=, scope=\"a\"", "no scheme before"),
            ("Bearer Basic scope=\"a\"", "no comma before"),
            ("Bearer/abc", "no scheme at"),
            (
                "Bearer error=\"x\", scope=",
                "scope is not in double quotes",
            ),
        ] {
            let found = read(&[line]).fault.unwrap_or_default();
            assert!(found.contains(fault), "{line}: {found}");
        }
    }
}
