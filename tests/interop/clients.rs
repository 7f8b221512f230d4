//! The official clients find their way to a token, from nothing but the URL of the server.

use tokio::process::Command;

use crate::contract::Visit;
use crate::programs::{Running, example, node, python, run};

#[tokio::test]
#[ignore = "needs Node 22 and npm @modelcontextprotocol/sdk: see tests/interop/README.md"]
async fn typescript_client_completes_the_dance() {
    completes_the_dance(node("typescript-client.mjs")).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI mcp: see tests/interop/README.md"]
async fn python_client_completes_the_dance() {
    completes_the_dance(python("python_client.py")).await;
}

async fn completes_the_dance(mut client: Command) {
    let mut quickstart = Running::start(example("quickstart").arg("127.0.0.1:0"));
    let origin = quickstart.line("listening on ").await;
    let url = format!("{origin}/mcp");

    let visit = Visit::read(&run(client.args([&url, "whoami"])).await);
    assert_eq!(visit.tools, ["add", "whoami"]);
    // The subject of every token the quickstart's issuer approves.
    assert_eq!(visit.said(), [Some("alice")], "{visit:#?}");

    // Each client has its own habits between.
    let metadata = format!("GET {origin}/.well-known/oauth-protected-resource/mcp 200");
    let refused = format!("POST {url} 401");
    let accepted = format!("POST {url} 200");
    visit.assert_steps(&[
        (&refused, ""),
        (&metadata, ""),
        ("GET ", "/.well-known/oauth-authorization-server 200"),
        ("POST ", "/register 201"),
        ("GET ", "/authorize 302"),
        ("POST ", "/token 200"),
        (&accepted, ""),
    ]);
    // Once it has a token, it is never refused.
    let refusals = visit.steps.iter().filter(|step| step.ends_with(" 401"));
    assert_eq!(refusals.count(), 1, "{visit:#?}");
}
