//! Claims that must have one of some values.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::util::quoted;

/// A value that a claim is required to have: a text, a boolean, or an integer.
///
/// Values are equal where their types are, too: `true` is not `"true"`, and 1 is not `"1"`.
/// See [`require_claim`](crate::oauth::AuthorizationServer::require_claim).
///
/// ```
/// use tower_mcp_auth::oauth::AuthorizationServer;
///
/// let server = AuthorizationServer::new("https://auth.example.com")?
///     .require_claim("groups", ["mcp-users"])?
///     .require_claim("email_verified", [true])?
///     .require_claim("tenant", [17, 18])?;
/// # let _ = server;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimValue(Scalar);

#[derive(Clone, PartialEq, Eq)]
enum Scalar {
    Text(Box<str>),
    Boolean(bool),
    Integer(i128),
}

impl ClaimValue {
    /// Whether it is an empty text.
    #[cfg(feature = "oauth")]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Scalar::Text(text) if text.is_empty())
    }

    fn is(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (Scalar::Text(own), Value::String(text)) => **own == **text,
            (Scalar::Boolean(own), Value::Bool(boolean)) => own == boolean,
            (Scalar::Integer(own), Value::Number(number)) => integer(number) == Some(*own),
            _ => false,
        }
    }
}

/// The integer a number stands for, however it is written.
fn integer(number: &Number) -> Option<i128> {
    /// Up to here every integer has an `f64` of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    if let Some(whole) = number.as_i64() {
        return Some(whole.into());
    }
    if let Some(whole) = number.as_u64() {
        return Some(whole.into());
    }
    let float = number.as_f64()?;
    let is_exact = float.fract() == 0.0 && float.abs() < EXACT;
    // Within the range no cast loses anything.
    is_exact.then_some(float as i128)
}

impl fmt::Debug for ClaimValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Scalar::Text(text) => write!(f, "{text:?}"),
            Scalar::Boolean(boolean) => write!(f, "{boolean}"),
            Scalar::Integer(integer) => write!(f, "{integer}"),
        }
    }
}

macro_rules! from_texts {
    ($($text:ty),*) => {
        $(impl From<$text> for ClaimValue {
            fn from(text: $text) -> Self {
                Self(Scalar::Text(text.into()))
            }
        })*
    };
}

macro_rules! from_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for ClaimValue {
            fn from(integer: $integer) -> Self {
                Self(Scalar::Integer(integer.into()))
            }
        })*
    };
}

from_texts!(&str, String, Box<str>, Cow<'_, str>);
from_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl From<&String> for ClaimValue {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<bool> for ClaimValue {
    fn from(boolean: bool) -> Self {
        Self(Scalar::Boolean(boolean))
    }
}

/// A claim that must have one of these values, or be a list with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Required {
    pub(crate) claim: Box<str>,
    pub(crate) values: Vec<ClaimValue>,
}

impl Required {
    /// What is wrong with the claims, if they do not meet it.
    pub(crate) fn unmet_by(&self, all: &Map<String, Value>) -> Option<String> {
        let got = all.get(&*self.claim);
        let is_listed = |value: &Value| self.values.iter().any(|own| own.is(value));
        let is_met = match got {
            Some(Value::Array(list)) => list.iter().any(is_listed),
            Some(value) => is_listed(value),
            None => false,
        };
        if is_met {
            return None;
        }
        let got = match got {
            None | Some(Value::Null) => "absent".to_owned(),
            Some(Value::String(text)) => quoted(text),
            Some(Value::Bool(boolean)) => format!("the boolean {boolean}"),
            Some(Value::Number(_)) => "a number".to_owned(),
            Some(Value::Array(list)) => format!("a list of {}", list.len()),
            Some(Value::Object(_)) => "an object".to_owned(),
        };
        Some(format!(
            "the claim {} is {got}, and has none of the {} values that are required",
            self.claim,
            self.values.len()
        ))
    }
}
