//! A JSON value of our own, which no feature of serde_json in another crate's build can change.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::{Deref, Index};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{Fault, Scanner};

/// A JSON value that can be read and not changed.
///
/// No feature of `serde_json` changes it, in whichever crate it is on: a number is a number here
/// with `arbitrary_precision` too. An index that leads nowhere gives `null`, as in `serde_json`:
///
/// ```
/// use tower_mcp_auth::mcp::{Operation, PolicyDecision};
///
/// fn check(call: &Operation<'_>) -> PolicyDecision {
///     let Some(arguments) = call.arguments() else {
///         return PolicyDecision::Allow;
///     };
///     let is_large = arguments["amount"].as_f64().is_none_or(|amount| amount > 1000.0);
///     match arguments["to"] == "production" || is_large {
///         true => PolicyDecision::Deny,
///         false => PolicyDecision::Allow,
///     }
/// }
/// ```
///
/// For a type of your own, go through its `Serialize`:
/// `serde_json::from_value(serde_json::to_value(arguments)?)`.
#[derive(Clone)]
pub struct JsonValue<'a>(Kind<'a>);

#[derive(Clone)]
enum Kind<'a> {
    Null,
    Bool(bool),
    /// As it is written; it is below 1e308.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<JsonValue<'a>>),
    Object(BTreeMap<Cow<'a, str>, JsonValue<'a>>),
}

/// What an index that leads nowhere gives.
static NULL: JsonValue<'static> = JsonValue(Kind::Null);

impl<'a> JsonValue<'a> {
    /// Reads a text that is one value and nothing else, and in which no object has a member
    /// twice.
    pub(crate) fn read(text: &'a str, max_depth: u32) -> Result<Self, Fault> {
        let mut json = Scanner::strict(text, max_depth);
        let value = Self::next(&mut json)?;
        json.finish()?;
        Ok(value)
    }

    // As deep as the scanner goes, and no deeper; so are `Debug`, `Drop` and what else follows
    // a value to its leaves.
    fn next(json: &mut Scanner<'a>) -> Result<Self, Fault> {
        Ok(Self(match json.peek() {
            Some(b'"') => Kind::String(json.long_string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(json.number()?),
            Some(b'[') => {
                let mut array = Vec::new();
                let mut elements = json.enter(b'[')?;
                while json.element(&mut elements)? {
                    array.push(Self::next(json)?);
                }
                Kind::Array(array)
            }
            Some(b'{') => {
                let mut object = BTreeMap::new();
                let mut members = json.enter(b'{')?;
                while let Some(name) = json.member(&mut members)? {
                    let Entry::Vacant(place) = object.entry(name) else {
                        return Err(Fault::Twice);
                    };
                    place.insert(Self::next(json)?);
                }
                Kind::Object(object)
            }
            _ => match json.skip()? {
                "null" => Kind::Null,
                boolean => Kind::Bool(boolean == "true"),
            },
        }))
    }

    /// Whether it is `null`, or an index led nowhere.
    pub fn is_null(&self) -> bool {
        matches!(self.0, Kind::Null)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self.0 {
            Kind::Bool(boolean) => Some(boolean),
            _ => None,
        }
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.0, Kind::Number(_))
    }

    /// A number, as near as an `f64` comes to it; always finite.
    pub fn as_f64(&self) -> Option<f64> {
        self.number()?.parse().ok()
    }

    /// A whole number, however it is written: `1000`, `1000.0` and `1e3` are one.
    ///
    /// `None` where it does not fit, and for one with a point or an exponent also beyond 2^53,
    /// where an `f64` is no longer exact.
    pub fn as_i64(&self) -> Option<i64> {
        let number = self.number()?;
        let exact = |whole: f64| whole as i64;
        number.parse().ok().or_else(|| whole(number).map(exact))
    }

    /// A whole number that is not negative; see [`as_i64`](Self::as_i64).
    pub fn as_u64(&self) -> Option<u64> {
        let number = self.number()?;
        let exact = |whole: f64| (whole >= 0.0).then_some(whole as u64);
        number
            .parse()
            .ok()
            .or_else(|| whole(number).and_then(exact))
    }

    fn number(&self) -> Option<&'a str> {
        match self.0 {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match &self.0 {
            Kind::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.0, Kind::Object(_))
    }

    /// The members of an object, ordered by name; none of anything else.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members = match &self.0 {
            Kind::Object(object) => Some(object),
            _ => None,
        };
        members
            .into_iter()
            .flatten()
            .map(|(name, value)| (&**name, value))
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.0 {
            Kind::Object(object) => object.get(name),
            _ => None,
        }
    }
}

/// A number with a point or an exponent, if it is whole and an `f64` is exact about it.
fn whole(number: &str) -> Option<f64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number: f64 = number.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number)
}

impl Index<&str> for JsonValue<'_> {
    type Output = Self;

    /// A member of an object; `null` where there is none.
    fn index(&self, name: &str) -> &Self {
        self.get(name).unwrap_or(&NULL)
    }
}

impl Index<usize> for JsonValue<'_> {
    type Output = Self;

    /// An element of an array, counted from 0; `null` where there is none.
    fn index(&self, index: usize) -> &Self {
        let array = self.as_array();
        array.and_then(|array| array.get(index)).unwrap_or(&NULL)
    }
}

/// Numbers are equal by value: `1` and `1.0` are.
impl PartialEq for JsonValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Bool(one), Kind::Bool(other)) => one == other,
            (Kind::Number(one), Kind::Number(two)) => {
                one == two
                    || match (self.as_i64(), other.as_i64()) {
                        (Some(one), Some(two)) => one == two,
                        (None, None) => match (self.as_u64(), other.as_u64()) {
                            (None, None) => self.as_f64() == other.as_f64(),
                            (one, two) => one == two,
                        },
                        _ => false,
                    }
            }
            (Kind::String(one), Kind::String(other)) => one == other,
            (Kind::Array(one), Kind::Array(other)) => one == other,
            (Kind::Object(one), Kind::Object(other)) => one == other,
            _ => false,
        }
    }
}

impl PartialEq<Value> for JsonValue<'_> {
    fn eq(&self, other: &Value) -> bool {
        match (&self.0, other) {
            (Kind::Null, Value::Null) => true,
            (Kind::Bool(own), Value::Bool(other)) => own == other,
            (Kind::Number(_), Value::Number(other)) => {
                *self == JsonValue(Kind::Number(&other.to_string()))
            }
            (Kind::String(own), Value::String(other)) => own == other,
            (Kind::Array(own), Value::Array(other)) => own == other,
            (Kind::Object(own), Value::Object(other)) => {
                own.len() == other.len()
                    && own
                        .iter()
                        .all(|(name, own)| other.get(&**name).is_some_and(|other| own == other))
            }
            _ => false,
        }
    }
}

macro_rules! equals {
    ($($other:ty: $as:ident, $of:expr;)*) => {$(
        impl PartialEq<$other> for JsonValue<'_> {
            fn eq(&self, other: &$other) -> bool {
                self.$as() == Some($of(other))
            }
        }

        impl PartialEq<JsonValue<'_>> for $other {
            fn eq(&self, other: &JsonValue<'_>) -> bool {
                other == self
            }
        }
    )*};
}

equals! {
    str: as_str, std::convert::identity;
    &str: as_str, Deref::deref;
    String: as_str, String::as_str;
    bool: as_bool, |other: &bool| *other;
    i32: as_i64, |other: &i32| i64::from(*other);
    i64: as_i64, |other: &i64| *other;
    u32: as_u64, |other: &u32| u64::from(*other);
    u64: as_u64, |other: &u64| *other;
    f64: as_f64, |other: &f64| *other;
}

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(boolean) => serializer.serialize_bool(*boolean),
            Kind::Number(number) => match (number.parse(), number.parse()) {
                (Ok(whole), _) => serializer.serialize_u64(whole),
                // `-0` is no integer to serde_json.
                (_, Ok(whole)) if whole != 0 => serializer.serialize_i64(whole),
                _ => serializer.serialize_f64(self.as_f64().unwrap_or_default()),
            },
            Kind::String(text) => serializer.serialize_str(text),
            Kind::Array(array) => serializer.collect_seq(array),
            Kind::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for (name, value) in object {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl fmt::Debug for JsonValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Null => f.write_str("null"),
            Kind::Bool(boolean) => write!(f, "{boolean}"),
            Kind::Number(number) => f.write_str(number),
            Kind::String(text) => write!(f, "{text:?}"),
            Kind::Array(array) => f.debug_list().entries(array).finish(),
            Kind::Object(object) => f.debug_map().entries(object).finish(),
        }
    }
}
