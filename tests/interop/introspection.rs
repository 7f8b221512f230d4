//! Introspection by two authorization servers, npm `oidc-provider` and PyPI
//! `django-oauth-toolkit`: what they answer, which `introspected.rs` has the layer cope with.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::programs::{Running, django, node};

pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";
/// The resource server at both, form-encoded: `mcp@example.com:1` and `s3:cret + 100%`.
const ID: &str = "mcp%40example.com%3A1";
const SECRET: &str = "s3%3Acret+%2B+100%25";
pub(crate) const PLAIN_SECRET: &str = "s3:cret + 100%";

/// An authorization server with introspection.
pub(crate) struct Server {
    pub(crate) program: Running,
    pub(crate) issuer: String,
    metadata: Value,
}

impl Server {
    pub(crate) async fn oidc_provider() -> Self {
        let mut command = node("oidc-provider.mjs");
        command.args(["--port", "0", "--resource", RESOURCE]);
        Self::start(&mut command).await
    }

    pub(crate) async fn django() -> Self {
        Self::start(django().arg("0")).await
    }

    async fn start(command: &mut Command) -> Self {
        let mut program = Running::start(command);
        let issuer = program.line("issuer ").await;
        // The appended form, which both have; Django has no other.
        let metadata = format!("{issuer}/.well-known/oauth-authorization-server");
        let metadata = reqwest::get(metadata).await.expect("metadata");
        Self {
            program,
            issuer,
            metadata: metadata.json().await.expect("JSON"),
        }
    }

    fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let url = self.metadata[endpoint].as_str().expect(endpoint);
        reqwest::Client::new().post(url).form(form)
    }

    /// A token of the client `interop`.
    pub(crate) async fn token(&self, more: &[(&str, &str)]) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "mcp:read mcp:write"),
        ];
        let form: Vec<_> = form.iter().chain(more).copied().collect();
        let request = self.post("token_endpoint", &form);
        let request = request.basic_auth("interop", Some("interop-secret"));
        let answer = json(request.send().await.expect("an answer")).await;
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("no token: {answer}")).into()
    }

    fn introspection(&self, token: &str, more: &[(&str, &str)]) -> RequestBuilder {
        let form = [("token", token)];
        let form: Vec<_> = form.iter().chain(more).copied().collect();
        self.post("introspection_endpoint", &form)
    }

    /// What our resource server is told.
    async fn introspect(&self, token: &str) -> Value {
        let request = self.introspection(token, &[]);
        let response = request.basic_auth(ID, Some(SECRET)).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200);
        json(response).await
    }

    /// A token that our resource server may introspect with, at Django.
    pub(crate) async fn own_token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "introspection"),
        ];
        let request = self.post("token_endpoint", &form);
        let response = request.basic_auth(ID, Some(SECRET)).send().await;
        let answer = json(response.expect("an answer")).await;
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn revoke(&self, token: &str) {
        let request = self.post("revocation_endpoint", &[("token", token)]);
        let request = request.basic_auth("interop", Some("interop-secret"));
        assert_eq!(request.send().await.expect("an answer").status(), 200);
    }
}

async fn json(response: Response) -> Value {
    response.json().await.expect("JSON")
}

/// Status, content type, and what the body says is wrong.
async fn refusal(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let content_type = &response.headers()["content-type"];
    let content_type = content_type.to_str().expect("text").to_owned();
    let body = response.text().await.expect("text");
    let error = serde_json::from_str::<Value>(&body)
        .map_or(body, |body| body["error"].as_str().expect("a code").into());
    (status, content_type, error)
}

fn refused(status: u16, content_type: &str, error: &str) -> (u16, String, String) {
    (status, content_type.to_owned(), error.to_owned())
}

/// The members that a test does not know beforehand are there, as whole seconds.
fn without_times(mut answer: Value, times: &[&str]) -> Value {
    let members = answer.as_object_mut().expect("an object");
    for name in times {
        let time = members.remove(*name);
        assert!(time.as_ref().is_some_and(Value::is_u64), "{name}: {time:?}");
    }
    answer
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_introspects_opaque_tokens_until_they_are_revoked() {
    let mut server = Server::oidc_provider().await;
    server
        .program
        .command("format opaque", "format opaque")
        .await;
    let active = |aud: Option<&str>| {
        let mut answer = json!({
            "active": true,
            "client_id": "interop",
            "iss": server.issuer,
            "scope": "mcp:read mcp:write",
            "token_type": "Bearer",
        });
        if let Some(aud) = aud {
            answer["aud"] = aud.into();
        }
        answer
    };
    let elsewhere = "https://elsewhere.example/mcp";
    for audience in [Some(RESOURCE), Some(elsewhere), None] {
        let resource: Vec<_> = audience.iter().map(|it| ("resource", *it)).collect();
        let token = server.token(&resource).await;
        assert_eq!(token.len(), 43);
        let answer = server.introspect(&token).await;
        assert_eq!(without_times(answer, &["exp", "iat"]), active(audience));
        server.revoke(&token).await;
        assert_eq!(server.introspect(&token).await, json!({"active": false}));
    }
    assert_eq!(server.introspect("unknown").await, json!({"active": false}));
}

/// Not `{"active": false}`: a 400, which says nothing against the token.
#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_does_not_introspect_what_it_signed() {
    let server = Server::oidc_provider().await;
    let token = server.token(&[("resource", RESOURCE)]).await;
    assert_eq!(token.split('.').count(), 3);
    let request = server.introspection(&token, &[]);
    assert_eq!(
        refusal(request.basic_auth(ID, Some(SECRET))).await,
        refused(400, JSON_UTF8, "unsupported_token_type")
    );
}

const JSON_UTF8: &str = "application/json; charset=utf-8";

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_wants_to_know_who_asks() {
    let server = Server::oidc_provider().await;
    let token = server.token(&[]).await;
    let ask = |more: &[(&str, &str)]| server.introspection(&token, more);

    let wrong = ask(&[]).basic_auth(ID, Some("wrong"));
    let expected = refused(401, JSON_UTF8, "invalid_client");
    assert_eq!(refusal(wrong).await, expected);
    // These are 400, as what concerns the token is.
    let expected = refused(400, JSON_UTF8, "invalid_request");
    assert_eq!(refusal(ask(&[])).await, expected);
    let plain = ask(&[]).basic_auth("mcp@example.com:1", Some(PLAIN_SECRET));
    assert_eq!(refusal(plain).await, expected);

    let posted = [("client_id", "mcp-post"), ("client_secret", PLAIN_SECRET)];
    let response = ask(&posted).send().await.expect("an answer");
    assert_eq!(json(response).await["active"], true);
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

/// RFC 9701; `aud` is the client id, not the resource.
#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_signs_its_answers() {
    let mut server = Server::oidc_provider().await;
    server
        .program
        .command("format opaque", "format opaque")
        .await;
    let token = server.token(&[("resource", RESOURCE)]).await;
    for token in [&*token, "unknown"] {
        let plain = server.introspect(token).await;
        let request = server
            .introspection(token, &[])
            .basic_auth(ID, Some(SECRET))
            .header("accept", "application/token-introspection+jwt");
        let response = request.send().await.expect("an answer");
        assert_eq!(
            response.headers()["content-type"],
            "application/token-introspection+jwt; charset=utf-8"
        );
        let jwt = response.text().await.expect("text");
        let part = |index: usize| -> Value {
            let part = jwt.split('.').nth(index).expect("three parts");
            let part = URL_SAFE_NO_PAD.decode(part).expect("base64url");
            serde_json::from_slice(&part).expect("JSON")
        };
        assert_eq!(part(0)["typ"], "token-introspection+jwt");
        assert_eq!(part(0)["alg"], "ES256");
        assert_eq!(
            without_times(part(1), &["iat"]),
            json!({
                "iss": server.issuer,
                "aud": "mcp@example.com:1",
                "token_introspection": plain,
            })
        );
    }
}

/// Neither `iss` nor `token_type`, `aud` only if asked for, and as an array.
#[tokio::test]
#[ignore = "needs Python and PyPI django-oauth-toolkit: see tests/interop/README.md"]
async fn django_introspects_opaque_tokens_until_they_are_revoked() {
    let mut server = Server::django().await;
    let mut active = json!({
        "active": true,
        "client_id": "interop",
        "scope": "mcp:read mcp:write",
    });
    for audience in [None, Some(RESOURCE)] {
        if let Some(audience) = audience {
            active["aud"] = json!([audience]);
        }
        let resource: Vec<_> = audience.iter().map(|it| ("resource", *it)).collect();
        let token = server.token(&resource).await;
        assert_eq!(token.len(), 30);
        let answer = server.introspect(&token).await;
        assert_eq!(without_times(answer, &["exp"]), active);
        server.revoke(&token).await;
        assert_eq!(server.introspect(&token).await, json!({"active": false}));
    }
    assert_eq!(server.introspect("unknown").await, json!({"active": false}));

    // Users have names, and no `sub`.
    let command = format!("alice {RESOURCE}");
    let token = server.program.ask(&command, "alice ").await;
    let answer = server.introspect(&token).await;
    assert_eq!(
        without_times(answer, &["exp"]),
        json!({
            "active": true,
            "client_id": "interop",
            "username": "alice",
            "scope": "mcp:read",
            "aud": [RESOURCE],
        })
    );

    server.program.command("ttl 60", "ttl 60").await;
    let short = server.token(&[]).await;
    let exp = server.introspect(&short).await["exp"].as_u64();
    assert!((now() + 55..=now() + 60).contains(&exp.expect("a time")));
}

/// A wrong secret is 403 with an empty page, not 401 with JSON.
#[tokio::test]
#[ignore = "needs Python and PyPI django-oauth-toolkit: see tests/interop/README.md"]
async fn django_wants_to_know_who_asks() {
    let server = Server::django().await;
    let token = server.token(&[]).await;
    let ask = |more: &[(&str, &str)]| server.introspection(&token, more);
    for request in [
        ask(&[]),
        ask(&[]).basic_auth(ID, Some("wrong")),
        ask(&[]).basic_auth("nobody", Some(SECRET)),
        // A good token, without the scope `introspection`.
        ask(&[]).bearer_auth(&token),
    ] {
        let expected = refused(403, "text/html; charset=utf-8", "");
        assert_eq!(refusal(request).await, expected);
    }

    let posted = [
        ("client_id", "mcp@example.com:1"),
        ("client_secret", PLAIN_SECRET),
    ];
    let response = ask(&posted).send().await.expect("an answer");
    assert_eq!(json(response).await["active"], true);

    let own = server.own_token().await;
    let response = ask(&[]).bearer_auth(own).send().await.expect("an answer");
    assert_eq!(json(response).await["active"], true);
}
