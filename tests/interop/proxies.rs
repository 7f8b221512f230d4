//! The proxies of `docs/behind-a-proxy.md`, with the text that stands there, before a server
//! that does not know the prefix they take away; passed by the client of rmcp.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower_mcp_auth::mcp::{McpPolicy, McpStack, OriginLayer};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, Principal};

use common::rmcp_dance;

const PAGE: &str = include_str!("../../docs/behind-a-proxy.md");

/// How long a proxy may take to listen.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Says who calls")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let principal = Principal::from_extensions(&parts.extensions);
        let subject = principal.and_then(Principal::subject);
        subject.unwrap_or("nobody").to_owned()
    }
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A server that listens on an address and believes to be at `resource`.
async fn serve(resource: &str) -> (String, Issuer) {
    let issuer = Issuer::start().await.expect("an issuer");
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let auth = OAuthLayer::new(resource, server.expect("an issuer")).expect("a layer");
    let policy = McpPolicy::builder().tool("*", "mcp:read");
    let policy = policy.and_then(tower_mcp_auth::mcp::McpPolicyBuilder::build);
    let origin = OriginLayer::new(resource).expect("a layer");
    let stack = McpStack::new(origin, auth).policy(policy.expect("a policy"));
    let service = StreamableHttpService::new(
        || Ok(Tools),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default().disable_allowed_hosts(),
    );
    let app = Router::new().route_service("/mcp", service).layer(stack);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async { axum::serve(listener, app).await });
    (address, issuer)
}

/// What stands on the page in this language.
fn block(language: &str) -> String {
    let (_, rest) = PAGE
        .split_once(&format!("```{language}\n"))
        .expect("a block");
    let (text, _) = rest.split_once("```").expect("its end");
    text.to_owned()
}

/// The text with one thing replaced, which must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to)
}

/// A folder for one run of a proxy, and the proxy.
struct Proxy {
    folder: PathBuf,
    _child: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Proxy {
    async fn start(
        name: &str,
        port: u16,
        configuration: impl FnOnce(&str) -> String,
        command: impl FnOnce(&mut Command, &str, &str),
    ) -> Self {
        let folder = format!("tower-mcp-auth-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.to_str().expect("text").to_owned();
        let file = format!("{path}/configuration");
        std::fs::write(&file, configuration(&path)).expect("a file");
        let mut started = Command::new(name);
        // Debian's are there, which is not on everybody's path.
        let programs = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        started.env("PATH", programs);
        command(&mut started, &file, &path);
        let child = started.kill_on_drop(true).spawn();
        let mut child = child.expect("the proxy: tests/interop/install.sh installs it");
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                let ended = child.try_wait().expect("its state");
                assert!(ended.is_none(), "{name} ended: {ended:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, listens).await.expect("it listens");
        Self {
            folder,
            _child: child,
        }
    }
}

/// The whole dance, and a call, through the proxy on this port.
async fn passes(port: u16) {
    let url = format!("http://127.0.0.1:{port}/team/mcp");
    let client = timeout(DEADLINE, rmcp_dance::dance(&url, None));
    let client = client.await.expect("a session in time");
    let (tools, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(tools, ["whoami"]);
    assert_eq!(whoami, "alice");
    client.cancel().await.expect("the end");
}

/// A free port, and where the server behind it listens.
async fn behind() -> (u16, String, Issuer) {
    let port = free_port().await;
    let resource = format!("http://127.0.0.1:{port}/team/mcp");
    let (address, issuer) = serve(&resource).await;
    (port, address, issuer)
}

#[tokio::test]
#[ignore = "needs nginx: see tests/interop/README.md"]
async fn nginx_of_the_documentation_is_passed() {
    let (port, server, _issuer) = behind().await;
    let text = replaced(&block("nginx"), "127.0.0.1:3000", &server);
    let text = replaced(&text, "listen 8080", &format!("listen 127.0.0.1:{port}"));
    let whole = |folder: &str| {
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .concat();
        format!("events {{}}\nhttp {{\naccess_log off;\n{places}{text}}}\n")
    };
    let _proxy = Proxy::start("nginx", port, whole, |command, file, folder| {
        // One process, which ends with the test.
        let globals = format!("daemon off; master_process off; pid {folder}/pid;");
        command.args(["-e", "stderr", "-p", folder, "-c", file, "-g", &globals]);
    })
    .await;
    passes(port).await;
}

#[tokio::test]
#[ignore = "needs haproxy: see tests/interop/README.md"]
async fn haproxy_of_the_documentation_is_passed() {
    let (port, server, _issuer) = behind().await;
    let text = replaced(&block("haproxy"), "127.0.0.1:3000", &server);
    let text = replaced(&text, "bind :8080", &format!("bind 127.0.0.1:{port}"));
    let _proxy = Proxy::start(
        "haproxy",
        port,
        |_| text,
        |command, file, _| {
            command.args(["-db", "-f", file]);
        },
    )
    .await;
    passes(port).await;
}

#[tokio::test]
#[ignore = "needs caddy: see tests/interop/README.md"]
async fn caddy_of_the_documentation_is_passed() {
    let (port, server, _issuer) = behind().await;
    let text = replaced(&block("caddyfile"), "127.0.0.1:3000", &server);
    let text = replaced(&text, ":8080 {", &format!(":{port} {{"));
    let text = format!("{{\nadmin off\ndefault_bind 127.0.0.1\n}}\n{text}");
    let _proxy = Proxy::start(
        "caddy",
        port,
        |_| text,
        |command, file, folder| {
            command
                .args(["run", "--adapter", "caddyfile", "--config", file])
                .env("XDG_DATA_HOME", folder)
                .env("XDG_CONFIG_HOME", folder);
        },
    )
    .await;
    passes(port).await;
}
