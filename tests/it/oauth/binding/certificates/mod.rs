//! Tokens that are bound to the certificate of their client (RFC 8705).
mod beside;
mod config;
mod introspected;
mod modes;
mod proxies;
mod tls;

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::oauth::binding::{DpopMode, MtlsMode};
use tower_mcp_auth::oauth::{AuthorizationServer, OAuthLayerBuilder};
use tower_mcp_auth::peer::PeerCertificate;
use tower_mcp_auth::{Clock, OAuthLayer};

use super::super::support::{Answer, Guarded, ISSUER, Key, RESOURCE, START, Web};

/// The DER of the certificate of the client, and of another one.
pub const OWN: &[u8] = b"\x30\x03own";
pub const OTHER: &[u8] = b"\x30\x05other";

pub fn server(dpop: DpopMode, mtls: MtlsMode) -> AuthorizationServer {
    AuthorizationServer::new(ISSUER)
        .unwrap()
        .dpop(dpop)
        .mtls(mtls)
}

/// `x5t#S256` of a certificate.
pub fn thumbprint(der: &[u8]) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use sha2::{Digest, Sha256};

    URL_SAFE_NO_PAD.encode(Sha256::digest(der))
}

/// `cnf` of a token that is bound to this certificate.
pub fn cnf(der: &[u8]) -> Value {
    json!({ "x5t#S256": thumbprint(der) })
}

/// A server whose tokens may be bound, and one that is.
pub struct Bound {
    pub guarded: Guarded,
    pub issuer: Key,
    pub token: String,
}

impl Bound {
    pub fn new(mtls: MtlsMode) -> Self {
        Self::built(server(DpopMode::Off, mtls), |builder| builder)
    }

    pub fn built(
        server: AuthorizationServer,
        set: impl FnOnce(OAuthLayerBuilder) -> OAuthLayerBuilder,
    ) -> Self {
        let issuer = Key::new("a");
        let web = Web::with_issuer(&[&issuer]);
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(server).unwrap();
        let clock = Clock::manual(START);
        let builder = builder.clock(clock.clone()).fetch(web);
        let guarded = Guarded::of(set(builder).build().unwrap(), clock);
        let token = issuer.token(json!({ "cnf": cnf(OWN) }));
        Self {
            guarded,
            issuer,
            token,
        }
    }

    /// A bearer token over a connection with this certificate.
    pub async fn ask(&self, token: &str, certificate: Option<&[u8]>) -> Answer {
        self.guarded.ask(request(token, certificate)).await
    }
}

pub fn request(token: &str, certificate: Option<&[u8]>) -> Request<Full<bytes::Bytes>> {
    let mut request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    if let Some(der) = certificate {
        request = request.extension(PeerCertificate::from_der(der));
    }
    request.body(Full::default()).unwrap()
}
