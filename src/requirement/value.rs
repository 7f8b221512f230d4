//! A requirement as a value of any serde format.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Requirement, Strength};
use crate::error::ConfigError;

/// What a serde value says with a flag.
const WORDS: [&str; 3] = ["none", "authenticated", "deny"];

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Joined(String),
    All(Vec<String>),
    Map(Map),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    #[serde(default, deserialize_with = "given")]
    all: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    any: Option<Vec<String>>,
    #[serde(default)]
    none: Flag,
    #[serde(default)]
    authenticated: Flag,
    #[serde(default)]
    deny: Flag,
    #[serde(default, deserialize_with = "given")]
    acr: Option<Values>,
    #[serde(default, deserialize_with = "given")]
    amr: Option<Values>,
    #[serde(default, deserialize_with = "given")]
    max_age: Option<Age>,
}

/// What came out empty is no list left out: the other one alone would need less.
fn given<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(value).map(Some)
}

// Variables of the environment hold nothing but texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Is(bool),
    Says(Word),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    True,
    False,
}

impl Default for Flag {
    fn default() -> Self {
        Self::Is(false)
    }
}

impl Flag {
    fn is_set(&self) -> bool {
        matches!(self, Self::Is(true) | Self::Says(Word::True))
    }
}

/// A list of values of `acr` or `amr`, or one text with white space between them, which no value
/// has.
#[derive(Deserialize)]
#[serde(from = "OneOrMany")]
pub(super) struct Values(pub(super) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Text(String),
    List(Vec<String>),
}

impl From<OneOrMany> for Values {
    fn from(values: OneOrMany) -> Self {
        Self(match values {
            OneOrMany::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            OneOrMany::List(list) => list,
        })
    }
}

/// Whole seconds, or a duration: `"300s"`, `"5m"`, `"1h 30m"`, `"1d"`.
///
/// The durations of a configuration are read by a crate that only the feature `config` brings, and
/// a policy is read without it as well.
#[derive(Clone, Copy)]
pub(super) struct Age(Duration);

impl Age {
    fn of(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        if let Ok(seconds) = rest.parse() {
            return Some(Self(Duration::from_secs(seconds)));
        }
        let mut all: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let after = after.trim_start();
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            let seconds = match unit {
                "s" => 1,
                "m" | "min" => 60,
                "h" => 3600,
                "d" => 86_400,
                _ => return None,
            };
            let number: u64 = number.parse().ok()?;
            all = all.checked_add(number.checked_mul(seconds)?)?;
            rest = after.trim_start();
        }
        (!text.trim().is_empty()).then_some(Self(Duration::from_secs(all)))
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ages;

        impl Visitor<'_> for Ages {
            type Value = Age;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"5m\" or \"8h\", or whole seconds")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Age, E> {
                Ok(Age(Duration::from_secs(seconds)))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Age, E> {
                let seconds = u64::try_from(seconds);
                let seconds = seconds.map_err(|_| E::custom("it is negative"))?;
                self.visit_u64(seconds)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Age, E> {
                Age::of(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(""), &self))
            }
        }

        deserializer.deserialize_any(Ages)
    }
}

impl Map {
    fn strength(&self) -> Result<Option<Strength>, ConfigError> {
        let mut strength = Strength::new();
        if let Some(Values(acr)) = &self.acr {
            strength = strength.acr(acr)?;
        }
        if let Some(Values(amr)) = &self.amr {
            strength = strength.amr(amr)?;
        }
        if let Some(Age(age)) = self.max_age {
            strength = strength.max_age(age)?;
        }
        Ok(Some(strength).filter(|strength| !strength.is_none()))
    }

    fn requirement<E: Error>(self) -> Result<Requirement, E> {
        let strength = self.strength().map_err(E::custom)?;
        let [none, authenticated, deny] =
            [&self.none, &self.authenticated, &self.deny].map(Flag::is_set);
        let names_scopes = self.all.is_some() || self.any.is_some();
        if none && (deny || authenticated || names_scopes || strength.is_some()) {
            return Err(E::custom(
                "`none` needs nothing, so `all`, `any`, `authenticated`, `acr`, `max_age` and \
                 `deny` contradict it",
            ));
        }
        if deny && (authenticated || names_scopes || strength.is_some()) {
            return Err(E::custom(
                "`deny` refuses every caller, so `all`, `any`, `authenticated`, `acr` and \
                 `max_age` beside it have no effect",
            ));
        }
        // What was to be filled in must not open an operation to every caller.
        if !deny && !none && !authenticated && !names_scopes && strength.is_none() {
            return Err(E::custom(
                "a map gives `all`, `any`, `acr`, `max_age`, or one of `none`, `authenticated` and \
                 `deny` as true",
            ));
        }
        let mut needs = Requirement {
            authenticated,
            denied: deny,
            strength: strength.unwrap_or_default(),
            ..Requirement::none()
        };
        if let Some(all) = self.all {
            needs = needs.and(&Requirement::all(all).map_err(E::custom)?);
        }
        if let Some(any) = self.any {
            needs = needs.and(&Requirement::any(any).map_err(E::custom)?);
        }
        Ok(needs)
    }
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer) {
            // It would be a scope, which clients are told to ask for.
            Ok(Value::Joined(word)) if WORDS.contains(&word.trim()) => {
                let word = word.trim();
                Err(D::Error::custom(format!(
                    "{word:?} would be a scope: write `{{\"{word}\": true}}`, or `[\"{word}\"]` \
                     for a scope of that name"
                )))
            }
            Ok(Value::Joined(joined)) => Self::try_from(&*joined).map_err(D::Error::custom),
            Ok(Value::All(names)) => Self::all(names).map_err(D::Error::custom),
            Ok(Value::Map(map)) => map.requirement(),
            Err(_) => Err(D::Error::custom(
                "scopes are a string, a list, or a map with `all`, `any`, `none`, `authenticated`, \
                 `deny`, `acr`, `amr` or `max_age`",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Strength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Own {
            #[serde(default, deserialize_with = "given")]
            acr: Option<Values>,
            #[serde(default, deserialize_with = "given")]
            amr: Option<Values>,
            #[serde(default, deserialize_with = "given")]
            max_age: Option<Age>,
        }

        let Own { acr, amr, max_age } = Own::deserialize(deserializer)?;
        let map = Map {
            all: None,
            any: None,
            none: Flag::default(),
            authenticated: Flag::default(),
            deny: Flag::default(),
            acr,
            amr,
            max_age,
        };
        let strength = map.strength().map_err(D::Error::custom)?;
        strength.ok_or_else(|| D::Error::custom("it gives `acr`, `max_age`, or both"))
    }
}
