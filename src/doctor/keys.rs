//! The keys of an authorization server, each judged alone.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::client::Client;
use super::codes;
use super::findings::Findings;
use super::metadata::get;
use super::options::Options;
use super::report::SeenKey;
use crate::jose::{Algorithm, JwkParts, KeySource, KeyUse, PublicKey, VerifyingKey};
use crate::json::object;
use crate::util::{one_line, quoted};

/// Of a set; the rest is not looked at.
const MOST_KEYS: usize = 100;

/// What an authorization server publishes.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    pub(super) usable: Vec<VerifyingKey>,
    pub(super) seen: Vec<SeenKey>,
}

/// Fetches the set that the metadata name.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    issuer: &str,
    metadata: &Map<String, Value>,
    findings: &mut Findings,
) -> Option<KeySet> {
    let Some(named) = metadata.get("jwks_uri").and_then(Value::as_str) else {
        findings.add(codes::KEYS_NOT_NAMED, quoted(issuer));
        return None;
    };
    let at = quoted(named);
    let unreachable = |why: &str| format!("{at}: {why}");
    let Ok(url) = named.parse::<Url>() else {
        findings.add(codes::KEYS_UNREACHABLE, unreachable("no URL"));
        return None;
    };
    if findings.has(codes::ENDPOINT_INSECURE) && url.scheme() == "http" {
        return None;
    }
    let answer = match client.one(get(&url, &options.url)).await {
        Ok(answer) if answer.status == StatusCode::OK => answer,
        Ok(answer) => {
            let status = answer.status.as_u16().to_string();
            findings.add(codes::KEYS_UNREACHABLE, unreachable(&status));
            return None;
        }
        Err(failure) => {
            findings.add(codes::KEYS_UNREACHABLE, unreachable(&failure.text()));
            return None;
        }
    };
    let set = object(&answer.body).ok().filter(|_| !answer.is_cut);
    let Some(keys) = set.as_ref().and_then(|set| set.get("keys")?.as_array()) else {
        findings.add(
            codes::KEYS_UNUSABLE,
            unreachable("no JSON object with an array `keys`"),
        );
        return None;
    };
    Some(judge(keys, issuer, &at, findings))
}

fn judge(keys: &[Value], issuer: &str, at: &str, findings: &mut Findings) -> KeySet {
    let mut set = KeySet::default();
    for key in keys.iter().take(MOST_KEYS) {
        let Some(jwk) = key.as_object() else { continue };
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = [text("kty"), text("crv"), text("alg")];
        let kind: Vec<&str> = kind.into_iter().filter(|part| !part.is_empty()).collect();
        let kid = jwk.get("kid").and_then(Value::as_str);
        let name = kid.map_or("a key without `kid`".to_owned(), quoted);
        if JwkParts::is_secret(jwk) {
            findings.add(codes::PRIVATE_KEY_PUBLISHED, format!("{name} at {at}"));
        }
        let prepared = JwkParts::read(jwk, KeyUse::Signatures).and_then(|parts| {
            let source = KeySource::Public(PublicKey::from_parts(parts));
            VerifyingKey::prepare(&source, &Algorithm::ASYMMETRIC)
                .ok_or_else(|| "it serves no usual algorithm, or is not valid".to_owned())
        });
        let why = prepared.as_ref().err().cloned();
        if let Some(why) = why.as_ref().filter(|_| !JwkParts::is_secret(jwk)) {
            findings.add(codes::KEY_SKIPPED, format!("{name}: {why}"));
        }
        set.seen.push(SeenKey {
            issuer: one_line(issuer, 128),
            kid: kid.map(|kid| one_line(kid, 128)),
            kind: one_line(&kind.join(" "), 64),
            usable: prepared.is_ok(),
            why,
        });
        set.usable.extend(prepared);
    }
    if set.usable.is_empty() {
        findings.add(codes::KEYS_UNUSABLE, format!("{} keys at {at}", keys.len()));
    }
    for (index, key) in set.usable.iter().enumerate() {
        let is_twin = |other: &VerifyingKey| {
            let common = Algorithm::ASYMMETRIC
                .iter()
                .any(|alg| other.serves(*alg) && key.serves(*alg));
            other.kid() == key.kid() && other.identity() != key.identity() && common
        };
        if key.kid().is_some() && set.usable[..index].iter().any(is_twin) {
            let kid = quoted(key.kid().unwrap_or_default());
            findings.add(codes::KEYS_AMBIGUOUS, format!("{kid} at {at}"));
        }
    }
    set
}
