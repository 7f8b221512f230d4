//! Where a layer only reports, a bound token without its proof is anonymous.

use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::{AuthError, Principal, Reported};

use super::Bound;

/// A request that expired, which is let pass, and whose proof decides who it is of.
#[tokio::test]
async fn what_is_let_pass_for_another_reason_still_needs_its_proof() {
    let bound = Bound::new();
    let cnf = json!({"jkt": bound.key.thumbprint()});
    let token = bound.issuer.token(json!({"exp": 1, "cnf": cnf}));
    let layer = bound.guarded.layer.clone();
    let layer = layer.dangerously_report_only_for(["expired"]).unwrap();
    // Keys are fetched with the first token.
    bound
        .ask(&bound.proof().sign())
        .await
        .assert(200, "accepted");
    for (scheme, proof, reason) in [
        ("DPoP", Some(bound.proof_for(&token).sign()), None),
        ("DPoP", None, Some("missing_dpop_proof")),
        (
            "DPoP",
            Some(bound.proof_for(&token).claim("htm", "GET").sign()),
            Some("dpop_method_mismatch"),
        ),
        ("Bearer", None, Some("bound_token")),
    ] {
        let mut request =
            Request::post("/mcp").header("authorization", format!("{scheme} {token}"));
        if let Some(proof) = &proof {
            request = request.header("dpop", proof);
        }
        let request = request.body(Full::default()).unwrap();
        let answer = common::ask(&layer, request).await;
        match reason {
            // It passes as anonymous: the proof was not used up.
            None => {
                let inside = answer.admitted();
                assert!(Principal::from_extensions(&inside.extensions).is_none());
                assert!(!inside.headers.contains_key("dpop"));
                let told = answer.extensions.get::<Reported>().unwrap().errors();
                assert_eq!(
                    told.iter().map(AuthError::reason).collect::<Vec<_>>(),
                    ["expired"]
                );
            }
            Some(reason) => assert_eq!(answer.error().reason(), reason),
        }
    }
}

#[tokio::test]
async fn all_reasons_of_proofs_can_be_reported() {
    let bound = Bound::new();
    let layer = bound.guarded.layer.clone().dangerously_report_only();
    let request = Request::post("/mcp").header("authorization", format!("DPoP {}", bound.token));
    let request = request.body(Full::default()).unwrap();
    let answer = common::ask(&layer, request).await;
    let inside = answer.admitted();
    assert!(Principal::from_extensions(&inside.extensions).is_none());
    assert!(!inside.headers.contains_key("authorization"));
}
