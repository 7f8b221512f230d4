//! Where an issuer's keys are: RFC 8414 and OpenID Connect Discovery.

use serde::Deserialize;

use super::fetch::{Fetch, get};
use super::keys::KeyLimits;
use super::url::{UrlPolicy, Written};
use crate::error::quoted;
use crate::jose::mismatch;

/// The members that are needed. Others may be of any type: servers differ.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The places metadata may be at, in the order they are tried: RFC 8414 section 3.1
/// (inserted), then the same for OpenID Connect, then OpenID Connect Discovery 1.0 section
/// 4 (appended), then RFC 8414 appended, which some servers do.
pub(super) fn places(issuer: &str) -> Vec<String> {
    let Written { origin, path, .. } = Written::split(issuer);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut places = Vec::with_capacity(4);
    for place in [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
        format!("{origin}{path}/.well-known/oauth-authorization-server"),
    ] {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Finds the URL of the key set. The error tells of every place that was tried.
pub(super) async fn find_jwks_uri(
    issuer: &str,
    limits: &KeyLimits,
    policy: &UrlPolicy,
    fetch: &dyn Fetch,
) -> Result<Box<str>, String> {
    let mut attempts = Vec::new();
    let mut left = limits.deadline;
    for place in places(issuer) {
        // A place that swallows connections must leave time for those after it, and for the
        // key set: each gets half of what is left.
        left /= 2;
        let outcome =
            match tokio::time::timeout(left, read(&place, issuer, limits, policy, fetch)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer within {} ms", left.as_millis())),
            };
        match outcome {
            Ok(jwks_uri) => return Ok(jwks_uri),
            Err(why) => attempts.push(format!("{place}: {why}")),
        }
    }
    Err(format!(
        "discovery found no usable document: {}",
        attempts.join("; ")
    ))
}

async fn read(
    place: &str,
    issuer: &str,
    limits: &KeyLimits,
    policy: &UrlPolicy,
    fetch: &dyn Fetch,
) -> Result<Box<str>, String> {
    let document = get(place, limits.max_document_bytes, fetch)
        .await?
        .into_body();
    let metadata: Metadata = serde_json::from_slice(&document)
        .map_err(|_| "not a JSON object with the strings `issuer` and `jwks_uri`".to_owned())?;
    // RFC 8414 section 3.3: code point by code point, or the document is not to be used.
    if metadata.issuer != issuer {
        return Err(format!(
            "it is another issuer's: {}",
            mismatch(issuer, &metadata.issuer)
        ));
    }
    policy
        .check(&metadata.jwks_uri)
        .map_err(|why| format!("its jwks_uri is not used: {}", quoted(&why)))?;
    Ok(metadata.jwks_uri.into())
}
