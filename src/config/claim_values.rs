//! What a claim is required to be.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::units::separated;
use crate::oauth::ClaimValue;

/// A list of texts, booleans and whole numbers, or one of them; a text with white space
/// between its elements is a list.
#[derive(Clone, Debug)]
pub(super) struct ClaimValues(pub(super) Vec<ClaimValue>);

struct One(ClaimValue);

struct OneValue;

impl Visitor<'_> for OneValue {
    type Value = ClaimValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, `true` or `false`, or a whole number")
    }

    fn visit_bool<E: Error>(self, boolean: bool) -> Result<ClaimValue, E> {
        Ok(boolean.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ClaimValue, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ClaimValue, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ClaimValue, E> {
        Ok(text.into())
    }
}

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneValue).map(Self)
    }
}

impl<'de> Deserialize<'de> for ClaimValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = ClaimValues;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of texts, `true`, `false` and whole numbers, or one of them; between \
                     texts in one text stands white space, and no comma",
                )
            }

            fn visit_bool<E: Error>(self, boolean: bool) -> Result<ClaimValues, E> {
                Ok(ClaimValues(vec![boolean.into()]))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<ClaimValues, E> {
                Ok(ClaimValues(vec![number.into()]))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<ClaimValues, E> {
                Ok(ClaimValues(vec![number.into()]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ClaimValues, E> {
                match separated(text) {
                    Some(texts) => Ok(ClaimValues(texts.into_iter().map(Into::into).collect())),
                    None => Err(E::invalid_value(Unexpected::Str(""), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ClaimValues, A::Error> {
                let values = Vec::<One>::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(ClaimValues(
                    values.into_iter().map(|One(value)| value).collect(),
                ))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}
