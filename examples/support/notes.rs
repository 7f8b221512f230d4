//! An MCP server with four tools, and the scopes each of them needs. It is unprotected by
//! itself: the layers go around it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;
use rmcp::ErrorData;
use rmcp::handler::server::tool::{Extension, RequestState};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, InputRequiredResult, SubscriptionFilter,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde_json::json;
use tower_mcp_auth::mcp::{McpPolicy, PrincipalSealer, RequestDigest};
use tower_mcp_auth::scopes::{Requirement, ScopeHierarchy};
use tower_mcp_auth::{ConfigError, Principal, PrincipalId};

/// Reading, writing and deleting are three scopes; who has a greater one has the smaller.
pub(crate) fn policy() -> Result<McpPolicy, ConfigError> {
    McpPolicy::builder()
        .hierarchy(ScopeHierarchy::new([
            ("notes:admin", ["notes:write"]),
            ("notes:write", ["notes:read"]),
        ])?)
        .tool("whoami", Requirement::authenticated())?
        .tool("list_notes", "notes:read")?
        .tool("add_note", "notes:write")?
        .tool("delete_notes", "notes:admin")?
        .build()
}

/// The service, with sessions for clients of revisions that have them.
pub(crate) fn service(
    sealer: PrincipalSealer,
    ping: Duration,
) -> StreamableHttpService<Notes, LocalSessionManager> {
    let notes = Notes {
        kept: Arc::default(),
        sealer,
    };
    // rmcp answers 403 to every host but those of loopback, and so to the public one that a
    // proxy passes on. The `OriginLayer` of the stack knows that from the resource.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_sse_keep_alive(Some(ping));
    StreamableHttpService::new(move || Ok(notes.clone()), Arc::default(), config)
}

#[derive(Clone)]
pub(crate) struct Notes {
    /// Everyone has notes of their own.
    kept: Arc<Mutex<HashMap<PrincipalId, Vec<String>>>>,
    sealer: PrincipalSealer,
}

#[derive(serde::Deserialize, JsonSchema)]
struct Note {
    text: String,
}

#[derive(serde::Deserialize, JsonSchema)]
struct Deletion {
    /// Delete the notes that contain this.
    containing: String,
    /// What the first call answered, for clients that know no request state.
    confirmation: Option<String>,
}

#[tool_router]
impl Notes {
    #[tool(description = "Says who calls")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        Ok(caller(&parts)?.subject().unwrap_or("somebody").to_owned())
    }

    #[tool(description = "Lists your notes")]
    async fn list_notes(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        let principal = caller(&parts)?;
        Ok(self.with_notes(principal, |notes| notes.join("\n")))
    }

    #[tool(description = "Adds a note")]
    async fn add_note(
        &self,
        Parameters(Note { text }): Parameters<Note>,
        Extension(parts): Extension<Parts>,
    ) -> Result<String, ErrorData> {
        let principal = caller(&parts)?;
        Ok(self.with_notes(principal, |notes| {
            notes.push(text);
            notes.len().to_string()
        }))
    }

    #[tool(description = "Deletes notes; answers what to send along to confirm")]
    async fn delete_notes(
        &self,
        Parameters(deletion): Parameters<Deletion>,
        RequestState(state): RequestState,
        Extension(parts): Extension<Parts>,
    ) -> Result<CallToolResponse, ErrorData> {
        let principal = caller(&parts)?;
        let Deletion {
            containing,
            confirmation,
        } = deletion;
        // What was asked for, by whom: a confirmation is good for nothing else.
        let arguments = json!({ "containing": containing });
        let request = RequestDigest::new("tools/call", "delete_notes", arguments.as_object());
        if let Some(confirmation) = state.or(confirmation) {
            self.sealer
                .open(principal, &request, &confirmation)
                .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
            let deleted = self.with_notes(principal, |notes| {
                let before = notes.len();
                notes.retain(|note| !note.contains(&containing));
                before - notes.len()
            });
            return Ok(text(format!("{deleted} deleted")));
        }
        let confirmation = self
            .sealer
            .seal(principal, &request, b"")
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        // Dates of one form compare as their text does.
        let version = parts.headers.get("mcp-protocol-version");
        if version.is_some_and(|version| version.as_bytes() >= &b"2026-07-28"[..]) {
            return Ok(InputRequiredResult::from_request_state(confirmation).into());
        }
        Ok(text(confirmation))
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    /// Clients of 2026-07-28 can listen; the stream ends with their token.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
}

impl Notes {
    fn with_notes<T>(&self, principal: &Principal, edit: impl FnOnce(&mut Vec<String>) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        edit(kept.entry(principal.id().clone()).or_default())
    }
}

/// The principal of *this* request: rmcp hands on the head of every POST.
fn caller(parts: &Parts) -> Result<&Principal, ErrorData> {
    Principal::from_extensions(&parts.extensions)
        .ok_or_else(|| ErrorData::internal_error("no principal", None))
}

fn text(text: String) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text)]).into()
}
