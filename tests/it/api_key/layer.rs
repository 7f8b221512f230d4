//! `ApiKeyLayer`: which keys can be configured, and which requests pass.

use common::{API_KEY, ask, request};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::{ApiKeyLayer, ConfigError};

const OTHER_KEY: &str = "b3RoZXIta2V5LWZvci10aGUtdGVzdHM";

fn with_key(key: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    request(&[("x-api-key", key)])
}

fn layer() -> ApiKeyLayer {
    ApiKeyLayer::new([API_KEY]).unwrap()
}

fn setting<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> &'static str {
    result
        .expect_err("a setting that must be refused")
        .setting()
}

#[tokio::test]
async fn each_of_several_keys_is_accepted_and_no_other() {
    let layer = ApiKeyLayer::new([API_KEY, OTHER_KEY]).unwrap();
    for key in [API_KEY, OTHER_KEY] {
        ask(&layer, with_key(key)).await.admitted();
        ask(&layer, with_key(&format!(" {key} "))).await.admitted();
    }
    let long = API_KEY.repeat(30);
    for key in [
        "c29tZXRoaW5nLWVsc2UtZW50aXJlbHk",
        &API_KEY[..API_KEY.len() - 1],
        &API_KEY[1..],
        &format!("{API_KEY}="),
        &format!("{API_KEY}{API_KEY}"),
        &API_KEY.to_lowercase(),
        &API_KEY.to_uppercase(),
        &API_KEY.chars().rev().collect::<String>(),
        "x",
        &long,
    ] {
        ask(&layer, with_key(key)).await.invalid("unknown_api_key");
    }
    ask(&layer, request::<&str>(&[])).await.missing();
}

#[tokio::test]
async fn keys_are_given_as_strings_or_as_keys_with_names_and_scopes() {
    let of_strings = [
        ApiKeyLayer::new([API_KEY]),
        ApiKeyLayer::new(vec![API_KEY.to_owned()]),
        ApiKeyLayer::new(&[API_KEY.to_owned()]),
        ApiKeyLayer::new([ApiKey::new(API_KEY).unwrap()]),
    ];
    for layer in of_strings {
        let answer = ask(&layer.unwrap(), with_key(API_KEY)).await;
        let principal = answer.principal();
        assert_eq!(principal.provider(), "api_key");
        assert_eq!((principal.subject(), principal.client_id()), (None, None));
        assert_eq!((principal.issuer(), principal.expires_at()), (None, None));
        assert!(principal.scopes().is_empty() && principal.claims().is_empty());
    }
    let key = ApiKey::new(API_KEY)
        .unwrap()
        .name("ci")
        .scopes(["mcp:read", "mcp:write"]);
    let answer = ask(
        &ApiKeyLayer::new([key.unwrap()]).unwrap(),
        with_key(API_KEY),
    )
    .await;
    let principal = answer.principal();
    assert_eq!(principal.subject(), Some("ci"));
    assert_eq!(principal.id().to_string(), "api_key|sub=ci");
    assert_eq!(principal.scopes().to_string(), "mcp:read mcp:write");
}

#[tokio::test]
async fn keys_of_one_name_are_one_principal_and_keys_without_are_each_their_own() {
    let named = |key| ApiKey::new(key).unwrap().name("alice");
    let layer = ApiKeyLayer::new([named(API_KEY), named(OTHER_KEY)]).unwrap();
    let one = ask(&layer, with_key(API_KEY))
        .await
        .principal()
        .id()
        .clone();
    let two = ask(&layer, with_key(OTHER_KEY))
        .await
        .principal()
        .id()
        .clone();
    assert_eq!(one, two);

    let layer = ApiKeyLayer::new([API_KEY, OTHER_KEY]).unwrap();
    let one = ask(&layer, with_key(API_KEY))
        .await
        .principal()
        .id()
        .clone();
    let two = ask(&layer, with_key(OTHER_KEY))
        .await
        .principal()
        .id()
        .clone();
    assert_ne!(one, two);
    // It is stable, so that it can key a limit, and does not give the key away.
    let again = ask(&ApiKeyLayer::new([API_KEY]).unwrap(), with_key(API_KEY)).await;
    assert_eq!(*again.principal().id(), one);
    assert!(!one.to_string().contains(API_KEY));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, API_KEY.as_bytes());
    let stored: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(
        !one.to_string().contains(&stored[..16]),
        "the digest a key is stored under"
    );
}

#[test]
fn keys_that_protect_nothing_are_not_configured() {
    let none: [&str; 0] = [];
    assert_eq!(setting(ApiKeyLayer::new(none)), "keys");
    for key in [
        String::new(),
        "short".to_owned(),
        "Zm9yLXRoZS10ZXN".to_owned(),                 // 15 bytes
        format!("{}{}", API_KEY, "aB3-".repeat(122)), // 516 bytes
        "with a space inside it".to_owned(),
        "with-an-\u{e9}-inside-it-or-two".to_owned(),
        "with,a,comma,inside,it,or,two".to_owned(),
        "line\nbreak-inside-the-key-it-is".to_owned(),
        "padding=inside=the=key=it=is".to_owned(),
        // Placeholders.
        "your-api-key-here".to_owned(),
        "YOUR_API_KEY_HERE".to_owned(),
        "your-api-key-1234567".to_owned(),
        "changemechangeme".to_owned(),
        "change-me-change-me".to_owned(),
        "REPLACE_ME_PLEASE_NOW".to_owned(),
        "sk-placeholder-0001".to_owned(),
        "aaaaaaaaaaaaaaaaaaaa".to_owned(),
        "0000000000000000".to_owned(),
        "abababababababababab".to_owned(),
        "0123456789abcdef".to_owned(),
        "abcdefghijklmnopqrst".to_owned(),
        "12345678901234567890".to_owned(),
        "qwertyuiopasdfghjkl".to_owned(),
    ] {
        assert_eq!(setting(ApiKeyLayer::new([&key])), "keys", "{key:?}");
        let error = ApiKey::new(&key).unwrap_err();
        assert_eq!(error.setting(), "keys");
        assert!(
            key.len() < 6 || !error.to_string().contains(&key),
            "{error}"
        );
        // One bad key among good ones is not dropped silently.
        assert_eq!(
            setting(ApiKeyLayer::new([API_KEY, &key])),
            "keys",
            "{key:?}"
        );
    }
    assert_eq!(
        setting(ApiKeyLayer::new([API_KEY, OTHER_KEY, API_KEY])),
        "keys"
    );
    // The bounds themselves are inside.
    ApiKey::new("Zm9yLXRoZS10ZXN0").unwrap();
    ApiKey::new(format!("{}{}", &API_KEY[..24], "aB3-".repeat(122))).unwrap();
}

#[test]
fn a_scope_of_a_key_is_a_scope() {
    for scope in [
        "",
        " ",
        "a,",
        ",",
        "two scopes",
        "quo\"te",
        "back\\slash",
        "caf\u{e9}",
    ] {
        let key = ApiKey::new(API_KEY).unwrap();
        assert_eq!(setting(key.scopes([scope])), "scopes", "{scope:?}");
    }
}

#[tokio::test]
async fn the_longest_key_is_accepted() {
    let key = format!("{}{}", &API_KEY[..24], "aB3-".repeat(122));
    assert_eq!(key.len(), 512);
    let layer = ApiKeyLayer::new([&key]).unwrap();
    ask(&layer, with_key(&key)).await.admitted();
}

#[tokio::test]
async fn only_the_configured_header_is_read() {
    let layer = layer().header_name("X-Acme-Key").unwrap();
    ask(&layer, request(&[("x-acme-key", API_KEY)]))
        .await
        .admitted();
    let answer = ask(&layer, with_key(API_KEY)).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"ApiKey realm="MCP Server", header="X-Acme-Key""#]
    );
    ask(
        &layer,
        request(&[("authorization", format!("Bearer {API_KEY}"))]),
    )
    .await
    .missing();
    ask(
        &layer,
        request(&[("cookie", format!("X-Acme-Key={API_KEY}"))]),
    )
    .await
    .missing();

    let layer = common::api_key_guard().layer;
    for header in [
        "authorization",
        "api-key",
        "apikey",
        "x-api-key-2",
        "proxy-authorization",
    ] {
        ask(&layer, request(&[(header, API_KEY)])).await.missing();
    }
}

#[tokio::test]
async fn in_the_authorization_header_a_key_stands_where_that_was_asked_for() {
    let layer = layer().header_name("Authorization").unwrap();
    ask(&layer, request(&[("authorization", API_KEY)]))
        .await
        .admitted();
    let answer = ask(
        &layer,
        request(&[("authorization", format!("Bearer {API_KEY}"))]),
    )
    .await;
    answer.malformed("malformed_credential");
    ask(&layer, with_key(API_KEY)).await.missing();
}

#[test]
fn a_header_with_a_meaning_of_its_own_holds_no_key() {
    for name in [
        "",
        "x api key",
        "x-api-key:",
        "caf\u{e9}",
        "x\nkey",
        "Host",
        "Cookie",
        "content-type",
        "Content-Length",
        "Transfer-Encoding",
        "connection",
        "TE",
        "upgrade",
        "Origin",
        &"x".repeat(65),
    ] {
        assert_eq!(
            setting(layer().header_name(name)),
            "header_name",
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn the_realm_is_configurable_and_quoted() {
    let answer = ask(&layer().realm("Acme \"MCP\""), request::<&str>(&[])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"ApiKey realm="Acme 'MCP'", header="X-API-Key""#]
    );
}

#[tokio::test]
async fn keys_are_replaced_while_serving_for_every_clone() {
    let layer = layer();
    let clone = layer.clone().public_path("/health").unwrap();
    let service = tower::Layer::layer(&clone, common::Inner::default());
    layer.keys().replace([OTHER_KEY]).unwrap();
    for layer in [&layer, &clone] {
        ask(layer, with_key(OTHER_KEY)).await.admitted();
        ask(layer, with_key(API_KEY))
            .await
            .invalid("unknown_api_key");
    }
    let response = tower::ServiceExt::oneshot(service, with_key(OTHER_KEY))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);

    // A set that is refused leaves the old one.
    let none: [&str; 0] = [];
    assert_eq!(setting(layer.keys().replace(none)), "keys");
    assert_eq!(setting(layer.keys().replace([API_KEY, "short"])), "keys");
    assert_eq!(setting(layer.keys().replace([API_KEY, API_KEY])), "keys");
    ask(&layer, with_key(OTHER_KEY)).await.admitted();
    ask(&layer, with_key(API_KEY))
        .await
        .invalid("unknown_api_key");
}

#[tokio::test]
async fn an_earlier_clone_keeps_its_settings() {
    let before = layer();
    let after = before
        .clone()
        .header_name("X-Acme-Key")
        .unwrap()
        .realm("Acme");
    ask(&before, with_key(API_KEY)).await.admitted();
    let answer = ask(&before, request(&[("x-acme-key", API_KEY)])).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"ApiKey realm="MCP Server", header="X-API-Key""#]
    );
    ask(&after, request(&[("x-acme-key", API_KEY)]))
        .await
        .admitted();

    // A service made before is as it was.
    let service = tower::Layer::layer(&before, common::Inner::default());
    drop(before.realm("changed"));
    let response = tower::ServiceExt::oneshot(service, request::<&str>(&[]))
        .await
        .unwrap();
    assert!(
        response.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("MCP Server")
    );
}

#[test]
fn debug_shows_neither_keys_nor_digests() {
    let key = ApiKey::new(API_KEY).unwrap().name("alice");
    let layer = ApiKeyLayer::new([key.clone()]).unwrap();
    let shown = format!(
        "{key:?} {layer:?} {layer:#?} {:?} {:?}",
        layer.keys(),
        layer.clone().boxed()
    );
    assert!(shown.contains("alice"));
    assert!(!shown.contains(API_KEY));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, API_KEY.as_bytes());
    for first in [
        format!("{:02x}{:02x}", digest.as_ref()[0], digest.as_ref()[1]),
        format!("{}, {}", digest.as_ref()[0], digest.as_ref()[1]),
    ] {
        assert!(!shown.contains(&first), "{shown}");
    }
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
