//! What can be read of a token before it is verified.
//!
//! It decides who judges the token, and nothing else.

use super::spiffe::trust_domain_of;
use crate::jose::TokenLimits;
use crate::jose::{Compact, HeaderBuffer, is_jws};
use crate::json::object::{Value, read_object};
use crate::util::base64url;

/// Where a token says it is from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Peeked {
    /// It has not the shape of a JWS.
    NotJws,
    /// It has, and is too large or cannot be read.
    Unreadable,
    /// Its `iss`; without one the trust domain that its `sub`, a SPIFFE ID, is in.
    From {
        iss: Option<Box<str>>,
        trust_domain: Option<Box<str>>,
    },
}

/// Reads the `iss` of a token, without trust.
pub(crate) fn peek_issuer(token: &[u8], limits: TokenLimits) -> Peeked {
    if limits.check_token(token).is_err() {
        return Peeked::Unreadable;
    }
    if !is_jws(token, limits) {
        return Peeked::NotJws;
    }
    let payload = token.split(|byte| *byte == b'.').nth(1).unwrap_or_default();
    base64url::decode_to_vec(payload)
        .and_then(|json| issuer(&json))
        .unwrap_or(Peeked::Unreadable)
}

/// Reads which key a token names, without trust. `None`: it names none, or cannot be read.
pub(crate) fn peek_key_id(token: &[u8], limits: TokenLimits) -> Option<Box<str>> {
    let token = Compact::parse(token, limits).ok()?;
    let mut buffer = HeaderBuffer::default();
    let header = token.header(&mut buffer).ok()?;
    header.kid.map(Into::into)
}

fn issuer(payload: &[u8]) -> Option<Peeked> {
    let payload = std::str::from_utf8(payload).ok()?;
    let (mut iss, mut sub) = (None, None);
    let read = read_object(payload, |name, value| {
        match (name, value) {
            (_, Value::Null) => {}
            ("iss", value) => iss = Some(value.text("iss")?.into()),
            ("sub", Value::Text(text)) => sub = Some(text),
            _ => {}
        }
        Ok(())
    });
    read.ok()?;
    let subject = sub.filter(|_| iss.is_none());
    let trust_domain = subject.and_then(|sub| trust_domain_of(&sub).map(Into::into));
    Some(Peeked::From { iss, trust_domain })
}

/// Whether a JWS can begin with `prefix`: whether that is the base64url of the start of a
/// JSON object. `ey` is, for `{"`; `ewo` is, for a line feed after the brace.
pub(crate) fn may_begin_jws(prefix: &str) -> bool {
    const SPACES: [u8; 4] = *b" \t\r\n";
    let mut opened = false;
    let (mut bits, mut count) = (0_u32, 0);
    for character in prefix.bytes() {
        let Some(six) = base64url::sextet(character) else {
            return false;
        };
        (bits, count) = ((bits << 6) | six, count + 6);
        if count < 8 {
            continue;
        }
        count -= 8;
        let [.., byte] = (bits >> count).to_be_bytes();
        bits &= (1 << count) - 1;
        match (opened, byte) {
            (_, space) if SPACES.contains(&space) => {}
            (false, b'{') => opened = true,
            (true, b'"' | b'}') => return true,
            _ => return false,
        }
    }
    // What is left are the first bits of a byte that could go on in several ways.
    let next = if opened { *b"\"}" } else { *b"{{" };
    SPACES
        .into_iter()
        .chain(next)
        .any(|byte| u32::from(byte) >> (8 - count) == bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::begins_like_object;

    #[test]
    fn of_every_letter_both_say_the_same() {
        for letter in (b'0'..=b'z')
            .chain(*b"-_")
            .filter(|c| base64url::sextet(*c).is_some())
        {
            let prefix = char::from(letter).to_string();
            let may_begin = may_begin_jws(&prefix);
            assert_eq!(begins_like_object(&[letter]), may_begin, "{prefix}");
        }
    }

    #[test]
    fn a_prefix_can_begin_a_jws_where_it_is_the_start_of_an_object() {
        for yes in [
            "e",
            "ey",
            "eyJ",
            "eyJhbGciOi",
            "ew",
            "ewo",
            "ewogICJ",
            "e30",
            "I",
            "IHs",
            "C",
        ] {
            assert!(may_begin_jws(yes), "{yes}");
        }
        for no in [
            "a",
            "acme_",
            "sk-",
            "example_",
            "enterprise_",
            "key_",
            "eyx",
            "E",
            "e.",
            "e~",
            "D_",
        ] {
            assert!(!may_begin_jws(no), "{no}");
        }
    }
}
