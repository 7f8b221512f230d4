//! What is promised of `ApiKeyLayer` and `JwtLayer`, one test for each promise; the other files go
//! into depth.

use common::{
    API_KEY, Answering, NOW, SECRET, SigningKey, ask, clock, good_token, guards, hs256_layer,
    invalid, request, request_to, sign, token,
};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::{AuthLayer, SseEndpoints};
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};
use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind, JwtLayer, Reason};

const OTHER_KEY: &str = "b3RoZXIta2V5LWZvci10aGUtdGVzdHM";

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn the_list_of_keys_can_be_replaced_while_serving() {
    let layer = ApiKeyLayer::new([API_KEY, OTHER_KEY]).unwrap();
    ask(&layer, request(&[("x-api-key", API_KEY)]))
        .await
        .admitted();
    ask(&layer, request(&[("x-api-key", OTHER_KEY)]))
        .await
        .admitted();
    layer.keys().replace([OTHER_KEY]).unwrap();
    let answer = ask(&layer, request(&[("x-api-key", API_KEY)])).await;
    answer.invalid("unknown_api_key");
    assert!(!format!("{layer:?}").contains(API_KEY));
}

#[tokio::test]
async fn the_header_of_keys_is_x_api_key_unless_another_is_named() {
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    ask(&layer, request(&[("X-API-Key", API_KEY)]))
        .await
        .admitted();
    let layer = layer.header_name("X-Acme-Key").unwrap();
    ask(&layer, request(&[("X-Acme-Key", API_KEY)]))
        .await
        .admitted();
    ask(&layer, request(&[("X-API-Key", API_KEY)]))
        .await
        .missing();
}

#[tokio::test]
async fn a_key_stands_in_its_header_and_never_in_a_query() {
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    for name in ["api_key", "apiKey", "apikey", "x-api-key", "X-Api-Key"] {
        let request = request_to::<&str>(&format!("/mcp?{name}={API_KEY}"), &[]);
        ask(&layer, request).await.malformed("token_in_query");
    }
    let in_authorization = request(&[("authorization", bearer(API_KEY))]);
    ask(&layer, in_authorization).await.missing();
    let asked_for = layer.header_name("Authorization").unwrap();
    ask(&asked_for, request(&[("authorization", API_KEY)]))
        .await
        .admitted();
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
    let layer = JwtLayer::builder(secret())
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
        let built = JwtLayer::builder(secret())
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
    let layer = JwtLayer::builder(secret())
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
    let layer = JwtLayer::builder(secret())
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
async fn a_credential_in_the_query_is_refused_with_and_without_a_good_header() {
    for guard in guards() {
        for name in [
            "access_token",
            "token",
            "authorization",
            "api_key",
            "apikey",
            "x-api-key",
        ] {
            let uri = format!("/mcp?{name}={}", guard.credential);
            ask(&guard.layer, guard.bare_request(&uri))
                .await
                .malformed("token_in_query");
            ask(&guard.layer, guard.good_request(&uri))
                .await
                .malformed("token_in_query");
        }
    }
}

#[tokio::test]
async fn a_challenge_has_an_error_only_where_a_credential_was_sent() {
    let answer = ask(&hs256_layer(), request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(answer.challenges(), [r#"Bearer realm="MCP Server""#]);
    let answer = ask(&hs256_layer(), request(&[("authorization", "Bearer x")])).await;
    answer.invalid("not_a_jwt");
    assert!(answer.challenges()[0].contains(r#"error="invalid_token""#));
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    let answer = ask(&layer, request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"ApiKey realm="MCP Server", header="X-API-Key""#]
    );
}

#[tokio::test]
async fn one_layer_guards_every_path_and_method() {
    for guard in guards() {
        for path in [
            "/",
            "/mcp",
            "/sse",
            "/messages",
            "/mcp_message",
            "/anything/else",
        ] {
            for method in ["GET", "POST", "DELETE", "OPTIONS", "HEAD"] {
                let mut request = guard.bare_request(path);
                *request.method_mut() = method.parse().unwrap();
                ask(&guard.layer, request).await.missing();
            }
        }
    }
}

fn of(method: &str, path: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = request_to::<&str>(path, &[]);
    *request.method_mut() = method.parse().unwrap();
    request
}

#[tokio::test]
async fn with_sse_endpoints_the_stream_is_open_unless_it_is_guarded() {
    for guard in guards() {
        ask(&guard.layer, of("GET", "/sse")).await.missing();
        let layer = guard
            .layer
            .clone()
            .sse_endpoints(SseEndpoints::new())
            .unwrap();
        ask(&layer, of("GET", "/sse")).await.admitted();
        let on = SseEndpoints::new().sse(true);
        let layer = guard.layer.clone().sse_endpoints(on).unwrap();
        ask(&layer, of("GET", "/sse")).await.missing();
    }
}

#[tokio::test]
async fn with_sse_endpoints_the_messages_are_guarded_unless_they_are_opened() {
    for guard in guards() {
        let layer = guard
            .layer
            .clone()
            .sse_endpoints(SseEndpoints::new())
            .unwrap();
        ask(&layer, of("POST", "/messages")).await.missing();
        let off = SseEndpoints::new().messages(false);
        let layer = guard.layer.clone().sse_endpoints(off).unwrap();
        ask(&layer, of("POST", "/messages")).await.admitted();
    }
}

#[tokio::test]
async fn the_body_of_a_refused_key_is_another_than_that_of_a_missing_one() {
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    // A key that was not sent is not invalid: the same body as where a token is missing.
    for (headers, body) in [
        (
            &[("x-api-key", OTHER_KEY)][..],
            r#"{"error":"Invalid API key","status":401,"type":"authentication_error"}"#,
        ),
        (
            &[],
            r#"{"error":"unauthorized","error_description":"Authentication is required","status":401,"type":"authentication_error"}"#,
        ),
    ] {
        let answer = ask(&layer, request(headers)).await;
        answer.error();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.text(), body);
    }
}

#[tokio::test]
async fn missing_broken_and_expired_jwts_have_one_body() {
    let expired = bearer(&token(r#"{"sub":"alice","exp":1}"#));
    for headers in [
        &[][..],
        &[("authorization", "Bearer x")],
        &[("authorization", &*expired)],
    ] {
        let answer = ask(&hs256_layer(), request(headers)).await;
        answer.error();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(
            answer.text(),
            r#"{"error":"Invalid or expired JWT token","status":401,"type":"authentication_error"}"#
        );
    }
}

#[tokio::test]
async fn statuses_are_400_401_403_and_503() {
    for (error, status) in [
        (AuthError::missing(), 401),
        (
            AuthError::new(Reason::custom(AuthErrorKind::Malformed, "m")),
            400,
        ),
        (invalid("i"), 401),
        (AuthError::insufficient_scope("a".parse().unwrap()), 403),
        (
            AuthError::new(Reason::custom(AuthErrorKind::Forbidden, "f")),
            403,
        ),
        (
            AuthError::unavailable(
                Reason::custom(AuthErrorKind::Unavailable, "u"),
                std::time::Duration::from_secs(1),
            ),
            503,
        ),
    ] {
        let layer = AuthLayer::new(Answering::refusing(error));
        let answer = ask(&layer, request(&[("authorization", "Bearer x")])).await;
        answer.error();
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_inner_service() {
    for guard in guards() {
        for uri in ["/mcp", "/mcp?token=x"] {
            let answer = ask(&guard.layer, guard.bare_request(uri)).await;
            assert!(answer.reached.is_none());
        }
        let answer = ask(&guard.layer, request(&[(guard.header, "Bearer a b")])).await;
        assert!(answer.reached.is_none());
        assert!(
            ask(&guard.layer, guard.good_request("/mcp"))
                .await
                .reached
                .is_some()
        );
    }
}

#[tokio::test]
async fn keys_are_long_and_a_new_one_takes_over_from_an_old_one() {
    for key in ["", "short", "your-api-key-here", "aaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(ApiKeyLayer::new([key]).unwrap_err().setting(), "keys");
    }
    // Two live keys of one holder are one principal, so one can go while the other stays.
    let named = |key| ApiKey::new(key).unwrap().name("ci");
    let layer = ApiKeyLayer::new([named(API_KEY), named(OTHER_KEY)]).unwrap();
    let old = ask(&layer, request(&[("x-api-key", API_KEY)])).await;
    let new = ask(&layer, request(&[("x-api-key", OTHER_KEY)])).await;
    assert_eq!(old.principal().id(), new.principal().id());
    layer.keys().replace([named(OTHER_KEY)]).unwrap();
    let answer = ask(&layer, request(&[("x-api-key", API_KEY)])).await;
    answer.invalid("unknown_api_key");
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

#[tokio::test]
async fn without_sse_endpoints_the_stream_and_the_messages_need_a_credential() {
    for guard in guards() {
        ask(&guard.layer, of("GET", "/sse")).await.missing();
        ask(&guard.layer, of("POST", "/messages")).await.missing();
        let error = guard.layer.clone().public_path("/").unwrap_err();
        assert_eq!(error.setting(), "public_path");
    }
}

#[tokio::test]
async fn outer_layers_see_why_a_request_was_refused() {
    for guard in guards() {
        let answer = ask(&guard.layer, guard.bare_request("/mcp")).await;
        let error = answer.extensions.get::<AuthError>().unwrap();
        assert_eq!(
            (error.kind(), error.reason()),
            (AuthErrorKind::Missing, "missing_credential")
        );
        assert!(answer.reached.is_none());
    }
}
