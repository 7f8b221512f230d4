//! Strong and recent sign-ins (RFC 9470): what asks for them, and what is refused.

mod asked;
mod forms;
mod joins;
mod lists;
mod times;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use http::{Method, Request, Version};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::auth::{AuthLayer, Authenticated, Authentication};
use tower_mcp_auth::scopes::Strength;
use tower_mcp_auth::{AuthError, Challenge, Clock, Principal};

use crate::mcp::support::METADATA;
use common::{Answer, Answering, NOW};

/// A credential with these claims, of alice at the client `app`, who signed in a minute ago.
#[allow(clippy::needless_pass_by_value)] // Every caller writes the changes in place.
fn bearer(changes: Value) -> String {
    let mut claims = json!({ "sub": "alice", "client_id": "app", "auth_time": NOW - 60 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    format!("Bearer {}", BASE64URL.encode(claims.to_string()))
}

/// Whom a credential of [`bearer`] is of.
fn principal(credential: &str) -> Principal {
    let claims = BASE64URL.decode(credential).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    Principal::builder("oauth")
        .subject(text("sub"))
        .client_id(text("client_id"))
        .scopes(text("scope").parse().unwrap())
        .claims(claims.as_object().unwrap())
        .build()
}

/// Accepts credentials of [`bearer`]; `/open` needs none.
fn auth(clock: &Clock) -> AuthLayer<Answering> {
    let provider = Answering::new(|credential| {
        Authentication::Ready(Ok(Authenticated::new(principal(credential.value()))))
    });
    let challenge = Challenge::bearer().resource_metadata(METADATA);
    let provider = provider.challenges([challenge]).clock(clock.clone());
    AuthLayer::new(provider).public_path("/open").unwrap()
}

fn mfa() -> Strength {
    Strength::new().acr(["mfa", "phr"]).unwrap()
}

fn grpc(authorization: &str) -> Request<Full<bytes::Bytes>> {
    let mut request = common::request(&[("authorization", authorization)]);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    let media = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", media);
    request
}

/// The line that asks for another sign-in, with these parameters after `error`.
fn challenge(parameters: &str) -> String {
    format!(
        "Bearer error=\"insufficient_user_authentication\", {parameters}, \
         resource_metadata=\"{METADATA}\", error_description=\"A stronger or more recent sign-in \
         is needed\""
    )
}

/// The reason of a refusal, or `admitted`.
fn outcome(answer: &Answer) -> &'static str {
    let error = answer.extensions.get::<AuthError>();
    assert_eq!(error.is_none(), answer.reached.is_some(), "{answer:?}");
    error.map_or("admitted", AuthError::reason)
}
