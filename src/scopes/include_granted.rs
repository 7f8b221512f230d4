//! Whether a refusal names the scopes already granted as well.

use http::{HeaderMap, HeaderName};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The first revision with clients that keep the scopes they have.
const KEEPS: &str = "2026-07-28";

/// Whether a refusal for scopes names those already granted as well.
///
/// A client of MCP 2025-11-25 asks for exactly the scopes that a challenge names, and its next
/// token has no others: without those it had, two operations that need different scopes would
/// take turns in asking its user. From 2026-07-28 on clients add what they have by themselves
/// (Authorization, Step-Up).
///
/// `true` converts into `Always`, `false` into `Never`. As a serde value it is `"always"`,
/// `"never"`, `"by_revision"`, `true` or `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncludeGranted {
    /// Every refusal names them.
    Always,
    /// No refusal does: it names what the operation needs.
    Never,
    /// Those do that answer a request without an `MCP-Protocol-Version`, or with one below
    /// 2026-07-28.
    #[default]
    ByRevision,
}

impl IncludeGranted {
    /// Whether the refusal of a request with these headers does.
    pub(crate) fn applies_to(self, headers: &HeaderMap) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::ByRevision => {
                let mut versions = headers.get_all(PROTOCOL_VERSION).iter().peekable();
                versions.peek().is_none()
                    || versions.any(|version| {
                        !version
                            .to_str()
                            .is_ok_and(|version| is_recent(version.trim()))
                    })
            }
        }
    }
}

/// Whether this is 2026-07-28, or a later revision. What is no date at all is no older one, and
/// has to say what it means.
pub(crate) fn is_recent(version: &str) -> bool {
    let has_form = |(byte, form): (u8, u8)| match form {
        b'-' => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let is_date = version.len() == KEEPS.len() && version.bytes().zip(KEEPS.bytes()).all(has_form);
    // Dates of one form compare as their bytes do.
    !is_date || version >= KEEPS
}

impl From<bool> for IncludeGranted {
    fn from(include: bool) -> Self {
        match include {
            true => Self::Always,
            false => Self::Never,
        }
    }
}

impl<'de> Deserialize<'de> for IncludeGranted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Flag(bool),
            Text(String),
        }

        let known = match Value::deserialize(deserializer) {
            Ok(Value::Flag(include)) => Some(include.into()),
            Ok(Value::Text(text)) => match &*text {
                "always" | "true" => Some(Self::Always),
                "never" | "false" => Some(Self::Never),
                "by_revision" => Some(Self::ByRevision),
                _ => None,
            },
            Err(_) => None,
        };
        known.ok_or_else(|| D::Error::custom("it is `always`, `never` or `by_revision`"))
    }
}
