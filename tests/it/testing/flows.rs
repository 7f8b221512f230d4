use std::collections::HashMap;
use std::time::Duration;

use reqwest::{Response, Url};
use serde_json::{Value, json};
use tower_mcp_auth::Clock;
use tower_mcp_auth::testing::{Endpoint, Issuer};

use super::{claims, http, quick};

pub(crate) const RESOURCE: &str = "https://MCP.example.com:443/mcp";
pub(crate) const CALLBACK: &str = "http://localhost:8090/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) async fn register(issuer: &Issuer, metadata: Value) -> (u16, Value) {
    let url = issuer.endpoint(Endpoint::Register);
    let response = http().post(url).json(&metadata).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A public client with `CALLBACK`.
pub(crate) async fn public_client(issuer: &Issuer) -> String {
    let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let (status, client) = register(issuer, metadata).await;
    assert_eq!(status, 201);
    client["client_id"].as_str().unwrap().to_owned()
}

pub(crate) async fn authorize(issuer: &Issuer, parameters: &[(&str, &str)]) -> Response {
    let url = Url::parse_with_params(&issuer.endpoint(Endpoint::Authorize), parameters).unwrap();
    http().get(url).send().await.unwrap()
}

pub(crate) fn request(client_id: &str) -> Vec<(&str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "a+b c&d"),
        ("scope", "mcp:read mcp:write"),
        ("resource", RESOURCE),
    ]
}

/// The query a redirect sends back.
fn returned(response: &Response) -> HashMap<String, String> {
    assert_eq!(response.status(), 302);
    let location = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK));
    location.query_pairs().into_owned().collect()
}

pub(crate) async fn code(issuer: &Issuer, client_id: &str) -> String {
    returned(&authorize(issuer, &request(client_id)).await)["code"].clone()
}

pub(crate) async fn token(issuer: &Issuer, form: &[(&str, &str)]) -> (u16, Value) {
    let response = http()
        .post(issuer.endpoint(Endpoint::Token))
        .form(form)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) fn exchange<'f>(client_id: &'f str, code: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

pub(crate) fn with<'f>(
    mut form: Vec<(&'f str, &'f str)>,
    name: &'f str,
    value: &'f str,
) -> Vec<(&'f str, &'f str)> {
    form.retain(|(own, _)| *own != name);
    form.push((name, value));
    form
}

fn without<'f>(mut form: Vec<(&'f str, &'f str)>, name: &str) -> Vec<(&'f str, &'f str)> {
    form.retain(|(own, _)| *own != name);
    form
}

#[tokio::test]
async fn the_whole_dance() {
    let issuer = quick().path("/tenant").start().await.unwrap();
    let metadata: Value = http()
        .get(issuer.endpoint(Endpoint::OAuthMetadata))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();

    // RFC 7591: what was sent comes back, with an id.
    let sent = json!({
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": "a test",
        "software_id": "x",
    });
    let url = metadata["registration_endpoint"].as_str().unwrap();
    let response = http().post(url).json(&sent).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let client: Value = response.json().await.unwrap();
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(client[name], *value);
    }
    assert_eq!(client.get("client_secret"), None);
    let client_id = client["client_id"].as_str().unwrap();

    let back = returned(&authorize(&issuer, &request(client_id)).await);
    assert_eq!(back["state"], "a+b c&d");
    assert_eq!(back["iss"], issuer.url());

    let form = with(exchange(client_id, &back["code"]), "resource", RESOURCE);
    let (status, answer) = token(&issuer, &form).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["scope"], "mcp:read mcp:write");
    let first = claims(answer["access_token"].as_str().unwrap());
    assert_eq!(first["aud"], RESOURCE, "byte for byte");
    assert_eq!(first["scope"], "mcp:read mcp:write");
    assert_eq!(first["client_id"], client_id);
    assert_eq!(first["sub"], "alice");
    assert_eq!(first["iss"], *issuer.url());

    // A refresh token is good for one use, and less scope is no less of a grant.
    let refresh_token = answer["refresh_token"].as_str().unwrap();
    let form = vec![
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("refresh_token", refresh_token),
    ];
    let (_, foreign) = token(&issuer, &with(form.clone(), "client_id", "somebody")).await;
    assert_eq!(foreign["error"], "invalid_grant");
    let (_, more) = token(&issuer, &with(form.clone(), "scope", "admin")).await;
    assert_eq!(more["error"], "invalid_scope");
    let (status, answer) = token(&issuer, &with(form.clone(), "scope", "mcp:read")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["scope"], "mcp:read");
    assert_eq!(
        claims(answer["access_token"].as_str().unwrap())["aud"],
        RESOURCE
    );
    let (status, used) = token(&issuer, &form).await;
    assert_eq!((status, &used["error"]), (400, &json!("invalid_grant")));
    let next = answer["refresh_token"].as_str().unwrap();
    let (status, answer) = token(&issuer, &with(form, "refresh_token", next)).await;
    assert_eq!(status, 200);
    assert_eq!(answer["scope"], "mcp:read mcp:write");
}

#[tokio::test]
async fn a_code_is_good_once_for_one_client_and_one_verifier() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let issuer = quick().clock(clock.clone()).start().await.unwrap();
    let client = public_client(&issuer).await;

    let used = code(&issuer, &client).await;
    assert_eq!(token(&issuer, &exchange(&client, &used)).await.0, 200);
    let (status, answer) = token(&issuer, &exchange(&client, &used)).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));

    let wrong = [
        (
            "code_verifier",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx",
            "invalid_grant",
        ),
        ("client_id", "somebody-else", "invalid_grant"),
        (
            "redirect_uri",
            "http://localhost:8090/other",
            "invalid_grant",
        ),
        ("resource", "https://other.example", "invalid_target"),
        ("scope", "admin", "invalid_scope"),
    ];
    for (name, value, error) in wrong {
        let code = code(&issuer, &client).await;
        let (status, answer) = token(&issuer, &with(exchange(&client, &code), name, value)).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{name}");
        // The attempt has used it up.
        assert_eq!(
            token(&issuer, &exchange(&client, &code)).await.0,
            400,
            "{name}"
        );
    }

    let code_without = code(&issuer, &client).await;
    let form = without(exchange(&client, &code_without), "code_verifier");
    assert_eq!(token(&issuer, &form).await.1["error"], "invalid_request");
    let form = without(exchange(&client, &code_without), "redirect_uri");
    assert_eq!(
        token(&issuer, &form).await.0,
        200,
        "OAuth 2.1 asks for none"
    );

    let late = code(&issuer, &client).await;
    clock.advance(Duration::from_secs(60));
    assert_eq!(
        token(&issuer, &exchange(&client, &late)).await.1["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn what_is_sent_back_and_what_is_shown() {
    let issuer = quick().start().await.unwrap();
    let client = public_client(&issuer).await;

    // Sent back with state and iss (RFC 6749 section 4.1.2.1, RFC 9207).
    let sent_back = [
        (
            with(request(&client), "response_type", "token"),
            "unsupported_response_type",
        ),
        (
            without(request(&client), "response_type"),
            "invalid_request",
        ),
        (
            without(request(&client), "code_challenge"),
            "invalid_request",
        ),
        (
            without(request(&client), "code_challenge_method"),
            "invalid_request",
        ),
        (
            with(request(&client), "code_challenge_method", "plain"),
            "invalid_request",
        ),
        (
            with(request(&client), "resource", "not a uri"),
            "invalid_target",
        ),
        (
            with(request(&client), "resource", "https://a.example/#f"),
            "invalid_target",
        ),
        (with(request(&client), "scope", "a\"b"), "invalid_scope"),
    ];
    for (parameters, error) in sent_back {
        let back = returned(&authorize(&issuer, &parameters).await);
        assert_eq!(back["error"], error, "{parameters:?}");
        assert_eq!((&*back["state"], &*back["iss"]), ("a+b c&d", issuer.url()));
        assert_eq!(back.get("code"), None);
    }

    // Shown: no user is sent to an address that was not checked.
    let mut twice = request(&client);
    twice.push(("redirect_uri", "https://evil.example/"));
    let shown = [
        without(request(&client), "client_id"),
        with(request(&client), "redirect_uri", "https://evil.example/"),
        with(
            request(&client),
            "redirect_uri",
            "http://localhost:8090/callback/../other",
        ),
        with(request("nobody"), "redirect_uri", "https://evil.example/"),
        with(
            request("nobody"),
            "redirect_uri",
            "http://localhost.evil.example/",
        ),
        without(request("nobody"), "redirect_uri"),
        twice,
    ];
    for parameters in shown {
        let response = authorize(&issuer, &parameters).await;
        assert_eq!(response.status(), 400, "{parameters:?}");
        assert_eq!(response.headers().get("location"), None);
    }

    // The only one need not be repeated; a native application has any port.
    returned(&authorize(&issuer, &without(request(&client), "redirect_uri")).await);
    let other_port = with(
        request(&client),
        "redirect_uri",
        "http://localhost:1/callback",
    );
    assert_eq!(authorize(&issuer, &other_port).await.status(), 302);
    // This one was never registered; it is public, and loopback is all it gets.
    returned(&authorize(&issuer, &request("nobody")).await);
}
