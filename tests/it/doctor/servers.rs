//! Faults of the authorization server and of its keys.

use std::sync::Arc;

use serde_json::{Value, json};
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};

use super::server::Fake;
use super::{assert_codes, look};

/// Twists the metadata of the authorization server.
async fn with_metadata(twist: impl FnOnce(&mut Value)) -> Fake {
    let server = Fake::good().await;
    let mut metadata = server.issuer.metadata();
    twist(&mut metadata);
    for endpoint in [Endpoint::OAuthMetadata, Endpoint::OidcMetadata] {
        server
            .issuer
            .set_behaviour(endpoint, Behaviour::json(&metadata));
    }
    server
}

fn remove(metadata: &mut Value, name: &str) {
    metadata.as_object_mut().unwrap().remove(name);
}

type Twist = fn(&mut Value);

#[tokio::test]
async fn each_fault_of_its_metadata_is_named() {
    const TABLE: &[(&str, &[&str], Twist)] = &[
        ("another issuer", &["issuer_mismatch"], |own| {
            own["issuer"] = "https://other.example.com".into();
        }),
        ("a slash at the end", &["issuer_mismatch"], |own| {
            own["issuer"] = format!("{}/", own["issuer"].as_str().unwrap()).into();
        }),
        ("no issuer", &["issuer_mismatch"], |own| {
            remove(own, "issuer");
        }),
        ("no PKCE", &["pkce_missing"], |own| {
            remove(own, "code_challenge_methods_supported");
        }),
        ("plain PKCE alone", &["pkce_missing"], |own| {
            own["code_challenge_methods_supported"] = json!(["plain"]);
        }),
        ("no registration", &["registration_missing"], |own| {
            remove(own, "registration_endpoint");
        }),
        ("registration by document", &[], |own| {
            remove(own, "registration_endpoint");
            own["client_id_metadata_document_supported"] = true.into();
        }),
        ("no endpoints", &["endpoints_missing"], |own| {
            remove(own, "authorization_endpoint");
        }),
        ("an endpoint without TLS", &["endpoint_insecure"], |own| {
            own["token_endpoint"] = "http://auth.example.com/token".into();
        }),
        ("no code flow", &["code_flow_missing"], |own| {
            own["response_types_supported"] = json!(["token"]);
        }),
        ("other resources", &["resource_not_listed"], |own| {
            own["protected_resources"] = json!(["https://files.example.com"]);
        }),
        ("no keys named", &[], |own| remove(own, "jwks_uri")),
    ];
    for (name, codes, twist) in TABLE {
        let server = with_metadata(*twist).await;
        assert_codes(&look(&server).await, codes, name);
    }
}

#[tokio::test]
async fn each_way_not_to_find_its_metadata_is_named() {
    let html = || Behaviour::Body {
        content_type: "text/html".to_owned(),
        bytes: b"<!doctype html>".to_vec(),
    };
    for (name, code, behaviour) in [
        ("404", "issuer_metadata_missing", Behaviour::Status(404)),
        ("503", "issuer_unreachable", Behaviour::Status(503)),
        ("nothing", "issuer_unreachable", Behaviour::Disconnect),
        ("a page", "issuer_metadata_not_json", html()),
        (
            "a redirect",
            "issuer_redirects",
            Behaviour::Redirect("https://www.example.com/".to_owned()),
        ),
    ] {
        let server = Fake::good().await;
        for endpoint in [Endpoint::OAuthMetadata, Endpoint::OidcMetadata] {
            server.issuer.set_behaviour(endpoint, behaviour.clone());
        }
        assert_codes(&look(&server).await, &[code], name);
    }
}

#[tokio::test]
async fn metadata_where_no_client_looks_are_none() {
    let issuer = Issuer::builder().path("/tenant").start().await.unwrap();
    for endpoint in [
        Endpoint::OAuthMetadata,
        Endpoint::OidcMetadataInserted,
        Endpoint::OidcMetadata,
    ] {
        issuer.set_behaviour(endpoint, Behaviour::Status(404));
    }
    let server = Fake::with(issuer, Arc::new(|_, _| {})).await;
    assert_codes(
        &look(&server).await,
        &["issuer_metadata_missing"],
        "appended",
    );
    server
        .issuer
        .set_behaviour(Endpoint::OidcMetadata, Behaviour::Normal);
    assert_codes(&look(&server).await, &[], "the form of OpenID Connect");
}

#[tokio::test]
async fn each_fault_of_its_keys_is_named() {
    let server = Fake::with(Issuer::start().await.unwrap(), Arc::new(|_, _| {})).await;
    let jwks = server.issuer.jwks();
    let keys = jwks["keys"].as_array().unwrap().clone();
    let with = |edit: &dyn Fn(&mut Vec<Value>)| {
        let mut keys = keys.clone();
        edit(&mut keys);
        Behaviour::json(&json!({ "keys": keys }))
    };
    for (name, codes, behaviour) in [
        ("404", &["keys_unreachable"][..], Behaviour::Status(404)),
        (
            "a page",
            &["keys_unusable"],
            Behaviour::Body {
                content_type: "text/html".to_owned(),
                bytes: b"<p>".to_vec(),
            },
        ),
        ("no keys", &["keys_unusable"], with(&Vec::clear)),
        (
            "a private key",
            &["private_key_published"],
            with(&|keys| {
                let mut private = keys[0].clone();
                private["d"] = "AQAB".into();
                private["kid"] = "private".into();
                keys.push(private);
            }),
        ),
        (
            "one id for two",
            &["keys_ambiguous"],
            with(&|keys| {
                let rsa = keys.iter().position(|key| key["kty"] == "RSA").unwrap();
                let mut other = keys[rsa].clone();
                let n = other["n"].as_str().unwrap();
                // Another modulus: the last characters but one are changed.
                let swapped = if n.contains("A") {
                    n.replacen('A', "B", 1)
                } else {
                    n.replacen('B', "A", 1)
                };
                other["n"] = swapped.into();
                keys.push(other);
            }),
        ),
        (
            "an odd one",
            &[],
            with(&|keys| {
                keys.push(
                    json!({ "kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB" }),
                );
                keys.push(
                    json!({ "kty": "EC", "crv": "secp256k1", "kid": "odd", "x": "", "y": "" }),
                );
            }),
        ),
    ] {
        server.issuer.set_behaviour(Endpoint::Jwks, behaviour);
        assert_codes(&look(&server).await, codes, name);
    }
    let report = look(&server).await;
    let odd: Vec<_> = report.keys.iter().filter(|key| !key.usable).collect();
    assert_eq!(odd.len(), 2, "{report}");
    assert_eq!(odd[0].kid.as_deref(), Some("enc"));
    assert_eq!(odd[0].why.as_deref(), Some("its `use` is not `sig`"));
    assert_eq!(report.keys.len(), keys.len() + 2);
}
