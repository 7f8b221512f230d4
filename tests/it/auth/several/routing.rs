//! Who gets a credential to see.

use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::{ApiKeyLayer, Location, Principal};

use crate::auth::several::network::{ISSUER, START, Web};
use crate::auth::several::support::*;
use common::jwt::b64;
use common::{Answering, SECRET, ask, clock, request, token};

/// The three in all orders, nested to the left and to the right.
fn orders(web: &Web) -> Vec<(&'static str, Layer)> {
    let clock = clock();
    let all = || {
        let (oauth, keys) = (oauth(web, &clock).boxed(), bearer_keys(&clock).boxed());
        (oauth, keys, jwt(JWT_ISSUER, &clock).boxed())
    };
    let left = |a: Layer, b: Layer, c: Layer| a.or(b).unwrap().or(c).unwrap().boxed();
    let right = |a: Layer, b: Layer, c: Layer| a.or(b.or(c).unwrap()).unwrap().boxed();
    let mut orders = Vec::new();
    for (nesting, join) in [
        ("left", &left as &dyn Fn(Layer, Layer, Layer) -> Layer),
        ("right", &right),
    ] {
        for order in 0..6 {
            let (o, k, j) = all();
            orders.push((
                nesting,
                match order {
                    0 => join(o, k, j),
                    1 => join(o, j, k),
                    2 => join(k, o, j),
                    3 => join(k, j, o),
                    4 => join(j, o, k),
                    _ => join(j, k, o),
                },
            ));
        }
    }
    orders
}

#[tokio::test]
async fn a_credential_goes_to_the_provider_of_its_shape_in_whatever_order_they_are_written() {
    let web = web();
    let good = [
        (SIGNER.token(serde_json::json!({})), "oauth", "alice"),
        (OPAQUE.to_owned(), "oauth", "alice"),
        (KEY.to_owned(), "api_key", "ci"),
        (jwt_of(JWT_ISSUER), "jwt", "carol"),
    ];
    for (nesting, layer) in orders(&web) {
        for (credential, provider, subject) in &good {
            let answer = bearer(&layer, credential).await;
            let principal = answer.principal();
            let who = (principal.provider(), principal.subject().unwrap());
            assert_eq!(who, (*provider, *subject), "{nesting}: {layer:?}");
            assert!(!answer.admitted().headers.contains_key("authorization"));
        }
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_by_the_provider_of_its_shape() {
    let web = web();
    let exp = START.as_secs() + 300;
    let bad = [
        // What has the prefix is a key, good or bad.
        ("acme_bm9ib2R5LWtub3dzLXRoaXMtb25l", "unknown_api_key"),
        ("acme_", "unknown_api_key"),
        (&jwt_of("https://evil.example.com"), "issuer_mismatch"),
        (
            &token(&format!(r#"{{"sub":"carol","exp":{exp}}}"#)),
            "missing_issuer",
        ),
        (
            &token(&format!(
                r#"{{"iss":"{JWT_ISSUER}","sub":"carol","exp":1}}"#
            )),
            "expired",
        ),
        // A token that names the issuer of the other provider is judged by that one.
        (&jwt_of(ISSUER), "algorithm_not_allowed"),
        (
            &SIGNER.token(serde_json::json!({"iss": JWT_ISSUER})),
            "algorithm_not_allowed",
        ),
        ("opaque-of-nobody", "inactive_token"),
    ];
    for (nesting, layer) in orders(&web) {
        for (credential, reason) in bad {
            let answer = bearer(&layer, credential).await;
            assert_eq!(answer.error().reason(), reason, "{nesting}: {credential}");
            assert_eq!(answer.status, 401);
        }
    }
}

#[tokio::test]
async fn a_key_never_reaches_the_introspection_endpoint() {
    let web = web();
    for (_, layer) in orders(&web) {
        for key in [
            KEY,
            "acme_bm9ib2R5LWtub3dzLXRoaXMtb25l",
            "acme_a.b.c",
            "acme_==",
        ] {
            bearer(&layer, key).await;
        }
    }
    assert_eq!(asked(&web), 0, "{:?}", web.log());

    // A token that is no known key does reach it: the count above counts.
    let (_, layer) = orders(&web).remove(0);
    bearer(&layer, OPAQUE).await;
    assert_eq!(asked(&web), 1);
}

#[tokio::test]
async fn a_jwt_of_another_issuer_is_shown_to_no_server() {
    let web = web();
    let foreign = [jwt_of(JWT_ISSUER), jwt_of("https://evil.example.com")];
    // Nor where its header is one that no provider reads.
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let unreadable = foreign.each_ref().map(|token| {
        let (_, rest) = token.split_once('.').unwrap();
        let headers = [deep.as_bytes(), b"{\"x\":\"\xff\"}"];
        headers.map(|header| format!("{}.{rest}", b64(header)))
    });
    for (_, layer) in orders(&web) {
        for token in &foreign {
            bearer(&layer, token).await;
        }
        for token in unreadable.iter().flatten() {
            let answer = bearer(&layer, token).await;
            assert_ne!(answer.error().reason(), "inactive_token");
        }
    }
    assert_eq!(web.log(), Vec::<String>::new());
}

#[tokio::test]
async fn providers_of_different_headers_need_no_prefix_and_no_issuer() {
    let web = web();
    let clock = clock();
    let layer = keys(&clock).or(oauth(&web, &clock)).unwrap().boxed();
    let answer = ask(&layer, request(&[("x-api-key", KEY)])).await;
    assert_eq!(answer.principal().provider(), "api_key");
    assert!(!answer.admitted().headers.contains_key("x-api-key"));
    let answer = bearer(&layer, OPAQUE).await;
    assert_eq!(answer.principal().provider(), "oauth");
    // Without a prefix nothing tells a key in the wrong header from an opaque token.
    assert_eq!(bearer(&layer, KEY).await.error().reason(), "inactive_token");
}

#[tokio::test]
async fn a_key_with_a_prefix_is_shown_to_no_server_where_tokens_stand() {
    let web = web();
    let clock = clock();
    let oauth = || oauth(&web, &clock);
    let keys = |prefix| keys(&clock).prefix(prefix).unwrap();
    let jwt = jwt(JWT_ISSUER, &clock);
    for layer in [
        oauth().or(keys("acme_")).unwrap().boxed(),
        keys("acme_").or(oauth()).unwrap().boxed(),
        keys("acme_").or(jwt).unwrap().or(oauth()).unwrap().boxed(),
    ] {
        let by_key = ask(&layer, request(&[("x-api-key", KEY)])).await;
        assert_eq!(by_key.principal().provider(), "api_key");
        for key in [KEY, "acme_bm9ib2R5LWtub3dzLXRoaXMtb25l"] {
            let answer = bearer(&layer, key).await;
            answer.invalid("misplaced_credential");
        }
        assert_eq!(asked(&web), 0);
    }
    // A token in the header for keys is shown to no store of keys.
    let marked = introspection().token_prefix("opq_").unwrap();
    let tokens = oauth_with(&web, &clock, marked);
    let layer = tokens.or(keys("acme_")).unwrap().boxed();
    let token = request(&[("x-api-key", "opq_a-token-in-the-wrong-place")]);
    ask(&layer, token).await.invalid("misplaced_credential");
    // A prefix that a JWT can begin with marks nothing elsewhere.
    let key = ApiKey::new("e-Zm9yLXRoZS10ZXN0cy1vbmx5").unwrap();
    let keys = ApiKeyLayer::new([key]).unwrap().clock(clock.clone());
    let layer = oauth().or(keys.prefix("e").unwrap()).unwrap().boxed();
    let good = SIGNER.token(serde_json::json!({}));
    let answer = bearer(&layer, &good).await;
    assert_eq!(answer.principal().provider(), "oauth");
}

#[tokio::test]
async fn two_credentials_are_refused_and_headers_that_are_not_read_are_left_alone() {
    let web = web();
    let clock = clock();
    let layer = oauth(&web, &clock).or(keys(&clock)).unwrap().boxed();
    let token = format!("Bearer {OPAQUE}");
    for order in [
        [("authorization", &*token), ("x-api-key", KEY)],
        [("x-api-key", KEY), ("authorization", &*token)],
    ] {
        ask(&layer, request(&order))
            .await
            .malformed("multiple_credentials");
    }
    let twice = request(&[("x-api-key", KEY), ("x-api-key", KEY)]);
    ask(&layer, twice).await.malformed("duplicate_credential");

    let other = request(&[("x-api-key", KEY), ("x-session-token", "theirs")]);
    let answer = ask(&layer, other).await;
    assert_eq!(answer.admitted().headers["x-session-token"], "theirs");
    // A scheme no provider reads is no credential.
    let basic = request(&[("x-api-key", KEY), ("authorization", "Basic dTpw")]);
    let answer = ask(&layer, basic).await;
    assert_eq!(answer.admitted().headers["authorization"], "Basic dTpw");
    // Beside a layer that reads no keys, a key is just a header.
    let alone = oauth(&web, &clock).boxed();
    let both = request(&[("authorization", &*token), ("x-api-key", KEY)]);
    assert_eq!(ask(&alone, both).await.admitted().headers["x-api-key"], KEY);
}

#[tokio::test]
async fn a_query_parameter_named_like_the_header_of_either_is_refused() {
    let layer = AuthLayer::new(Answering::accepting());
    let badge = Location::bare("x-badge".parse().unwrap());
    let other = AuthLayer::new(Answering::accepting().locations([badge]));
    let layer = layer.or(other).unwrap();
    let asked = common::request_to("/mcp?x_badge=17", &[("authorization", "Bearer a")]);
    ask(&layer, asked).await.malformed("token_in_query");
}

#[tokio::test]
async fn documents_of_the_provider_written_second_are_served() {
    let web = web();
    let clock = clock();
    let layer = keys(&clock).or(oauth(&web, &clock)).unwrap();
    let path = "/.well-known/oauth-protected-resource/mcp";
    let answer = ask(&layer, common::request_to::<&str>(path, &[])).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(ISSUER), "{}", answer.text());
}

#[tokio::test]
async fn keys_can_be_replaced_behind_a_combination() {
    let clock = clock();
    let layer = oauth(&web(), &clock).or(keys(&clock)).unwrap();
    let next = "acme_YW5vdGhlci1rZXktZm9yLXRlc3Rz";
    layer.provider().right().replace([next]).unwrap();
    let answer = ask(&layer, request(&[("x-api-key", next)])).await;
    assert!(Principal::from_extensions(&answer.admitted().extensions).is_some());
    let answer = ask(&layer, request(&[("x-api-key", KEY)])).await;
    answer.invalid("unknown_api_key");
}

/// A token that one of the two reads goes to that one, however short those of the other are.
#[tokio::test]
async fn a_long_token_goes_to_its_issuer_where_that_layer_reads_it() {
    let (web, clock) = (web(), clock());
    let long = || {
        tower_mcp_auth::JwtLayer::builder(tower_mcp_auth::jose::Secret::new(SECRET).unwrap())
            .issuer(JWT_ISSUER)
            .max_token_bytes(32 * 1024)
            .clock(clock.clone())
            .build()
            .unwrap()
    };
    let exp = START.as_secs() + 300;
    let (x, y) = ("x".repeat(15_000), "y".repeat(30_000));
    let claims = |issuer: &str, x: &str| {
        token(&format!(
            r#"{{"iss":"{issuer}","sub":"carol","exp":{exp},"x":"{x}"}}"#
        ))
    };
    for layer in [
        oauth(&web, &clock)
            .boxed()
            .or(long().boxed())
            .unwrap()
            .boxed(),
        long()
            .boxed()
            .or(oauth(&web, &clock).boxed())
            .unwrap()
            .boxed(),
    ] {
        let answer = bearer(&layer, &claims(JWT_ISSUER, &x)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        bearer(&layer, &claims(ISSUER, &x))
            .await
            .invalid("token_too_large");
        bearer(&layer, &claims(JWT_ISSUER, &y))
            .await
            .invalid("token_too_large");
    }
    assert_eq!(asked(&web), 0);
}
