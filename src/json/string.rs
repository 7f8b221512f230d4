//! Strings, with their escapes.

use std::borrow::Cow;

use super::search::{quote, special};
use super::{Fault, RESERVED, Scanner};

/// The longest string that is copied; one without escapes is borrowed, whatever its length.
const MAX_DECODED: usize = 64 * 1024;

/// What an escape stands for.
enum Unit {
    Char(char),
    Half,
}

impl<'a> Scanner<'a> {
    /// A string, decoded; borrowed where nothing in it is escaped.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"')?;
        if !self.unescaped {
            let (text, after) = self.clone().any_string(MAX_DECODED)?;
            *self = after;
            return Ok(text);
        }
        let start = self.at;
        self.at += quote(&self.text.as_bytes()[start..]).ok_or(Fault::Syntax)?;
        let plain = &self.text[start..self.at];
        self.at += 1;
        Ok(Cow::Borrowed(plain))
    }

    /// The same, however long: for a text that was found short enough as a whole.
    pub(super) fn long_string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"')?;
        let (text, after) = self.clone().any_string(usize::MAX)?;
        *self = after;
        Ok(text)
    }

    /// The rest of a string that may have escapes; `max` is the longest that is copied.
    fn any_string(mut self, max: usize) -> Result<(Cow<'a, str>, Self), Fault> {
        let start = self.at;
        if self.plain()? == b'"' {
            let plain = &self.text[start..self.at];
            self.at += 1;
            return Ok((Cow::Borrowed(plain), self));
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
            if decoded.len() > max {
                return Err(Fault::Long);
            }
            if stop == b'"' {
                self.at += 1;
                return Ok((Cow::Owned(decoded), self));
            }
        }
    }

    /// At the `"` of a name: whether what it stands for begins like one of serde_json's own,
    /// however that is written.
    pub(super) fn begins_reserved(mut self) -> bool {
        self.at += 1;
        RESERVED.chars().all(|wanted| match self.byte() {
            Some(b'\\') => matches!(self.escape(), Ok(Unit::Char(got)) if got == wanted),
            Some(byte) => {
                self.at += 1;
                char::from(byte) == wanted
            }
            None => false,
        })
    }

    /// At a `"`.
    #[inline(always)]
    pub(super) fn skip_string(&mut self) -> Result<(), Fault> {
        if self.unescaped {
            return self.string().map(drop);
        }
        self.skip_any_string()
    }

    fn skip_any_string(&mut self) -> Result<(), Fault> {
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
}
