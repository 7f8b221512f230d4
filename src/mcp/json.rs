//! A reader of JSON that goes over the text once, takes what it is asked for and checks the
//! rest without building it.
//!
//! It accepts no more than RFC 8259 does: where two readers could see two things, a request
//! is refused instead of guessed at.

use std::borrow::Cow;

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    Depth,
    /// Half of a surrogate pair: some readers replace it, others refuse it.
    Surrogate,
    /// A string that is taken and had to be copied.
    Long,
}

/// The longest string that is copied; one without escapes is borrowed, whatever its length.
const MAX_DECODED: usize = 64 * 1024;

/// The deepest a reader can be told to go.
pub(super) const MAX_DEPTH: u32 = 128;

#[derive(Clone, Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    max_depth: u32,
    surrogates: bool,
}

impl<'a> Scanner<'a> {
    /// Refuses halves of surrogate pairs anywhere.
    pub(super) fn strict(text: &'a str, max_depth: u32) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            surrogates: false,
        }
    }

    /// Lets halves of surrogate pairs stand in strings that are not taken.
    pub(super) fn lenient(text: &'a str) -> Self {
        Self {
            surrogates: true,
            ..Self::strict(text, MAX_DEPTH)
        }
    }

    /// Where the next byte is.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, left in place.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<(), Fault> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(Fault::Syntax)
    }

    /// Nothing but white space may be left.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax),
        }
    }

    /// Goes into an object (`{`) or an array (`[`).
    pub(super) fn enter(&mut self, open: u8) -> Result<Members, Fault> {
        self.expect(open)?;
        if self.depth == self.max_depth {
            return Err(Fault::Depth);
        }
        self.depth += 1;
        Ok(Members { first: true })
    }

    /// The name of the next member, with its value ahead; `None` at the end of the object.
    pub(super) fn member(&mut self, members: &mut Members) -> Result<Option<Cow<'a, str>>, Fault> {
        if !self.more(members, b'}')? {
            return Ok(None);
        }
        let name = self.string()?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Whether another element of the array is ahead.
    pub(super) fn element(&mut self, members: &mut Members) -> Result<bool, Fault> {
        self.more(members, b']')
    }

    #[inline]
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

    /// A string, decoded; borrowed where nothing in it is escaped.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"')?;
        let start = self.at;
        if self.plain()? == b'"' {
            let plain = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut decoded = self.text[start..self.at].to_owned();
        loop {
            match self.escape()? {
                Unit::Char(character) => decoded.push(character),
                Unit::Half => return Err(Fault::Surrogate),
            }
            let start = self.at;
            let stop = self.plain()?;
            decoded.push_str(&self.text[start..self.at]);
            if decoded.len() > MAX_DECODED {
                return Err(Fault::Long);
            }
            if stop == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(decoded));
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        while self.plain()? == b'\\' {
            if matches!(self.escape()?, Unit::Half) && !self.surrogates {
                return Err(Fault::Surrogate);
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Goes on to the next `"` or `\`, and says which.
    #[inline]
    fn plain(&mut self) -> Result<u8, Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let offset = special(rest).ok_or(Fault::Syntax)?;
        self.at += offset;
        match rest[offset] {
            stop @ (b'"' | b'\\') => Ok(stop),
            _ => Err(Fault::Syntax),
        }
    }

    /// At a `\`.
    fn escape(&mut self) -> Result<Unit, Fault> {
        self.at += 1;
        let kind = self.byte().ok_or(Fault::Syntax)?;
        self.at += 1;
        let character = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(Fault::Syntax),
        };
        Ok(Unit::Char(character))
    }

    fn unicode(&mut self) -> Result<Unit, Fault> {
        let first = self.hex()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(Unit::Char(character));
        }
        let rest = &self.text.as_bytes()[self.at..];
        if first < 0xDC00 && rest.starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex()?;
            if let 0xDC00..=0xDFFF = second {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).map(Unit::Char).ok_or(Fault::Syntax);
            }
            self.at = before;
        }
        Ok(Unit::Half)
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let mut value = 0;
        for digit in digits.ok_or(Fault::Syntax)? {
            let digit = char::from(*digit).to_digit(16).ok_or(Fault::Syntax)?;
            value = value << 4 | digit;
        }
        self.at += 4;
        Ok(value)
    }

    /// Checks a value and passes it by; returns its text.
    pub(super) fn skip(&mut self) -> Result<&'a str, Fault> {
        self.peek().ok_or(Fault::Syntax)?;
        let start = self.at;
        // One bit for each level that is open here: 1 for an object, 0 for an array.
        let (mut objects, mut open) = (0_u128, 0_u32);
        loop {
            match self.peek().ok_or(Fault::Syntax)? {
                b'"' => self.skip_string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
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
        self.skip_string()?;
        self.expect(b':')
    }

    fn literal(&mut self, word: &str) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Fault::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Result<(), Fault> {
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
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

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

/// How far a reader is in an object or an array.
#[derive(Debug)]
pub(super) struct Members {
    first: bool,
}

enum Unit {
    Char(char),
    Half,
}

/// The offset of the first `"`, `\` or control character.
fn special(bytes: &[u8]) -> Option<usize> {
    /// Names end soon.
    const NEAR: usize = 16;

    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        // What does not is text: a block without any is passed by in a few vector
        // instructions.
        while at >= NEAR
            && let Some(block) = bytes[at..].first_chunk::<32>()
            && is_plain(block)
        {
            at += 32;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    Some(at + bytes[at..].iter().position(is_special)?)
}

fn is_plain(block: &[u8; 32]) -> bool {
    let any = block.iter().fold(0, |any, &byte| {
        any | u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
    });
    any == 0
}

/// The high bit of the first special byte of eight, and perhaps of some after it.
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;

    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7)
}
