//! The proxies of `docs/behind-a-proxy.md`, with the text that stands there, before a server
//! that does not know the prefix they take away; passed by the client of rmcp.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower_mcp_auth::mcp::{McpPolicy, McpStack, OriginLayer};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::peer::{ProxyHeaders, SetPeerAddrLayer, TrustedProxies, requested};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, RequestHead};

use common::mcp_server::{mcp_app, subject, with_sessions};
use common::{loopback, rmcp_dance};

use crate::programs::free_port;

pub(crate) const PAGE: &str = include_str!("../../docs/behind-a-proxy.md");

/// How long a proxy may take to listen.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server that listens on an address and believes to be at `resource`.
async fn serve(resource: &str) -> (String, Issuer) {
    let issuer = Issuer::start().await.expect("an issuer");
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let auth = OAuthLayer::new(resource, server.expect("an issuer")).expect("a layer");
    let policy = McpPolicy::builder().tool("*", "mcp:read");
    let policy = policy.and_then(tower_mcp_auth::mcp::McpPolicyBuilder::build);
    let origin = OriginLayer::new(resource).expect("a layer");
    let stack = McpStack::new(origin, auth)
        .policy(policy.expect("a policy"))
        .expect("a stack");
    let config = with_sessions(true).disable_allowed_hosts();
    let app = mcp_app(&[("whoami", subject)], config).layer(stack);
    let (listener, _) = loopback::bind().await;
    let address = listener.local_addr().expect("an address").to_string();
    loopback::serve(listener, app);
    (address, issuer)
}

/// What stands on the page in this language.
fn block(language: &str) -> String {
    block_of(PAGE, language)
}

/// The lines for trusted proxies, of which the page has its own section.
fn trusted_block(language: &str) -> String {
    let (_, section) = PAGE
        .split_once("\n## Trusted proxies\n")
        .expect("a section");
    block_of(section, language)
}

pub(crate) fn block_of(page: &str, language: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("```{language}\n"))
        .expect("a block");
    let (text, _) = rest.split_once("```").expect("its end");
    text.to_owned()
}

/// The text with one thing replaced, which must be there.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to)
}

/// A folder for one run of a proxy, and the proxy.
pub(crate) struct Proxy {
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
        let folder = format!("tower-mcp-auth-{name}-{}-{port}", std::process::id());
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

/// Where a server listens that trusts the proxies of this machine, and says what they say.
async fn tells_what_proxies_say() -> String {
    let proxies = TrustedProxies::new(ProxyHeaders::XForwarded, ["127.0.0.1"]).expect("proxies");
    let says = async move |request: Request| {
        let head = RequestHead::of(&request);
        let client = proxies.client(head).expect("an address");
        let host = requested(head, Some(&proxies)).expect("a host");
        let port = host.port().unwrap_or_default();
        format!("{client:?} {:?} {} {port}", host.scheme(), host.host())
    };
    let app = Router::new()
        .route("/", get(says))
        .layer(SetPeerAddrLayer::from_extension(
            |peer: &ConnectInfo<SocketAddr>| peer.0,
        ));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// A client of the proxy that writes all of the headers itself is not believed.
async fn is_not_fooled(port: u16) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let plain = client.get(format!("http://127.0.0.1:{port}/"));
    let plain = plain.header("host", "Mcp.Example.com:8080");
    let mut forged = plain.try_clone().expect("no body");
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "?, \""),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.9;host=evil.example;proto=https"),
        (
            "connection",
            "x-forwarded-for, x-forwarded-host, x-forwarded-proto",
        ),
    ] {
        forged = forged.header(name, value);
    }
    for request in [plain, forged] {
        let answer = request.send().await.expect("an answer");
        let said = answer.text().await.expect("a text");
        let right = r#"Some(127.0.0.1) Some("http") mcp.example.com 8080"#;
        assert_eq!(said, right);
    }
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
    let _proxy = nginx(port, &text).await;
    passes(port).await;
}

#[tokio::test]
#[ignore = "needs nginx: see tests/interop/README.md"]
async fn nginx_with_the_lines_of_the_documentation_can_be_trusted() {
    let port = free_port().await;
    let server = tells_what_proxies_say().await;
    let lines = trusted_block("nginx");
    let text = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{server}; {lines} }} }}"
    );
    let _proxy = nginx(port, &text).await;
    is_not_fooled(port).await;
}

pub(crate) async fn nginx(port: u16, text: &str) -> Proxy {
    let whole = |folder: &str| {
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .concat();
        format!("events {{}}\nhttp {{\naccess_log off;\n{places}{text}}}\n")
    };
    Proxy::start("nginx", port, whole, |command, file, folder| {
        // One process, which ends with the test.
        let globals = format!("daemon off; master_process off; pid {folder}/pid;");
        command.args(["-e", "stderr", "-p", folder, "-c", file, "-g", &globals]);
    })
    .await
}

#[tokio::test]
#[ignore = "needs haproxy: see tests/interop/README.md"]
async fn haproxy_of_the_documentation_is_passed() {
    let (port, server, _issuer) = behind().await;
    let text = replaced(&block("haproxy"), "127.0.0.1:3000", &server);
    let text = replaced(&text, "bind :8080", &format!("bind 127.0.0.1:{port}"));
    let _proxy = haproxy(port, text).await;
    passes(port).await;
}

#[tokio::test]
#[ignore = "needs haproxy: see tests/interop/README.md"]
async fn haproxy_with_the_lines_of_the_documentation_can_be_trusted() {
    let port = free_port().await;
    let server = tells_what_proxies_say().await;
    let lines = trusted_block("haproxy");
    let text = format!(
        "listen trusted\nbind 127.0.0.1:{port}\nmode http\ntimeout client 9s\ntimeout connect 9s\n\
         timeout server 9s\n{lines}server one {server}\n"
    );
    let _proxy = haproxy(port, text).await;
    is_not_fooled(port).await;
}

pub(crate) async fn haproxy(port: u16, text: String) -> Proxy {
    Proxy::start(
        "haproxy",
        port,
        |_| text,
        |command, file, _| {
            command.args(["-db", "-f", file]);
        },
    )
    .await
}

#[tokio::test]
#[ignore = "needs caddy: see tests/interop/README.md"]
async fn caddy_of_the_documentation_is_passed() {
    let (port, server, _issuer) = behind().await;
    let text = replaced(&block("caddyfile"), "127.0.0.1:3000", &server);
    let text = replaced(&text, ":8080 {", &format!(":{port} {{"));
    let _proxy = caddy(port, &text).await;
    passes(port).await;
}

#[tokio::test]
#[ignore = "needs caddy: see tests/interop/README.md"]
async fn caddy_as_it_is_can_be_trusted() {
    let port = free_port().await;
    let server = tells_what_proxies_say().await;
    let text = format!("http://:{port} {{\nreverse_proxy {server}\n}}\n");
    let _proxy = caddy(port, &text).await;
    is_not_fooled(port).await;
}

async fn caddy(port: u16, text: &str) -> Proxy {
    let text = format!("{{\nadmin off\ndefault_bind 127.0.0.1\n}}\n{text}");
    Proxy::start(
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
    .await
}
