//! JSON Web Key Sets (RFC 7517 section 5): each key is judged alone.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Origin;
use crate::jose::{Algorithm, JwkParts, KeySource, KeyUse, PublicKey, VerifyingKey, crowded};
use crate::json::object;
use crate::json::{Fault, Scanner};
use crate::telemetry;
use crate::util::{is_guid, quoted};

/// Members and elements inside one another, the set itself included.
const MAX_DEPTH: u32 = 32;

/// A set that was fetched. Keys are named by their places in it, and their ids.
#[derive(Default)]
pub(super) struct Published {
    pub(super) usable: Vec<VerifyingKey>,
    /// Each key that cannot be used, and why.
    pub(super) skipped: Vec<String>,
    /// Those that have no place in public.
    pub(super) private: Vec<String>,
    /// How soon a trust bundle asks to be fetched again.
    pub(super) refresh_hint: Option<Duration>,
}

/// SPIFFE Trust Domain and Bundle, section 4.1.2: whole seconds.
const REFRESH_HINT: &str = "spiffe_refresh_hint";

/// The keys of a set that was fetched: a key that cannot be used is skipped, and a set over
/// the limit is refused whole, because what was cut off could be the key that signs.
pub(super) fn parse(json: &[u8], origin: &Origin, max_keys: usize) -> Result<Published, String> {
    let prepare = |jwk: &Map<String, Value>| {
        let key = read(jwk, &origin.issuer, origin.key_use)?;
        VerifyingKey::prepare(&KeySource::Public(key), &origin.algorithms)
            .ok_or_else(|| "it serves none of the algorithms, or is not valid".to_owned())
    };
    let mut published = Published::default();
    let (keys, refresh_hint) = set(json)?;
    if origin.key_use == KeyUse::JwtSvids {
        published.refresh_hint = refresh_hint;
    }
    if keys.len() > max_keys {
        return Err(format!("{} keys, at most {max_keys}", keys.len()));
    }
    for (index, jwk) in keys.into_iter().enumerate() {
        let jwk = object(jwk.as_bytes());
        let members = jwk.as_ref().ok();
        if members.is_some_and(|jwk| is_of_another_kind(jwk, origin.key_use)) {
            continue;
        }
        let kid = members.and_then(|jwk| jwk.get("kid")?.as_str());
        let kid = kid.map(|kid| format!(" (kid {})", quoted(kid)));
        let name = format!("keys[{index}]{}", kid.unwrap_or_default());
        if members.is_some_and(JwkParts::is_secret) {
            published.private.push(name.clone());
        }
        match jwk.as_ref().map_err(String::clone).and_then(prepare) {
            Ok(key) => published.usable.push(key),
            Err(why) => {
                telemetry::keys::skipped(&name, &why);
                published.skipped.push(format!("{name}: {why}"));
            }
        }
    }
    Ok(published)
}

/// Tells of keys that no token can be checked with, because too many have one id.
pub(super) fn warn_if_crowded(
    keys: &[VerifyingKey],
    issuer: &str,
    algorithms: &[Algorithm],
    is_due: impl FnOnce() -> bool,
) {
    if let Some(kid) = crowded(keys, algorithms).filter(|_| is_due()) {
        let named = kid.as_deref().map_or_else(|| "none".to_owned(), quoted);
        telemetry::keys::ambiguous(issuer, &named);
    }
}

/// The keys of a set that was configured: all of them must be usable.
pub(in crate::oauth) fn parse_static(json: &[u8], issuer: &str) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for (index, jwk) in set(json)?.0.into_iter().enumerate() {
        let key = object(jwk.as_bytes()).and_then(|jwk| read(&jwk, issuer, KeyUse::Signatures));
        keys.push(key.map_err(|why| format!("keys[{index}] cannot be used: {why}"))?);
    }
    if keys.is_empty() {
        return Err("the set has no key, so no token could pass".to_owned());
    }
    Ok(keys)
}

/// The texts of the keys of a set, and how soon it asks to be fetched again.
///
/// A set that is no JSON, is nested too deeply or has a name that serde_json keeps for itself is
/// refused whole; a key that can be read in two ways is refused alone.
fn set(json: &[u8]) -> Result<(Vec<&str>, Option<Duration>), String> {
    let text = std::str::from_utf8(json).map_err(|_| Fault::Syntax);
    let keys = text.and_then(elements).map_err(|fault| match fault {
        Fault::Depth => "nested too deeply",
        Fault::Reserved => "reserved member name",
        Fault::Twice => "the member `keys` is there twice",
        Fault::Syntax | Fault::Surrogate | Fault::Long => "not a JSON object with an array `keys`",
    });
    Ok(keys?)
}

/// The texts in the array `keys`, and the hint, where it is one.
fn elements(text: &str) -> Result<(Vec<&str>, Option<Duration>), Fault> {
    let mut json = Scanner::strict(text, MAX_DEPTH);
    let (mut keys, mut hint) = (None, None);
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        if name != "keys" {
            let value = json.skip()?;
            if name == REFRESH_HINT {
                hint = value.parse().ok().map(Duration::from_secs);
            }
            continue;
        }
        let mut array = json.enter(b'[')?;
        let mut elements = Vec::new();
        while json.element(&mut array)? {
            elements.push(json.skip()?);
        }
        if keys.replace(elements).is_some() {
            return Err(Fault::Twice);
        }
    }
    json.finish()?;
    Ok((keys.ok_or(Fault::Syntax)?, hint))
}

/// Whether a key is for other documents than tokens: a trust bundle holds some, and a client
/// ignores them (SPIFFE Trust Domain and Bundle, section 4.2.2).
fn is_of_another_kind(jwk: &Map<String, Value>, key_use: KeyUse) -> bool {
    match key_use {
        KeyUse::Signatures => false,
        KeyUse::JwtSvids => jwk.get("use").is_none_or(|own| own != KeyUse::JWT_SVID),
    }
}

fn read(members: &Map<String, Value>, issuer: &str, key_use: KeyUse) -> Result<PublicKey, String> {
    // Entra ID publishes the keys of several issuers in one set, and names the issuer of each. The
    // name is not registered, so a value that is no URL means something else.
    if let Some(Value::String(own)) = members.get("issuer")
        && own.contains("://")
        && !is_of(own, issuer)
    {
        return Err(format!("it is of another issuer: {}", quoted(own)));
    }
    JwkParts::read(members, key_use).map(PublicKey::from_parts)
}

/// Whether a key with the issuer `own`, a template perhaps, may sign for `issuer`.
fn is_of(own: &str, issuer: &str) -> bool {
    let Some((before, after)) = own.split_once("{tenantid}") else {
        return own == issuer;
    };
    let tenant = issuer.strip_prefix(before);
    tenant
        .and_then(|tenant| tenant.strip_suffix(after))
        .is_some_and(is_guid)
}
