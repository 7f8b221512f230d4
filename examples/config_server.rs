//! A whole MCP server set up by a TOML file and variables of the environment, which reads both
//! again on SIGHUP without dropping a request.
//!
//! Run with
//!
//! ```sh
//! cargo run -p dev --example config_server
//! ```
//!
//! paste the `curl` lines it prints, change `examples/config_server.toml` (or the file named in
//! `CONFIG_FILE`), and send the signal with the `kill` line: the policy of the next request is
//! the new one. A file with a mistake changes nothing, and is told in the log and by `/ready`.
//!
//! Variables win over the file. They begin with `MCP_AUTH_`, and `__` stands between the parts
//! of a name:
//!
//! ```sh
//! MCP_AUTH_SESSION__KEY__FILE=/run/secrets/session
//! MCP_AUTH_AUTHORIZATION_SERVERS__MAIN__CLOCK_SKEW=10s
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/notes.rs"]
#[expect(dead_code, reason = "the policy of this server is in its file")]
mod notes;
#[path = "support/trace.rs"]
mod trace;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::{Config, ConfiguredStack, Environment};
use tower_mcp_auth::mcp::{MacKey, PrincipalSealer};
use tower_mcp_auth::reload::{ReloadHandle, ReloadLayer};
use tower_mcp_auth::testing::Issuer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, origin) = listen::listen(3000).await;
    let resource = format!("{origin}/mcp");
    // As in the quickstart: the development issuer stands for your authorization server.
    let issuer = Issuer::start().await?;
    let source = Source {
        file: std::env::var("CONFIG_FILE").unwrap_or("examples/config_server.toml".to_owned()),
        resource,
        issuer: issuer.url().to_owned(),
    };
    // Before anything is set up: a signal that comes early would end the process.
    #[cfg(unix)]
    let hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let stack = source.stack().await.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1);
    });
    let (layer, handle) = ReloadLayer::new(stack);
    #[cfg(unix)]
    tokio::spawn(reload_on(hangups, source, handle.clone()));

    // Inside, and so not touched by a reload: sessions, notes and confirmations stay.
    let sealer = PrincipalSealer::new(MacKey::ephemeral()?).purpose("confirmation");
    let app = Router::new()
        .route_service("/mcp", notes::service(sealer, Duration::from_secs(15)))
        .layer(layer)
        .route("/ready", get(async move || ready(&handle)));

    print_requests(&issuer, &origin);
    println!("listening on {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Where the configuration comes from, each time.
struct Source {
    file: String,
    resource: String,
    issuer: String,
}

impl Source {
    fn read(&self) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(&self.file).map_err(|error| {
            ConfigError::new("configuration", format!("{}: {error}", self.file))
        })?;
        // Messages of the TOML parser show the line, which may hold a secret; ours do not.
        Config::from_toml(&text)?;
        // figment's own `Env` would make a number of a secret that has only digits.
        let variables = Environment::read("MCP_AUTH_")?;
        let mut merged: serde_json::Value =
            Figment::from(Serialized::default("resource", &self.resource))
                .merge(Toml::string(&text))
                .merge(Serialized::defaults(variables))
                .extract()
                .map_err(|_| ConfigError::new("configuration", "it is no table"))?;
        // The development issuer stands in for a server of yours, and never beside one.
        if let Some(main) = merged.pointer_mut("/authorization_servers/main")
            && main.get("issuer").is_none()
            && main.get("preset").is_none()
        {
            main["issuer"] = self.issuer.as_str().into();
            main["insecure_http_on_loopback"] = true.into();
        }
        Config::deserialize_from(merged)
    }

    /// The whole stack, ready to serve: an authorization server that cannot be reached is no
    /// reason to give up the keys that are held.
    async fn stack(&self) -> Result<ConfiguredStack, ConfigError> {
        self.read()?.connect().await?.stack_prewarmed().await
    }
}

/// One after the other, each with what stands there when it begins. How it ends is traced.
#[cfg(unix)]
async fn reload_on(
    mut hangups: tokio::signal::unix::Signal,
    source: Source,
    handle: ReloadHandle<ConfiguredStack>,
) {
    while hangups.recv().await.is_some() {
        let _traced = handle.try_reload_async(source.stack()).await;
    }
}

/// For a probe: the server can serve even if its newest configuration is bad.
fn ready(handle: &ReloadHandle<ConfiguredStack>) -> String {
    let status = handle.status();
    let last = match status.error() {
        None => "the last one read".to_owned(),
        Some(error) => format!("not the last one read: {} was refused", error.path()),
    };
    format!("configuration {}, {last}\n", status.generation())
}

fn print_requests(issuer: &Issuer, origin: &str) {
    let bearer = |scope: &str| {
        let resource = format!("{origin}/mcp");
        let token = issuer.token().audience(&resource).scope(scope).sign();
        format!("-H 'Authorization: Bearer {token}'")
    };
    let curl = format!(
        "curl -i {origin}/mcp -H 'Content-Type: application/json' \
         -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' \
         -H 'Mcp-Method: tools/call'"
    );
    let call = |tool: &str, arguments: &str| {
        format!(
            "-H 'Mcp-Name: {tool}' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\
             \"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments},\"_meta\":{{\
             \"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
             \"io.modelcontextprotocol/clientInfo\":{{\"name\":\"curl\",\"version\":\"8\"}},\
             \"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}'"
        )
    };
    let (list, add) = (
        call("list_notes", "{}"),
        call("add_note", r#"{"text":"buy milk"}"#),
    );
    let read = bearer("notes:read");

    println!("# without a token: 401\n{curl} {list}\n");
    println!("# notes:read is enough to list: 200\n{curl} {read} {list}\n");
    println!("# and not to add, by the policy of the file: 403\n{curl} {read} {add}\n");
    println!("# which configuration is in force: 200\ncurl -i {origin}/ready\n");
    println!(
        "# to read the configuration again\nkill -HUP {}\n",
        std::process::id()
    );
}
