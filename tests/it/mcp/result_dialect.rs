//! A client of the result dialect, by the rules that ChatGPT documents, from its first call to the
//! scope that its last one needs.
//!
//! It learns from `securitySchemes` what needs a sign-in, takes no 401 for a reason to sign in, and
//! signs in where the result of a tool has `_meta["mcp/www_authenticate"]`, of which each line has
//! an `error` and an `error_description`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::mcp::{
    Dialect, DialectRule, MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer,
};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::testing::{Endpoint, Issuer};
use url::Url;

use common::loopback;
use common::mcp_server::{Tool, mcp_app, subject, with_sessions};

const WITH_SESSIONS: &str = "2025-11-25";
const WITHOUT_SESSIONS: &str = "2026-07-28";
const RESULT_CLIENT: &str = "openai-mcp";
/// Nothing listens there: the code is read from the redirect itself.
const REDIRECT_URL: &str = "http://127.0.0.1:8976/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Each says who calls it.
const TOOLS: &[Tool] = &[
    ("search", subject),
    ("my_notes", subject),
    ("add_note", subject),
];

struct Served {
    issuer: Issuer,
    url: String,
}

/// Whether a principal can go on in a session that was opened anonymously.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sessions {
    Claimed,
    Lost,
}

async fn serve(dialect: DialectRule, sessions: Sessions) -> Served {
    let issuer = Issuer::start().await.unwrap();
    let (listener, url) = loopback::bind_mcp().await;
    let policy = McpPolicy::builder()
        .tool("search", Requirement::none())
        .and_then(|policy| policy.tool("my_notes", Requirement::authenticated()))
        .and_then(|policy| policy.tool("add_note", "notes:write"))
        .and_then(|policy| policy.build())
        .unwrap();
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
    let mut binding = SessionBindingLayer::new(MacKey::ephemeral().unwrap());
    if sessions == Sessions::Claimed {
        binding = binding.anonymous_sessions_can_be_claimed(MemoryReplayStore::default());
    }
    // Less than the last tool needs.
    let about_us = ProtectedResource::new(&*url)
        .and_then(|resource| resource.scopes_supported(["notes:read"]))
        .unwrap();
    let stack = McpStack::new(
        OriginLayer::new(&url).unwrap(),
        OAuthLayer::new(about_us, server).unwrap(),
    )
    .sessions(binding)
    .policy(policy)
    .unwrap()
    .dialect(dialect);
    let config = with_sessions(true).disable_allowed_hosts();
    loopback::serve(listener, mcp_app(TOOLS, config).layer(stack));
    Served { issuer, url }
}

/// How one tool says that it is to be used.
#[derive(Debug, PartialEq, Eq)]
enum Scheme {
    NoAuth,
    OAuth2(Vec<String>),
}

/// A line of `mcp/www_authenticate`, by the names of its parameters.
type Challenge = BTreeMap<String, String>;

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
enum Called {
    Said(String),
    /// The client is asked to sign in.
    Asked(Vec<Challenge>),
    /// A status that is no reason to sign in.
    Refused(u16),
}

impl Called {
    fn challenge(self) -> Challenge {
        match self {
            Self::Asked(challenges) => challenges.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

struct Client {
    http: reqwest::Client,
    url: String,
    name: &'static str,
    revision: &'static str,
    session: Option<String>,
    token: Option<String>,
    /// Its registration, which it keeps.
    client_id: Option<String>,
    /// How often it opened a session.
    opened: usize,
}

impl Client {
    async fn connect(url: &str, name: &'static str, revision: &'static str) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none());
        let mut client = Self {
            http: http.build().unwrap(),
            url: url.to_owned(),
            name,
            revision,
            session: None,
            token: None,
            client_id: None,
            opened: 0,
        };
        client.open().await;
        client
    }

    /// Until 2025-11-25 a client says who it is at the beginning of a session, and nowhere else.
    async fn open(&mut self) {
        if self.revision == WITHOUT_SESSIONS {
            return;
        }
        self.session = None;
        let initialize = json!({
            "protocolVersion": self.revision,
            "capabilities": {},
            "clientInfo": { "name": self.name, "version": "1" },
        });
        let answer = self.post(Some(1), "initialize", initialize).await;
        assert_eq!(answer.status(), 200);
        let session = answer.headers()["mcp-session-id"].to_str().unwrap();
        self.session = Some(session.to_owned());
        let answer = self
            .post(None, "notifications/initialized", json!({}))
            .await;
        assert_eq!(answer.status(), 202);
        self.opened += 1;
    }

    async fn post(&self, id: Option<u32>, method: &str, mut params: Value) -> reqwest::Response {
        let mut request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", self.revision);
        if self.revision == WITHOUT_SESSIONS {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.revision,
                "io.modelcontextprotocol/clientInfo": { "name": self.name, "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            request = request.header("mcp-method", method);
            if let Some(name) = params["name"].as_str() {
                request = request.header("mcp-name", name);
            }
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if let Some(id) = id {
            message["id"] = id.into();
        }
        request.body(message.to_string()).send().await.unwrap()
    }

    /// The result of a request, or the status that it was refused with. Where the session is over a
    /// client opens another, and asks again.
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, u16> {
        let mut answer = self.post(Some(7), method, params.clone()).await;
        if answer.status() == 404 {
            self.open().await;
            answer = self.post(Some(7), method, params).await;
        }
        if answer.status() != 200 {
            return Err(answer.status().as_u16());
        }
        let text = answer.text().await.unwrap();
        let messages = text.lines().filter_map(|line| {
            let json = line.strip_prefix("data:").unwrap_or(line);
            serde_json::from_str::<Value>(json).ok()
        });
        let answers: Vec<Value> = messages.filter(|message| message["id"] == 7).collect();
        assert_eq!(answers.len(), 1, "{text}");
        Ok(answers[0]["result"].clone())
    }

    /// What the tools say of themselves; `None` where one says nothing.
    async fn schemes(&mut self) -> BTreeMap<String, Option<Scheme>> {
        let listed = self.ask("tools/list", json!({})).await.unwrap();
        let read = |tool: &Value| {
            // Older clients look into `_meta`.
            assert_eq!(tool["_meta"]["securitySchemes"], tool["securitySchemes"]);
            let scheme = tool["securitySchemes"].as_array()?.first().unwrap();
            Some(match scheme["type"].as_str().unwrap() {
                "noauth" => Scheme::NoAuth,
                "oauth2" => {
                    let scopes = scheme.get("scopes").cloned().unwrap_or_else(|| json!([]));
                    Scheme::OAuth2(serde_json::from_value(scopes).unwrap())
                }
                other => panic!("{other}"),
            })
        };
        let tools = listed["tools"].as_array().unwrap();
        let named = tools.iter().map(|tool| {
            let name = tool["name"].as_str().unwrap();
            (name.to_owned(), read(tool))
        });
        named.collect()
    }

    async fn call(&mut self, tool: &str) -> Called {
        let params = json!({ "name": tool, "arguments": {} });
        let result = match self.ask("tools/call", params).await {
            Ok(result) => result,
            Err(status) => return Called::Refused(status),
        };
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        let Some(lines) = result["_meta"]["mcp/www_authenticate"].as_array() else {
            return Called::Said(text);
        };
        assert_eq!(result["isError"], true, "{result}");
        assert!(!lines.is_empty(), "{result}");
        let read = |line: &Value| {
            let challenge = parameters(line.as_str().unwrap());
            // Without both, no sign-in begins.
            assert!(challenge.contains_key("error"), "{line}");
            assert!(challenge.contains_key("error_description"), "{line}");
            challenge
        };
        Called::Asked(lines.iter().map(read).collect())
    }

    /// From the challenge to a token: metadata of the resource, metadata of its authorization
    /// server, registration, authorization code with PKCE for this resource.
    async fn sign_in(&mut self, challenge: &Challenge, scheme: &Scheme) {
        let about = self.get(&challenge["resource_metadata"]).await;
        assert_eq!(about["resource"], *self.url);
        let issuer = about["authorization_servers"][0].as_str().unwrap();
        // RFC 8414 section 3; the issuer of the tests has no path.
        let metadata = format!("{issuer}/.well-known/oauth-authorization-server");
        let server = self.get(&metadata).await;
        assert_eq!(server["issuer"], issuer);
        let methods = &server["code_challenge_methods_supported"];
        assert!(methods.as_array().unwrap().contains(&json!("S256")));
        let endpoint = |name: &str| server[name].as_str().unwrap();

        if self.client_id.is_none() {
            self.client_id = Some(self.register(endpoint("registration_endpoint")).await);
        }
        let client_id = self.client_id.as_deref().unwrap();

        // What the challenge asks for, or else what the tool said of itself.
        let scope = match (challenge.get("scope"), scheme) {
            (Some(scope), _) => scope.clone(),
            (None, Scheme::OAuth2(scopes)) => scopes.join(" "),
            (None, Scheme::NoAuth) => String::new(),
        };
        let mut page = Url::parse(endpoint("authorization_endpoint")).unwrap();
        page.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", REDIRECT_URL)
            .append_pair("state", "a state")
            .append_pair("scope", &scope)
            .append_pair("resource", &self.url)
            .append_pair("code_challenge_method", "S256")
            .append_pair(
                "code_challenge",
                &BASE64URL.encode(Sha256::digest(VERIFIER)),
            );
        let redirect = self.http.get(page).send().await.unwrap();
        let callback = redirect.headers()["location"].to_str().unwrap();
        let callback = Url::parse(callback).unwrap();
        let answer: BTreeMap<_, _> = callback.query_pairs().into_owned().collect();
        assert_eq!(answer["state"], "a state", "{callback}");

        let request = self.http.post(endpoint("token_endpoint")).form(&[
            ("grant_type", "authorization_code"),
            ("code", &answer["code"]),
            ("client_id", client_id),
            ("redirect_uri", REDIRECT_URL),
            ("code_verifier", VERIFIER),
            ("resource", &self.url),
        ]);
        let token = request.send().await.unwrap();
        assert_eq!(token.status(), 200);
        let token: Value = token.json().await.unwrap();
        self.token = Some(token["access_token"].as_str().unwrap().to_owned());
    }

    async fn register(&self, endpoint: &str) -> String {
        let registration = json!({
            "client_name": self.name,
            "redirect_uris": [REDIRECT_URL],
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let request = self.http.post(endpoint).json(&registration);
        let registered: Value = request.send().await.unwrap().json().await.unwrap();
        registered["client_id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, url: &str) -> Value {
        let answer = self.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        answer.json().await.unwrap()
    }
}

/// The parameters of a challenge; no value of the library has a quote or a backslash in it.
fn parameters(line: &str) -> Challenge {
    let parameters = line.strip_prefix("Bearer ").unwrap();
    let mut read = Challenge::new();
    let mut rest = parameters;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (value, after) = after.split_once('"').unwrap();
        let before = read.insert(name.trim_start_matches(", ").to_owned(), value.to_owned());
        assert_eq!(before, None, "{line}");
        rest = after;
    }
    read
}

fn schemes_of_the_policy() -> BTreeMap<String, Option<Scheme>> {
    let write = vec!["notes:write".to_owned()];
    BTreeMap::from([
        ("search".to_owned(), Some(Scheme::NoAuth)),
        ("my_notes".to_owned(), Some(Scheme::OAuth2(Vec::new()))),
        ("add_note".to_owned(), Some(Scheme::OAuth2(write))),
    ])
}

/// From an anonymous connection to the scope of the last tool.
async fn signs_in_and_steps_up(dialect: DialectRule, sessions: Sessions, revision: &'static str) {
    let served = serve(dialect, sessions).await;
    let mut client = Client::connect(&served.url, RESULT_CLIENT, revision).await;
    let schemes = client.schemes().await;
    assert_eq!(schemes, schemes_of_the_policy());
    let scheme = |tool: &str| schemes[tool].as_ref().unwrap();
    assert_eq!(
        client.call("search").await,
        Called::Said("anonymous".to_owned())
    );
    assert_eq!(served.issuer.requests(Endpoint::Authorize), 0);

    // What a tool needs, or else what is advertised.
    let challenge = client.call("add_note").await.challenge();
    assert_eq!(challenge["scope"], "notes:write");
    let challenge = client.call("my_notes").await.challenge();
    assert_eq!(challenge["scope"], "notes:read");
    client.sign_in(&challenge, scheme("my_notes")).await;
    let alice = || Called::Said("alice".to_owned());
    assert_eq!(client.call("my_notes").await, alice());
    assert_eq!(client.call("search").await, alice());

    let challenge = client.call("add_note").await.challenge();
    assert_eq!(challenge["error"], "insufficient_scope");
    // Up to 2025-11-25 clients ask for what is named, and lose the rest.
    let scope = match revision {
        WITH_SESSIONS => "notes:read notes:write",
        _ => "notes:write",
    };
    assert_eq!(challenge["scope"], scope);
    client.sign_in(&challenge, scheme("add_note")).await;
    assert_eq!(client.call("add_note").await, alice());
    assert_eq!(client.call("my_notes").await, alice());
    assert_eq!(served.issuer.requests(Endpoint::Authorize), 2);

    // What is bad is refused to every client over HTTP.
    client.token = Some(served.issuer.token().audience(&served.url).expired().sign());
    assert_eq!(client.call("search").await, Called::Refused(401));
    assert_eq!(client.call("my_notes").await, Called::Refused(401));

    let sessions = match (revision, sessions) {
        (WITHOUT_SESSIONS, _) => 0,
        (_, Sessions::Claimed) => 1,
        (_, Sessions::Lost) => 2,
    };
    assert_eq!(client.opened, sessions);
}

#[tokio::test]
async fn signs_in_by_what_each_request_says_of_its_client() {
    let rule = DialectRule::by_client();
    signs_in_and_steps_up(rule, Sessions::Claimed, WITHOUT_SESSIONS).await;
}

/// The session id has kept who opened it.
#[tokio::test]
async fn signs_in_in_the_session_that_knows_its_client() {
    let rule = DialectRule::by_client();
    signs_in_and_steps_up(rule, Sessions::Claimed, WITH_SESSIONS).await;
}

/// A session that cannot be claimed is a 404 to a principal.
#[tokio::test]
async fn signs_in_and_opens_a_new_session() {
    let rule = DialectRule::by_client();
    signs_in_and_steps_up(rule, Sessions::Lost, WITH_SESSIONS).await;
}

#[tokio::test]
async fn signs_in_where_all_clients_are_answered_by_results() {
    for revision in [WITH_SESSIONS, WITHOUT_SESSIONS] {
        signs_in_and_steps_up(Dialect::Result.into(), Sessions::Claimed, revision).await;
    }
}

/// At the same server, at the same time.
#[tokio::test]
async fn other_clients_are_answered_over_http() {
    let served = serve(DialectRule::by_client(), Sessions::Claimed).await;
    for revision in [WITH_SESSIONS, WITHOUT_SESSIONS] {
        let mut asked = Client::connect(&served.url, RESULT_CLIENT, revision).await;
        let mut other = Client::connect(&served.url, "claude-ai", revision).await;
        assert!(other.schemes().await.values().all(Option::is_none));
        assert_eq!(asked.schemes().await, schemes_of_the_policy());
        assert_eq!(other.call("my_notes").await, Called::Refused(401));
        asked.call("my_notes").await.challenge();
        other.token = Some(served.issuer.token().audience(&served.url).sign());
        assert_eq!(other.call("add_note").await, Called::Refused(403));
    }
}
