//! What can be asked of a sign-in, by whom, and of whom.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
use tower_mcp_auth::scopes::{
    RequireScopesLayer, RequiredScopes, Requirement, ScopedPrincipal, Strength, UnmetRequirement,
};
use tower_mcp_auth::{ApiKeyLayer, AuthErrorKind, JwtLayer, Principal};

use super::{auth, bearer, challenge, mfa, outcome, principal};
use crate::mcp::support::{call, message};
use crate::telemetry::decisions::Audit;
use common::{API_KEY, NOW, SECRET, ask, clock, request_to, token};

const WEAK: &str = "insufficient_user_authentication";

fn methods() -> Strength {
    Strength::new()
        .acr(["mfa"])
        .and_then(|strength| strength.amr(["hwk", "pin"]))
        .unwrap()
}

#[test]
fn claims_are_read_as_far_as_they_have_their_type() {
    type Read<'r> = (Option<&'r str>, &'r [&'r str], Option<u64>);
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    let long = "x".repeat(257);
    let cases: [(Value, Read<'_>); 9] = [
        (
            json!({"acr": "phr", "amr": ["hwk", "pin"], "auth_time": NOW}),
            (Some("phr"), &["hwk", "pin"], Some(NOW)),
        ),
        (
            json!({"amr": "mfa", "auth_time": null}),
            (None, &["mfa"], None),
        ),
        (
            json!({"acr": 1, "amr": 2, "auth_time": "3"}),
            (None, &[], None),
        ),
        (
            json!({"acr": "", "amr": [""], "auth_time": -1}),
            (None, &[], None),
        ),
        (
            json!({"acr": ["phr"], "amr": ["hwk", 1], "auth_time": [NOW]}),
            (None, &[], None),
        ),
        (
            json!({"acr": null, "amr": null, "auth_time": true}),
            (None, &[], None),
        ),
        (
            json!({"acr": long, "amr": many, "auth_time": 1e300}),
            (None, &[], None),
        ),
        (json!({"amr": [long]}), (None, &[], None)),
        (json!({}), (None, &[], None)),
    ];
    for (claims, (acr, amr, auth_time)) in cases {
        let read = Principal::builder("test")
            .subject("alice")
            .claims(claims.as_object().unwrap());
        let read = read.build();
        assert_eq!(read.acr(), acr, "{claims}");
        assert!(read.amr().eq(amr.iter().copied()), "{claims}");
        let at = read
            .auth_time()
            .map(|at| at.duration_since(std::time::UNIX_EPOCH).unwrap());
        assert_eq!(at.map(|at| at.as_secs()), auth_time, "{claims}");
    }
}

/// Layer, route, policy and handlers say the same of each sign-in.
#[tokio::test]
async fn wherever_it_is_asked_a_sign_in_is_judged_the_same() {
    for (strength, claims, expected) in [
        (mfa(), json!({"acr": "mfa"}), "admitted"),
        (mfa(), json!({"acr": "phr"}), "admitted"),
        (mfa(), json!({"acr": "MFA"}), WEAK),
        (mfa(), json!({"acr": "mfa phr"}), WEAK),
        (mfa(), json!({"acr": ["mfa"]}), WEAK),
        (mfa(), json!({"amr": ["mfa"]}), WEAK),
        (
            methods(),
            json!({"acr": "mfa", "amr": ["pin", "hwk", "user"]}),
            "admitted",
        ),
        (methods(), json!({"acr": "mfa", "amr": ["hwk"]}), WEAK),
        (methods(), json!({"acr": "mfa"}), WEAK),
        (
            methods(),
            json!({"acr": "pwd", "amr": ["pin", "hwk"]}),
            WEAK,
        ),
        (mfa(), json!({"acr": "mfa", "sub": ""}), "missing_user"),
        (mfa(), json!({"acr": "mfa", "sub": "app"}), "missing_user"),
        (
            mfa(),
            json!({"acr": "mfa", "sub": "app@clients"}),
            "missing_user",
        ),
        (mfa(), json!({"acr": "mfa", "idtyp": "app"}), "missing_user"),
        (mfa(), json!({"acr": "mfa", "idtyp": "user"}), "admitted"),
        (
            mfa(),
            json!({"acr": "mfa", "gty": "client-credentials"}),
            "missing_user",
        ),
        (
            mfa(),
            json!({"acr": "mfa", "preferred_username": "service-account-App"}),
            "missing_user",
        ),
        (
            mfa(),
            json!({"acr": "mfa", "preferred_username": "service-account-other"}),
            "admitted",
        ),
        (
            mfa(),
            json!({"acr": "mfa", "sub": "spiffe://example.org/a"}),
            "missing_user",
        ),
        (
            mfa(),
            json!({"acr": "mfa", "sub": "system:serviceaccount:a:b"}),
            "missing_user",
        ),
    ] {
        let authorization = bearer(claims.clone());
        let plain = || request_to("/mcp", &[("authorization", &*authorization)]);
        let all = auth(&clock()).required_strength(strength.clone()).unwrap();
        let by_layer = ask(&all, plain()).await;
        let route = RequireScopesLayer::new(strength.clone()).unwrap();
        let route = ServiceBuilder::new().layer(auth(&clock())).layer(route);
        let by_route = ask(&route, plain()).await;
        let policy = McpPolicy::builder().tool("pay", strength.clone());
        let policy = policy.and_then(|policy| policy.build()).unwrap();
        let operations = McpScopesLayer::new(policy);
        let operations = ServiceBuilder::new()
            .layer(auth(&clock()))
            .layer(operations);
        let headers = [("authorization", &*authorization)];
        let by_policy = ask(&operations, message(&call("pay"), &headers)).await;
        for answer in [&by_layer, &by_route, &by_policy] {
            assert_eq!(outcome(answer), expected, "{strength:?} {claims}");
        }
        let accepted = ask(&auth(&clock()), plain()).await;
        let needs = Requirement::from(strength.clone());
        let by_handler = needs.require(accepted.principal());
        let reason = by_handler
            .as_ref()
            .err()
            .map(|unmet| unmet.error().reason());
        assert_eq!(
            reason.unwrap_or("admitted"),
            expected,
            "{strength:?} {claims}"
        );
        if expected == WEAK {
            let kind = AuthErrorKind::InsufficientUserAuthentication;
            for answer in [&by_layer, &by_route, &by_policy] {
                answer.refused(kind, WEAK);
            }
        }
    }
}

#[test]
fn an_api_key_is_no_user_whatever_its_name() {
    let key = Principal::builder("api_key").subject("alice").build();
    let error = Requirement::from(mfa()).require(&key).unwrap_err();
    assert_eq!(error.error().reason(), "missing_user");
    assert_eq!(error.into_response().status(), 403);
}

#[tokio::test]
async fn an_api_key_beside_tokens_is_refused_where_a_sign_in_is_asked() {
    let tokens = JwtLayer::new(Secret::new(SECRET).unwrap()).unwrap();
    let both = tokens.or(ApiKeyLayer::new([API_KEY]).unwrap()).unwrap();
    let layer = both.required_strength(mfa()).unwrap();
    let answer = ask(&layer, request_to("/mcp", &[("x-api-key", API_KEY)])).await;
    answer.refused(AuthErrorKind::Forbidden, "missing_user");
    assert!(answer.challenges().is_empty());

    let user = token(r#"{"sub":"alice","exp":4000000000,"acr":"pwd"}"#);
    let user = request_to("/mcp", &[("authorization", format!("Bearer {user}"))]);
    let answer = ask(&layer, user).await;
    answer.refused(AuthErrorKind::InsufficientUserAuthentication, WEAK);
    let lines = answer.challenges();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("acr_values=\"mfa phr\""), "{lines:?}");
    assert!(
        lines[1].starts_with("ApiKey ") && !lines[1].contains("acr_values"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_needs_no_sign_in_passes_a_layer_that_asks_for_one() {
    let layer = auth(&clock()).required_strength(mfa()).unwrap();
    ask(&layer, request_to::<&str>("/open", &[]))
        .await
        .admitted();
    let layer = layer.optional();
    ask(&layer, request_to::<&str>("/mcp", &[]))
        .await
        .admitted();
    let weak = request_to("/mcp", &[("authorization", bearer(json!({"acr": "pwd"})))]);
    assert_eq!(outcome(&ask(&layer, weak).await), WEAK);
}

#[tokio::test]
async fn two_layers_that_ask_differently_do_not_join() {
    let one = auth(&clock()).required_strength(mfa()).unwrap();
    let other = auth(&clock());
    let error = one.or(other).map(drop).unwrap_err();
    assert_eq!(error.setting(), "required_strength");
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let none: [&str; 0] = [];
    let setting = |made: Result<Strength, tower_mcp_auth::ConfigError>| made.unwrap_err().setting();
    assert_eq!(setting(Strength::new().acr(none)), "acr");
    for bad in ["", "two words", "\"", "a,", ",a", "ä", "a\\b"] {
        assert_eq!(setting(Strength::new().acr([bad])), "acr", "{bad}");
        assert_eq!(setting(mfa().amr([bad])), "amr", "{bad}");
    }
    // URIs are values too.
    for good in [
        "urn:mace:incommon:iap:silver",
        "https://refeds.org/profile/mfa",
        "loa=2,x",
    ] {
        Strength::new().acr([good]).unwrap();
    }
    assert_eq!(setting(mfa().amr(none)), "amr");
    assert_eq!(setting(Strength::new().amr(["hwk"])), "amr");
    let age_alone = Strength::new()
        .max_age(std::time::Duration::from_secs(1))
        .unwrap();
    assert_eq!(setting(age_alone.amr(["hwk"])), "amr");
}

/// A client of MCP 2025-11-25 asks for exactly what a challenge names.
#[tokio::test]
async fn the_new_token_keeps_the_scopes_of_the_old_one() {
    let policy = McpPolicy::builder()
        .tool("pay", Requirement::all(["pay"]).unwrap().and(&mfa().into()))
        .and_then(|policy| policy.build())
        .unwrap();
    let stack = ServiceBuilder::new()
        .layer(auth(&clock()))
        .layer(McpScopesLayer::new(policy));
    for (scope, asked) in [("read pay", "read pay"), ("read", "read pay")] {
        let authorization = bearer(json!({"scope": scope}));
        let headers = [
            ("authorization", &*authorization),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let answer = ask(&stack, message(&call("pay"), &headers)).await;
        let line = challenge(&format!("scope=\"{asked}\", acr_values=\"mfa phr\""));
        assert_eq!(answer.challenges(), [line]);
    }
}

struct Payments;

impl RequiredScopes for Payments {
    const SCOPES: &'static [&'static str] = &["pay"];

    fn strength() -> Strength {
        mfa()
    }
}

async fn extracted(payer: ScopedPrincipal<Payments>) -> String {
    payer.id().to_string()
}

async fn by_hand(principal: Principal) -> Result<&'static str, UnmetRequirement> {
    Requirement::all(["pay"])
        .unwrap()
        .and(&mfa().into())
        .require(&principal)?;
    Ok("paid")
}

#[tokio::test]
async fn axum_handlers_answer_what_a_layer_would() {
    let app = Router::new()
        .route("/extracted", get(extracted))
        .route("/by_hand", get(by_hand))
        .layer(auth(&clock()));
    for path in ["/extracted", "/by_hand"] {
        for (claims, status) in [
            (json!({"scope": "pay", "acr": "mfa"}), 200),
            (json!({"scope": "pay", "acr": "pwd"}), 401),
            (json!({"acr": "pwd"}), 401),
            (json!({"acr": "mfa"}), 403),
            (json!({"scope": "pay", "sub": "app"}), 403),
        ] {
            let request = Request::get(path).header("authorization", bearer(claims.clone()));
            let response = app
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(response.status(), status, "{path} {claims}");
            if status == 401 {
                let line = challenge("scope=\"pay\", acr_values=\"mfa phr\"");
                assert_eq!(response.headers()["www-authenticate"], line);
            }
        }
    }
}

#[tokio::test]
async fn the_operator_reads_what_is_wrong_with_a_sign_in() {
    let aged = mfa().max_age(std::time::Duration::from_secs(30)).unwrap();
    for (strength, claims, detail) in [
        (
            mfa(),
            json!({"acr": "pwd"}),
            "needed one acr of \"mfa phr\", got \"pwd\"",
        ),
        (
            mfa(),
            json!({}),
            "needed one acr of \"mfa phr\", and the token has none",
        ),
        (
            methods(),
            json!({"acr": "mfa", "amr": "pwd"}),
            "needed amr \"hwk pin\", got \"pwd\"; the authorization server does not use these \
             methods for that acr",
        ),
        (
            aged.clone(),
            json!({"acr": "mfa"}),
            "the user signed in 60 s ago, and 30 s are the most",
        ),
        (
            aged.clone(),
            json!({"acr": "mfa", "auth_time": NOW + 90}),
            "auth_time is 90 s ahead: one of the clocks is wrong",
        ),
        (
            aged,
            json!({"acr": "mfa", "auth_time": null}),
            "a `max_age` needs the claim auth_time, and the token has none: have the \
             authorization server write it",
        ),
        (
            mfa(),
            json!({"sub": "app"}),
            "an `acr` or a `max_age` asks for a user, and the credential is an API key, or a token \
             that a client got for itself",
        ),
    ] {
        let audit = Audit::default();
        let layer = auth(&clock()).required_strength(strength).unwrap();
        let layer = layer.on_decision(audit.hook());
        let authorization = bearer(claims.clone());
        let answer = ask(
            &layer,
            request_to("/mcp", &[("authorization", &*authorization)]),
        )
        .await;
        assert_eq!(answer.error().detail(), Some(detail), "{claims}");
        let own = principal(authorization.strip_prefix("Bearer ").unwrap());
        let id = own.id();
        let reason = answer.error().reason();
        assert_eq!(audit.take(), [format!("auth refused test {id} {reason}")]);
    }
}
