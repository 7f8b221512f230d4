//! What the revocation service is sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};

use super::Entry;
use crate::json::{Fault, Scanner};

/// One member, which says what is revoked. Unknown members, and members that are there twice,
/// are refused.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Document {
    Token(Token),
    Subject(Subject),
    Client(Client),
    Grant(Grant),
    Session(Session),
    Issuer(Issuer),
    ApiKey(ApiKey),
    ApiKeys(ApiKeys),
}

/// `null`, or a name, and never left out: an entry with a forgotten issuer would revoke nothing.
fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

macro_rules! documents {
    ($($name:ident { $($member:ident),* })*) => {
        $(
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct $name {
                #[serde(deserialize_with = "issuer")]
                issuer: Option<String>,
                $($member: String,)*
                issued_before: Option<u64>,
            }
        )*
    };
}

documents! {
    Subject { subject }
    Client { client_id }
    Grant { grant }
    Session { sid }
    Issuer {}
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(deserialize_with = "issuer")]
    issuer: Option<String>,
    jti: String,
    expires_at: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeys {
    created_before: u64,
}

/// Reads an entry. The error is for the caller.
pub(super) fn read(body: &[u8]) -> Result<Entry, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    check(text).map_err(|_| "the body is not one JSON object with one object in it".to_owned())?;
    let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    entry(document)
}

/// Objects alone: serde would take an array for one, by the places of its elements.
fn check(text: &str) -> Result<(), Fault> {
    let mut json = Scanner::strict(text, 2);
    let mut members = json.enter(b'{')?;
    while json.member(&mut members)?.is_some() {
        if json.peek() != Some(b'{') {
            return Err(Fault::Syntax);
        }
        json.skip()?;
    }
    json.finish()
}

fn entry(document: Document) -> Result<Entry, String> {
    let (entry, before) = match document {
        Document::Token(it) => {
            let entry = Entry::token(it.issuer.as_deref(), &it.jti);
            return match it.expires_at {
                Some(at) => Ok(entry.expires_at(time(at)?)),
                None => Ok(entry),
            };
        }
        Document::ApiKey(it) => return Ok(Entry::api_key(&it.id)),
        Document::ApiKeys(it) => {
            return Ok(Entry::api_keys_created_before(time(it.created_before)?));
        }
        Document::Subject(it) => (
            Entry::subject(it.issuer.as_deref(), &it.subject),
            it.issued_before,
        ),
        Document::Client(it) => (
            Entry::client(it.issuer.as_deref(), &it.client_id),
            it.issued_before,
        ),
        Document::Grant(it) => (
            Entry::grant(it.issuer.as_deref(), &it.grant),
            it.issued_before,
        ),
        Document::Session(it) => (
            Entry::session(it.issuer.as_deref(), &it.sid),
            it.issued_before,
        ),
        Document::Issuer(it) => (Entry::issuer(it.issuer.as_deref()), it.issued_before),
    };
    match before {
        Some(before) => Ok(entry.issued_before(time(before)?)),
        None => Ok(entry),
    }
}

fn time(since_epoch: u64) -> Result<SystemTime, String> {
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(since_epoch));
    at.ok_or_else(|| "a time is out of range: it is in seconds since 1970".to_owned())
}
