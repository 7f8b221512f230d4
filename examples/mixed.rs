//! One MCP server that is open in part: a tool for anyone, one for callers, one for a scope.
//!
//! Run with
//!
//! ```sh
//! cargo run --example mixed
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start. Or give the URL
//! `http://127.0.0.1:3000/mcp` to an MCP client: it connects without a token, and signs in when it
//! calls `my_notes`.
//!
//! A policy says what each tool needs. Most clients are asked to sign in over HTTP, by a 401;
//! those of OpenAI by the result of the tool. `docs/mixed-authentication.md` explains both.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/trace.rs"]
mod trace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tower_mcp_auth::mcp::{
    DialectRule, MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer,
};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, Principal, PrincipalId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, origin) = listen::listen(3000).await;
    let resource = format!("{origin}/mcp");

    // As in the quickstart: the development issuer stands for your authorization server.
    let issuer = Issuer::start().await?;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;

    // What is open, what needs a caller, what needs a scope. What no rule names is denied.
    let policy = McpPolicy::builder()
        .tool("search", Requirement::none())?
        .tool("my_notes", Requirement::authenticated())?
        .tool("add_note", "notes:write")?
        .build()?;
    // A client that signs in keeps the session it has. The session also keeps which client it is
    // of, so that each is asked in its own way.
    let sessions = SessionBindingLayer::new(MacKey::ephemeral()?)
        .anonymous_sessions_can_be_claimed(MemoryReplayStore::default());
    let stack = McpStack::new(
        OriginLayer::new(&resource)?,
        OAuthLayer::new(&*resource, server)?,
    )
    .sessions(sessions)
    .policy(policy)?
    .dialect(DialectRule::by_client());

    // Around the MCP endpoint alone: what is no POST is open as well.
    let app = Router::new().route_service("/mcp", service()).layer(stack);

    print_requests(&issuer, &resource);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

fn service() -> StreamableHttpService<Notes, LocalSessionManager> {
    let notes = Notes::default();
    // The `OriginLayer` knows the hosts.
    let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    StreamableHttpService::new(move || Ok(notes.clone()), Arc::default(), config)
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<HashMap<PrincipalId, Vec<String>>>>);

#[derive(serde::Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[tool_router(server_handler)]
impl Notes {
    #[tool(description = "Searches the manual")]
    async fn search(
        &self,
        Parameters(Text { text }): Parameters<Text>,
        Extension(parts): Extension<Parts>,
    ) -> String {
        // Here there may be a principal, or none.
        let principal = Principal::from_extensions(&parts.extensions);
        let who = principal.and_then(Principal::subject);
        format!("{}: nothing about {text}", who.unwrap_or("anonymous"))
    }

    #[tool(description = "Lists your notes")]
    async fn my_notes(&self, Extension(parts): Extension<Parts>) -> String {
        self.of(&parts, |notes| format!("notes: {}", notes.join(", ")))
    }

    #[tool(description = "Adds a note")]
    async fn add_note(
        &self,
        Parameters(Text { text }): Parameters<Text>,
        Extension(parts): Extension<Parts>,
    ) -> String {
        self.of(&parts, |notes| {
            notes.push(text);
            format!("notes: {}", notes.len())
        })
    }
}

impl Notes {
    fn of(&self, parts: &Parts, edit: impl FnOnce(&mut Vec<String>) -> String) -> String {
        // The policy lets no anonymous caller come here.
        let Some(principal) = Principal::from_extensions(&parts.extensions) else {
            return "no principal".to_owned();
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edit(kept.entry(principal.id().clone()).or_default())
    }
}

fn print_requests(issuer: &Issuer, resource: &str) {
    let curl = format!(
        "curl -i {resource} -H 'Content-Type: application/json' \
         -H 'Accept: application/json, text/event-stream'"
    );
    let token = || issuer.token().audience(resource);
    let bearer = |token: String| format!("-H 'Authorization: Bearer {token}'");
    let plain = bearer(token().sign());
    let writes = bearer(token().scope("notes:write").sign());
    let expired = bearer(token().expired().sign());
    // Revision 2026-07-28: each request says which client it is of.
    let ask = |client: &str, method: &str, name: &str, params: &str| {
        format!(
            "-H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: {method}'{name} -d \
             '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{{params}\
             \"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
             \"io.modelcontextprotocol/clientInfo\":{{\"name\":\"{client}\",\"version\":\"1\"}},\
             \"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}'"
        )
    };
    let list = |client: &str| ask(client, "tools/list", "", "");
    let call = |client: &str, tool: &str| {
        let name = format!(" -H 'Mcp-Name: {tool}'");
        let params = format!(r#""name":"{tool}","arguments":{{"text":"milk"}},"#);
        ask(client, "tools/call", &name, &params)
    };
    let [search, mine, add] = ["search", "my_notes", "add_note"].map(|tool| call("curl", tool));
    let metadata = resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");

    println!("# anyone sees all tools: 200\n{curl} {}\n", list("curl"));
    println!("# anyone can search: 200\n{curl} {search}\n");
    println!("# my_notes, without a token: 401\n{curl} {mine}\n");
    println!("# the metadata that the challenge names: 200\ncurl -i {metadata}\n");
    println!("# my_notes, with any token: 200\n{curl} {plain} {mine}\n");
    println!("# add_note, with a token that lacks the scope: 403\n{curl} {plain} {add}\n");
    println!("# add_note, with a token of more scope: 200\n{curl} {writes} {add}\n");
    println!("# a bad token is never anonymous: 401\n{curl} {expired} {search}\n");

    let other = "openai-mcp";
    let [mine, add] = ["my_notes", "add_note"].map(|tool| call(other, tool));
    // Until 2025-11-25 only the session says which client it is of.
    let initialize = format!(
        r#"-d '{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"{other}","version":"1"}}}}}}'"#
    );
    println!(
        "# {other} sees which need a sign-in: 200\n{curl} {}\n",
        list(other)
    );
    println!("# {other} is asked to sign in by a result: 200\n{curl} {mine}\n");
    println!("# {other} is asked for more scope by a result: 200\n{curl} {plain} {add}\n");
    println!("# {other} with a bad token: 401\n{curl} {expired} {mine}\n");
    println!("# {other} opens a session, as clients of 2025-11-25 do: 200\n{curl} {initialize}\n");
    println!("# for an MCP client, which needs no token at first\n{resource}\n");
}
