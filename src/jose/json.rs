//! Strict JSON: what two parsers could read differently, or what costs more than it may,
//! is refused. Duplicate members at any depth, and nesting beyond a limit.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// RFC 8259 sets no limit; a token of real life needs four levels.
pub(super) const MAX_DEPTH: usize = 32;

/// Names that serde_json gives a meaning of its own when one of its features is on anywhere
/// in the build: an object that uses one would read one way here and another in `Value`.
/// Numbers themselves arrive as an object of `NUMBER` then, with [`Digits`] as its value.
const NUMBER: &str = "$serde_json::private::Number";
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads a text that is one object and nothing else.
pub(super) fn read_object<'de, V: Visitor<'de>>(
    json: &'de [u8],
    visitor: V,
) -> Result<V::Value, serde_json::Error> {
    // All at once: string by string it costs several times as much.
    let json = std::str::from_utf8(json).map_err(serde_json::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = deserializer.deserialize_map(visitor)?;
    deserializer.end()?;
    Ok(value)
}

/// A string, borrowed from the input where it has no escapes.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// The digits of a number under serde_json's `arbitrary_precision`. They come as a `String`
/// made for the purpose; what stands in the text itself comes borrowed or copied, and is
/// refused: `{"$serde_json::private::Number":"1"}` in a token is an object, and no number.
struct Digits;

impl<'de> DeserializeSeed<'de> for Digits {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_string(self)
    }
}

impl Visitor<'_> for Digits {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<String, E> {
        Err(E::custom(RESERVED))
    }

    fn visit_string<E: Error>(self, digits: String) -> Result<String, E> {
        Ok(digits)
    }
}

/// A JSON object as a map, where nothing in it is ambiguous or nested too deeply.
#[cfg(feature = "oauth")]
pub(crate) fn object(json: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let mut strict = serde_json::Deserializer::from_slice(json);
    let read = Skip(0)
        .deserialize(&mut strict)
        .and_then(|()| strict.end())
        .and_then(|()| serde_json::from_slice(json));
    read.map_err(|error| {
        let text = error.to_string();
        // What was refused, and nothing of what was sent.
        let known = [DUPLICATE, TOO_DEEP, RESERVED]
            .into_iter()
            .find(|known| text.starts_with(known));
        known.unwrap_or("not one JSON object").to_owned()
    })
}

/// The member names of one object, each allowed once.
pub(super) struct Names<'de> {
    /// On the stack: few objects have more, and a token should cost no allocation for it.
    few: [Cow<'de, str>; FEW],
    len: usize,
    /// A bit for each length and first character: most names are told apart by it.
    seen: u64,
    many: HashSet<Cow<'de, str>>,
}

/// Up to this many names a scan is cheaper than a hash; beyond it, a scan of all names for
/// every name would be an attack.
const FEW: usize = 16;

impl<'de> Names<'de> {
    pub(super) fn new() -> Self {
        Self {
            few: [const { Cow::Borrowed("") }; FEW],
            len: 0,
            seen: 0,
            many: HashSet::new(),
        }
    }

    pub(super) fn add<E: Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        let first = name.bytes().next().unwrap_or_default();
        if first == b'$' && (name == RAW_VALUE || name == NUMBER) {
            return Err(E::custom(RESERVED));
        }
        let bit = 1 << ((usize::from(first) ^ (name.len() << 3)) & 63);
        let mut repeated = self.seen & bit != 0 && self.few[..self.len].contains(&name);
        self.seen |= bit;
        if self.len < FEW {
            self.few[self.len] = name;
            self.len += 1;
        } else {
            repeated |= !self.many.insert(name);
        }
        if repeated {
            return Err(E::custom(DUPLICATE));
        }
        Ok(())
    }
}

pub(super) const DUPLICATE: &str = "duplicate member";
pub(super) const TOO_DEEP: &str = "nested too deeply";
pub(super) const RESERVED: &str = "reserved member name";

/// Any value, checked and forgotten; holds the depth it stands at.
pub(super) struct Skip(pub(super) usize);

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Skip {
    fn inner<E: Error>(&self) -> Result<usize, E> {
        if self.0 >= MAX_DEPTH {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(self.0 + 1)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.inner()?;
        while seq.next_element_seed(Self(depth))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = map.next_key_seed(Text)?;
        if next.as_deref() == Some(NUMBER) {
            // Without the feature, serde_json refuses what no f64 holds.
            let digits = map.next_value_seed(Digits)?;
            return match digits.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(()),
                _ => Err(A::Error::custom("number out of range")),
            };
        }
        let depth = self.inner()?;
        let mut names = Names::new();
        while let Some(name) = next {
            names.add(name)?;
            map.next_value_seed(Self(depth))?;
            next = map.next_key_seed(Text)?;
        }
        Ok(())
    }
}
