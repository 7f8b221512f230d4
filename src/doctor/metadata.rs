//! The metadata of the protected resource (RFC 9728): where they are, and what they say.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::client::{Answer, Call, Client, Outcome, UrlSource};
use super::code::Code;
use super::codes;
use super::endpoint::{Endpoint, pointer_url};
use super::failure::Failure;
use super::findings::Findings;
use super::options::Options;
use super::probes::set;
use super::resource;
use crate::json::object;
use crate::util::quoted;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a client learns from the metadata.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) url: Option<Url>,
    pub(super) resource: Option<String>,
    /// As they are written.
    pub(super) issuers: Vec<String>,
    pub(super) scopes: Vec<String>,
}

/// The place by RFC 9728 section 3.1.
pub(super) fn place(endpoint: &Url) -> Url {
    let mut place = endpoint.clone();
    let path = endpoint.path().trim_end_matches('/');
    place.set_path(&format!("{WELL_KNOWN}{path}"));
    place
}

/// A request for a document, as clients of MCP send it.
pub(super) fn get(url: &Url, given: &Url) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let source = match url.origin() == given.origin() {
        true => UrlSource::Given,
        false => UrlSource::Followed,
    };
    let mut call = Call {
        method: Method::GET,
        url: url.clone(),
        headers,
        body: Bytes::new(),
        source,
    };
    set(&mut call, "mcp-protocol-version", "2025-11-25");
    call
}

/// What stands at a place.
enum Found {
    Document(Map<String, Value>, Answer),
    /// 404, say.
    Absent(String),
    Wrong(Code, String),
}

impl Found {
    fn of(place: &Url, given: &Url, outcome: Outcome) -> Self {
        let at = quoted(place.as_str());
        let answer = match outcome {
            Ok(answer) => answer,
            Err(failure @ Failure::NotFollowed(_)) => {
                return Self::Absent(format!("{at} was {}", failure.text()));
            }
            Err(failure) => {
                let evidence = format!("{at}: {}", failure.text());
                // Elsewhere it is the name that is wrong.
                let code = match place.origin() == given.origin() {
                    true => codes::METADATA_FAILING,
                    false => codes::METADATA_POINTER_BROKEN,
                };
                return Self::Wrong(code, evidence);
            }
        };
        let status = format!("{at}: {}", answer.status.as_u16());
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Self::Wrong(codes::METADATA_AUTH_REQUIRED, status);
            }
            _ if answer.is_redirect() => {
                let to = quoted(answer.header(LOCATION).unwrap_or_default());
                return Self::Wrong(codes::METADATA_REDIRECTS, format!("{status}, to {to}"));
            }
            _ if answer.status.is_server_error() => {
                return Self::Wrong(codes::METADATA_FAILING, status);
            }
            _ => return Self::Absent(status),
        }
        if answer.is_cut {
            let evidence = format!("{status}, more than 1 MiB");
            return Self::Wrong(codes::METADATA_NOT_JSON, evidence);
        }
        match object(&answer.body) {
            Ok(document) => Self::Document(document, answer),
            Err(why) => {
                let kind = quoted(&answer.media_type());
                let evidence = format!("{status}, {kind}: {why}");
                Self::Wrong(codes::METADATA_NOT_JSON, evidence)
            }
        }
    }

    fn document(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Document(document, _) => Some(document),
            _ => None,
        }
    }
}

/// Looks for the metadata, and at them.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    endpoint: &Endpoint,
    findings: &mut Findings,
) -> Metadata {
    let pointer = endpoint.challenge.as_ref().and_then(pointer_url);
    let by_path = place(&options.url);
    let mut root = by_path.clone();
    root.set_path(WELL_KNOWN);
    root.set_query(None);
    let mut places: Vec<Url> = Vec::new();
    for place in pointer.iter().chain([&by_path, &root]) {
        if !places.contains(place) {
            places.push(place.clone());
        }
    }
    let calls = places.iter().map(|place| get(place, &options.url));
    let outcomes = client.all(calls.collect()).await;
    let mut found: Vec<(Url, Found)> = Vec::new();
    for (place, outcome) in places.into_iter().zip(outcomes) {
        let outcome = without_version(client, options, &place, outcome, findings).await;
        let what = Found::of(&place, &options.url, outcome);
        found.push((place, what));
    }
    let chosen = choose(&found, pointer.as_ref(), &by_path, findings);
    let Some((url, Found::Document(document, answer))) = chosen else {
        return Metadata::default();
    };
    if answer.media_type() != "application/json" {
        let kind = quoted(&answer.media_type());
        findings.add(
            codes::METADATA_CONTENT_TYPE,
            format!("{kind} at {}", quoted(url.as_str())),
        );
    }
    look_at_differences(&found, url, &root, document, findings);
    look_at_members(document, findings);
    let mut metadata = Metadata {
        url: Some(url.clone()),
        scopes: texts(document, "scopes_supported"),
        ..Metadata::default()
    };
    if metadata
        .scopes
        .iter()
        .any(|scope| scope == "offline_access")
    {
        findings.add(codes::OFFLINE_ACCESS, "in `scopes_supported`");
    }
    match document.get("resource") {
        Some(Value::String(resource)) => {
            resource::judge(&options.written, resource, url, findings);
            metadata.resource = Some(resource.clone());
        }
        _ => findings.add(codes::RESOURCE_MISSING, quoted(url.as_str())),
    }
    metadata.issuers = texts(document, "authorization_servers");
    if metadata.issuers.is_empty() {
        findings.add(codes::AUTHORIZATION_SERVERS_MISSING, quoted(url.as_str()));
    }
    metadata
}

/// Asks again where the revision in the request may be what was refused.
async fn without_version(
    client: &Arc<Client>,
    options: &Options,
    place: &Url,
    outcome: Outcome,
    findings: &mut Findings,
) -> Outcome {
    let is_refused = |own: &Outcome| {
        let status = own.as_ref().map(|answer| answer.status);
        status == Ok(StatusCode::BAD_REQUEST)
    };
    if !is_refused(&outcome) {
        return outcome;
    }
    let mut call = get(place, &options.url);
    call.headers.remove("mcp-protocol-version");
    let plain = client.one(call).await;
    if plain
        .as_ref()
        .is_ok_and(|answer| answer.status == StatusCode::OK)
    {
        let at = quoted(place.as_str());
        findings.add(
            codes::METADATA_VERSION_GATE,
            format!("{at}: 400 with the header, 200 without"),
        );
        return plain;
    }
    outcome
}

/// The document that a client takes. Tells of those that it does not find.
fn choose<'f>(
    found: &'f [(Url, Found)],
    pointer: Option<&Url>,
    by_path: &Url,
    findings: &mut Findings,
) -> Option<&'f (Url, Found)> {
    let at = |place: &Url| found.iter().find(|(own, _)| own == place);
    let good = found.iter().find(|(_, what)| what.document().is_some());
    let first = at(pointer.unwrap_or(by_path))?;
    if first.1.document().is_some() {
        return Some(first);
    }
    // What is wrong at the root matters only where there is nothing better to say.
    let (wrong, absent): (Vec<_>, Vec<_>) = match good {
        Some(_) => vec![first],
        None => found.iter().collect(),
    }
    .into_iter()
    .partition(|(_, what)| matches!(what, Found::Wrong(..)));
    let is_named = |place: &Url| Some(place) == pointer || place == by_path;
    let mut is_reported = false;
    for (place, what) in wrong {
        if let Found::Wrong(code, evidence) = what
            && is_named(place)
        {
            is_reported = true;
            findings.add(*code, evidence.clone());
        }
    }
    if is_reported {
        return good;
    }
    for (_, what) in absent {
        let Found::Absent(evidence) = what else {
            continue;
        };
        let code = match (good, pointer) {
            (None, _) => codes::METADATA_MISSING,
            (Some(_), Some(_)) => codes::METADATA_POINTER_BROKEN,
            (Some(_), None) => codes::METADATA_ONLY_AT_ROOT,
        };
        findings.add(code, evidence.clone());
    }
    good
}

fn look_at_differences(
    found: &[(Url, Found)],
    chosen: &Url,
    root: &Url,
    document: &Map<String, Value>,
    findings: &mut Findings,
) {
    let by_root = chosen == root && found.len() > 1;
    if by_root
        && found
            .iter()
            .all(|(url, what)| url == root || what.document().is_none())
    {
        findings.add(codes::METADATA_ONLY_AT_ROOT, quoted(root.as_str()));
    }
    for (url, what) in found {
        let Some(other) = what.document() else {
            continue;
        };
        // What stands at the root may be about the whole origin.
        if url == root && other.get("resource") != document.get("resource") {
            continue;
        }
        for member in ["resource", "authorization_servers"] {
            if other.get(member) != document.get(member) {
                let (one, two) = (quoted(chosen.as_str()), quoted(url.as_str()));
                findings.add(
                    codes::METADATA_DIFFER,
                    format!("`{member}` at {one} and at {two}"),
                );
            }
        }
    }
}

fn look_at_members(document: &Map<String, Value>, findings: &mut Findings) {
    for (name, value) in document {
        match value {
            Value::Null => findings.add(codes::METADATA_NULL, quoted(name)),
            Value::Array(list)
                if list.is_empty()
                    && name != "authorization_servers"
                    && name != "bearer_methods_supported" =>
            {
                findings.add(codes::METADATA_EMPTY, quoted(name));
            }
            _ => {}
        }
    }
    let methods = texts(document, "bearer_methods_supported");
    let is_named = document.contains_key("bearer_methods_supported");
    if is_named && !methods.iter().any(|method| method == "header") {
        findings.add(codes::BEARER_METHODS, quoted(&methods.join(" ")));
    }
}

/// The strings of a list.
pub(super) fn texts(document: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = document.get(name).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
