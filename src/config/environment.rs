//! Variables of the environment as a configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::ConfigError;

/// Variables of the environment as part of a configuration, each value a string.
///
/// With the prefix `MCP_AUTH_` the variable `MCP_AUTH_SESSION__KEY` is the setting
/// `session.key`: the rest of the name, in lower case, with `__` between the parts of the
/// place. Elements of lists that can be maps have names
/// (`MCP_AUTH_AUTHORIZATION_SERVERS__MAIN__ISSUER`), and a list of texts is one text with white
/// space between its elements. What has names in capitals or with other characters, such as
/// tools in a policy, needs a file.
///
/// Where the file has a list and a variable names an element, most ways to put the two together
/// take the variables alone: name the elements in the file, too.
///
/// A source that guesses the kind of a value makes a number of a secret that has only digits,
/// and loses its zeros. This one does not: numbers and flags are read from strings, where a
/// setting wants them.
///
/// Read a file as a configuration of its own first: what most sources say of a line that is no
/// TOML repeats the line, with the secret that may stand there. [`Config::from_toml`] does not.
///
/// [`Config::from_toml`]: crate::config::Config::from_toml
///
/// ```
/// use figment::Figment;
/// use figment::providers::Serialized;
/// use tower_mcp_auth::config::{Config, Environment};
///
/// // `Environment::read("MCP_AUTH_")` in a server.
/// let variables = Environment::of("MCP_AUTH_", [
///     ("MCP_AUTH_RESOURCE", "https://mcp.example.com/mcp"),
///     ("MCP_AUTH_AUTHORIZATION_SERVERS__MAIN__ISSUER", "https://auth.example.com"),
///     ("MCP_AUTH_OPERATIONS__MAX_BODY_BYTES", "2 MiB"),
/// ])?;
/// let config: Config = Figment::from(Serialized::defaults(variables)).extract()?;
/// config.auth_layer()?;
///
/// let misspelt = Environment::of("MCP_AUTH_", [("MCP_AUTH_RESSOURCE", "https://mcp.example.com")])?;
/// let error = Figment::from(Serialized::defaults(misspelt)).extract::<Config>().unwrap_err();
/// assert!(error.to_string().contains("`ressource` is no setting"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `examples/config_server.rs` merges the variables over a file:
/// `Figment::from(Toml::string(&file)).merge(Serialized::defaults(variables))`.
///
/// `Debug` shows names alone; serializing it shows the values.
#[derive(Clone, Default)]
pub struct Environment {
    settings: BTreeMap<String, Setting>,
}

#[derive(Clone)]
enum Setting {
    Text(String),
    Section(BTreeMap<String, Self>),
}

impl Environment {
    /// The variables of this process with names that begin with `prefix`, in capitals as given.
    ///
    /// # Errors
    /// The prefix is empty, a value is not UTF-8, a part of a name is empty, or one variable
    /// is a setting of which another is a part. The error names the variable.
    pub fn read(prefix: &str) -> Result<Self, ConfigError> {
        Self::of(prefix, std::env::vars_os())
    }

    /// The same, of these variables.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn of<N, V>(
        prefix: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        if prefix.is_empty() {
            return Err(refused(
                "the prefix is empty: every variable would be a setting".into(),
            ));
        }
        let mut all = Self::default();
        for (name, value) in variables {
            // A name that is not UTF-8 names no setting of ours; with the prefix it is a mistake.
            let name = name.into();
            let name = name.to_string_lossy();
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            let fail = |why: &str| refused(format!("the variable {name:?} {why}"));
            let value = value.into().into_string();
            let value = value.map_err(|_| fail("is not UTF-8"))?;
            let rest = rest.to_ascii_lowercase();
            let parts: Vec<&str> = rest.split("__").collect();
            if parts.iter().any(|part| part.is_empty()) {
                return Err(fail("has a part without a name"));
            }
            put(&mut all.settings, &parts, value)
                .map_err(|()| fail("is a part of another, or another is a part of it"))?;
        }
        Ok(all)
    }
}

fn put(into: &mut BTreeMap<String, Setting>, parts: &[&str], value: String) -> Result<(), ()> {
    let [first, rest @ ..] = parts else {
        return Err(());
    };
    if rest.is_empty() {
        let before = into.insert((*first).to_owned(), Setting::Text(value));
        return before.map_or(Ok(()), |_| Err(()));
    }
    let section = into
        .entry((*first).to_owned())
        .or_insert_with(|| Setting::Section(BTreeMap::new()));
    match section {
        Setting::Section(settings) => put(settings, rest, value),
        Setting::Text(_) => Err(()),
    }
}

fn refused(why: String) -> ConfigError {
    ConfigError::new("environment", why)
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.settings.serialize(serializer)
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Section(settings) => settings.serialize(serializer),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.settings).finish()
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It may be a secret.
            Self::Text(_) => f.write_str("…"),
            Self::Section(settings) => settings.fmt(f),
        }
    }
}
