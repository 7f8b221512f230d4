use std::collections::HashMap;
use std::time::Duration;

use reqwest::{Response, Url};
use serde_json::{Value, json};
use tower_mcp_auth::Clock;
use tower_mcp_auth::testing::{Endpoint, Issuer};

use super::{claims, http, quick};

const RESOURCE: &str = "https://MCP.example.com:443/mcp";
const CALLBACK: &str = "http://localhost:8090/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn register(issuer: &Issuer, metadata: Value) -> (u16, Value) {
    let url = issuer.endpoint(Endpoint::Register);
    let response = http().post(url).json(&metadata).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A public client with `CALLBACK`.
async fn public_client(issuer: &Issuer) -> String {
    let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let (status, client) = register(issuer, metadata).await;
    assert_eq!(status, 201);
    client["client_id"].as_str().unwrap().to_owned()
}

async fn authorize(issuer: &Issuer, parameters: &[(&str, &str)]) -> Response {
    let url = Url::parse_with_params(&issuer.endpoint(Endpoint::Authorize), parameters).unwrap();
    http().get(url).send().await.unwrap()
}

fn request(client_id: &str) -> Vec<(&str, &str)> {
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

async fn code(issuer: &Issuer, client_id: &str) -> String {
    returned(&authorize(issuer, &request(client_id)).await)["code"].clone()
}

async fn token(issuer: &Issuer, form: &[(&str, &str)]) -> (u16, Value) {
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

fn exchange<'f>(client_id: &'f str, code: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn with<'f>(
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
    let (_, stranger) = token(&issuer, &with(form.clone(), "client_id", "somebody")).await;
    assert_eq!(stranger["error"], "invalid_grant");
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

    // Shown: nobody is sent to an address that was not checked.
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
    // Nobody registered this one; it is public, and loopback is all it gets.
    returned(&authorize(&issuer, &request("nobody")).await);
}

#[tokio::test]
async fn client_credentials_in_all_three_ways() {
    let issuer = quick()
        .client("machine", "s3:cret+ä")
        .scopes_supported(["mcp:read"])
        .token_lifetime(Duration::from_secs(300))
        .start()
        .await
        .unwrap();
    let grant = [("grant_type", "client_credentials"), ("resource", RESOURCE)];

    let public = with(grant.to_vec(), "client_id", "anybody");
    let (status, answer) = token(&issuer, &public).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["expires_in"], 300);
    assert_eq!(
        answer["scope"], "mcp:read",
        "what is supported, when nothing is asked"
    );
    assert_eq!(answer.get("refresh_token"), None);
    let machine = claims(answer["access_token"].as_str().unwrap());
    assert_eq!(
        (&machine["sub"], &machine["client_id"]),
        (&json!("anybody"), &json!("anybody"))
    );
    assert_eq!(machine["aud"], RESOURCE);

    let posted = with(
        with(grant.to_vec(), "client_id", "machine"),
        "client_secret",
        "s3:cret+ä",
    );
    assert_eq!(token(&issuer, &posted).await.0, 200);
    let asked = with(posted.clone(), "scope", "custom");
    assert_eq!(token(&issuer, &asked).await.1["scope"], "custom");

    // RFC 6749 section 2.3.1: id and secret are form-encoded first.
    let basic = |secret: &str| {
        http()
            .post(issuer.endpoint(Endpoint::Token))
            .basic_auth("machine", Some(secret.to_owned()))
            .form(&grant)
            .send()
    };
    assert_eq!(basic("s3%3Acret%2B%C3%A4").await.unwrap().status(), 200);
    let refused = basic("wrong").await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(
        refused.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"], "invalid_client");

    for form in [
        with(grant.to_vec(), "client_id", "machine"),
        with(posted, "client_secret", "wrong"),
        with(public, "client_secret", "a public client has none"),
        grant.to_vec(),
    ] {
        let (status, answer) = token(&issuer, &form).await;
        assert_eq!(
            (status, &answer["error"]),
            (401, &json!("invalid_client")),
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn several_resources_and_none() {
    let issuer = quick().start().await.unwrap();
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", "me")];
    let (_, none) = token(&issuer, &form).await;
    let none = claims(none["access_token"].as_str().unwrap());
    assert_eq!(none["aud"], *issuer.url(), "good for no resource");
    assert_eq!(none.get("scope"), None);

    form.extend([
        ("resource", "https://a.example"),
        ("resource", "https://b.example/"),
    ]);
    let (_, two) = token(&issuer, &form).await;
    let two = claims(two["access_token"].as_str().unwrap());
    assert_eq!(
        two["aud"],
        json!(["https://a.example", "https://b.example/"])
    );

    form.push(("resource", "relative"));
    assert_eq!(token(&issuer, &form).await.1["error"], "invalid_target");
}

#[tokio::test]
async fn malformed_token_requests() {
    let issuer = quick().start().await.unwrap();
    let unknown = [("grant_type", "password"), ("client_id", "me")];
    assert_eq!(
        token(&issuer, &unknown).await.1["error"],
        "unsupported_grant_type"
    );
    assert_eq!(
        token(&issuer, &unknown[1..]).await.1["error"],
        "invalid_request"
    );
    let twice = [unknown[0], unknown[1], unknown[1]];
    assert_eq!(token(&issuer, &twice).await.1["error"], "invalid_request");
    let json = http()
        .post(issuer.endpoint(Endpoint::Token))
        .json(&json!({"grant_type": "client_credentials", "client_id": "me"}))
        .send()
        .await
        .unwrap();
    assert_eq!(json.status(), 400);
}

#[tokio::test]
async fn a_registered_confidential_client() {
    let issuer = quick().start().await.unwrap();
    let (status, client) = register(&issuer, json!({"redirect_uris": [CALLBACK]})).await;
    assert_eq!(status, 201);
    // RFC 7591 section 2: the defaults are told.
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(client["grant_types"], json!(["authorization_code"]));
    assert_eq!(client["response_types"], json!(["code"]));
    assert_eq!(client["client_secret_expires_at"], 0);
    let id = client["client_id"].as_str().unwrap();
    let secret = client["client_secret"].as_str().unwrap();

    let first = code(&issuer, id).await;
    assert_eq!(
        token(&issuer, &exchange(id, &first)).await.0,
        401,
        "the secret is missing"
    );
    let form = with(exchange(id, &first), "client_secret", secret);
    assert_eq!(token(&issuer, &form).await.0, 200);
}

#[tokio::test]
async fn registrations_that_are_refused() {
    let issuer = quick().start().await.unwrap();
    let uri = |uri: &str| json!({"redirect_uris": [uri], "token_endpoint_auth_method": "none"});
    for good in [
        "https://app.example/cb",
        "cursor://anysphere/cb",
        "http://[::1]:1/",
        CALLBACK,
    ] {
        assert_eq!(register(&issuer, uri(good)).await.0, 201, "{good}");
    }
    for bad in [
        "http://app.example/cb",
        "javascript:alert(1)",
        "/cb",
        "https://a.example/#f",
        "data:,x",
    ] {
        let (status, answer) = register(&issuer, uri(bad)).await;
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!("invalid_redirect_uri")),
            "{bad}"
        );
    }
    for bad in [
        json!({}),
        json!({"redirect_uris": "x"}),
        json!({"redirect_uris": vec![CALLBACK; 33]}),
    ] {
        assert_eq!(
            register(&issuer, bad).await.1["error"],
            "invalid_redirect_uri"
        );
    }
    for bad in [
        json!([]),
        json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt"}),
        json!({"redirect_uris": [CALLBACK], "grant_types": "authorization_code"}),
    ] {
        assert_eq!(
            register(&issuer, bad).await.1["error"],
            "invalid_client_metadata"
        );
    }
    let machine = json!({"grant_types": ["client_credentials"]});
    assert_eq!(register(&issuer, machine).await.0, 201);
}

#[tokio::test]
async fn introspection_tells_clients_with_a_secret() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let issuer = quick()
        .clock(clock.clone())
        .client("rs", "secret")
        .start()
        .await
        .unwrap();
    let ask = async |token: &str, secret: Option<&str>| -> (u16, Value) {
        let request = http().post(issuer.endpoint(Endpoint::Introspect));
        let request = match secret {
            Some(secret) => request
                .basic_auth("rs", Some(secret))
                .form(&[("token", token)]),
            None => request.form(&[("token", token), ("client_id", "anybody")]),
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let good = issuer.token().audience(RESOURCE).scope("a").sign();
    let (status, answer) = ask(&good, Some("secret")).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["active"], &answer["token_type"]),
        (&json!(true), &json!("Bearer"))
    );
    assert_eq!(
        (&answer["aud"], &answer["scope"]),
        (&json!(RESOURCE), &json!("a"))
    );

    assert_eq!(ask(&good, Some("wrong")).await.0, 401);
    assert_eq!(ask(&good, None).await.0, 401);
    let inactive = (200, json!({"active": false}));
    let forged = issuer.token().signed_by_a_stranger().sign();
    for bad in [
        &*forged,
        &issuer.token().unsigned().sign(),
        "opaque",
        "a.b.c",
    ] {
        assert_eq!(ask(bad, Some("secret")).await, inactive, "{bad}");
    }
    clock.advance(Duration::from_secs(3600));
    assert_eq!(ask(&good, Some("secret")).await, inactive);
    let old = issuer.token().sign();
    issuer.rotate();
    assert_eq!(ask(&old, Some("secret")).await.1["active"], true);
    issuer.withdraw_old_keys();
    assert_eq!(ask(&old, Some("secret")).await, inactive);
}

/// The oldest clients go first; nothing grows without end.
#[tokio::test]
async fn a_thousand_clients_are_remembered() {
    let issuer = quick().client("rs", "secret").start().await.unwrap();
    let first = public_client(&issuer).await;
    let evil = with(
        request(&first),
        "redirect_uri",
        "http://localhost:8090/other",
    );
    assert_eq!(authorize(&issuer, &evil).await.status(), 400);
    let http = http();
    for _ in 0..1000 {
        let body = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
        let url = issuer.endpoint(Endpoint::Register);
        assert_eq!(
            http.post(url).json(&body).send().await.unwrap().status(),
            201
        );
    }
    // Forgotten, so it is anybody again. What was configured stays.
    assert_eq!(authorize(&issuer, &evil).await.status(), 302);
    let form = [("grant_type", "client_credentials"), ("client_id", "rs")];
    assert_eq!(token(&issuer, &form).await.0, 401);
}
