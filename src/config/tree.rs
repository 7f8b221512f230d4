//! A value of any format, read once more without ever repeating it.
//!
//! The errors of most formats quote what they did not expect, and that may be a secret in the
//! wrong place. So a value is taken as it is, and read with errors of our own.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    self, Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, one_of, shown};

/// What the `toml` crate makes of a time, for formats that have none.
const TOML_TIME: &str = "$__toml_private_datetime";

/// What serde_json makes of a number where its feature `arbitrary_precision` is on.
const JSON_NUMBER: &str = "$serde_json::private::Number";

/// What a setting asks for that takes a [`Tree::Moment`].
pub(super) const TIME: &str = "Time";

/// A value.
pub(super) enum Tree {
    Nothing,
    Flag(bool),
    Integer(i64),
    Natural(u64),
    Float(f64),
    Text(String),
    /// A time, where the format has them.
    Moment(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    /// What no setting is: bytes, and numbers of more than 64 bits.
    Strange,
}

impl Tree {
    fn number(text: &str) -> Self {
        if let Ok(natural) = text.parse() {
            return Self::Natural(natural);
        }
        match (text.parse(), text.parse()) {
            (Ok(integer), _) => Self::Integer(integer),
            (_, Ok(float)) if text.contains(['.', 'e', 'E']) => Self::Float(float),
            _ => Self::Strange,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Nothing)
            }

            fn visit_none<E>(self) -> Result<Tree, E> {
                Ok(Tree::Nothing)
            }

            fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Tree, D::Error> {
                Tree::deserialize(value)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, v: D) -> Result<Tree, D::Error> {
                Tree::deserialize(v)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
                Ok(Tree::Flag(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
                Ok(Tree::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
                Ok(Tree::Natural(number))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
                Ok(Tree::Float(number))
            }

            fn visit_i128<E>(self, _: i128) -> Result<Tree, E> {
                Ok(Tree::Strange)
            }

            fn visit_u128<E>(self, _: u128) -> Result<Tree, E> {
                Ok(Tree::Strange)
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Tree, E> {
                Ok(Tree::Strange)
            }

            fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Tree, E> {
                Ok(Tree::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut entries: Vec<(String, Tree)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Tree>()? {
                    if let (TOML_TIME, Tree::Text(time)) = (&*name, &value) {
                        return Ok(Tree::Moment(time.clone()));
                    }
                    if let (JSON_NUMBER, Tree::Text(number)) = (&*name, &value) {
                        return Ok(Tree::number(number));
                    }
                    // The last of two would win without a word.
                    if entries.iter().any(|(other, _)| *other == name) {
                        let name = shown(&name);
                        return Err(de::Error::custom(format!("{name} is there twice")));
                    }
                    entries.push((name, value));
                }
                Ok(Tree::Map(entries))
            }
        }

        deserializer.deserialize_any(Values)
    }
}

/// Flags and numbers may stand in texts: variables of the environment hold nothing else.
impl<'de> Deserializer<'de> for Tree {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Nothing => visitor.visit_unit(),
            Self::Flag(flag) => visitor.visit_bool(flag),
            Self::Integer(number) => visitor.visit_i64(number),
            Self::Natural(number) => visitor.visit_u64(number),
            Self::Float(number) => visitor.visit_f64(number),
            Self::Text(text) => visitor.visit_string(text),
            Self::Moment(_) | Self::Strange => {
                Err(de::Error::invalid_type(Unexpected::Other(""), &visitor))
            }
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Map(entries) => visitor.visit_map(MapDeserializer::new(entries.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            // What is filled in from a template and came out empty would switch a check off.
            Self::Nothing => Err(de::Error::custom(
                "nothing is here: give it a value, or leave it out",
            )),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            // Nothing else takes one: what is not in quotes is no text.
            Self::Moment(time) if name == TIME => visitor.visit_string(time),
            value => visitor.visit_newtype_struct(value),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            Self::Map(entries) if entries.len() == 1 => {
                let entries = MapDeserializer::new(entries.into_iter());
                MapAccessDeserializer::new(entries).deserialize_enum(name, variants, visitor)
            }
            Self::Map(_) => Err(de::Error::custom(format!("expected {}", one_of(variants)))),
            value => value.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Text(text) => match text.parse() {
                Ok(flag) => visitor.visit_bool(flag),
                Err(_) => visitor.visit_string(text),
            },
            value => value.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Text(text) => match text.parse() {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_string(text),
            },
            value => value.deserialize_any(visitor),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    /// A section is never a list of its settings in some order, which derived code would take.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &"a section")),
            value => value.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u16 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Fault> for Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
