use std::time::Duration;

use serde_json::{Value, json};
use tower_mcp_auth::Clock;
use tower_mcp_auth::testing::Endpoint;

use super::flows::{
    CALLBACK, RESOURCE, authorize, code, exchange, public_client, register, request, token, with,
};
use super::{claims, http, quick};

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
        json!({"redirect_uris": [CALLBACK], "x": {"$serde_json::private::RawValue": "{}"}}),
        json!({"redirect_uris": {"$serde_json::private::RawValue": json!([CALLBACK]).to_string()}}),
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
    let forged = issuer.token().with_wrong_key().sign();
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
