//! Where an issuer's keys are: RFC 8414 and OpenID Connect Discovery.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::fetch::{Extras, Fetch, get_anything};
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
pub(crate) fn metadata_urls(issuer: &str) -> Vec<String> {
    let Written { origin, path, .. } = Written::split(issuer);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut urls = Vec::with_capacity(4);
    for url in [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
        format!("{origin}{path}/.well-known/oauth-authorization-server"),
    ] {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// Finds a URL. The error tells of every place that was tried.
pub(super) async fn find(
    wanted: Wanted<'_>,
    issuer: &str,
    limits: Limits,
    policy: &UrlPolicy,
    fetch: &dyn Fetch,
) -> Result<Box<str>, String> {
    let mut search = Search::new(limits);
    for place in metadata_urls(issuer) {
        let found = search.within(read(wanted, &place, issuer, limits, policy, fetch));
        match found.await {
            Ok(url) => return Ok(url),
            Err(miss) => search.missed(&place, miss),
        }
    }
    Err(search.failure())
}

/// The metadata of `issuer`, as they are served. `None`: it says that it has none.
pub(super) async fn document(
    issuer: &str,
    limits: Limits,
    fetch: &dyn Fetch,
) -> Result<Option<Bytes>, String> {
    let mut search = Search::new(limits);
    for place in metadata_urls(issuer) {
        let found = async {
            let served = served(&place, limits, fetch).await?;
            metadata_of(issuer, &served)?;
            Ok(served)
        };
        match search.within(found).await {
            Ok(document) => return Ok(Some(document)),
            Err(miss) => search.missed(&place, miss),
        }
    }
    match search.is_absent {
        true => Ok(None),
        false => Err(search.failure()),
    }
}

/// Why a place was of no use.
enum Miss {
    /// There is nothing.
    Absent(StatusCode),
    Failed(String),
}

impl From<String> for Miss {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// A search through the places, in the time it has.
struct Search {
    began: Instant,
    within: Duration,
    attempts: Vec<String>,
    /// Whether there was nothing at every place.
    is_absent: bool,
}

impl Search {
    fn new(limits: Limits) -> Self {
        Self {
            began: Instant::now(),
            within: limits.within,
            attempts: Vec::new(),
            is_absent: true,
        }
    }

    /// What is found at the next place. One that swallows connections must leave time for those
    /// after it, and for what is found: each gets half of what is left then.
    async fn within<T>(&self, found: impl Future<Output = Result<T, Miss>>) -> Result<T, Miss> {
        // Not from the moment it ends: a limit without end has none.
        let left = self.within.saturating_sub(self.began.elapsed()) / 2;
        match tokio::time::timeout(left, found).await {
            Ok(found) => found,
            Err(_) => Err(Miss::Failed(format!(
                "no answer within {} ms",
                left.as_millis()
            ))),
        }
    }

    fn missed(&mut self, place: &str, miss: Miss) {
        self.attempts.push(match miss {
            Miss::Absent(status) => format!("{place}: status {}", status.as_u16()),
            Miss::Failed(why) => {
                self.is_absent = false;
                format!("{place}: {why}")
            }
        });
    }

    fn failure(&self) -> String {
        format!(
            "discovery found no usable document: {}",
            self.attempts.join("; ")
        )
    }
}

async fn served(place: &str, limits: Limits, fetch: &dyn Fetch) -> Result<Bytes, Miss> {
    let response = get_anything(place, limits.max_bytes, fetch, &Extras::default()).await?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => Err(Miss::Absent(status)),
        status => Err(Miss::Failed(format!("status {}", status.as_u16()))),
    }
}

/// The members of a document of `issuer`.
fn metadata_of(issuer: &str, document: &[u8]) -> Result<Map<String, Value>, String> {
    // Members that are not needed may be of any type: servers differ.
    let mut metadata = object(document)
        .map_err(|why| format!("not a JSON object with the string `issuer`: {why}"))?;
    let Some(Value::String(own)) = metadata.remove("issuer") else {
        return Err("not a JSON object with the string `issuer`".to_owned());
    };
    // RFC 8414 section 3.3: code point by code point, or the document is not to be used.
    if own != issuer {
        return Err(format!(
            "it is another issuer's: {}",
            mismatch(issuer, &own)
        ));
    }
    Ok(metadata)
}

async fn read(
    wanted: Wanted<'_>,
    place: &str,
    issuer: &str,
    limits: Limits,
    policy: &UrlPolicy,
    fetch: &dyn Fetch,
) -> Result<Box<str>, Miss> {
    let mut metadata = metadata_of(issuer, &served(place, limits, fetch).await?)?;
    wanted.check(issuer, &metadata)?;
    let name = wanted.name();
    let Some(Value::String(url)) = metadata.remove(name) else {
        return Err(Miss::Failed(format!("it has no string `{name}`")));
    };
    policy
        .check(&url)
        .map_err(|why| format!("its {name} is not used: {}", quoted(&why)))?;
    Ok(url.into())
}
