//! The layer asks npm `oidc-provider` and PyPI `django-oauth-toolkit` about their tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use tower_mcp_auth::jose::{Algorithm, SigningKey};
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::{Clock, ConfigError, OAuthLayer};

use crate::introspection::{PLAIN_SECRET, RESOURCE, Server};
use crate::oidc_provider::{ELSEWHERE, ask, clock};

const ID: &str = "mcp@example.com:1";
/// More than how long an answer is used that a token is good (30 s).
const POSITIVE_LIFE: Duration = Duration::from_secs(31);

const OK: Option<(StatusCode, &str)> = None;

const fn refused(reason: &'static str) -> Option<(StatusCode, &'static str)> {
    Some((StatusCode::UNAUTHORIZED, reason))
}

const fn unavailable(reason: &'static str) -> Option<(StatusCode, &'static str)> {
    Some((StatusCode::SERVICE_UNAVAILABLE, reason))
}

/// The usual credentials.
fn basic() -> Result<Introspection, ConfigError> {
    Introspection::discovered().client_secret_basic(ID, PLAIN_SECRET)
}

/// A layer that asks `server`.
fn layer(
    server: &Server,
    clock: &Clock,
    introspection: Result<Introspection, ConfigError>,
    more: impl FnOnce(AuthorizationServer) -> AuthorizationServer,
) -> OAuthLayer {
    let server = AuthorizationServer::insecure_http_on_loopback(&*server.issuer)
        .and_then(|server| server.introspection(introspection?))
        .map(more)
        .expect("an authorization server");
    OAuthLayer::builder(RESOURCE)
        .and_then(|layer| layer.authorization_server(server))
        .and_then(|layer| layer.clock(clock.clone()).build())
        .expect("a layer")
}

async fn outcome(layer: &OAuthLayer, token: &str) -> Option<(StatusCode, &'static str)> {
    ask(layer, token).await.err()
}

/// What holds at both: a revoked token is good for as long as the answer is, no longer.
async fn revoked_tokens_end(server: &Server) {
    let clock = clock();
    let patient = layer(server, &clock, basic(), |server| server);
    let told = layer(server, &clock, basic(), |server| server);
    let at_once = basic().map(|it| it.positive_ttl(Duration::ZERO));
    let at_once = layer(server, &clock, at_once, |server| server);

    let token = server.token(&[("resource", RESOURCE)]).await;
    for layer in [&patient, &told, &at_once] {
        assert_eq!(outcome(layer, &token).await, OK);
    }
    server.revoke(&token).await;
    assert_eq!(outcome(&patient, &token).await, OK);
    assert_eq!(outcome(&at_once, &token).await, refused("inactive_token"));
    told.invalidate_token(&token);
    assert_eq!(outcome(&told, &token).await, refused("inactive_token"));
    clock.advance(POSITIVE_LIFE);
    assert_eq!(outcome(&patient, &token).await, refused("inactive_token"));
}

/// What holds at both: that our own secret is wrong is not the caller's fault.
async fn a_wrong_secret_is_our_trouble(server: &Server) {
    let token = server.token(&[("resource", RESOURCE)]).await;
    let wrong = Introspection::discovered().client_secret_basic(ID, "wrong");
    let layer = layer(server, &clock(), wrong, |server| server);
    let expected = unavailable("introspection_refused");
    assert_eq!(outcome(&layer, &token).await, expected);
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_is_asked_about_opaque_tokens() {
    let mut server = Server::oidc_provider().await;
    server
        .program
        .command("format opaque", "format opaque")
        .await;
    let clock = clock();
    let layer = layer(&server, &clock, basic(), |server| server);
    layer.warm_up().await.expect("keys and endpoint");

    let token = server.token(&[("resource", RESOURCE)]).await;
    let principal = ask(&layer, &token).await.expect("it is good");
    assert_eq!(principal.client_id(), Some("interop"));
    assert_eq!(principal.issuer(), Some(&*server.issuer));
    assert!(principal.scopes().contains("mcp:read"));
    assert!(principal.scopes().contains("mcp:write"));
    assert!(principal.expires_at().is_some());
    assert_eq!(principal.claims()["token_type"], "Bearer");

    for (resource, reason) in [
        (Some(ELSEWHERE), "audience_mismatch"),
        (None, "missing_audience"),
    ] {
        let resource: Vec<_> = resource.iter().map(|it| ("resource", *it)).collect();
        let token = server.token(&resource).await;
        assert_eq!(outcome(&layer, &token).await, refused(reason));
    }
    let unknown = "this-is-no-token-of-the-server";
    assert_eq!(outcome(&layer, unknown).await, refused("inactive_token"));

    revoked_tokens_end(&server).await;
    a_wrong_secret_is_our_trouble(&server).await;

    // The answer outlives neither its own life nor the token.
    let long = basic().map(|it| it.positive_ttl(Duration::from_secs(3600)));
    let patient = self::layer(&server, &clock, long, |server| server);
    assert_eq!(outcome(&patient, &token).await, OK);
    clock.advance(Duration::from_secs(661));
    assert_eq!(outcome(&patient, &token).await, refused("expired"));
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_issues_both_kinds_to_one_server() {
    let mut server = Server::oidc_provider().await;
    let clock = clock();
    let both = layer(&server, &clock, basic(), |server| server);
    let jwt = server.token(&[("resource", RESOURCE)]).await;
    server
        .program
        .command("format opaque", "format opaque")
        .await;
    let opaque = server.token(&[("resource", RESOURCE)]).await;
    assert_eq!(outcome(&both, &jwt).await, OK);
    assert_eq!(outcome(&both, &opaque).await, OK);

    // It has no second opinion about what it signed, which is a fault of this side alone.
    let twice = basic().and_then(Introspection::introspect_jwts);
    let twice = layer(&server, &clock, twice, |server| server);
    let expected = unavailable("introspection_unsupported");
    assert_eq!(outcome(&twice, &jwt).await, expected);
    assert_eq!(outcome(&twice, &opaque).await, OK);
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_knows_us_in_other_ways() {
    let mut server = Server::oidc_provider().await;
    server
        .program
        .command("format opaque", "format opaque")
        .await;
    let key = server.program.ask("key", "key ").await;
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    let key = SigningKey::from_pem(Algorithm::ES256, pem).expect("a key");
    let clock = clock();
    for introspection in [
        Introspection::discovered().client_secret_post("mcp-post", PLAIN_SECRET),
        Introspection::discovered().private_key_jwt("mcp-key", key),
        basic().map(Introspection::require_signed_responses),
    ] {
        let name = format!("{introspection:?}");
        let layer = layer(&server, &clock, introspection, |server| server);
        for _ in 0..2 {
            let token = server.token(&[("resource", RESOURCE)]).await;
            assert_eq!(outcome(&layer, &token).await, OK, "{name}");
            let elsewhere = server.token(&[("resource", ELSEWHERE)]).await;
            let expected = refused("audience_mismatch");
            assert_eq!(outcome(&layer, &elsewhere).await, expected, "{name}");
        }
    }
}

#[tokio::test]
#[ignore = "needs Python and PyPI django-oauth-toolkit: see tests/interop/README.md"]
async fn django_is_asked_about_opaque_tokens() {
    let mut server = Server::django().await;
    let clock = clock();
    let layer = layer(&server, &clock, basic(), |server| server);

    let token = server.token(&[("resource", RESOURCE)]).await;
    let principal = ask(&layer, &token).await.expect("it is good");
    assert_eq!(principal.client_id(), Some("interop"));
    assert_eq!(principal.issuer(), Some(&*server.issuer));
    assert!(principal.scopes().contains("mcp:write"));
    assert!(principal.expires_at().is_some());

    let command = format!("alice {RESOURCE}");
    let alice = server.program.ask(&command, "alice ").await;
    let principal = ask(&layer, &alice).await.expect("it is good");
    assert_eq!(principal.subject(), None);
    assert_eq!(principal.claims()["username"], "alice");
    let id = principal.id().to_string();
    assert!(id.contains("alice"), "{id}");

    let elsewhere = server.token(&[("resource", ELSEWHERE)]).await;
    let expected = refused("audience_mismatch");
    assert_eq!(outcome(&layer, &elsewhere).await, expected);
    let unknown = "this-is-no-token-of-the-server";
    assert_eq!(outcome(&layer, unknown).await, refused("inactive_token"));

    // Who asks for no resource gets a token for all.
    let anywhere = server.token(&[]).await;
    let expected = refused("missing_audience");
    assert_eq!(outcome(&layer, &anywhere).await, expected);
    let lenient = self::layer(&server, &clock, basic(), |server| {
        server.introspection_without_audience()
    });
    assert_eq!(outcome(&lenient, &anywhere).await, OK);

    revoked_tokens_end(&server).await;
    a_wrong_secret_is_our_trouble(&server).await;
}

#[tokio::test]
#[ignore = "needs Python and PyPI django-oauth-toolkit: see tests/interop/README.md"]
async fn django_knows_us_in_other_ways() {
    let server = Server::django().await;
    let own = server.own_token().await;
    let clock = clock();
    for introspection in [
        Introspection::discovered().client_secret_post(ID, PLAIN_SECRET),
        Introspection::discovered().bearer_token(&own),
    ] {
        let name = format!("{introspection:?}");
        let layer = layer(&server, &clock, introspection, |server| server);
        let token = server.token(&[("resource", RESOURCE)]).await;
        assert_eq!(outcome(&layer, &token).await, OK, "{name}");
    }
}

/// Its metadata name no keys, so that what looks like a JWT of its own is for it to judge.
#[tokio::test]
#[ignore = "needs Python and PyPI django-oauth-toolkit: see tests/interop/README.md"]
async fn django_has_no_keys() {
    let server = Server::django().await;
    let clock = clock();
    let jwt = forged(&server.issuer);
    let keyless = basic().and_then(Introspection::introspect_jwts_only);
    let keyless = layer(&server, &clock, keyless, |server| server);
    keyless.warm_up().await.expect("the endpoint");
    assert_eq!(outcome(&keyless, &jwt).await, refused("inactive_token"));
    let token = server.token(&[("resource", RESOURCE)]).await;
    assert_eq!(outcome(&keyless, &token).await, OK);

    // Without that setting there should be keys, and without keys it cannot be known.
    let layer = layer(&server, &clock, basic(), |server| server);
    let expected = unavailable("keys_unavailable");
    assert_eq!(outcome(&layer, &jwt).await, expected);
    assert_eq!(outcome(&layer, &token).await, OK);
}

fn forged(issuer: &str) -> String {
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": "1"});
    let claims = json!({"iss": issuer, "aud": RESOURCE, "sub": "alice", "exp": 4_000_000_000_u64});
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.{}", encode(header), encode(claims), "c2lnbmVk")
}
