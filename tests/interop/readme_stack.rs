//! The stack of the README, as printed there, around a server of rmcp with two tools.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use tower_mcp_auth::mcp::{MacKey, McpPolicy, McpStack, OriginLayer, SessionBindingLayer};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::{Endpoint, Issuer};
use tower_mcp_auth::{Clock, ConfigError, OAuthLayer};

use common::loopback;
use common::mcp_server::{McpServer, Tool, mcp_server, with_sessions};

const README: &str = include_str!("../../README.md");

/// How long access tokens are good for.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

const TOOLS: &[Tool] = &[
    ("get_notes", |_| "buy milk".to_owned()),
    ("write_note", |_| "written".to_owned()),
];

/// The README's function, with what is of its reader as parameters.
#[rustfmt::skip]
fn app(resource: &str, oauth: OAuthLayer, secret: &str, mcp_server: McpServer) -> Result<Router, ConfigError> {
    let policy = McpPolicy::builder()
        .tool("get_*", "mcp:read")? // by name, prefix, or URI for resources
        .tool("*", "mcp:write")?
        .build()?; // what no rule names is denied
    let stack = McpStack::new(
        OriginLayer::new(resource)?,
        oauth,
    )
    .sessions(SessionBindingLayer::new(MacKey::new(secret)?).server(resource))
    .policy(policy)?;
    let app = Router::new().route_service("/mcp", mcp_server).layer(stack);
    Ok(app)
}

/// The server, its issuer, and the time it is for both.
pub(crate) struct Served {
    pub(crate) url: String,
    issuer: Issuer,
    clock: Clock,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = Clock::manual(now.expect("a time after 1970"));
        let issuer = Issuer::builder()
            .clock(clock.clone())
            .token_lifetime(TOKEN_LIFETIME);
        let issuer = issuer.start().await.expect("an issuer");

        let (listener, url) = loopback::bind_mcp().await;
        let service = mcp_server(TOOLS, with_sessions(true).disable_allowed_hosts());
        let oauth = oauth(&url, &issuer, &clock).expect("a layer");
        let secret = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";
        let app = app(&url, oauth, secret, service).expect("a stack");
        loopback::serve(listener, app);
        Self { url, issuer, clock }
    }

    /// Lets every access token that there is expire. Clients do not see it coming: their own
    /// clocks go on as ever.
    pub(crate) fn expire_tokens(&self) {
        self.clock.advance(TOKEN_LIFETIME * 2);
    }

    /// How often a user stood at the authorization endpoint.
    pub(crate) fn authorizations(&self) -> usize {
        self.issuer.requests(Endpoint::Authorize)
    }
}

/// What `OAuthLayer::new(resource, issuer)` makes, at another time.
fn oauth(resource: &str, issuer: &Issuer, clock: &Clock) -> Result<OAuthLayer, ConfigError> {
    let issuer = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
    OAuthLayer::builder(resource)?
        .authorization_server(issuer)?
        .clock(clock.clone())
        .build()
}

/// The lines of Rust without what does not matter to the compiler.
fn plain<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn app_is_the_one_of_the_readme() {
    let section = README.split_once("## MCP stack").expect("it is there").1;
    let block = section.split_once("```rust\n").expect("a block").1;
    let block = block.split_once("```").expect("its end").0;
    // Shown are the lines without a `# `, and the imports are those of this file.
    let shown = plain(block.lines().filter(|line| !line.starts_with('#')));
    let printed: Vec<&str> = shown
        .into_iter()
        .filter(|line| !line.starts_with("use "))
        .collect();
    let printed = printed.join("\n");

    let own = include_str!("readme_stack.rs");
    let own = own
        .split_once("Result<Router, ConfigError> {")
        .expect("the function")
        .1;
    let own = own.split_once("Ok(app)").expect("its end").0;
    let own = plain(own.lines()).join("\n");

    let of_its_reader = [
        ("let resource = \"https://mcp.example.com/mcp\";\n", ""),
        (
            "OAuthLayer::new(resource, \"https://auth.example.com\")?",
            "oauth",
        ),
        (
            ".route(\"/mcp\", post(mcp_server))",
            ".route_service(\"/mcp\", mcp_server)",
        ),
    ];
    let expected = of_its_reader.iter().fold(printed, |text, (from, to)| {
        assert!(text.contains(from), "the README says no longer {from:?}");
        text.replace(from, to)
    });
    assert_eq!(own, expected);
}
