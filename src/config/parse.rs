//! Parses a configuration from text, or from any format of serde.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::Config;
use super::applied::Applied;
use super::outline::Outline;
use super::tree::Tree;
use crate::error::ConfigError;

impl Config {
    /// Reads JSON.
    ///
    /// # Errors
    /// It is not JSON, or not a configuration.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let tree = serde_json::from_str(json).map_err(|error| {
            // The message may repeat what was read.
            let (line, column) = (error.line(), error.column());
            unreadable(format!(
                "it is not JSON, or a name is there twice: line {line}, column {column}"
            ))
        })?;
        Self::from_tree(tree)
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// It is not TOML, or not a configuration.
    #[cfg(feature = "toml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "toml")))]
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let tree = toml::from_str(text).map_err(|error| {
            // The message repeats the line.
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            unreadable(format!("it is not TOML: line {line}"))
        })?;
        Self::from_tree(tree)
    }

    /// Reads what `deserializer` has.
    ///
    /// # Errors
    /// It is not a configuration. What the format itself cannot read is not repeated.
    pub fn deserialize_from<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, ConfigError> {
        let tree = Tree::deserialize(deserializer)
            .map_err(|_| unreadable("the format cannot be read".to_owned()))?;
        Self::from_tree(tree)
    }

    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        let outline = Outline::of(&tree);
        match serde_path_to_error::deserialize(tree) {
            Ok(sections) => Ok(Self {
                sections,
                applied: Arc::new(Applied::new(outline.sections())),
                outline,
                engine: None,
            }),
            Err(error) => {
                let path = error.inner().path(error.path());
                let error = ConfigError::new("configuration", error.inner().to_string());
                Err(if path.is_empty() {
                    error
                } else {
                    error.at(path)
                })
            }
        }
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Tree::deserialize(deserializer)?;
        Self::from_tree(tree).map_err(serde::de::Error::custom)
    }
}

fn unreadable(why: String) -> ConfigError {
    ConfigError::new("configuration", why)
}
