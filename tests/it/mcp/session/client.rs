//! A client that writes its requests by hand, in any revision.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use common::{NOW, token};

pub const WITH_SESSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
pub const STATELESS: &str = "2026-07-28";

/// Good for five minutes.
pub fn token_of(subject: &str, scope: &str) -> String {
    let exp = NOW + 300;
    token(&format!(
        r#"{{"sub":"{subject}","scope":"{scope}","exp":{exp}}}"#
    ))
}

#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub uri: String,
    pub token: String,
    pub version: Option<&'static str>,
    pub session: Option<String>,
}

impl Client {
    pub fn new(uri: &str, subject: &str, scope: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            uri: uri.to_owned(),
            token: token_of(subject, scope),
            version: None,
            session: None,
        }
    }

    pub fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self
            .http
            .request(method, &self.uri)
            .bearer_auth(&self.token)
            .header("accept", "application/json, text/event-stream");
        if let Some(version) = self.version {
            request = request.header("mcp-protocol-version", version);
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        request
    }

    pub async fn post(&self, message: &Value) -> Response {
        let request = self.request(Method::POST);
        request.json(message).send().await.unwrap()
    }

    /// A request of the client's revision, with the id 2.
    pub async fn ask(&self, method: &str, name: Option<&str>, mut params: Value) -> Response {
        let mut request = self.request(Method::POST);
        if self.version == Some(STATELESS) {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientInfo": { "name": "by hand", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            request = request.header("mcp-method", method);
            if let Some(name) = name {
                request = request.header("mcp-name", name);
            }
        }
        let message = json!({ "jsonrpc": "2.0", "id": 2, "method": method, "params": params });
        request.json(&message).send().await.unwrap()
    }

    pub async fn call(&self, tool: &str, arguments: &Value) -> Response {
        let params = json!({ "name": tool, "arguments": arguments });
        self.ask("tools/call", Some(tool), params).await
    }

    /// What a tool says.
    pub async fn text(&self, tool: &str, arguments: &Value) -> String {
        let answer = answer_of(self.call(tool, arguments).await, 2).await;
        let text = &answer["result"]["content"][0]["text"];
        let text = text.as_str();
        text.unwrap_or_else(|| panic!("no text in {answer}"))
            .to_owned()
    }

    pub async fn whoami(&self) -> String {
        self.text("whoami", &json!({})).await
    }

    /// Opens a session, in revisions that have them.
    pub async fn initialize(&mut self, version: &'static str) {
        if version == STATELESS {
            self.version = Some(version);
            return;
        }
        let params = json!({
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "by hand", "version": "1" },
        });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let response = self.post(&message).await;
        assert_eq!(response.status(), StatusCode::OK);
        let session = response.headers()["mcp-session-id"].to_str().unwrap();
        self.session = Some(session.to_owned());
        let answer = answer_of(response, 1).await;
        assert_eq!(answer["result"]["protocolVersion"], version);
        self.version = Some(version);
        let done = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(&done).await.status(), StatusCode::ACCEPTED);
    }
}

/// The answer with this id to a request that was served.
pub async fn answer_of(response: Response, id: u64) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    message_of(response, id).await
}

/// The message with this id in a body of JSON or of events.
pub async fn message_of(response: Response, id: u64) -> Value {
    let text = timeout(Duration::from_secs(10), response.text());
    let text = text.await.expect("an end").unwrap();
    let mut messages = text
        .lines()
        .map(|line| line.strip_prefix("data:").unwrap_or(line))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .find(|message| message["id"] == id)
        .unwrap_or_else(|| panic!("no answer in {text:?}"))
}
