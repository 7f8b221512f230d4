//! Opaque tokens and the introspection endpoint.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tower_mcp_auth::Clock;
use tower_mcp_auth::testing::{Behaviour, Endpoint, IntrospectionAuth, Issuer};

use super::flows::{RESOURCE, token};
use super::{header, http, part, quick};

mod assertions;

const NOW: u64 = 1_800_000_000;
const ID: &str = "mcp@example.com:1";
const SECRET: &str = "s3:cret+ä";

/// No caller has to prove anything.
async fn open(clock: &Clock) -> Issuer {
    quick()
        .clock(clock.clone())
        .introspection_auth([IntrospectionAuth::none()])
        .start()
        .await
        .unwrap()
}

fn clock() -> Clock {
    Clock::manual(Duration::from_secs(NOW))
}

fn request(issuer: &Issuer, token: &str) -> RequestBuilder {
    http()
        .post(issuer.endpoint(Endpoint::Introspect))
        .form(&[("token", token)])
}

async fn introspect(issuer: &Issuer, token: &str) -> Value {
    let response = request(issuer, token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.json().await.unwrap()
}

fn inactive() -> Value {
    json!({"active": false})
}

#[tokio::test]
async fn an_opaque_token_is_a_name_for_its_claims() {
    let issuer = open(&clock()).await;
    let token = issuer
        .token()
        .audience(RESOURCE)
        .audience("https://other.example")
        .scope("mcp:read mcp:write")
        .claim("jti", "1")
        .claim("nbf", NOW)
        .claim("username", "Alice")
        .claim("cnf", json!({"jkt": "a thumbprint"}))
        .claim("org", json!({"id": 7}))
        .opaque();
    assert_eq!(token.len(), 32);
    assert!(!token.contains('.'), "{token}");
    assert_eq!(
        introspect(&issuer, &token).await,
        json!({
            "active": true,
            "iss": issuer.url(),
            "sub": "alice",
            "client_id": "test-client",
            "aud": [RESOURCE, "https://other.example"],
            "scope": "mcp:read mcp:write",
            "jti": "1",
            "iat": NOW,
            "nbf": NOW,
            "exp": NOW + 3600,
            "username": "Alice",
            "token_type": "Bearer",
            "cnf": {"jkt": "a thumbprint"},
            "org": {"id": 7},
        })
    );
    assert_ne!(issuer.token().opaque(), issuer.token().opaque());
    let prefixed = issuer.token().opaque_with_prefix("ops_");
    assert!(prefixed.starts_with("ops_"), "{prefixed}");
    assert_eq!(introspect(&issuer, &prefixed).await["active"], true);
    assert_eq!(introspect(&issuer, &prefixed[4..]).await, inactive());
}

/// What a good server would not say is for the resource server to find.
#[tokio::test]
async fn claims_of_an_opaque_token_may_lie() {
    let issuer = open(&clock()).await;
    let token = issuer
        .token()
        .claim("active", "true")
        .claim("token_type", "refresh_token")
        .claim("exp", "tomorrow")
        .without_claim("iss")
        .opaque();
    let answer = introspect(&issuer, &token).await;
    assert_eq!(answer["active"], "true");
    assert_eq!(answer["token_type"], "refresh_token");
    assert_eq!(answer["exp"], "tomorrow");
    assert_eq!(answer.get("iss"), None);
}

#[tokio::test]
async fn only_tokens_within_their_time_are_active() {
    let clock = clock();
    let issuer = open(&clock).await;
    let forever = issuer.token().without_claim("exp").opaque();
    let tokens = [
        issuer.token().sign(),
        issuer.token().opaque(),
        issuer.token().claim("exp", NOW as f64 + 3600.0).opaque(),
    ];
    for token in &tokens {
        assert_eq!(introspect(&issuer, token).await["active"], true, "{token}");
    }
    for bad in [
        issuer.token().expired().sign(),
        issuer.token().expired().opaque(),
        issuer.token().claim("nbf", NOW + 1).opaque(),
        issuer.token().with_wrong_key().sign(),
        "nobody-issued-this".to_owned(),
    ] {
        assert_eq!(introspect(&issuer, &bad).await, inactive(), "{bad}");
    }
    clock.advance(Duration::from_secs(3600));
    for token in &tokens {
        assert_eq!(introspect(&issuer, token).await, inactive(), "{token}");
    }
    assert_eq!(introspect(&issuer, &forever).await["active"], true);
}

#[tokio::test]
async fn revoked_tokens_are_not_active() {
    let issuer = open(&clock()).await;
    let other = issuer.token().opaque();
    for token in [issuer.token().sign(), issuer.token().opaque()] {
        assert_eq!(introspect(&issuer, &token).await["active"], true);
        issuer.revoke(&token);
        assert_eq!(introspect(&issuer, &token).await, inactive(), "{token}");
        issuer.revoke(&token);
        assert_eq!(introspect(&issuer, &token).await, inactive(), "{token}");
    }
    assert_eq!(introspect(&issuer, &other).await["active"], true);
}

#[tokio::test]
async fn the_token_endpoint_issues_opaque_tokens_where_told() {
    let issuer = quick()
        .opaque_tokens("at_")
        .introspection_auth([IntrospectionAuth::none()])
        .start()
        .await
        .unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "me"),
        ("resource", RESOURCE),
        ("scope", "mcp:read"),
    ];
    let (_, answer) = token(&issuer, &form).await;
    let token = answer["access_token"].as_str().unwrap();
    assert!(token.starts_with("at_"), "{token}");
    let answer = introspect(&issuer, token).await;
    assert_eq!(answer["aud"], RESOURCE);
    assert_eq!(answer["scope"], "mcp:read");
    assert_eq!(answer["sub"], "me");
}

async fn outcome(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let said = match body.get("error") {
        Some(error) => error.as_str().unwrap().to_owned(),
        None => format!("active {}", body["active"]),
    };
    (status, said)
}

/// The ways a request can prove itself, with the right secrets and with wrong ones.
fn proofs(issuer: &Issuer, token: &str) -> Vec<(&'static str, RequestBuilder)> {
    let url = issuer.endpoint(Endpoint::Introspect);
    let form = |parameters: &[(&str, &str)]| {
        let token = [("token", token)];
        let all: Vec<_> = token.iter().chain(parameters).collect();
        http().post(&url).form(&all)
    };
    let basic = |id: &str, secret: &str| form(&[]).basic_auth(id, Some(secret));
    let post = |id: &str, secret: &str| form(&[("client_id", id), ("client_secret", secret)]);
    vec![
        (
            "basic",
            basic("mcp%40example.com%3A1", "s3%3Acret%2B%C3%A4"),
        ),
        // A plain id with a colon in it ends at the colon.
        ("basic, not encoded", basic(ID, SECRET)),
        (
            "basic, wrong secret",
            basic("mcp%40example.com%3A1", "wrong"),
        ),
        (
            "basic, unknown client",
            basic("nobody", "s3%3Acret%2B%C3%A4"),
        ),
        ("post", post(ID, SECRET)),
        ("post, wrong secret", post(ID, "wrong")),
        ("bearer", form(&[]).bearer_auth("resource-server-token")),
        ("bearer, wrong token", form(&[]).bearer_auth("wrong")),
        ("none", form(&[])),
        ("none, with an id", form(&[("client_id", ID)])),
    ]
}

#[tokio::test]
async fn only_the_configured_ways_to_authenticate_are_taken() {
    let all: [(Vec<IntrospectionAuth>, &[&str]); 6] = [
        (vec![IntrospectionAuth::client_secret_basic()], &["basic"]),
        (vec![IntrospectionAuth::client_secret_post()], &["post"]),
        (
            vec![IntrospectionAuth::bearer("resource-server-token")],
            &["bearer"],
        ),
        (
            vec![IntrospectionAuth::none()],
            &["none", "none, with an id"],
        ),
        (
            vec![
                IntrospectionAuth::bearer("another"),
                IntrospectionAuth::bearer("resource-server-token"),
                IntrospectionAuth::client_secret_post(),
            ],
            &["post", "bearer"],
        ),
        (
            vec![IntrospectionAuth::private_key_jwt(ID, assertions::key())],
            &[],
        ),
    ];
    for (methods, good) in all {
        let name = format!("{methods:?}");
        let issuer = quick()
            .client(ID, SECRET)
            .introspection_auth(methods)
            .start()
            .await
            .unwrap();
        let token = issuer.token().opaque();
        for (proof, request) in proofs(&issuer, &token) {
            let expected = if good.contains(&proof) {
                (200, "active true")
            } else if proof.starts_with("bearer") {
                (401, "invalid_token")
            } else {
                (401, "invalid_client")
            };
            let (status, said) = outcome(request).await;
            assert_eq!((status, &*said), expected, "{name}: {proof}");
        }
    }
}

#[tokio::test]
async fn by_default_a_client_has_a_secret() {
    let issuer = quick().client(ID, SECRET).start().await.unwrap();
    let token = issuer.token().opaque();
    for (proof, request) in proofs(&issuer, &token) {
        let expected = if matches!(proof, "basic" | "post") {
            200
        } else {
            401
        };
        assert_eq!(outcome(request).await.0, expected, "{proof}");
    }
}

#[tokio::test]
async fn requests_that_are_malformed() {
    let issuer = quick()
        .client("rs", "secret")
        .introspection_auth([
            IntrospectionAuth::client_secret_basic(),
            IntrospectionAuth::client_secret_post(),
        ])
        .start()
        .await
        .unwrap();
    let url = issuer.endpoint(Endpoint::Introspect);
    let form = |form: &[(&str, &str)]| http().post(&url).form(form);
    let basic = |request: RequestBuilder| request.basic_auth("rs", Some("secret"));
    let posted = [
        ("token", "t"),
        ("client_id", "rs"),
        ("client_secret", "secret"),
    ];
    let assertion = [("token", "t"), ("client_assertion", "a.b.c")];
    for (what, request) in [
        (
            "no token",
            basic(form(&[("token_type_hint", "access_token")])),
        ),
        ("two tokens", basic(form(&[("token", "a"), ("token", "b")]))),
        ("two secrets", basic(form(&posted))),
        ("an assertion, too", basic(form(&assertion))),
        ("an assertion of no type", form(&assertion)),
        (
            "two ids",
            basic(form(&[("token", "t"), ("client_id", "me")])),
        ),
        (
            "JSON",
            basic(http().post(&url).json(&json!({"token": "t"}))),
        ),
    ] {
        let outcome = outcome(request).await;
        assert_eq!(outcome, (400, "invalid_request".to_owned()), "{what}");
    }
    let get = http().get(format!("{url}?token=t")).send();
    assert_eq!(get.await.unwrap().status(), 405);
    // A hint is a hint.
    let hinted = basic(form(&[("token", "t"), ("token_type_hint", "anything")]));
    assert_eq!(outcome(hinted).await, (200, "active false".to_owned()));
}

#[tokio::test]
async fn refusals_name_the_scheme() {
    for (auth, scheme) in [
        (IntrospectionAuth::client_secret_basic(), "Basic "),
        (IntrospectionAuth::bearer("right"), "Bearer "),
    ] {
        let issuer = quick().introspection_auth([auth]).start().await.unwrap();
        let request = request(&issuer, "t");
        let request = match scheme {
            "Basic " => request.basic_auth("rs", Some("wrong")),
            _ => request.bearer_auth("wrong"),
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with(scheme), "{challenge}");
    }
}

#[tokio::test]
async fn the_metadata_tell_how_to_ask() {
    let issuer = quick()
        .path("/tenant")
        .introspection_auth([
            IntrospectionAuth::private_key_jwt("a", assertions::key()),
            IntrospectionAuth::private_key_jwt("b", assertions::key()),
            IntrospectionAuth::bearer("token"),
            IntrospectionAuth::none(),
        ])
        .signed_introspection(RESOURCE)
        .start()
        .await
        .unwrap();
    let metadata = issuer.metadata();
    assert_eq!(
        metadata["introspection_endpoint"],
        format!("{}/introspect", issuer.url())
    );
    assert_eq!(
        metadata["introspection_endpoint_auth_methods_supported"],
        json!(["Bearer", "none", "private_key_jwt"])
    );
    // RFC 8414 section 2: required beside private_key_jwt.
    let algorithms = &metadata["introspection_endpoint_auth_signing_alg_values_supported"];
    assert!(algorithms.as_array().unwrap().contains(&json!("ES256")));
    assert_eq!(
        metadata["introspection_signing_alg_values_supported"],
        json!(["ES256"])
    );

    let plain = quick().start().await.unwrap().metadata();
    assert_eq!(
        plain["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post"])
    );
    for absent in [
        "introspection_endpoint_auth_signing_alg_values_supported",
        "introspection_signing_alg_values_supported",
    ] {
        assert_eq!(plain.get(absent), None);
    }
}

#[tokio::test]
async fn settings_that_let_no_caller_in_are_refused() {
    for methods in [
        vec![],
        vec![IntrospectionAuth::bearer("")],
        vec![IntrospectionAuth::private_key_jwt("", assertions::key())],
    ] {
        let error = quick()
            .introspection_auth(methods)
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("introspection_auth"), "{error}");
    }
}

const SIGNED: &str = "application/token-introspection+jwt";

async fn accepting(issuer: &Issuer, token: &str, accept: &str) -> Response {
    let request = request(issuer, token).header("accept", accept);
    request.send().await.unwrap()
}

#[tokio::test]
async fn signed_answers_for_those_who_ask() {
    let clock = clock();
    let issuer = quick()
        .clock(clock.clone())
        .introspection_auth([IntrospectionAuth::none()])
        .signed_introspection("https://rs.example/")
        .start()
        .await
        .unwrap();
    let token = issuer.token().scope("a").claim("jti", "1").opaque();
    for accept in [
        SIGNED,
        "application/json;q=0.5, Application/Token-Introspection+JWT",
    ] {
        let response = accepting(&issuer, &token, accept).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], SIGNED);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let jwt = response.text().await.unwrap();
        assert_eq!(header(&jwt)["typ"], "token-introspection+jwt");
        assert_eq!(header(&jwt)["kid"], issuer.jwks()["keys"][0]["kid"]);
        // Not a claim more: it must not pass for an access token.
        assert_eq!(
            part(&jwt, 1),
            json!({
                "iss": issuer.url(),
                "aud": "https://rs.example/",
                "iat": NOW,
                "token_introspection": introspect(&issuer, &token).await,
            })
        );
        assert_eq!(introspect(&issuer, &jwt).await, inactive(), "no token");
    }

    let unknown = accepting(&issuer, "unknown", SIGNED).await;
    let unknown = part(&unknown.text().await.unwrap(), 1);
    assert_eq!(unknown["token_introspection"], inactive());

    for accept in ["application/json", "*/*"] {
        let response = accepting(&issuer, &token, accept).await;
        assert_eq!(response.headers()["content-type"], "application/json");
    }
    let plain = open(&clock).await;
    let response = accepting(&plain, "unknown", SIGNED).await;
    assert_eq!(response.json::<Value>().await.unwrap(), inactive());
}

#[tokio::test]
async fn the_last_request_is_recorded() {
    let issuer = quick().client("rs", "secret").start().await.unwrap();
    assert!(issuer.last_request(Endpoint::Introspect).is_none());
    for behaviour in [Behaviour::Normal, Behaviour::Status(503)] {
        issuer.set_behaviour(Endpoint::Introspect, behaviour);
        let form = [
            ("token", "the token"),
            ("token_type_hint", "access_token"),
            ("empty", ""),
        ];
        let request = http()
            .post(issuer.endpoint(Endpoint::Introspect))
            .basic_auth("rs", Some("secret"))
            .header("accept", "application/json")
            .form(&form);
        request.send().await.unwrap();
        let seen = issuer.last_request(Endpoint::Introspect).unwrap();
        assert_eq!(seen.method(), "POST");
        assert_eq!(seen.header("Authorization"), Some("Basic cnM6c2VjcmV0"));
        assert_eq!(seen.header("accept"), Some("application/json"));
        assert_eq!(seen.header("dpop"), None);
        assert_eq!(seen.headers()["accept"], "application/json");
        assert_eq!(seen.parameter("token"), Some("the token"));
        assert_eq!(seen.parameter("empty"), Some(""));
        assert_eq!(seen.parameter("client_secret"), None);
        let expected = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(seen.form(), expected);
        assert_eq!(
            seen.body(),
            b"token=the+token&token_type_hint=access_token&empty="
        );
        let debug = format!("{seen:?}");
        assert!(debug.contains("authorization"), "{debug}");
        assert!(!debug.contains("cnM6c2VjcmV0"), "{debug}");
        assert!(!debug.contains("the"), "{debug}");
    }
    assert_eq!(issuer.requests(Endpoint::Introspect), 2);
    assert!(issuer.last_request(Endpoint::Token).is_none());
}

#[tokio::test]
async fn faults_of_introspection() {
    let issuer = open(&clock()).await;
    let token = issuer.token().opaque();
    let set = |behaviour| issuer.set_behaviour(Endpoint::Introspect, behaviour);

    let busy = [("Retry-After", "7"), ("Content-Type", "application/json")];
    set(Behaviour::status_with_headers(429, busy).times(1));
    let response = request(&issuer, &token).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(
        introspect(&issuer, &token).await["active"],
        true,
        "once only"
    );

    let signed = issuer
        .token()
        .header("typ", "token-introspection+jwt")
        .claim("token_introspection", json!({"active": true}));
    set(Behaviour::Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), SIGNED.to_owned())],
        bytes: signed.with_wrong_key().sign().into_bytes(),
    });
    let response = request(&issuer, &token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], SIGNED);
    assert_eq!(response.text().await.unwrap().split('.').count(), 3);

    set(Behaviour::json(&json!({"active": "yes"})));
    let response = request(&issuer, &token).send().await.unwrap();
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({"active": "yes"})
    );

    set(Behaviour::Oversize(300_000));
    let response = request(&issuer, &token).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 300_000);

    set(Behaviour::Disconnect);
    assert!(request(&issuer, &token).send().await.is_err());

    for broken in [
        Behaviour::status_with_headers(9999, []),
        Behaviour::status_with_headers(503, [("Retry After", "7")]),
    ] {
        set(broken);
        let response = request(&issuer, &token).send().await.unwrap();
        assert_eq!(response.status(), 500);
    }
}

#[test]
fn debug_prints_no_secret() {
    let builder = quick().client(ID, "the-secret").introspection_auth([
        IntrospectionAuth::bearer("the-token"),
        IntrospectionAuth::private_key_jwt("the-client", assertions::key()),
    ]);
    let debug = format!("{builder:?}");
    for shown in [ID, "Bearer", "private_key_jwt", "the-client"] {
        assert!(debug.contains(shown), "{shown}: {debug}");
    }
    for hidden in ["the-secret", "the-token"] {
        assert!(!debug.contains(hidden), "{debug}");
    }
}
