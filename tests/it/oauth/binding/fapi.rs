//! The FAPI 2.0 Security Profile, section 5.3.4: what it demands of resource servers, a row each.

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::oauth::OAuthLayerBuilder;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};

use super::super::support::{Answer, START};
use super::{Bound, parameter};

/// Where the token of a request stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Header,
    Query,
    Body,
}

async fn ask(bound: &Bound, place: Place, scheme: &str, token: &str) -> Answer {
    let request = Request::builder().method("POST");
    let request = request.header("dpop", bound.proof_for(token).sign());
    let request = match place {
        Place::Header => request
            .uri("/mcp")
            .header("authorization", format!("{scheme} {token}"))
            .body(Full::default()),
        Place::Query => request
            .uri(format!("/mcp?access_token={token}"))
            .body(Full::default()),
        Place::Body => request
            .uri("/mcp")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(format!("access_token={token}"))),
    };
    bound.guarded.ask(request.unwrap()).await
}

#[tokio::test]
async fn what_it_demands_of_tokens() {
    let scoped = |builder: OAuthLayerBuilder| builder.required_scopes(["mcp:read"]);
    let bound = Bound::built(DpopMode::Required, scoped);
    let jkt = bound.key.thumbprint();
    let now = START.as_secs();
    let token = |mut claims: serde_json::Value| {
        claims["cnf"] = json!({ "jkt": jkt });
        bound.issuer.token(claims)
    };
    let good = token(json!({}));
    let unbound = bound.issuer.token(json!({}));
    let (input, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = unbound.rsplit_once('.').unwrap();
    let forged = format!("{input}.{signature}");
    for (what, place, scheme, token, status, reason) in [
        (
            "in the header",
            Place::Header,
            "DPoP",
            &*good,
            200,
            "accepted",
        ),
        // 5.3.4, 1 and 2.
        (
            "in the query",
            Place::Query,
            "DPoP",
            &good,
            400,
            "token_in_query",
        ),
        (
            "in the body",
            Place::Body,
            "DPoP",
            &good,
            401,
            "missing_credential",
        ),
        // 3.
        (
            "expired",
            Place::Header,
            "DPoP",
            &token(json!({ "exp": now - 61 })),
            401,
            "expired",
        ),
        (
            "not yet",
            Place::Header,
            "DPoP",
            &token(json!({ "nbf": now + 61 })),
            401,
            "not_yet_valid",
        ),
        (
            "forged",
            Place::Header,
            "DPoP",
            &forged,
            401,
            "invalid_signature",
        ),
        (
            "for another resource",
            Place::Header,
            "DPoP",
            &token(json!({ "aud": "https://other.example.com" })),
            401,
            "audience_mismatch",
        ),
        (
            "of another server",
            Place::Header,
            "DPoP",
            &token(json!({ "iss": "https://evil.example" })),
            401,
            "issuer_mismatch",
        ),
        // 4.
        (
            "for less",
            Place::Header,
            "DPoP",
            &token(json!({ "scope": "other" })),
            403,
            "insufficient_scope",
        ),
        // 5.
        (
            "without its proof",
            Place::Header,
            "Bearer",
            &good,
            401,
            "bound_token",
        ),
        (
            "bound to no key",
            Place::Header,
            "DPoP",
            &unbound,
            401,
            "unbound_token",
        ),
        (
            "a bearer token",
            Place::Header,
            "Bearer",
            &unbound,
            401,
            "unbound_token",
        ),
    ] {
        let answer = ask(&bound, place, scheme, token).await;
        assert_eq!(answer.reason(), reason, "{what}: {answer:?}");
        assert_eq!(answer.status.as_u16(), status, "{what}: {answer:?}");
        if answer.status == StatusCode::UNAUTHORIZED {
            // No challenge asks for a bearer token.
            let algs = parameter(&answer, "DPoP", "algs");
            assert!(algs.is_some_and(|algs| algs.contains("ES256")), "{what}");
        }
    }
    assert_eq!(bound.guarded.reached(), 1);
}

/// Section 5.3.2.1 allows clocks 10 seconds, and wants what is more than 60 seconds ahead refused
/// of JWTs that servers issue: so it is with tokens. Proofs are of the clocks of clients.
#[tokio::test]
async fn what_it_demands_of_clocks() {
    let bound = Bound::with(DpopMode::Required, DpopOptions::new());
    let now = START.as_secs();
    for (ahead, reason) in [
        (0, "accepted"),
        (10, "accepted"),
        (60, "accepted"),
        (61, ""),
    ] {
        for claim in ["iat", "nbf"] {
            let cnf = json!({ "jkt": bound.key.thumbprint() });
            let token = bound
                .issuer
                .token(json!({ claim: now + ahead, "cnf": cnf }));
            let answer = ask(&bound, Place::Header, "DPoP", &token).await;
            let is_good = answer.reason() == "accepted";
            assert_eq!(is_good, reason == "accepted", "{claim} {ahead}: {answer:?}");
        }
    }
    for (offset, is_good) in [
        (-301, false),
        (-300, true),
        (10, true),
        (300, true),
        (301, false),
    ] {
        let iat = now.checked_add_signed(offset).unwrap();
        let answer = bound.ask(&bound.proof().claim("iat", iat).sign()).await;
        assert_eq!(
            answer.reason() == "accepted",
            is_good,
            "{offset}: {answer:?}"
        );
    }
}
