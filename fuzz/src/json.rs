//! What serde_json sees in a text, and what of it our readers refuse.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What serde_json gives a meaning of its own.
pub const RESERVED: &str = "$serde_json::private::";

/// The longest string that our scanner copies.
pub const LONGEST_COPY: usize = 64 * 1024;

/// What a text has that is JSON to serde_json, and that our readers may refuse.
#[derive(Debug, Default)]
pub struct Facts {
    /// Arrays and objects inside one another.
    pub depth: u32,
    pub duplicate: bool,
    pub reserved: bool,
    /// A number of 1e308 or more.
    pub huge_number: bool,
    /// A name that has to be copied, and is longer than those that are.
    pub long_name: bool,
    /// Such a string of any kind.
    pub long_string: bool,
}

impl Facts {
    /// `None`: it is no JSON to serde_json.
    pub fn of(text: &str) -> Option<Self> {
        let mut facts = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let walk = Walk {
            facts: &mut facts,
            depth: 0,
        };
        walk.deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(facts)
    }

    /// Whether a reader of values refuses nothing of it.
    pub fn is_plain(&self, max_depth: u32) -> bool {
        self.depth <= max_depth && !self.duplicate && !self.reserved && !self.huge_number
    }
}

struct Walk<'f> {
    facts: &'f mut Facts,
    depth: u32,
}

impl Walk<'_> {
    fn inside(&mut self) -> Walk<'_> {
        let depth = self.depth + 1;
        self.facts.depth = self.facts.depth.max(depth);
        Walk {
            facts: self.facts,
            depth,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.facts.huge_number |= number.abs() >= 1e308;
        Ok(())
    }

    /// Without escapes: nothing is copied.
    fn visit_borrowed_str<E>(self, _: &'de str) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.facts.long_string |= text.len() > LONGEST_COPY;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut inside = self.inside();
        while list
            .next_element_seed(Walk {
                facts: inside.facts,
                depth: inside.depth,
            })?
            .is_some()
        {
            inside = self.inside();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        loop {
            let inside = self.inside();
            let Some(name) = map.next_key::<String>()? else {
                return Ok(());
            };
            inside.facts.reserved |= name.starts_with(RESERVED);
            // Without escapes it would not have been copied; so long a name is no more refused
            // than it need be.
            inside.facts.long_name |= name.len() > LONGEST_COPY;
            inside.facts.duplicate |= !names.insert(name);
            map.next_value_seed(inside)?;
        }
    }
}

/// Whether it is JSON to serde_json where nothing is made of it: at any depth, with halves of
/// surrogate pairs.
pub fn is_skipped(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The depth of a text that is skipped, and whether it has a name that is reserved.
pub fn skipped_facts(text: &str) -> (u32, bool) {
    let (mut depth, mut deepest, mut reserved) = (0_u32, 0_u32, false);
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth -= 1,
            b'"' => {
                let end = end_of_string(after);
                let (string, after) = rest.split_at(1 + end);
                let is_name = after.trim_ascii_start().starts_with(b":");
                reserved |= is_name && begins_reserved(string);
                rest = after;
                continue;
            }
            _ => {}
        }
        rest = after;
    }
    (deepest, reserved)
}

/// Behind the `"` that ends a string.
fn end_of_string(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn begins_reserved(string: &[u8]) -> bool {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<bool, E> {
            Ok(bytes.starts_with(RESERVED.as_bytes()))
        }
    }

    // As bytes, halves of surrogate pairs can be read.
    serde_json::Deserializer::from_slice(string)
        .deserialize_bytes(Bytes)
        .expect("a string")
}
