//! Clients in a browser: preflights, and what pages may read.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
};
use http::{Method, StatusCode};
use url::Url;

use super::client::{Answer, Client};
use super::code::Severity;
use super::codes;
use super::endpoint::Endpoint;
use super::findings::Findings;
use super::metadata::get;
use super::options::Options;
use super::probes::{initialize, set};
use crate::util::quoted;

/// What clients in a browser send, besides what needs no permission.
const HEADERS: [&str; 3] = ["authorization", "content-type", "mcp-protocol-version"];

/// Looks at the endpoint and at the metadata that were found, as a page does.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    endpoint: &Endpoint,
    metadata: Option<&Url>,
    findings: &mut Findings,
) {
    let origin = options.page();
    let mut preflight = initialize(&options.url);
    preflight.method = Method::OPTIONS;
    preflight.body = Bytes::new();
    preflight.headers.clear();
    set(&mut preflight, "access-control-request-method", "POST");
    let names = HEADERS.join(",");
    set(&mut preflight, "access-control-request-headers", &names);
    let mut calls = vec![preflight, initialize(&options.url)];
    calls.extend(metadata.map(|url| get(url, &options.url)));
    for call in &mut calls {
        set(call, "origin", origin);
    }
    let outcomes = client.all(calls).await;
    let [Ok(preflight), Ok(page), rest @ ..] = &outcomes[..] else {
        return;
    };
    let said = |answer: &Answer| {
        let allowed = answer.header(ACCESS_CONTROL_ALLOW_ORIGIN);
        let allowed = allowed.map_or("no origin".to_owned(), quoted);
        format!("{}, {allowed} allowed", answer.status.as_u16())
    };
    let both = format!(
        "for {origin} the preflight is {}, the request {}",
        said(preflight),
        said(page)
    );
    let severity = match options.is_for_pages() {
        true => Severity::Fault,
        false => Severity::Note,
    };
    let preflight_is_good = preflight.status.is_success() && allows(preflight, origin);
    let page_is_good = allows(page, origin);
    // Servers check `Origin` by themselves too.
    let is_same = endpoint.status == Some(page.status);
    let is_kept_out = page.status == StatusCode::FORBIDDEN && !is_same;
    match (preflight_is_good, page_is_good) {
        (pre, page) if is_kept_out || !(pre || page) => {
            findings.add_as(codes::CORS_ABSENT, severity, None, both);
            return;
        }
        (false, true) => findings.add(codes::CORS_PREFLIGHT_REFUSED, both),
        (true, false) => findings.add(codes::CORS_REFUSAL_HIDDEN, both),
        _ => {}
    }
    if preflight_is_good {
        let allowed = preflight.list(ACCESS_CONTROL_ALLOW_HEADERS);
        let lacking: Vec<&str> = HEADERS
            .into_iter()
            .filter(|name| !lists(&allowed, name, *name != "authorization"))
            .collect();
        if !lacking.is_empty() {
            let evidence = format!("{} are not in {}", lacking.join(", "), quoted(&allowed));
            findings.add(codes::CORS_HEADERS_NOT_ALLOWED, evidence);
        }
    }
    if page_is_good && is_same && page.status == StatusCode::UNAUTHORIZED {
        let exposed = page.list(ACCESS_CONTROL_EXPOSE_HEADERS);
        if !lists(&exposed, "www-authenticate", true) {
            let evidence = format!("exposed: {}", quoted(&exposed));
            findings.add(codes::CORS_CHALLENGE_NOT_EXPOSED, evidence);
        }
    }
    if let [Ok(document)] = rest
        && !allows(document, origin)
    {
        findings.add(codes::CORS_METADATA_CLOSED, said(document));
    }
}

fn allows(answer: &Answer, origin: &str) -> bool {
    let allowed = answer.header(ACCESS_CONTROL_ALLOW_ORIGIN);
    allowed.is_some_and(|allowed| allowed == "*" || allowed == origin)
}

fn lists(list: &str, name: &str, star_counts: bool) -> bool {
    let mut names = list.split(',').map(str::trim);
    names.any(|own| own.eq_ignore_ascii_case(name) || star_counts && own == "*")
}
