//! Durations, sizes, times and lists as people write them.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::fault::step;
use super::tree::TIME;
use crate::error::ConfigError;
use crate::util::rfc3339_time;

/// A duration: `"30s"`, `"1h 30m"`, or whole seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

/// A size: `"4 MiB"`, `"64 kB"`, or bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) u64);

impl Size {
    /// As what fits into memory here.
    pub(super) fn bytes(self, path: String) -> Result<usize, ConfigError> {
        usize::try_from(self.0)
            .map_err(|_| ConfigError::new("size", "it is larger than memory can be").at(path))
    }
}

/// A time: `"2027-01-01T00:00:00Z"`, or seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) SystemTime);

/// How long something lives at most: a duration, or `"unlimited"`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    AtMost(Duration),
    Unlimited,
}

/// A text that is not empty: a variable that is set to nothing names nothing.
#[derive(Clone, Debug)]
pub(super) struct Name(String);

/// A list of texts, or one text with white space between its elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(pub(super) Vec<String>);

/// The elements of a list that is one text; `None` where there is none, or where commas stand
/// between them: each would be a part of an element, which nothing has then.
pub(super) fn separated(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&str> = text.split_whitespace().collect();
    let has_comma = |element: &&str| element.starts_with(',') || element.ends_with(',');
    (!elements.is_empty() && !elements.iter().any(has_comma)).then_some(elements)
}

/// A list, or a map by name: environment sources build no lists.
#[derive(Clone, Debug)]
pub(super) struct Listed<T> {
    /// How a path goes on to each (`[1]`, `.main`), and what is there.
    pub(super) items: Vec<(String, T)>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

/// What is written as a text with a unit or as a number.
trait Amount: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Option<Self>;
    fn from_number(number: u64) -> Option<Self>;
}

impl Amount for Span {
    const EXPECTED: &'static str = "a duration such as \"30s\" or \"10m\", or whole seconds";

    fn from_text(text: &str) -> Option<Self> {
        // `M` would be months, and is hardly ever meant so.
        let is_clear = !text.contains('M');
        let span = is_clear.then(|| humantime::parse_duration(text).ok());
        span.flatten().map(Self)
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(Duration::from_secs(number)))
    }
}

impl Amount for Life {
    const EXPECTED: &'static str =
        "a duration such as \"30s\" or \"10m\", whole seconds, or \"unlimited\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "unlimited" => Some(Self::Unlimited),
            text => Span::from_text(text).map(|Span(time)| Self::AtMost(time)),
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self::AtMost(Duration::from_secs(number)))
    }
}

impl Amount for Size {
    const EXPECTED: &'static str = "a size such as \"64 KiB\" or \"4 MiB\", or bytes";

    fn from_text(text: &str) -> Option<Self> {
        let size: bytesize::ByteSize = text.parse().ok()?;
        Some(Self(size.as_u64()))
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

impl Amount for Time {
    const EXPECTED: &'static str = "a time like 2027-01-01T00:00:00Z, or seconds since 1970";

    fn from_text(text: &str) -> Option<Self> {
        UNIX_EPOCH.checked_add(rfc3339_time(text)?).map(Self)
    }

    fn from_number(number: u64) -> Option<Self> {
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(number))?;
        Some(Self(at))
    }
}

struct Amounts<T>(PhantomData<T>);

impl<'de, T: Amount> Visitor<'de> for Amounts<T> {
    type Value = T;

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        inner.deserialize_any(self)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(0), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(0), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        // Some sources give a number as a text.
        let amount = match text.parse() {
            Ok(number) => T::from_number(number),
            Err(_) => T::from_text(text),
        };
        amount.ok_or_else(|| E::invalid_value(Unexpected::Str(""), &self))
    }
}

macro_rules! amount {
    ($($amount:ident)*) => {$(
        impl<'de> Deserialize<'de> for $amount {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Amounts(PhantomData))
            }
        }
    )*};
}

amount! { Span Size Life }

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TIME, Amounts(PhantomData))
    }
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl Visitor<'_> for Names {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text that is not empty")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                match text.trim().is_empty() {
                    true => Err(E::invalid_value(Unexpected::Str(""), &self)),
                    false => Ok(Name(text.to_owned())),
                }
            }
        }

        deserializer.deserialize_str(Names)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of texts, or a text that is not empty, with white space and no comma \
                     between them",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                // A variable that is set to nothing is a mistake, and no list is what opens some
                // settings up; `[]` says that it is meant.
                match separated(text) {
                    Some(texts) => Ok(Texts(texts.into_iter().map(str::to_owned).collect())),
                    None => Err(E::invalid_value(Unexpected::Str(""), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Texts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Texts)
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListOrMap<T> {
            type Value = Listed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, or a map by name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push((format!("[{}]", items.len()), item));
                }
                Ok(Listed { items })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed<T>, A::Error> {
                let mut items = Vec::new();
                while let Some((name, item)) = map.next_entry::<String, T>()? {
                    items.push((format!(".{}", step(&name)), item));
                }
                Ok(Listed { items })
            }
        }

        deserializer.deserialize_any(ListOrMap(PhantomData))
    }
}
