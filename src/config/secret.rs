//! Where a secret stands.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::error::ConfigError;

/// A secret: the text itself, the name of a variable of the environment, or a file.
#[derive(Clone)]
pub(crate) enum SecretSource {
    Text(SecretString),
    Env(String),
    File(PathBuf),
}

impl SecretSource {
    /// Reads the secret.
    pub(crate) fn resolve(&self) -> Result<SecretText, ConfigError> {
        let refuse = |why: String| ConfigError::new("secret", why);
        let (text, place) = match self {
            Self::Text(text) => (text.clone(), "the secret".to_owned()),
            Self::Env(name) => {
                let value = std::env::var(name).map_err(|error| match error {
                    std::env::VarError::NotPresent => {
                        refuse(format!("the variable {name:?} is not set"))
                    }
                    std::env::VarError::NotUnicode(_) => {
                        refuse(format!("the variable {name:?} is not UTF-8"))
                    }
                })?;
                (value.into(), format!("the variable {name:?}"))
            }
            Self::File(file) => {
                let value = std::fs::read_to_string(file)
                    .map_err(|error| refuse(format!("the file {file:?}: {}", error.kind())))?;
                let value: SecretString = value.into();
                let one_less = value.expose_secret();
                let one_less = one_less.strip_suffix('\n').unwrap_or(one_less);
                let one_less = one_less.strip_suffix('\r').unwrap_or(one_less);
                (one_less.to_owned().into(), format!("the file {file:?}"))
            }
        };
        if text.expose_secret().is_empty() {
            return Err(refuse(format!("{place} is empty")));
        }
        Ok(SecretText(text))
    }
}

/// A secret that was read.
pub(crate) struct SecretText(SecretString);

impl SecretText {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("<secret>"),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[derive(Default)]
        struct Place {
            env: Option<String>,
            file: Option<PathBuf>,
        }

        struct Sources;

        impl<'de> Visitor<'de> for Sources {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: a text (digits in quotes), `env` or `file`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretSource, E> {
                self.visit_string(text.to_owned())
            }

            fn visit_string<E: Error>(self, text: String) -> Result<SecretSource, E> {
                Ok(SecretSource::Text(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
                match Place::deserialize(MapAccessDeserializer::new(map))? {
                    Place {
                        env: Some(name),
                        file: None,
                    } => Ok(SecretSource::Env(name)),
                    Place {
                        env: None,
                        file: Some(file),
                    } => Ok(SecretSource::File(file)),
                    _ => Err(A::Error::custom("a secret has one of `env` and `file`")),
                }
            }
        }

        deserializer.deserialize_any(Sources)
    }
}
