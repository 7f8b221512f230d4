//! What the metadata of the resource say (RFC 9728 section 2): what is configured.

use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};

use super::super::support::{RESOURCE, metadata};
use super::server;

const ALGS: &str = "dpop_signing_alg_values_supported";
const REQUIRED: &str = "dpop_bound_access_tokens_required";

#[tokio::test]
async fn they_follow_the_servers() {
    use DpopMode::{Allowed, Off, Required};

    for (one, other, has_algs, is_required) in [
        (Off, None, false, false),
        (Allowed, None, true, false),
        (Required, None, true, true),
        (Off, Some(Required), true, false),
        (Allowed, Some(Required), true, false),
        (Required, Some(Required), true, true),
    ] {
        let mut builder = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server(one))
            .unwrap();
        if let Some(mode) = other {
            let other = AuthorizationServer::new("https://other.example.com").unwrap();
            builder = builder.authorization_server(other.dpop(mode)).unwrap();
        }
        let document = metadata(&builder.build().unwrap()).await;
        let members = document.as_object().unwrap();
        assert_eq!(members.contains_key(ALGS), has_algs, "{document}");
        assert_eq!(
            members.get(REQUIRED),
            is_required.then_some(&json!(true)),
            "{document}"
        );
        if has_algs {
            let algs = members[ALGS].as_array().unwrap();
            assert_eq!(algs[0], "ES256");
            for alg in ["ES384", "PS256", "RS256", "EdDSA", "Ed25519"] {
                assert!(algs.contains(&json!(alg)), "{alg}");
            }
            let is_symmetric = |alg: &serde_json::Value| alg.as_str().unwrap().starts_with("HS");
            assert!(!algs.iter().any(|alg| is_symmetric(alg) || alg == "none"));
        }
    }
}

#[test]
fn they_are_not_set_by_hand_beside_that() {
    let resource = || ProtectedResource::new(RESOURCE).unwrap();
    for (set, name) in [
        (
            resource()
                .dpop_signing_alg_values_supported(["ES256"])
                .unwrap(),
            ALGS,
        ),
        (resource().dpop_bound_access_tokens_required(true), REQUIRED),
    ] {
        let layer = |mode| OAuthLayer::new(set.clone(), server(mode));
        let error = layer(DpopMode::Allowed).unwrap_err();
        assert_eq!(error.setting(), name);
        assert!(layer(DpopMode::Off).is_ok());
    }
}
