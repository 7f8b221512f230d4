//! `WWW-Authenticate`, as this crate reads it, against a reader that takes lines apart at their
//! commas; and what this crate writes into it is read back.
//!
//! Each line of the input is a line of the header, and also a text for a challenge of this crate.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
    use http::{HeaderMap, HeaderValue, Request};
    use http_body_util::Full;
    use libfuzzer_sys::fuzz_target;
    use tower::{Layer, service_fn};
    use tower_mcp_auth::provider::*;
    use tower_mcp_auth::{AuthLayer, fuzzing};
    use tower_mcp_auth_fuzz::{call, empty};

    const MOST_PARTS: usize = 100;
    const SPACES: [char; 2] = [' ', '\t'];

    fuzz_target!(|input: &[u8]| {
        let lines: Vec<_> = input.split(|byte| *byte == b'\n').take(8).collect();
        as_header(&lines);
        let texts: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        written(&texts);
    });

    /// What a line says, in its order.
    #[derive(Clone, Debug, PartialEq)]
    enum Part {
        Scheme(String),
        /// Its name in lower case.
        Param(String, String),
    }

    fn as_header(lines: &[&[u8]]) {
        let values = lines.iter().map(|line| HeaderValue::from_bytes(line));
        let Ok(values) = values.collect::<Result<Vec<_>, _>>() else {
            return;
        };
        let (mut all, mut first) = (Vec::new(), None);
        for value in &values {
            let (parts, fault) = ours(std::slice::from_ref(value));
            let text = String::from_utf8_lossy(value.as_bytes());
            let theirs = theirs(&text);
            match (&theirs, &fault) {
                (Ok(theirs), None) => assert_eq!(parts, *theirs, "{text:?}"),
                // How far they come differs, and what they say until there does not.
                (Err(theirs), Some(_)) => {
                    let both = parts.iter().zip(theirs);
                    for (own, other) in both {
                        assert_eq!(own, other, "{text:?}");
                    }
                }
                _ => panic!("{text:?}: {theirs:?}, we {parts:?}, {fault:?}"),
            }
            all.extend(parts);
            first = first.or(fault);
        }
        assert_eq!(ours(&values), (all, first));
    }

    fn ours(lines: &[HeaderValue]) -> (Vec<Part>, Option<String>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.clone());
        }
        let (challenges, fault) = fuzzing::challenges(&headers);
        let parts = challenges.into_iter().flat_map(|(scheme, params)| {
            let params = params
                .into_iter()
                .map(|(name, value)| Part::Param(name, value));
            std::iter::once(Part::Scheme(scheme)).chain(params)
        });
        (parts.collect(), fault)
    }

    /// A second reader, after RFC 9110 sections 5.6.1 and 11.6.1. It takes a tab for a space also
    /// where these do not. The error is what it read before the first piece that is malformed.
    fn theirs(line: &str) -> Result<Vec<Part>, Vec<Part>> {
        let mut parts = Vec::new();
        // The names of the current scheme; `None`: no parameter can follow.
        let mut names: Option<Vec<String>> = None;
        for piece in pieces(line) {
            let Some((own, goes_on)) = in_piece(piece) else {
                return Err(parts);
            };
            for part in &own {
                match (part, &mut names) {
                    (Part::Scheme(_), names) => *names = Some(Vec::new()),
                    (Part::Param(name, _), Some(names)) if !names.contains(name) => {
                        names.push(name.clone());
                    }
                    (Part::Param(..), _) => return Err(parts),
                }
            }
            if parts.len() + own.len() > MOST_PARTS {
                return Err(parts);
            }
            if !goes_on {
                names = None;
            }
            parts.extend(own);
        }
        Ok(parts)
    }

    /// What one piece says, if it is well-formed, and whether parameters can follow it.
    fn in_piece(piece: &str) -> Option<(Vec<Part>, bool)> {
        let text = piece.trim_matches(SPACES);
        if text.is_empty() {
            return Some((Vec::new(), true));
        }
        if let Some(param) = param(text) {
            return Some((vec![param], true));
        }
        let (scheme, rest) = text.split_once(SPACES).unwrap_or((text, ""));
        if !is_token(scheme) {
            return None;
        }
        let scheme = Part::Scheme(scheme.to_owned());
        Some(match rest.trim_start_matches(SPACES) {
            // The space before parameters may stand before an empty piece.
            "" => (vec![scheme], piece.ends_with(SPACES)),
            rest if is_token68(rest) => (vec![scheme], false),
            rest => (vec![scheme, param(rest)?], true),
        })
    }

    /// What stands between commas that no quotes enclose.
    fn pieces(line: &str) -> Vec<&str> {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let is_end = |character| {
            let is_literal = std::mem::take(&mut is_escaped);
            match character {
                '"' if !is_literal => is_quoted = !is_quoted,
                '\\' if is_quoted && !is_literal => is_escaped = true,
                _ => {}
            }
            character == ',' && !is_quoted
        };
        line.split(is_end).collect()
    }

    fn param(text: &str) -> Option<Part> {
        let (name, value) = text.split_once('=')?;
        let name = name.trim_end_matches(SPACES);
        let value = value.trim_start_matches(SPACES);
        let value = match value.strip_prefix('"') {
            Some(rest) => unquoted(rest.strip_suffix('"')?)?,
            None => Some(value).filter(|value| is_token(value))?.to_owned(),
        };
        is_token(name).then(|| Part::Param(name.to_ascii_lowercase(), value))
    }

    /// The value of a quoted string, of what stands between its quotes.
    fn unquoted(text: &str) -> Option<String> {
        let mut value = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            value.push(match character {
                '"' => return None,
                '\\' => characters.next()?,
                other => other,
            });
        }
        Some(value)
    }

    fn is_token(text: &str) -> bool {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(is_part)
    }

    fn is_token68(text: &str) -> bool {
        let text = text.trim_end_matches('=');
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        !text.is_empty() && text.bytes().all(is_part)
    }

    /// A provider that refuses, with these texts in its challenges.
    #[derive(Clone, Debug)]
    struct Refusing {
        realm: String,
        metadata: String,
        description: String,
    }

    impl Authenticate for Refusing {
        fn describe(&self) -> ProviderInfo {
            let bearer = Challenge::bearer()
                .realm(self.realm.clone())
                .resource_metadata(self.metadata.clone());
            ProviderInfo::new("fuzz")
                .challenge(bearer)
                .challenge(Challenge::api_key("x-api-key").realm(self.realm.clone()))
                .matcher(CredentialMatcher::any(Location::scheme(
                    AUTHORIZATION,
                    "Bearer",
                )))
        }

        fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
            let error = AuthError::new(Reason::EXPIRED).with_description(self.description.clone());
            Authentication::Ready(Err(error))
        }
    }

    fn written(texts: &[String]) {
        let text = |index: usize| texts.get(index).cloned().unwrap_or_default();
        let provider = Refusing {
            realm: text(0),
            metadata: text(1),
            description: text(2),
        };
        let layer = AuthLayer::new(provider);
        let service = layer.layer(service_fn(async |_: Request<Full<bytes::Bytes>>| {
            Ok::<_, std::convert::Infallible>(empty())
        }));
        let request = Request::get("/")
            .header(AUTHORIZATION, "Bearer x")
            .body(Full::default())
            .expect("a request");
        let response = call(service, request);
        let lines = response.headers().get_all(WWW_AUTHENTICATE);
        let lines: Vec<_> = lines.iter().cloned().collect();
        let (parts, fault) = ours(&lines);
        assert_eq!(fault, None, "{lines:?}");
        let mut parts = parts.into_iter();
        let mut is_next = |expected: Part| {
            let part = parts.next().expect("a part");
            let is_same = match (&part, &expected) {
                (Part::Param(name, value), Part::Param(own, text)) => {
                    name == own && is_written(text, value, name == "error_description")
                }
                _ => part == expected,
            };
            assert!(is_same, "{part:?} for {expected:?}");
        };
        let param = |name: &str, value: String| Part::Param(name.to_owned(), value);
        is_next(Part::Scheme("Bearer".to_owned()));
        is_next(param("realm", text(0)));
        is_next(param("error", "invalid_token".to_owned()));
        is_next(param("resource_metadata", text(1)));
        is_next(param("error_description", text(2)));
        is_next(Part::Scheme("ApiKey".to_owned()));
        is_next(param("realm", text(0)));
        is_next(param("header", "x-api-key".to_owned()));
        assert_eq!(parts.next(), None);
    }

    /// Whether `value` is what is written for `text`: the same, except for characters that the
    /// header cannot have, or loose readers misread.
    fn is_written(text: &str, value: &str, is_prose: bool) -> bool {
        let is_kept = |character: char| match character {
            '"' | '\\' => false,
            ',' | '=' => !is_prose,
            other => matches!(other, ' '..='~'),
        };
        let mut both = text.chars().zip(value.chars());
        text.chars().count() == value.chars().count()
            && value.chars().all(is_kept)
            && both.all(|(own, written)| own == written || !is_kept(own))
    }
}

/// What it reads is public under `--cfg fuzzing` alone, which cargo-fuzz sets.
#[cfg(not(fuzzing))]
fn main() {}
