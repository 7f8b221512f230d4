//! What a credential that was let pass can do further in: no more than a good one.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::{AuthLayer, Authenticated, Authentication};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{
    MacKey, McpListsLayer, McpPolicy, McpScopesLayer, PolicyDecision, SessionBindingLayer,
};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::scopes::{
    RequireScopesLayer, RequiredScopes, Requirement, ScopedPrincipal, Scopes,
};
use tower_mcp_auth::{
    ApiKeyLayer, AuthError, AuthErrorKind, JwtLayer, OAuthLayer, Principal, Reason, Reported,
};

use crate::auth::several::network::{ISSUER, Page, RESOURCE, START};
use crate::auth::several::support::*;
use common::{Answering, SECRET, ask, clock, request, request_to, trace};

/// What became of a request for which `read` was needed.
async fn behind(layer: &Layer, credential: (&str, &str), scope: &str) -> (u16, String) {
    let gate = RequireScopesLayer::new([scope]).unwrap();
    let layers = ServiceBuilder::new().layer(layer.clone()).layer(gate);
    let (header, value) = credential;
    let answer = ask(&layers, request(&[(header, value)])).await;
    let told = answer.extensions.get::<Reported>();
    let told = told.into_iter().flat_map(Reported::errors);
    let reasons: Vec<_> = match answer.extensions.get::<AuthError>() {
        Some(error) => vec![error.reason()],
        None => told.map(AuthError::reason).collect(),
    };
    if let Some(parts) = &answer.reached {
        assert!(Principal::from_extensions(&parts.extensions).is_none());
    }
    (answer.status.as_u16(), reasons.join(" "))
}

fn only<P>(layer: impl Into<AuthLayer<P>>, reasons: &[&str]) -> Layer
where
    P: tower_mcp_auth::auth::Authenticate + Clone,
{
    let layer = layer.into().dangerously_report_only_for(reasons);
    layer.unwrap().boxed()
}

#[tokio::test]
async fn an_api_key_out_of_its_time_can_do_what_it_could_in_time_and_no_more() {
    let clock = clock();
    let now = std::time::UNIX_EPOCH + clock.now();
    let hour = Duration::from_secs(3600);
    let key = |key| {
        ApiKey::new(key)
            .unwrap()
            .owner("alice")
            .scopes(["mcp:read"])
            .unwrap()
    };
    let (expired, early, revoked) = (
        "Zm9yIHRoZSBleGFtcGxlIG9ubHk",
        "YW5vdGhlciBvbmUgZm9yIGl0",
        "b25lLXRoYXQtd2FzLXJldm9rZWQ",
    );
    let keys = ApiKeyLayer::new([
        key(expired).expires_at(now - hour).unwrap(),
        key(early).not_before(now + hour).unwrap(),
        key(revoked).expires_at(now - hour).unwrap().revoked(true),
    ])
    .unwrap()
    .clock(clock.clone());
    let all = [
        "expired_api_key",
        "not_yet_valid_api_key",
        "revoked_api_key",
        "unknown_api_key",
    ];
    for (key, scope, status, told) in [
        (expired, "mcp:read", 200, "expired_api_key"),
        (expired, "admin", 403, "insufficient_scope"),
        (early, "mcp:read", 200, "not_yet_valid_api_key"),
        (early, "admin", 403, "insufficient_scope"),
        (revoked, "mcp:read", 401, "revoked_api_key"),
        (
            "bm9ib2R5LWhhcy10aGlzLW9uZQ",
            "mcp:read",
            401,
            "unknown_api_key",
        ),
    ] {
        let alone = only(keys.clone(), &all);
        // In front of another provider it is the same.
        let other = oauth(&web(), &clock).or(keys.clone()).unwrap();
        let optional = only(other.clone().optional(), &all);
        for layer in [alone, only(other, &all), optional] {
            let became = behind(&layer, ("x-api-key", key), scope).await;
            assert_eq!(became, (status, told.to_owned()), "{key} {scope}");
        }
    }
}

/// Claims, what is reported, the scope that is needed further in, and what becomes of it.
type Row<'a> = (Value, &'a [&'a str], &'a str, u16, &'a str);

fn rows() -> Vec<Row<'static>> {
    let past = json!({"exp": 1});
    let ahead = START.as_secs() + 3000;
    let other = "https://other.example.com";
    vec![
        (past.clone(), &["expired"], "mcp:read", 200, "expired"),
        (
            past.clone(),
            &["expired"],
            "admin",
            403,
            "insufficient_scope",
        ),
        (
            past.clone(),
            &["expired", "insufficient_scope"],
            "admin",
            200,
            "expired insufficient_scope",
        ),
        (
            past.clone(),
            &["expired", "missing_credential"],
            "admin",
            403,
            "insufficient_scope",
        ),
        (
            json!({"exp": 1, "scope": "admin"}),
            &["expired"],
            "admin",
            200,
            "expired",
        ),
        (
            json!({"exp": 1, "scope": null}),
            &["expired"],
            "mcp:read",
            403,
            "insufficient_scope",
        ),
        (
            json!({"nbf": ahead}),
            &["not_yet_valid"],
            "mcp:read",
            200,
            "not_yet_valid",
        ),
        (
            json!({"nbf": ahead}),
            &["not_yet_valid"],
            "admin",
            403,
            "insufficient_scope",
        ),
        (
            json!({"iat": ahead}),
            &["issued_in_the_future"],
            "mcp:read",
            200,
            "issued_in_the_future",
        ),
        (
            json!({"iat": ahead}),
            &["issued_in_the_future"],
            "admin",
            403,
            "insufficient_scope",
        ),
        (
            json!({"exp": null}),
            &["missing_exp"],
            "mcp:read",
            200,
            "missing_exp",
        ),
        (
            json!({"exp": null}),
            &["missing_exp"],
            "admin",
            403,
            "insufficient_scope",
        ),
        // Both of two things that stand against it must be in the list.
        (
            json!({"exp": 1, "iat": ahead}),
            &["expired"],
            "mcp:read",
            401,
            "issued_in_the_future",
        ),
        (
            json!({"exp": 1, "iat": ahead}),
            &["expired", "issued_in_the_future"],
            "mcp:read",
            200,
            "expired",
        ),
        (
            json!({"exp": 1, "aud": other}),
            &["expired"],
            "mcp:read",
            401,
            "audience_mismatch",
        ),
        (
            json!({"exp": 1, "aud": other}),
            &["audience_mismatch"],
            "mcp:read",
            401,
            "expired",
        ),
        (
            json!({"aud": other, "cnf": {"jkt": "x"}}),
            &["audience_mismatch", "missing_credential"],
            "mcp:read",
            401,
            "bound_token",
        ),
        // Whose audience this is not, has no scopes here.
        (
            json!({"aud": other}),
            &["audience_mismatch"],
            "mcp:read",
            401,
            "audience_mismatch",
        ),
        (
            json!({"exp": 1, "aud": other}),
            &["audience_mismatch", "expired"],
            "mcp:read",
            401,
            "audience_mismatch",
        ),
        (
            json!({"aud": other}),
            &["audience_mismatch", "insufficient_scope"],
            "mcp:read",
            200,
            "audience_mismatch",
        ),
        (
            json!({"aud": other}),
            &["audience_mismatch", "missing_credential"],
            "mcp:read",
            200,
            "audience_mismatch",
        ),
        (
            json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
            &["bound_token"],
            "mcp:read",
            401,
            "bound_token",
        ),
    ]
}

#[tokio::test]
async fn a_signed_token_that_is_let_pass_is_judged_by_the_scopes_it_was_issued_with() {
    let clock = clock();
    for (claims, reasons, scope, status, told) in rows() {
        let web = web();
        let token = format!("Bearer {}", SIGNER.token(claims.clone()));
        for layer in [
            only(oauth(&web, &clock), reasons),
            only(oauth(&web, &clock).or(keys(&clock)).unwrap(), reasons),
        ] {
            // The second time it is known, where it was good.
            for _ in 0..2 {
                let became = behind(&layer, ("authorization", &token), scope).await;
                assert_eq!(became, (status, told.to_owned()), "{claims} {reasons:?}");
            }
        }
        let mut own = json!({
            "iss": JWT_ISSUER, "sub": "alice", "aud": RESOURCE,
            "exp": START.as_secs() + 300, "scope": "mcp:read",
        });
        for (name, value) in claims.as_object().unwrap() {
            match value {
                Value::Null => drop(own.as_object_mut().unwrap().remove(name)),
                value => own[name] = value.clone(),
            }
        }
        let jwt = JwtLayer::builder(Secret::new(SECRET).unwrap())
            .issuer(JWT_ISSUER)
            .audience(RESOURCE)
            .clock(clock.clone())
            .build()
            .unwrap();
        let token = format!("Bearer {}", common::token(&own.to_string()));
        let became = behind(&only(jwt, reasons), ("authorization", &token), scope).await;
        assert_eq!(became, (status, told.to_owned()), "{own} {reasons:?}");
    }
}

#[tokio::test]
async fn a_token_that_expired_after_it_was_known_is_judged_like_any_other() {
    let (web, clock) = (web(), clock());
    let layer = only(oauth(&web, &clock), &["expired"]);
    let exp = START.as_secs() + 60;
    let token = format!("Bearer {}", SIGNER.token(json!({"exp": exp})));
    let gate = |scope: &str| {
        let gate = RequireScopesLayer::new([scope]).unwrap();
        ServiceBuilder::new().layer(layer.clone()).layer(gate)
    };
    let asked = || request(&[("authorization", &*token)]);
    ask(&gate("mcp:read"), asked()).await.principal();
    clock.advance(Duration::from_secs(150));
    for (scope, status) in [("mcp:read", 200), ("admin", 403)] {
        let became = behind(&layer, ("authorization", &token), scope).await;
        assert_eq!(became.0, status, "{scope}");
    }
}

#[tokio::test]
async fn the_scopes_of_the_auth_layer_are_needed_by_tokens_that_are_let_pass_too() {
    let (web, clock) = (web(), clock());
    let with = |reasons: &[&str]| {
        let layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(AuthorizationServer::new(ISSUER).unwrap())
            .unwrap()
            .required_scopes(["admin"])
            .clock(clock.clone())
            .fetch(web.clone())
            .build()
            .unwrap();
        only(layer, reasons)
    };
    let other = "https://other.example.com";
    for (claims, reasons, status, told) in [
        (
            json!({"exp": 1}),
            &["expired"][..],
            403,
            "insufficient_scope",
        ),
        (
            json!({"aud": other}),
            &["audience_mismatch"],
            403,
            "insufficient_scope",
        ),
        (
            json!({"exp": 1, "scope": "admin"}),
            &["expired"],
            200,
            "expired",
        ),
        (
            json!({}),
            &["insufficient_scope"],
            200,
            "insufficient_scope",
        ),
    ] {
        let token = SIGNER.token(claims.clone());
        let answer = bearer(&with(reasons), &token).await;
        assert_eq!(answer.status, status, "{claims}");
        let reported = answer.extensions.get::<Reported>();
        let reason = reported.map_or_else(|| answer.error().reason(), |o| o.errors()[0].reason());
        assert_eq!(reason, told, "{claims}");
    }
}

#[tokio::test]
async fn of_introspected_tokens_only_one_that_is_called_active_is_proven() {
    for (said, reasons, scope, status, told) in [
        (
            json!({"exp": 1}),
            &["expired"][..],
            "mcp:read",
            200,
            "expired",
        ),
        (
            json!({"exp": 1}),
            &["expired"],
            "admin",
            403,
            "insufficient_scope",
        ),
        (
            json!({"exp": 1, "aud": "https://other.example.com"}),
            &["expired"],
            "mcp:read",
            401,
            "audience_mismatch",
        ),
        (
            json!({"active": false}),
            &["inactive_token", "expired"],
            "mcp:read",
            401,
            "inactive_token",
        ),
    ] {
        let (web, clock) = (web(), clock());
        let base = json!({
            "active": true, "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app",
            "exp": START.as_secs() + 3600, "scope": "mcp:read", "token_type": "Bearer",
        });
        let said = crate::auth::several::network::changed(base, &said);
        let tokens = std::collections::HashMap::from([(OPAQUE.to_owned(), said.clone())]);
        web.set(ENDPOINT, Page::Tokens(tokens));
        let layer = only(oauth(&web, &clock), reasons);
        let token = format!("Bearer {OPAQUE}");
        // The second answer is one that was kept.
        for _ in 0..2 {
            let became = behind(&layer, ("authorization", &token), scope).await;
            assert_eq!(became, (status, told.to_owned()), "{said}");
        }
    }
}

/// The server that could say whether it was revoked is not asked about an expired token.
#[tokio::test]
async fn a_token_on_which_its_server_has_a_say_is_not_proven_by_its_signature() {
    let (web, clock) = (web(), clock());
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let introspection = introspection().introspect_jwts().unwrap();
    let layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server.introspection(introspection).unwrap())
        .unwrap()
        .clock(clock)
        .fetch(web)
        .build()
        .unwrap();
    let token = format!("Bearer {}", SIGNER.token(json!({"exp": 1})));
    let became = behind(
        &only(layer, &["expired"]),
        ("authorization", &token),
        "mcp:read",
    )
    .await;
    assert_eq!(became, (401, "expired".to_owned()));
}

/// `late.a.b` was issued to alice with the scopes `a` and `b`, and `late-m.a` to mallory; what
/// is `bad` has no known owner. Others are good ones of alice.
fn auth(reasons: &[&str]) -> Layer {
    let provider = Answering::new(|credential| {
        let (kind, scopes) = credential.value().split_once('.').unwrap_or(("bad", ""));
        let who = if kind == "late-m" { "mallory" } else { "alice" };
        let scopes = Scopes::from_names(scopes.split('.').filter(|s| !s.is_empty())).unwrap();
        let principal = Principal::builder("test")
            .subject(who)
            .scopes(scopes)
            .build();
        let error = AuthError::new(Reason::EXPIRED);
        Authentication::Ready(match kind {
            "late" | "late-m" => Err(error.proven(principal)),
            "bad" => Err(error),
            _ => Ok(Authenticated::new(principal)),
        })
    });
    only(AuthLayer::new(provider), reasons)
}

fn post(token: &str, body: &str) -> Request<Full<Bytes>> {
    let value = format!("Bearer {token}");
    let media = "application/json".to_owned();
    let mut request = request(&[("content-type", media), ("authorization", value)]);
    *request.method_mut() = Method::POST;
    *request.body_mut() = body.to_owned().into();
    request
}

fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
    )
}

#[tokio::test]
async fn operations_nested_gates_and_checks_judge_by_whom_it_was_issued_to() {
    let policy = McpPolicy::builder()
        .tool("read", "r")
        .unwrap()
        .tool("write", "w")
        .unwrap()
        .tool("open", Requirement::none())
        .unwrap()
        .tool("own", Requirement::none())
        .unwrap()
        .check(|call| match (call.tool(), call.principal()) {
            (Some("own"), Some(who)) if who.subject() == Some("mallory") => PolicyDecision::Deny,
            (Some("own"), Some(_)) => PolicyDecision::Allow,
            (Some("own"), None) => PolicyDecision::Require("r".parse::<Scopes>().unwrap().into()),
            _ => PolicyDecision::Allow,
        })
        .build()
        .unwrap();
    for (token, tool, status, reason) in [
        ("late.r", "read", 200, ""),
        ("late.r", "write", 403, "insufficient_scope"),
        ("late.r.w", "write", 200, ""),
        ("late.r", "own", 200, ""),
        ("late-m.r", "own", 403, "operation_denied"),
        ("late.r", "unlisted", 403, "operation_denied"),
        ("late.", "open", 200, ""),
        ("bad", "open", 200, ""),
        ("bad", "read", 401, "expired"),
        ("bad", "own", 401, "expired"),
        ("bad", "unlisted", 403, "operation_denied"),
    ] {
        let operations = McpScopesLayer::new(policy.clone());
        let layers = ServiceBuilder::new()
            .layer(auth(&["expired"]))
            .layer(operations);
        let answer = ask(&layers, post(token, &call(tool))).await;
        assert_eq!(answer.status, status, "{token} {tool}");
        let error = answer.extensions.get::<AuthError>();
        assert_eq!(
            error.map_or("", AuthError::reason),
            reason,
            "{token} {tool}"
        );
    }
    for (token, status) in [
        ("late.r", 403),
        ("late.r.w", 200),
        ("late.w", 403),
        ("bad", 401),
    ] {
        let layers = ServiceBuilder::new()
            .layer(auth(&["expired"]))
            .layer(RequireScopesLayer::new(["r"]).unwrap())
            .layer(RequireScopesLayer::new(["w"]).unwrap());
        let answer = ask(
            &layers,
            request(&[("authorization", format!("Bearer {token}"))]),
        )
        .await;
        assert_eq!(answer.status, status, "{token}");
    }
}

#[tokio::test]
async fn a_refusal_names_what_is_needed_and_whom_it_is_about() {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = std::sync::Arc::clone(&heard);
    let layer = auth(&["expired"]).on_decision(move |decision| {
        let id = decision.principal_id().map(ToString::to_string);
        hook.lock().unwrap().push((decision.layer(), id));
    });
    let gate = RequireScopesLayer::new(["w"])
        .unwrap()
        .include_granted(true);
    let layers = ServiceBuilder::new().layer(layer).layer(gate);
    trace::start();
    let answer = ask(&layers, request(&[("authorization", "Bearer late.r")])).await;
    assert_eq!(answer.status, 403);
    let challenge = &answer.challenges()[0];
    assert!(challenge.contains(r#"scope="r w""#), "{challenge}");
    let alice = Some("test|sub=alice".to_owned());
    let seen: Vec<_> = trace::take();
    for event in &seen {
        assert_eq!(event.field("principal"), "test|sub=alice", "{event:?}");
    }
    assert_eq!(
        *heard.lock().unwrap(),
        [("auth", alice.clone()), ("scopes", alice)]
    );

    // Who is unproven is told what is wrong, and which scopes are needed.
    let answer = ask(&layers, request(&[("authorization", "Bearer bad")])).await;
    let challenge = &answer.challenges()[0];
    assert!(
        challenge.contains(r#"error="invalid_token""#),
        "{challenge}"
    );
    assert!(challenge.contains(r#"scope="w""#), "{challenge}");
}

#[tokio::test]
async fn lists_show_what_its_scopes_open() {
    const LIST: &str =
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read"},{"name":"write"}]}}"#;
    let policy = McpPolicy::builder()
        .tool("read", "r")
        .unwrap()
        .tool("write", "w")
        .unwrap()
        .build()
        .unwrap();
    for (reasons, token, shown) in [
        (&["expired"][..], "late.r", [true, false]),
        (&["expired"], "late.r.w", [true, true]),
        (&["expired"], "bad", [false, false]),
        (&["expired", "insufficient_scope"], "late.r", [true, true]),
        (&["expired", "insufficient_scope"], "bad", [true, true]),
        (&["expired", "missing_credential"], "bad", [true, true]),
        (&["expired", "missing_credential"], "late.r", [true, false]),
    ] {
        let service = ServiceBuilder::new()
            .layer(auth(reasons))
            .layer(McpListsLayer::new(policy.clone()))
            .service_fn(async |_: Request<Full<Bytes>>| {
                let response = Response::builder().header("content-type", "application/json");
                Ok::<_, BoxError>(response.body(Full::<Bytes>::from(LIST))?)
            });
        let response = service.oneshot(post(token, "")).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        let found = ["read", "write"].map(|name| text.contains(name));
        assert_eq!(found, shown, "{reasons:?} {token}: {text}");
    }
}

#[tokio::test]
async fn sessions_are_those_of_whom_it_was_issued_to() {
    let service = |auth: Layer| {
        let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
        ServiceBuilder::new()
            .layer(auth)
            .layer(SessionBindingLayer::new(key))
            .service_fn(async |_: Request<Full<Bytes>>| {
                let response = Response::builder().header("mcp-session-id", "s1");
                Ok::<_, BoxError>(response.body(Full::<Bytes>::default())?)
            })
    };
    let asked = |token: &str, id: Option<&str>| {
        let token = format!("Bearer {token}");
        match id {
            None => request(&[("authorization", &*token)]),
            Some(id) => request(&[("authorization", &*token), ("mcp-session-id", id)]),
        }
    };
    let opened = async |token: &str| {
        let response = service(auth(&["expired"]))
            .oneshot(asked(token, None))
            .await;
        let response = response.unwrap();
        response.headers()["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let ids = [
        opened("good.r").await,
        opened("late.r").await,
        opened("bad").await,
    ];
    for (reasons, token, statuses) in [
        (&["expired"][..], "late.r", [200, 200, 404]),
        (&["expired"], "good.r", [200, 200, 404]),
        (&["expired"], "late-m.r", [404, 404, 404]),
        (&["expired"], "bad", [404, 404, 200]),
        (&["expired", "unknown_session"], "bad", [200, 200, 200]),
    ] {
        for (id, status) in ids.iter().zip(statuses) {
            let service = service(auth(reasons));
            let response = service.oneshot(asked(token, Some(id))).await.unwrap();
            assert_eq!(response.status(), status, "{reasons:?} {token}");
        }
    }
}

struct Write;
impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["w"];
}

#[tokio::test]
async fn handlers_see_no_principal() {
    let app = Router::new()
        .route(
            "/may",
            get(async |who: Option<Principal>| who.is_some().to_string()),
        )
        .route("/must", get(async |_: Principal| "somebody"))
        .route("/granted", get(async |_: ScopedPrincipal<Write>| "granted"))
        .layer(auth(&["expired"]));
    for (path, status) in [("/may", 200), ("/must", 401), ("/granted", 401)] {
        let asked = request_to(path, &[("authorization", "Bearer late.w")]);
        let response = app.clone().oneshot(asked.map(axum::body::Body::new)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(path != "/may" || body == "false");
    }
}

/// What a provider says was proven counts for its own reasons, and for those of this crate that
/// say nothing else of a credential.
#[tokio::test]
async fn no_provider_can_prove_what_its_reason_denies() {
    for (reason, status) in [
        (Reason::EXPIRED, 200),
        (Reason::NOT_YET_VALID, 200),
        (Reason::AUDIENCE_MISMATCH, 401),
        (Reason::ISSUER_MISMATCH, 401),
        (Reason::REVOKED_API_KEY, 401),
        (Reason::INACTIVE_TOKEN, 401),
        (Reason::INVALID_SIGNATURE, 401),
        (Reason::BOUND_TOKEN, 401),
        // A reason of its own is not the one of this crate that is let pass.
        (Reason::custom(AuthErrorKind::Invalid, "expired"), 401),
    ] {
        let alice = Principal::builder("test").scopes("r".parse().unwrap());
        let error = AuthError::new(reason).proven(alice.subject("alice").build());
        let layer = only(AuthLayer::new(Answering::refusing(error)), &[reason.code()]);
        let became = behind(&layer, ("authorization", "Bearer x"), "r").await;
        assert_eq!(became, (status, reason.to_string()));
    }
}
