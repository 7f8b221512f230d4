//! What clients of others do when they meet the README's own stack: they see its tools, call
//! one, ask for more scope when they call one that needs it, and come back when their token
//! expired. `docs/what-clients-do.md` says the same in words.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::contract::Visit;
use crate::programs::{Running, node, python_of};
use crate::readme_stack::{Served, TOKEN_LIFETIME};

const READ: &str = "mcp:read";
const BOTH: &str = "mcp:read mcp:write";

const NOTES: Outcome = Outcome::Text("get_notes", "buy milk");
const WRITTEN: Outcome = Outcome::Text("write_note", "written");

/// How a call ends.
#[derive(Clone, Copy)]
enum Outcome {
    /// The tool, and its text.
    Text(&'static str, &'static str),
    /// The tool, and a part of what the client says instead.
    Error(&'static str, &'static str),
}

/// Whether the client's own clock goes on with the server's.
#[derive(Clone, Copy)]
enum Expiry {
    Foreseen,
    Unforeseen,
}

/// Runs a client against a server of its own: calls the tools of `first`, lets every access
/// token expire, calls those of `then`, and compares how each call ended.
async fn visit(
    mut client: Command,
    first: &[Outcome],
    expiry: Expiry,
    then: &[Outcome],
) -> (Visit, Served) {
    let tool = |outcome: &Outcome| match *outcome {
        Outcome::Text(tool, _) | Outcome::Error(tool, _) => tool,
    };
    let served = Served::start().await;
    client.arg(&served.url).args(first.iter().map(tool));
    client.arg("-").args(then.iter().map(tool));
    let mut running = Running::start(&mut client);
    running.line("ready").await;
    served.expire_tokens();
    let passed = match expiry {
        Expiry::Foreseen => TOKEN_LIFETIME * 2,
        Expiry::Unforeseen => Duration::ZERO,
    };
    let rest = running.ask(&passed.as_secs().to_string(), "{").await;
    let visit = Visit::read(&format!("{{{rest}"));

    let mut tools = visit.tools.clone();
    tools.sort_unstable();
    assert_eq!(tools, ["get_notes", "write_note"], "{visit:#?}");
    assert_eq!(visit.calls.len(), first.len() + then.len(), "{visit:#?}");
    for (call, expected) in visit.calls.iter().zip(first.iter().chain(then)) {
        let is_so = match *expected {
            Outcome::Text(tool, text) => call.tool == tool && call.text.as_deref() == Some(text),
            Outcome::Error(tool, part) => {
                let error = call.error.as_deref();
                call.tool == tool && error.is_some_and(|error| error.contains(part))
            }
        };
        assert!(is_so, "{}: {visit:#?}", call.tool);
    }
    (visit, served)
}

/// A client that can do everything: it asks for more when it needs more, and what it has then
/// outlives its first token.
async fn steps_up_and_comes_back(client: Command) {
    let first = [NOTES, WRITTEN];
    let (visit, _) = visit(client, &first, Expiry::Foreseen, &[NOTES, WRITTEN]).await;
    assert_eq!(visit.authorizations, [READ, BOTH]);
}

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/client: see tests/interop/README.md"]
async fn typescript_v2_steps_up_and_comes_back() {
    steps_up_and_comes_back(node("typescript-client-v2.mjs")).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI mcp 1: see tests/interop/README.md"]
async fn python_v1_steps_up_and_comes_back() {
    steps_up_and_comes_back(python_of("venv-v1", "python_client_v1.py")).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI mcp 2: see tests/interop/README.md"]
async fn python_v2_steps_up_and_comes_back() {
    steps_up_and_comes_back(python_of("venv", "python_client.py")).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI fastmcp: see tests/interop/README.md"]
async fn fastmcp_steps_up_and_comes_back() {
    steps_up_and_comes_back(python_of("venv", "fastmcp_client.py")).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI openai-agents: see tests/interop/README.md"]
async fn agent_is_shown_a_tool_and_steps_up_for_it() {
    steps_up_and_comes_back(python_of("venv-agents", "openai_agents_client.py")).await;
}

/// The scopes of both tools are in the token from the second consent on.
#[tokio::test]
#[ignore = "needs Python and PyPI mcp 1: see tests/interop/README.md"]
async fn python_v1_alternates_between_tools_with_two_consents() {
    let five = [NOTES, WRITTEN, NOTES, WRITTEN, NOTES];
    let client = python_of("venv-v1", "python_client_v1.py");
    let (visit, served) = visit(client, &five, Expiry::Foreseen, &[]).await;
    assert_eq!(visit.authorizations, [READ, BOTH]);
    assert_eq!(served.authorizations(), 2);
}

/// Python refreshes what its own clock calls expired. At any other 401 it starts again, with
/// what the 401 names.
#[tokio::test]
#[ignore = "needs Python and PyPI mcp: see tests/interop/README.md"]
async fn python_starts_again_at_a_401_it_did_not_expect() {
    for client in [
        python_of("venv-v1", "python_client_v1.py"),
        python_of("venv", "python_client.py"),
    ] {
        let (visit, _) = visit(client, &[NOTES, WRITTEN], Expiry::Unforeseen, &[NOTES]).await;
        assert_eq!(visit.authorizations, [READ, BOTH, READ]);
    }
}

/// It refreshes at a 403 too, as long as it can, and has the same scopes as before.
#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/sdk: see tests/interop/README.md"]
async fn typescript_v1_with_a_refresh_token_comes_back_and_never_steps_up() {
    let refused = Outcome::Error("write_note", "403 after trying upscoping");
    let client = node("typescript-client.mjs");
    let (visit, _) = visit(client, &[NOTES, refused], Expiry::Foreseen, &[NOTES]).await;
    assert_eq!(visit.authorizations, [READ]);
}

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/sdk: see tests/interop/README.md"]
async fn typescript_v1_without_a_refresh_token_steps_up_and_starts_again() {
    let mut client = node("typescript-client.mjs");
    client.arg("--forget-refresh-tokens");
    let first = [NOTES, WRITTEN];
    let (visit, _) = visit(client, &first, Expiry::Foreseen, &[NOTES, WRITTEN]).await;
    assert_eq!(visit.authorizations, [READ, BOTH, READ, BOTH]);
}

/// To it a 403 is an error of the call like any other.
#[tokio::test]
#[ignore = "needs Node 22 and npm @ai-sdk/mcp: see tests/interop/README.md"]
async fn ai_sdk_comes_back_and_never_steps_up() {
    let refused = Outcome::Error("write_note", "insufficient_scope");
    let client = node("ai-sdk-client.mjs");
    let (visit, _) = visit(client, &[NOTES, refused], Expiry::Foreseen, &[NOTES]).await;
    assert_eq!(visit.authorizations, [READ]);
}

/// It takes what a 403 asks for, where that is all of `scopes_supported`, for a default of its
/// own, and asks for the scope of the first 401 again.
#[tokio::test]
#[ignore = "needs Node 22 and npm mcp-remote: see tests/interop/README.md"]
async fn mcp_remote_comes_back_and_never_steps_up_to_all_scopes() {
    let refused = Outcome::Error("write_note", "Unauthorized");
    let client = node("mcp-remote.mjs");
    let (visit, _) = visit(client, &[NOTES, refused], Expiry::Foreseen, &[NOTES]).await;
    assert!(visit.authorizations.len() > 1, "{visit:#?}");
    assert!(visit.authorizations.iter().all(|scope| scope == READ));
}

/// It asks for all of `scopes_supported` at once.
#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/inspector: see tests/interop/README.md"]
async fn inspector_cli_asks_for_all_at_first_and_comes_back() {
    let client = node("inspector-cli.mjs");
    let first = [NOTES, WRITTEN];
    let (visit, _) = visit(client, &first, Expiry::Foreseen, &[NOTES]).await;
    assert_eq!(visit.authorizations, [BOTH]);
}

/// It shows which scopes are new, and comes back to the tool.
#[tokio::test]
#[ignore = "needs Node 22, npm @modelcontextprotocol/inspector, Chromium: see tests/interop/README.md"]
async fn inspector_in_a_browser_steps_up_and_comes_back() {
    // `install.sh` leaves it out: it is large.
    if !Path::new("/usr/bin/chromium").exists() {
        println!("not run: there is no Chromium, `apt-get install chromium` brings it");
        return;
    }
    let client = node("inspector-web.mjs");
    let first = [NOTES, WRITTEN];
    let (visit, _) = visit(client, &first, Expiry::Foreseen, &[NOTES]).await;
    assert_eq!(visit.authorizations, [READ, BOTH]);
}
