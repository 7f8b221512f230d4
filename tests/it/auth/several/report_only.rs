//! Observe mode: what would be refused passes as anonymous, and is told.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_mcp_auth::auth::ProviderInfo;
use tower_mcp_auth::auth::{AuthLayer, Authenticate, Authenticated, Authentication};
use tower_mcp_auth::mcp::{
    MacKey, McpListsLayer, McpPolicy, McpScopesLayer, OriginLayer, SessionBindingLayer,
};
use tower_mcp_auth::scopes::{RequireScopesLayer, RequiredScopes, ScopedPrincipal, Scopes};
use tower_mcp_auth::{
    ApiKeyLayer, AuthError, AuthErrorKind, Credential, Location, Principal, Reason, Reported,
    RequestHead,
};

use crate::auth::several::network::{ISSUER, Page, RESOURCE};
use crate::auth::several::support::*;
use common::{Answer, Answering, ask, clock, guards, request, request_to, trace};

fn reasons_of(extensions: &http::Extensions) -> Vec<&str> {
    let told = extensions.get::<Reported>();
    let errors = told.into_iter().flat_map(Reported::errors);
    errors.map(AuthError::reason).collect()
}

/// It passed as anonymous, and this is told.
#[track_caller]
fn reported(answer: &Answer, reasons: &[&str]) {
    assert_eq!(answer.text(), "nobody");
    let parts = answer.admitted();
    assert!(Principal::from_extensions(&parts.extensions).is_none());
    assert_eq!(reasons_of(&answer.extensions), reasons);
}

#[tokio::test]
async fn what_would_be_refused_passes_without_a_principal_or_its_credentials() {
    let (web, clock) = (web(), clock());
    let layer = oauth(&web, &clock).or(keys(&clock)).unwrap();
    let layer = layer.dangerously_report_only();
    let forwarding = layer.clone().forward_credential(true);
    let expired = format!("Bearer {}", SIGNER.token(json!({"exp": 1})));
    let forged = format!("Bearer {}x", SIGNER.token(json!({})));
    let other = format!(
        "Bearer {}",
        SIGNER.token(json!({"aud": "https://other.example.com"}))
    );
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[], "missing_credential"),
        (
            &[("x-api-key", "acme_bm9ib2R5LWtub3dzLXRoaXMtb25l")],
            "unknown_api_key",
        ),
        (&[("authorization", &expired)], "expired"),
        (&[("authorization", &forged)], "malformed_token"),
        (&[("authorization", &other)], "audience_mismatch"),
        // This one is waited for.
        (
            &[("authorization", "Bearer opaque-token-of-nobody")],
            "inactive_token",
        ),
        (&[("authorization", "Bearer a b")], "malformed_credential"),
        (&[("authorization", "Bearer,")], "malformed_credential"),
        (
            &[("x-api-key", KEY), ("x-api-key", "other")],
            "duplicate_credential",
        ),
        (
            &[("x-api-key", KEY), ("authorization", &expired)],
            "multiple_credentials",
        ),
    ];
    for (headers, reason) in cases {
        for layer in [&layer, &forwarding] {
            let answer = ask(layer, request(headers)).await;
            reported(&answer, &[reason]);
            let seen = &answer.admitted().headers;
            assert!(seen.is_empty(), "{reason}: {seen:?}");
        }
    }
    // A good one has its principal, and nothing is told.
    let answer = ask(&layer, request(&[("x-api-key", KEY)])).await;
    assert_eq!(answer.principal().subject(), Some("ci"));
    assert_eq!(reasons_of(&answer.extensions), [""; 0]);
}

#[tokio::test]
async fn our_own_trouble_passes_as_well() {
    let (web, clock) = (web(), clock());
    web.set(ENDPOINT, Page::Status(500));
    let answer = bearer(&oauth(&web, &clock).boxed(), OPAQUE).await;
    assert_eq!(answer.status, 503);
    let layer = oauth(&web, &clock).dangerously_report_only();
    reported(
        &bearer(&layer.boxed(), OPAQUE).await,
        &["introspection_failed"],
    );
}

#[tokio::test]
async fn a_credential_in_the_query_is_always_refused() {
    for guard in guards() {
        let layer = guard.layer.dangerously_report_only();
        let query = request_to::<&str>("/mcp?access_token=a", &[]);
        ask(&layer, query).await.malformed("token_in_query");
    }
    let error = ApiKeyLayer::new([KEY]).unwrap();
    let error = error
        .dangerously_report_only_for(["token_in_query"])
        .unwrap_err();
    assert_eq!(error.setting(), "dangerously_report_only_for");
}

#[tokio::test]
async fn limited_to_reasons_everything_else_is_refused() {
    let (web, clock) = (web(), clock());
    let other = "https://other.example.com";
    let audience = |layer: Layer| {
        layer
            .dangerously_report_only_for(["audience_mismatch"])
            .unwrap()
    };
    let layer = audience(oauth(&web, &clock).boxed());
    let mismatch = SIGNER.token(json!({"aud": other}));
    reported(&bearer(&layer, &mismatch).await, &["audience_mismatch"]);
    for (token, reason) in [
        (SIGNER.token(json!({"exp": 1})), "expired"),
        // The signature is judged before the audience.
        (
            crate::auth::several::network::Key::new("k1").token(json!({"aud": other})),
            "invalid_signature",
        ),
        (
            format!("{}AA.AAAA", &mismatch[..mismatch.len() - 90]),
            "malformed_token",
        ),
    ] {
        let answer = bearer(&layer, &token).await;
        assert_ne!(answer.status, 200, "{reason}");
        if reason != "malformed_token" {
            assert_eq!(answer.error().reason(), reason);
        }
    }
    ask(&layer, request::<&str>(&[])).await.missing();
    // Without observation a wrong audience costs no look at keys.
    let answer = bearer(&oauth(&web, &clock).boxed(), &mismatch).await;
    answer.invalid("audience_mismatch");
}

#[tokio::test]
async fn a_forged_jwt_does_not_pass_for_a_reported_reason() {
    use tower_mcp_auth::jose::Secret;
    let build = |secret: &[u8]| {
        tower_mcp_auth::JwtLayer::builder(Secret::new(secret).unwrap())
            .audience("https://mcp.example.com")
            .require_at_jwt()
            .clock(clock())
            .build()
            .unwrap()
            .dangerously_report_only_for([
                "audience_mismatch",
                "missing_audience",
                "wrong_token_type",
            ])
            .unwrap()
            .boxed()
    };
    let token = jwt_of(JWT_ISSUER);
    let ours = build(common::SECRET);
    reported(&bearer(&ours, &token).await, &["wrong_token_type"]);
    let another = build(b"tN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3EtN4hX8kQ1wZs6CvM2jRy9PbGf7DaLu3E");
    bearer(&another, &token).await.invalid("invalid_signature");
}

#[tokio::test]
async fn an_unproven_jwt_does_not_pass_for_its_type() {
    let (web, clock) = (web(), clock());
    let server = tower_mcp_auth::oauth::AuthorizationServer::new(ISSUER)
        .unwrap()
        .require_at_jwt()
        .introspection(introspection().introspect_jwts_only().unwrap())
        .unwrap();
    let layer = tower_mcp_auth::OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .clock(clock)
        .fetch(web)
        .build()
        .unwrap()
        .dangerously_report_only_for(["wrong_token_type"])
        .unwrap()
        .boxed();
    // It was never issued: the authorization server does not know it.
    let answer = bearer(&layer, &jwt_of(ISSUER)).await;
    answer.invalid("inactive_token");
}

const BADGE_REVOKED: Reason = Reason::custom(AuthErrorKind::Invalid, "badge_revoked");

#[derive(Clone, Debug)]
struct Badges;

impl Authenticate for Badges {
    fn describe(&self) -> ProviderInfo {
        ProviderInfo::new("badge").reasons([BADGE_REVOKED])
    }
    fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        Authentication::Ready(Err(AuthError::new(BADGE_REVOKED)))
    }
}

#[tokio::test]
async fn unknown_reasons_are_refused_and_those_of_a_provider_are_known() {
    let keys = || ApiKeyLayer::new([KEY]).unwrap();
    for bad in [
        "audience-mismatch",
        "",
        "Expired",
        "badge_revoked",
        "body_too_large",
    ] {
        let error = keys().dangerously_report_only_for([bad]).unwrap_err();
        assert_eq!(error.setting(), "dangerously_report_only_for", "{bad}");
        assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
    }
    assert!(keys().dangerously_report_only_for([""; 0]).is_err());
    let both = keys()
        .dangerously_report_only()
        .dangerously_report_only_for(["expired"]);
    assert!(
        both.unwrap_err()
            .to_string()
            .contains("`dangerously_report_only`")
    );

    let badges = AuthLayer::new(Badges).boxed();
    let badges = badges.or(keys()).unwrap().boxed();
    let badges = badges
        .dangerously_report_only_for(["badge_revoked"])
        .unwrap();
    reported(&bearer(&badges, "a").await, &["badge_revoked"]);
}

#[test]
fn every_reason_that_may_be_reported_can_be_named() {
    for reason in Reason::ALL {
        let layer = ApiKeyLayer::new([KEY]).unwrap();
        let named = layer.dangerously_report_only_for([reason]);
        assert_eq!(named.is_ok(), reason.may_be_reported(), "{reason}");
    }
}

#[test]
fn an_unknown_code_is_answered_with_the_one_that_is_meant() {
    for (wrong, meant) in [
        ("audience-mismatch", "\"audience_mismatch\""),
        ("audiance_mismatch", "\"audience_mismatch\""),
        ("Expired", "\"expired\""),
        ("bad_audience", "docs/reason-codes.md"),
    ] {
        let layer = ApiKeyLayer::new([KEY]).unwrap();
        let error = layer.dangerously_report_only_for([wrong]).unwrap_err();
        assert!(error.to_string().contains(meant), "{error}");
        let is_found = error.to_string().contains("did you mean");
        assert_eq!(is_found, meant.starts_with('"'), "{error}");
    }
}

#[test]
fn it_warns_at_start() {
    trace::start();
    let keys = ApiKeyLayer::new([KEY]).unwrap();
    let _ = keys.clone().dangerously_report_only();
    let _ = keys
        .dangerously_report_only_for(["expired_api_key"])
        .unwrap();
    let seen = trace::take();
    let settings: Vec<_> = seen.iter().map(|event| event.field("setting")).collect();
    assert_eq!(
        settings,
        ["dangerously_report_only", "dangerously_report_only_for"]
    );
    assert!(
        seen[1].field("detail").contains("expired_api_key"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn each_is_traced_once_and_without_the_credential() {
    let layer = ApiKeyLayer::new([KEY]).unwrap().dangerously_report_only();
    trace::start();
    let key = "acme_bm9ib2R5LWtub3dzLXRoaXMtb25l";
    ask(&layer, request(&[("x-api-key", key)])).await;
    let seen = trace::take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].field("reason"), "unknown_api_key");
    assert_eq!(seen[0].level, tracing::Level::INFO);
    assert!(!format!("{seen:?}").contains(key), "{seen:?}");
}

#[tokio::test]
async fn a_principal_of_a_layer_further_out_does_not_stay() {
    let badge = Location::bare("x-badge".parse().unwrap());
    let outer = AuthLayer::new(Answering::accepting().locations([badge]));
    let inner = AuthLayer::new(Answering::refusing(
        AuthError::new(Reason::EXPIRED).with_detail("it ended a minute ago"),
    ));
    let both = ServiceBuilder::new()
        .layer(outer)
        .layer(inner.dangerously_report_only());
    let asked = request(&[("x-badge", "a"), ("authorization", "Bearer a")]);
    reported(&ask(&both, asked).await, &["expired"]);
}

#[tokio::test]
async fn a_grpc_request_passes_too_and_is_refused_in_its_form_otherwise() {
    let call = || {
        Request::post("/test.Greeter/Hello")
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("authorization", "Bearer a")
            .body(Full::default())
            .unwrap()
    };
    let layer = AuthLayer::new(Answering::refusing(
        AuthError::new(Reason::EXPIRED).with_detail("it ended a minute ago"),
    ));
    let all = layer.clone().dangerously_report_only();
    reported(&ask(&all, call()).await, &["expired"]);
    let other = layer
        .dangerously_report_only_for(["not_yet_valid"])
        .unwrap();
    let answer = ask(&other, call()).await;
    assert_eq!(answer.error().reason(), "expired");
    assert_eq!(answer.headers["grpc-status"], "16");
}

/// `Bearer a.b` is alice with the scopes `a` and `b`; `Bearer bad` is expired.
fn auth() -> AuthLayer<Answering> {
    AuthLayer::new(Answering::new(|credential| {
        if credential.value() == "bad" {
            return Authentication::Ready(Err(
                AuthError::new(Reason::EXPIRED).with_detail("it ended a minute ago")
            ));
        }
        let scopes = Scopes::from_names(credential.value().split('.')).unwrap();
        let alice = Principal::builder("test").subject("alice").scopes(scopes);
        Authentication::Ready(Ok(Authenticated::new(alice.build())))
    }))
}

fn limited() -> AuthLayer<Answering> {
    auth().dangerously_report_only_for(["expired"]).unwrap()
}

fn policy() -> McpPolicy {
    McpPolicy::builder()
        .tool("*", "write")
        .unwrap()
        .build()
        .unwrap()
}

fn post(token: &str, body: &str) -> Request<Full<Bytes>> {
    let value = format!("Bearer {token}");
    let mut request = request(&[
        ("content-type", "application/json"),
        ("authorization", &*value),
    ]);
    *request.method_mut() = Method::POST;
    *request.body_mut() = body.to_owned().into();
    request
}

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{}}}"#;

#[tokio::test]
async fn layers_for_scopes_observe_too() {
    let get = |token: &str| request(&[("authorization", format!("Bearer {token}"))]);
    let scopes = || RequireScopesLayer::new(["write"]).unwrap();
    let policy = || McpScopesLayer::new(policy());
    for (auth, all) in [(auth().dangerously_report_only(), true), (limited(), false)] {
        let route = ServiceBuilder::new().layer(auth.clone()).layer(scopes());
        let operations = ServiceBuilder::new().layer(auth).layer(policy());
        for answer in [
            ask(&route, get("bad")).await,
            ask(&operations, post("bad", CALL)).await,
        ] {
            if all {
                // What follows from the missing principal is not told again.
                reported(&answer, &["expired"]);
            } else {
                answer.invalid("expired");
            }
        }
        for answer in [
            ask(&route, get("read")).await,
            ask(&operations, post("read", CALL)).await,
        ] {
            if all {
                // A caller that lacks a scope keeps the name.
                assert_eq!(answer.principal().subject(), Some("alice"));
                assert_eq!(reasons_of(&answer.extensions), ["insufficient_scope"]);
            } else {
                assert_eq!(answer.error().reason(), "insufficient_scope");
            }
        }
        for answer in [
            ask(&route, get("write")).await,
            ask(&operations, post("write", CALL)).await,
        ] {
            assert_eq!(reasons_of(&answer.extensions), [""; 0]);
            assert_eq!(answer.principal().subject(), Some("alice"));
        }
        let bad_body = ask(&operations, post("write", "{")).await;
        if all {
            assert_eq!(reasons_of(&bad_body.extensions), ["not_json"]);
            bad_body.admitted();
        } else {
            bad_body.malformed("not_json");
        }
    }
    // And without observation all of it is refused.
    let route = ServiceBuilder::new().layer(auth()).layer(scopes());
    assert_eq!(ask(&route, get("read")).await.status, 403);
    assert_eq!(ask(&route, get("bad")).await.status, 401);
}

#[tokio::test]
async fn what_is_denied_is_no_more_open_to_whom_only_a_credential_was_let_pass() {
    let policy = || {
        McpPolicy::builder()
            .tool("u", "write")
            .unwrap()
            .build()
            .unwrap()
    };
    let based = || {
        let builder = McpPolicy::builder().baseline("write").unwrap();
        builder.tool("u", "write").unwrap().build().unwrap()
    };
    let all = || auth().dangerously_report_only();
    for (auth, token, status) in [
        (limited(), "write", 403),
        (limited(), "bad", 403),
        (all(), "write", 200),
        (all(), "bad", 200),
    ] {
        for policy in [policy(), based()] {
            let layers = ServiceBuilder::new().layer(auth.clone());
            let layers = layers.layer(McpScopesLayer::new(policy));
            let answer = ask(&layers, post(token, CALL)).await;
            assert_eq!(answer.status, status, "{token}: {answer:?}");
        }
    }
    // Nor may a head be what it may not be otherwise.
    let layers = ServiceBuilder::new()
        .layer(limited())
        .layer(McpScopesLayer::new(based()));
    let mut text = post("bad", CALL);
    let plain = || "text/plain".parse().unwrap();
    text.headers_mut().insert("content-type", plain());
    assert_eq!(
        ask(&layers, text).await.error().reason(),
        "unsupported_content_type"
    );
    // A head that was let pass leaves the body to be judged.
    let auth = auth()
        .dangerously_report_only_for(["unsupported_content_type"])
        .unwrap();
    let layers = ServiceBuilder::new()
        .layer(auth)
        .layer(McpScopesLayer::new(policy()));
    let mut text = post("write", CALL);
    text.headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(
        ask(&layers, text.clone()).await.error().reason(),
        "operation_denied"
    );
    *text.body_mut() = CALL.replace(r#""t""#, r#""u""#).into();
    let answer = ask(&layers, text).await;
    assert_eq!(reasons_of(&answer.extensions), ["unsupported_content_type"]);
}

#[tokio::test]
async fn a_body_with_a_member_twice_can_be_let_pass() {
    let twice = CALL.replace(r#""id":"#, r#""id":1,"id":"#);
    assert_ne!(twice, CALL);
    let layers = |auth| {
        let layers = ServiceBuilder::new().layer(auth);
        layers.layer(McpScopesLayer::new(policy()))
    };
    let refused = ask(&layers(auth()), post("read", &twice)).await;
    refused.malformed("duplicate_body_member");
    let auth = auth()
        .dangerously_report_only_for([Reason::DUPLICATE_BODY_MEMBER])
        .unwrap();
    let answer = ask(&layers(auth), post("read", &twice)).await;
    answer.admitted();
    assert_eq!(reasons_of(&answer.extensions), ["duplicate_body_member"]);
}

#[tokio::test]
async fn errors_stand_from_the_outside_in() {
    let auth = auth().dangerously_report_only();
    let layers = ServiceBuilder::new()
        .layer(auth)
        .layer(RequireScopesLayer::new(["read"]).unwrap())
        .layer(McpScopesLayer::new(policy()));
    let answer = ask(&layers, post("other", CALL)).await;
    assert_eq!(
        reasons_of(&answer.extensions),
        ["insufficient_scope", "insufficient_scope"]
    );
    let answer = ask(&layers, post("bad", "{")).await;
    assert_eq!(reasons_of(&answer.extensions)[0], "expired");
}

#[tokio::test]
async fn a_body_is_passed_on_whole_and_one_that_is_too_large_is_refused() {
    let service = ServiceBuilder::new()
        .layer(auth().dangerously_report_only())
        .layer(McpScopesLayer::new(policy()).max_body_bytes(200).unwrap())
        .service_fn(
            async |request: Request<tower_mcp_auth::mcp::RequestBody<Full<Bytes>>>| {
                let body = request.into_body().collect().await?.to_bytes();
                Ok::<_, BoxError>(Response::new(Full::new(body)))
            },
        );
    for (token, body) in [("read", CALL), ("bad", CALL), ("read", "{"), ("bad", "{")] {
        let response = service.clone().oneshot(post(token, body)).await.unwrap();
        let got = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(got, body, "{token}");
    }
    let large = format!("{CALL}{}", " ".repeat(200));
    let response = service.oneshot(post("read", &large)).await.unwrap();
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn lists_are_not_filtered() {
    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t"}]}}"#;
    for (auth, token, shown) in [
        (auth(), "read", false),
        (auth(), "write", true),
        (limited(), "read", false),
        (limited(), "bad", false),
        (auth().dangerously_report_only(), "read", true),
        (auth().dangerously_report_only(), "bad", true),
    ] {
        let service = ServiceBuilder::new()
            .layer(auth)
            .layer(McpListsLayer::new(policy()))
            .service_fn(async |_: Request<Full<Bytes>>| {
                let response = Response::builder().header("content-type", "application/json");
                Ok::<_, BoxError>(response.body(Full::<Bytes>::from(LIST))?)
            });
        let response = service.oneshot(post(token, "")).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.contains(r#""t""#), shown, "{token}: {text}");
    }
}

#[tokio::test]
async fn lists_are_not_filtered_for_callers_that_are_still_refused() {
    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t"}]}}"#;
    for (reasons, shown) in [
        (&["insufficient_scope"][..], false),
        (&["missing_credential"], true),
    ] {
        let auth = auth().optional();
        let service = ServiceBuilder::new()
            .layer(auth.dangerously_report_only_for(reasons).unwrap())
            .layer(McpListsLayer::new(policy()))
            .service_fn(async |_: Request<Full<Bytes>>| {
                let response = Response::builder().header("content-type", "application/json");
                Ok::<_, BoxError>(response.body(Full::<Bytes>::from(LIST))?)
            });
        let mut request = post("", "");
        request.headers_mut().remove("authorization");
        let response = service.oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.contains(r#""t""#), shown, "{reasons:?}: {text}");
    }
}

#[tokio::test]
async fn sessions_go_on_under_the_id_the_server_knows() {
    let service = |auth: AuthLayer<Answering>| {
        let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
        ServiceBuilder::new()
            .layer(auth)
            .layer(SessionBindingLayer::new(key))
            .service_fn(async |request: Request<Full<Bytes>>| {
                let mut response = Response::new(Full::<Bytes>::default());
                let given = request.headers().get("mcp-session-id").cloned();
                response
                    .headers_mut()
                    .insert("x-given", given.unwrap_or("none".parse()?));
                response
                    .headers_mut()
                    .insert("mcp-session-id", "s1".parse()?);
                Ok::<_, BoxError>(response)
            })
    };
    let get = |token: &str, id: &str| {
        let token = format!("Bearer {token}");
        match id {
            "" => request(&[("authorization", &*token)]),
            id => request(&[("authorization", &*token), ("mcp-session-id", id)]),
        }
    };
    let opened = service(auth()).oneshot(get("read", "")).await.unwrap();
    let alices = opened.headers()["mcp-session-id"].to_str().unwrap();
    for (auth, token, id, status, given, told) in [
        (auth(), "read", alices, 200, "s1", vec![]),
        (auth().optional(), "bad", alices, 401, "", vec![]),
        (limited(), "bad", alices, 404, "", vec!["expired"]),
        (limited(), "read", "s2", 404, "", vec![]),
        (
            auth().dangerously_report_only(),
            "bad",
            alices,
            200,
            "s1",
            vec!["expired", "unknown_session"],
        ),
        // One from before the roll-out.
        (
            auth().dangerously_report_only(),
            "read",
            "s2",
            200,
            "s2",
            vec!["unknown_session"],
        ),
    ] {
        let response = service(auth).oneshot(get(token, id)).await.unwrap();
        assert_eq!(response.status(), status, "{token} {id}");
        let seen = response.headers().get("x-given");
        assert_eq!(
            seen.map_or("", |id| id.to_str().unwrap()),
            given,
            "{token} {id}"
        );
        assert_eq!(reasons_of(response.extensions()), told, "{token} {id}");
    }
}

struct Write;
impl RequiredScopes for Write {
    const SCOPES: &'static [&'static str] = &["write"];
}

#[tokio::test]
async fn handlers_that_need_a_principal_still_refuse_and_say_why() {
    let app = |auth: AuthLayer<Answering>| {
        Router::new()
            .route(
                "/may",
                get(async |who: Option<Principal>| who.is_some().to_string()),
            )
            .route("/must", get(async |_: Principal| "somebody"))
            .route("/granted", get(async |_: ScopedPrincipal<Write>| "granted"))
            .route(
                "/required",
                get(async |who: Principal| who.require("write").map(|()| "required")),
            )
            .layer(auth)
    };
    let all = || auth().dangerously_report_only();
    for (auth, path, token, status, reason) in [
        (all(), "/may", "bad", 200, ""),
        (all(), "/must", "bad", 401, "expired"),
        (limited(), "/must", "bad", 401, "expired"),
        (all(), "/granted", "bad", 401, "expired"),
        (all(), "/granted", "read", 200, ""),
        (limited(), "/granted", "read", 403, "insufficient_scope"),
        (auth(), "/granted", "read", 403, "insufficient_scope"),
        (all(), "/required", "read", 200, ""),
        (limited(), "/required", "read", 403, "insufficient_scope"),
    ] {
        let bearer = format!("Bearer {token}");
        let request = request_to(path, &[("authorization", bearer)]).map(axum::body::Body::new);
        let response = app(auth).oneshot(request).await.unwrap();
        let error = response.extensions().get::<AuthError>();
        let got = (
            response.status().as_u16(),
            error.map_or("", AuthError::reason),
        );
        assert_eq!(got, (status, reason), "{path} {token}");
    }
}

#[tokio::test]
async fn foreign_hosts_are_refused_as_ever() {
    let origin = OriginLayer::new("https://mcp.example.com/mcp").unwrap();
    let layers = ServiceBuilder::new()
        .layer(origin)
        .layer(auth().dangerously_report_only());
    let asked = request(&[
        ("host", "evil.example.com"),
        ("authorization", "Bearer bad"),
    ]);
    assert_eq!(
        ask(&layers, asked).await.error().reason(),
        "host_not_allowed"
    );
}
