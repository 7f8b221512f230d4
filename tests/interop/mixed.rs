//! What clients of others do at a server that is open in part: they connect without a token, call
//! the open tool, and sign in at the first that needs it. `docs/what-clients-do.md` says the same
//! in words.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http::header::AUTHORIZATION;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use tokio::process::Command;
use tokio::sync::watch;
use tower_mcp_auth::mcp::{
    DialectRule, MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer,
};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::scopes::Requirement;
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{ConfigError, OAuthLayer};

use crate::contract::Visit;
use crate::programs::{Running, node, python_of, run};
use common::loopback;
use common::mcp_server::{Tool, mcp_app, subject};

/// The tools, in the order in which they are called.
const CALLED: [&str; 3] = ["search", "my_notes", "add_note"];
const READ: &str = "notes:read";
const WRITE: &str = "notes:write";

/// Each says who calls it.
const TOOLS: &[Tool] = &[
    ("search", subject),
    ("my_notes", subject),
    ("add_note", subject),
];

/// What becomes of the session that a client has when it signs in, up to revision 2025-11-25.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    /// It stays anonymous: a principal gets a 404.
    Anonymous,
    /// The principal claims it.
    Claimed,
    /// The server has none.
    None,
}

/// What the metadata say of scopes.
#[derive(Clone, Copy)]
enum Advertised {
    /// What the policy says.
    All,
    /// What no tool needs, so that the last one needs more than the first token has.
    Less,
}

/// The stack of the `mixed` example.
fn app(
    resource: &str,
    issuer: &Issuer,
    sessions: Sessions,
    advertised: Advertised,
) -> Result<Router, ConfigError> {
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
    let policy = McpPolicy::builder()
        .tool("search", Requirement::none())?
        .tool("my_notes", Requirement::authenticated())?
        .tool("add_note", WRITE)?
        .build()?;
    let mut about_us = ProtectedResource::new(resource)?;
    if let Advertised::Less = advertised {
        about_us = about_us.scopes_supported([READ])?;
    }
    let binding = SessionBindingLayer::new(MacKey::ephemeral()?);
    let binding = match sessions {
        Sessions::Claimed => {
            binding.anonymous_sessions_can_be_claimed(MemoryReplayStore::default())
        }
        Sessions::Anonymous | Sessions::None => binding,
    };
    let stack = McpStack::new(
        OriginLayer::new(resource)?,
        OAuthLayer::new(about_us, server)?,
    )
    .sessions(binding)
    .policy(policy)?
    .dialect(DialectRule::by_client());
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_legacy_session_mode(sessions != Sessions::None);
    Ok(mcp_app(TOOLS, config).layer(stack))
}

/// A server with its issuer, and what it sees.
struct Served {
    url: String,
    _issuer: Issuer,
    /// `METHOD token STATUS` or `METHOD anonymous STATUS` of each request to the MCP endpoint.
    seen: watch::Receiver<Vec<String>>,
}

async fn serve(sessions: Sessions, advertised: Advertised) -> Served {
    let issuer = Issuer::start().await.expect("an issuer");
    let (listener, url) = loopback::bind_mcp().await;
    let (sees, seen) = watch::channel(Vec::new());
    let see = from_fn(move |request: Request, next: Next| {
        let sees = sees.clone();
        async move {
            let is_mcp = request.uri().path() == "/mcp";
            let method = request.method().clone();
            let who = match request.headers().contains_key(AUTHORIZATION) {
                true => "token",
                false => "anonymous",
            };
            let response = next.run(request).await;
            if is_mcp {
                let status = response.status().as_u16();
                sees.send_modify(|seen| seen.push(format!("{method} {who} {status}")));
            }
            response
        }
    });
    let app = app(&url, &issuer, sessions, advertised).expect("a stack");
    loopback::serve(listener, app.layer(see));
    Served {
        url,
        _issuer: issuer,
        seen,
    }
}

/// What a client did on one connection, and then on a new one.
#[derive(Debug)]
struct Visits {
    first: Visit,
    second: Visit,
    seen: Vec<String>,
}

/// The visits of a client that began without a token, was served so at the open tool, and was
/// refused once: at the first tool that needs a caller.
async fn visits(mut client: Command, sessions: Sessions, advertised: Advertised) -> Visits {
    let served = serve(sessions, advertised).await;
    let url = &*served.url;
    client.args(["--anonymous", url]).args(CALLED);
    let printed = run(client.args(["--then", url])).await;
    let visits: Vec<Visit> = printed.lines().map(Visit::read).collect();
    let [first, second] = visits.try_into().expect("a line for each visit");
    let seen = served.seen.borrow().clone();
    let visits = Visits {
        first,
        second,
        seen,
    };
    let mut tools = visits.first.tools.clone();
    tools.sort_unstable();
    assert_eq!(tools, ["add_note", "my_notes", "search"], "{visits:#?}");
    assert_eq!(visits.first.said()[0], Some("anonymous"), "{visits:#?}");
    let is_refused = |line: &&String| line.ends_with(" 401");
    assert_eq!(visits.seen.iter().filter(is_refused).count(), 1);
    let mut before = visits.seen.iter().take_while(|line| !is_refused(line));
    assert!(
        before.all(|line| line.contains(" anonymous ")),
        "{visits:#?}"
    );
    visits
}

/// Whether a principal was refused a session.
fn is_lost(visits: &Visits) -> bool {
    visits.seen.iter().any(|line| line == "POST token 404")
}

const ALICE: Option<&str> = Some("alice");

/// Every call came to something, with one authorization.
fn assert_signed_in_at_the_tool(visits: &Visits) {
    let Visits { first, second, .. } = visits;
    assert_eq!(
        first.said(),
        [Some("anonymous"), ALICE, ALICE],
        "{visits:#?}"
    );
    assert_eq!(first.authorizations, [WRITE], "{visits:#?}");
    assert_eq!(second.said(), [ALICE; 3], "{visits:#?}");
    assert_eq!(second.authorizations.len(), 0, "{visits:#?}");
}

/// From the 401 to the token, where the client's script sees its requests.
fn assert_was_led(visits: &Visits) {
    visits.first.assert_steps(&[
        ("POST ", "/mcp 401"),
        ("GET ", "/.well-known/oauth-protected-resource/mcp 200"),
        ("GET ", "/.well-known/oauth-authorization-server 200"),
        ("POST ", "/register 201"),
        ("GET ", "/authorize 302"),
        ("POST ", "/token 200"),
        ("POST ", "/mcp 200"),
    ]);
}

/// A client that goes on in its session, or without any, with the token that it got there.
async fn signs_in_where_it_is(client: impl Fn() -> Command) {
    for sessions in [Sessions::Claimed, Sessions::None] {
        let visits = visits(client(), sessions, Advertised::All).await;
        assert_signed_in_at_the_tool(&visits);
        assert_was_led(&visits);
        assert!(!is_lost(&visits), "{visits:#?}");
        // One connection, which begins with a notification.
        let steps = visits.first.steps.iter();
        let opened = steps.filter(|step| step.ends_with("/mcp 202"));
        assert_eq!(opened.count(), 1, "{visits:#?}");
    }
}

/// A client that signs in, and presents a session that stays anonymous. It opens no other by
/// itself; its host can, and has a token then.
async fn loses_its_anonymous_session(client: Command, why: &str) {
    let visits = visits(client, Sessions::Anonymous, Advertised::All).await;
    let Visits { first, second, .. } = &visits;
    assert_eq!(first.said(), [Some("anonymous"), None, None], "{visits:#?}");
    for call in &first.calls[1..] {
        let error = call.error.as_deref().expect("an error");
        assert!(error.contains(why), "{visits:#?}");
    }
    assert_eq!(first.authorizations, [WRITE], "{visits:#?}");
    assert!(is_lost(&visits), "{visits:#?}");
    assert_eq!(second.said(), [ALICE; 3], "{visits:#?}");
    assert_eq!(second.authorizations.len(), 0, "{visits:#?}");
}

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/sdk: see tests/interop/README.md"]
async fn typescript_v1_signs_in_where_it_is() {
    signs_in_where_it_is(|| node("typescript-client.mjs")).await;
}

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/client: see tests/interop/README.md"]
async fn typescript_v2_signs_in_where_it_is() {
    signs_in_where_it_is(|| node("typescript-client-v2.mjs")).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI mcp 1: see tests/interop/README.md"]
async fn python_v1_signs_in_where_it_is() {
    signs_in_where_it_is(|| python_of("venv-v1", "python_client_v1.py")).await;
}

#[tokio::test]
#[ignore = "needs Node 22 and npm @ai-sdk/mcp: see tests/interop/README.md"]
async fn ai_sdk_signs_in_where_it_is() {
    signs_in_where_it_is(|| node("ai-sdk-client.mjs")).await;
}

#[tokio::test]
#[ignore = "needs Node 22 and both of npm @modelcontextprotocol: see tests/interop/README.md"]
async fn typescript_loses_its_anonymous_session() {
    for script in ["typescript-client.mjs", "typescript-client-v2.mjs"] {
        loses_its_anonymous_session(node(script), "The session is not known").await;
    }
}

#[tokio::test]
#[ignore = "needs Python and PyPI mcp 1: see tests/interop/README.md"]
async fn python_v1_loses_its_anonymous_session() {
    let client = python_of("venv-v1", "python_client_v1.py");
    loses_its_anonymous_session(client, "Session terminated").await;
}

/// It takes the 404 for a server of the transport before this one.
#[tokio::test]
#[ignore = "needs Node 22 and npm @ai-sdk/mcp: see tests/interop/README.md"]
async fn ai_sdk_loses_its_anonymous_session() {
    let why = "Try using `sse` transport instead";
    loses_its_anonymous_session(node("ai-sdk-client.mjs"), why).await;
}

/// Clients of revision 2026-07-28 have no session to lose.
#[tokio::test]
#[ignore = "needs Python, PyPI mcp 2, fastmcp and openai-agents: see tests/interop/README.md"]
async fn python_signs_in_without_sessions() {
    for client in [
        python_of("venv", "python_client.py"),
        python_of("venv", "fastmcp_client.py"),
        python_of("venv-agents", "openai_agents_client.py"),
    ] {
        let visits = visits(client, Sessions::Anonymous, Advertised::All).await;
        assert_signed_in_at_the_tool(&visits);
        assert_was_led(&visits);
        assert!(!is_lost(&visits), "{visits:#?}");
    }
}

/// Once it has a token it opens a new session, whether it could keep the one it has or not.
#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/inspector: see tests/interop/README.md"]
async fn inspector_cli_signs_in_and_opens_a_new_session() {
    for sessions in [Sessions::Anonymous, Sessions::Claimed, Sessions::None] {
        let client = node("inspector-cli.mjs");
        let visits = visits(client, sessions, Advertised::All).await;
        assert_signed_in_at_the_tool(&visits);
        assert!(!is_lost(&visits), "{visits:#?}");
    }
}

/// It answers the 404 of its session by opening a new one, and calls the tool there.
#[tokio::test]
#[ignore = "needs Node 22 and npm mcp-remote: see tests/interop/README.md"]
async fn mcp_remote_signs_in_and_opens_a_new_session_where_it_must() {
    for sessions in [Sessions::Anonymous, Sessions::Claimed, Sessions::None] {
        let visits = visits(node("mcp-remote.mjs"), sessions, Advertised::All).await;
        assert_signed_in_at_the_tool(&visits);
        assert_eq!(
            is_lost(&visits),
            sessions == Sessions::Anonymous,
            "{visits:#?}"
        );
    }
}

/// The token of more scope is of the principal that claimed the session.
#[tokio::test]
#[ignore = "needs Node 22, npm @modelcontextprotocol/client and mcp-remote, Python, PyPI mcp 1: see tests/interop/README.md"]
async fn clients_step_up_in_a_session_they_claimed() {
    for client in [
        node("typescript-client-v2.mjs"),
        node("mcp-remote.mjs"),
        python_of("venv-v1", "python_client_v1.py"),
    ] {
        let visits = visits(client, Sessions::Claimed, Advertised::Less).await;
        let Visits { first, second, .. } = &visits;
        assert_eq!(
            first.said(),
            [Some("anonymous"), ALICE, ALICE],
            "{visits:#?}"
        );
        let both = format!("{READ} {WRITE}");
        assert_eq!(first.authorizations, [READ, &*both], "{visits:#?}");
        assert_eq!(second.said(), [ALICE; 3], "{visits:#?}");
        assert!(!is_lost(&visits), "{visits:#?}");
    }
}

/// It asks for what `scopes_supported` names, and takes the token it has for an answer to a 403.
#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/inspector: see tests/interop/README.md"]
async fn inspector_cli_never_steps_up_beyond_what_is_advertised() {
    let client = node("inspector-cli.mjs");
    let visits = visits(client, Sessions::Claimed, Advertised::Less).await;
    let Visits { first, .. } = &visits;
    assert_eq!(
        first.said(),
        [Some("anonymous"), ALICE, None],
        "{visits:#?}"
    );
    let error = first.calls[2].error.as_deref().expect("an error");
    assert!(error.contains("without authorization code"), "{visits:#?}");
    assert_eq!(first.authorizations, [READ], "{visits:#?}");
}

/// The stream of the anonymous caller ends when its session is claimed.
#[tokio::test]
#[ignore = "needs Node 22, both of npm @modelcontextprotocol, Python, PyPI mcp 1: see tests/interop/README.md"]
async fn clients_open_the_stream_of_a_claimed_session_anew() {
    for mut client in [
        node("typescript-client.mjs"),
        node("typescript-client-v2.mjs"),
        python_of("venv-v1", "python_client_v1.py"),
    ] {
        let mut served = serve(Sessions::Claimed, Advertised::All).await;
        client.args(["--anonymous", &served.url]);
        let mut running = Running::start(client.args(["my_notes", "-", "my_notes"]));
        running.line("ready").await;
        let is_there = |line: &String| line == "GET token 200";
        tokio::select! {
            seen = served.seen.wait_for(|seen| seen.iter().any(is_there)) => drop(seen.expect("a server")),
            line = running.line("{") => panic!("it ended: {line}"),
        }
        let rest = running.ask("0", "{").await;
        let visit = Visit::read(&format!("{{{rest}"));
        assert_eq!(visit.said(), [ALICE; 2], "{visit:#?}");
        visit.assert_steps(&[
            ("GET ", "/mcp 200"),
            ("POST ", "/mcp 401"),
            ("GET ", "/mcp 200"),
        ]);
    }
}
