//! Strict JSON objects: what is ambiguous or too costly is rejected.
//!
//! That is duplicate members at any depth, which two parsers could read differently, and nesting
//! beyond a limit.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::{Fault, Scanner};

/// RFC 8259 sets no limit; a token of real life needs four levels.
const MAX_DEPTH: u32 = 32;

/// Why a text is refused. It repeats nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotOneObject,
    TooDeep,
    Duplicate,
    ReservedName,
    /// The member has a value it must not have.
    WrongType(&'static str),
    /// What is wrong with a member, in its own words.
    Says(&'static str),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Depth => Self::TooDeep,
            Fault::Reserved => Self::ReservedName,
            Fault::Twice => Self::Duplicate,
            Fault::Syntax | Fault::Surrogate | Fault::Long => Self::NotOneObject,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOneObject => "not one JSON object",
            Self::TooDeep => "nested too deeply",
            Self::Duplicate => "duplicate member",
            Self::ReservedName => "reserved member name",
            Self::Says(why) => why,
            Self::WrongType(name) => {
                return write!(f, "member {name:?} has a value it must not have");
            }
        })
    }
}

/// Reads a text that is one object and nothing else. `member` takes the value of each
/// member.
pub(crate) fn read_object<'p>(
    json: &'p str,
    member: impl FnMut(&str, Value<'p>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let mut rest = object_in(scanner(json), member)?;
    Ok(rest.finish()?)
}

fn scanner(text: &str) -> Scanner<'_> {
    Scanner::strict(text, MAX_DEPTH).looked_through()
}

/// Whether a text is a JSON object, be it one that [`read_object`] refuses: for its depth, say,
/// or for a string that is no UTF-8.
pub(crate) fn is_object(json: &[u8]) -> bool {
    // What stands for wrong bytes is a character that only a string may have.
    let text = String::from_utf8_lossy(json);
    let mut scanner = Scanner::lenient(&text);
    if scanner.peek() != Some(b'{') {
        return false;
    }
    match scanner.skip() {
        Ok(_) => scanner.finish().is_ok(),
        // What is deeper than can be followed is hardly anything else, nor is what has a member.
        Err(fault) => matches!(fault, Fault::Depth | Fault::Reserved),
    }
}

/// A JSON object as a map, where nothing in it is ambiguous or nested too deeply.
///
/// What another party sent goes through here before serde_json may build anything of it.
pub(crate) fn object(json: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let text = std::str::from_utf8(json).map_err(|_| Refused::NotOneObject.to_string())?;
    read_object(text, |_, _| Ok(())).map_err(|refused| refused.to_string())?;
    serde_json::from_str(text).map_err(|_| Refused::NotOneObject.to_string())
}

/// The value of a member.
pub(crate) enum Value<'p> {
    /// Borrowed where it has no escapes.
    Text(Cow<'p, str>),
    /// As it is written; it is below 1e308.
    Number(&'p str),
    Boolean(bool),
    Null,
    /// As it is written; all in it was checked.
    Array(&'p str),
    /// An array of one string, which need not be read again.
    ArrayOf(Cow<'p, str>),
    /// As it is written; all in it was checked.
    Object(&'p str),
}

impl<'p> Value<'p> {
    pub(crate) fn text(self, name: &'static str) -> Result<Cow<'p, str>, Refused> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(Refused::WrongType(name)),
        }
    }

    /// An array of strings.
    pub(crate) fn texts(
        self,
        name: &'static str,
        mut element: impl FnMut(Cow<'p, str>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        match self {
            Self::ArrayOf(text) => element(text),
            Self::Array(array) => {
                array_in(scanner(array), |value| element(value.text(name)?)).map(drop)
            }
            _ => Err(Refused::WrongType(name)),
        }
    }

    pub(crate) fn object(
        self,
        name: &'static str,
        member: impl FnMut(&str, Self) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let Self::Object(object) = self else {
            return Err(Refused::WrongType(name));
        };
        object_in(scanner(object), member).map(drop)
    }

    pub(crate) fn number(self, name: &'static str) -> Result<&'p str, Refused> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Refused::WrongType(name)),
        }
    }

    pub(crate) fn boolean(self, name: &'static str) -> Result<bool, Refused> {
        match self {
            Self::Boolean(boolean) => Ok(boolean),
            _ => Err(Refused::WrongType(name)),
        }
    }
}

fn object_in<'p>(
    mut scanner: Scanner<'p>,
    mut member: impl FnMut(&str, Value<'p>) -> Result<(), Refused>,
) -> Result<Scanner<'p>, Refused> {
    let mut names = Names::new();
    let mut members = scanner.enter(b'{')?;
    while let Some(name) = scanner.member(&mut members)? {
        let value;
        (value, scanner) = value_in(scanner)?;
        member(&name, value)?;
        names.add(name)?;
    }
    Ok(scanner)
}

fn array_in<'p>(
    mut scanner: Scanner<'p>,
    mut element: impl FnMut(Value<'p>) -> Result<(), Refused>,
) -> Result<Scanner<'p>, Refused> {
    let mut elements = scanner.enter(b'[')?;
    while scanner.element(&mut elements)? {
        let value;
        (value, scanner) = value_in(scanner)?;
        element(value)?;
    }
    Ok(scanner)
}

/// The value ahead, and the scanner behind it.
#[inline(always)]
fn value_in<'p>(mut scanner: Scanner<'p>) -> Result<(Value<'p>, Scanner<'p>), Refused> {
    let value = match scanner.peek() {
        Some(b'"') => Value::Text(scanner.string()?),
        Some(b'-' | b'0'..=b'9') => Value::Number(scanner.number()?),
        Some(b'{') => {
            let start = scanner.clone();
            scanner = nested_object(scanner)?;
            Value::Object(start.text_to(&scanner))
        }
        Some(b'[') => {
            let start = scanner.clone();
            let only;
            (only, scanner) = nested_array(scanner)?;
            match only {
                Some(Value::Text(text)) => Value::ArrayOf(text),
                _ => Value::Array(start.text_to(&scanner)),
            }
        }
        _ => {
            let start = scanner.clone();
            scanner = start.clone().literal()?;
            match start.text_to(&scanner) {
                "null" => Value::Null,
                boolean => Value::Boolean(boolean == "true"),
            }
        }
    };
    Ok((value, scanner))
}

// As deep as the scanner goes, and no deeper.
fn nested_object(scanner: Scanner<'_>) -> Result<Scanner<'_>, Refused> {
    object_in(scanner, |_, _| Ok(()))
}

/// With the element, if there is only one.
fn nested_array(scanner: Scanner<'_>) -> Result<(Option<Value<'_>>, Scanner<'_>), Refused> {
    let (mut only, mut count) = (None, 0);
    let rest = array_in(scanner, |value| {
        count += 1;
        only = Some(value).filter(|_| count == 1);
        Ok(())
    })?;
    Ok((only, rest))
}

/// The member names of one object, each allowed once.
struct Names<'p> {
    /// On the stack: few objects have more, and a token should cost no allocation for it.
    few: [&'p str; FEW],
    len: usize,
    /// A bit for each length with the characters at both ends: most names are told apart by it,
    /// which buys 0.05 µs of a new token (bench `overhead`, rows "never seen").
    seen: u64,
    /// The others: a scan of all names for every name would be an attack.
    many: BTreeSet<Cow<'p, str>>,
}

const FEW: usize = 16;

impl<'p> Names<'p> {
    fn new() -> Self {
        Self {
            few: [""; FEW],
            len: 0,
            seen: 0,
            many: BTreeSet::new(),
        }
    }

    #[inline(always)]
    fn add(&mut self, name: Cow<'p, str>) -> Result<(), Refused> {
        let (first, last) = match name.as_bytes() {
            [first, .., last] => (*first, *last),
            _ => (0, 0),
        };
        // Factors with which the claims of the common authorization servers have a bit each.
        let sum = 4 * usize::from(first) + 13 * usize::from(last) + 19 * name.len();
        let bit = 1 << (sum & 63);
        let is_told_apart = self.seen & bit == 0;
        self.seen |= bit;
        match name {
            Cow::Borrowed(name) if is_told_apart && self.len < FEW => {
                self.few[self.len] = name;
                self.len += 1;
                Ok(())
            }
            name => self.compare_and_add(name),
        }
    }

    fn compare_and_add(&mut self, name: Cow<'p, str>) -> Result<(), Refused> {
        if self.few[..self.len].contains(&&*name) || self.many.contains(&*name) {
            return Err(Refused::Duplicate);
        }
        match name {
            Cow::Borrowed(name) if self.len < FEW => {
                self.few[self.len] = name;
                self.len += 1;
            }
            name => {
                self.many.insert(name);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
