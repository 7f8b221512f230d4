//! Where a secret stands, and how it is read.

use std::env::VarError;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::units::Listed;
use crate::error::ConfigError;
use crate::secret::open_to_others;
use crate::telemetry;

const EXPECTED: &str =
    "a secret: a string, `{ env = \"VARIABLE\" }` or `{ file = \"/run/secrets/name\" }`";

/// A secret in a configuration: the string itself, or where it stands.
///
/// ```toml
/// client_secret = "…"                                  # here
/// client_secret = { env = "CLIENT_SECRET" }            # in a variable of the environment
/// client_secret = { file = "/run/secrets/client" }     # in a file
/// ```
///
/// Only strings are taken: a number, `true` or a list is an error, so digits need quotes. No
/// error and no `Debug` shows the secret, and none shows what stands in the place of one.
///
/// A variable or a file is read when a layer is made, by [`resolve`](Self::resolve), so that a
/// reload reads it again.
///
/// ```
/// use tower_mcp_auth::config::SecretSource;
///
/// let secret: SecretSource = serde_json::from_str(r#""0123456789""#)?;
/// assert_eq!(secret.resolve()?.expose(), "0123456789");
/// assert_eq!(format!("{secret:?}"), "Text([redacted])");
///
/// let number = serde_json::from_str::<SecretSource>("0.123456789").unwrap_err();
/// assert!(!number.to_string().contains("123456789"));
///
/// let nowhere: SecretSource = serde_json::from_str(r#"{"env": "NO_SUCH_VARIABLE"}"#)?;
/// let error = nowhere.resolve().unwrap_err();
/// assert_eq!(error.to_string(), "secret: the variable NO_SUCH_VARIABLE is not set");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SecretSource(Source);

#[derive(Clone)]
enum Source {
    Text(SecretText),
    Env(String),
    File(PathBuf),
}

impl SecretSource {
    /// How large a secret may be, in bytes: 64 KiB. A key in PEM is far smaller.
    pub const MAX_BYTES: usize = 64 << 10;

    /// Reads the secret, now. One line break at its end (`\n` or `\r\n`) is dropped, because
    /// editors and `echo` add one.
    ///
    /// On Unix a file that others than its owner can read or change is warned of, at every
    /// reading.
    ///
    /// # Errors
    /// The variable is not set, or the file cannot be read or is no regular one; the secret is
    /// empty, larger than [`MAX_BYTES`](Self::MAX_BYTES), or not UTF-8; the file begins with a
    /// byte order mark. The error names the
    /// variable or the file.
    pub fn resolve(&self) -> Result<SecretText, ConfigError> {
        let found = match &self.0 {
            Source::Text(text) => bounded(text.clone()),
            Source::Env(name) => variable(name).and_then(bounded),
            Source::File(path) => content(path).and_then(bounded),
        };
        found.map_err(|why| ConfigError::new("secret", format!("{} {why}", self.place())))
    }

    fn place(&self) -> String {
        match &self.0 {
            Source::Text(_) => "the string".to_owned(),
            Source::Env(name) => format!("the variable {name}"),
            Source::File(path) => format!("the file {path:?}"),
        }
    }
}

/// The secret of a variable; the errors follow its name.
fn variable(name: &str) -> Result<SecretText, String> {
    match std::env::var(name) {
        Ok(value) => Ok(SecretText::new(value)),
        Err(VarError::NotPresent) => Err("is not set".to_owned()),
        Err(VarError::NotUnicode(_)) => Err("is not UTF-8".to_owned()),
    }
}

/// The secret in a file; the errors follow its name.
fn content(path: &Path) -> Result<SecretText, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let file = File::open(path).map_err(failed)?;
    if let Some(others) = open_to_others(&file.metadata().map_err(failed)?) {
        telemetry::weakened("secret", &format!("the file {path:?} {others}"));
    }
    // One line break and one byte more than may be there, in one piece: a buffer that grows
    // leaves copies behind. What the metadata says is not asked, because the file may grow.
    let limit = SecretSource::MAX_BYTES + 3;
    let mut bytes = Vec::with_capacity(limit + 1);
    let read = file.take(limit as u64).read_to_end(&mut bytes);
    if let Err(error) = read {
        bytes.zeroize();
        return Err(failed(error));
    }
    // It would be part of the secret, and no editor shows it.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.zeroize();
        return Err("begins with a byte order mark: save it without".to_owned());
    }
    String::from_utf8(bytes)
        .map(SecretText::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            "is not UTF-8".to_owned()
        })
}

/// Without one line break at the end, and then neither empty nor too large.
fn bounded(mut text: SecretText) -> Result<SecretText, String> {
    text.drop_line_break();
    match text.expose().len() {
        0 => Err("is empty".to_owned()),
        1..=SecretSource::MAX_BYTES => Ok(text),
        _ => Err(format!("has more than {} bytes", SecretSource::MAX_BYTES)),
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("Text([redacted])"),
            Source::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Source::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A secret that was read. It is wiped when dropped, and `Debug` does not print it.
///
/// The text of a configuration that holds the secret itself, and the environment, are not wiped:
/// a file is the place that leaves nothing behind.
pub struct SecretText(SecretBox<String>);

impl Clone for SecretText {
    fn clone(&self) -> Self {
        Self::new(self.expose().to_owned())
    }
}

impl SecretText {
    fn new(text: String) -> Self {
        Self(SecretBox::new(Box::new(text)))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    fn drop_line_break(&mut self) {
        let text = self.0.expose_secret_mut();
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText([redacted])")
    }
}

/// What serde's own messages about a value that is no string would show, which may be a secret.
macro_rules! refuse_all_but_strings {
    ($why:expr) => {
        refuse_all_but_strings!($why; visit_bool: bool, visit_i64: i64, visit_i128: i128,
            visit_u64: u64, visit_u128: u128, visit_f64: f64, visit_bytes: &[u8]);
    };
    ($why:expr; $($visit:ident: $kind:ty),*) => {
        $(fn $visit<E: Error>(self, _: $kind) -> Result<Self::Value, E> {
            Err(E::custom($why))
        })*
    };
}

const NO_STRING: &str =
    "a secret is a string, and this is none: put it in quotes, or name a variable or a file";

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sources;

        impl<'de> Visitor<'de> for Sources {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretSource, E> {
                self.visit_string(text.to_owned())
            }

            fn visit_string<E: Error>(self, text: String) -> Result<SecretSource, E> {
                let text = SecretText::new(text);
                match bounded(text.clone()) {
                    Ok(_) => Ok(SecretSource(Source::Text(text))),
                    Err(why) => Err(E::custom(format_args!("the string {why}"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
                let mut source = None;
                while let Some(Name(member)) = map.next_key()? {
                    let Name(value) = map.next_value()?;
                    let found = match &*member {
                        "env" if is_variable(&value) => Source::Env(value),
                        // It may be the secret, put into the wrong place.
                        "env" => {
                            return Err(A::Error::custom(
                                "`env` takes the name of a variable: letters, digits and `_`",
                            ));
                        }
                        "file" if !value.is_empty() => Source::File(value.into()),
                        "file" => return Err(A::Error::custom("`file` takes a path")),
                        _ => return Err(A::Error::custom(ONE_PLACE)),
                    };
                    if source.replace(found).is_some() {
                        return Err(A::Error::custom(ONE_PLACE));
                    }
                }
                source
                    .map(SecretSource)
                    .ok_or_else(|| A::Error::custom(ONE_PLACE))
            }

            refuse_all_but_strings!(NO_STRING);
        }

        deserializer.deserialize_any(Sources)
    }
}

/// Older keys, which are still good: a list, or a map by name.
///
/// A name is no place: `{ file = "…" }` would be a key by the name of `file`, and the path the key.
#[derive(Clone, Debug, Default)]
pub(super) struct OlderKeys(pub(super) Listed<SecretSource>);

impl OlderKeys {
    /// How a place is written, which is no name.
    pub(super) const PLACES: [&str; 2] = ["env", "file"];
}

impl<'de> Deserialize<'de> for OlderKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Listed::deserialize(deserializer)?;
        let is_place =
            |(step, _): &(String, _)| Self::PLACES.iter().any(|place| step[1..] == **place);
        match keys.items.iter().any(is_place) {
            true => Err(D::Error::custom(
                "`env` and `file` name no key here: write a list, `[{ file = \"…\" }]`, or give \
                 the key a name, `{ old = { file = \"…\" } }`",
            )),
            false => Ok(Self(keys)),
        }
    }
}

const ONE_PLACE: &str = "a secret stands in one place: give either `env` or `file`, and no more";

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(plain)
}

/// A string in a table that says where a secret stands; no message shows it.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl Visitor<'_> for Names {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.to_owned()))
            }

            refuse_all_but_strings!("the name of a variable or a file is a string");
        }

        deserializer.deserialize_any(Names)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for SecretSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretSource".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let place = |name: &str, pattern: &str, description: &str| {
            serde_json::json!({
                "type": "object",
                "description": description,
                "properties": { name: { "type": "string", "pattern": pattern } },
                "required": [name],
                "additionalProperties": false,
            })
        };
        schemars::json_schema!({
            "description": "A secret: the string itself, or where it stands.",
            "oneOf": [
                { "type": "string", "pattern": "^(?!\\r?\\n?$)", "writeOnly": true },
                place("env", "^[A-Za-z_][A-Za-z0-9_]*$", "In a variable of the environment."),
                place("file", ".", "In a file."),
            ],
        })
    }
}
