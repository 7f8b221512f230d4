//! Tokens that are bound to the TLS certificate of their client (RFC 8705), with hyper and rustls:
//! a stolen one is of no use without the key of the certificate.
//!
//! Run with
//!
//! ```sh
//! cargo run --example mtls
//! ```
//!
//! and paste the `curl` lines it prints. They hold tokens made at start, and name certificates and
//! keys made at start, in a folder of their own for temporary files.
//!
//! ```sh
//! curl -i --cacert …/server.pem https://127.0.0.1:3000/mcp
//! curl -i --cacert …/server.pem --cert …/client.pem --key …/client.key \
//!   https://127.0.0.1:3000/mcp -H 'Authorization: Bearer …'
//! ```

#[path = "support/any_certificate.rs"]
mod any_certificate;
#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/listen.rs"]
mod listen;
#[path = "support/random.rs"]
mod random;
#[path = "support/trace.rs"]
mod trace;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tower::Layer;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::MtlsMode;
use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificateLayer};
use tower_mcp_auth::testing::Issuer;
use tower_mcp_auth::{OAuthLayer, Principal};

use any_certificate::AnyCertificate;
use certificate::Certificate;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let (listener, url) = listen::listen(3000).await;
    let url = url.replace("http://", "https://");
    let resource = format!("{url}/mcp");
    // Stands for the authorization server.
    let issuer = Issuer::start().await?;

    let server =
        AuthorizationServer::insecure_http_on_loopback(issuer.url())?.mtls(MtlsMode::Required);
    let auth = OAuthLayer::new(resource.as_str(), server)?;
    let app = Router::new().route("/mcp", get(whoami)).layer(auth);

    let own = Certificate::self_signed("mcp server")?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(&own)?));

    // The rest is what the client does, and a thief who has read one of its requests.
    let (client, thief) = (
        Certificate::self_signed("client")?,
        Certificate::self_signed("thief")?,
    );
    let folder = Folder::new()?;
    folder.write("server.pem", &own.pem())?;
    for (name, certificate) in [("client", &client), ("thief", &thief)] {
        folder.write(&format!("{name}.pem"), &certificate.pem())?;
        folder.write(&format!("{name}.key"), &certificate.key_pem())?;
    }
    let token = issuer
        .token()
        .audience(&resource)
        .bound_to_certificate(&client.der)
        .sign();
    let unbound = issuer.token().audience(&resource).sign();
    let path = |name: &str| folder.0.join(name).display().to_string();
    let curl = format!("curl -i --cacert '{}' {resource}", path("server.pem"));
    let with = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        format!("--cert '{certificate}' --key '{key}'")
    };
    println!("# without a token: 401\n{curl} {}\n", with("client"));
    for (case, token, certificate) in [
        (
            "with the token and its certificate: 200",
            &token,
            with("client"),
        ),
        (
            "the token without a certificate: 401",
            &token,
            String::new(),
        ),
        (
            "with the certificate of the thief: 401",
            &token,
            with("thief"),
        ),
        ("a token that is not bound: 401", &unbound, with("client")),
    ] {
        println!("# {case}\n{curl} {certificate} -H 'Authorization: Bearer {token}'\n");
    }
    println!("listening on {url}");
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, app) = (acceptor.clone(), app.clone());
        tokio::spawn(async move {
            // A client that breaks off, or has no key to its certificate, is no concern of others.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                serve(stream, app).await;
            }
        });
    }
}

/// Serves one connection. All its requests have the certificate of its handshake.
async fn serve(stream: tokio_rustls::server::TlsStream<TcpStream>, app: Router) {
    let (_, tls) = stream.get_ref();
    // A resumed session has the certificate of its first handshake.
    let leaf = tls.peer_certificates().and_then(|chain| chain.first());
    let certificate = leaf.map(|leaf| PeerCertificate::from_der(leaf));
    let service = SetPeerCertificateLayer::of_connection(certificate).layer(app);
    let connection = Builder::new(TokioExecutor::new());
    let _ = connection
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
}

/// Asks every client for a certificate, and takes any.
fn tls(own: &Certificate) -> Result<ServerConfig, tokio_rustls::rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyCertificate::new()))
        .with_single_cert(
            vec![own.der.clone().into()],
            PrivatePkcs8KeyDer::from(own.key.clone()).into(),
        )
}

/// A folder for temporary files that other users cannot read. The keys in it are worth nothing after this
/// example, and it stays.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let path = std::env::temp_dir().join(format!("mtls-{}", random::random()?));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        std::fs::write(self.0.join(name), text)
    }
}

/// Is told nothing of certificates.
async fn whoami(principal: Principal) -> String {
    format!("{}\n", principal.id())
}
