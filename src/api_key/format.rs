//! The format of keys this crate makes.

use std::fmt;

use crate::error::ConfigError;

/// GitHub's order: digits, upper case, lower case.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_CHARS: usize = 12;
const SECRET_CHARS: usize = 32;
const CHECKSUM_CHARS: usize = 6;
/// All after the underscore that follows the prefix.
const TAIL_CHARS: usize = ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;
const PREFIX_CHARS: std::ops::RangeInclusive<usize> = 2..=32;

/// A key in the format of [`ApiKey::generate`](super::ApiKey::generate), taken apart.
///
/// For a scanner of repositories and logs: what fits the [format](crate::api_key#key-format)
/// and has a good checksum is a key, and what it is called can be looked up. Whether it is
/// live, only its server knows. `Debug` prints prefix and id.
///
/// ```
/// use tower_mcp_auth::api_key::{KeyFormatError, ParsedKey};
///
/// let key = ParsedKey::parse("acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr")?;
/// assert_eq!((key.prefix(), key.id()), ("acme", "V5f2Q0sYx8Lk"));
///
/// let mistyped = "acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHx";
/// assert_eq!(ParsedKey::parse(mistyped).unwrap_err(), KeyFormatError::Checksum);
/// # Ok::<(), KeyFormatError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ParsedKey<'a> {
    prefix: &'a str,
    id: &'a str,
}

impl<'a> ParsedKey<'a> {
    /// Takes a key apart, and checks its checksum.
    ///
    /// # Errors
    /// The text does not have the format, or the checksum does not fit.
    pub fn parse(key: &'a str) -> Result<Self, KeyFormatError> {
        let shape = Shape::of(key).ok_or(KeyFormatError::Shape)?;
        if !shape.is_whole() {
            return Err(KeyFormatError::Checksum);
        }
        Ok(Self {
            prefix: shape.prefix,
            id: shape.id,
        })
    }

    /// What names the service of these keys.
    pub fn prefix(&self) -> &'a str {
        self.prefix
    }

    /// What the key is called, where the key itself must not be named: no secret, and
    /// random.
    pub fn id(&self) -> &'a str {
        self.id
    }
}

impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedKey")
            .field("prefix", &self.prefix)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why a text is no key of this crate's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFormatError {
    /// It is something else.
    Shape,
    /// It looks like one, and was mistyped or made up.
    Checksum,
}

impl fmt::Display for KeyFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "not in the format of a generated API key",
            Self::Checksum => "the checksum of the API key does not fit",
        })
    }
}

impl std::error::Error for KeyFormatError {}

/// A text that looks like a generated key. The checksum is looked at when asked for.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    prefix: &'a str,
    pub(super) id: &'a str,
    checked: &'a str,
    checksum: &'a str,
}

impl<'a> Shape<'a> {
    pub(super) fn of(key: &'a str) -> Option<Self> {
        let at = key.len().checked_sub(TAIL_CHARS + 1)?;
        let (prefix, tail) = key.split_at_checked(at)?;
        let tail = tail.strip_prefix('_')?;
        let (id, rest) = tail.split_at_checked(ID_CHARS)?;
        let rest = rest.strip_prefix('_')?;
        let (checked, checksum) = key.split_at_checked(key.len() - CHECKSUM_CHARS)?;
        let base62 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_prefix(prefix) && base62(id) && base62(rest)).then_some(Self {
            prefix,
            id,
            checked,
            checksum,
        })
    }

    /// Whether the checksum fits.
    pub(super) fn is_whole(&self) -> bool {
        checksum(self.checked) == self.checksum.as_bytes()
    }
}

/// A new key. `fill` fills a buffer with secure random bytes.
pub(super) fn make(
    prefix: &str,
    mut fill: impl FnMut(&mut [u8]) -> Result<(), ConfigError>,
) -> Result<String, ConfigError> {
    if !is_prefix(prefix) {
        return Err(ConfigError::new(
            "prefix",
            format!(
                "{prefix:?} cannot begin a key: use {} to {} lower-case letters and digits, a \
                 letter first, single underscores between words",
                PREFIX_CHARS.start(),
                PREFIX_CHARS.end(),
            ),
        ));
    }
    let mut key = String::with_capacity(prefix.len() + 1 + TAIL_CHARS);
    key.push_str(prefix);
    key.push('_');
    push_random(&mut key, ID_CHARS, &mut fill)?;
    key.push('_');
    push_random(&mut key, SECRET_CHARS, &mut fill)?;
    let checksum = checksum(&key);
    key.extend(checksum.map(char::from));
    Ok(key)
}

fn push_random(
    key: &mut String,
    chars: usize,
    fill: &mut impl FnMut(&mut [u8]) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let mut left = chars;
    let mut bytes = [0; 64];
    while left > 0 {
        fill(&mut bytes)?;
        // Of 256 values the last 8 are thrown away: with them, 8 characters would be likelier
        // than the others.
        let even = bytes.iter().filter(|byte| usize::from(**byte) < 62 * 4);
        for byte in even.take(left) {
            key.push(char::from(ALPHABET[usize::from(*byte) % 62]));
            left -= 1;
        }
    }
    Ok(())
}

fn is_prefix(prefix: &str) -> bool {
    let word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    PREFIX_CHARS.contains(&prefix.len())
        && prefix.starts_with(|first: char| first.is_ascii_lowercase())
        && prefix.split('_').all(word)
}

/// CRC-32 in base 62, the most significant digit first, padded with zeros.
fn checksum(checked: &str) -> [u8; CHECKSUM_CHARS] {
    let mut left = crc32(checked.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(left % 62) as usize];
        left /= 62;
    }
    digits
}

/// CRC-32 as in zlib, PNG and GitHub's tokens (ISO-HDLC). Only what is refused, or made, is
/// checked by it: no table is worth its place.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
