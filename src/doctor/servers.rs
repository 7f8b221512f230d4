//! The authorization servers: their metadata (RFC 8414, OpenID Connect Discovery).

use std::sync::Arc;

use http::header::LOCATION;
use serde_json::{Map, Value};
use url::Url;

use super::client::{Client, Outcome};
use super::codes;
use super::findings::Findings;
use super::keys::{self, KeySet};
use super::metadata::{Metadata, get, texts};
use super::options::Options;
use super::resource::is_same;
use crate::json::object;
use crate::oauth::{Written, is_loopback, metadata_urls};
use crate::util::quoted;

/// Of `authorization_servers`.
const MOST_SERVERS: usize = 4;

/// What is known of one authorization server.
#[derive(Debug)]
pub(super) struct Server {
    /// As the metadata of the resource write it.
    pub(super) issuer: String,
    /// How far its clock is ahead, in seconds.
    pub(super) ahead: Option<i64>,
    /// What its own metadata call it.
    pub(super) named: Option<String>,
    pub(super) keys: Option<KeySet>,
}

/// Looks at each of them.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    metadata: &Metadata,
    findings: &mut Findings,
) -> Vec<Server> {
    let mut servers = Vec::new();
    for issuer in metadata.issuers.iter().take(MOST_SERVERS) {
        servers.push(look_at(client, options, issuer, metadata, findings).await);
    }
    servers
}

async fn look_at(
    client: &Arc<Client>,
    options: &Options,
    issuer: &str,
    metadata: &Metadata,
    findings: &mut Findings,
) -> Server {
    let mut server = Server {
        issuer: issuer.to_owned(),
        ahead: None,
        named: None,
        keys: None,
    };
    let written = quoted(issuer);
    let Some(url) = issuer_url(issuer) else {
        findings.add(codes::ISSUER_INVALID, written);
        return server;
    };
    // On loopback it is for development, together with the server.
    let is_local = is_loopback(&url) && is_loopback(&options.url);
    if url.scheme() == "http" && !is_local {
        findings.add(codes::ISSUER_INSECURE, written);
        return server;
    }
    let places = metadata_urls(issuer);
    let places: Vec<Url> = places.iter().filter_map(|it| it.parse().ok()).collect();
    let calls = places.iter().map(|place| get(place, &options.url));
    let outcomes = client.all(calls.collect()).await;
    server.ahead = outcomes.iter().flatten().find_map(|answer| answer.ahead);
    let Some(document) = document(issuer, &places, &outcomes, findings) else {
        return server;
    };
    let at = format!("the metadata of {written}");
    match document.get("issuer").and_then(Value::as_str) {
        Some(own) => {
            server.named = Some(own.to_owned());
            if own != issuer {
                let is_slash = own.trim_end_matches('/') == issuer.trim_end_matches('/');
                let how = if is_slash { ": a slash at the end" } else { "" };
                let evidence = format!("{at} have {}{how}", quoted(own));
                findings.add_with(codes::ISSUER_MISMATCH, own, evidence);
            }
        }
        None => findings.add_with(
            codes::ISSUER_MISMATCH,
            issuer,
            format!("{at} have no `issuer`"),
        ),
    }
    look_at_members(&document, &at, metadata, options, findings);
    server.keys = keys::look(client, options, issuer, &document, findings).await;
    server
}

fn issuer_url(issuer: &str) -> Option<Url> {
    let url: Url = issuer.parse().ok()?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = url.query().is_none() && url.fragment().is_none();
    (is_http && is_plain && url.username().is_empty()).then_some(url)
}

/// The first document that a client finds; else it is told why there is none.
fn document(
    issuer: &str,
    places: &[Url],
    outcomes: &[Outcome],
    findings: &mut Findings,
) -> Option<Map<String, Value>> {
    let (mut unreachable, mut wrong) = (Vec::new(), None);
    let mut absent = Vec::new();
    for (place, outcome) in places.iter().zip(outcomes) {
        let at = quoted(place.as_str());
        let answer = match outcome {
            Ok(answer) => answer,
            Err(failure) => {
                unreachable.push(format!("{at}: {}", failure.text()));
                continue;
            }
        };
        let status = format!("{at}: {}", answer.status.as_u16());
        if answer.is_redirect() {
            let to = quoted(answer.header(LOCATION).unwrap_or_default());
            wrong.get_or_insert((codes::ISSUER_REDIRECTS, format!("{status}, to {to}")));
        } else if answer.status.is_server_error() {
            unreachable.push(status);
        } else if answer.status != http::StatusCode::OK {
            absent.push(status);
        } else {
            let document = match answer.is_cut {
                true => Err("more than 1 MiB".to_owned()),
                false => object(&answer.body),
            };
            match document {
                // No client looks at the last place.
                Ok(_) if is_appended(place, issuer) => absent.push(format!("{status}, too late")),
                Ok(document) => return Some(document),
                Err(why) => {
                    let evidence = format!("{status}: {why}");
                    wrong.get_or_insert((codes::ISSUER_METADATA_NOT_JSON, evidence));
                }
            }
        }
    }
    if let Some((code, evidence)) = wrong {
        findings.add(code, evidence);
    } else if let Some(first) = unreachable.into_iter().next() {
        findings.add(codes::ISSUER_UNREACHABLE, first);
    } else {
        for evidence in absent {
            findings.add(codes::ISSUER_METADATA_MISSING, evidence);
        }
    }
    None
}

/// The place that RFC 8414 does not have.
fn is_appended(place: &Url, issuer: &str) -> bool {
    let path = Written::split(issuer).path.trim_end_matches('/');
    !path.is_empty() && place.path() == format!("{path}/.well-known/oauth-authorization-server")
}

fn look_at_members(
    document: &Map<String, Value>,
    at: &str,
    metadata: &Metadata,
    options: &Options,
    findings: &mut Findings,
) {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    for name in ["authorization_endpoint", "token_endpoint"] {
        if text(name).is_none() {
            findings.add(codes::ENDPOINTS_MISSING, format!("{at} have no `{name}`"));
        }
    }
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "jwks_uri",
    ] {
        let url = text(name).and_then(|url| url.parse::<Url>().ok());
        let is_open = |url: &Url| url.scheme() == "http" && !is_loopback(url);
        if url.is_some_and(|url| is_open(&url)) {
            let evidence = format!("`{name}` is {}", quoted(text(name).unwrap_or_default()));
            findings.add(codes::ENDPOINT_INSECURE, evidence);
        }
    }
    let challenges = texts(document, "code_challenge_methods_supported");
    if !challenges.iter().any(|method| method == "S256") {
        let evidence = match challenges.is_empty() {
            true => format!("{at} have no `code_challenge_methods_supported`"),
            false => format!("{at} have {}", quoted(&challenges.join(" "))),
        };
        findings.add(codes::PKCE_MISSING, evidence);
    }
    let flows = texts(document, "response_types_supported");
    if !flows.is_empty() && !flows.iter().any(|flow| flow == "code") {
        findings.add(
            codes::CODE_FLOW_MISSING,
            format!("{at} have {}", quoted(&flows.join(", "))),
        );
    }
    let by_document = document.get("client_id_metadata_document_supported");
    if text("registration_endpoint").is_none() && by_document != Some(&Value::Bool(true)) {
        findings.add(codes::REGISTRATION_MISSING, format!("{at} have neither"));
    }
    // RFC 9728 section 4.
    let resources = texts(document, "protected_resources");
    let own = metadata.resource.as_deref().unwrap_or(&options.written);
    if !resources.is_empty() && !resources.iter().any(|listed| is_same(listed, own)) {
        let evidence = format!("{at} list {}", quoted(&resources.join(" ")));
        findings.add(codes::RESOURCE_NOT_LISTED, evidence);
    }
}
