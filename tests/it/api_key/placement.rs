//! Where a key stands in a request, and how clients are told.

use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::ApiKeyScheme;

use crate::api_key::life::new_key;
use common::{API_KEY, ask, request, request_to};

fn layer(scheme: ApiKeyScheme) -> ApiKeyLayer {
    let layer = ApiKeyLayer::new([API_KEY]).unwrap();
    layer.authorization_scheme(scheme).unwrap()
}

#[tokio::test]
async fn in_the_authorization_header_a_key_stands_behind_the_scheme_asked_for() {
    for (scheme, own, other) in [
        (ApiKeyScheme::ApiKey, "ApiKey", "Bearer"),
        (ApiKeyScheme::Bearer, "Bearer", "ApiKey"),
    ] {
        let layer = layer(scheme);
        for value in [
            format!("{own} {API_KEY}"),
            format!("{}   {API_KEY} ", own.to_lowercase()),
        ] {
            let answer = ask(&layer, request(&[("authorization", value)])).await;
            assert!(answer.admitted().headers.get("authorization").is_none());
        }
        for value in [
            format!("{other} {API_KEY}"),
            API_KEY.to_owned(),
            own.to_owned(),
            format!("{own}2 {API_KEY}"),
        ] {
            ask(&layer, request(&[("authorization", &value)]))
                .await
                .missing();
        }
        ask(&layer, request(&[("x-api-key", API_KEY)]))
            .await
            .missing();
        let bad = format!("{own} {API_KEY} x");
        let answer = ask(&layer, request(&[("authorization", bad)])).await;
        answer.malformed("malformed_credential");
        let unknown = format!("{own} {API_KEY}x");
        let answer = ask(&layer, request(&[("authorization", unknown)])).await;
        answer.invalid("unknown_api_key");
        let body = r#"{"error":"Invalid API key","status":401,"type":"authentication_error"}"#;
        assert_eq!(answer.text(), body);
    }
}

#[tokio::test]
async fn the_challenge_names_the_scheme_and_no_metadata() {
    let none = request::<&str>(&[]);
    let answer = ask(&layer(ApiKeyScheme::ApiKey), none).await;
    let line = r#"ApiKey realm="MCP Server", header="Authorization""#;
    assert_eq!(answer.challenges(), [line]);

    let layer = layer(ApiKeyScheme::Bearer).realm("Acme");
    let answer = ask(&layer, request::<&str>(&[])).await;
    assert_eq!(answer.challenges(), [r#"Bearer realm="Acme""#]);
    let bad = request(&[("authorization", "Bearer x")]);
    let line = concat!(
        r#"Bearer realm="Acme", error="invalid_token", "#,
        r#"error_description="The API key is not valid""#
    );
    assert_eq!(ask(&layer, bad).await.challenges(), [line]);
}

#[test]
fn a_key_stands_in_one_place() {
    let named = || {
        ApiKeyLayer::new([API_KEY])
            .unwrap()
            .header_name("X-Acme-Key")
    };
    let error = named().unwrap().authorization_scheme(ApiKeyScheme::Bearer);
    let error = error.unwrap_err();
    assert_eq!(error.setting(), "authorization_scheme");
    assert!(error.to_string().contains("`header_name`"), "{error}");

    let error = layer(ApiKeyScheme::ApiKey)
        .header_name("X-Acme-Key")
        .unwrap_err();
    assert_eq!(error.setting(), "header_name");
    assert!(
        error.to_string().contains("`authorization_scheme`"),
        "{error}"
    );

    // The same setting again is no contradiction.
    let _ = named().unwrap().header_name("X-Other-Key").unwrap();
    let again = layer(ApiKeyScheme::ApiKey).authorization_scheme(ApiKeyScheme::Bearer);
    let _ = again.unwrap();
}

#[tokio::test]
async fn with_a_prefix_other_keys_are_not_looked_at() {
    let new = new_key();
    let layer = ApiKeyLayer::new([new.expose()]).unwrap();
    let layer = layer.prefix("acme_").unwrap();
    ask(&layer, request(&[("x-api-key", new.expose())]))
        .await
        .admitted();
    let answer = ask(&layer, request(&[("x-api-key", API_KEY)])).await;
    answer.invalid("unaccepted_credential");
    for bad in ["", "acme=", "a b", &"x".repeat(65)] {
        let error = layer.clone().prefix(bad).unwrap_err();
        assert_eq!(error.setting(), "prefix", "{bad:?}");
    }
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
    let in_authorization = request(&[("authorization", format!("Bearer {API_KEY}"))]);
    ask(&layer, in_authorization).await.missing();
    let asked_for = layer.header_name("Authorization").unwrap();
    ask(&asked_for, request(&[("authorization", API_KEY)]))
        .await
        .admitted();
}
