//! Certificates of clients behind real proxies that end TLS, and tokens that a real authorization
//! server has bound to certificates.

#[path = "../../examples/support/certificate.rs"]
mod certificate;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use http_body_util::Full;
use tokio::net::TcpListener;
use tower_mcp_auth::oauth::binding::MtlsMode;
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::peer::{
    CertificateFormat, ForwardedCertificates, PeerCertificate, SetPeerAddrLayer,
};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{AuthError, OAuthLayer};

use crate::introspection::PLAIN_SECRET;
use crate::programs::{Running, free_port, node};
use crate::proxies::{PAGE, block_of, haproxy, nginx, replaced};
use certificate::Certificate;

const RESOURCE: &str = "https://mcp.example.com/mcp";

fn certificate(name: &str) -> Certificate {
    Certificate::self_signed(name).expect("a certificate")
}

/// A folder with the certificate of the proxy, for one test.
struct Files {
    folder: std::path::PathBuf,
    own: Certificate,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = format!("tower-mcp-auth-tls-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let own = certificate("proxy");
        let write = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).expect("a file");
        };
        write("server.key", own.key_pem());
        // HAProxy reads both from one file; nginx leaves the key there alone.
        write("server.pem", own.pem() + &own.key_pem());
        Self { folder, own }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// A server that reads certificates in this form from the proxies of this machine.
struct Server {
    issuer: Issuer,
    address: SocketAddr,
}

impl Server {
    async fn start(format: CertificateFormat) -> Self {
        let issuer = Issuer::start().await.expect("an issuer");
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
        let server = server.expect("a server").mtls(MtlsMode::Required);
        let forwarded = ForwardedCertificates::new(format, ["127.0.0.1"]).expect("proxies");
        let layer = OAuthLayer::builder(RESOURCE)
            .and_then(|layer| layer.authorization_server(server))
            .and_then(|layer| layer.forwarded_certificates(forwarded).build())
            .expect("a layer");
        let app = Router::new()
            .fallback(any(sees_no_certificate))
            .layer(layer)
            .layer(tower::util::MapResponseLayer::new(with_reason))
            .layer(SetPeerAddrLayer::from_extension(
                |peer: &ConnectInfo<SocketAddr>| peer.0,
            ));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { issuer, address }
    }

    fn token(&self, certificate: &Certificate) -> String {
        let token = self.issuer.token().audience(RESOURCE);
        token.bound_to_certificate(&certificate.der).sign()
    }
}

async fn sees_no_certificate(request: Request) -> &'static str {
    let shows =
        |name: &HeaderName| name.as_str().contains("-cert") || name.as_str().contains("-der");
    match request.headers().keys().any(shows) {
        true => "a certificate",
        false => "none",
    }
}

/// Tells the client why, which only the response's extensions say.
fn with_reason(mut response: axum::response::Response) -> axum::response::Response {
    let error = response.extensions().get::<AuthError>();
    let reason = error.map_or("accepted", AuthError::reason);
    let reason = reason.parse().expect("a code");
    response.headers_mut().insert("x-reason", reason);
    response
}

/// As a client would write it that wants to pass for the owner of this certificate.
fn forged(der: &[u8]) -> HeaderMap {
    let base64 = STANDARD.encode(der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    let encoded = pem
        .replace('\n', "%0A")
        .replace(' ', "%20")
        .replace('+', "%2B");
    let hash = PeerCertificate::from_der(der);
    let hash: String = hash
        .thumbprint()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("client-cert", format!(":{base64}:")),
        ("x-ssl-client-cert", encoded.clone()),
        ("x_ssl_client_cert", encoded),
        ("x-ssl-client-der", base64.clone()),
        ("x_ssl_client_der", base64),
        ("x-forwarded-client-cert", format!("Hash={hash}")),
        (
            "connection",
            "client-cert, x-ssl-client-cert, x-ssl-client-der".into(),
        ),
    ] {
        let name = HeaderName::from_static(name);
        headers.insert(name, value.parse().expect("a value"));
    }
    headers
}

/// What becomes of requests with two tokens through the proxy on this port.
async fn is_bound_to_certificates(server: &Server, files: &Files, port: u16) {
    let (own, other) = (certificate("own"), certificate("other"));
    let url = format!("https://localhost:{port}/mcp");
    let identity = |of: &Certificate| Some(of.pem() + &of.key_pem());
    let token = server.token(&own);
    for (shown, reason) in [
        (identity(&own), "accepted"),
        (identity(&other), "certificate_mismatch"),
        (None, "missing_certificate"),
    ] {
        let client = common::tls::client(&files.own.pem(), shown.as_deref());
        // The second time the session is resumed. With forged headers nothing changes.
        for headers in [HeaderMap::new(), HeaderMap::new(), forged(&own.der)] {
            let request = client.post(&url).bearer_auth(&token).headers(headers);
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.headers()["x-reason"], reason);
            if reason == "accepted" {
                assert_eq!(answer.text().await.expect("a text"), "none");
            }
        }
        // Nor does it help to forge another one.
        let token = server.token(&other);
        let request = client
            .post(&url)
            .bearer_auth(&token)
            .headers(forged(&other.der));
        let answer = request.send().await.expect("an answer");
        let reason = match reason {
            "accepted" => "certificate_mismatch",
            "certificate_mismatch" => "accepted",
            other => other,
        };
        assert_eq!(answer.headers()["x-reason"], reason);
    }
}

/// The lines of the documentation for certificates.
fn lines(language: &str) -> String {
    let (_, section) = PAGE
        .split_once("\n## Certificates of clients\n")
        .expect("a section");
    block_of(section, language)
}

#[tokio::test]
#[ignore = "needs nginx: see tests/interop/README.md"]
async fn nginx_with_the_lines_of_the_documentation_hands_certificates_on() {
    let server = Server::start(CertificateFormat::EscapedPem).await;
    let (port, files) = (free_port().await, Files::new("nginx"));
    let lines = replaced(
        &lines("nginx"),
        "/etc/nginx/server.pem",
        &files.path("server.pem"),
    );
    let lines = replaced(&lines, "/etc/nginx/server.key", &files.path("server.key"));
    let lines = replaced(&lines, "listen 8443", &format!("listen 127.0.0.1:{port}"));
    let address = server.address;
    // A line of its own for another header, without which nginx takes over those from outside.
    let (outer, inner) = lines
        .split_once("# in each location")
        .expect("lines of locations");
    let text = format!(
        "server {{ {outer}\nlocation / {{ proxy_set_header Host $http_host;\n#{inner}\n\
         proxy_pass http://{address}; }} }}"
    );
    let _proxy = nginx(port, &text).await;
    is_bound_to_certificates(&server, &files, port).await;
}

fn haproxy_text(files: &Files, port: u16, server: &Server, bind: &str, lines: &str) -> String {
    let bind = replaced(bind, "/etc/haproxy/server.pem", &files.path("server.pem"));
    let bind = replaced(&bind, "bind :8443", &format!("bind 127.0.0.1:{port}"));
    let address = server.address;
    format!(
        "listen certificates\n{bind}\nmode http\ntimeout client 9s\ntimeout connect 9s\n\
         timeout server 9s\n{lines}\nserver one {address}\n"
    )
}

/// The line that listens, and the one that sets the header.
fn haproxy_lines() -> (String, String) {
    let text = lines("haproxy");
    let (bind, set) = text.split_once('\n').expect("two lines");
    (bind.to_owned(), set.to_owned())
}

#[tokio::test]
#[ignore = "needs haproxy: see tests/interop/README.md"]
async fn haproxy_with_the_lines_of_the_documentation_hands_certificates_on() {
    let (bind, set) = haproxy_lines();
    let (_, rest) = PAGE
        .split_once("`CertificateFormat::ClientCert`")
        .expect("it");
    let standard = block_of(rest, "haproxy");
    for (format, lines) in [
        (CertificateFormat::Base64Der, set),
        (CertificateFormat::ClientCert, standard),
    ] {
        let server = Server::start(format).await;
        let (port, files) = (free_port().await, Files::new("haproxy"));
        let text = haproxy_text(&files, port, &server, &bind, &lines);
        let _proxy = haproxy(port, text).await;
        is_bound_to_certificates(&server, &files, port).await;
    }
}

/// A proxy that is set up wrongly: it adds its header to that of its client.
#[tokio::test]
#[ignore = "needs haproxy: see tests/interop/README.md"]
async fn a_header_that_haproxy_adds_to_a_forged_one_is_refused() {
    let (bind, set) = haproxy_lines();
    let lines = replaced(&set, "set-header", "add-header");
    let server = Server::start(CertificateFormat::Base64Der).await;
    let (port, files) = (free_port().await, Files::new("adds"));
    let text = haproxy_text(&files, port, &server, &bind, &lines);
    let _proxy = haproxy(port, text).await;
    let (victim, thief) = (certificate("victim"), certificate("thief"));
    let shown = thief.pem() + &thief.key_pem();
    let client = common::tls::client(&files.own.pem(), Some(&shown));
    let request = client.post(format!("https://localhost:{port}/mcp"));
    let mut headers = forged(&victim.der);
    headers.remove("connection");
    let request = request.bearer_auth(server.token(&victim)).headers(headers);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.headers()["x-reason"], "duplicate_certificate");
}

/// What the layer makes of a token that comes with this certificate.
async fn judged(layer: &OAuthLayer, token: &str, certificate: Option<&Certificate>) -> String {
    let mut request =
        http::Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    if let Some(certificate) = certificate {
        request = request.extension(PeerCertificate::from_der(&certificate.der));
    }
    let request = request.body(Full::default()).expect("a request");
    let answer = common::ask(layer, request).await;
    let error = answer.extensions.get::<AuthError>();
    error.map_or("accepted", AuthError::reason).to_owned()
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_binds_tokens_to_the_certificates_of_its_clients() {
    let files = Files::new("oidc-provider");
    let (own, other) = (certificate("own"), certificate("other"));
    let mut command = node("oidc-provider.mjs");
    command.args(["--port", "0", "--resource", RESOURCE]);
    let mut program = Running::start(&mut command);
    let issuer = program.line("issuer ").await;
    let tls = format!(
        "tls {} {}",
        files.path("server.pem"),
        files.path("server.key")
    );
    let port = program.ask(&tls, "tls ").await;
    let shown = own.pem() + &own.key_pem();
    let client = common::tls::client(&files.own.pem(), Some(&shown));
    let bare = common::tls::client(&files.own.pem(), None);
    let ask = async |client: &reqwest::Client| -> serde_json::Value {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "mcp:read"),
            ("resource", RESOURCE),
        ];
        let request = client.post(format!("https://localhost:{port}/token"));
        let request = request
            .basic_auth("mtls", Some("interop-secret"))
            .form(&form);
        let answer = request.send().await.expect("an answer");
        answer.json().await.expect("JSON")
    };
    for mode in [MtlsMode::Allowed, MtlsMode::Required] {
        for format in ["jwt", "opaque"] {
            let said = format!("format {format}");
            program.command(&said, &said).await;
            let server = AuthorizationServer::insecure_http_on_loopback(&*issuer);
            let introspection = Introspection::discovered();
            let introspection = introspection.client_secret_post("mcp-post", PLAIN_SECRET);
            let layer = OAuthLayer::builder(RESOURCE)
                .and_then(|layer| {
                    let server = server?.introspection(introspection?)?;
                    layer.authorization_server(server.mtls(mode))
                })
                .and_then(tower_mcp_auth::oauth::OAuthLayerBuilder::build)
                .expect("a layer");
            let answer = ask(&client).await;
            let token = answer["access_token"].as_str().expect("a token");
            // The second time the token is remembered.
            for _ in 0..2 {
                for (certificate, reason) in [
                    (Some(&own), "accepted"),
                    (Some(&other), "certificate_mismatch"),
                    (None, "missing_certificate"),
                ] {
                    assert_eq!(judged(&layer, token, certificate).await, reason, "{format}");
                }
            }
        }
    }
    // It issues none without a certificate.
    let answer = ask(&bare).await;
    assert!(answer["access_token"].is_null(), "{answer}");
}
