//! Tokens that are bound to certificates, by configuration.

use serde_json::{Value, json};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::MtlsMode;
use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates};

use crate::config::{RESOURCE, config, refused};

const ISSUER: &str = "https://auth.example.com";

// By value, because every caller writes the section in place.
#[allow(clippy::needless_pass_by_value)]
fn with(mode: &str, forwarded: Value) -> Value {
    json!({
        "resource": RESOURCE,
        "authorization_servers": [{ "issuer": ISSUER, "mtls": mode }],
        "oauth": { "forwarded_certificates": forwarded },
    })
}

#[test]
fn each_setting_does_what_its_setter_does() {
    let by_hand = |mode, forwarded: Option<ForwardedCertificates>| {
        let server = AuthorizationServer::new(ISSUER).unwrap();
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(server.mtls(mode)).unwrap();
        match forwarded {
            Some(forwarded) => format!("{:?}", builder.forwarded_certificates(forwarded)),
            None => format!("{builder:?}"),
        }
    };
    let made = |value: &Value| {
        let builder = config(value).oauth_builder().unwrap().unwrap();
        format!("{builder:?}")
    };
    for (mode, set) in [
        ("off", MtlsMode::Off),
        ("allowed", MtlsMode::Allowed),
        ("required", MtlsMode::Required),
    ] {
        let mut value = with(mode, json!(null));
        value["oauth"] = json!({});
        assert_eq!(made(&value), by_hand(set, None), "{mode}");
    }
    let networks = ["10.0.0.0/8", "fd00::1"];
    for (format, set) in [
        ("Client-Cert", CertificateFormat::ClientCert),
        ("escaped_pem", CertificateFormat::EscapedPem),
        ("base64_der", CertificateFormat::Base64Der),
        ("X-Forwarded-Client-Cert", CertificateFormat::Xfcc),
    ] {
        let value = with(
            "required",
            json!({ "format": format, "networks": networks }),
        );
        let forwarded = ForwardedCertificates::new(set, networks).unwrap();
        let by_hand = by_hand(MtlsMode::Required, Some(forwarded));
        assert_eq!(made(&value), by_hand, "{format}");
    }
    let named = json!({
        "format": "escaped_pem", "header_name": "ssl-client-cert", "networks": networks,
    });
    let forwarded = ForwardedCertificates::new(CertificateFormat::EscapedPem, networks);
    let forwarded = forwarded.unwrap().header_name("ssl-client-cert").unwrap();
    let by_hand = by_hand(MtlsMode::Allowed, Some(forwarded));
    assert_eq!(made(&with("allowed", named)), by_hand);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let good = || json!({ "format": "Client-Cert", "networks": ["10.0.0.7"] });
    let section = |key: &str, value: Value| {
        let mut section = good();
        section[key] = value;
        section
    };
    let at = |key: &str| format!("oauth.forwarded_certificates.{key}");
    for (value, path) in [
        (
            with("off", good()),
            "oauth.forwarded_certificates".to_owned(),
        ),
        (
            with("sometimes", good()),
            "authorization_servers[0].mtls".into(),
        ),
        (
            with("allowed", section("format", json!(null))),
            at("format"),
        ),
        (
            with("allowed", section("format", json!("PEM"))),
            at("format"),
        ),
        (
            with("allowed", section("networks", json!([]))),
            at("networks"),
        ),
        (
            with("allowed", section("networks", json!(["0.0.0.0/0"]))),
            at("networks"),
        ),
        (
            with("allowed", section("header_name", json!("X-Cert"))),
            at("header_name"),
        ),
        (
            with("allowed", section("header_name", json!("a b"))),
            at("header_name"),
        ),
    ] {
        let error = match Config::from_json(&value.to_string()) {
            Err(error) => error,
            Ok(_) => refused(&value),
        };
        assert_eq!(error.path(), path, "{error}");
    }
    let mut value = with("required", good());
    value["metadata"] = json!({ "tls_client_certificate_bound_access_tokens": true });
    let error = refused(&value);
    let path = "metadata.tls_client_certificate_bound_access_tokens";
    assert_eq!(error.path(), path);
}
