//! Doors for the fuzz targets to readers that nothing else reaches alone. No part of the interface.

#[cfg(feature = "oauth")]
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::jose::{self, TokenLimits};
use crate::json::object::{self, Refused};
use crate::json::{self, JsonValue};
use crate::token;
use crate::util;
#[cfg(feature = "oauth")]
use crate::util::challenges::{Challenge, Challenges};

/// One value, as the arguments of a call are read; the fault by its name.
pub fn json_value(text: &str, max_depth: u32) -> Result<JsonValue<'_>, String> {
    JsonValue::read(text, max_depth).map_err(|fault| format!("{fault:?}"))
}

/// The check of claims that were read before; the fault by its name.
pub fn json_check(text: &str) -> Result<(), String> {
    json::check(text, json::MAX_DEPTH).map_err(|fault| format!("{fault:?}"))
}

/// The members of an object, as those of a token are read; the fault by its name.
///
/// # Panics
/// What was read as JSON is none.
pub fn json_members(text: &str) -> Result<Vec<(String, Value)>, String> {
    let read = |json: &str| -> Value { serde_json::from_str(json).expect("it was read as JSON") };
    let mut members = Vec::new();
    let all = object::read_object(text, |name, value| {
        let value = match value {
            object::Value::Text(text) => Value::String(text.into_owned()),
            object::Value::Boolean(boolean) => Value::Bool(boolean),
            object::Value::Null => Value::Null,
            object::Value::ArrayOf(text) => Value::Array(vec![Value::String(text.into_owned())]),
            object::Value::Number(json)
            | object::Value::Array(json)
            | object::Value::Object(json) => read(json),
        };
        members.push((name.to_owned(), value));
        Ok(())
    });
    let name = |fault: Refused| format!("{fault:?}");
    all.map(|()| members).map_err(name)
}

/// An object, as key sets and answers of authorization servers are read.
pub fn json_object(json: &[u8]) -> Result<Map<String, Value>, String> {
    object::object(json)
}

/// Whether a text is an object, be it one that is refused.
pub fn json_is_object(json: &[u8]) -> bool {
    object::is_object(json)
}

/// Whether a token is a JWS by its shape.
pub fn is_jws(token: &[u8]) -> bool {
    jose::is_jws(token, TokenLimits::DEFAULT)
}

/// Whether a JWS can begin with `prefix`.
pub fn may_begin_jws(prefix: &str) -> bool {
    token::may_begin_jws(prefix)
}

/// The data of complete events, as the doctor reads a stream.
pub fn complete_events(stream: &[u8]) -> Vec<String> {
    util::event_stream::complete_events(&String::from_utf8_lossy(stream))
}

/// Names and values.
#[cfg(feature = "oauth")]
type Params = Vec<(String, String)>;

/// What is read in `WWW-Authenticate`: each scheme with its parameters, and a fault.
#[cfg(feature = "oauth")]
pub fn challenges(headers: &HeaderMap) -> (Vec<(String, Params)>, Option<String>) {
    let Challenges { list, fault } = Challenges::of(headers);
    let parts = |own: Challenge| (own.scheme, own.params);
    (list.into_iter().map(parts).collect(), fault)
}
