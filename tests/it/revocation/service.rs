//! Entries over HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use tower::{Layer as _, Service, ServiceExt};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::revocation::{Entry, Revocation, RevocationService};
use tower_mcp_auth::testing::insert_anonymous;
use tower_mcp_auth::{AuthError, Clock};

use super::*;
use common::trace;

const SUBJECT: &str = r#"{"subject":{"issuer":"https://auth.example.com","subject":"alice"}}"#;

fn setup(scopes: &[&str]) -> (Revocation, RevocationService, ApiKeyLayer) {
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().clock(clock.clone());
    let revocation = revocation.grant_claim("gid").unwrap();
    let service = revocation.revocation_service("mcp:revoke").unwrap();
    let key = ApiKey::new(API_KEY).unwrap().id("k-1").name("operator");
    let layer = api_keys(key.scopes(scopes.iter().copied()).unwrap(), &clock);
    (revocation, service, layer)
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/revoke")
        .header("x-api-key", API_KEY)
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<String>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

pub(crate) async fn send<S, B>(service: S, request: Request<Full<Bytes>>) -> Told
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let response = service.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let error = parts.extensions.get::<AuthError>();
    let body = body.collect().await.unwrap().to_bytes();
    Told {
        status: parts.status,
        reason: error.map(|error| error.reason().to_owned()),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn a_service_that_no_auth_layer_guards_refuses_everything() {
    let (revocation, service, _) = setup(&[]);
    trace::start();
    let told = send(service.clone(), post(SUBJECT)).await;
    assert_eq!(told.status, 500);
    let events = trace::take();
    assert_eq!(events[0].level, tracing::Level::ERROR);
    assert_eq!(events[0].field("piece"), "RevocationService");
    // Nor does one without a principal.
    let mut request = post(SUBJECT);
    insert_anonymous(request.extensions_mut());
    let told = send(service, request).await;
    assert_eq!(told.status, 401);
    assert!(told.headers.contains_key("www-authenticate"));
    assert_eq!(revocation.entries(), 0);
}

#[tokio::test]
async fn the_scope_is_needed_whatever_the_auth_layer_lets_pass() {
    for (scopes, refused) in [
        (&["mcp:read"][..], Some("insufficient_scope")),
        (&[], Some("insufficient_scope")),
        (&["mcp:read", "mcp:revoke"], None),
    ] {
        let (revocation, service, layer) = setup(scopes);
        let layers = [
            layer.clone(),
            layer.clone().optional(),
            layer.clone().dangerously_report_only(),
        ];
        for layer in layers {
            let told = send(layer.layer(service.clone()), post(SUBJECT)).await;
            assert_eq!(told.reason.as_deref(), refused);
            let status = if refused.is_some() { 403 } else { 204 };
            assert_eq!(told.status, status);
        }
        assert_eq!(revocation.entries(), usize::from(refused.is_none()));
    }
}

#[tokio::test]
async fn who_is_let_pass_without_a_good_credential_is_refused() {
    let (revocation, service, layer) = setup(&["mcp:revoke"]);
    let bare = || {
        let mut request = post(SUBJECT);
        request.headers_mut().remove("x-api-key");
        request
    };
    let bad = || {
        let mut request = post(SUBJECT);
        let key = "YW5vdGhlci1rZXktb2YtdGhlLXRlc3Rz".parse().unwrap();
        request.headers_mut().insert("x-api-key", key);
        request
    };
    for (layer, request, reason) in [
        (layer.clone().optional(), bare(), "missing_credential"),
        (
            layer.clone().dangerously_report_only(),
            bare(),
            "missing_credential",
        ),
        (
            layer.clone().dangerously_report_only(),
            bad(),
            "unknown_api_key",
        ),
        (layer.clone(), bad(), "unknown_api_key"),
    ] {
        let told = send(layer.layer(service.clone()), request).await;
        assert_eq!(
            (told.status.as_u16(), told.reason.as_deref()),
            (401, Some(reason))
        );
        assert!(told.headers.contains_key("www-authenticate"));
    }
    assert_eq!(revocation.entries(), 0);
}

#[tokio::test]
async fn a_service_without_a_scope_cannot_be_made() {
    let revocation = Revocation::in_memory();
    for scopes in ["", " ", "a\"b"] {
        let error = revocation.revocation_service(scopes).unwrap_err();
        assert_eq!(error.setting(), "revocation_service");
    }
    // Several are all needed.
    let (_, _, layer) = setup(&["one"]);
    let service = revocation.revocation_service("one two").unwrap();
    assert_eq!(send(layer.layer(service), post(SUBJECT)).await.status, 403);
}

#[tokio::test]
async fn each_kind_of_entry_has_a_member() {
    let issuer = r#""issuer":"https://auth.example.com""#;
    for (body, entry) in [
        (
            format!(r#"{{"token":{{{issuer},"jti":"j-1","expires_at":1800003600}}}}"#),
            Entry::token(ISSUER, "j-1").expires_at(at(1_800_003_600)),
        ),
        (
            format!(r#"{{"token":{{{issuer},"jti":"j-1"}}}}"#),
            Entry::token(ISSUER, "j-1"),
        ),
        (
            r#" {"token" : {"jti":"j-1", "issuer" : null}} "#.to_owned(),
            Entry::token(None, "j-1"),
        ),
        (SUBJECT.to_owned(), Entry::subject(ISSUER, "alice")),
        (
            format!(r#"{{"subject":{{{issuer},"subject":"a\u0062","issued_before":1800000000}}}}"#),
            Entry::subject(ISSUER, "ab").issued_before(at(1_800_000_000)),
        ),
        (
            format!(r#"{{"client":{{{issuer},"client_id":"app","issued_before":null}}}}"#),
            Entry::client(ISSUER, "app"),
        ),
        (
            format!(r#"{{"grant":{{{issuer},"grant":"g-1"}}}}"#),
            Entry::grant(ISSUER, "g-1"),
        ),
        (
            format!(r#"{{"session":{{{issuer},"sid":"s-1"}}}}"#),
            Entry::session(ISSUER, "s-1"),
        ),
        (
            format!(r#"{{"issuer":{{{issuer},"issued_before":1799999999}}}}"#),
            Entry::issuer(ISSUER).issued_before(at(1_799_999_999)),
        ),
        (
            r#"{"api_key":{"id":"k-9"}}"#.to_owned(),
            Entry::api_key("k-9"),
        ),
        (
            r#"{"api_keys":{"created_before":1800000000}}"#.to_owned(),
            Entry::api_keys_created_before(at(1_800_000_000)),
        ),
    ] {
        let (revocation, service, layer) = setup(&["mcp:revoke"]);
        trace::start();
        let told = send(layer.layer(service), post(body.clone())).await;
        assert_eq!(told.status, 204, "{body}: {}", told.body);
        assert_eq!(told.headers["cache-control"], "no-store");
        let revoked = |events: Vec<trace::Traced>| {
            let mut events = events.into_iter();
            let event = events
                .find(|event| event.field("message") == "revoked")
                .unwrap();
            ["kind", "digest", "issued_before", "entries"].map(|name| event.field(name).to_owned())
        };
        let by_service = revoked(trace::take());
        assert_eq!(revocation.entries(), 1);
        let direct = setup(&[]).0;
        direct.revoke(entry).await.unwrap();
        assert_eq!(by_service, revoked(trace::take()), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_entry_is_refused() {
    let issuer = r#""issuer":"https://auth.example.com""#;
    let mut bodies: Vec<Bytes> = [
        "",
        "null",
        "[]",
        "\"token\"",
        "{}",
        "{\"everything\":{}}",
        // Not one of two.
        r#"{"api_key":{"id":"k"},"api_keys":{"created_before":1}}"#,
        r#"{"api_key":{"id":"k"},"api_key":{"id":"k"}}"#,
        r#"{"api_key":{"id":"k"}}{"api_key":{"id":"k"}}"#,
        // Unknown, twice, missing, of another type.
        r#"{"api_key":{"id":"k","issued_before":1}}"#,
        r#"{"api_key":{"id":"k","id":"k"}}"#,
        r#"{"api_key":{"id":17}}"#,
        r#"{"api_key":{"id":null}}"#,
        r#"{"api_key":{"id":""}}"#,
        r#"{"api_key":["k"]}"#,
        r#"{"api_key":{}}"#,
        r#"{"api_keys":{}}"#,
        r#"{"api_keys":{"created_before":1.5}}"#,
        r#"{"api_keys":{"created_before":-1}}"#,
        r#"{"api_keys":{"created_before":18446744073709551615}}"#,
        r#"{"api_keys":{"created_before":"1"}}"#,
        r#"{"subject":{"subject":"alice"}}"#,
        r#"{"subject":{"issuer":"","subject":"alice"}}"#,
        r#"{"subject":{"issuer":17,"subject":"alice"}}"#,
        r#"{"subject":{"issuer":"https://auth.example.com","subject":"alice","jti":"x"}}"#,
        r#"{"subject":{"issuer":"https://auth.example.com","subject":"\ud800"}}"#,
        r#"{"token":{"issuer":"https://auth.example.com","jti":"j","issued_before":1}}"#,
        // In the future.
        r#"{"issuer":{"issuer":"https://auth.example.com","issued_before":1800000006}}"#,
    ]
    .map(|body| Bytes::from_static(body.as_bytes()))
    .to_vec();
    bodies.push(Bytes::from_static(b"{\"api_key\":{\"id\":\"\xff\"}}"));
    bodies.push(
        format!(
            "{{\"token\":{{{issuer},\"jti\":{}1{}}}}}",
            "[".repeat(99),
            "]".repeat(99)
        )
        .into(),
    );
    let (revocation, service, layer) = setup(&["mcp:revoke"]);
    for body in bodies {
        let told = send(layer.layer(service.clone()), post(body.clone())).await;
        assert_eq!(told.status, 400, "{body:?}");
        assert_eq!(told.headers["content-type"], "application/json");
        let said: Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!(said["error"], "invalid_request");
        assert_eq!(said["status"], 400);
        assert!(!said["error_description"].as_str().unwrap().is_empty());
    }
    assert_eq!(revocation.entries(), 0);
}

#[tokio::test]
async fn method_type_and_size_are_judged() {
    let (revocation, service, layer) = setup(&["mcp:revoke"]);
    let service = layer.layer(service);
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let mut request = post(SUBJECT);
        *request.method_mut() = method.parse().unwrap();
        let told = send(service.clone(), request).await;
        assert_eq!(told.status, 405);
        assert_eq!(told.headers["allow"], "POST");
    }
    for (content_type, status) in [
        (None, 415),
        (Some("text/plain"), 415),
        (Some("application/jsonp"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("Application/JSON ; charset=utf-8"), 204),
    ] {
        let mut request = post(SUBJECT);
        request.headers_mut().remove("content-type");
        if let Some(content_type) = content_type {
            let value = content_type.parse().unwrap();
            request.headers_mut().insert("content-type", value);
        }
        assert_eq!(send(service.clone(), request).await.status, status);
    }
    let padded = |bytes: usize| format!("{SUBJECT}{}", " ".repeat(bytes - SUBJECT.len()));
    for (bytes, status) in [(16 * 1024, 204), (16 * 1024 + 1, 413)] {
        let told = send(service.clone(), post(padded(bytes))).await;
        assert_eq!(told.status, status);
    }
    assert_eq!(revocation.entries(), 1);
}

/// Begins, and then breaks, or says nothing more.
pub(crate) struct Broken {
    pub(crate) begun: bool,
    pub(crate) breaks: bool,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !std::mem::replace(&mut self.begun, true) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{\"api")))));
        }
        match self.breaks {
            true => Poll::Ready(Some(Err(std::io::Error::other("gone")))),
            false => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_or_does_not_come_is_400() {
    let (revocation, service, layer) = setup(&["mcp:revoke"]);
    for breaks in [true, false] {
        let body = Broken {
            begun: false,
            breaks,
        };
        let request = post("").map(|_| body);
        let response = layer.layer(service.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400);
    }
    assert_eq!(revocation.entries(), 0);
}

#[tokio::test]
async fn a_full_index_is_a_conflict() {
    let (revocation, _, layer) = setup(&["mcp:revoke"]);
    let service = revocation.max_entries(0).revocation_service("mcp:revoke");
    let told = send(layer.layer(service.unwrap()), post(SUBJECT)).await;
    assert_eq!(told.status, 409);
    let said: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(said["error"], "revocations_full");
}

#[tokio::test]
async fn callers_that_may_revoke_can_revoke_themselves() {
    let (revocation, service, layer) = setup(&["mcp:revoke"]);
    let service = layer.revocation(revocation).layer(service);
    let own = r#"{"api_key":{"id":"k-1"}}"#;
    assert_eq!(send(service.clone(), post(own)).await.status, 204);
    let told = send(service, post(own)).await;
    assert_eq!(told.reason.as_deref(), Some("revoked_api_key"));
}
