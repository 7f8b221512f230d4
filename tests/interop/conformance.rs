//! The conformance suite of MCP finds no difference between a server and the same server
//! behind the layer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::Issuer;

use crate::fixture::Everything;
use crate::programs::{Running, node, run};
use common::loopback::bind_mcp;

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/conformance: see tests/interop/README.md"]
async fn conformance_2025_11_25_is_the_same_bare_and_behind_the_layer() {
    let successes = is_the_same("2025-11-25").await;
    for check in [
        "server-initialize server-initialize",
        "server-session-lifecycle server-session-delete-accepted",
        "tools-list tools-list",
        "tools-call-elicitation tools-call-elicitation",
    ] {
        assert!(successes.iter().any(|own| own == check), "{successes:#?}");
    }
    assert!(successes.len() >= 60, "{}", successes.len());
}

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/conformance: see tests/interop/README.md"]
async fn conformance_2026_07_28_is_the_same_bare_and_behind_the_layer() {
    let successes = is_the_same("2026-07-28").await;
    let check = "tools-list tools-list";
    assert!(successes.iter().any(|own| own == check), "{successes:#?}");
    assert!(successes.len() >= 60, "{}", successes.len());
}

/// Runs the suite twice and returns the checks that succeeded both times.
async fn is_the_same(requirements: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    let folder = folder.join(requirements);
    std::fs::create_dir_all(&folder).expect("a folder");

    let (listener, url) = bind_mcp().await;
    let bare = tokio::spawn(serve(listener, app()));
    let of_bare = suite(&url, requirements, folder.join("bare")).await;
    bare.abort();

    let (listener, url) = bind_mcp().await;
    let issuer = Issuer::start().await.expect("an issuer");
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let layer = server.and_then(|server| OAuthLayer::new(&url, server));
    let layered = app().layer(layer.expect("a layer"));
    let layered = tokio::spawn(serve(listener, layered));
    let anonymous = reqwest::Client::new().post(&url).send().await;
    assert_eq!(anonymous.expect("an answer").status(), 401);

    let token = folder.join("token");
    std::fs::write(&token, issuer.token().audience(&url).sign()).expect("a file");
    let mut proxy = node("proxy.mjs");
    proxy.args(["--listen", "0", "--target", &url, "--token-file"]);
    let mut proxy = Running::start(proxy.arg(&token));
    let port = proxy.line("listening ").await;
    let url = format!("http://127.0.0.1:{port}/mcp");
    let of_layered = suite(&url, requirements, folder.join("layered")).await;
    layered.abort();

    // `diff` of the two files shows it better, but a report should not need it.
    let only = |one: &str, other: &str| {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|own| own == *line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (lost, gained) = (only(&of_bare, &of_layered), only(&of_layered, &of_bare));
    assert_eq!(
        of_bare, of_layered,
        "only bare {lost:#?}, only layered {gained:#?}"
    );
    let successes = of_bare
        .lines()
        .filter_map(|line| line.strip_suffix(" SUCCESS"));
    successes.map(str::to_owned).collect()
}

fn app() -> Router {
    let service = StreamableHttpService::new(
        || Ok(Everything),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    Router::new().route_service("/mcp", service)
}

async fn serve(listener: TcpListener, app: Router) {
    axum::serve(listener, app).await.expect("it serves");
}

/// The verdicts of the suite on the server there.
async fn suite(url: &str, requirements: &str, folder: PathBuf) -> String {
    let mut command = node("conformance.mjs");
    let summary = run(command.args([url, requirements]).arg(&folder)).await;
    println!("{url}: {}", summary.trim());
    std::fs::read_to_string(folder.join("result.txt")).expect("a result")
}
