//! The requests to the endpoint, as clients send them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::json;
use url::Url;

use super::client::{Call, Client, Outcome, UrlSource};

/// A request to the endpoint, as clients of revisions up to 2025-11-25 begin.
pub(super) fn initialize(url: &Url) -> Call {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "mcp-auth-doctor", "version": env!("CARGO_PKG_VERSION") },
        },
    });
    post(url, &body)
}

/// A request of revision 2026-07-28.
pub(super) fn modern(url: &Url, method: &'static str) -> Call {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": method,
        "params": { "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo":
                { "name": "mcp-auth-doctor", "version": env!("CARGO_PKG_VERSION") },
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    });
    let mut call = post(url, &body);
    set(&mut call, "mcp-protocol-version", "2026-07-28");
    set(&mut call, "mcp-method", method);
    call
}

pub(super) fn post(url: &Url, body: &serde_json::Value) -> Call {
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json);
    let both = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert(ACCEPT, both);
    Call {
        method: Method::POST,
        url: url.clone(),
        headers,
        body: body.to_string().into(),
        source: UrlSource::Given,
    }
}

pub(super) fn set(call: &mut Call, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        call.headers.insert(HeaderName::from_static(name), value);
    }
}

/// A made-up name.
pub(super) fn made_up() -> String {
    let mut bytes = [0; 24];
    // A poor one is made up as well.
    let _ = getrandom::fill(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("made-up-by-mcp-auth-doctor-{hex}")
}

/// What the endpoint answers to each of them.
pub(super) struct Seen {
    pub(super) anonymous: Outcome,
    pub(super) modern: Outcome,
    pub(super) get: Outcome,
    pub(super) garbage: Outcome,
    pub(super) query: Outcome,
}

impl Seen {
    pub(super) async fn of(client: &Arc<Client>, url: &Url) -> Self {
        let mut get = modern(url, "");
        get.method = Method::GET;
        get.body = Bytes::new();
        get.headers.clear();
        set(&mut get, "accept", "text/event-stream");
        let mut garbage = initialize(url);
        set(
            &mut garbage,
            "authorization",
            &format!("Bearer {}", made_up()),
        );
        let mut query = initialize(url);
        let mut pairs = query.url.query_pairs_mut();
        pairs.append_pair("access_token", &made_up());
        drop(pairs);
        let calls = vec![
            initialize(url),
            modern(url, "server/discover"),
            get,
            garbage,
            query,
        ];
        let outcomes: Result<[Outcome; 5], _> = client.all(calls).await.try_into();
        let [anonymous, modern, get, garbage, query] = outcomes.expect("an outcome for each call");
        Self {
            anonymous,
            modern,
            get,
            garbage,
            query,
        }
    }
}
