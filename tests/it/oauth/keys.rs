//! Keys while the authorization server works: when they are fetched, and how often.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::{AuthorizationServer, JwksOptions};

use crate::oauth::support::*;

#[tokio::test]
async fn the_first_request_discovers_and_fetches_and_the_next_does_not() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    assert!(web.log().is_empty(), "a constructor does no I/O");

    for _ in 0..3 {
        guarded
            .bearer(&key.token(json!({})))
            .await
            .assert(200, "accepted");
    }

    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    assert_eq!(web.log(), [metadata, JWKS.to_owned()]);
    assert_eq!(guarded.reached(), 3);
}

#[tokio::test]
async fn ten_thousand_requests_at_a_cold_start_share_one_fetch() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    web.hold(true);
    let mut requests = JoinSet::new();
    for _ in 0..10_000 {
        let (guarded, token) = (guarded.clone(), token.clone());
        requests.spawn(async move { guarded.bearer(&token).await });
    }
    settle().await;
    web.hold(false);

    let answers = requests.join_all().await;

    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(web.log().len(), 2, "one discovery and one key set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_start_on_several_threads_shares_one_fetch() {
    for _ in 0..20 {
        let key = Key::new("a");
        let web = Web::with_issuer(&[&key]);
        let guarded = Guarded::new(&web);
        let token = key.token(json!({}));
        let mut requests = JoinSet::new();
        for _ in 0..64 {
            let (guarded, token) = (guarded.clone(), token.clone());
            requests.spawn(async move { guarded.bearer(&token).await });
        }
        let answers = requests.join_all().await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(web.log().len(), 2);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_take_the_fetch_with_it() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    web.hold(true);
    let first = common::spawn({
        let (guarded, token) = (guarded.clone(), token.clone());
        async move { guarded.bearer(&token).await }
    });
    settle().await;
    assert_eq!(web.log().len(), 1);

    first.abort();
    settle().await;
    web.hold(false);

    guarded.bearer(&token).await.assert(200, "accepted");
    assert_eq!(
        web.log().len(),
        2,
        "the fetch of the one who left served the next"
    );
}

#[tokio::test]
async fn tokens_that_need_no_key_to_be_refused_cause_no_fetch() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let now = START.as_secs();
    let table = [
        (
            json!({"aud": "https://other.example.com"}),
            "audience_mismatch",
        ),
        (
            json!({"iss": "https://other.example.com"}),
            "issuer_mismatch",
        ),
        (json!({"exp": now - 61}), "expired"),
        (json!({"nbf": now + 61}), "not_yet_valid"),
        (json!({"token_use": "id"}), "wrong_token_type"),
        (json!({"cnf": {"jkt": "x"}}), "bound_token"),
    ];
    for (changes, reason) in table {
        let header = json!({"typ": "JWT"});
        let answer = guarded
            .bearer(&key.token_with_header(header, changes))
            .await;
        answer.assert(401, reason);
    }
    assert!(web.log().is_empty());
}

#[tokio::test]
async fn a_rotation_in_a_flood_of_unknown_keys_is_seen_within_one_cooldown() {
    let (old, new, junk) = (Key::new("old"), Key::new("new"), Key::new("junk"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    let token = old.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");

    for second in 0..30 {
        for number in 0..334 {
            let header = json!({"kid": format!("junk-{second}-{number}")});
            let answer = guarded
                .bearer(&junk.token_with_header(header, json!({})))
                .await;
            answer.assert(401, "unknown_key");
        }
        guarded.bearer(&token).await.assert(200, "accepted");
        if second == 5 {
            web.publish_keys(&[&old, &new]);
        }
        guarded.advance(1);
    }
    assert_eq!(web.count(JWKS), 1 + 3, "10,020 unknown ids in one window");

    guarded
        .bearer(&new.token(json!({})))
        .await
        .assert(200, "accepted");
    assert_eq!(web.count(JWKS), 1 + 3 + 1);
}

#[tokio::test]
async fn an_id_announced_by_an_unknown_caller_delays_the_key_by_a_cooldown_at_most() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&old.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded.advance(30);
    let foreign = Key::new("new");
    guarded
        .bearer(&foreign.token(json!({})))
        .await
        .assert(401, "unknown_key");

    web.publish_keys(&[&old, &new]);
    guarded.advance(29);
    guarded
        .bearer(&new.token(json!({})))
        .await
        .assert(401, "unknown_key");
    guarded.advance(1);
    guarded
        .bearer(&new.token(json!({})))
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn keys_are_refreshed_ahead_while_the_known_ones_serve() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");

    guarded.advance(479);
    guarded.bearer(&token).await.assert(200, "accepted");
    settle().await;
    assert_eq!(web.count(JWKS), 1);

    web.hold(true);
    guarded.advance(1);
    guarded.bearer(&token).await.assert(200, "accepted");
    guarded.bearer(&token).await.assert(200, "accepted");
    settle().await;
    assert_eq!(web.count(JWKS), 2, "in the background, once");
    web.hold(false);
    settle().await;
    let (_, health) = guarded.layer.health().remove(0);
    assert_eq!(health.age, Some(std::time::Duration::ZERO));
    let metadata = format!("{ISSUER}/.well-known/oauth-authorization-server");
    assert_eq!(web.count(&metadata), 1, "what was discovered is remembered");
}

#[tokio::test]
async fn keys_that_sat_idle_past_their_lifetime_are_refreshed_before_they_serve() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&old.token(json!({})))
        .await
        .assert(200, "accepted");

    web.publish_keys(&[&new]);
    guarded.advance(600);

    guarded
        .bearer(&old.token(json!({})))
        .await
        .assert(401, "unknown_key");
    guarded
        .bearer(&new.token(json!({})))
        .await
        .assert(200, "accepted");
}

#[tokio::test]
async fn a_withdrawn_key_stops_when_the_set_without_it_arrives() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&old.token(json!({})))
        .await
        .assert(200, "accepted");

    web.publish_keys(&[&new]);
    guarded.advance(31);
    guarded
        .bearer(&new.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&old.token(json!({})))
        .await
        .assert(401, "unknown_key");
}

#[tokio::test]
async fn the_lifetime_is_the_servers_within_limits() {
    let table: [(&str, &str, u64); 9] = [
        ("cache-control", "public, max-age=1200", 1200),
        ("cache-control", "Max-Age=\"1200\"", 1200),
        ("cache-control", "max-age=5", 60),
        ("cache-control", "no-store", 60),
        ("cache-control", "max-age=86400", 3600),
        ("cache-control", "max-age=nonsense", 600),
        ("expires", "0", 60),
        // START is Fri, 15 Jan 2027 08:00:00 GMT.
        ("expires", "Fri, 15 Jan 2027 08:20:00 GMT", 1200),
        ("etag", "\"x\"", 600),
    ];
    for (name, value, lifetime) in table {
        let (old, new) = (Key::new("old"), Key::new("new"));
        let web = Web::with_issuer(&[&old]);
        web.set(JWKS, Page::WithHeader(name, value, key_set(&[&old])));
        let guarded = Guarded::new(&web);
        let token = old.token(json!({"exp": START.as_secs() + 90_000}));
        guarded.bearer(&token).await.assert(200, "accepted");
        web.publish_keys(&[&new]);

        web.hold(true);
        guarded.advance(lifetime - 1);
        guarded.bearer(&token).await.assert(200, "accepted");
        guarded.advance(1);
        web.hold(false);
        let answer = guarded.bearer(&token).await;
        assert_eq!(answer.reason(), "unknown_key", "{name}: {value}");
    }
}

#[tokio::test]
async fn an_unusable_key_is_skipped_and_the_set_survives() {
    let key = Key::new("good");
    let web = Web::with_issuer(&[&key]);
    let with = |changes: serde_json::Value| {
        let mut jwk = Key::new("odd").jwk();
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    };
    let rsa = |n: usize, e: &str| {
        use base64::Engine;
        let n = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(vec![0xff; n]);
        json!({"kty": "RSA", "kid": "rsa", "n": n, "e": e})
    };
    let odd = [
        json!(5),
        json!({}),
        json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"}),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
        with(json!({"kid": 5})),
        with(json!({"use": "enc"})),
        with(json!({"key_ops": ["sign"]})),
        with(json!({"x": "AA"})),
        with(json!({"crv": "secp256k1"})),
        with(json!({"alg": "RS256"})),
        with(json!({"d": "AA"})),
        // Off the curve.
        with(json!({"y": with(json!({}))["x"]})),
        rsa(128, "AQAB"),
        rsa(1032, "AQAB"),
        rsa(256, "AQ"),
        rsa(256, "Ag"),
    ];
    let mut set = key_set(&[&key]);
    for jwk in odd {
        set["keys"].as_array_mut().unwrap().insert(0, jwk);
    }
    web.set(JWKS, Page::Json(set));
    let guarded = Guarded::new(&web);

    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    let (_, health) = guarded.layer.health().remove(0);
    assert_eq!(health.keys, 1);
}

#[tokio::test]
async fn static_keys_are_never_fetched() {
    let (key, other) = (Key::new("a"), Key::new("b"));
    let web = Web::new();
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .jwks(key_set(&[&key]).to_string())
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&other.token(json!({})))
        .await
        .assert(401, "unknown_key");
    guarded.layer.warm_up().await.unwrap();
    assert!(web.log().is_empty());
}

#[tokio::test]
async fn a_configured_key_set_is_fetched_without_discovery() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER)
        .unwrap()
        .jwks_uri(JWKS)
        .unwrap();
    let guarded = Guarded::with_server(&web, server);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    assert_eq!(web.log(), [JWKS]);
}

#[tokio::test]
async fn warm_up_fetches_before_the_first_request() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    guarded.layer.warm_up().await.unwrap();
    assert_eq!(web.log().len(), 2);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    assert_eq!(web.log().len(), 2);

    web.set(JWKS, Page::Status(500));
    let guarded = Guarded::new(&web);
    let error = guarded.layer.warm_up().await.unwrap_err();
    assert_eq!(error.reason(), "keys_unavailable");
    assert!(error.detail().unwrap().contains("status 500"), "{error:?}");
}

#[tokio::test]
async fn keys_may_be_fresh_for_ever() {
    const FOR_EVER: Duration = Duration::MAX;

    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(AuthorizationServer::new(ISSUER).unwrap())
        .unwrap()
        .jwks_options(
            JwksOptions::new()
                .default_ttl(FOR_EVER)
                .ttl_bounds(FOR_EVER..=FOR_EVER),
        )
        .fetch(web.clone())
        .build()
        .unwrap();
    layer.warm_up().await.unwrap();
    assert!(layer.health()[0].1.serving);
}

/// The `alg` of a JWK is the only one that the key serves.
#[tokio::test]
async fn a_key_declared_for_one_padding_serves_no_other() {
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    let jwk = |alg: &str| {
        json!({"kty": "RSA", "kid": "a", "alg": alg, "use": "sig",
            "n": B64.encode(n.big_endian_without_leading_zero()),
            "e": B64.encode(e.big_endian_without_leading_zero())})
    };
    let token = |alg: &str, padding: &'static dyn RsaEncoding| {
        let now = START.as_secs();
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": "a"});
        let claims = json!({"iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app", "exp": now + 3600, "iat": now});
        let input = format!(
            "{}.{}",
            B64.encode(header.to_string()),
            B64.encode(claims.to_string())
        );
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            padding,
            &aws_lc_rs::rand::SystemRandom::new(),
            input.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{input}.{}", B64.encode(signature))
    };
    let tokens = [
        ("RS256", token("RS256", &RSA_PKCS1_SHA256)),
        ("PS256", token("PS256", &RSA_PSS_SHA256)),
    ];
    for declared in ["RS256", "PS256"] {
        let web = Web::with_issuer(&[]);
        web.set(JWKS, Page::Json(json!({"keys": [jwk(declared)]})));
        let guarded = Guarded::new(&web);
        for (alg, token) in &tokens {
            let answer = guarded.bearer(token).await;
            if *alg == declared {
                answer.assert(200, "accepted");
            } else {
                answer.assert(401, "unknown_key");
            }
        }
    }
}
