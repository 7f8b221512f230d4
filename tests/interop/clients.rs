//! The official clients find their way to a token, from nothing but the URL of the server.

use serde::Deserialize;
use tokio::process::Command;

use crate::programs::{Running, example, node, python, run};

/// What a client script prints.
#[derive(Debug, Deserialize)]
struct Dance {
    tools: Vec<String>,
    calls: Vec<Called>,
    steps: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Called {
    text: Option<String>,
}

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

    let printed = run(client.args([&url, "whoami"])).await;
    let dance: Dance = serde_json::from_str(&printed).expect(&printed);
    assert_eq!(dance.tools, ["add", "whoami"]);
    // The subject of every token the quickstart's issuer approves.
    let said: Vec<_> = dance
        .calls
        .iter()
        .map(|call| call.text.as_deref())
        .collect();
    assert_eq!(said, [Some("alice")], "{dance:#?}");

    // In this order, with others between: each client has its own habits.
    let metadata = format!("GET {origin}/.well-known/oauth-protected-resource/mcp 200");
    let refused = format!("POST {url} 401");
    let accepted = format!("POST {url} 200");
    let expected: [(&str, &str); 7] = [
        (&refused, ""),
        (&metadata, ""),
        ("GET ", "/.well-known/oauth-authorization-server 200"),
        ("POST ", "/register 201"),
        ("GET ", "/authorize 302"),
        ("POST ", "/token 200"),
        (&accepted, ""),
    ];
    let mut steps = dance.steps.iter();
    for (beginning, end) in expected {
        let is_there = steps.any(|step| step.starts_with(beginning) && step.ends_with(end));
        assert!(is_there, "{beginning}…{end} is missing: {dance:#?}");
    }
    // Once it has a token, it is never refused.
    let refusals = dance.steps.iter().filter(|step| step.ends_with(" 401"));
    assert_eq!(refusals.count(), 1, "{dance:#?}");
}
