//! Removes the token from what is printed, also where a server repeats it.

use std::collections::HashSet;

use super::code::Code;

/// A text that has this many characters of the token in a row repeats it.
const WINDOW: usize = 12;

/// Knows the token by its pieces.
pub(super) struct Scrub {
    windows: HashSet<[u8; WINDOW]>,
    short: Option<Vec<u8>>,
}

impl Scrub {
    pub(super) fn of(token: &str) -> Self {
        let windows = windows(token.as_bytes()).collect();
        // What stands in the texts of each report is no secret: `token`, say, given as a trial.
        let is_in = |code: &Code| {
            let texts = [code.what(), code.cause(), code.fix()];
            texts.iter().any(|text| text.contains(token))
        };
        let is_short = token.len() < WINDOW && !Code::ALL.iter().any(is_in);
        let short = is_short.then(|| token.as_bytes().to_vec());
        Self { windows, short }
    }

    /// Replaces a text that repeats a piece of it.
    pub(super) fn clean(&self, text: &mut String) {
        let bytes = text.as_bytes();
        let is_in = |short: &Vec<u8>| bytes.windows(short.len()).any(|own| own == &short[..]);
        let repeats = windows(bytes).any(|own| self.windows.contains(&own))
            || self.short.as_ref().is_some_and(is_in);
        if repeats {
            "(not shown: it repeats the token)".clone_into(text);
        }
    }
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; WINDOW]> + '_ {
    bytes
        .windows(WINDOW)
        .filter_map(|window| window.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_the_token_is_found_wherever_it_stands() {
        let scrub = Scrub::of("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl");
        for (text, is_kept) in [
            ("the token eyJhbGciOiJFUzI1NiJ9 is bad", false),
            ("zdWIiOiJhbGlj", false),
            ("eyJhbGci", true),
            ("https://auth.example.com", true),
            ("", true),
        ] {
            let mut cleaned = text.to_owned();
            scrub.clean(&mut cleaned);
            assert_eq!(cleaned == text, is_kept, "{text}");
        }
        let mut own = "The server refuses the token".to_owned();
        Scrub::of("token").clean(&mut own);
        assert_eq!(own, "The server refuses the token", "a word, and no secret");
        let mut echoed = "bad token s3cret".to_owned();
        Scrub::of("s3cret").clean(&mut echoed);
        assert!(!echoed.contains("s3cret"));
    }
}
