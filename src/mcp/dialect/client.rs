//! What a client says of itself: `clientInfo`.

use std::fmt;

use crate::json::{Fault, Scanner};
use crate::util::quoted;

/// Where requests say it from MCP 2026-07-28 on.
const IN_META: &str = "io.modelcontextprotocol/clientInfo";
/// What is longer than this is not the name of a client.
const MAX_CHARS: usize = 256;

/// What a client says of itself, in `initialize` or, from MCP 2026-07-28 on, in each request.
///
/// Nothing proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientInfo {
    name: String,
    version: Option<String>,
}

impl ClientInfo {
    /// Its name, for programs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, if it says one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

// What a peer chose is escaped and cut.
impl fmt::Debug for ClientInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientInfo")
            .field("name", &quoted(&self.name))
            .field("version", &self.version.as_deref().map(quoted))
            .finish()
    }
}

/// What an `initialize` says of its client.
pub(in crate::mcp) fn of_initialize(message: &str) -> Option<ClientInfo> {
    find(message, &["params", "clientInfo"])
}

/// What a request of MCP 2026-07-28 says of its client.
pub(in crate::mcp) fn of_request(message: &str) -> Option<ClientInfo> {
    find(message, &["params", "_meta", IN_META])
}

/// The value at this path of a message that was found to be one.
fn find(message: &str, path: &[&str]) -> Option<ClientInfo> {
    let mut json = Scanner::lenient(message);
    descend(&mut json, path).ok()?
}

fn descend(json: &mut Scanner<'_>, path: &[&str]) -> Result<Option<ClientInfo>, Fault> {
    let Some((first, rest)) = path.split_first() else {
        return read(json);
    };
    if json.peek() != Some(b'{') {
        return Ok(None);
    }
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        if name == *first {
            return descend(json, rest);
        }
        json.skip()?;
    }
    Ok(None)
}

fn read(json: &mut Scanner<'_>) -> Result<Option<ClientInfo>, Fault> {
    if json.peek() != Some(b'{') {
        return Ok(None);
    }
    let (mut name, mut version) = (None, None);
    let mut members = json.enter(b'{')?;
    while let Some(member) = json.member(&mut members)? {
        let place = match &*member {
            "name" => &mut name,
            "version" => &mut version,
            _ => {
                json.skip()?;
                continue;
            }
        };
        match json.peek() {
            Some(b'"') => *place = Some(json.string()?.into_owned()),
            _ => drop(json.skip()?),
        }
    }
    let fits = |text: &String| text.chars().count() <= MAX_CHARS;
    Ok(name.filter(fits).map(|name| ClientInfo {
        name,
        version: version.filter(fits),
    }))
}
