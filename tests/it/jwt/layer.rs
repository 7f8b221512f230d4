//! `JwtLayer`: what it takes to pass, and what cannot be configured. The profile of a token
//! is in `token`.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use common::jwt::b64;
use common::{
    Answer, NOW, SECRET, SigningKey, ask, clock, good_token, hs256_layer, request, sign, token,
};
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};
use tower_mcp_auth::jwt::JwtLayerBuilder;
use tower_mcp_auth::{AuthErrorKind, JwtLayer};

fn secret(length: usize) -> Secret {
    Secret::new(&SECRET[..length]).unwrap()
}

fn builder() -> JwtLayerBuilder {
    JwtLayer::builder(secret(64)).clock(clock())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn present(layer: &JwtLayer, token: &str) -> Answer {
    ask(layer, request(&[("authorization", bearer(token))])).await
}

/// Alice's claims, and more members.
fn claims(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"sub":"alice","exp":{}{comma}{more}}}"#, NOW + 300)
}

fn header(alg: &str) -> String {
    format!(r#"{{"alg":"{alg}"}}"#)
}

#[tokio::test]
async fn every_algorithm_is_accepted_with_its_key_and_no_other_algorithm_with_it() {
    let hmac = SigningKey::hmac(SECRET);
    let keys = [
        (&hmac, &["HS256", "HS384", "HS512"][..]),
        (
            SigningKey::rsa(),
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        (SigningKey::p256(), &["ES256"]),
        (SigningKey::p384(), &["ES384"]),
        (SigningKey::ed25519(), &["EdDSA"]),
    ];
    for (key, algorithms) in keys {
        for alg in algorithms {
            let only: Algorithm = alg.parse().unwrap();
            let builder = match key {
                SigningKey::Hmac(_) => JwtLayer::builder(secret(64)),
                _ => JwtLayer::builder(key.public()),
            };
            let layer = builder
                .algorithms([only])
                .audience("https://mcp.example.com")
                .clock(clock())
                .build()
                .unwrap();
            let claims = claims(r#""aud":"https://mcp.example.com""#);
            let good = sign(key, alg, &header(alg), &claims);
            assert_eq!(
                present(&layer, &good).await.principal().subject(),
                Some("alice"),
                "{alg}"
            );

            for other in algorithms.iter().filter(|other| *other != alg) {
                let answer = present(&layer, &sign(key, other, &header(other), &claims)).await;
                answer.invalid("algorithm_not_allowed");
                // The header says one thing, the signature another.
                let answer = present(&layer, &sign(key, other, &header(alg), &claims)).await;
                answer.invalid("invalid_signature");
            }
            for last in ["A", "AAAA", "====", "."] {
                let answer = present(&layer, &format!("{good}{last}")).await;
                assert_eq!(
                    answer.error().kind(),
                    AuthErrorKind::Invalid,
                    "{alg} {last}"
                );
            }
            let (signed, _) = good.rsplit_once('.').unwrap();
            present(&layer, &format!("{signed}."))
                .await
                .invalid("invalid_signature");
        }
    }
}

#[tokio::test]
async fn ed25519_goes_by_either_of_its_names() {
    let key = SigningKey::ed25519();
    for name in ["EdDSA", "Ed25519"] {
        let layer = JwtLayer::builder(key.public())
            .algorithms([name.parse().unwrap()])
            .dangerously_any_audience()
            .clock(clock())
            .build()
            .unwrap();
        for alg in ["EdDSA", "Ed25519"] {
            present(&layer, &sign(key, alg, &header(alg), &claims("")))
                .await
                .admitted();
        }
        for alg in ["eddsa", "ED25519", "Ed448"] {
            let answer = present(&layer, &sign(key, alg, &header(alg), &claims(""))).await;
            answer.invalid("algorithm_not_allowed");
        }
    }
}

#[tokio::test]
async fn the_default_algorithm_is_hs256_for_a_secret_and_fits_a_public_key() {
    let layer = hs256_layer();
    present(&layer, &good_token()).await.admitted();
    for alg in ["HS384", "HS512"] {
        let token = sign(&SigningKey::hmac(SECRET), alg, &header(alg), &claims(""));
        present(&layer, &token)
            .await
            .invalid("algorithm_not_allowed");
    }
    for (key, alg) in [
        (SigningKey::rsa(), "RS256"),
        (SigningKey::p256(), "ES256"),
        (SigningKey::p384(), "ES384"),
        (SigningKey::ed25519(), "EdDSA"),
    ] {
        let layer = JwtLayer::builder(key.public())
            .dangerously_any_audience()
            .clock(clock());
        let token = sign(key, alg, &header(alg), &claims(""));
        present(&layer.build().unwrap(), &token).await.admitted();
    }
    // A JWK that names its algorithm decides.
    let jwk = format!(r#"{{{},"alg":"PS384"}}"#, SigningKey::rsa().jwk_members());
    let layer = JwtLayer::builder(PublicKey::from_jwk(jwk).unwrap())
        .dangerously_any_audience()
        .clock(clock())
        .build()
        .unwrap();
    let sign = |alg| sign(SigningKey::rsa(), alg, &header(alg), &claims(""));
    present(&layer, &sign("PS384")).await.admitted();
    present(&layer, &sign("RS256"))
        .await
        .invalid("algorithm_not_allowed");
}

#[tokio::test]
async fn a_public_key_is_read_from_pem_der_and_jwk() {
    for (key, alg) in [
        (SigningKey::rsa(), "RS256"),
        (SigningKey::p256(), "ES256"),
        (SigningKey::p384(), "ES384"),
        (SigningKey::ed25519(), "EdDSA"),
    ] {
        let token = sign(key, alg, &header(alg), &claims(""));
        for public in [
            PublicKey::from_pem(key.pem()),
            PublicKey::from_der(key.spki()),
            PublicKey::from_jwk(format!("{{{}}}", key.jwk_members())),
        ] {
            let layer = JwtLayer::builder(public.unwrap()).dangerously_any_audience();
            present(&layer.clock(clock()).build().unwrap(), &token)
                .await
                .admitted();
        }
    }
}

#[tokio::test]
async fn a_token_signed_with_the_public_keys_own_bytes_is_refused() {
    for (key, alg) in [(SigningKey::rsa(), "RS256"), (SigningKey::p256(), "ES256")] {
        let layer = JwtLayer::builder(key.public())
            .dangerously_any_audience()
            .clock(clock());
        let layer = layer.build().unwrap();
        let jwk = format!("{{{}}}", key.jwk_members());
        for bytes in [key.pem().into_bytes(), key.spki(), jwk.into_bytes()] {
            let hmac = SigningKey::hmac(bytes);
            let token = sign(&hmac, "HS256", &header("HS256"), &claims(""));
            present(&layer, &token)
                .await
                .invalid("algorithm_not_allowed");
            let token = sign(&hmac, "HS256", &header(alg), &claims(""));
            present(&layer, &token).await.invalid("invalid_signature");
        }
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let layer = hs256_layer();
    let good = good_token();
    let parts: Vec<&str> = good.split('.').collect();
    let admin = b64(claims(r#""admin":true"#));
    let none = |alg: &str| format!("{}.{}.", b64(header(alg)), parts[1]);
    for (token, reason) in [
        (
            format!("{}.{admin}.{}", parts[0], parts[2]),
            "invalid_signature",
        ),
        (format!("{}.{}.", parts[0], parts[1]), "invalid_signature"),
        (
            format!("{}.{}.AAAA", parts[0], parts[1]),
            "invalid_signature",
        ),
        (none("none"), "algorithm_not_allowed"),
        (none("None"), "algorithm_not_allowed"),
        (none("nOnE"), "algorithm_not_allowed"),
        (none(""), "algorithm_not_allowed"),
        (none("hs256"), "algorithm_not_allowed"),
        (
            format!("{}.{}.{}", b64("{}"), parts[1], parts[2]),
            "algorithm_not_allowed",
        ),
        (format!("{}.{}", parts[0], parts[1]), "not_a_jwt"),
        (format!("{good}.x"), "not_a_jwt"),
        (format!("{good}.x.y"), "encrypted_token"),
        ("..".to_owned(), "malformed_token"),
        ("x".to_owned(), "not_a_jwt"),
    ] {
        present(&layer, &token).await.invalid(reason);
    }
    let other = SigningKey::hmac("an0ther-secret-of-somebody-else-entirely");
    let token = sign(&other, "HS256", &header("HS256"), &claims(""));
    present(&layer, &token).await.invalid("invalid_signature");
}

#[tokio::test]
async fn header_name_moves_the_token_to_that_header_alone() {
    let layer = builder().header_name("X-Access-Token").build().unwrap();
    let bearer = format!("Bearer {}", good_token());
    ask(&layer, request(&[("x-access-token", &bearer)]))
        .await
        .admitted();
    ask(&layer, request(&[("authorization", &bearer)]))
        .await
        .missing();

    let layer = builder()
        .header_name("X-Access-Token")
        .require_bearer(false)
        .build()
        .unwrap();
    ask(&layer, request(&[("x-access-token", good_token())]))
        .await
        .admitted();
    let answer = ask(&layer, request(&[("x-access-token", &bearer)])).await;
    answer.malformed("malformed_credential");
    let query = common::request_to("/mcp?X-Access-Token=x", &[("x-access-token", good_token())]);
    ask(&layer, query).await.malformed("token_in_query");
}

#[tokio::test]
async fn the_issuer_is_one_exact_string_where_configured() {
    let layer = builder().issuer("https://idp.example").build().unwrap();
    let good = token(&claims(r#""iss":"https://idp.example""#));
    assert_eq!(
        present(&layer, &good).await.principal().issuer(),
        Some("https://idp.example")
    );
    present(&layer, &good_token())
        .await
        .invalid("missing_issuer");
    for iss in [
        "",
        "https://idp.example/",
        "https://idp.example.evil",
        "https://idp.exampl",
        "idp.example",
        "HTTPS://idp.example",
        "https://idp.example ",
        "https://\u{131}dp.example",
        "http://idp.example",
    ] {
        let token = token(&claims(&format!(r#""iss":"{iss}""#)));
        present(&layer, &token).await.invalid("issuer_mismatch");
    }
    for iss in [
        r#"["https://idp.example"]"#,
        "5",
        "true",
        r#"{"a":"https://idp.example"}"#,
    ] {
        let token = token(&claims(&format!(r#""iss":{iss}"#)));
        present(&layer, &token).await.invalid("malformed_token");
        // Not where it is not configured, either.
        present(&hs256_layer(), &token)
            .await
            .invalid("malformed_token");
    }
}

#[tokio::test]
async fn the_audience_is_one_of_those_configured() {
    let layer = builder()
        .audience("https://a.example")
        .audience("https://b.example");
    let layer = layer.build().unwrap();
    for aud in [
        r#""https://a.example""#,
        r#""https://b.example""#,
        r#"["https://a.example"]"#,
        r#"["https://x.example","https://b.example"]"#,
    ] {
        present(&layer, &token(&claims(&format!(r#""aud":{aud}"#))))
            .await
            .admitted();
    }
    for aud in [
        r#""https://a.example/""#,
        r#""https://A.example""#,
        r#""https://a.example https://b.example""#,
        r#""""#,
        "[]",
        r#"["https://x.example"]"#,
        r#"["https://a.exampl","https://b.example.evil"]"#,
    ] {
        let answer = present(&layer, &token(&claims(&format!(r#""aud":{aud}"#)))).await;
        answer.invalid("audience_mismatch");
    }
    present(&layer, &token(&claims(r#""aud":null"#)))
        .await
        .invalid("missing_audience");
    for aud in [
        "5",
        "{}",
        r#"["https://a.example",5]"#,
        r#"[["https://a.example"]]"#,
    ] {
        let answer = present(&layer, &token(&claims(&format!(r#""aud":{aud}"#)))).await;
        answer.invalid("malformed_token");
    }
    present(&layer, &good_token())
        .await
        .invalid("missing_audience");
}

#[tokio::test]
async fn too_little_scope_is_403_and_names_all_that_is_needed() {
    let layer = builder()
        .required_scopes(["mcp:read", "mcp:write"])
        .build()
        .unwrap();
    for scope in ["mcp:read mcp:write", "x  mcp:write mcp:read y"] {
        let token = token(&claims(&format!(r#""scope":"{scope}""#)));
        present(&layer, &token).await.admitted();
    }
    for scope in [
        "",
        "mcp:read",
        "mcp:write",
        "mcp:Read mcp:write",
        "mcp:readmcp:write",
        "mcp:*",
    ] {
        let token = token(&claims(&format!(r#""scope":"{scope}""#)));
        let answer = present(&layer, &token).await;
        let error = answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
        assert_eq!(error.scopes().to_string(), "mcp:read mcp:write");
        let line = answer.challenges()[0];
        assert!(line.contains(r#"scope="mcp:read mcp:write""#), "{line}");
    }
    let answer = present(&layer, &good_token()).await;
    answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
    // Who has no credential, or a bad one, is told which scopes to ask for.
    let answer = ask(&layer, request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"Bearer realm="MCP Server", scope="mcp:read mcp:write""#]
    );
    // A bad token learns nothing of its scopes.
    let expired = token(r#"{"sub":"a","scope":"","exp":1}"#);
    present(&layer, &expired).await.invalid("expired");
}

#[tokio::test]
async fn scopes_are_read_from_the_configured_claim_as_string_or_array() {
    let layer = builder()
        .scope_claim("permissions")
        .required_scopes(["a"])
        .build()
        .unwrap();
    for permissions in [r#""a b""#, r#"["a","b"]"#] {
        let token = token(&claims(&format!(r#""permissions":{permissions}"#)));
        assert_eq!(
            present(&layer, &token)
                .await
                .principal()
                .scopes()
                .to_string(),
            "a b"
        );
    }
    let answer = present(&layer, &token(&claims(r#""scope":"a""#))).await;
    answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
    for permissions in [r#"["a",5]"#, "5", "{}"] {
        let token = token(&claims(&format!(r#""permissions":{permissions}"#)));
        present(&layer, &token).await.invalid("malformed_token");
    }
    for permissions in [r#"["a b"]"#, "null", "[]", r#""a\"b""#] {
        let token = token(&claims(&format!(r#""permissions":{permissions}"#)));
        let answer = present(&layer, &token).await;
        answer.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
    }
    let answer = present(&hs256_layer(), &token(&claims(r#""scope":["a"]"#))).await;
    assert_eq!(answer.principal().scopes().as_str(), "a");
}

#[tokio::test]
async fn times_are_checked_to_the_second_of_the_skew() {
    for skew in [0, 60, 300] {
        let layer = builder()
            .clock_skew(Duration::from_secs(skew))
            .build()
            .unwrap();
        let exp = |exp: u64| token(&format!(r#"{{"sub":"a","exp":{exp}}}"#));
        present(&layer, &exp(NOW - skew + 1)).await.admitted();
        present(&layer, &exp(NOW - skew)).await.invalid("expired");
        present(&layer, &exp(NOW - skew - 1))
            .await
            .invalid("expired");
        present(&layer, &exp(0)).await.invalid("expired");
        present(&layer, &exp(u64::MAX)).await.admitted();
        let ahead = |name: &str, at: u64| token(&claims(&format!(r#""{name}":{at}"#)));
        for (name, reason) in [("nbf", "not_yet_valid"), ("iat", "issued_in_the_future")] {
            present(&layer, &ahead(name, 0)).await.admitted();
            present(&layer, &ahead(name, NOW + skew)).await.admitted();
            present(&layer, &ahead(name, NOW + skew + 1))
                .await
                .invalid(reason);
            present(&layer, &ahead(name, u64::MAX))
                .await
                .invalid(reason);
        }
    }
    // The default is 60 s, and fractions of a second count.
    let layer = hs256_layer();
    let exp = |exp: &str| token(&format!(r#"{{"sub":"a","exp":{exp}}}"#));
    present(&layer, &exp(&format!("{}.5", NOW - 60)))
        .await
        .admitted();
    present(&layer, &exp(&format!("{}", NOW - 60)))
        .await
        .invalid("expired");
    present(&layer, &exp("1.8000001e9")).await.admitted();
}

#[tokio::test]
async fn a_token_expires_while_serving() {
    let clock = clock();
    let layer = JwtLayer::builder(secret(32))
        .clock(clock.clone())
        .build()
        .unwrap();
    let token = sign(
        &SigningKey::hmac(&SECRET[..32]),
        "HS256",
        &header("HS256"),
        &claims(""),
    );
    let answer = present(&layer, &token).await;
    let expires = UNIX_EPOCH + Duration::from_secs(NOW + 300);
    assert_eq!(answer.principal().expires_at(), Some(expires));
    clock.advance(Duration::from_secs(359));
    present(&layer, &token).await.admitted();
    clock.advance(Duration::from_millis(999));
    present(&layer, &token).await.admitted();
    clock.advance(Duration::from_millis(1));
    present(&layer, &token).await.invalid("expired");
}

#[tokio::test]
async fn all_claims_reach_the_handler() {
    let more =
        r#""iss":"https://idp","client_id":"c1","scope":"a b","tenant":{"id":7,"tags":["x"]}"#;
    let answer = present(&hs256_layer(), &token(&claims(more))).await;
    let principal = answer.principal();
    assert_eq!(principal.provider(), "jwt");
    assert_eq!(principal.subject(), Some("alice"));
    assert_eq!(principal.client_id(), Some("c1"));
    assert_eq!(principal.issuer(), Some("https://idp"));
    assert_eq!(principal.scopes().to_string(), "a b");
    assert_eq!(principal.claims()["tenant"]["tags"][0], "x");
    assert_eq!(principal.claims().len(), 6);

    #[derive(serde::Deserialize)]
    struct Claims {
        sub: String,
        tenant: Tenant,
    }
    #[derive(serde::Deserialize)]
    struct Tenant {
        id: u8,
    }
    let claims: Claims = principal.claims_as().unwrap();
    assert_eq!((claims.sub.as_str(), claims.tenant.id), ("alice", 7));
    assert!(principal.claims_as::<Vec<u8>>().is_err());
    let shown = format!("{principal:?}");
    assert!(
        !shown.contains("tenant") && shown.contains("alice"),
        "{shown}"
    );
}

/// The id of the principal these claims make.
async fn id(layer: &JwtLayer, members: &str) -> String {
    let token = token(&format!(r#"{{{members},"exp":{}}}"#, NOW + 300));
    present(layer, &token).await.principal().id().to_string()
}

#[tokio::test]
async fn no_two_principals_share_an_id() {
    let layer = hs256_layer();
    let mut ids = BTreeMap::new();
    for members in [
        r#""sub":"a""#,
        r#""sub":"b""#,
        r#""sub":"A""#,
        r#""sub":"a ""#,
        r#""sub":"a","iss":"x""#,
        r#""sub":"a","iss":"y""#,
        r#""sub":"a","client_id":"x""#,
        r#""sub":"a","client_id":"y""#,
        r#""sub":"a","iss":"x","client_id":"x""#,
        // What looks like a separator is part of a value.
        r#""sub":"a|client=x""#,
        r#""sub":"a|sub=b""#,
        r#""sub":"a%7Cclient=x""#,
        r#""sub":"a%7cclient=x""#,
        r#""sub":"a\nclient=x""#,
        r#""sub":"a%0Aclient=x""#,
        r#""sub":"a","iss":"x|sub=a""#,
        r#""username":"a""#,
        r#""username":"a","client_id":"x""#,
        r#""sub":"username=a""#,
        // Unrelated: there is no name in them.
        r#""client_id":"x""#,
        r#""client_id":"x","jti":"2""#,
        r#""azp":"x""#,
        r#""jti":"1""#,
        r#""jti":"2""#,
    ] {
        if let Some(other) = ids.insert(id(&layer, members).await, members) {
            panic!("{members} and {other} are one principal");
        }
    }
    // And one principal has one id, whatever else its tokens say.
    let one = id(
        &layer,
        r#""sub":"a","iss":"x","client_id":"c","username":"u","jti":"1""#,
    )
    .await;
    let two = id(
        &layer,
        r#""client_id":"c","sub":"a","iss":"x","scope":"s","azp":"z""#,
    )
    .await;
    assert_eq!(one, two);
    assert_eq!(one, "jwt|iss=x|sub=a|client=c");
    assert_eq!(id(&layer, r#""sub":"a","azp":"c","iss":"x""#).await, one);
}

#[tokio::test]
async fn a_client_is_a_principal_only_where_machines_are_all_there_is() {
    let machines = builder().clients_are_principals(true).build().unwrap();
    let one = id(&machines, r#""client_id":"c","jti":"1""#).await;
    let two = id(&machines, r#""client_id":"c","jti":"2""#).await;
    assert_eq!((one.as_str(), &one), ("jwt|client=c", &two));
    // A subject is still a subject, and two without one are still two.
    assert_ne!(id(&machines, r#""client_id":"c","sub":"a""#).await, one);
    let unrelated = [
        id(&machines, r#""jti":"1""#).await,
        id(&machines, r#""jti":"2""#).await,
    ];
    assert_ne!(unrelated[0], unrelated[1]);
    // An empty name is none, in whatever claim it stands.
    for empty in [
        r#""client_id":"""#,
        r#""azp":"""#,
        r#""client_id":"","azp":"""#,
        r#""sub":"","username":"","client_id":"""#,
    ] {
        let holders = [
            id(&machines, &format!(r#"{empty},"jti":"1""#)).await,
            id(&machines, &format!(r#"{empty},"jti":"2""#)).await,
        ];
        assert_ne!(holders[0], holders[1], "{empty}");
    }
    for named in [
        r#""client_id":"","azp":"c""#,
        r#""azp":"c","client_id":"""#,
        r#""sub":"","username":"","client_id":"c""#,
    ] {
        assert_eq!(id(&machines, named).await, one, "{named}");
    }
}

#[tokio::test]
async fn an_empty_name_is_no_name() {
    let layer = hs256_layer();
    for (members, same) in [
        (r#""sub":"","username":"u""#, r#""username":"u""#),
        (r#""sub":"a","username":"""#, r#""sub":"a""#),
        (r#""sub":"a","client_id":"""#, r#""sub":"a""#),
        (
            r#""sub":"a","client_id":"","azp":"c""#,
            r#""sub":"a","client_id":"c""#,
        ),
    ] {
        assert_eq!(
            id(&layer, members).await,
            id(&layer, same).await,
            "{members}"
        );
    }
    for empty in [
        r#""sub":"""#,
        r#""username":"""#,
        r#""sub":"","username":"""#,
        r#""sub":"","username":"","client_id":"","azp":"""#,
    ] {
        let holders = [
            id(&layer, &format!(r#"{empty},"jti":"1""#)).await,
            id(&layer, &format!(r#"{empty},"jti":"2""#)).await,
        ];
        assert_ne!(holders[0], holders[1], "{empty}");
    }
}

#[tokio::test]
async fn earlier_clones_keep_their_settings() {
    let before = hs256_layer();
    let after = before.clone().public_path("/health").unwrap();
    let get = || common::request_to::<&str>("/health", &[]);
    ask(&before, get()).await.missing();
    ask(&after, get()).await.admitted();

    let one = builder();
    let two = one.clone().issuer("https://idp.example");
    present(&one.build().unwrap(), &good_token())
        .await
        .admitted();
    present(&two.build().unwrap(), &good_token())
        .await
        .invalid("missing_issuer");
}

#[test]
fn debug_shows_no_secret() {
    let key = secret(64);
    let shown = format!(
        "{key:?} {:?} {:#?} {:?} {:?} {:?}",
        builder(),
        builder().key_id("k").build().unwrap(),
        tower_mcp_auth::jwt::JwtKey::from(key.clone()),
        hs256_layer().boxed(),
        tower::Layer::layer(&hs256_layer(), common::Inner::default()),
    );
    let text = std::str::from_utf8(SECRET).unwrap();
    let first = format!("{}, {}, {}", SECRET[0], SECRET[1], SECRET[2]);
    for needle in [&text[..8], &text[56..], &first, &b64(SECRET)[..8]] {
        assert!(!shown.contains(needle), "{shown}");
    }
}

#[tokio::test]
async fn a_token_is_checked_with_a_secret_or_a_public_key() {
    ask(
        &hs256_layer(),
        request(&[("authorization", bearer(&good_token()))]),
    )
    .await
    .admitted();
    let key = SigningKey::p256();
    let layer = JwtLayer::builder(key.public())
        .audience("a")
        .clock(clock())
        .build()
        .unwrap();
    let claims = format!(r#"{{"sub":"alice","aud":"a","exp":{}}}"#, NOW + 300);
    let token = sign(key, "ES256", r#"{"alg":"ES256"}"#, &claims);
    ask(&layer, request(&[("authorization", bearer(&token))]))
        .await
        .admitted();
    assert_eq!(Secret::new(&SECRET[..31]).unwrap_err().setting(), "secret");
    // Neither is guessed from bytes.
    assert!(PublicKey::from_pem(SECRET).is_err());
}

#[tokio::test]
async fn the_algorithms_are_a_list_with_hs256_alone_by_default() {
    let hs512 = |claims: &str| {
        sign(
            &SigningKey::hmac(SECRET),
            "HS512",
            r#"{"alg":"HS512"}"#,
            claims,
        )
    };
    let claims = format!(r#"{{"sub":"alice","exp":{}}}"#, NOW + 300);
    let answer = ask(
        &hs256_layer(),
        request(&[("authorization", bearer(&hs512(&claims)))]),
    )
    .await;
    answer.invalid("algorithm_not_allowed");
    let both = [Algorithm::HS256, Algorithm::HS512];
    let layer = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .algorithms(both)
        .clock(clock())
        .build()
        .unwrap();
    for token in [hs512(&claims), good_token()] {
        ask(&layer, request(&[("authorization", bearer(&token))]))
            .await
            .admitted();
    }
    for list in [
        &[][..],
        &[Algorithm::HS256, Algorithm::RS256],
        &[Algorithm::ES256],
    ] {
        let built = JwtLayer::builder(Secret::new(SECRET).unwrap())
            .algorithms(list.iter().copied())
            .build();
        assert_eq!(built.unwrap_err().setting(), "algorithms");
    }
}

#[tokio::test]
async fn the_header_of_tokens_is_authorization_unless_another_is_named() {
    let value = bearer(&good_token());
    ask(&hs256_layer(), request(&[("Authorization", &value)]))
        .await
        .admitted();
    let layer = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .header_name("X-Token")
        .clock(clock())
        .build()
        .unwrap();
    ask(&layer, request(&[("X-Token", &value)]))
        .await
        .admitted();
    ask(&layer, request(&[("Authorization", &value)]))
        .await
        .missing();
}

#[tokio::test]
async fn bearer_stands_before_a_token_unless_that_is_switched_off() {
    let (bare, with_scheme) = (good_token(), bearer(&good_token()));
    ask(&hs256_layer(), request(&[("authorization", &bare)]))
        .await
        .missing();
    ask(&hs256_layer(), request(&[("authorization", &with_scheme)]))
        .await
        .admitted();
    let layer = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .require_bearer(false)
        .clock(clock())
        .build()
        .unwrap();
    ask(&layer, request(&[("authorization", &bare)]))
        .await
        .admitted();
    let answer = ask(&layer, request(&[("authorization", &with_scheme)])).await;
    answer.malformed("malformed_credential");
}

#[tokio::test]
async fn a_handler_reads_claims_as_values_or_as_a_type_of_its_own() {
    let claims = format!(r#"{{"sub":"alice","tenant":"acme","exp":{}}}"#, NOW + 300);
    let answer = ask(
        &hs256_layer(),
        request(&[("authorization", bearer(&token(&claims)))]),
    )
    .await;
    assert_eq!(answer.principal().claims()["tenant"], "acme");
    #[derive(serde::Deserialize)]
    struct Claims {
        tenant: String,
    }
    assert_eq!(
        answer.principal().claims_as::<Claims>().unwrap().tenant,
        "acme"
    );
}

#[tokio::test]
async fn secrets_are_strong_and_tokens_expire() {
    for weak in ["secret", "your-secret-key-change-this-in-production"] {
        assert_eq!(Secret::new(weak).unwrap_err().setting(), "secret");
    }
    let short = Secret::new(&SECRET[..32]).unwrap();
    let built = JwtLayer::builder(short)
        .algorithms([Algorithm::HS512])
        .build();
    assert_eq!(built.unwrap_err().setting(), "secret");
    let forever = bearer(&token(r#"{"sub":"alice"}"#));
    let answer = ask(&hs256_layer(), request(&[("authorization", forever)])).await;
    answer.invalid("missing_exp");
}
