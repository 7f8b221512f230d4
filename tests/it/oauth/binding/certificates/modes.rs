//! Which tokens need which certificate, and what stands beside it.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::{DpopMode, MtlsMode};
use tower_mcp_auth::peer::PeerCertificate;
use tower_mcp_auth::testing::DpopKey;
use tower_mcp_auth::{AuthError, AuthErrorKind, Principal, Reported};

use super::super::super::support::{Guarded, ISSUER, Key, Page, RESOURCE, Web, key_set};
use super::super::parameter;
use super::{Bound, OTHER, OWN, cnf, request, server, thumbprint};

/// RFC 8705 section 3, also of a token that was seen before: what one connection has shown says
/// nothing of the next one.
#[tokio::test]
async fn a_bound_token_needs_its_certificate_at_each_request() {
    for mode in [MtlsMode::Allowed, MtlsMode::Required] {
        let bound = Bound::new(mode);
        for _ in 0..2 {
            for (certificate, reason) in [
                (Some(OWN), "accepted"),
                (Some(OTHER), "certificate_mismatch"),
                (None, "missing_certificate"),
                (Some(OWN), "accepted"),
            ] {
                let answer = bound.ask(&bound.token, certificate).await;
                assert_eq!(answer.reason(), reason);
                if reason != "accepted" {
                    answer.assert(401, reason);
                    assert_eq!(parameter(&answer, "Bearer", "error"), Some("invalid_token"));
                    assert_eq!(answer.headers["cache-control"], "no-store");
                }
            }
        }
        let detail = bound.ask(&bound.token, Some(OTHER)).await;
        for der in [OWN, OTHER] {
            assert!(detail.detail().contains(&thumbprint(der)), "{detail:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_bound_follows_the_mode() {
    for (mode, reason) in [
        (MtlsMode::Off, "accepted"),
        (MtlsMode::Allowed, "accepted"),
        (MtlsMode::Required, "unbound_token"),
    ] {
        let bound = Bound::new(mode);
        let token = bound.issuer.token(json!({}));
        for certificate in [None, Some(OWN)] {
            let answer = bound.ask(&token, certificate).await;
            assert_eq!(answer.reason(), reason, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn where_it_is_off_a_bound_token_is_refused() {
    let bound = Bound::new(MtlsMode::Off);
    for certificate in [None, Some(OWN)] {
        let answer = bound.ask(&bound.token, certificate).await;
        answer.assert(401, "bound_token");
        assert!(answer.detail().contains("`mtls`"), "{}", answer.detail());
    }
}

#[tokio::test]
async fn a_binding_that_cannot_be_read_is_refused() {
    let bound = Bound::new(MtlsMode::Allowed);
    let own = thumbprint(OWN);
    for (cnf, reason) in [
        (json!({"x5t#S256": ""}), "bound_token"),
        (json!({"x5t#S256": "AAAA"}), "bound_token"),
        (json!({"x5t#S256": format!("{own}=")}), "bound_token"),
        (json!({"x5t#S256": format!("{own}AAAA")}), "bound_token"),
        (
            json!({"x5t#S256": own.replace(['-', '_'], "+")[..42]}),
            "bound_token",
        ),
        (json!({"x5t#s256": own}), "bound_token"),
        (json!({"x5t": own}), "bound_token"),
        (json!({}), "bound_token"),
        (json!({"jkt": own}), "bound_token"),
        (json!({"jkt": own, "x5t#S256": own}), "bound_token"),
        (json!({"x5t#S256": 7}), "malformed_token"),
        (json!({"x5t#S256": [own]}), "malformed_token"),
    ] {
        let token = bound.issuer.token(json!({ "cnf": cnf }));
        let answer = bound.ask(&token, Some(OWN)).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.reason(), reason, "{cnf}");
    }
    // What stands beside it, and is not known, changes nothing.
    let cnf = json!({"x5t#S256": own, "kid": "1", "jkt": null});
    let token = bound.issuer.token(json!({ "cnf": cnf }));
    bound.ask(&token, Some(OWN)).await.assert(200, "accepted");
}

/// Of a token with two bindings both must hold, and of one with one the modes decide.
#[tokio::test]
async fn a_key_and_a_certificate_must_both_be_shown() {
    use DpopMode as D;
    use MtlsMode as M;

    let key = DpopKey::generate();
    let jkt = json!({"jkt": key.thumbprint()});
    let both = json!({"jkt": key.thumbprint(), "x5t#S256": thumbprint(OWN)});
    let certificate = cnf(OWN);
    for (dpop, mtls, cnf, with_proof, shown, reason) in [
        (D::Allowed, M::Allowed, &both, true, Some(OWN), "accepted"),
        (D::Required, M::Required, &both, true, Some(OWN), "accepted"),
        (
            D::Allowed,
            M::Allowed,
            &both,
            true,
            Some(OTHER),
            "certificate_mismatch",
        ),
        (
            D::Allowed,
            M::Allowed,
            &both,
            true,
            None,
            "missing_certificate",
        ),
        (
            D::Allowed,
            M::Allowed,
            &both,
            false,
            Some(OWN),
            "bound_token",
        ),
        (D::Allowed, M::Off, &both, true, Some(OWN), "bound_token"),
        (D::Off, M::Allowed, &both, false, Some(OWN), "bound_token"),
        (
            D::Required,
            M::Allowed,
            &certificate,
            false,
            Some(OWN),
            "unbound_token",
        ),
        (D::Required, M::Allowed, &jkt, true, None, "accepted"),
        (
            D::Allowed,
            M::Required,
            &jkt,
            true,
            Some(OWN),
            "unbound_token",
        ),
        (
            D::Allowed,
            M::Required,
            &certificate,
            false,
            Some(OWN),
            "accepted",
        ),
        (
            D::Allowed,
            M::Allowed,
            &certificate,
            true,
            Some(OWN),
            "unbound_token",
        ),
        (
            D::Required,
            M::Required,
            &certificate,
            false,
            Some(OWN),
            "unbound_token",
        ),
        (
            D::Required,
            M::Required,
            &jkt,
            true,
            Some(OWN),
            "unbound_token",
        ),
    ] {
        let bound = Bound::built(server(dpop, mtls), |builder| builder);
        let token = bound.issuer.token(json!({ "cnf": cnf }));
        // The second time it is in the cache.
        for _ in 0..2 {
            let proof = key.proof("POST", RESOURCE).access_token(&token);
            let proof = proof.issued_at(bound.guarded.clock.now()).sign();
            let scheme = if with_proof { "DPoP" } else { "Bearer" };
            let mut request =
                Request::post("/mcp").header("authorization", format!("{scheme} {token}"));
            if with_proof {
                request = request.header("dpop", proof);
            }
            if let Some(der) = shown {
                request = request.extension(PeerCertificate::from_der(der));
            }
            let answer = bound
                .guarded
                .ask(request.body(Full::default()).unwrap())
                .await;
            assert_eq!(answer.reason(), reason, "{dpop:?} {mtls:?} {cnf}");
            if reason != "accepted" {
                // Where a proof is required, that is the only scheme.
                let told = if dpop == D::Required { "DPoP" } else { scheme };
                assert_eq!(parameter(&answer, told, "error"), Some("invalid_token"));
            }
        }
    }
}

/// Who has the proof of a request and not the certificate does not use it up.
#[tokio::test]
async fn a_wrong_certificate_uses_no_proof_up() {
    let bound = Bound::built(server(DpopMode::Allowed, MtlsMode::Allowed), |builder| {
        builder
    });
    let key = DpopKey::generate();
    let cnf = json!({"jkt": key.thumbprint(), "x5t#S256": thumbprint(OWN)});
    let token = bound.issuer.token(json!({ "cnf": cnf }));
    let proof = key.proof("POST", RESOURCE).access_token(&token);
    let proof = proof.issued_at(bound.guarded.clock.now()).sign();
    for (der, reason) in [
        (OTHER, "certificate_mismatch"),
        (OWN, "accepted"),
        (OWN, "replayed_dpop_proof"),
    ] {
        let request = Request::post("/mcp")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", &proof)
            .extension(PeerCertificate::from_der(der));
        let answer = bound
            .guarded
            .ask(request.body(Full::default()).unwrap())
            .await;
        assert_eq!(answer.reason(), reason);
    }
}

#[tokio::test]
async fn each_server_has_a_mode_of_its_own() {
    const ELSEWHERE: &str = "https://other.example.com";
    let (issuer, other) = (Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&issuer]);
    web.publish_metadata(ELSEWHERE);
    web.set(&format!("{ELSEWHERE}/keys"), Page::Json(key_set(&[&other])));
    let strict = AuthorizationServer::new(ELSEWHERE).unwrap();
    let guarded = Guarded::with_servers(
        &web,
        [
            AuthorizationServer::new(ISSUER).unwrap(),
            strict.mtls(MtlsMode::Required),
        ],
    );
    for (is_other, cnf, reason) in [
        (false, Value::Null, "accepted"),
        (false, cnf(OWN), "bound_token"),
        (true, cnf(OWN), "accepted"),
        (true, cnf(OTHER), "certificate_mismatch"),
        (true, Value::Null, "unbound_token"),
    ] {
        let token = match is_other {
            true => other.token(json!({"iss": ELSEWHERE, "cnf": cnf})),
            false => issuer.token(json!({ "cnf": cnf })),
        };
        let answer = guarded.ask(request(&token, Some(OWN))).await;
        assert_eq!(answer.reason(), reason, "{is_other} {cnf}");
    }
}

/// A token that is let pass for another reason is anonymous without its certificate.
#[tokio::test]
async fn what_is_let_pass_for_another_reason_still_needs_its_certificate() {
    let bound = Bound::new(MtlsMode::Allowed);
    let token = bound.issuer.token(json!({"exp": 1, "cnf": cnf(OWN)}));
    let layer = bound.guarded.layer.clone();
    let layer = layer.dangerously_report_only_for(["expired"]).unwrap();
    // Keys are fetched with the first token.
    let first = bound.ask(&bound.token, Some(OWN)).await;
    first.assert(200, "accepted");
    for (certificate, reason) in [
        (Some(OWN), None),
        (Some(OTHER), Some("certificate_mismatch")),
        (None, Some("missing_certificate")),
    ] {
        let answer = common::ask(&layer, request(&token, certificate)).await;
        match reason {
            None => {
                let inside = answer.admitted();
                assert!(Principal::from_extensions(&inside.extensions).is_none());
                let told = answer.extensions.get::<Reported>().unwrap().errors();
                let told: Vec<_> = told.iter().map(AuthError::reason).collect();
                assert_eq!(told, ["expired"]);
            }
            Some(reason) => {
                answer.refused(AuthErrorKind::Invalid, reason);
            }
        }
    }
    // Where all is reported, it passes as anonymous.
    let layer = bound.guarded.layer.clone().dangerously_report_only();
    let answer = common::ask(&layer, request(&bound.token, None)).await;
    assert!(Principal::from_extensions(&answer.admitted().extensions).is_none());
}

/// What a token lacks is told to who has its certificate.
#[tokio::test]
async fn a_thief_does_not_learn_what_a_token_lacks() {
    let server = server(DpopMode::Off, MtlsMode::Allowed);
    let bound = Bound::built(server, |builder| builder.required_scopes(["mcp:admin"]));
    let answer = bound.ask(&bound.token, Some(OWN)).await;
    answer.assert(403, "insufficient_scope");
    let answer = bound.ask(&bound.token, Some(OTHER)).await;
    answer.assert(401, "certificate_mismatch");
}
