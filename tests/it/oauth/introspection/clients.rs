//! What is sent, and who says so.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tower_mcp_auth::jose::{Algorithm, PublicKey, SigningKey};
use tower_mcp_auth::oauth::{
    AuthorizationServer, Fetch, Introspect, IntrospectFuture, Introspection, IntrospectionError,
    IntrospectionResponse,
};

use std::sync::Arc;

use super::*;
use crate::oauth::trace;

/// RFC 8037 appendix A.1.
pub const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
/// RFC 8037 appendix A.2: the public half.
const ED25519_JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn at() -> Introspection {
    Introspection::at(ENDPOINT).unwrap()
}

async fn ask(introspection: Introspection) -> Recorded {
    let web = web([(OPAQUE, active(json!({})))]);
    guarded(&web, introspection)
        .bearer(OPAQUE)
        .await
        .assert(200, "accepted");
    web.last(ENDPOINT)
}

#[tokio::test]
async fn the_token_is_posted_in_a_form() {
    let sent = ask(introspection()).await;
    assert_eq!(sent.method, "POST");
    assert_eq!(
        sent.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(sent.headers["accept"], "application/json");
    assert_eq!(sent.form["token"], OPAQUE);
    assert_eq!(sent.form["token_type_hint"], "access_token");
    assert_eq!(sent.form.len(), 2);
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_first() {
    for (id, secret, encoded) in [
        ("app", "secret", "app:secret"),
        (
            "281@project:x",
            "a b+c/d%=é",
            "281%40project%3Ax:a+b%2Bc%2Fd%25%3D%C3%A9",
        ),
    ] {
        let sent = ask(at().client_secret_basic(id, secret).unwrap()).await;
        let header = &sent.headers["authorization"];
        assert!(header.is_sensitive());
        let basic = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(basic).unwrap(), encoded.as_bytes());
        assert!(!sent.form.contains_key("client_secret"));
    }
}

#[tokio::test]
async fn other_ways_to_say_who_asks() {
    let sent = ask(at().client_secret_post("a@b:c", "s&=+ t").unwrap()).await;
    assert_eq!(
        (&*sent.form["client_id"], &*sent.form["client_secret"]),
        ("a@b:c", "s&=+ t")
    );
    assert!(!sent.headers.contains_key("authorization"));

    let sent = ask(at().bearer_token("service-token").unwrap()).await;
    assert_eq!(sent.headers["authorization"], "Bearer service-token");
    assert!(sent.headers["authorization"].is_sensitive());

    let sent = ask(at().dangerously_unauthenticated().unwrap()).await;
    assert!(!sent.headers.contains_key("authorization"));
    assert_eq!(sent.form.len(), 2);
}

#[tokio::test]
async fn a_client_assertion_is_signed_short_lived_and_never_the_same() {
    let key = || {
        SigningKey::from_pem(Algorithm::EdDSA, ED25519)
            .unwrap()
            .key_id("2026")
    };
    let with = |introspection: Introspection| introspection.private_key_jwt("mcp@server", key());
    let first = ask(with(at()).unwrap()).await.form;
    let second = ask(with(at()).unwrap()).await.form;
    assert_eq!(first["client_id"], "mcp@server");
    assert_eq!(
        first["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let read = |form: &HashMap<String, String>| -> (Value, Value) {
        let parts: Vec<_> = form["client_assertion"].split('.').collect();
        let json = |part: &str| {
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let signed = format!("{}.{}", parts[0], parts[1]);
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let public = PublicKey::from_jwk(ED25519_JWK).unwrap();
        assert!(public.verify(Algorithm::EdDSA, signed.as_bytes(), &signature));
        (json(parts[0]), json(parts[1]))
    };
    let (header, claims) = read(&first);
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": "2026"}));
    let now = START.as_secs();
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&json!("mcp@server"), &json!("mcp@server"))
    );
    assert_eq!(claims["aud"], ISSUER);
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(now), &json!(now + 60))
    );
    assert!(claims["jti"].as_str().unwrap().len() >= 32);
    assert_ne!(claims["jti"], read(&second).1["jti"]);

    let other = with(at())
        .unwrap()
        .assertion_audience("https://auth.example.com/token")
        .unwrap();
    assert_eq!(
        read(&ask(other).await.form).1["aud"],
        "https://auth.example.com/token"
    );
}

#[test]
fn signing_keys_that_do_not_fit_are_refused() {
    for (algorithm, pem) in [
        (Algorithm::HS256, ED25519),
        (Algorithm::RS256, ED25519),
        (Algorithm::ES256, ED25519),
        (Algorithm::EdDSA, "not a key"),
        (Algorithm::EdDSA, ""),
    ] {
        let error = SigningKey::from_pem(algorithm, pem).expect_err("accepted");
        assert_eq!(error.setting(), "signing_key", "{error}");
    }
}

#[tokio::test]
async fn the_endpoint_is_discovered_on_the_origin_of_the_issuer_and_nowhere_else() {
    let discovered = || {
        Introspection::discovered()
            .client_secret_basic("mcp-server", "s3cret")
            .unwrap()
    };
    let document = |endpoint: &str| {
        Page::Json(json!({
            "issuer": ISSUER, "jwks_uri": JWKS, "introspection_endpoint": endpoint,
        }))
    };
    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let web = web([(OPAQUE, active(json!({})))]);
    web.set(&metadata, document(ENDPOINT));
    let own = guarded(&web, discovered());
    own.layer.warm_up().await.expect_err("the key set is empty");
    own.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!(web.count(ENDPOINT), 1);

    for elsewhere in [
        "https://introspect.example.com/introspect",
        "https://auth.example.com:8443/introspect",
        "http://auth.example.com/introspect",
        "https://auth.example.com@evil.example.com/introspect",
        "https://evil.example.com/https://auth.example.com/introspect",
        "//auth.example.com/introspect",
    ] {
        let web = Web::with_issuer(&[]);
        web.set(&metadata, document(elsewhere));
        let refused = guarded(&web, discovered()).bearer(OPAQUE).await;
        refused.assert(503, "introspection_failed");
        let asked_elsewhere = web.log().iter().any(|url| !url.contains("/.well-known/"));
        assert!(!asked_elsewhere, "{:?}", web.log());
    }
    let web = Web::with_issuer(&[]);
    let refused = guarded(&web, discovered()).bearer(OPAQUE).await;
    refused.assert(503, "introspection_failed");
    assert!(
        refused.detail().contains("introspection_endpoint"),
        "{}",
        refused.detail()
    );
}

#[tokio::test]
async fn discovery_runs_once_and_again_when_the_endpoint_fails_or_an_hour_has_passed() {
    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let moved = "https://auth.example.com/moved";
    let document =
        |endpoint: &str| Page::Json(json!({"issuer": ISSUER, "introspection_endpoint": endpoint}));
    let web = web([(OPAQUE, active(json!({"exp": null})))]);
    web.set(&metadata, document(ENDPOINT));
    let introspection = Introspection::discovered()
        .client_secret_basic("mcp-server", "s3cret")
        .unwrap()
        .positive_ttl(std::time::Duration::ZERO);
    let guarded = guarded(&web, introspection);
    for _ in 0..3 {
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
    }
    assert_eq!(web.count(&metadata), 1);
    guarded.advance(3600);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!(web.count(&metadata), 2);

    web.set(&metadata, document(moved));
    web.set(ENDPOINT, Page::Status(404));
    let known = HashMap::from([(OPAQUE.to_owned(), active(json!({})))]);
    web.set(moved, Page::Tokens(known));
    guarded
        .bearer(OPAQUE)
        .await
        .assert(503, "introspection_failed");
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    assert_eq!((web.count(&metadata), web.count(moved)), (3, 1));
}

#[tokio::test]
async fn while_metadata_are_gone_every_call_goes_to_the_last_place_known() {
    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let web = web([(OPAQUE, active(json!({"exp": null})))]);
    web.set(
        &metadata,
        Page::Json(json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT})),
    );
    let introspection = Introspection::discovered()
        .client_secret_basic("mcp-server", "s3cret")
        .unwrap()
        .positive_ttl(std::time::Duration::ZERO);
    let guarded = guarded(&web, introspection);
    guarded.bearer(OPAQUE).await.assert(200, "accepted");
    web.set(&metadata, Page::Status(500));
    guarded.advance(3600);
    for _ in 0..3 {
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_is_looked_up_again_twice_a_minute_at_most() {
    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    let web = Web::with_issuer(&[]);
    web.set(
        &metadata,
        Page::Json(json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT})),
    );
    web.set(ENDPOINT, Page::Status(500));
    let introspection = Introspection::discovered()
        .client_secret_basic("mcp-server", "s3cret")
        .unwrap();
    let guarded = guarded(&web, introspection);
    for _ in 0..10 {
        let failed = guarded.bearer(OPAQUE).await;
        failed.assert(503, "introspection_failed");
    }
    assert_eq!((web.count(&metadata), web.count(ENDPOINT)), (2, 10));
    guarded.advance(30);
    for _ in 0..2 {
        guarded.bearer(OPAQUE).await;
    }
    assert_eq!(web.count(&metadata), 3);
}

/// A server with a token-info endpoint of its own kind.
#[derive(Debug)]
struct TokenInfo;

impl Introspect for TokenInfo {
    fn introspect(&self, token: &str, fetch: Arc<dyn Fetch>) -> IntrospectFuture {
        let request = http::Request::get("https://auth.example.com/tokeninfo")
            .header("authorization", format!("Bearer {token}"))
            .body(bytes::Bytes::new())
            .unwrap();
        Box::pin(async move {
            let response = fetch.fetch(request, 1024).await?;
            if response.status() != 200 {
                return Ok(IntrospectionResponse::inactive());
            }
            let claims = serde_json::from_slice(response.body())
                .map_err(|_| IntrospectionError::failed("not JSON"))?;
            Ok(IntrospectionResponse::active(claims))
        })
    }
}

#[tokio::test]
async fn a_server_without_rfc_7662_is_asked_by_code_of_your_own() {
    let info = "https://auth.example.com/tokeninfo";
    let web = Web::with_issuer(&[]);
    web.set(info, Page::Json(active(json!({"active": null}))));
    let guarded = guarded(&web, Introspection::custom(TokenInfo));
    for _ in 0..3 {
        let who = guarded.bearer(OPAQUE).await.who.expect("accepted");
        assert_eq!(who.subject(), Some("alice"));
    }
    assert_eq!(web.count(info), 1, "answers are kept like any other");
    web.set(info, Page::Status(401));
    guarded
        .bearer("another-opaque-token")
        .await
        .assert(401, "inactive_token");
    web.set(
        info,
        Page::Json(active(json!({"aud": "https://other.example.com"}))),
    );
    guarded
        .bearer("a-third-opaque-token")
        .await
        .assert(401, "audience_mismatch");
    web.set(info, Page::NoConnection);
    guarded
        .bearer("a-fourth-opaque-token")
        .await
        .assert(503, "introspection_failed");
}

#[tokio::test]
async fn no_secret_and_no_token_reaches_debug_traces_or_responses() {
    trace::start();
    let secrets = ["s3cret-of-ours", OPAQUE, "czNjcmV0"];
    let pages = [
        Page::Status(401),
        Page::Status(500),
        Page::Status(400),
        Page::NoConnection,
        Page::Raw(OPAQUE.as_bytes().to_vec()),
        Page::Json(json!({"active": false})),
    ];
    let basic = introspection();
    let post = at()
        .client_secret_post("mcp-server", "s3cret-of-ours")
        .unwrap();
    let bearer = at().bearer_token("s3cret-of-ours").unwrap();
    let mut seen = String::new();
    for introspection in [basic, post, bearer] {
        seen += &format!("{introspection:?}");
        for page in pages.clone() {
            let web = Web::with_issuer(&[]);
            web.set(ENDPOINT, page);
            let guarded = guarded(&web, introspection.clone());
            let got = guarded.bearer(OPAQUE).await;
            seen += &format!("{got:?} {:?} {:?}", guarded.layer, got.error);
        }
    }
    let server = AuthorizationServer::new(ISSUER).unwrap();
    seen += &format!("{:?}", server.introspection(introspection()).unwrap());
    seen += &format!(
        "{:?}",
        SigningKey::from_pem(Algorithm::EdDSA, ED25519).unwrap()
    );
    seen += &format!("{:?}", trace::take_all());
    assert!(seen.contains("introspection"));
    for secret in secrets {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}
