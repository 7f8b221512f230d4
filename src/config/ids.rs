//! Lists of ids that are whole numbers.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::units::separated;

/// A list of whole numbers, or one of them; in a text with white space between them.
#[derive(Clone, Debug)]
pub(super) struct Ids(pub(super) Vec<u64>);

struct Id(u64);

struct OneId;

impl Visitor<'_> for OneId {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<u64, E> {
        Ok(id)
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<u64, E> {
        u64::try_from(id).map_err(|_| E::invalid_value(Unexpected::Signed(0), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        number(text).ok_or_else(|| E::invalid_value(Unexpected::Str(""), &self))
    }
}

/// Digits and nothing else: ids of other forms are of other things.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneId).map(Self)
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Ids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of whole numbers, or one, or a text with white space and no comma \
                     between them",
                )
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<Ids, E> {
                OneId.visit_u64(id).map(|id| Ids(vec![id]))
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<Ids, E> {
                OneId.visit_i64(id).map(|id| Ids(vec![id]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ids, E> {
                let ids = separated(text);
                let ids = ids.and_then(|ids| ids.into_iter().map(number).collect());
                ids.map(Ids)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(""), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Ids, A::Error> {
                let ids = Vec::<Id>::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(Ids(ids.into_iter().map(|Id(id)| id).collect()))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}
