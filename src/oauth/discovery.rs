//! Where an issuer's keys are: RFC 8414 and OpenID Connect Discovery.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fetch::{Fetch, get};
use super::url::{UrlPolicy, Written};
use crate::json::object;
use crate::token::mismatch;
use crate::util::quoted;

/// What is looked for in metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// Of the keys of tokens with this `iss`.
    JwksUri {
        of: &'a str,
    },
    IntrospectionEndpoint,
}

impl Wanted<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::JwksUri { .. } => "jwks_uri",
            Self::IntrospectionEndpoint => "introspection_endpoint",
        }
    }

    /// Whether a document of `issuer` that names these `others` speaks for the tokens as well.
    fn check(self, issuer: &str, others: &Map<String, Value>) -> Result<(), String> {
        let Self::JwksUri { of } = self else {
            return Ok(());
        };
        if of == issuer {
            return Ok(());
        }
        match others.get("access_token_issuer") {
            Some(Value::String(named)) if named == of => Ok(()),
            Some(Value::String(named)) => Err(format!(
                "its access_token_issuer is another: {}",
                mismatch(of, named)
            )),
            _ => Err(format!(
                "it has no `access_token_issuer`, so it does not say that its keys sign for {of:?}; \
                 set `jwks_uri`"
            )),
        }
    }
}

/// What bounds a search.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How long what it is for may take: the search and all that follows it.
    pub(super) within: Duration,
    /// How large a document may be.
    pub(super) max_bytes: usize,
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

/// Finds a URL. The error tells of every place that was tried.
pub(super) async fn find(
    wanted: Wanted<'_>,
    issuer: &str,
    limits: Limits,
    policy: &UrlPolicy,
    fetch: &dyn Fetch,
) -> Result<Box<str>, String> {
    let mut attempts = Vec::new();
    let mut left = limits.within;
    for place in places(issuer) {
        // A place that swallows connections must leave time for those after it, and for what is
        // found: each gets half of what is left.
        left /= 2;
        let outcome =
            match tokio::time::timeout(left, read(wanted, &place, issuer, limits, policy, fetch))
                .await
            {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer within {} ms", left.as_millis())),
            };
        match outcome {
            Ok(url) => return Ok(url),
            Err(why) => attempts.push(format!("{place}: {why}")),
        }
    }
    Err(format!(
        "discovery found no usable document: {}",
        attempts.join("; ")
    ))
}

async fn read(
    wanted: Wanted<'_>,
    place: &str,
    issuer: &str,
    limits: Limits,
    policy: &UrlPolicy,
    fetch: &dyn Fetch,
) -> Result<Box<str>, String> {
    let name = wanted.name();
    let unusable = || format!("not a JSON object with the strings `issuer` and `{name}`");
    let document = get(place, limits.max_bytes, fetch).await?.into_body();
    // Members that are not needed may be of any type: servers differ.
    let mut metadata = object(&document).map_err(|why| format!("{}: {why}", unusable()))?;
    let Some(Value::String(own)) = metadata.remove("issuer") else {
        return Err(unusable());
    };
    // RFC 8414 section 3.3: code point by code point, or the document is not to be used.
    if own != issuer {
        return Err(format!(
            "it is another issuer's: {}",
            mismatch(issuer, &own)
        ));
    }
    wanted.check(issuer, &metadata)?;
    let Some(Value::String(url)) = metadata.remove(name) else {
        return Err(unusable());
    };
    policy
        .check(&url)
        .map_err(|why| format!("its {name} is not used: {}", quoted(&why)))?;
    Ok(url.into())
}
