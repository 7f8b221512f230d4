//! Logout tokens that an authorization server posts, by the keys of a development issuer and a
//! clock that is moved by hand.

mod effects;
mod requests;
mod tokens;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::logout::BackchannelLogoutService;
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::testing::{Issuer, TokenBuilder};
use tower_mcp_auth::{AuthError, Clock, ConfigError, OAuthLayer};

use crate::oauth::support::{RESOURCE, START};
use crate::revocation::service::{Told, send};
use common::{ask, request};

const CLIENT: &str = "mcp-server";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// An issuer, a layer that trusts it, and the service that ends its sessions.
struct Setup {
    clock: Clock,
    issuer: Issuer,
    revocation: Revocation,
    layer: OAuthLayer,
    service: BackchannelLogoutService,
}

fn in_memory(clock: &Clock) -> Revocation {
    Revocation::in_memory().clock(clock.clone())
}

/// An issuer with the clock of the tests.
async fn issuer(clock: &Clock) -> Issuer {
    let builder = Issuer::builder()
        .algorithms([Algorithm::ES256])
        .clock(clock.clone());
    builder.start().await.unwrap()
}

impl Setup {
    async fn new() -> Self {
        Self::with(Ok).await
    }

    /// With settings of the server.
    async fn with(
        edit: impl FnOnce(AuthorizationServer) -> Result<AuthorizationServer, ConfigError>,
    ) -> Self {
        Self::with_revocation(edit, in_memory).await
    }

    async fn with_revocation(
        edit: impl FnOnce(AuthorizationServer) -> Result<AuthorizationServer, ConfigError>,
        revocation: impl FnOnce(&Clock) -> Revocation,
    ) -> Self {
        let clock = Clock::manual(START);
        let issuer = issuer(&clock).await;
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        let revocation = revocation(&clock);
        let layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(edit(server).unwrap())
            .unwrap()
            .clock(clock.clone())
            .build()
            .unwrap()
            .revocation(revocation.clone());
        let service = layer.backchannel_logout(issuer.url(), CLIENT).unwrap();
        Self {
            clock,
            issuer,
            revocation,
            layer,
            service,
        }
    }

    /// A logout token for the client, of alice.
    fn logout(&self) -> TokenBuilder {
        self.issuer.logout_token().audience(CLIENT)
    }

    /// An access token for the resource, of alice.
    fn access(&self) -> TokenBuilder {
        self.issuer.token().audience(RESOURCE)
    }

    async fn post(&self, token: &str) -> Told {
        send(self.service.clone(), post(token)).await
    }

    /// Posts a token that is good.
    async fn log_out(&self, token: TokenBuilder) {
        let told = self.post(&token.sign()).await;
        assert_eq!(told.status, 200, "{}", told.body);
    }

    /// Why the layer refuses an access token.
    async fn reason(&self, token: &str) -> Option<&'static str> {
        let bearer = request(&[("authorization", format!("Bearer {token}"))]);
        let answer = ask(&self.layer, bearer).await;
        answer.extensions.get::<AuthError>().map(AuthError::reason)
    }
}

fn form(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/backchannel-logout")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(body.into()))
        .unwrap()
}

fn post(token: &str) -> Request<Full<Bytes>> {
    form(format!("logout_token={token}"))
}

/// What is said of a refusal: a text for the sender.
#[track_caller]
fn refused(told: &Told, status: u16, reason: &str) -> String {
    assert_eq!(told.status, status, "{}", told.body);
    assert_eq!(told.reason.as_deref(), Some(reason), "{}", told.body);
    assert_eq!(told.headers["cache-control"], "no-store");
    assert_eq!(told.headers["content-type"], "application/json");
    assert_eq!(told.headers.contains_key("retry-after"), status == 503);
    assert!(!told.headers.contains_key("www-authenticate"));
    let said: Value = serde_json::from_str(&told.body).unwrap();
    let code = match status {
        503 => "temporarily_unavailable",
        _ => "invalid_request",
    };
    assert_eq!(said["error"], code);
    let text = said["error_description"].as_str().unwrap();
    // RFC 6749 section 5.2.
    let is_right = |byte: u8| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(&byte);
    assert!(text.bytes().all(is_right), "{text}");
    text.to_owned()
}

fn events(member: impl Into<Value>) -> Value {
    json!({ EVENT: member.into() })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
