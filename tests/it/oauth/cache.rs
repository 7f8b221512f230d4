//! Tokens seen before: never answered otherwise than new ones.

use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::oauth::{AuthorizationServer, TokenCacheOptions};
use tower_mcp_auth::{OAuthLayer, Principal};

use crate::oauth::support::*;

fn guarded(web: &Web, cache: TokenCacheOptions) -> Guarded {
    let mut guarded = Guarded::new(web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .token_cache(cache)
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    guarded
}

#[tokio::test]
async fn cached_and_uncached_answers_agree_at_every_second() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let cached = guarded(&web, TokenCacheOptions::new());
    let uncached = guarded(&web, TokenCacheOptions::disabled());
    let now = START.as_secs();
    let tokens = [
        old.token(json!({"exp": now + 100, "nbf": now + 50})),
        old.token(json!({"exp": now + 900})),
        new.token(json!({"exp": now + 900, "iat": now + 70})),
        new.token(json!({"exp": now + 90_000, "aud": "other"})),
    ];
    for second in 0..1000 {
        if second == 300 {
            web.publish_keys(&[&old, &new]);
        }
        if second == 700 {
            web.publish_keys(&[&new]);
        }
        for token in &tokens {
            let (one, other) = (cached.bearer(token).await, uncached.bearer(token).await);
            let answers = [one.reason().to_owned(), other.reason().to_owned()];
            assert_eq!(answers[0], answers[1], "second {second}");
            assert_eq!(one.status, other.status);
        }
        settle().await;
        cached.advance(1);
        uncached.advance(1);
    }
}

#[tokio::test]
async fn an_entry_dies_with_its_key_by_id_and_by_material() {
    let (old, same_id, other) = (Key::new("a"), Key::new("a"), Key::new("b"));
    let web = Web::with_issuer(&[&old]);
    let guarded = guarded(&web, TokenCacheOptions::new());
    let token = old.token(json!({}));
    for (keys, status, reason) in [
        (vec![&old], 200, "accepted"),
        (vec![&same_id], 401, "invalid_signature"),
        (vec![&old], 200, "accepted"),
        (vec![&other], 401, "unknown_key"),
        (vec![&old], 200, "accepted"),
        // A set without a key is no set: the last one stays.
        (vec![], 200, "accepted"),
    ] {
        web.publish_keys(&keys);
        let warm = guarded.layer.warm_up().await;
        assert_eq!(warm.is_ok(), !keys.is_empty());
        guarded.bearer(&token).await.assert(status, reason);
    }
}

#[tokio::test]
async fn an_entry_lives_as_long_as_its_key_is_among_those_a_token_is_tried_with() {
    let keys: Vec<Key> = (0..5).map(|_| Key::new("a")).collect();
    let renamed = |key: &Key, kid: &str| {
        let mut jwk = key.jwk();
        jwk["kid"] = json!(kid);
        jwk
    };
    let web = Web::with_issuer(&[&keys[0]]);
    let guarded = guarded(&web, TokenCacheOptions::new());
    let named = keys[0].token(json!({}));
    let unnamed = keys[0].token_with_header(json!({"kid": null}), json!({}));
    let all: Vec<&Key> = keys.iter().collect();
    let publish = |jwks: Vec<serde_json::Value>| web.set(JWKS, Page::Json(json!({"keys": jwks})));
    let jwk = |key: &Key| key.jwk();
    let rows = [
        (vec![jwk(all[0])], "accepted", "accepted"),
        (
            all[..4].iter().map(|key| jwk(key)).collect(),
            "accepted",
            "accepted",
        ),
        // The material under another id: tokens that name none are not touched.
        (vec![renamed(all[0], "b")], "unknown_key", "accepted"),
        (vec![jwk(all[1]), jwk(all[0])], "accepted", "accepted"),
        (
            vec![jwk(all[1]), jwk(all[2])],
            "invalid_signature",
            "invalid_signature",
        ),
        (vec![jwk(all[0]), jwk(all[0])], "accepted", "accepted"),
        (
            all.iter().map(|key| jwk(key)).collect(),
            "ambiguous_key",
            "ambiguous_key",
        ),
        (vec![jwk(all[0])], "accepted", "accepted"),
    ];
    for (row, (jwks, with_id, without_id)) in rows.into_iter().enumerate() {
        publish(jwks);
        guarded.layer.warm_up().await.unwrap();
        for (token, reason) in [(&named, with_id), (&unnamed, without_id)] {
            let answer = guarded.bearer(token).await;
            assert_eq!(answer.reason(), reason, "row {row}: {}", answer.detail());
        }
    }
}

#[tokio::test]
async fn keys_that_sat_idle_are_refreshed_for_cached_tokens_too() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let web = Web::with_issuer(&[&old]);
    let guarded = guarded(
        &web,
        TokenCacheOptions::new().max_ttl(Duration::from_secs(3600)),
    );
    let token = old.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");
    web.publish_keys(&[&new]);
    guarded.advance(600);
    guarded.bearer(&token).await.assert(401, "unknown_key");
}

#[tokio::test]
async fn tokens_that_differ_in_the_last_byte_are_two() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = guarded(&web, TokenCacheOptions::new());
    let token = key.token(json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");
    let last = if token.ends_with('A') { 'Q' } else { 'A' };
    let other = format!("{}{last}", &token[..token.len() - 1]);
    guarded
        .bearer(&other)
        .await
        .assert(401, "invalid_signature");
}

#[tokio::test]
async fn a_known_signature_carries_no_other_text() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = guarded(&web, TokenCacheOptions::new());
    // Short and long ones are known by different parts.
    for filling in [0, 700, 3000] {
        let claims = |sub: &str| json!({"sub": sub, "filling": "x".repeat(filling)});
        let (own, strange) = (key.token(claims("mallory")), key.token(claims("alice")));
        guarded.bearer(&own).await.assert(200, "accepted");
        let (text, signature) = own.rsplit_once('.').unwrap();
        let (other_text, other_signature) = strange.rsplit_once('.').unwrap();
        let (header, _) = text.split_once('.').unwrap();
        for (forged, reason) in [
            (format!("{other_text}.{signature}"), "invalid_signature"),
            (format!("{text}.{other_signature}"), "invalid_signature"),
            (format!("{header}.{signature}"), "not_a_jwt"),
            (format!("{text}..{signature}"), "not_a_jwt"),
            (format!(".{signature}"), "not_a_jwt"),
            (signature.to_owned(), "not_a_jwt"),
            (format!("{own}."), "not_a_jwt"),
        ] {
            guarded.bearer(&forged).await.assert(401, reason);
            guarded.bearer(&own).await.assert(200, "accepted");
        }
        guarded.bearer(&strange).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn scopes_are_judged_at_every_request() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let layer = |scopes: &[&str]| {
        OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(AuthorizationServer::new(ISSUER).unwrap())
            .unwrap()
            .required_scopes(scopes.iter().copied())
    };
    let mut guarded = Guarded::new(&web);
    guarded.layer = layer(&["mcp:write"])
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .build()
        .unwrap();
    for _ in 0..3 {
        guarded
            .bearer(&key.token(json!({})))
            .await
            .assert(403, "insufficient_scope");
    }
}

/// Header and payload are kept of a token where they have 1 KiB at most; of a longer one, its
/// claims.
#[tokio::test]
async fn claims_are_the_same_whether_a_token_is_known_and_however_long_it_is() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let cached = guarded(&web, TokenCacheOptions::new());
    let uncached = guarded(&web, TokenCacheOptions::disabled());
    for (length, is_short) in [(0, true), (300, true), (700, false), (5_000, false)] {
        let claims = json!({"note": "\u{fc}".repeat(length / 2), "n": {"deep": [1.5, null]}});
        let token = key.token(claims.clone());
        assert_eq!(token.rfind('.').unwrap() <= 1024, is_short, "{length}");
        let told = async |guarded: &Guarded| {
            let answer = guarded.bearer(&token).await;
            answer.assert(200, "accepted");
            answer.who.unwrap()
        };
        let expected = told(&uncached).await.claims().clone();
        assert_eq!(expected["note"], claims["note"]);
        assert_eq!(expected["iss"], ISSUER);
        let place = |who: &Principal| who.subject().unwrap().as_ptr().addr();
        // Of the first nothing is asked.
        let new = told(&cached).await;
        for time in ["first asked for", "asked for again"] {
            let known = told(&cached).await;
            assert_eq!(place(&known), place(&new), "{length}");
            assert_eq!(*known.claims(), expected, "{length}, {time}");
            let whole: serde_json::Map<_, _> = known.claims_as().unwrap();
            assert_eq!(whole, expected, "{length}, {time}");
        }
        assert_eq!(*new.claims(), expected, "{length}");
    }
}

/// What is kept is the principal itself: one that lies elsewhere in memory was judged anew.
#[tokio::test]
async fn the_cache_keeps_nothing_past_its_life() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = guarded(
        &web,
        TokenCacheOptions::new().max_ttl(Duration::from_secs(10)),
    );
    let token = key.token(json!({}));
    let ask = async || {
        let answer = guarded.bearer(&token).await;
        answer.assert(200, "accepted");
        answer.who.unwrap()
    };
    let place = |who: &Principal| who.subject().unwrap().as_ptr().addr();
    let first = ask().await;
    guarded.advance(9);
    let kept = ask().await;
    assert_eq!(place(&kept), place(&first));
    guarded.advance(1);
    let anew = ask().await;
    assert_ne!(place(&anew), place(&first));
    // And that one is kept in its turn.
    guarded.advance(9);
    assert_eq!(place(&ask().await), place(&anew));
    guarded.advance(1);
    let third = ask().await;
    assert!(![place(&first), place(&anew)].contains(&place(&third)));
}

/// A stream may last for hours, and a layer be replaced every minute.
#[tokio::test]
async fn a_principal_that_is_kept_does_not_keep_the_servers_of_its_layer() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::new(&web);
    let token = key.token(json!({}));
    let (new, known) = (guarded.bearer(&token).await, guarded.bearer(&token).await);
    settle().await;
    assert_ne!(web.holders(), 1);
    drop(guarded);
    assert_eq!(web.holders(), 1);
    for principal in [new.who.unwrap(), known.who.unwrap()] {
        assert_eq!(principal.subject(), Some("alice"));
    }
}

#[tokio::test]
async fn a_life_without_end_does_not_panic() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let mut guarded = Guarded::new(&web);
    guarded.layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(ISSUER)
        .unwrap()
        .clock(guarded.clock.clone())
        .fetch(web.clone())
        .token_cache(
            TokenCacheOptions::new()
                .max_ttl(Duration::MAX)
                .max_bytes(u64::MAX)
                .max_tokens(u64::MAX),
        )
        .build()
        .unwrap();
    for exp in [json!(u64::MAX), json!(1.8e19), json!(4_000_000_000_u64)] {
        let token = key.token(json!({"exp": exp}));
        for _ in 0..10 {
            guarded.bearer(&token).await.assert(200, "accepted");
        }
    }
}

/// Duplicate-signature key selection: for any signature and any message there is a P-256 key
/// that makes it hold, and who runs a trusted issuer can publish that key.
#[tokio::test]
async fn one_signature_of_two_issuers_is_two_tokens() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    use p256::elliptic_curve::PrimeField;
    use p256::elliptic_curve::ops::Reduce;
    use p256::elliptic_curve::point::DecompressPoint;
    use p256::elliptic_curve::sec1::ToEncodedPoint;
    use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, U256};
    use sha2::Digest;

    const EVIL: &str = "https://evil.example";
    let key = Key::new("a");
    let good = key.token(json!({}));
    let signature = good.rsplit('.').next().unwrap();
    let now = START.as_secs();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "a"});
    let claims = json!({"iss": EVIL, "aud": RESOURCE, "sub": "mallory", "client_id": "app", "exp": now + 3600, "iat": now, "scope": "mcp:read"});
    let input = format!(
        "{}.{}",
        B64.encode(header.to_string()),
        B64.encode(claims.to_string())
    );
    let raw = B64.decode(signature).unwrap();
    let (r, s) = (
        FieldBytes::from(*raw[..32].first_chunk::<32>().unwrap()),
        FieldBytes::from(*raw[32..].first_chunk::<32>().unwrap()),
    );
    let hash: [u8; 32] = sha2::Sha256::digest(input.as_bytes()).into();
    let z = <Scalar as Reduce<U256>>::reduce_bytes(&FieldBytes::from(hash));
    // R is one of the two points with this x, and Q = (s R - z G) / r.
    let point = ProjectivePoint::from(AffinePoint::decompress(&r, 0.into()).unwrap());
    let (r, s) = (Scalar::from_repr(r).unwrap(), Scalar::from_repr(s).unwrap());
    let own = (point * s - ProjectivePoint::GENERATOR * z) * r.invert().unwrap();
    let point = own.to_affine().to_encoded_point(false);
    let jwk = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "a",
        "x": B64.encode(point.x().unwrap()), "y": B64.encode(point.y().unwrap())}]});
    let evil = format!("{input}.{signature}");

    let web = Web::with_issuer(&[&key]);
    web.publish_metadata(EVIL);
    web.set(&format!("{EVIL}/keys"), Page::Json(jwk));
    let servers = [ISSUER, EVIL].map(|issuer| AuthorizationServer::new(issuer).unwrap());
    let guarded = Guarded::with_servers(&web, servers);
    for _ in 0..40 {
        let one = guarded.bearer(&good).await;
        one.assert(200, "accepted");
        assert!(one.principal.unwrap().contains("sub=alice"));
        let other = guarded.bearer(&evil).await;
        other.assert(200, "accepted");
        assert!(other.principal.unwrap().contains("sub=mallory"));
    }
    // Whichever is remembered, revoking the key of one ends that one alone.
    web.publish_keys(&[&Key::new("another")]);
    guarded.advance(700);
    assert_ne!(guarded.bearer(&good).await.status, 200);
    guarded.bearer(&evil).await.assert(200, "accepted");
}

/// The claims of a principal from the cache are those that stand there.
#[tokio::test]
async fn as_many_tokens_are_kept_as_are_set() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    for most in [1, 2, 3, 10] {
        for cache in [
            TokenCacheOptions::new().max_tokens(most),
            TokenCacheOptions::new()
                .max_tokens(most)
                .max_bytes(u64::MAX),
            TokenCacheOptions::new()
                .max_tokens(most)
                .max_bytes(64 << 10),
        ] {
            let guarded = guarded(&web, cache.clone());
            let tokens = (0..most).map(|n| key.token(json!({ "sub": n.to_string() })));
            let tokens: Vec<_> = tokens.collect();
            let mut first = Vec::new();
            for token in &tokens {
                first.push(guarded.bearer(token).await);
            }
            for (token, first) in tokens.iter().zip(&first) {
                let again = guarded.bearer(token).await;
                let at = |answer: &Answer| answer.who.as_ref().unwrap().subject().map(str::as_ptr);
                assert_eq!(at(&again), at(first), "{cache:?}");
            }
        }
    }
}
