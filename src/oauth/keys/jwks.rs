//! JSON Web Key Sets (RFC 7517 section 5): each key is judged alone.

use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use crate::error::quoted;
use crate::jose::{Algorithm, JwkParts, KeySource, PublicKey, VerifyingKey};

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The keys of a set that was fetched: a key that cannot be used is skipped, and a set over
/// the limit is refused whole, because what was cut off could be the key that signs.
pub(super) fn parse(
    json: &[u8],
    issuer: &str,
    algorithms: &[Algorithm],
    max_keys: usize,
) -> Result<Vec<VerifyingKey>, String> {
    let prepare = |jwk: &Value| {
        let key = read(jwk, issuer)?;
        VerifyingKey::prepare(&KeySource::Public(key), algorithms)
            .ok_or_else(|| "it serves none of the algorithms, or is not valid".to_owned())
    };
    let mut usable = Vec::new();
    let Set { keys } = set(json)?;
    if keys.len() > max_keys {
        return Err(format!("{} keys, at most {max_keys}", keys.len()));
    }
    for jwk in keys {
        match prepare(&jwk) {
            Ok(key) => usable.push(key),
            Err(why) => {
                let kid = quoted(jwk["kid"].as_str().unwrap_or_default());
                debug!(target: "tower_mcp_auth", kid, why, "key skipped");
            }
        }
    }
    Ok(usable)
}

/// The keys of a set that was configured: all of them must be usable.
pub(in crate::oauth) fn parse_static(json: &[u8], issuer: &str) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for (index, jwk) in set(json)?.keys.iter().enumerate() {
        keys.push(read(jwk, issuer).map_err(|why| format!("keys[{index}] cannot be used: {why}"))?);
    }
    if keys.is_empty() {
        return Err("the set has no key, so no token could pass".to_owned());
    }
    Ok(keys)
}

fn set(json: &[u8]) -> Result<Set, String> {
    serde_json::from_slice(json).map_err(|_| "not a JSON object with an array `keys`".to_owned())
}

fn read(jwk: &Value, issuer: &str) -> Result<PublicKey, String> {
    let members = jwk.as_object().ok_or("it is not an object")?;
    // Entra ID publishes the keys of several issuers in one set, and says whose each is. The
    // name is not registered, so a value that is no URL means something else.
    if let Some(Value::String(own)) = members.get("issuer")
        && own.contains("://")
        && !is_of(own, issuer)
    {
        return Err(format!("it is of another issuer: {}", quoted(own)));
    }
    JwkParts::read(members).map(PublicKey::from_parts)
}

/// Whether a key whose issuer is `own`, a template perhaps, may sign for `issuer`.
fn is_of(own: &str, issuer: &str) -> bool {
    let Some((before, after)) = own.split_once("{tenantid}") else {
        return own == issuer;
    };
    let tenant = issuer.strip_prefix(before);
    tenant
        .and_then(|tenant| tenant.strip_suffix(after))
        .is_some_and(is_guid)
}

/// Whether this is a GUID as Entra ID writes them.
pub(in crate::oauth) fn is_guid(text: &str) -> bool {
    let is_right = |(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}
