//! `Bearer` and `DPoP`: which tokens are taken under which scheme, and what challenges say.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::{ApiKeyLayer, AuthErrorKind, JwtLayer};

use super::super::support::{Guarded, ISSUER, Key, Web};
use super::{Bound, assert_refused, challenges, parameter};

fn bound(mode: DpopMode) -> Bound {
    Bound::with(mode, DpopOptions::new())
}

/// RFC 9449 section 7.2.
#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    let bound = bound(DpopMode::Allowed);
    for proofs in [&[][..], &[&*bound.proof().sign()]] {
        // The second time the token is in the cache.
        for _ in 0..2 {
            let answer = bound.ask_with("Bearer", &bound.token, proofs).await;
            answer.assert(401, "bound_token");
            assert_eq!(parameter(&answer, "Bearer", "error"), Some("invalid_token"));
            assert_eq!(parameter(&answer, "DPoP", "error"), None);
            assert!(challenges(&answer)[0].starts_with("Bearer "));
        }
    }
    assert_eq!(bound.guarded.reached(), 0);
    // A good proof that came with it was not used up by that.
    let proof = bound.proof().sign();
    bound.ask_with("Bearer", &bound.token, &[&proof]).await;
    bound.ask(&proof).await.assert(200, "accepted");
}

#[tokio::test]
async fn an_unbound_token_is_refused_under_dpop() {
    let bound = bound(DpopMode::Allowed);
    let token = bound.issuer.token(json!({}));
    bound
        .ask_with("Bearer", &token, &[])
        .await
        .assert(200, "accepted");
    let proof = bound.proof_for(&token).sign();
    for proofs in [&[&*proof][..], &[]] {
        let answer = bound.ask_with("DPoP", &token, proofs).await;
        assert_refused(&answer, "invalid_token", "unbound_token");
    }
}

#[tokio::test]
async fn where_it_is_required_every_token_is_bound() {
    let bound = bound(DpopMode::Required);
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
    let token = bound.issuer.token(json!({}));
    let proof = bound.proof_for(&token).sign();
    for (scheme, token, reason) in [
        ("Bearer", &token, "unbound_token"),
        ("DPoP", &token, "unbound_token"),
        ("Bearer", &bound.token, "bound_token"),
    ] {
        let answer = bound.ask_with(scheme, token, &[&proof]).await;
        assert_refused(&answer, "invalid_token", reason);
        assert_eq!(challenges(&answer).len(), 1, "only DPoP is offered");
    }
}

#[tokio::test]
async fn where_it_is_off_the_scheme_is_not_known() {
    let bound = bound(DpopMode::Off);
    let answer = bound.ask(&bound.proof().sign()).await;
    answer.assert(401, "missing_credential");
    let answer = bound.ask_with("Bearer", &bound.token, &[]).await;
    answer.assert(401, "bound_token");
    assert_eq!(challenges(&answer).len(), 1);
    // Headers that no provider reads are left alone.
    let token = bound.issuer.token(json!({}));
    let request = Request::post("/mcp")
        .header("authorization", format!("Bearer {token}"))
        .header("dpop", "x");
    let request = request.body(Full::default()).unwrap();
    let answer = common::ask(&bound.guarded.layer, request).await;
    assert_eq!(answer.admitted().headers["dpop"], "x");
}

/// Of a binding that is not checked, and of one that nothing says which it is.
#[tokio::test]
async fn what_cannot_be_checked_is_refused_under_both_schemes() {
    let bound = bound(DpopMode::Allowed);
    let jkt = bound.key.thumbprint();
    for cnf in [
        json!({"x5t#S256": jkt}),
        json!({"jkt": jkt, "x5t#S256": jkt}),
        json!({}),
        json!({"kid": "1"}),
        json!({"jwk": bound.key.jwk()}),
        json!({"jkt": ""}),
        json!({"jkt": "AAAA"}),
        json!({"jkt": format!("{jkt}=")}),
        json!({"jkt": format!("{jkt}AAAA")}),
    ] {
        let token = bound.issuer.token(json!({ "cnf": cnf }));
        for scheme in ["Bearer", "DPoP"] {
            let proof = bound.proof_for(&token).sign();
            let answer = bound.ask_with(scheme, &token, &[&proof]).await;
            answer.assert(401, "bound_token");
        }
    }
    // What stands beside it, and is not known, changes nothing.
    let cnf = json!({"jkt": jkt, "kid": "1", "x5t#S256": null});
    let token = bound.issuer.token(json!({ "cnf": cnf }));
    let proof = bound.proof_for(&token).sign();
    let answer = bound.ask_with("DPoP", &token, &[&proof]).await;
    answer.assert(200, "accepted");
}

#[tokio::test]
async fn a_request_without_a_token_is_offered_both_schemes() {
    let allowed = bound(DpopMode::Allowed);
    let proof = allowed.proof().sign();
    for value in [None, Some("DPoP"), Some("DPoP "), Some("Basic YTpi")] {
        let mut request = Request::post("/mcp").header("dpop", &proof);
        if let Some(value) = value {
            request = request.header("authorization", value);
        }
        let request = request.body(Full::default()).unwrap();
        let answer = allowed.guarded.ask(request).await;
        answer.assert(401, "missing_credential");
        let lines = challenges(&answer);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("Bearer ") && lines[1].starts_with("DPoP "));
        for scheme in ["Bearer", "DPoP"] {
            assert_eq!(parameter(&answer, scheme, "error"), None);
            let lines = challenges(&answer);
            let metadata = "resource_metadata=\"https://mcp.example.com/.well-known/";
            assert!(
                lines.iter().all(|line| line.contains(metadata)),
                "{lines:?}"
            );
        }
        assert!(parameter(&answer, "DPoP", "algs").is_some());
        assert_eq!(parameter(&answer, "Bearer", "algs"), None);
    }
    let required = bound(DpopMode::Required);
    let request = Request::post("/mcp").body(Full::default()).unwrap();
    let answer = required.guarded.ask(request).await;
    answer.assert(401, "missing_credential");
    assert_eq!(challenges(&answer).len(), 1);
    assert_eq!(parameter(&answer, "DPoP", "error"), None);
}

/// RFC 9449 section 7.2: with both in its challenge.
#[tokio::test]
async fn both_schemes_at_once_are_malformed() {
    let bound = bound(DpopMode::Allowed);
    let request = Request::post("/mcp")
        .header("authorization", format!("DPoP {}", bound.token))
        .header("authorization", format!("Bearer {}", bound.token))
        .header("dpop", bound.proof().sign());
    let request = request.body(Full::default()).unwrap();
    let answer = bound.guarded.ask(request).await;
    answer.assert(400, "duplicate_credential");
    for scheme in ["Bearer", "DPoP"] {
        let code = parameter(&answer, scheme, "error");
        assert_eq!(code, Some("invalid_request"), "{scheme}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_token_is_said_to_its_scheme() {
    let bound = Bound::built(DpopMode::Allowed, |builder| {
        builder.required_scopes(["mcp:admin"])
    });
    let cnf = json!({"jkt": bound.key.thumbprint()});
    for (changes, status, code, reason) in [
        (json!({"exp": 1}), 401, "invalid_token", "expired"),
        (
            json!({"aud": "x"}),
            401,
            "invalid_token",
            "audience_mismatch",
        ),
        (json!({}), 403, "insufficient_scope", "insufficient_scope"),
    ] {
        for (scheme, other) in [("DPoP", "Bearer"), ("Bearer", "DPoP")] {
            let mut changes = changes.clone();
            if scheme == "DPoP" {
                changes["cnf"] = cnf.clone();
            }
            let token = bound.issuer.token(changes);
            let proof = bound.proof_for(&token).sign();
            let answer = bound.ask_with(scheme, &token, &[&proof]).await;
            answer.assert(status, reason);
            assert_eq!(parameter(&answer, scheme, "error"), Some(code));
            assert_eq!(parameter(&answer, other, "error"), None);
            assert_eq!(parameter(&answer, scheme, "scope"), Some("mcp:admin"));
        }
    }
    // Who has stolen the token does not learn what it lacks.
    let token = bound.issuer.token(json!({ "cnf": cnf }));
    let answer = bound.ask_with("DPoP", &token, &[]).await;
    assert_refused(&answer, "invalid_dpop_proof", "missing_dpop_proof");
    let answer = bound.ask_with("Bearer", &token, &[]).await;
    answer.assert(401, "bound_token");
}

/// A layer further in refuses in the words of this one.
#[tokio::test]
async fn a_gate_further_in_answers_in_the_scheme_that_was_used() {
    use tower::{Layer, ServiceExt};
    use tower_mcp_auth::scopes::RequireScopesLayer;

    let bound = bound(DpopMode::Allowed);
    let inner = tower::service_fn(async |_: Request<Full<bytes::Bytes>>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::default()))
    });
    let inner = RequireScopesLayer::new(["mcp:admin"]).unwrap().layer(inner);
    let service = bound.guarded.layer.clone().layer(inner);
    for (scheme, other) in [("DPoP", "Bearer"), ("Bearer", "DPoP")] {
        let token = match scheme {
            "DPoP" => bound.token.clone(),
            _ => bound.issuer.token(json!({})),
        };
        let request = Request::post("/mcp")
            .header("authorization", format!("{scheme} {token}"))
            .header("dpop", bound.proof().sign());
        let request = request.body(Full::default()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403);
        for line in response.headers().get_all("www-authenticate") {
            let line = line.to_str().unwrap();
            let has_code = line.contains("error=\"insufficient_scope\"");
            assert_eq!(has_code, line.starts_with(scheme), "{line}");
            assert!(line.starts_with(scheme) || line.starts_with(other));
        }
    }
}

/// Each server has its own mode, by configuration alone.
#[tokio::test]
async fn each_server_has_a_mode_of_its_own() {
    const OTHER: &str = "https://other.example.com";
    let (issuer, other) = (Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&issuer]);
    web.publish_metadata(OTHER);
    let page = super::super::support::Page::Json(super::super::support::key_set(&[&other]));
    web.set(&format!("{OTHER}/keys"), page);
    let mut bound = bound(DpopMode::Allowed);
    bound.guarded = Guarded::with_servers(
        &web,
        [
            AuthorizationServer::new(ISSUER).unwrap(),
            AuthorizationServer::new(OTHER)
                .unwrap()
                .dpop(DpopMode::Required),
        ],
    );
    let cnf = json!({"jkt": bound.key.thumbprint()});
    let token = |is_other: bool, cnf: Value| match is_other {
        true => other.token(json!({"iss": OTHER, "cnf": cnf})),
        false => issuer.token(json!({ "cnf": cnf })),
    };
    for (is_other, is_bound, scheme, reason) in [
        (false, false, "Bearer", "accepted"),
        (false, false, "DPoP", "unbound_token"),
        (false, true, "DPoP", "bound_token"),
        (false, true, "Bearer", "bound_token"),
        (true, true, "DPoP", "accepted"),
        (true, true, "Bearer", "bound_token"),
        (true, false, "Bearer", "unbound_token"),
        (true, false, "DPoP", "unbound_token"),
    ] {
        let cnf = match is_bound {
            true => cnf.clone(),
            false => Value::Null,
        };
        let token = token(is_other, cnf);
        let proof = bound.proof_for(&token).sign();
        let answer = bound.ask_with(scheme, &token, &[&proof]).await;
        assert_eq!(answer.reason(), reason, "{is_other} {is_bound} {scheme}");
    }
}

/// Beside other providers, and with tokens that are known already.
#[tokio::test]
async fn beside_other_providers_each_credential_goes_to_its_own() {
    let bound = bound(DpopMode::Allowed);
    let keys = ApiKeyLayer::new([common::API_KEY])
        .unwrap()
        .clock(bound.guarded.clock.clone());
    let layer = bound.guarded.layer.clone().or(keys).unwrap();
    let ask = |authorization: String, proof: String| {
        let headers = [("authorization", authorization), ("dpop", proof)];
        let request = Request::post("/mcp");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        let layer = layer.clone();
        async move { common::ask(&layer, request.body(Full::default()).unwrap()).await }
    };
    let good = ask(format!("DPoP {}", bound.token), bound.proof().sign()).await;
    assert_eq!(good.principal().subject(), Some("alice"));
    assert!(!good.admitted().headers.contains_key("dpop"));
    let stolen = ask(format!("Bearer {}", bound.token), bound.proof().sign()).await;
    stolen.refused(AuthErrorKind::Invalid, "bound_token");
    let none = ask(format!("Basic {}", "YTpi"), bound.proof().sign()).await;
    none.missing();
    let schemes: Vec<&str> = none
        .challenges()
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(schemes, ["Bearer", "DPoP", "ApiKey"]);
}

/// Tokens of one's own key are never bound here.
#[tokio::test]
async fn jwts_of_a_key_of_ones_own_are_refused_where_they_are_bound() {
    let bound = bound(DpopMode::Allowed);
    let layer: JwtLayer = common::hs256_layer();
    let exp = common::NOW + 300;
    let jkt = bound.key.thumbprint();
    let token = common::token(&format!(
        r#"{{"sub":"alice","exp":{exp},"cnf":{{"jkt":"{jkt}"}}}}"#
    ));
    let value = format!("Bearer {token}");
    let answer = common::ask(&layer, common::request(&[("authorization", &value)])).await;
    answer.refused(AuthErrorKind::Invalid, "bound_token");
}
