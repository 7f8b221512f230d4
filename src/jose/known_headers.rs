//! Headers of good tokens. All tokens signed with one key have the same header, as a rule to
//! the letter, so it need not be decoded and read for each of them.

use std::sync::OnceLock;

use super::compact::{Compact, Header};

/// A key has one header, or two: with and without `typ`, say. There may be some keys.
const PLACES: usize = 8;
/// No longer header is kept, in characters as it is written.
const LONGEST: usize = 512;

/// The first few headers of tokens that were verified. Strangers put none here.
#[derive(Debug, Default)]
pub(crate) struct KnownHeaders([OnceLock<Known>; PLACES]);

#[derive(Debug)]
struct Known {
    text: Box<[u8]>,
    header: Header<'static>,
}

impl KnownHeaders {
    /// The header of a token, if it is known.
    pub(crate) fn find(&self, token: &Compact<'_>) -> Option<&Header<'static>> {
        let mut known = self.0.iter().map_while(OnceLock::get);
        let found = known.find(|known| *known.text == *token.header_text())?;
        Some(&found.header)
    }

    /// Keeps the header of a token that was verified, while there is a place left.
    pub(crate) fn keep(&self, token: &Compact<'_>, header: &Header<'_>) {
        let text = token.header_text();
        if text.len() > LONGEST {
            return;
        }
        for place in &self.0 {
            let known = place.get_or_init(|| Known {
                text: text.into(),
                header: header.clone().into_owned(),
            });
            if *known.text == *text {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::jose::{HeaderBuffer, TokenLimits};

    fn token(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    fn find(known: &KnownHeaders, token: &str) -> Option<Header<'static>> {
        let token = Compact::parse(token.as_bytes(), TokenLimits::DEFAULT).unwrap();
        known.find(&token).cloned()
    }

    /// What is read, which is kept.
    fn keep(known: &KnownHeaders, token: &str) -> Header<'static> {
        let token = Compact::parse(token.as_bytes(), TokenLimits::DEFAULT).unwrap();
        let mut buffer = HeaderBuffer::default();
        let header = token.header(&mut buffer).unwrap();
        known.keep(&token, &header);
        header.into_owned()
    }

    #[test]
    fn a_known_header_reads_as_it_did_before() {
        let known = KnownHeaders::default();
        for header in [
            r#"{"alg":"RS256","kid":"a"}"#,
            r#"{"alg":"RS256","kid":"b","typ":"at+jwt"}"#,
            r#"{"alg":"ES256","typ":"JWT"}"#,
            r#"{"alg":"ES256", "typ":"JWT"}"#,
            r#"{"alg":"HS256","kid":"\u0061","x":[1]}"#,
        ] {
            let token = token(header);
            assert_eq!(find(&known, &token), None, "{header}");
            let read = keep(&known, &token);
            assert_eq!(find(&known, &token), Some(read), "{header}");
        }
    }

    #[test]
    fn only_the_first_few_short_headers_are_kept() {
        let known = KnownHeaders::default();
        let long = token(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(400)));
        keep(&known, &long);
        assert_eq!(find(&known, &long), None);
        let tokens: Vec<String> = (0..20)
            .map(|number| token(&format!(r#"{{"alg":"RS256","kid":"{number}"}}"#)))
            .collect();
        for token in tokens.iter().chain(&tokens) {
            keep(&known, token);
        }
        let is_kept = |token: &String| find(&known, token).is_some();
        assert!(tokens[..PLACES].iter().all(is_kept));
        assert!(!tokens[PLACES..].iter().any(is_kept));
    }
}
