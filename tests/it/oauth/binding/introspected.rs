//! Tokens that the authorization server is asked about: it says which key they are bound to.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_mcp_auth::Principal;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
use tower_mcp_auth::oauth::Introspection;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::scopes::{RequireScopesLayer, Strength};

use super::super::introspection::{ENDPOINT, active, introspection};
use super::super::support::{Guarded, Page, Web};
use super::{Bound, assert_refused, server};

const OPAQUE: &str = "Zx81-opaque_token";

/// A server that is asked, with this to say of each token.
fn asked(mode: DpopMode, introspection: Introspection) -> (Bound, Web) {
    let mut bound = Bound::new();
    let web = Web::with_issuer(&[&bound.issuer]);
    let server = server(mode).introspection(introspection).unwrap();
    bound.guarded = Guarded::with_server(&web, server);
    (bound, web)
}

fn say(web: &Web, token: &str, said: Value) {
    let tokens = [(token.to_owned(), active(said))];
    web.set(ENDPOINT, Page::Tokens(tokens.into()));
}

#[tokio::test]
async fn an_opaque_token_is_bound_by_the_answer() {
    for mode in [DpopMode::Allowed, DpopMode::Required] {
        for token_type in [json!("DPoP"), json!("dpop"), json!("Bearer"), Value::Null] {
            let (bound, web) = asked(mode, introspection());
            let cnf = json!({"jkt": bound.key.thumbprint()});
            let said = json!({"cnf": cnf, "token_type": token_type});
            say(&web, OPAQUE, said);
            let answer = bound.ask_with("Bearer", OPAQUE, &[]).await;
            answer.assert(401, "bound_token");
            // By what is remembered too.
            for _ in 0..2 {
                let proof = bound.proof_for(OPAQUE).sign();
                let answer = bound.ask_with("DPoP", OPAQUE, &[&proof]).await;
                answer.assert(200, "accepted");
                let again = bound.ask_with("DPoP", OPAQUE, &[&proof]).await;
                assert_refused(&again, "invalid_dpop_proof", "replayed_dpop_proof");
                let none = bound.ask_with("DPoP", OPAQUE, &[]).await;
                assert_refused(&none, "invalid_dpop_proof", "missing_dpop_proof");
            }
            assert_eq!(web.count(ENDPOINT), 1);
        }
    }
}

/// A request that waits for the answer is judged as one that does not.
#[tokio::test]
async fn the_first_request_with_a_token_is_judged_like_the_next() {
    let (bound, web) = asked(DpopMode::Allowed, introspection());
    let said = json!({"cnf": {"jkt": bound.key.thumbprint()}, "token_type": "DPoP"});
    say(&web, OPAQUE, said);
    let proof = bound.proof_for(OPAQUE).claim("htm", "GET").sign();
    let answer = bound.ask_with("DPoP", OPAQUE, &[&proof]).await;
    assert_refused(&answer, "invalid_dpop_proof", "dpop_method_mismatch");
    let proof = bound.proof_for(OPAQUE).sign();
    let answer = bound.ask_with("DPoP", OPAQUE, &[&proof]).await;
    answer.assert(200, "accepted");
}

/// RFC 9449 section 6.2.
#[tokio::test]
async fn a_token_of_type_dpop_names_its_key() {
    let (bound, web) = asked(DpopMode::Allowed, introspection());
    for (said, reason) in [
        (json!({"token_type": "DPoP"}), "unbound_token"),
        (json!({"token_type": "DPoP", "cnf": {}}), "unbound_token"),
        (
            json!({"token_type": "DPoP", "cnf": {"jkt": "x"}}),
            "unbound_token",
        ),
        (json!({"cnf": {"jkt": "x"}}), "bound_token"),
        (
            json!({"cnf": {"x5t#S256": bound.key.thumbprint()}}),
            "bound_token",
        ),
    ] {
        say(&web, OPAQUE, said);
        bound.guarded.layer.invalidate_all();
        for scheme in ["DPoP", "Bearer"] {
            let proof = bound.proof_for(OPAQUE).sign();
            let answer = bound.ask_with(scheme, OPAQUE, &[&proof]).await;
            answer.assert(401, reason);
        }
    }
    let (bound, web) = asked(DpopMode::Off, introspection());
    say(&web, OPAQUE, json!({"token_type": "DPoP"}));
    let answer = bound.ask_with("Bearer", OPAQUE, &[]).await;
    answer.assert(401, "bound_token");
}

#[tokio::test]
async fn unbound_opaque_tokens_follow_the_mode() {
    for (mode, reason) in [
        (DpopMode::Allowed, "accepted"),
        (DpopMode::Required, "unbound_token"),
    ] {
        let (bound, web) = asked(mode, introspection());
        say(&web, OPAQUE, json!({}));
        let answer = bound.ask_with("Bearer", OPAQUE, &[]).await;
        assert_eq!(answer.reason(), reason);
        let proof = bound.proof_for(OPAQUE).sign();
        let answer = bound.ask_with("DPoP", OPAQUE, &[&proof]).await;
        assert_refused(&answer, "invalid_token", "unbound_token");
    }
}

/// A token that is let pass for its time, and that names its key where the answer does not.
#[tokio::test]
async fn a_refusal_of_the_answer_needs_the_proof_of_the_token() {
    let always = || introspection().introspect_jwts().unwrap();
    let only = || introspection().introspect_jwts_only().unwrap();
    for ask in [&always as &dyn Fn() -> Introspection, &only] {
        let (bound, web) = asked(DpopMode::Allowed, ask());
        let layer = bound.guarded.layer.clone();
        let layer = layer.dangerously_report_only_for(["expired"]).unwrap();
        let send = async |scheme: &str, token: &str, proof: &str| {
            let request = Request::post("/mcp")
                .header("authorization", format!("{scheme} {token}"))
                .header("dpop", proof);
            common::ask(&layer, request.body(Full::default()).unwrap()).await
        };
        let own = json!({"jkt": bound.key.thumbprint()});
        for (in_token, in_answer) in [(&own, &Value::Null), (&own, &own), (&Value::Null, &own)] {
            let token = bound.issuer.token(json!({ "cnf": in_token }));
            say(&web, &token, json!({ "exp": 1, "cnf": in_answer }));
            // The second time by what is remembered.
            for _ in 0..2 {
                let proof = bound.proof_for(&token).sign();
                let answer = send("Bearer", &token, &proof).await;
                assert_eq!(
                    answer.error().reason(),
                    "bound_token",
                    "{in_token} {in_answer}"
                );
                let answer = send("DPoP", &token, &proof).await;
                let inside = answer.admitted();
                assert!(Principal::from_extensions(&inside.extensions).is_none());
            }
        }
        // One that is bound to nothing passes as before.
        let token = bound.issuer.token(json!({}));
        say(&web, &token, json!({ "exp": 1 }));
        send("Bearer", &token, "none").await.admitted();
    }
}

/// Where both are asked, the key that either names binds the token, and they must name one.
#[tokio::test]
async fn a_jwt_and_the_answer_about_it_name_one_key() {
    let always = || introspection().introspect_jwts().unwrap();
    let only = || introspection().introspect_jwts_only().unwrap();
    let other = tower_mcp_auth::testing::DpopKey::generate();
    for ask in [&always as &dyn Fn() -> Introspection, &only] {
        let (bound, web) = asked(DpopMode::Allowed, ask());
        let own = json!({"jkt": bound.key.thumbprint()});
        let others = json!({"jkt": other.thumbprint()});
        for (in_token, in_answer, as_bearer, with_proof) in [
            (&own, &own, "bound_token", "accepted"),
            (&own, &Value::Null, "bound_token", "accepted"),
            (&Value::Null, &own, "bound_token", "accepted"),
            (&Value::Null, &Value::Null, "accepted", "unbound_token"),
            (&own, &others, "bound_token", "bound_token"),
            (&others, &own, "bound_token", "bound_token"),
        ] {
            let token = bound.issuer.token(json!({ "cnf": in_token }));
            say(&web, &token, json!({ "cnf": in_answer }));
            let proof = bound.proof_for(&token).sign();
            // The second time by what is remembered.
            for _ in 0..2 {
                let answer = bound.ask_with("Bearer", &token, &[&proof]).await;
                assert_eq!(answer.reason(), as_bearer, "{in_token} {in_answer}");
            }
            let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
            assert_eq!(answer.reason(), with_proof, "{in_token} {in_answer}");
        }
    }
}

/// What a layer further in refuses, or this one for its sign-in, is said to the scheme that was
/// used, whichever of the two names the key.
#[tokio::test]
async fn gates_answer_in_the_scheme_that_was_used() {
    let scopes = || RequireScopesLayer::new(["mcp:admin"]).unwrap();
    let policy = || {
        let policy = McpPolicy::builder().baseline("mcp:admin").unwrap();
        McpScopesLayer::new(policy.build().unwrap())
    };
    let strong = Strength::new().acr(["phr"]).unwrap();
    let always = || introspection().introspect_jwts().unwrap();
    let only = || introspection().introspect_jwts_only().unwrap();
    for ask in [&always as &dyn Fn() -> Introspection, &only] {
        let (bound, web) = asked(DpopMode::Allowed, ask());
        let layer = bound.guarded.layer.clone();
        let own = json!({"jkt": bound.key.thumbprint()});
        for (in_token, in_answer, scheme) in [
            (&Value::Null, &own, "DPoP"),
            (&own, &Value::Null, "DPoP"),
            (&own, &own, "DPoP"),
            (&Value::Null, &Value::Null, "Bearer"),
        ] {
            let token = bound.issuer.token(json!({ "cnf": in_token }));
            say(&web, &token, json!({ "cnf": in_answer }));
            // The second time by what is remembered.
            for _ in 0..2 {
                let request = || {
                    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
                    Request::post("/mcp")
                        .header("authorization", format!("{scheme} {token}"))
                        .header("dpop", bound.proof_for(&token).sign())
                        .header("content-type", "application/json")
                        .body(Full::from(call.to_string()))
                        .unwrap()
                };
                let outside = ServiceBuilder::new().layer(layer.clone());
                let strong = layer.clone().required_strength(strong.clone()).unwrap();
                let answers = [
                    common::ask(&outside.clone().layer(scopes()), request()).await,
                    common::ask(&outside.layer(policy()), request()).await,
                    common::ask(&strong, request()).await,
                ];
                for answer in answers {
                    let code = format!("error=\"{}", answer.error().reason());
                    let lines = answer.challenges();
                    assert_eq!(lines.len(), 2, "{answer:?}");
                    for line in lines {
                        let is_of_scheme = line.starts_with(scheme);
                        assert_eq!(line.contains(&code), is_of_scheme, "{in_token} {line}");
                    }
                }
            }
        }
    }
}
