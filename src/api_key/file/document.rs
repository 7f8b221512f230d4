//! The documents of key files, read by hand so that an error names the place and no value.
//!
//! Where a digest belongs, there may be a key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::api_key::{ApiKey, KeyDigest};
use crate::error::ConfigError;
use crate::json;
use crate::util::rfc3339_time;
#[cfg(feature = "redis")]
use crate::util::seconds_up;

/// What the `toml` crate makes of a time, for formats that have none.
const TOML_TIME: &str = "$__toml_private_datetime";

/// The keys in a file with this extension.
pub(super) fn read(bytes: &[u8], extension: &str) -> Result<Vec<ApiKey>, String> {
    let document = match extension {
        "json" => read_json(bytes)?,
        "toml" => read_toml(bytes)?,
        _ => return Err("is neither `.json` nor `.toml`".to_owned()),
    };
    let Value::Object(mut document) = document else {
        return Err("is no object with the member `keys`".to_owned());
    };
    let keys = document.remove("keys");
    if let Some(name) = document.keys().next() {
        return Err(unknown("", name));
    }
    let Some(Value::Array(keys)) = keys else {
        return Err("has no list `keys`".to_owned());
    };
    let mut read = Vec::with_capacity(keys.len());
    for (index, key) in keys.into_iter().enumerate() {
        let place = format!("keys[{index}]");
        let Value::Object(key) = key else {
            return Err(format!("has no key at {place}"));
        };
        read.push(one(key, &place)?);
    }
    Ok(read)
}

fn read_json(bytes: &[u8]) -> Result<Value, String> {
    // serde_json puts something else in the place of an object with a reserved name, and of members
    // that are there twice it takes the last: a key that was revoked would be good again.
    let strictly =
        std::str::from_utf8(bytes).map(|text| json::JsonValue::read(text, json::MAX_DEPTH));
    match strictly {
        Ok(Err(json::Fault::Reserved)) => {
            return Err(format!(
                "has a member with a name that begins with {:?}",
                json::RESERVED
            ));
        }
        Ok(Err(json::Fault::Twice)) => return Err("has a member twice".to_owned()),
        _ => {}
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is not JSON: line {line}, column {column}")
    })
}

#[cfg(feature = "toml")]
fn read_toml(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not TOML: not UTF-8".to_owned())?;
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        format!("is not TOML: line {line}")
    })
}

#[cfg(not(feature = "toml"))]
fn read_toml(_: &[u8]) -> Result<Value, String> {
    Err("needs the feature `toml` of this crate".to_owned())
}

/// One key, as it stands in a file, in JSON.
#[cfg(feature = "redis")]
pub(crate) fn read_one(bytes: &[u8]) -> Result<ApiKey, String> {
    match read_json(bytes)? {
        Value::Object(members) => one(members, "key"),
        _ => Err("is no object".to_owned()),
    }
}

/// What [`read_one`] reads, and the digest.
#[cfg(feature = "redis")]
pub(crate) fn write_one(key: &ApiKey) -> Result<(KeyDigest, String), ConfigError> {
    let kind = key.kind.ok_or_else(|| {
        let why = "the plain digest of this key is for memory alone: make it with \
                   `ApiKey::from_digest`, or take that of a generated key";
        ConfigError::new("digest", why)
    })?;
    let digest = KeyDigest {
        kind,
        bytes: key.digest,
    };
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("digest", digest.to_string().into());
    let texts = [("id", &key.id), ("name", &key.name), ("owner", &key.owner)];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, (**text).into());
        }
    }
    let scopes: Vec<&str> = key.scopes.iter().collect();
    put("scopes", scopes.into());
    if let Some(resources) = &key.resources {
        put("resources", resources.urls().collect::<Vec<_>>().into());
    }
    if let Some(at) = key.created_at {
        put("created_at", at.as_secs().into());
    }
    // In whole seconds, a later beginning and an earlier end.
    if let Some(at) = key.validity.not_before {
        put("not_before", seconds_up(at).into());
    }
    if let Some(at) = key.validity.expires_at {
        put("expires_at", at.as_secs().into());
    }
    put("revoked", key.validity.revoked.into());
    Ok((digest, Value::Object(members).to_string()))
}

fn one(mut members: Map<String, Value>, place: &str) -> Result<ApiKey, String> {
    let mut take = |name: &'static str| Member {
        value: members.remove(name).filter(|value| !value.is_null()),
        place: format!("{place}.{name}"),
    };
    let digest = take("digest");
    let at = digest.place.clone();
    let digest = digest.text()?.ok_or_else(|| format!("has no {at}"))?;
    let digest: KeyDigest = digest
        .parse()
        .map_err(|error: ConfigError| format!("at {at}: {error}"))?;
    let mut key = ApiKey::from_digest(digest);
    if let Some(id) = take("id").text()? {
        key = key.id(id);
    }
    if let Some(name) = take("name").text()? {
        key = key.name(name);
    }
    if let Some(owner) = take("owner").text()? {
        key = key.owner(owner);
    }
    let scopes = take("scopes");
    let at = scopes.place.clone();
    let wrong = |error: ConfigError| format!("at {at}: {error}");
    key = key.scopes(scopes.texts()?).map_err(wrong)?;
    let resources = take("resources");
    let at = resources.place.clone();
    let wrong = |error: ConfigError| format!("at {at}: {error}");
    if resources.value.is_some() {
        key = key.resources(resources.texts()?).map_err(wrong)?;
    }
    let wrong = |error: ConfigError| format!("at {place}: {error}");
    if let Some(not_before) = take("not_before").time()? {
        key = key.not_before(not_before).map_err(wrong)?;
    }
    if let Some(expires_at) = take("expires_at").time()? {
        key = key.expires_at(expires_at).map_err(wrong)?;
    }
    if let Some(created_at) = take("created_at").time()? {
        key = key.created_at(created_at);
    }
    key = key.revoked(take("revoked").flag()?);
    match members.keys().next() {
        Some(name) => Err(unknown(&format!("{place}."), name)),
        None => Ok(key),
    }
}

/// The name may be a key in the wrong place, so only what looks like one of ours is told.
fn unknown(place: &str, name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if name.len() <= 24 && name.bytes().all(plain) {
        format!("has the unknown member {place}{name}")
    } else {
        format!("has an unknown member in {place}")
    }
}

struct Member {
    value: Option<Value>,
    place: String,
}

impl Member {
    fn wrong<T>(self, expected: &str) -> Result<T, String> {
        Err(format!("at {}: {expected} is expected", self.place))
    }

    fn text(self) -> Result<Option<String>, String> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.wrong("a text"),
        }
    }

    fn texts(self) -> Result<Vec<String>, String> {
        let Some(value) = &self.value else {
            return Ok(Vec::new());
        };
        let texts = value.as_array().and_then(|items| {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        });
        match texts {
            Some(texts) => Ok(texts),
            None => self.wrong("a list of texts"),
        }
    }

    fn flag(self) -> Result<bool, String> {
        match self.value {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => self.wrong("`true` or `false`"),
        }
    }

    fn time(self) -> Result<Option<SystemTime>, String> {
        let Some(value) = &self.value else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .or_else(|| value.as_object()?.get(TOML_TIME)?.as_str());
        let since_epoch = match text {
            Some(text) => rfc3339_time(text),
            None => value.as_u64().map(Duration::from_secs),
        };
        match since_epoch.and_then(|at| UNIX_EPOCH.checked_add(at)) {
            Some(at) => Ok(Some(at)),
            None => self.wrong("a time like 2027-01-01T00:00:00Z, or seconds since 1970,"),
        }
    }
}
