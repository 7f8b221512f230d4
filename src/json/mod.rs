//! A reader of JSON that goes over the text once and builds only what is asked for.
//!
//! The rest is checked without building it.
//!
//! It accepts no more than RFC 8259 does: where two readers could see two things, a text is
//! refused instead of guessed at.
//!
//! # Performance
//!
//! What is inlined by force are the steps of a loop that keeps a scanner in registers; what
//! is seldom needed takes a scanner by value and gives it back, so that its address is never
//! asked for. It buys 0.14 of the 1.5 µs that a new token costs beside its signature. Looking
//! through the text first, so that strings are read to the next quote, buys 0.10; looking for
//! quotes eight bytes at a time, against `memchr`, 0.12 (bench `overhead`, rows "never seen").

#[cfg(feature = "jwt")]
pub(crate) mod object;
mod search;
mod string;
mod value;

use std::borrow::Cow;

#[cfg(feature = "jwt")]
pub(crate) use self::object::object;
pub use self::value::JsonValue;

/// What the names start with that serde_json gives a meaning of its own when one of its
/// features is on anywhere in the build: an object that uses one reads one way here and
/// another in a `serde_json::Value`, and each level of such texts inside of texts begins a
/// count of depth of its own. No such name is read, wherever it stands.
pub(crate) const RESERVED: &str = "$serde_json::private::";

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    Depth,
    /// Half of a surrogate pair: some readers replace it, others refuse it.
    Surrogate,
    /// A string that is taken and had to be copied.
    Long,
    /// A member with a name that serde_json keeps for itself.
    Reserved,
    /// A member that is there twice; found only by who builds a value.
    Twice,
}

/// The deepest a reader can be told to go.
pub(crate) const MAX_DEPTH: u32 = 128;

#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    max_depth: u32,
    surrogates: bool,
    /// There is neither a `\` nor a control character in all of the text.
    unescaped: bool,
}

impl<'a> Scanner<'a> {
    /// Refuses halves of surrogate pairs anywhere.
    pub(crate) fn strict(text: &'a str, max_depth: u32) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            surrogates: false,
            unescaped: false,
        }
    }

    /// For short texts of many short strings: looks through the text for what a string may
    /// have to be read slowly for. Where there is nothing, strings are read to the next `"`.
    #[cfg(feature = "jwt")]
    pub(crate) fn looked_through(self) -> Self {
        let is_slow = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'\\');
        let any = self.text.bytes().fold(0, |any, byte| any | is_slow(&byte));
        Self {
            unescaped: any == 0,
            ..self
        }
    }

    /// Lets halves of surrogate pairs stand in strings that are not taken.
    pub(crate) fn lenient(text: &'a str) -> Self {
        Self {
            surrogates: true,
            ..Self::strict(text, MAX_DEPTH)
        }
    }

    /// The text from here to where `end` is.
    #[cfg(feature = "jwt")]
    #[inline(always)]
    pub(crate) fn text_to(&self, end: &Self) -> &'a str {
        &self.text[self.at..end.at]
    }

    /// Where the next byte is.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, left in place.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        match self.byte() {
            Some(b' ' | b'\t' | b'\n' | b'\r') => {
                self.at = after_space(self.text, self.at);
                self.byte()
            }
            other => other,
        }
    }

    #[inline(always)]
    fn expect(&mut self, wanted: u8) -> Result<(), Fault> {
        if self.byte() == Some(wanted) || self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(Fault::Syntax)
    }

    /// Nothing but white space may be left.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax),
        }
    }

    /// Goes into an object (`{`) or an array (`[`).
    #[inline(always)]
    pub(crate) fn enter(&mut self, open: u8) -> Result<Members, Fault> {
        self.expect(open)?;
        if self.depth == self.max_depth {
            return Err(Fault::Depth);
        }
        self.depth += 1;
        Ok(Members { first: true })
    }

    /// The name of the next member, with its value ahead; `None` at the end of the object.
    #[inline(always)]
    pub(crate) fn member(&mut self, members: &mut Members) -> Result<Option<Cow<'a, str>>, Fault> {
        if !self.more(members, b'}')? {
            return Ok(None);
        }
        let name = self.string()?;
        if name.as_bytes().first() == Some(&b'$') && name.starts_with(RESERVED) {
            return Err(Fault::Reserved);
        }
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Whether another element of the array is ahead.
    #[inline(always)]
    pub(crate) fn element(&mut self, members: &mut Members) -> Result<bool, Fault> {
        self.more(members, b']')
    }

    #[inline(always)]
    fn more(&mut self, members: &mut Members, close: u8) -> Result<bool, Fault> {
        let next = self.peek().ok_or(Fault::Syntax)?;
        if next == close {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !members.first {
            self.expect(b',')?;
        }
        members.first = false;
        Ok(true)
    }

    /// Checks a value and passes it by; returns its text.
    pub(crate) fn skip(&mut self) -> Result<&'a str, Fault> {
        self.peek().ok_or(Fault::Syntax)?;
        let start = self.at;
        // One bit for each level that is open here: 1 for an object, 0 for an array.
        let (mut objects, mut open) = (0_u128, 0_u32);
        loop {
            match self.peek().ok_or(Fault::Syntax)? {
                b'"' => self.skip_string()?,
                b'-' | b'0'..=b'9' => {
                    self.skip_number()?;
                }
                b't' | b'f' | b'n' => *self = self.clone().literal()?,
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    if self.depth + open >= self.max_depth {
                        return Err(Fault::Depth);
                    }
                    let is_object = bracket == b'{';
                    let close = if is_object { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                    } else {
                        open += 1;
                        objects = objects << 1 | u128::from(is_object);
                        if is_object {
                            self.skip_name()?;
                        }
                        continue;
                    }
                }
                _ => return Err(Fault::Syntax),
            }
            // A value ended: what it stands in goes on, or ends as well.
            loop {
                if open == 0 {
                    return Ok(&self.text[start..self.at]);
                }
                let is_object = objects & 1 == 1;
                let next = self.peek().ok_or(Fault::Syntax)?;
                self.at += 1;
                match next {
                    b',' => {
                        if is_object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return Err(Fault::Syntax),
                }
                objects >>= 1;
                open -= 1;
            }
        }
    }

    fn skip_name(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(Fault::Syntax);
        }
        if matches!(self.text.as_bytes().get(self.at + 1), Some(b'$' | b'\\'))
            && self.clone().begins_reserved()
        {
            return Err(Fault::Reserved);
        }
        self.skip_string()?;
        self.expect(b':')
    }

    /// `true`, `false` or `null`.
    pub(crate) fn literal(mut self) -> Result<Self, Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        let word = words.into_iter().find(|word| rest.starts_with(word));
        self.at += word.ok_or(Fault::Syntax)?.len();
        Ok(self)
    }

    /// A number as it is written (RFC 8259 section 6), if it is below 1e308: every reader can
    /// hold that in an `f64`.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        let has_exponent = self.skip_number()?;
        let number = &self.text[start..self.at];
        // What is greater than an `f64` can be is infinite to some readers, an error to others.
        // So is what comes near the greatest to readers that round at each step, as serde_json
        // does without its feature `float_roundtrip`: 1.7976931348623158e308, say.
        let may_be_greater = has_exponent || number.len() > 307;
        let is_below = |number: f64| number.abs() < 1e308;
        if may_be_greater && !number.parse().is_ok_and(is_below) {
            return Err(Fault::Syntax);
        }
        Ok(number)
    }

    /// Says whether it has an exponent.
    #[inline(always)]
    fn skip_number(&mut self) -> Result<bool, Fault> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Fault::Syntax),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let Some(b'e' | b'E') = self.byte() else {
            return Ok(false);
        };
        self.at += 1;
        if let Some(b'+' | b'-') = self.byte() {
            self.at += 1;
        }
        self.digits()?;
        Ok(true)
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(Fault::Syntax),
        }
    }
}

/// Checks that a text is JSON that every reader takes for the same, as far as names that
/// serde_json keeps for itself and depth go; of members that are there twice it says nothing.
pub(crate) fn check(text: &str, max_depth: u32) -> Result<(), Fault> {
    let mut json = Scanner {
        surrogates: true,
        ..Scanner::strict(text, max_depth)
    };
    json.skip()?;
    json.finish()
}

/// How far a reader is in an object or an array.
#[derive(Debug)]
pub(crate) struct Members {
    first: bool,
}

#[cold]
fn after_space(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    at + rest.iter().take_while(is_space).count()
}
