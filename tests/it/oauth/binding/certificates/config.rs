//! Settings that contradict each other, and what the metadata say.

use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::binding::{DpopMode, MtlsMode};
use tower_mcp_auth::oauth::{AuthorizationServer, ProtectedResource};
use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates};

use super::super::super::support::{RESOURCE, metadata};
use super::server;

const MEMBER: &str = "tls_client_certificate_bound_access_tokens";

/// RFC 9728 section 2: whether such tokens are supported.
#[tokio::test]
async fn the_metadata_follow_the_servers() {
    use MtlsMode::{Allowed, Off, Required};

    for (one, other, is_supported) in [
        (Off, None, false),
        (Allowed, None, true),
        (Required, None, true),
        (Off, Some(Off), false),
        (Off, Some(Required), true),
        (Required, Some(Required), true),
    ] {
        let mut builder = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server(DpopMode::Off, one))
            .unwrap();
        if let Some(mode) = other {
            let other = AuthorizationServer::new("https://other.example.com").unwrap();
            builder = builder.authorization_server(other.mtls(mode)).unwrap();
        }
        let document = metadata(&builder.build().unwrap()).await;
        let member = document.as_object().unwrap().get(MEMBER);
        assert_eq!(member, is_supported.then_some(&json!(true)), "{document}");
    }
}

#[test]
fn the_member_is_not_set_by_hand_beside_that() {
    let resource = ProtectedResource::new(RESOURCE).unwrap();
    let resource = resource.tls_client_certificate_bound_access_tokens(true);
    let layer = |mode| OAuthLayer::new(resource.clone(), server(DpopMode::Off, mode));
    let error = layer(MtlsMode::Allowed).unwrap_err();
    assert_eq!(error.setting(), MEMBER);
    assert!(error.to_string().contains("`mtls`"), "{error}");
    assert!(layer(MtlsMode::Off).is_ok());
}

#[test]
fn proxies_that_hand_certificates_on_are_for_servers_that_look_at_them() {
    let forwarded =
        ForwardedCertificates::new(CertificateFormat::ClientCert, ["10.0.0.7"]).unwrap();
    let build = |mode| {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(server(DpopMode::Off, mode));
        let builder = builder.unwrap().forwarded_certificates(forwarded.clone());
        builder.build()
    };
    let error = build(MtlsMode::Off).unwrap_err();
    assert_eq!(error.setting(), "forwarded_certificates");
    assert!(error.to_string().contains("`mtls`"), "{error}");
    assert!(build(MtlsMode::Allowed).is_ok());
    assert!(build(MtlsMode::Required).is_ok());
}

#[test]
fn one_header_does_not_hold_both_the_token_and_the_certificate() {
    let forwarded = ForwardedCertificates::new(CertificateFormat::EscapedPem, ["10.0.0.7"]);
    let forwarded = forwarded.unwrap().header_name("X-Own").unwrap();
    for (name, is_good) in [("x-own", false), ("X-Token", true)] {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder
            .authorization_server(server(DpopMode::Off, MtlsMode::Allowed))
            .unwrap()
            .forwarded_certificates(forwarded.clone())
            .header_name(name)
            .require_bearer(false);
        match builder.build() {
            Ok(_) => assert!(is_good, "{name}"),
            Err(error) => {
                assert!(!is_good, "{error}");
                assert_eq!(error.setting(), "forwarded_certificates");
                assert!(error.to_string().contains("`header_name`"), "{error}");
            }
        }
    }
}
