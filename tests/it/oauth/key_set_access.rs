//! Key sets that take a token, and a certificate authority, to fetch.

use std::path::{Path, PathBuf};

use serde_json::json;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::{ConfigError, OAuthLayer};

use crate::oauth::authorities::{AUTHORITY, serve_https};
use crate::oauth::support::*;

fn server() -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap()
}

/// A file that goes when its test ends.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> Self {
        let name = format!("tower-mcp-auth-access-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn files_go_with_a_place_that_is_configured() {
    let built = |server: Result<AuthorizationServer, ConfigError>| {
        server
            .and_then(|server| OAuthLayer::new(RESOURCE, server))
            .map(drop)
    };
    let token = "jwks_bearer_token_file";
    let roots = "jwks_root_certificates_file";
    for (server, setting) in [
        (server().jwks_bearer_token_file(""), token),
        (server().jwks_root_certificates_file(""), roots),
        // Where keys are is anybody's to say then.
        (server().jwks_bearer_token_file("/run/token"), token),
        (server().jwks_root_certificates_file("/run/ca"), roots),
        (
            server()
                .dangerously_allow_http_to("keys.svc")
                .and_then(|server| server.jwks_uri("http://keys.svc/keys"))
                .and_then(|server| server.jwks_bearer_token_file("/run/token")),
            token,
        ),
    ] {
        let error = built(server).unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
    }
    let keys = || server().jwks_uri(JWKS).unwrap();
    built(keys().jwks_bearer_token_file("/run/token")).unwrap();
    built(keys().jwks_root_certificates_file("/run/ca")).unwrap();
    let loopback = AuthorizationServer::insecure_http_on_loopback("http://127.0.0.1:1").unwrap();
    let loopback = loopback.jwks_uri("http://127.0.0.1:1/keys").unwrap();
    built(loopback.jwks_bearer_token_file("/run/token")).unwrap();
}

#[tokio::test]
async fn what_is_no_file_with_a_token_is_never_sent() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let long = File::new("long", &"x".repeat(70_000));
    let control = File::new("control", "a\u{7f}b");
    for (path, why) in [
        (Path::new("/nowhere/token"), "cannot be read"),
        (Path::new("/dev/zero"), "no regular file"),
        (Path::new("/"), "no regular file"),
        (&long.0, "more than 65536 bytes"),
        (&control.0, "has no token"),
    ] {
        let server = server().jwks_uri(JWKS).unwrap();
        let guarded = Guarded::with_server(&web, server.jwks_bearer_token_file(path).unwrap());
        let answer = guarded.bearer(&key.token(json!({}))).await;
        answer.assert(503, "keys_unavailable");
        assert!(answer.detail().contains(why), "{}", answer.detail());
    }
    assert_eq!(web.log(), [""; 0]);
}

#[tokio::test]
async fn the_authority_of_the_file_is_trusted_and_no_other() {
    let key = Key::new("a");
    let port = serve_https(key_set(&[&key]).to_string()).await;
    let issuer = format!("https://localhost:{port}");
    let good = File::new("good", AUTHORITY);
    let bad = File::new(
        "bad",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let none = File::new("none", "no certificate");
    let token = key.token(json!({"iss": issuer}));
    let guarded = |file: Option<&File>| {
        let server = AuthorizationServer::new(&issuer).unwrap();
        let mut server = server.jwks_uri(format!("{issuer}/keys")).unwrap();
        if let Some(File(path)) = file {
            server = server.jwks_root_certificates_file(path).unwrap();
        }
        let mut guarded = Guarded::new(&Web::new());
        guarded.layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server)
            .unwrap()
            .clock(guarded.clock.clone())
            .build()
            .unwrap();
        guarded
    };
    let trusting = guarded(Some(&good));
    trusting.bearer(&token).await.assert(200, "accepted");
    for file in [None, Some(&bad), Some(&none)] {
        let answer = guarded(file).bearer(&token).await;
        answer.assert(503, "keys_unavailable");
    }
    // Once it is another one, that one counts.
    std::fs::write(&good.0, "no certificate").unwrap();
    let error = trusting.layer.warm_up().await.unwrap_err();
    assert!(error.detail().unwrap().contains("no PEM"), "{error:?}");
}
