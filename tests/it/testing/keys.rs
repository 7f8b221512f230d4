use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
// By name: the process-wide default panics where both backends are on.
#[cfg(feature = "aws-lc-rs")]
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
#[cfg(not(feature = "aws-lc-rs"))]
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use serde_json::{Value, json};
use tower_mcp_auth::Clock;
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::{Endpoint, Issuer};

use super::{claims, header, http, quick};

/// jsonwebtoken does not know it, so that the layer is asked.
#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn es512_verifies_against_the_published_keys_where_it_is_listed() {
    use tower_mcp_auth::OAuthLayer;
    use tower_mcp_auth::oauth::AuthorizationServer;

    const RESOURCE: &str = "https://mcp.example.com/mcp";
    let issuer = Issuer::builder().algorithms([Algorithm::ES512]);
    let issuer = issuer.start().await.unwrap();
    let key = &issuer.jwks()["keys"][0];
    assert_eq!(
        (&key["crv"], &key["alg"]),
        (&json!("P-521"), &json!("ES512"))
    );
    let server = || AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
    let listed = server().algorithms([Algorithm::ES512]).unwrap();
    let listed = OAuthLayer::new(RESOURCE, listed).unwrap();
    let good = issuer.token().audience(RESOURCE);
    for (layer, token, reason) in [
        (&listed, good.clone(), ""),
        (&listed, good.clone().with_wrong_key(), "invalid_signature"),
        (
            &listed,
            good.clone().header("alg", "ES384"),
            "algorithm_not_allowed",
        ),
    ] {
        let header = ("authorization", format!("Bearer {}", token.sign()));
        let answer = common::ask(layer, common::request(&[header])).await;
        match reason {
            "" => drop(answer.admitted()),
            reason => answer.invalid(reason),
        }
    }
    // By default no list has it, and the key of a set that nothing is signed with is none.
    let layer = OAuthLayer::new(RESOURCE, server()).unwrap();
    let header = ("authorization", format!("Bearer {}", good.sign()));
    let answer = common::ask(&layer, common::request(&[header])).await;
    answer.invalid("algorithm_not_allowed");
}

#[cfg(not(feature = "aws-lc-rs"))]
#[tokio::test]
async fn es512_needs_a_backend_that_knows_it() {
    use tower_mcp_auth::oauth::AuthorizationServer;

    let server = AuthorizationServer::new("https://auth.example.com").unwrap();
    let error = server.algorithms([Algorithm::ES512]).unwrap_err();
    assert_eq!(error.setting(), "algorithms");
    assert!(error.to_string().contains("aws-lc-rs"), "{error}");
    let issuer = Issuer::builder().algorithms([Algorithm::ES512]);
    assert!(issuer.start().await.is_err());
}

/// Whether the key a token names verifies it, by jsonwebtoken.
fn holds(token: &str, jwks: &Value) -> bool {
    let header = header(token);
    let keys = jwks["keys"].as_array().unwrap();
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    let jwk = serde_json::from_value(key.clone()).unwrap();
    let key = DecodingKey::from_jwk(&jwk).unwrap();
    let algorithm = header["alg"].as_str().unwrap().parse().unwrap();
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    verifier.verify(message.as_bytes(), &signature).is_ok()
}

fn kids(jwks: &Value) -> HashSet<String> {
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_algorithm_verifies_against_the_published_keys() {
    let algorithms = [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    let issuer = Issuer::builder()
        .algorithms(algorithms)
        .start()
        .await
        .unwrap();
    let jwks = http()
        .get(issuer.endpoint(Endpoint::Jwks))
        .send()
        .await
        .unwrap();
    let jwks: Value = jwks.json().await.unwrap();
    let mut seen = HashSet::new();
    for algorithm in algorithms {
        let token = issuer.token().algorithm(algorithm).sign();
        assert_eq!(header(&token)["alg"], algorithm.name());
        assert!(holds(&token, &jwks), "{algorithm}");
        assert!(seen.insert(header(&token)["kid"].to_string()));
        let forged = issuer.token().algorithm(algorithm).with_wrong_key().sign();
        assert_eq!(header(&forged)["kid"], header(&token)["kid"]);
        assert!(!holds(&forged, &jwks), "{algorithm}");
    }
    // One that has no key of its own borrows another of the kind.
    for algorithm in [
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        let token = issuer.token().algorithm(algorithm).sign();
        assert_eq!(header(&token)["alg"], algorithm.name());
        assert!(seen.contains(&header(&token)["kid"].to_string()));
    }
}

#[tokio::test]
async fn a_key_without_its_kind_is_no_providers() {
    let issuer = quick().start().await.unwrap();
    let token = issuer.token().algorithm(Algorithm::EdDSA).sign();
    assert!(!holds(&token, &issuer.jwks()));
    assert_eq!(issuer.jwks()["keys"].as_array().unwrap().len(), 1);
}

/// RFC 7638: the thumbprint, computed anywhere, is the key id.
#[tokio::test]
async fn key_ids_are_thumbprints() {
    let issuer = Issuer::start().await.unwrap();
    for key in issuer.jwks()["keys"].as_array().unwrap() {
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
        let canonical = match key["kty"].as_str().unwrap() {
            "RSA" => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, key["e"], key["n"]),
            "EC" => format!(
                r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
                key["x"], key["y"]
            ),
            _ => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, key["x"]),
        };
        let hash = jsonwebtoken::jwk::ThumbprintHash::SHA256;
        let digest = (DEFAULT_PROVIDER.key_utils.compute_digest)(canonical.as_bytes(), hash);
        let digest = URL_SAFE_NO_PAD.encode(digest.unwrap());
        assert_eq!(jwk.common.key_id, Some(digest));
    }
}

#[tokio::test]
async fn rotation_and_withdrawal_show_in_the_key_set() {
    let issuer = Issuer::builder()
        .algorithms([Algorithm::ES256, Algorithm::EdDSA])
        .start()
        .await
        .unwrap();
    let before = kids(&issuer.jwks());
    let old = issuer.token().sign();

    issuer.rotate();
    let both = kids(&issuer.jwks());
    assert_eq!(both.len(), 4);
    assert!(both.is_superset(&before));
    let new = issuer.token().sign();
    assert!(!before.contains(header(&new)["kid"].as_str().unwrap()));
    assert!(holds(&old, &issuer.jwks()) && holds(&new, &issuer.jwks()));

    issuer.withdraw_old_keys();
    let after = kids(&issuer.jwks());
    assert_eq!(after.len(), 2);
    assert!(after.is_disjoint(&before));
    assert!(!holds(&old, &issuer.jwks()) && holds(&new, &issuer.jwks()));

    let published: Value = http()
        .get(issuer.endpoint(Endpoint::Jwks))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(kids(&published), after);

    let kid = header(&new)["kid"].as_str().unwrap().to_owned();
    assert!(issuer.withdraw_key(&kid));
    assert!(!issuer.withdraw_key(&kid));
    assert!(!holds(&new, &issuer.jwks()));
    // Whatever is withdrawn, there is a token to be had.
    assert!(!holds(&issuer.token().sign(), &issuer.jwks()));
}

#[tokio::test]
async fn a_key_set_never_grows_beyond_a_hundred() {
    let issuer = quick().start().await.unwrap();
    for _ in 0..120 {
        issuer.rotate();
    }
    assert_eq!(kids(&issuer.jwks()).len(), 100);
    assert!(holds(&issuer.token().sign(), &issuer.jwks()));
}

#[tokio::test]
async fn a_good_token_is_an_access_token_of_rfc_9068() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let issuer = quick().clock(clock.clone()).start().await.unwrap();
    let token = issuer
        .token()
        .audience("https://mcp.example.com/mcp")
        .scope("a b")
        .sign();
    assert_eq!(header(&token)["typ"], "at+jwt");
    let first = claims(&token);
    assert_eq!(first["iss"], *issuer.url());
    assert_eq!(first["sub"], "alice");
    assert_eq!(first["aud"], "https://mcp.example.com/mcp");
    assert_eq!(first["scope"], "a b");
    assert_eq!(first["client_id"], "test-client");
    assert_eq!(first["iat"], 1_800_000_000);
    assert_eq!(first["exp"], 1_800_003_600);

    clock.advance(Duration::from_secs(60));
    let second = claims(&issuer.token().sign());
    assert_eq!(second["exp"], 1_800_003_660);
    assert_eq!(second.get("aud"), None);
    assert_ne!(second["jti"], first["jti"]);
}

#[tokio::test]
async fn a_token_may_lie_about_everything() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let issuer = quick().clock(clock).start().await.unwrap();
    let good = issuer.token();

    let two = claims(&good.clone().audience("a").audience("b").sign());
    assert_eq!(two["aud"], json!(["a", "b"]));
    let number = claims(&good.clone().audience("a").claim("aud", 7).sign());
    assert_eq!(number["aud"], 7);
    let back = claims(&good.clone().claim("aud", 7).audience("a").sign());
    assert_eq!(back["aud"], "a");
    let none = claims(&good.clone().audience("a").without_claim("aud").sign());
    assert_eq!(none.get("aud"), None);
    let bob = claims(
        &good
            .clone()
            .subject("bob")
            .client_id("c")
            .without_claim("iat")
            .sign(),
    );
    assert_eq!(
        (&bob["sub"], &bob["client_id"]),
        (&json!("bob"), &json!("c"))
    );
    assert_eq!(bob.get("iat"), None);
    let expired = claims(&good.clone().expired().sign());
    assert_eq!(expired["exp"], 1_800_000_000 - 3600);
    let short = claims(&good.clone().expires_in(Duration::from_secs(5)).sign());
    assert_eq!(short["exp"], 1_800_000_005);

    let lies = good
        .clone()
        .header("typ", Value::Null)
        .header("alg", "none")
        .header("crit", json!(["x"]))
        .key_id("../../etc/passwd")
        .sign();
    let lies = header(&lies);
    assert_eq!(lies["typ"], Value::Null);
    assert!(lies.as_object().unwrap().contains_key("typ"));
    assert_eq!(
        (&lies["alg"], &lies["crit"]),
        (&json!("none"), &json!(["x"]))
    );
    assert_eq!(lies["kid"], "../../etc/passwd");
    let bare = good
        .clone()
        .without_header("kid")
        .without_header("typ")
        .without_header("alg");
    assert_eq!(header(&bare.sign()), json!({}));

    let unsigned = good.clone().unsigned().sign();
    assert!(unsigned.ends_with('.'));
    assert_eq!(header(&unsigned)["alg"], "none");

    let raw = good
        .clone()
        .raw_payload(r#"{"exp":1,"exp":2}"#)
        .raw_header("{}{}")
        .sign();
    let mut parts = raw
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    assert_eq!(parts.next().unwrap(), b"{}{}");
    assert_eq!(parts.next().unwrap(), br#"{"exp":1,"exp":2}"#);
}

/// The secret is the public key: a verifier that lets the token choose is fooled by it.
#[tokio::test]
async fn a_confused_token_is_made_with_the_public_key() {
    let issuer = quick().start().await.unwrap();
    let token = issuer.token().algorithm(Algorithm::HS256).sign();
    assert_eq!(header(&token)["alg"], "HS256");
    let key = &issuer.jwks()["keys"][0];
    assert_eq!(header(&token)["kid"], key["kid"]);
    let secret = DecodingKey::from_secret(key.to_string().as_bytes());
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &secret).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(verifier.verify(message.as_bytes(), &signature).is_ok());
}
