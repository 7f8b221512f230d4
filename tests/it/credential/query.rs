//! Credentials in query strings: refused by every provider, whatever else the request has.

use common::{API_KEY, Answering, ask, guards, hs256_layer, request_to};
use http::HeaderName;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::{ApiKeyLayer, Location};

const FORBIDDEN_QUERIES: [&str; 36] = [
    "access_token=x",
    "token=x",
    "authorization=x",
    "api_key=x",
    "apikey=x",
    "x-api-key=x",
    // Case, `-` and `_` make no difference.
    "accessToken=x",
    "ACCESS_TOKEN=x",
    "access-token=x",
    "accesstoken=x",
    "Token=x",
    "Authorization=x",
    "apiKey=x",
    "API-KEY=x",
    "api-key=x",
    "xApiKey=x",
    "X_API_KEY=x",
    "_token_=x",
    // The name counts percent-decoded, ...
    "%61ccess_token=x",
    "access%5Ftoken=x",
    "access%5ftoken=x",
    "%61%70%69%4B%65%79=x",
    "%74oken=x",
    "x%2Dapi%2Dkey=x",
    // ... wherever it stands, with or without a value.
    "token",
    "token=",
    "token=a=b",
    "a=1&token=x",
    "a=1&b&token",
    "token=x&a=1",
    "&token=x",
    "&&token=x",
    "a=1&&token=x&&",
    "token=x&token=y",
    "cursor=%26token=&access_token=",
    "?&token=x",
];

const HARMLESS_QUERIES: [&str; 19] = [
    "",
    "&",
    "=",
    "a=1",
    "cursor=token",
    "cursor=access_token",
    "name=api_key",
    "next=%26access_token%3Dx",
    "next=access_token%3Dx",
    "q=%3Ftoken%3Dx",
    "tokens=x",
    "page_token=x",
    "nextPageToken=x",
    "access_token_hint=x",
    "token%00=x",
    "access+token=x",
    "access%20token=x",
    "%2574oken=x",
    "=token",
];

#[tokio::test]
async fn a_credential_in_the_query_string_is_refused_with_or_without_a_good_one_beside_it() {
    for guard in guards() {
        for query in FORBIDDEN_QUERIES {
            let uri = format!("/mcp?{query}");
            println!("{} {uri}", guard.name);
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
async fn other_queries_and_their_values_are_let_alone() {
    for guard in guards() {
        for query in HARMLESS_QUERIES {
            let uri = format!("/mcp?{query}");
            println!("{} {uri}", guard.name);
            let answer = ask(&guard.layer, guard.good_request(&uri)).await;
            assert_eq!(answer.admitted().uri, *uri);
        }
        // Even the credential itself, as a value of something else.
        let uri = format!("/mcp?q={}", guard.credential);
        ask(&guard.layer, guard.good_request(&uri)).await.admitted();
    }
}

#[tokio::test]
async fn the_list_of_names_is_replaced_and_not_extended() {
    for guard in guards() {
        let layer = guard
            .layer
            .clone()
            .forbidden_query_names(["secret-sauce"])
            .unwrap();
        for query in ["secret_sauce=x", "secretSauce=x", "SECRET%2DSAUCE"] {
            let request = guard.good_request(&format!("/mcp?{query}"));
            ask(&layer, request).await.malformed("token_in_query");
        }
        ask(&layer, guard.good_request("/mcp?token=x"))
            .await
            .admitted();
        ask(&layer, guard.good_request("/mcp?access_token=x"))
            .await
            .admitted();

        // The layer it was made from is as it was.
        let request = guard.good_request("/mcp?token=x");
        ask(&guard.layer, request).await.malformed("token_in_query");
    }
}

#[tokio::test]
async fn the_configured_headers_own_name_is_always_forbidden() {
    let none: [&str; 0] = [];
    let key = ApiKeyLayer::new([API_KEY])
        .unwrap()
        .header_name("X-Acme_Key")
        .unwrap()
        .forbidden_query_names(none)
        .unwrap();
    for query in ["x-acme_key=x", "xAcmeKey=x", "X_ACME_KEY", "x%2dacme-key=x"] {
        let request = request_to(&format!("/mcp?{query}"), &[("x-acme_key", API_KEY)]);
        ask(&key, request).await.malformed("token_in_query");
    }
    let request = request_to("/mcp?x-api-key=x", &[("x-acme_key", API_KEY)]);
    ask(&key, request).await.admitted();

    let jwt = hs256_layer().forbidden_query_names(none).unwrap();
    let request = request_to::<&str>("/mcp?Authorization=Bearer%20x", &[]);
    ask(&jwt, request).await.malformed("token_in_query");
}

#[tokio::test]
async fn the_name_of_a_long_header_of_a_custom_provider_is_forbidden_as_well() {
    let long = "x-".to_owned() + &"very-".repeat(20) + "long-key";
    let header = HeaderName::try_from(&long).unwrap();
    let layer = AuthLayer::new(Answering::accepting().locations([Location::bare(header)]));
    let request = request_to(&format!("/mcp?{long}=x"), &[(&*long, "x")]);
    ask(&layer, request).await.malformed("token_in_query");
}

#[test]
fn names_that_cannot_be_compared_are_not_configured() {
    for name in ["", "-", "_-_", &"x".repeat(65)] {
        let error = guards()[0]
            .layer
            .clone()
            .forbidden_query_names([name])
            .unwrap_err();
        assert_eq!(error.setting(), "forbidden_query_names", "{name:?}");
    }
    let layer = guards()[0].layer.clone();
    drop(layer.forbidden_query_names(["x".repeat(64)]).unwrap());
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
