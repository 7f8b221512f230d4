//! Why there is no connection, and what the answers of an engine say.

use std::io;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use super::address::Node;
use crate::error::ConfigError;
use crate::util::{TRACED_CHARS, one_line};

/// Why there is no connection.
pub(super) enum Fault {
    /// A setting has to be changed first.
    Config(ConfigError),
    /// Another node of the cluster has the keys.
    Moved(Node),
    Unreachable(String),
}

/// What an answer of text says.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// Why `AUTH` fails. An engine with too many connections says that in its place, and closes.
pub(super) fn not_let_in(error: RedisError) -> Fault {
    let why = one_line(&error.to_string(), TRACED_CHARS);
    let is_refused = matches!(error.kind(), ErrorKind::Server(_));
    if !is_refused || why.contains("max number of clients") {
        return error.into();
    }
    let why = format!("the engine refuses the user or the password ({why})");
    Fault::Config(ConfigError::new("password", why))
}

/// Why `SELECT` fails. An engine that is still loading its data says that in its place.
pub(super) fn not_selected(error: RedisError, database: u32) -> Fault {
    let why = one_line(&error.to_string(), TRACED_CHARS);
    let is_refused = ["index is out of range", "in cluster mode"];
    if !is_refused.iter().any(|text| why.contains(text)) {
        return error.into();
    }
    let why =
        format!("the engine has no database {database}, which the path of the URL is ({why})");
    Fault::Config(ConfigError::new("url", why))
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(one_line(&error.to_string(), TRACED_CHARS))
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        if let Some(node) = moved(&error) {
            return Self::Moved(node);
        }
        let why = one_line(&error.to_string(), TRACED_CHARS);
        let code = error.code().unwrap_or_default();
        if matches!(code, "NOAUTH" | "WRONGPASS") {
            let why = format!("the engine refuses the user or the password ({why})");
            return Self::Config(ConfigError::new("password", why));
        }
        if code == "NOPERM" {
            let why =
                format!("the user may not do what is needed; see the list of commands ({why})");
            return Self::Config(ConfigError::new("username", why));
        }
        Self::Unreachable(why)
    }
}

/// The node of the cluster that has the keys.
pub(super) fn moved(error: &RedisError) -> Option<Node> {
    if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
        return None;
    }
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // An empty host is the one that was asked, which the caller knows.
    Some(Node {
        host: host.into(),
        port: port.parse().ok()?,
    })
}
